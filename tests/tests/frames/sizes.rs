//! Messages larger than a frame, and frames larger than usual.

use observer_tests::client::datagram::Datagram;
use observer_tests::client::message6::{Ia, Kind, option, relay_forward};
use observer_tests::client::v6::{Client6, Relay6};
use observer_tests::compare::{Rules, compare};
use observer_tests::hook::DumpHook;
use observer_tests::inject::PacketSocket;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::need::Need;
use observer_tests::observer::Observer;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use serde_json::json;

use crate::fragment::fragments;
use crate::stage::{LIFE, SOON, Stage, cable, is_life};

#[test]
fn ipv4_fragments_in_both_directions() {
    require!(Need::Root);
    for attach in ["tc", "clsact", "xdp"] {
        let stage = Stage::with_mtu(576, &["--attach", attach]);
        let mut talk = stage.talk(7);
        talk.padding = 1_700;
        let mut identification = 0;
        let mut cut = |frame: Vec<u8>| {
            identification += 1;
            fragments(&frame, 576, identification)
        };
        let mut arrives = |frame| cut(frame).iter().for_each(|piece| stage.wire.arrives(piece));
        let discover = talk.discover();
        arrives(talk.by_client(&discover));
        fragments(&talk.by_server(&talk.offer()), 576, 101).iter().for_each(|piece| stage.wire.leaves(piece));
        arrives(talk.by_client(&talk.request()));
        fragments(&talk.by_server(&talk.ack()), 576, 102).iter().for_each(|piece| stage.wire.leaves(piece));
        let renew = talk.renew();
        arrives(talk.by_client(&renew));
        fragments(&talk.by_server(&talk.ack()), 576, 103).iter().for_each(|piece| stage.wire.leaves(piece));
        let release = talk.release();
        arrives(talk.by_client(&release));
        let (calls, ended) = stage.finish(LIFE.len());
        is_life(&calls, &talk, &LIFE);
        let vendor = format!("0x{}", "41".repeat(1_700));
        assert_eq!(calls[0].get("OBSERVER_ANSWER_OPTION_43"), Some(&*vendor));
        assert_eq!(ended.count("kernel", "taken_v4_fragment"), 7 * 4, "{}", ended.stderr);
        assert_eq!(ended.count("totals", "handled"), 7, "{}", ended.stderr);
    }
}

#[test]
fn jumbo_frames() {
    require!(Need::Root);
    for attach in ["tc", "clsact", "xdp"] {
        let stage = Stage::with_mtu(9_000, &["--attach", attach]);
        let mut talk = stage.talk(7);
        talk.padding = 8_600;
        stage.wire.live(&mut talk);
        let (calls, ended) = stage.finish(LIFE.len());
        is_life(&calls, &talk, &LIFE);
        let vendor = format!("0x{}", "41".repeat(8_600));
        assert_eq!(calls[0].get("OBSERVER_ANSWER_OPTION_43"), Some(&*vendor), "{attach}");
        assert_eq!(ended.count("kernel", "truncated"), 0, "{}", ended.stderr);
    }
}

