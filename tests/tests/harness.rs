//! The harness checked against the real world, without the observer: a test that trusts it can be trusted.

use std::process::Command;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::capture::{Frame, read_frames};
use observer_tests::client::datagram::Datagram;
use observer_tests::client::message4::{Kind, option};
use observer_tests::client::message6::{self, Ia, Message6};
use observer_tests::client::v4::{Client4, Relay4};
use observer_tests::client::v6::{Client6, Relay6};
use observer_tests::compare::{Rules, compare};
use observer_tests::golden::{KEA, Recording};
use observer_tests::hook::DumpHook;
use observer_tests::inject::{AnswersFrom, PacketSocket, is_answer, replay_paced, replay_queries};
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::Cable;
use observer_tests::need::{Need, find_program};
use observer_tests::netns::Namespace;
use observer_tests::process::Process;
use observer_tests::require;
use observer_tests::scratch::Scratch;

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_namespace_is_empty_and_private() {
    require!(Need::Root);
    let (one, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    one.ip(&["link", "add", "only0", "type", "veth"]).unwrap();
    assert!(one.ip(&["-o", "link"]).unwrap().contains("only0"));
    assert!(!other.ip(&["-o", "link"]).unwrap().contains("only0"));
    assert!(
        !String::from_utf8(Command::new("ip").args(["-o", "link"]).output().unwrap().stdout)
            .unwrap()
            .contains("only0")
    );
    let seen = one.run(|| Ok(nix::net::if_::if_nametoindex("only0").is_ok())).unwrap();
    assert!(seen, "a closure runs inside the namespace");
}

#[test]
fn the_cable_is_that_of_the_recordings() {
    require!(Need::Root);
    let cable = Cable::as_recorded().unwrap();
    assert_eq!(cable.server.index, 2);
    let shown = cable.server.namespace.ip(&["address", "show", "dev", "s0"]).unwrap();
    for part in ["02:00:00:00:00:01", "192.0.2.1/24", "2001:db8:1::1/64", "fe80::ff:fe00:1/64", "state UP"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains("tentative"), "{shown}");
    let shown = cable.client.namespace.ip(&["address", "show", "dev", "c0"]).unwrap();
    assert!(shown.contains("02:00:00:00:00:02") && !shown.contains("inet"), "{shown}");
}

#[test]
fn frames_are_sent_as_they_are_also_with_tags() {
    require!(Need::Root);
    let cable = Cable::as_recorded().unwrap();
    let (sender, seen) =
        (PacketSocket::open(&cable.client).unwrap(), PacketSocket::open(&cable.server).unwrap());
    let plain = Recording::named("kea-v4-dora").frames().unwrap()[0].bytes.clone();
    // Two tags: the kernel takes the outer one out of the bytes on the receiving side, but not the inner one.
    let tags = [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6];
    let tagged = [&plain[..12], &tags, &plain[12..]].concat();
    for (sent, arrives) in
        [(&plain, plain.clone()), (&tagged, [&plain[..12], &tags[4..], &plain[12..]].concat())]
    {
        sender.send(sent).unwrap();
        let found = seen.receive(SOON, |frame| (frame == arrives).then_some(())).unwrap();
        assert!(found.is_some(), "{} octets never arrived", sent.len());
    }
}

#[test]
fn a_capture_that_is_sent_is_the_capture_that_tcpdump_sees() {
    require!(Need::Root, Need::Program("tcpdump"));
    let recording = Recording::named("kea-v4-relay");
    let frames = recording.frames().unwrap();
    for (answers, speed) in [(AnswersFrom::Observed, 20.0), (AnswersFrom::Peer, 20.0)] {
        let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
        let file = scratch.path().join("seen.pcap");
        let mut command = cable.server.namespace.command("tcpdump");
        let filter = "udp port 67 or udp port 68";
        command.args(["-i", "s0", "-Z", "root", "-U", "--immediate-mode", "-w"]).arg(&file).arg(filter);
        let mut tcpdump = Process::start("tcpdump", command, scratch.path()).unwrap();
        tcpdump.wait_for_log("listening on", SOON).unwrap();
        replay_paced(&frames, speed, &cable.client, &cable.server, answers).unwrap();
        let all = |seen: &Vec<Frame>| seen.len() >= frames.len();
        observer_tests::wait::until("whole capture", SOON, || Ok(read_frames(&file).ok().filter(all)))
            .unwrap();
        tcpdump.stop(SOON).unwrap();

        let seen = read_frames(&file).unwrap();
        let bytes = |frames: &[Frame]| frames.iter().map(|frame| frame.bytes.clone()).collect::<Vec<_>>();
        assert_eq!(bytes(&seen), bytes(&frames));
        let length = |frames: &[Frame]| frames[frames.len() - 1].at - frames[0].at;
        let (own, paced) = (length(&frames) / speed, length(&seen));
        assert!(paced >= own - 0.05 && paced < own + 2.0, "{paced} s instead of {own} s");
    }
}

#[test]
fn answers_leave_the_observed_side() {
    require!(Need::Root, Need::Program("tcpdump"));
    let frames = Recording::named("kea-v6-relay").frames().unwrap();
    assert_eq!(frames.iter().filter(|frame| is_answer(&frame.bytes)).count(), frames.len() / 2);
    for (answers, arriving) in [(AnswersFrom::Observed, frames.len() / 2), (AnswersFrom::Peer, frames.len())]
    {
        let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
        let file = scratch.path().join("in.pcap");
        let mut command = cable.server.namespace.command("tcpdump");
        command
            .args(["-i", "s0", "-Q", "in", "-Z", "root", "-U", "--immediate-mode", "-w"])
            .arg(&file)
            .arg("udp port 547");
        let mut tcpdump = Process::start("tcpdump", command, scratch.path()).unwrap();
        tcpdump.wait_for_log("listening on", SOON).unwrap();
        replay_paced(&frames, 50.0, &cable.client, &cable.server, answers).unwrap();
        let enough = |seen: &Vec<Frame>| seen.len() >= arriving;
        observer_tests::wait::until("frames", SOON, || Ok(read_frames(&file).ok().filter(enough))).unwrap();
        tcpdump.stop(SOON).unwrap();
        assert_eq!(read_frames(&file).unwrap().len(), arriving, "{answers:?}");
    }
}

#[test]
fn a_hook_dumps_its_arguments_and_exactly_its_environment() {
    let scratch = Scratch::new().unwrap();
    let hook = DumpHook::install(scratch.path()).unwrap();
    assert_eq!(hook.calls().unwrap(), []);
    let mut children: Vec<_> = (0..20)
        .map(|number: i32| {
            let mut command = Command::new(hook.script());
            command.arg("lease4_renew").env_clear().env("B", "2 = \"two\"\n").env("A", number.to_string());
            command.spawn().unwrap()
        })
        .collect();
    children.iter_mut().for_each(|child| assert!(child.wait().unwrap().success()));
    let calls = hook.wait_for(20, SOON).unwrap();
    assert_eq!(calls.len(), 20);
    let mut numbers: Vec<i32> = calls.iter().map(|call| call.get("A").unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    for call in calls {
        assert_eq!((call.argv.len(), call.hook(), call.env.len()), (1, "lease4_renew", 2));
        assert_eq!(call.get("B"), Some("2 = \"two\"\n"));
    }
}

#[test]
fn a_program_that_ends_early_says_why() {
    let scratch = Scratch::new().unwrap();
    let mut command = Command::new(find_program("sh").unwrap());
    command.args(["-c", "echo out of luck >&2; exit 3"]);
    let mut process = Process::start("sh", command, scratch.path()).unwrap();
    let error = format!("{:#}", process.wait_for_log("ready", SOON).unwrap_err());
    assert!(error.contains("out of luck") && error.contains('3'), "{error}");
}

/// Starts Kea with the configuration of a recording, sends it the recording's queries at their own pace, and expects
/// the calls of the recording, variable by variable: the strongest check that the harness neither adds nor loses.
fn kea_repeats(name: &str) {
    let recording = Recording::named(name);
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let (frames, expected) = (recording.frames().unwrap(), recording.calls().unwrap());
    let datagrams: Vec<Datagram> = frames.iter().filter_map(|frame| Datagram::decode(&frame.bytes)).collect();
    let mut config = Config::recorded(&recording).unwrap();
    let answers = datagrams.iter().filter_map(|datagram| Message6::decode(&datagram.payload));
    if name.starts_with("kea-v6") {
        let duid = answers.filter_map(|m| m.option(message6::option::SERVER_ID).map(<[u8]>::to_vec)).next();
        config = config.server_duid(&duid.unwrap()).unwrap();
        // The recorded clients answer no neighbour solicitation.
        for query in datagrams.iter().filter(|datagram| datagram.from.port() == 546) {
            cable.server.neighbour(&query.from.ip().to_string(), query.from_mac).unwrap();
        }
        cable.server.neighbour("2001:db8:1::2", cable.client.mac).unwrap();
    }
    let hook = DumpHook::install(scratch.path()).unwrap();
    let mut kea = Kea::start(&cable.server.namespace, scratch.path(), config, hook.script()).unwrap();
    let start = replay_queries(&frames, 1.0, &cable.client, &cable.server).unwrap();
    // When too few calls come, the comparison says which are missing.
    let _ = hook.wait_for(expected.len(), SOON);
    kea.stop().unwrap();
    let calls = hook.calls().unwrap();

    let rules = Rules {
        shift: start - recording.start().unwrap(),
        cltt_within: 1.5,
        at_within: Some(3.0),
        ..Rules::default()
    };
    compare(&expected, &calls, &rules).unwrap_or_else(|report| panic!("{name}:\n{report}"));
}

#[test]
fn real_kea_repeats_the_recordings() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("kea-dhcp6"));
    let failures: Vec<&str> = std::thread::scope(|scope| {
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let run = |name| named(name).spawn_scoped(scope, move || kea_repeats(name)).unwrap();
        let runs = KEA.map(|name| (name, run(name)));
        runs.into_iter().filter_map(|(name, run)| run.join().is_err().then_some(name)).collect()
    });
    assert!(failures.is_empty(), "not as recorded: {failures:?}");
}

