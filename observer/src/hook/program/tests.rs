use std::os::unix::fs::PermissionsExt;

use super::super::scratch::Scratch;
use super::*;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn complaints(path: &Path) -> Vec<String> {
    match resolve_program(path, Path::new("/nowhere")) {
        Ok(program) => program.warnings().iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn what_is_said_about_a_script() {
    for (text, mode, expected) in [
        ("#!/bin/sh\n", 0o755, None),
        ("#! /bin/sh -e\n", 0o700, None),
        ("\x7fELF", 0o755, None),
        ("#!/bin/sh\n", 0o644, Some("file not executable; run: chmod u+x")),
        // Kea asks for the owner's bit and so do we, even where execve would not.
        ("#!/bin/sh\n", 0o655, Some("file not executable")),
        ("echo\n", 0o755, Some("has no #! line")),
        ("\u{feff}#!/bin/sh\n", 0o755, Some("has no #! line")),
        ("", 0o755, Some("has no #! line")),
        ("#!\n", 0o755, Some("has no #! line")),
        ("#!/no/such/shell -e\n", 0o755, Some(r#"names "/no/such/shell", which does not exist; install"#)),
        ("#!/bin/sh\r\n", 0o755, Some("its lines end in CR LF")),
    ] {
        let scratch = Scratch::new();
        let path = scratch.path().join("hook");
        std::fs::write(&path, text).unwrap();
        set_mode(&path, mode);
        let said = complaints(&path);
        match expected {
            None => assert_eq!(said, [""; 0], "{text:?} {mode:o}"),
            Some(expected) => {
                assert_eq!(said.len(), 1, "{text:?} {mode:o}: {said:?}");
                assert!(said[0].contains(expected) && said[0].contains(path.to_str().unwrap()), "{said:?}");
            }
        }
    }
}

#[test]
fn what_is_no_script() {
    let scratch = Scratch::new();
    assert!(complaints(&scratch.path().join("none"))[0].contains("file not found"));
    assert!(complaints(scratch.path())[0].contains("is a directory"));
    assert!(complaints(&scratch.fifo("fifo"))[0].contains("is a device, pipe or socket"));
    assert!(complaints(Path::new(""))[0].contains("an empty path"));
    std::fs::write(scratch.path().join("file"), "").unwrap();
    assert!(complaints(&scratch.path().join("file/hook"))[0].contains("cannot be looked at"));
}

#[test]
fn a_relative_path_is_resolved_once_and_keeps_its_name() {
    let scratch = Scratch::new();
    let path = scratch.script("hook", "#!/bin/sh\n");
    let program = resolve_program(Path::new("hook"), scratch.path()).unwrap();
    assert_eq!(program.name(), c"hook");
    assert_eq!(program.path().to_bytes(), path.as_os_str().as_bytes());
}
