//! Databases that are no good.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};

use super::generate::Random;
use super::*;

/// A database with something in it.
fn filled(scratch: &Scratch) {
    let mut store = start(open(scratch.path()));
    let mut random = Random(7);
    let put_some = |random: &mut Random| LeaseChange::Put4(random.lease4(1 << 30));
    let leases = (0..2_000).map(|_| put_some(&mut random)).collect();
    put(&mut store, Change { leases, ..change(41) });
    store.close();
}

fn is_afresh_after(spoil: impl FnOnce(&Scratch)) {
    let scratch = Scratch::new();
    filled(&scratch);
    spoil(&scratch);
    let mut archive = open(scratch.path());
    let moved = archive.restored().moved_aside.clone().expect("was not moved aside");
    assert!(moved.display().to_string().contains("observer.db.damaged-20261121T"), "{}", moved.display());
    assert!(moved.exists());
    assert!(archive.restored().next_event > 1_000_000_000, "numbers must not be used twice");
    assert_eq!(leases(&mut archive).0, []);
    let next = archive.restored().next_event;
    let mut store = start(archive);
    put(&mut store, change(next));
    store.close();
    // And no second time.
    let mut archive = open(scratch.path());
    assert_eq!(archive.restored().moved_aside, None);
    assert_eq!(archive.restored().next_event, next + 1);
    assert_eq!(calls(&mut archive), [(next, 0, 1)]);
}

#[test]
fn a_spoiled_header_is_moved_aside() {
    is_afresh_after(|scratch| {
        let mut file = OpenOptions::new().write(true).open(scratch.database()).unwrap();
        file.write_all(b"this was a database").unwrap();
    });
}

#[test]
fn a_short_file_is_moved_aside() {
    is_afresh_after(|scratch| {
        let file = OpenOptions::new().write(true).open(scratch.database()).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length / 2 + 100).unwrap();
    });
}

#[test]
fn a_spoiled_page_is_moved_aside() {
    is_afresh_after(|scratch| {
        let mut file = OpenOptions::new().write(true).open(scratch.database()).unwrap();
        let pages = file.metadata().unwrap().len() / 4_096;
        for page in pages / 2..pages {
            file.seek(SeekFrom::Start(page * 4_096)).unwrap();
            file.write_all(&[0xa5; 64]).unwrap();
        }
    });
}

#[test]
fn tables_of_somebody_else_are_moved_aside() {
    is_afresh_after(|scratch| {
        fs::remove_file(scratch.database()).unwrap();
        let other = rusqlite::Connection::open(scratch.database()).unwrap();
        other.execute_batch("CREATE TABLE photos (name)").unwrap();
    });
}

/// Disks that damage one database damage the next one too, and would be full of them some day.
#[test]
fn only_the_newest_damaged_databases_are_kept() {
    let scratch = Scratch::new();
    filled(&scratch);
    // Of several days, some with their logs, and one that is not ours to remove.
    let aside = |name: &str| scratch.path().join(format!("observer.db.damaged-{name}"));
    for old in ["20261001T000000Z", "20261001T000000Z.2", "20261001T000000Z.10", "20261101T000000Z"] {
        fs::write(aside(old), old).unwrap();
        fs::write(aside(&format!("{old}-wal")), "log").unwrap();
    }
    fs::write(aside("look-at-this"), "precious").unwrap();
    let spoil = || {
        let mut file = OpenOptions::new().write(true).open(scratch.database()).unwrap();
        file.write_all(b"this was a database").unwrap();
    };
    let damaged = || -> Vec<String> {
        let names = scratch.names().into_iter();
        names.filter_map(|name| Some(name.strip_prefix("observer.db.damaged-")?.to_owned())).collect()
    };
    spoil();
    let mut archive = open(scratch.path());
    let moved = archive.restored().moved_aside.clone().unwrap();
    let newest = moved.display().to_string().rsplit_once('-').unwrap().1.to_owned();
    let kept = ["20261001T000000Z.10", "20261001T000000Z.10-wal", "20261101T000000Z", "20261101T000000Z-wal"];
    assert_eq!(damaged(), [&kept[..], &[&newest, "look-at-this"]].concat());
    assert_eq!(start(archive).close().aside_removed, 2);

    // By a clock that went back, too, what was just moved is the newest.
    spoil();
    let early = Timestamp::from_seconds(7);
    let mut archive = Archive::open(options(scratch.path()), early).unwrap();
    let moved = archive.restored().moved_aside.clone().unwrap();
    assert!(moved.exists() && moved.display().to_string().ends_with("-19700101T000007Z"), "{moved:?}");
    let kept = ["19700101T000007Z", "20261101T000000Z", "20261101T000000Z-wal", &newest, "look-at-this"];
    assert_eq!(damaged(), kept);
}

