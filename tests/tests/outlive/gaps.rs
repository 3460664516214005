//! What cannot be known of the time away is said.

use observer_tests::inject::PacketSocket;
use observer_tests::link::{End, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::Observer;
use observer_tests::{require, wait};

use crate::bench::{Bench, EVERY_ROAD, NEEDS, SOON};

#[test]
fn an_interface_that_was_made_anew_is_a_gap() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for attach in EVERY_ROAD {
        let mut bench = Bench::new();
        let mut client = bench.client(1);
        bench.observe(&["--attach", attach]).kill().unwrap();
        // What came before it went is not forgotten.
        let address = client.bind().unwrap().yiaddr.to_string();
        let (near, far) = (&bench.cable.server.namespace, &bench.cable.client.namespace);
        near.ip(&["link", "delete", "s0"]).unwrap();
        // The same index, by hand: only the kernel knows that it is another interface.
        let (server, peer) = veth(near, &End::recorded_server(), far, &End::recorded_client()).unwrap();
        assert_eq!(server.index, bench.cable.server.index);
        (bench.cable.server, bench.cable.client) = (server, peer);
        let second = bench.observe(&["--attach", attach]);
        let log = second.log();
        assert!(log.contains("may have been lost: nothing was attached to s0"), "{attach}: {log}");
        assert!(!log.contains("taken over"), "{attach}: {log}");
        bench.call("leases4_committed", &address);
        assert_eq!(bench.programs(), 2, "{attach}");
        second.stop().unwrap();
        bench.assert_nothing_is_left();
    }
}

#[test]
fn promiscuous_mode_ends_with_the_process() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new();
    let first = bench.observe(&["--promisc"]);
    assert!(!first.log().contains("lost"), "{}", first.log());
    first.kill().unwrap();
    let second = bench.observe(&["--promisc"]);
    assert!(second.log().contains("no interface was promiscuous"), "{}", second.log());
    second.stop().unwrap();
    bench.assert_nothing_is_left();
}

#[test]
fn without_a_bpffs_it_observes_and_says_what_it_cannot_do() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new();
    let elsewhere = bench.scratch.directory("elsewhere").unwrap();
    let observer = bench.observe(&["--bpffs", elsewhere.to_str().unwrap()]);
    let expected = format!("mount -t bpf bpf {}", elsewhere.display());
    assert!(observer.log().contains(&expected), "{}", observer.log());
    bench.client(1).bind().unwrap();
    wait::until("the call", SOON, || Ok((bench.story().len() == 1).then_some(()))).unwrap();
    observer.kill().unwrap();
    // Nothing holds the links.
    wait::until("no programs", SOON, || Ok((bench.programs() == 0).then_some(()))).unwrap();
    bench.assert_nothing_is_left();
}

/// Two namespaces with interfaces of the same name and index share the machine's one bpffs.
#[test]
fn namespaces_are_told_apart() {
    require!(Need::Root);
    let mut observers = Vec::new();
    for number in 0..2 {
        let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let (server, client) = veth(&near, &End::recorded_server(), &far, &End::recorded_client()).unwrap();
        let scratch = observer_tests::scratch::Scratch::new().unwrap();
        let hook = observer_tests::hook::DumpHook::install(scratch.path()).unwrap();
        let observer = Observer::start(&near, scratch.path(), "s0", hook.script(), &[]).unwrap();
        assert!(observer.log().contains("capture is pinned in"), "{}", observer.log());
        // One frame in the first, two in the second.
        let socket = PacketSocket::open(&client).unwrap();
        let mut one = observer_tests::client::v4::Client4::new(
            &observer_tests::link::Cable { server, client },
            number as u8 + 1,
        )
        .unwrap();
        for _ in 0..=number {
            let query = one.query(observer_tests::client::message4::Kind::Discover);
            one.send(&query, None).unwrap();
        }
        observers.push((observer, scratch, hook, socket));
    }
    for (expected, (observer, ..)) in (1..).zip(observers) {
        let ended = observer.stop().unwrap();
        assert_eq!(crate::bench::frames(&ended), expected, "{}", ended.stderr);
    }
}
