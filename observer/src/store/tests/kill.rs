//! The death of the process by SIGKILL, in the middle of writing.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::generate::Random;
use super::*;

const DIRECTORY: &str = "OBSERVER_STORE_KILL_DIRECTORY";

/// The process that is killed: it stores one event after the other, each with a lease and a memory of its own number, and
/// says which are stored.
#[test]
#[ignore = "a part of the test below, which starts it"]
fn victim() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let mut archive = open(Path::new(&directory));
    let mut next = archive.restored().next_event;
    let mut store = start(archive);
    loop {
        while store.waiting() < 50 {
            store.append(numbered(next)).unwrap();
            if next.is_multiple_of(3) {
                store.ended(CallId { event: next - 1, position: 0 }, outcome(1, Then::Done));
            }
            next += 1;
        }
        println!("GIVEN {}", next - 1);
        // Not of each commit, so that some are made of which nobody hears.
        for _ in 0..4 {
            assert!(matches!(report(&mut store), Report::Stored { durable: true, .. }));
            if store.waiting() == 0 {
                break;
            }
        }
        println!("STORED {}", next - 1 - store.waiting());
    }
}

fn numbered(number: u64) -> Change {
    let mut lease = Random(number).lease4(1);
    lease.address = (number as u32).into();
    let value = number.to_string();
    Change {
        leases: vec![LeaseChange::Put4(lease)],
        memories: vec![memory("log", value.as_bytes(), Some(value.as_bytes()))],
        ..change(number)
    }
}

#[test]
fn what_was_reported_stored_outlives_sigkill() {
    let scratch = Scratch::new();
    let mut random = Random(11);
    let mut stored = 0;
    let mut in_the_middle = 0;
    for round in 0..12 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::kill::victim", "--ignored", "--nocapture"])
            .env(DIRECTORY, scratch.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        // How much it says before is what makes the instant a random one.
        let patience = random.below(40);
        let (mut heard, mut given) = (0, 0);
        for line in lines.by_ref() {
            // The first one stands behind what the test runner says.
            let line = line.unwrap();
            if let Some((_, number)) = line.split_once("STORED ") {
                stored = number.parse().unwrap();
                heard += 1;
            } else if let Some((_, number)) = line.split_once("GIVEN ") {
                given = number.parse().unwrap();
            }
            if heard > patience {
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(random.below(5_000)));
        victim.kill().unwrap();
        victim.wait().unwrap();
        for line in lines {
            let line = line.unwrap();
            // The last line may be half of one.
            let said = |word| line.split_once(word).and_then(|(_, number)| number.parse::<u64>().ok());
            stored = stored.max(said("STORED ").unwrap_or(0));
            given = given.max(said("GIVEN ").unwrap_or(0));
        }

        let mut archive = open(scratch.path());
        let last = archive.restored().next_event - 1;
        assert!(last >= stored, "round {round}: {stored} were reported stored, {last} are there");
        assert_eq!(archive.restored().moved_aside, None);
        in_the_middle += u32::from(given > last || last > stored);
        // Each is there whole: its lease, its memory, its call.
        let (leases, _) = leases(&mut archive);
        assert_eq!(leases.len() as u64, last, "round {round}");
        assert_eq!(memories(&mut archive).len() as u64, last, "round {round}");
        let calls: std::collections::BTreeMap<u64, u32> =
            calls(&mut archive).into_iter().map(|(event, _, attempts)| (event, attempts)).collect();
        let ended = |event: u64| event % 3 == 2 && event < stored;
        for event in 1..=last {
            let is_open = calls.get(&event).is_some_and(|attempts| *attempts >= 1);
            assert!(is_open || event % 3 == 2, "round {round}: event {event} of {last}");
        }
        assert!(calls.keys().filter(|event| ended(**event)).count() <= 60, "round {round}");
    }
    assert!(stored > 300, "{stored}");
    // Most kills come while something is under way.
    assert!(in_the_middle > 2, "{in_the_middle}");
}
