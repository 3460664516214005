//! One observer after another that is not quite the same: kept pins, other options, another version.

use observer_tests::wait;

use crate::bench::{Bench, EVERY_ROAD, NEEDS, SOON, frames};

#[test]
fn what_is_kept_at_a_clean_exit_is_read_by_the_next() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for attach in EVERY_ROAD {
        let mut bench = Bench::new();
        let mut client = bench.client(1);
        let first = bench.observe(&["--attach", attach, "--keep"]);
        first.stop().unwrap();
        assert_eq!(bench.programs(), 2, "{attach}");
        assert!(!bench.pins().is_empty());
        let address = client.bind().unwrap().yiaddr.to_string();
        let second = bench.observe(&["--attach", attach]);
        bench.call("leases4_committed", &address);
        client.release().unwrap();
        bench.call("lease4_release", &address);
        assert!(!second.log().contains("lost"), "{attach}: {}", second.log());
        let ended = second.stop().unwrap();
        assert_eq!((frames(&ended), ended.count("kernel", "taken")), (5, 5), "{attach}: {}", ended.stderr);
        bench.assert_nothing_is_left();
    }
}

/// The old ring is read to its end, the links go over to the new one, and each frame is told once.
#[test]
fn a_ring_of_another_size_loses_nothing() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for attach in EVERY_ROAD {
        let mut bench = Bench::new();
        let (mut one, mut two) = (bench.client(1), bench.client(2));
        bench.observe(&["--attach", attach]).kill().unwrap();
        let a = one.bind().unwrap().yiaddr.to_string();
        let second = bench.observe(&["--attach", attach, "--ring-size", "65536"]);
        let b = two.bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &b);
        let log = second.log();
        assert!(log.contains("taken over from the observer before"), "{attach}: {log}");
        assert!(!log.contains("lost"), "{attach}: {log}");
        // The old version's directory goes when it is known to be read.
        wait::until("one version", SOON, || Ok((versions(&bench).len() == 1).then_some(()))).unwrap();
        let ended = second.stop().unwrap();
        assert_eq!((frames(&ended), ended.count("kernel", "taken")), (8, 4), "{attach}: {}", ended.stderr);
        // Hooks of two leases may overtake each other.
        let mut told: Vec<_> = bench.story().into_iter().map(|(_, address)| address).collect();
        told.sort();
        assert_eq!(told, [a, b], "{attach}");
        bench.assert_nothing_is_left();
    }
}

/// The pins are made to look like those of another build: its records can be read, its counters cannot.
#[test]
fn another_build_is_read_as_far_as_it_is_understood() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    let mut bench = Bench::new();
    let mut client = bench.client(1);
    bench.observe(&[]).kill().unwrap();
    let version = versions(&bench).pop().unwrap();
    let other = version.with_file_name("0123456789abcdef-0123456789abcdef-8388608-tc");
    std::fs::rename(&version, &other).unwrap();
    let address = client.bind().unwrap().yiaddr.to_string();
    let mut second = bench.observe(&[]);
    bench.call("leases4_committed", &address);
    second.wait_for_log("DHCP frames may have been lost: the observer before this one left", 1).unwrap();
    assert_eq!(bench.programs(), 2);
    let ended = second.stop().unwrap();
    assert_eq!((frames(&ended), ended.count("kernel", "taken")), (4, 0), "{}", ended.stderr);
    bench.assert_nothing_is_left();
}

/// What was attached in another way is read, removed and said to leave a gap.
#[test]
fn another_way_to_attach_is_a_gap() {
    if observer_tests::need::missing(&NEEDS).is_some() {
        return;
    }
    for (before, after) in [("tc", "xdp"), ("xdp", "tc"), ("tc", "clsact"), ("clsact", "tc")] {
        let mut bench = Bench::new();
        let (mut one, mut two) = (bench.client(1), bench.client(2));
        bench.observe(&["--attach", before]).kill().unwrap();
        let a = one.bind().unwrap().yiaddr.to_string();
        let second = bench.observe(&["--attach", after]);
        let log = second.log();
        assert!(log.contains("may have been lost: nothing was attached to s0"), "{before} {after}: {log}");
        let b = two.bind().unwrap().yiaddr.to_string();
        bench.call("leases4_committed", &b);
        assert_eq!(bench.programs(), 2, "{before} {after}: {log}");
        let ended = second.stop().unwrap();
        assert_eq!(
            (frames(&ended), ended.count("kernel", "taken")),
            (8, 4),
            "{before} {after}: {}",
            ended.stderr
        );
        // Hooks of two leases may overtake each other.
        let mut told: Vec<_> = bench.story().into_iter().map(|(_, address)| address).collect();
        told.sort();
        assert_eq!(told, [a, b], "{before} {after}");
        bench.assert_nothing_is_left();
    }
}

fn versions(bench: &Bench) -> Vec<std::path::PathBuf> {
    let mut versions: Vec<_> = bench.pins().iter().map(|path| path.parent().unwrap().to_owned()).collect();
    versions.dedup();
    versions
}
