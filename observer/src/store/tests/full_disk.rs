//! A file system that is full or read-only, for real: a small tmpfs in a mount namespace of the test's own.

use std::fs;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::generate::Random;
use super::*;

/// Runs `test` in a thread that sees a tmpfs of two megabytes at the directory. It and the mount are gone afterwards.
fn on_a_small_disk(test: impl FnOnce(&Scratch) + Send + 'static) {
    let thread = std::thread::spawn(|| {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path()).unwrap();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let nothing = None::<&str>;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).unwrap();
        let flags = MsFlags::MS_NOSUID;
        mount(Some("disk"), scratch.path(), Some("tmpfs"), flags, Some("size=2m,mode=700")).unwrap();
        test(&scratch);
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Fills what is left of the disk.
fn fill(scratch: &Scratch) -> PathBuf {
    use std::io::Write;
    let path = scratch.path().join("ballast");
    let mut file = fs::File::create(&path).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[0; 1_024]) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    path
}

/// A lease of a number, and an event with a call.
fn numbered(number: u64) -> Change {
    let mut lease = Random(number).lease4(1);
    lease.address = (number as u32).into();
    let value = number.to_string();
    let memories = vec![memory("log", b"last", Some(value.as_bytes()))];
    Change { leases: vec![LeaseChange::Put4(lease)], memories, ..change(number) }
}

fn store_until_full(store: &mut Store, next: &mut u64) -> String {
    loop {
        let ticket = store.append(numbered(*next)).unwrap();
        *next += 1;
        let (reports, durable) = wait(store, ticket);
        if let Some(Report::Degraded { why }) = reports.into_iter().next() {
            assert!(!durable);
            return why;
        }
        assert!(durable);
        assert!(*next < 100_000, "the disk is never full");
    }
}

fn wait_for_recovery(store: &mut Store) -> Vec<Report> {
    let mut reports = Vec::new();
    loop {
        let report = report(store);
        let is_recovery = report == Report::Recovered;
        reports.push(report);
        if is_recovery {
            return reports;
        }
    }
}

#[test]
fn a_full_disk_is_lived_through_in_memory() {
    if lacks_root() {
        return;
    }
    on_a_small_disk(|scratch| {
        let mut store = start(open(scratch.path()));
        put(&mut store, numbered(1));
        let ballast = fill(scratch);
        let mut next = 2;
        let why = store_until_full(&mut store, &mut next);
        assert!(why.contains("full"), "{why}");
        // Life goes on: leases come and go, calls are made and end.
        for _ in 0..500 {
            let ticket = store.append(numbered(next)).unwrap();
            assert!(!wait(&mut store, ticket).1);
            if next % 2 == 0 {
                store.ended(CallId { event: next, position: 0 }, outcome(1, Then::Done));
            }
            next += 1;
        }
        // One that the database knows of ends too.
        store.ended(CallId { event: 1, position: 0 }, outcome(1, Then::Dead));
        let gone = (next - 1) as u32;
        let change = Change { leases: vec![LeaseChange::Gone4(gone.into())], ..Change::default() };
        let ticket = store.append(change).unwrap();
        wait(&mut store, ticket);
        let counters = store.counters();
        assert_eq!((counters.degraded, counters.recovered), (1, 0));
        assert!(counters.in_memory >= 501);

        fs::remove_file(ballast).unwrap();
        assert_eq!(wait_for_recovery(&mut store), [Report::Recovered]);
        put(&mut store, numbered(next));
        store.close();
        let mut archive = open(scratch.path());
        assert!(archive.restored().clean && !archive.restored().incomplete);
        assert_eq!(archive.restored().next_event, next + 1);
        let (leases, _) = leases(&mut archive);
        let found: Vec<u32> = leases.iter().map(|lease| lease.address.to_bits()).collect();
        let expected: Vec<u32> = (1..=next as u32).filter(|number| *number != gone).collect();
        assert_eq!(found, expected);
        let first_in_memory = next - 500;
        let open: Vec<u64> = calls(&mut archive).iter().map(|(event, ..)| *event).collect();
        let expected: Vec<u64> =
            (2..=next).filter(|event| *event < first_in_memory || event % 2 == 1 || *event == next).collect();
        assert_eq!(open, expected);
        assert_eq!(memories(&mut archive), [("log".to_owned(), b"last".to_vec(), next.to_string().into())]);
        assert_eq!(sql::<i64>(scratch, "SELECT event FROM outbox WHERE state = 'dead'"), 1);
    });
}

