//! A server behind a real VLAN device: observed there, observed on the device below it, and on both.
//!
//! ```text
//!   s0.7 ── s0 ══ veth, VLAN 7 ══ c0 ── c0.7
//! ```
//!
//! The kernel itself puts the tags on and takes them off, which not every kernel can: the tests want the module 8021q
//! and are run by `cargo xtask vm`, where a kernel without TCX has it.

use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::datagram::Datagram;
use observer_tests::client::message4::Message4;
use observer_tests::client::v4::{Binding4, Client4};
use observer_tests::compare::{Rules, compare};
use observer_tests::golden::Recording;
use observer_tests::hook::DumpHook;
use observer_tests::inject::{AnswersFrom, replay_paced};
use observer_tests::link::{Cable, Link, vlan};
use observer_tests::need::Need;
use observer_tests::observer::{Observer, Totals, binary, replay_invocations};
use observer_tests::require;
use observer_tests::scratch::Scratch;

const WITHIN: Duration = Duration::from_secs(12);

/// A whole life of a lease past an observer of these interfaces of the server's: the recording with its first binding,
/// renewal, rebinding, reboot and binding again, then a release. `seen_on` is where the questions are seen first.
/// Returns the calls, which were compared with those of the replay.
fn life_of_a_lease(observed: &[&str], seen_on: &str) -> Vec<Call> {
    binary().unwrap();
    let recording = Recording::named("kea-v4-renew");
    let (scratch, trunk) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let access = Cable {
        server: vlan(&trunk.server, "s0.7", 7).unwrap(),
        client: vlan(&trunk.client, "c0.7", 7).unwrap(),
    };
    let seen_on = if seen_on == trunk.server.name { &trunk.server } else { &access.server };
    let config = recording.kea_config();
    let kea = ["--kea-config", config.to_str().unwrap()];
    let index = seen_on.index.to_string();
    let options = ["--iface-name", seen_on.name, "--iface-index", &index];
    let expected = replay_invocations(&recording.capture(), &[&options[..], &kea].concat()).unwrap();
    assert!(!expected.is_empty(), "the replay has no calls");

    let hook = DumpHook::install(scratch.path()).unwrap();
    let others: Vec<&str> = observed.iter().skip(1).flat_map(|name| ["--iface", name]).collect();
    let options = [&kea[..], &others].concat();
    let server = &trunk.server.namespace;
    let observer = Observer::start(server, scratch.path(), observed[0], hook.script(), &options).unwrap();
    let frames = recording.frames().unwrap();
    let start = replay_paced(&frames, 1.0, &access.client, &access.server, AnswersFrom::Observed).unwrap();
    let calls = hook.wait_for(expected.len(), WITHIN).unwrap();
    // An emulated machine is late by whole seconds when its host is busy; when is not what this is about.
    let shift = start - recording.start().unwrap();
    let rules = Rules { shift, cltt_within: 4.0, at_within: None, variable_order: true };
    compare(&expected, &calls, &rules).unwrap_or_else(|report| panic!("{observed:?}:\n{report}"));

    holder(&access, &frames.last().unwrap().bytes).release().unwrap();
    let calls = hook.wait_for(expected.len() + 2, WITHIN).unwrap();
    let ended = observer.stop().unwrap();
    assert_eq!(hook.calls().unwrap(), calls, "something was told twice");
    let mut release: Vec<&Call> = calls[expected.len()..].iter().collect();
    release.sort_by_key(|call| call.hook());
    assert_eq!(release[0].hook(), "lease4_release");
    assert_eq!(release[0].get("LEASE4_ADDRESS"), Some("192.0.2.100"));
    assert_eq!(release[0].get("QUERY4_IFACE_NAME"), Some(seen_on.name));
    assert_eq!(release[1].hook(), "leases4_committed");
    assert_eq!(release[1].get("DELETED_LEASES4_AT0_ADDRESS"), Some("192.0.2.100"));
    Totals::parse(&ended.stderr).unwrap().check().unwrap();
    for link in [&trunk.server, &access.server] {
        let road = format!("{} is observed ({})", link.name, road());
        assert_eq!(ended.stderr.contains(&road), observed.contains(&link.name), "{road}: {}", ended.stderr);
        assert_nothing_is_left(link);
    }
    calls
}

/// The client to which this last answer of a recording gave an address.
fn holder(cable: &Cable, answer: &[u8]) -> Client4 {
    let answer = Message4::decode(&Datagram::decode(answer).unwrap().payload).unwrap();
    let mut client = Client4::new(cable, answer.chaddr[5]).unwrap();
    assert_eq!(client.mac(), answer.chaddr);
    client.binding = Some(Binding4 { address: answer.yiaddr, server: "192.0.2.1".parse().unwrap() });
    client
}

/// TCX came with Linux 6.6.
fn road() -> &'static str {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    if version >= (6, 6) { "TCX" } else { "clsact" }
}

fn assert_nothing_is_left(link: &Link) {
    let qdiscs = link.namespace.command("tc").args(["qdisc", "show", "dev", link.name]).output().unwrap();
    let qdiscs = String::from_utf8_lossy(&qdiscs.stdout).into_owned();
    assert!(!qdiscs.contains("clsact"), "a qdisc was left behind: {qdiscs}");
}

fn vlans(calls: &[Call]) -> Vec<Option<&str>> {
    let mut vlans: Vec<Option<&str>> = calls.iter().map(|call| call.get("OBSERVER_VLAN")).collect();
    vlans.dedup();
    vlans
}

#[test]
#[ignore = "needs the kernel module 8021q: `cargo xtask vm` has it"]
fn on_the_vlan_device_there_are_no_tags() {
    require!(Need::Root, Need::Program("tc"));
    assert_eq!(vlans(&life_of_a_lease(&["s0.7"], "s0.7")), [None]);
}

#[test]
#[ignore = "needs the kernel module 8021q: `cargo xtask vm` has it"]
fn on_the_device_below_the_vlan_is_told() {
    require!(Need::Root, Need::Program("tc"));
    assert_eq!(vlans(&life_of_a_lease(&["s0"], "s0")), [Some("7")]);
}

#[test]
#[ignore = "needs the kernel module 8021q: `cargo xtask vm` has it"]
fn on_both_everything_is_told_once() {
    require!(Need::Root, Need::Program("tc"));
    life_of_a_lease(&["s0.7", "s0"], "s0");
}