#[test]
fn an_empty_file_is_a_new_database() {
    let scratch = Scratch::new();
    filled(&scratch);
    OpenOptions::new().write(true).open(scratch.database()).unwrap().set_len(0).unwrap();
    let mut archive = open(scratch.path());
    let restored = archive.restored();
    assert_eq!((restored.moved_aside.as_ref(), restored.next_event), (None, 1));
}

#[test]
fn a_later_version_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    filled(&scratch);
    let other = rusqlite::Connection::open(scratch.database()).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    let before = fs::read(scratch.database()).unwrap();
    let error = Archive::open(options(scratch.path()), NOW).unwrap_err().to_string();
    assert!(error.contains("schema 99") && error.contains("observer.db"), "{error}");
    assert_eq!(fs::read(scratch.database()).unwrap(), before);
    let names = scratch.names();
    assert!(!names.iter().any(|name| name.contains("damaged")), "{names:?}");
}

#[test]
fn the_log_of_a_damaged_database_goes_with_it() {
    let scratch = Scratch::new();
    filled(&scratch);
    let mut store = start(open(scratch.path()));
    put(&mut store, change(42));
    // A copy of what a killed process leaves: the database and its log.
    let copy = Scratch::new();
    fs::create_dir(copy.path()).unwrap();
    for name in ["observer.db", "observer.db-wal"] {
        fs::copy(scratch.path().join(name), copy.path().join(name)).unwrap();
    }
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o700)).unwrap();
    store.close();
    let length = fs::metadata(copy.database()).unwrap().len();
    fs::write(copy.database(), vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
    let archive = open(copy.path());
    drop(archive);
    let names = copy.names();
    let aside = |end: &str| names.iter().any(|name| name.contains("damaged") && name.ends_with(end));
    assert!(aside("Z") && aside("-wal"), "{names:?}");
}

#[test]
fn damage_while_it_runs_has_it_begun_anew_and_filled_again() {
    let scratch = Scratch::new();
    let mut store = start(open(scratch.path()));
    put(&mut store, change(1));
    let other = rusqlite::Connection::open(scratch.database()).unwrap();
    other.execute_batch("DROP TABLE outbox").unwrap();
    drop(other);
    let ticket = store.append(change(2)).unwrap();
    let (reports, durable) = wait(&mut store, ticket);
    assert!(durable);
    assert!(matches!(&reports[0], Report::MovedAside(path) if path.exists()), "{reports:?}");
    let wanted = Wanted { leases: true, memories: true, calls: true };
    assert_eq!(reports[1..], [Report::Wanted(wanted)]);
    assert_eq!(store.counters().moved_aside, 1);
    // What its owner knows is appended again; until all of it is, the database says that it is not whole.
    let lease = Random(9).lease4(1);
    put(&mut store, Change { leases: vec![LeaseChange::Put4(lease.clone())], ..change(1) });
    assert_eq!(sql::<i64>(&scratch, "SELECT value FROM meta WHERE name = 'incomplete'"), 1);
    store.complete();
    store.close();
    let mut archive = open(scratch.path());
    assert_eq!(calls(&mut archive), [(1, 0, 1), (2, 0, 1)]);
    assert_eq!(leases(&mut archive).0, [lease]);
    assert!(!archive.restored().incomplete && archive.restored().clean);
}