#[test]
fn what_is_too_much_for_memory_is_wanted_again() {
    if lacks_root() {
        return;
    }
    on_a_small_disk(|scratch| {
        let limits = Limits { unwritten: 50, ..Limits::default() };
        let mut store = start(open_with(&Options { limits, ..options(scratch.path()) }));
        let ballast = fill(scratch);
        let mut next = 1;
        store_until_full(&mut store, &mut next);
        for _ in 0..100 {
            let ticket = store.append(numbered(next)).unwrap();
            wait(&mut store, ticket);
            next += 1;
        }
        assert!(store.counters().forgotten > 50);
        fs::remove_file(ballast).unwrap();
        assert_eq!(wait_for_recovery(&mut store), [Report::Recovered]);
        let wanted = Wanted { leases: true, memories: false, calls: false };
        assert_eq!(report(&mut store), Report::Wanted(wanted));
        let all = (1..next).flat_map(|number| numbered(number).leases).collect();
        put(&mut store, Change { leases: all, ..Change::default() });
        store.complete();
        store.close();
        let mut archive = open(scratch.path());
        assert!(!archive.restored().incomplete);
        assert_eq!(leases(&mut archive).0.len() as u64, next - 1);
        assert_eq!(calls(&mut archive).len() as u64, next - 1);
    });
}

#[test]
fn a_full_disk_at_the_start_and_at_the_end() {
    if lacks_root() {
        return;
    }
    on_a_small_disk(|scratch| {
        let mut store = start(open(scratch.path()));
        put(&mut store, numbered(1));
        store.close();
        fill(scratch);
        let mut archive = open(scratch.path());
        // What can be read is read.
        assert_eq!(leases(&mut archive).0.len(), 1);
        assert_eq!(calls(&mut archive), [(1, 0, 1)]);
        let first = archive.restored().next_event;
        assert!(first >= 2);
        let mut store = start(archive);
        let mut next = first;
        loop {
            let ticket = store.append(numbered(next)).unwrap();
            next += 1;
            if !wait(&mut store, ticket).1 {
                break;
            }
            assert!(next - first < 100_000, "the disk is never full");
        }
        // Nothing can be kept, but nothing hangs or breaks either.
        store.close();
        fs::remove_file(scratch.path().join("ballast")).unwrap();
        let mut archive = open(scratch.path());
        assert_eq!(archive.restored().moved_aside, None);
        assert!(leases(&mut archive).0.iter().any(|lease| lease.address.to_bits() == 1));
    });
}

#[test]
fn a_read_only_file_system_means_memory_until_it_is_writable() {
    if lacks_root() {
        return;
    }
    on_a_small_disk(|scratch| {
        let mut store = start(open(scratch.path()));
        put(&mut store, numbered(1));
        store.close();
        let remount = |flags| {
            let nothing = None::<&str>;
            mount(nothing, scratch.path(), nothing, MsFlags::MS_REMOUNT | flags, Some("size=2m")).unwrap();
        };
        remount(MsFlags::MS_RDONLY);
        let mut archive = open(scratch.path());
        assert!(archive.restored().in_memory.as_ref().unwrap().contains("Read-only"));
        // The leases are there, and the call, which may be made now.
        assert_eq!(
            leases(&mut archive).0,
            [Random(1).lease4(1)].map(|lease| Lease4 { address: 1.into(), ..lease })
        );
        assert_eq!(calls(&mut archive), [(1, 0, 1)]);
        let next = archive.restored().next_event;
        assert!(next > 1_000_000_000_000);
        let mut store = start(archive);
        let ticket = store.append(numbered(next)).unwrap();
        assert_eq!(wait(&mut store, ticket), (vec![], false));
        remount(MsFlags::empty());
        assert_eq!(wait_for_recovery(&mut store), [Report::Recovered]);
        put(&mut store, Change { leases: numbered(7).leases, ..Change::default() });
        store.close();
        let mut archive = open(scratch.path());
        let (leases, _) = leases(&mut archive);
        let found: Vec<_> = leases.iter().map(|lease| lease.address.to_bits()).collect();
        let mut expected = [1, 7, next as u32];
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(calls(&mut archive), [(1, 0, 2), (next, 0, 1)]);
    });
}