/// Kea answers a relay with a Reply of many leases and much else, which its kernel cuts into fragments; the relay's
/// question comes in fragments too.
#[test]
fn ipv6_fragments_of_a_real_server() {
    require!(Need::Root, Need::Program("kea-dhcp6"));
    const ASSOCIATIONS: u32 = 24;
    let cable = cable(1_280);
    let scratch = Scratch::new().unwrap();
    let (a, b) = (scratch.directory("kea").unwrap(), scratch.directory("observer").unwrap());
    let (real, observed) = (DumpHook::install(&a).unwrap(), DumpHook::install(&b).unwrap());
    let names: Vec<String> = (0..60).map(|n| format!("a-rather-long-label-{n}.example.org")).collect();
    let options = json!([{ "name": "domain-search", "data": names.join(", "), "always-send": true }]);
    let subnet = json!([{
        "id": 18, "subnet": "2001:db8:2::/64", "rapid-commit": true,
        "pools": [{ "pool": "2001:db8:2::1000 - 2001:db8:2::1fff" }],
        "pd-pools": [{ "prefix": "2001:db8:9000::", "prefix-len": 40, "delegated-len": 60 }],
    }]);
    let config = Config::plain(Family::V6).unwrap().set("option-data", options).set("subnet6", subnet);
    let server = &cable.server;
    let mut kea = Kea::start(&server.namespace, &a, config, real.script()).unwrap();
    let options = ["--kea-config", kea.config().to_str().unwrap()];
    let observer = Observer::start(&server.namespace, &b, server.name, observed.script(), &options).unwrap();

    let associations = (0..ASSOCIATIONS)
        .map(|iaid| if iaid % 3 == 2 { Ia::prefixes(iaid) } else { Ia::addresses(iaid) })
        .collect();
    let relay = Relay6 {
        address: "2001:db8:1::2".parse().unwrap(),
        link: "2001:db8:2::1".parse().unwrap(),
        options: vec![(option::INTERFACE_ID, b"port 7".to_vec())],
    };
    let client = Client6::new(&cable, 1, associations).unwrap();
    let mut client = client.through(vec![relay.clone()]).unwrap();
    // A vendor class makes the question too large for one frame, but not for Kea's buffer of 1,500 octets.
    client.options = vec![(16, [&[0, 0, 0x11, 0x8b, 3, 0xb6][..], &[0x42; 950]].concat())];
    let mut query = client.query(Kind::Solicit, false);
    query.options.push((option::RAPID_COMMIT, vec![]));
    let peer = "fe80::1".parse().unwrap();
    let payload = relay_forward(0, relay.link, peer, &relay.options, &query.encode());
    let datagram = Datagram {
        from_mac: cable.client.mac,
        to_mac: server.mac,
        from: (relay.address, 547).into(),
        to: ("2001:db8:1::1".parse::<std::net::Ipv6Addr>().unwrap(), 547).into(),
        payload,
    };
    let sender = PacketSocket::open(&cable.client).unwrap();
    for piece in fragments(&datagram.encode().unwrap(), 1_280, 7) {
        sender.send(&piece).unwrap();
    }

    real.wait_for(1, SOON).unwrap();
    kea.stop().unwrap();
    let _ = observed.wait_for(1, SOON);
    let ended = observer.stop().unwrap();
    let calls = observed.calls().unwrap();
    compare(&real.calls().unwrap(), &calls, &Rules { variable_order: true, ..Rules::default() })
        .unwrap_or_else(|report| panic!("{report}\n{}", ended.stderr));
    assert_eq!(calls[0].get("LEASES6_SIZE"), Some(&*ASSOCIATIONS.to_string()));
    assert_eq!(calls[0].get("OBSERVER_RELAY0_INTERFACE_ID"), Some("0x706F72742037"));
    // Two of the question and at least three of the answer.
    assert!(ended.count("kernel", "taken_v6_fragment") >= 5, "{}", ended.stderr);
    assert_eq!(ended.count("totals", "handled"), 2, "{}", ended.stderr);
}

#[test]
fn fragments_out_of_order() {
    require!(Need::Root);
    let mut stage = Stage::with_mtu(576, &[]);
    let mut talk = stage.talk(7);
    talk.padding = 1_200;
    let pieces = |frame: Vec<u8>, identification, order: [usize; 3]| {
        let pieces = fragments(&frame, 576, identification);
        assert_eq!(pieces.len(), order.len());
        order.map(|place| pieces[place].clone())
    };
    // The kernel's filter knows a datagram only from its first fragment on.
    let discover = talk.discover();
    pieces(talk.by_client(&discover), 1, [1, 0, 2]).iter().for_each(|piece| stage.wire.arrives(piece));
    stage.observer.wait_for_log("1 fragmented DHCP datagrams lost, 1 in all", 1).unwrap();
    // After that their order does not matter.
    pieces(talk.by_client(&talk.request()), 2, [0, 2, 1]).iter().for_each(|piece| stage.wire.arrives(piece));
    pieces(talk.by_server(&talk.ack()), 3, [0, 2, 1]).iter().for_each(|piece| stage.wire.leaves(piece));
    talk.padding = 0;
    stage.wire.renew(&mut talk);
    stage.wire.release(&mut talk);
    let (calls, ended) = stage.finish(LIFE.len());
    is_life(&calls, &talk, &LIFE);
    assert!(calls.iter().all(|call| call.get("OBSERVER_CERTAINTY") == Some("observed")), "{calls:?}");
    assert_eq!(ended.count("kernel", "overtaken"), 1, "{}", ended.stderr);
}

#[test]
fn fragments_that_contradict_each_other_are_counted() {
    require!(Need::Root);
    let stage = Stage::with_mtu(576, &[]);
    let mut talk = stage.talk(7);
    talk.padding = 1_200;
    let discover = talk.discover();
    let frame = talk.by_client(&discover);
    stage.wire.arrives(&fragments(&frame, 576, 9)[0]);
    // Cut elsewhere, so that it begins before the first one ends.
    stage.wire.arrives(&fragments(&frame, 400, 9)[1]);
    talk.padding = 0;
    stage.wire.live(&mut talk);
    let (calls, ended) = stage.finish(LIFE.len());
    is_life(&calls, &talk, &LIFE);
    assert_eq!(ended.count("tracker", "fragmented_overlapped"), 1, "{}", ended.stderr);
}
