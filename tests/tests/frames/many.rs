//! Many interfaces at once, each with a client and a server of its own.

use std::collections::BTreeMap;

use observer_tests::hook::DumpHook;
use observer_tests::link::{End, Link, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::Observer;
use observer_tests::require;
use observer_tests::scratch::Scratch;

use crate::stage::{LIFE, SOON, Wire, lives};
use crate::talk::Talk;

const NAMES: [(&str, &str); 16] = [
    ("s0", "c0"),
    ("s1", "c1"),
    ("s2", "c2"),
    ("s3", "c3"),
    ("s4", "c4"),
    ("s5", "c5"),
    ("s6", "c6"),
    ("s7", "c7"),
    ("s8", "c8"),
    ("s9", "c9"),
    ("s10", "c10"),
    ("s11", "c11"),
    ("s12", "c12"),
    ("s13", "c13"),
    ("s14", "c14"),
    ("s15", "c15"),
];

#[test]
fn sixteen_interfaces() {
    require!(Need::Root);
    let (near, far, scratch) =
        (Namespace::new().unwrap(), Namespace::new().unwrap(), Scratch::new().unwrap());
    let links: Vec<(Link, Link)> = (0_u8..)
        .zip(NAMES)
        .map(|(number, (own, peer))| {
            let end = |name, side| End { name, mac: [2, 0, 0, 0, number, side], ..End::recorded_client() };
            veth(&near, &end(own, 1), &far, &end(peer, 2)).unwrap()
        })
        .collect();
    let hook = DumpHook::install(scratch.path()).unwrap();
    let more: Vec<&str> = NAMES.iter().skip(1).flat_map(|(own, _)| ["--iface", own]).collect();
    let observer = Observer::start(&near, scratch.path(), "s0", hook.script(), &more).unwrap();

    std::thread::scope(|scope| {
        for (number, (own, peer)) in (1_u8..).zip(&links) {
            scope.spawn(move || Wire::new(peer, own).live(&mut Talk::new(number, own.mac)));
        }
    });
    let _ = hook.wait_for(LIFE.len() * NAMES.len(), SOON);
    let ended = observer.stop().unwrap();
    let calls = hook.calls().unwrap();
    let addresses = (1..=NAMES.len()).map(|number| format!("192.0.2.{number}"));
    let expected: BTreeMap<_, _> = addresses.map(|address| (address, LIFE.to_vec())).collect();
    assert_eq!(lives(&calls), expected);
    for call in &calls {
        let hwaddr = call.get("QUERY4_HWADDR").unwrap();
        let number = usize::from_str_radix(hwaddr.rsplit(':').next().unwrap(), 16).unwrap();
        let link = &links[number - 1].0;
        let told =
            ["OBSERVER_INTERFACE", "QUERY4_IFACE_NAME", "QUERY4_IFACE_INDEX"].map(|name| call.get(name));
        assert_eq!(told, [Some(link.name), Some(link.name), Some(&*link.index.to_string())], "{call:?}");
    }
    let sent = NAMES.len() as u64 * 7;
    assert_eq!((ended.count("totals", "frames"), ended.count("totals", "handled")), (sent, sent));
}
