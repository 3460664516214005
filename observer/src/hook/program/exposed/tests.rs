use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::super::super::scratch::Scratch;
use super::*;

/// A user without an entry, who is neither we nor root.
const STRANGER: u32 = 65_531;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// `outer/inner/hook` in a directory of its own, and the three paths.
fn tree() -> (Scratch, [PathBuf; 3]) {
    let scratch = Scratch::new();
    let outer = scratch.path().join("outer");
    let inner = outer.join("inner");
    std::fs::create_dir_all(&inner).unwrap();
    let script = scratch.script("outer/inner/hook", "#!/bin/sh\n");
    (scratch, [outer, inner, script])
}

#[test]
fn a_file_that_others_can_write() {
    let (_scratch, [_, _, script]) = tree();
    for (mode, is_exposed) in [(0o755, false), (0o700, false), (0o775, true), (0o757, true)] {
        set_mode(&script, mode);
        let expected = Vec::from_iter(is_exposed.then(|| Exposure::FileWritable(script.clone())));
        assert_eq!(exposures(&script, None), expected, "{mode:o}");
    }
}

#[test]
fn every_directory_above_counts_unless_it_is_sticky() {
    let (_scratch, [outer, inner, script]) = tree();
    for directory in [&outer, &inner] {
        for mode in [0o777, 0o775, 0o757] {
            set_mode(directory, mode);
            assert_eq!(exposures(&script, None), [Exposure::DirectoryWritable(directory.clone())]);
        }
        set_mode(directory, 0o1777);
        assert_eq!(exposures(&script, None), []);
        set_mode(directory, 0o755);
    }
}

#[test]
fn a_link_counts_where_it_lies_and_where_it_leads_through() {
    let (scratch, [outer, inner, script]) = tree();
    let middle = scratch.path().join("middle");
    std::fs::create_dir(&middle).unwrap();
    symlink("../outer/inner", middle.join("second")).unwrap();
    let first = scratch.path().join("first");
    symlink(middle.join("second/../inner/hook"), &first).unwrap();
    assert_eq!(exposures(&first, None), []);
    for directory in [&outer, &inner, &middle, &scratch.path().to_owned()] {
        set_mode(directory, 0o777);
        assert_eq!(exposures(&first, None), [Exposure::DirectoryWritable(directory.clone())]);
        set_mode(directory, 0o755);
    }
    set_mode(&middle, 0o777);
    assert_eq!(exposures(&script, None), [], "not on this way");
}

#[test]
fn links_in_a_circle_end() {
    let scratch = Scratch::new();
    let path = scratch.path().join("round");
    symlink(&path, &path).unwrap();
    assert_eq!(exposures(&path, None), []);
}

#[test]
fn a_stranger_owns_nothing_on_the_way_but_the_hooks_user_may() {
    if !geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI runs as root");
        eprintln!("skipped: not root");
        return;
    }
    let (_scratch, [outer, _, script]) = tree();
    chown(&script, Some(STRANGER), None).unwrap();
    assert_eq!(exposures(&script, None), [Exposure::FileOwner(script.clone(), STRANGER)]);
    assert_eq!(exposures(&script, Some(65_530)), [Exposure::FileOwner(script.clone(), STRANGER)]);
    assert_eq!(exposures(&script, Some(STRANGER)), []);
    chown(&script, Some(0), None).unwrap();
    chown(&outer, Some(STRANGER), None).unwrap();
    set_mode(&outer, 0o1777);
    assert_eq!(exposures(&script, None), [Exposure::DirectoryOwner(outer.clone(), STRANGER)]);
    let message = exposures(&script, None)[0].to_string();
    assert!(message.contains("user 65531") && message.contains(outer.to_str().unwrap()), "{message}");
    assert_eq!(exposures(&script, Some(STRANGER)), []);
}