/// The hook points of calls, and the variables of each, sorted.
fn shape(calls: &[Call]) -> Vec<(String, Vec<String>)> {
    let mut shapes: Vec<_> = calls
        .iter()
        .map(|call| {
            let mut names: Vec<String> = call.env.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            (call.hook().to_owned(), names)
        })
        .collect();
    shapes.sort();
    shapes
}

#[test]
fn the_scripted_v4_client_is_understood_by_real_kea() {
    require!(Need::Root, Need::Program("kea-dhcp4"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let hook = DumpHook::install(scratch.path()).unwrap();
    let config = Config::plain(Family::V4).unwrap();
    let _kea = Kea::start(&cable.server.namespace, scratch.path(), config, hook.script()).unwrap();

    // The steps of kea-v4-renew.
    let mut client = Client4::new(&cable, 4).unwrap().host_name("delta");
    client.client_id = Some([&[1][..], &client.mac()].concat());
    let ack = client.bind().unwrap();
    assert_eq!((ack.yiaddr.to_string(), ack.lease_time()), ("192.0.2.100".to_owned(), Some(600)));
    assert!(client.renew().unwrap().is(Kind::Ack));
    assert!(client.rebind().unwrap().is(Kind::Ack));
    assert!(client.init_reboot(ack.yiaddr).unwrap().is(Kind::Ack));
    client.bind().unwrap();
    let golden = Recording::named("kea-v4-renew").calls().unwrap();
    let calls = hook.wait_for(golden.len(), SOON).unwrap();
    assert_eq!(shape(&calls), shape(&golden));

    // What has no answer, or no call.
    let count = calls.len();
    client.inform("192.0.2.9".parse().unwrap()).unwrap();
    assert!(client.init_reboot("192.0.2.150".parse().unwrap()).unwrap().is(Kind::Nak));
    hook.wait_for(count + 1, SOON).unwrap();
    client.decline().unwrap();
    hook.wait_for_call("decline", SOON, |call| call.hook() == "lease4_decline").unwrap();
    client.bind().unwrap();
    client.release().unwrap();
    hook.wait_for_call("release", SOON, |call| call.hook() == "lease4_release").unwrap();

    // A relay with and without option 82.
    let mut relayed = Client4::new(&cable, 5).unwrap();
    relayed.flags = 0x8000;
    for agent in [Some(vec![1, 2, b'e', b'7']), None] {
        relayed.relay = Some(Relay4 { giaddr: "198.51.100.1".parse().unwrap(), agent });
        let ack = relayed.bind().unwrap();
        assert_eq!(ack.yiaddr.to_string(), "198.51.100.100");
        assert_eq!(ack.address(option::SERVER_ID), Some("192.0.2.1".parse().unwrap()));
    }
    let circuit = |call: &Call| call.get("QUERY4_OPTION_82_SUB_OPTION_1") == Some("0x6537");
    hook.wait_for_call("call with option 82", SOON, circuit).unwrap();
    relayed.renew().unwrap();
    relayed.release().unwrap();
    let released =
        |call: &Call| call.get("LEASE4_ADDRESS") == Some("198.51.100.100") && call.hook() == "lease4_release";
    hook.wait_for_call("release past the relay", SOON, released).unwrap();
}

#[test]
fn the_scripted_v6_client_is_understood_by_real_kea() {
    require!(Need::Root, Need::Program("kea-dhcp6"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let hook = DumpHook::install(scratch.path()).unwrap();
    let config = Config::plain(Family::V6).unwrap();
    let _kea = Kea::start(&cable.server.namespace, scratch.path(), config, hook.script()).unwrap();

    // The steps of kea-v6-renew, but for the last.
    let both = |iaid| vec![Ia::addresses(iaid), Ia::prefixes(iaid + 60)];
    let mut client = Client6::new(&cable, 6, both(6)).unwrap();
    client.bind().unwrap();
    assert_eq!(client.associations[0].items[0].address.to_string(), "2001:db8:1::1000");
    assert_eq!(client.associations[1].items[0].prefix_length, 56);
    client.renew().unwrap();
    client.rebind().unwrap();
    client.confirm().unwrap();
    client.information_request().unwrap();
    let mut golden = Recording::named("kea-v6-renew").calls().unwrap();
    golden.pop();
    let calls = hook.wait_for(golden.len(), SOON).unwrap();
    assert_eq!(shape(&calls), shape(&golden));
    client.release().unwrap();
    let is = |hook: &'static str| move |call: &Call| call.hook() == hook;
    hook.wait_for_call("release", SOON, is("lease6_release")).unwrap();

    let mut rapid = Client6::new(&cable, 5, both(5)).unwrap();
    rapid.rapid_commit().unwrap();
    let by_solicit = |call: &Call| call.get("QUERY6_TYPE") == Some("SOLICIT");
    hook.wait_for_call("rapid commit", SOON, by_solicit).unwrap();
    rapid.decline().unwrap();
    hook.wait_for_call("decline", SOON, is("lease6_decline")).unwrap();

    // Two relays, of which the one next to the client names its link.
    let relay = |address: &str, link: &str| Relay6 {
        address: address.parse().unwrap(),
        link: link.parse().unwrap(),
        options: vec![(message6::option::INTERFACE_ID, b"eth7".to_vec())],
    };
    let relays = vec![relay("fe80::7", "2001:db8:2::1"), relay("2001:db8:1::2", "::")];
    let mut relayed = Client6::new(&cable, 9, both(9)).unwrap().through(relays).unwrap();
    relayed.bind().unwrap();
    relayed.renew().unwrap();
    relayed.release().unwrap();
    let outer = |call: &Call| {
        call.hook() == "lease6_renew" && call.get("QUERY6_REMOTE_ADDR") == Some("2001:db8:1::2")
    };
    let call = hook.wait_for_call("renewal through two relays", SOON, outer).unwrap();
    assert_eq!(call.get("LEASE6_SUBNET_ID"), Some("18"));
}
