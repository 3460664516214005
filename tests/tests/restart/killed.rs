//! An observer that is killed, or stopped, and the one after it.

use observer_tests::client::message4::Kind;
use observer_tests::client::v4::Client4;

use crate::bench::{Bench, NEEDS, Told, story};

#[track_caller]
fn renew(client: &mut Client4) {
    let answer = client.renew().unwrap();
    assert!(answer.is(Kind::Ack), "{answer:?}");
}

const COMMITTED: &str = "leases4_committed";
const RENEW: &str = "lease4_renew";

#[test]
fn calls_that_were_not_over_are_made_again_in_order() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    let first = bench.observe(&[]);
    let mut client = bench.client(1);
    bench.hold(true);
    let address = client.bind().unwrap().yiaddr.to_string();
    let begun = bench.wait_for(1);
    assert_eq!(begun[0].attempt, 1);
    renew(&mut client);
    // One runs, and the two of the renewal wait for it.
    bench.wait_for_state("running", 1);
    bench.wait_for_state("waiting", 2);
    first.kill().unwrap();
    assert_eq!(bench.told(), begun);
    bench.hold(false);

    let second = bench.observe(&[]);
    let told = bench.wait_for(4);
    assert_eq!(story(&told[1..]), [(COMMITTED, &*address), (RENEW, &*address), (COMMITTED, &*address)]);
    assert_eq!(told[1], Told { attempt: 2, ..begun[0].clone() });
    assert!(told[1..].iter().all(|told| told.attempt == 2), "{told:?}");
    let events: Vec<_> = told[1..].iter().map(|told| told.event).collect();
    assert!(events.is_sorted_by(|a, b| a < b), "{events:?}");
    assert!(second.log().contains("restored: 1 DHCPv4"), "{}", second.log());

    // The lease is known: a renewal is one, under a number of its own.
    renew(&mut client);
    let told = bench.wait_for(6);
    assert_eq!(story(&told[4..]), [(RENEW, &*address), (COMMITTED, &*address)]);
    assert!(told[4].event > events[2] && told[4].attempt == 1, "{told:?}");
    bench.wait_for_state("done", 5);
    second.stop().unwrap();
    assert!(bench.listed(&[]).iter().all(|call| call["state"] == "done"), "{:#?}", bench.listed(&[]));
}

#[test]
fn after_a_clean_end_nothing_is_repeated_and_nothing_forgotten() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    let first = bench.observe(&[]);
    let mut client = bench.client(1);
    let address = client.bind().unwrap().yiaddr.to_string();
    first.stop().unwrap();
    let before = bench.told();
    assert_eq!(story(&before), [(COMMITTED, &*address)]);

    let second = bench.observe(&["--durability", "power"]);
    renew(&mut client);
    let told = bench.wait_for(3);
    second.stop().unwrap();
    assert_eq!(bench.told(), told);
    assert_eq!(story(&told[1..]), [(RENEW, &*address), (COMMITTED, &*address)]);
    assert!(told.iter().all(|told| told.attempt == 1) && told[1].event > told[0].event, "{told:?}");
}

#[test]
fn where_nothing_can_be_kept_it_is_said_and_gone_on() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    // Not even root can make a directory there.
    let file = bench.scratch.path().join("file");
    std::fs::write(&file, "").unwrap();
    let observer = bench.observe_at(&file.join("state"), &[]);
    assert!(observer.log().contains("keeping leases and events in memory"), "{}", observer.log());
    let mut client = bench.client(1);
    client.bind().unwrap();
    renew(&mut client);
    let told = bench.wait_for(3);
    assert_eq!(told[1].word, RENEW);
    observer.stop().unwrap();
}

#[test]
fn a_state_directory_is_for_one() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new(None);
    let first = bench.observe(&[]);
    let binary = observer_tests::observer::binary().unwrap();
    let mut second = bench.cable.server.namespace.command(binary.to_str().unwrap());
    second.args(["--iface", "s0", "--script", "/bin/true", "--instance", "second", "--state-dir"]);
    let output = second.arg(bench.state()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("another dhcp-observer") && stderr.contains("--state-dir"), "{stderr}");
    first.stop().unwrap();
}
