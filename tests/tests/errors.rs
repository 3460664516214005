//! What goes wrong is said in one line that names the thing, with exit status 2 for usage and 1 for everything else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use observer_tests::golden::Recording;
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::{Observer, binary};
use observer_tests::require;
use observer_tests::scratch::Scratch;

/// Nobody on Debian.
const NOBODY: u32 = 65_534;

fn observer(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary().unwrap());
    command.args(arguments);
    command
}

/// Runs it and checks that the one line on standard error contains all of `words`.
#[track_caller]
fn check(mut command: Command, status: i32, words: &[&str]) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{command:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{command:?}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{command:?}: no {word:?} in {stderr}");
    }
    output
}

fn capture(name: &str) -> String {
    Recording::named(name).capture().to_str().unwrap().to_owned()
}

fn write(path: &Path, text: &str, mode: u32) -> String {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn usage_is_status_2() {
    check(observer(&[]), 2, &["--iface"]);
    check(observer(&["--iface", "eth0"]), 2, &["--script"]);
    check(observer(&["--iface", "eth0", "--script", "x", "--answers", "maybe"]), 2, &["maybe", "--answers"]);
    check(observer(&["replay", "x.pcap"]), 2, &["--invocations"]);
    check(observer(&["replay", "x.pcap", "--invocations", "--settle", "soon"]), 2, &["soon"]);
    check(observer(&["--no-such-option"]), 2, &["--no-such-option"]);
}

#[test]
fn a_capture_that_cannot_be_read_is_named() {
    let scratch = Scratch::new().unwrap();
    check(observer(&["replay", "/nonexistent.pcap", "--invocations"]), 1, &["/nonexistent.pcap"]);
    let text = write(&scratch.path().join("text"), "hello\n", 0o644);
    check(observer(&["replay", &text, "--invocations"]), 1, &[&text, "not a capture"]);
}

#[test]
fn what_was_read_of_a_truncated_capture_is_processed() {
    let scratch = Scratch::new().unwrap();
    let whole = fs::read(capture("kea-v4-dora")).unwrap();
    let cut = scratch.path().join("cut.pcap");
    fs::write(&cut, &whole[..whole.len() - 7]).unwrap();
    let output = check(
        observer(&["replay", cut.to_str().unwrap(), "--invocations"]),
        1,
        &["cut.pcap", "frames=11 handled=11"],
    );
    // The last ACK is the one that was cut.
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
}

#[test]
fn a_kea_configuration_that_does_not_parse_is_named_with_line_and_column() {
    let scratch = Scratch::new().unwrap();
    let config = write(&scratch.path().join("kea.conf"), "{ \"Dhcp4\": {\n  \"subnet4\": [ } }\n", 0o644);
    let dora = capture("kea-v4-dora");
    let replay = |config: &str| observer(&["replay", &dora, "--invocations", "--kea-config", config]);
    check(replay(&config), 1, &["kea.conf:2:16"]);
    check(replay("/nonexistent.conf"), 1, &["/nonexistent.conf"]);
    let config =
        write(&scratch.path().join("type.conf"), "{ \"Dhcp4\": {\n  \"valid-lifetime\": \"x\" } }\n", 0o644);
    check(replay(&config), 1, &["type.conf:2:21", "valid-lifetime"]);
}

#[test]
fn a_script_that_cannot_be_a_hook_is_named() {
    let scratch = Scratch::new().unwrap();
    let dora = capture("kea-v4-dora");
    let replay = |script: &str| observer(&["replay", &dora, "--script", script]);
    check(replay("/nonexistent.sh"), 1, &["/nonexistent.sh", "not found"]);
    let plain = write(&scratch.path().join("plain.sh"), "#!/bin/sh\n", 0o644);
    check(replay(&plain), 1, &["plain.sh", "execut"]);
    check(replay(scratch.path().to_str().unwrap()), 1, &["director"]);
}

#[test]
fn a_script_that_others_can_write_is_refused_unless_that_is_allowed() {
    let scratch = Scratch::new().unwrap();
    let script = write(
        &scratch.path().join("open.sh"),
        &format!("#!/bin/sh\necho $1 >> {}/calls\n", scratch.path().display()),
        0o777,
    );
    let dora = capture("kea-v4-dora");
    check(observer(&["replay", &dora, "--script", &script]), 1, &["open.sh", "--allow-writable"]);
    assert!(!scratch.path().join("calls").exists());
    let allowed = ["replay", &dora, "--script", &script, "--allow-writable"];
    let output = observer(&allowed).output().unwrap();
    assert!(output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("WARN") && stderr.contains("open.sh"), "{stderr}");
    assert_eq!(fs::read_to_string(scratch.path().join("calls")).unwrap(), "leases4_committed\n".repeat(3));
}

#[test]
fn a_script_of_who_has_typed_sudo_is_run() {
    require!(Need::Root);
    let scratch = Scratch::new().unwrap();
    let script = write(&scratch.path().join("mine.sh"), "#!/bin/sh\n", 0o755);
    std::os::unix::fs::chown(&script, Some(NOBODY), None).unwrap();
    let dora = capture("kea-v4-dora");
    let replay = |sudo_uid: &str| {
        let mut command = observer(&["replay", &dora, "--script", &script]);
        command.env("SUDO_UID", sudo_uid);
        command
    };
    check(replay("1234"), 1, &["mine.sh", "belongs to user 65534"]);
    assert!(replay("65534").output().unwrap().status.success());
}

#[test]
fn no_such_interface_is_named() {
    check(observer(&["--iface", "no-such0", "--invocations"]), 1, &["no-such0"]);
}

#[test]
fn a_missing_capability_is_named() {
    require!(Need::Root);
    let scratch = Scratch::new().unwrap();
    // A user's own directory may be closed to everybody else.
    let copy = scratch.path().join("dhcp-observer");
    fs::copy(binary().unwrap(), &copy).unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(copy);
    command.args(["--iface", "lo", "--invocations"]).uid(NOBODY).gid(NOBODY);
    check(command, 1, &["CAP_BPF", "CAP_NET_ADMIN"]);
}

#[test]
fn signals_end_it_in_order() {
    require!(Need::Root);
    let scratch = Scratch::new().unwrap();
    let cable = Cable::as_recorded().unwrap();
    let observer =
        Observer::start(&cable.server.namespace, scratch.path(), "s0", Path::new("/bin/true"), &[]);
    let ended = observer.unwrap().stop().unwrap();
    assert!(ended.status.success());
    assert!(ended.stderr.contains("totals: frames=0 handled=0 skipped=0"), "{}", ended.stderr);
    assert!(ended.stderr.contains("kernel: seen="), "{}", ended.stderr);
}
