//! The state directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

#[test]
fn a_missing_directory_is_made_for_us_alone() {
    let scratch = Scratch::new();
    let deep = scratch.path().join("a/b");
    let mut store = start(open(&deep));
    put(&mut store, change(1));
    assert_eq!(fs::metadata(&deep).unwrap().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&deep).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    store.close();
}

#[test]
fn two_observers_do_not_share_one() {
    let scratch = Scratch::new();
    let store = start(open(scratch.path()));
    let error = Archive::open(options(scratch.path()), NOW).unwrap_err();
    assert!(matches!(&error, OpenError::Taken { .. }));
    let text = error.to_string();
    assert!(text.contains(&std::process::id().to_string()) && text.contains("--state-dir"), "{text}");
    store.close();
    assert!(Archive::open(options(scratch.path()), NOW).is_ok());
}

#[test]
fn a_directory_into_which_others_can_write_is_refused() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path()).unwrap();
    for mode in [0o770, 0o702, 0o1777] {
        fs::set_permissions(scratch.path(), Permissions::from_mode(mode)).unwrap();
        let error = Archive::open(options(scratch.path()), NOW).unwrap_err();
        assert!(matches!(&error, OpenError::Insecure { .. }), "{mode:o}: {error}");
        assert!(error.to_string().contains("chmod 0700"), "{error}");
    }
    assert_eq!(scratch.names(), [] as [&str; 0]);
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).unwrap();
    start(open(scratch.path())).close();
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    if lacks_root() {
        return;
    }
    let scratch = Scratch::new();
    fs::create_dir(scratch.path()).unwrap();
    std::os::unix::fs::chown(scratch.path(), Some(65_534), None).unwrap();
    let error = Archive::open(options(scratch.path()), NOW).unwrap_err();
    assert!(error.to_string().contains("belongs to user 65534"), "{error}");
}

#[test]
fn what_is_no_directory_means_memory() {
    let scratch = Scratch::new();
    fs::write(scratch.path(), b"a file").unwrap();
    let mut archive = open(scratch.path());
    let restored = archive.restored();
    assert!(restored.in_memory.is_some());
    // Numbers of an earlier life may exist there, and are not used again.
    assert!(restored.next_event > 1_000_000_000_000);
    let mut store = start(archive);
    let ticket = store.append(change(1)).unwrap();
    assert_eq!(wait(&mut store, ticket), (vec![], false));
    assert_eq!(store.counters().in_memory, 1);
    // The way is cleared, and the store becomes a real one.
    fs::remove_file(scratch.path()).unwrap();
    let mut reports = vec![report(&mut store), report(&mut store)];
    let wanted = Wanted { leases: true, memories: true, calls: false };
    assert_eq!(reports.pop(), Some(Report::Wanted(wanted)));
    assert_eq!(reports.pop(), Some(Report::Recovered));
    put(&mut store, change(2));
    store.complete();
    store.close();
    let mut archive = open(scratch.path());
    assert_eq!(calls(&mut archive), [(1, 0, 1), (2, 0, 1)]);
    assert!(!archive.restored().incomplete && archive.restored().clean);
    let _ = fs::remove_dir_all(scratch.path());
}
