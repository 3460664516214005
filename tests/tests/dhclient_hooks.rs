//! `scripts/dhclient-hooks` runs hooks as they are written for Debian and for Red Hat, and touches nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use observer_tests::scratch::Scratch;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/dhclient-hooks");

fn hook(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(directory: &Path, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(SCRIPT);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("DHCLIENT_HOOKS_DIR", directory);
    command.env("OUT", directory.join("out")).env("interface", "eth0");
    command.envs(environment.iter().copied()).output().unwrap()
}

/// What the hooks wrote since the last time.
fn written(directory: &Path) -> String {
    let text = std::fs::read_to_string(directory.join("out")).unwrap_or_default();
    let _ = std::fs::remove_file(directory.join("out"));
    text
}

#[test]
fn hooks_run_in_the_order_of_the_manual_pages() {
    let scratch = Scratch::new().unwrap();
    let base = scratch.path();
    let say = |word: &str| format!("echo {word} $reason $exit_status >>\"$OUT\"\n");
    for name in [
        "dhclient-enter-hooks",
        "dhclient-enter-hooks.d/b",
        "dhclient-enter-hooks.d/a",
        "dhclient-up-hooks",
        "dhclient-eth0-up-hooks",
        "dhclient-eth1-up-hooks",
        "dhclient-down-hooks",
        "dhclient-eth0-down-hooks",
        "dhclient-exit-hooks",
        "dhclient-exit-hooks.d/z",
        "dhclient-exit-hooks.d/left.dpkg-old",
    ] {
        hook(base, name, &say(name));
    }
    let order = |reason: &str| {
        assert!(run(base, &[("reason", reason)]).status.success());
        let lines = written(base);
        let words = lines.lines().map(|line| line.split(' ').next().unwrap().replace("dhclient-", ""));
        words.collect::<Vec<_>>().join(" ")
    };
    let (enter, exit) = ("enter-hooks enter-hooks.d/a enter-hooks.d/b", "exit-hooks exit-hooks.d/z");
    for (reason, between) in [
        ("PREINIT", ""),
        ("BOUND", " up-hooks eth0-up-hooks"),
        ("RENEW6", " up-hooks eth0-up-hooks"),
        ("EXPIRE", " down-hooks eth0-down-hooks"),
        ("RELEASE6", " down-hooks eth0-down-hooks"),
        ("DEPREF6", ""),
    ] {
        assert_eq!(order(reason), format!("{enter}{between} {exit}"), "{reason}");
    }
}

/// As people keep resolv.conf from being written, and as Debian's own `debug` hook dumps variables.
#[test]
fn debian_hooks_run_unmodified() {
    let scratch = Scratch::new().unwrap();
    let base = scratch.path();
    hook(base, "dhclient-enter-hooks.d/nodnsupdate", "#!/bin/sh\nmake_resolv_conf(){\n\t:\n}\n");
    hook(
        base,
        "dhclient-exit-hooks.d/debug",
        "RUN=\"yes\"\nif [ \"$RUN\" = \"yes\" ]; then\n\techo \"$(date): exit, reason $reason\" >> \"$OUT\"\n\t\
         env | sed -n 's/^new_//p' | sort >> \"$OUT\"\nfi\n",
    );
    let output =
        run(base, &[("reason", "BOUND"), ("new_ip_address", "192.0.2.9"), ("new_routers", "192.0.2.1")]);
    assert!(output.status.success(), "{output:?}");
    let text = written(base);
    assert!(text.contains("reason BOUND"), "{text}");
    assert!(text.ends_with("ip_address=192.0.2.9\nrouters=192.0.2.1\n"), "{text}");
}

/// As Red Hat's dhclient-script runs them, and as NTP packages there write them.
#[test]
fn red_hat_hooks_run_unmodified() {
    let scratch = Scratch::new().unwrap();
    let base = scratch.path();
    hook(
        base,
        "dhclient-up-hooks",
        "if [ -n \"${new_ntp_servers}\" ] &&\n   [ \"${new_ntp_servers}\" != \"${old_ntp_servers}\" ]; then\n    \
         for s in ${new_ntp_servers}; do\n        echo \"server ${s} iburst\" >> \"$OUT\"\n    done\nfi\n",
    );
    let renewed = |old| {
        let environment =
            [("reason", "RENEW"), ("new_ntp_servers", "192.0.2.1 192.0.2.2"), ("old_ntp_servers", old)];
        assert!(run(base, &environment).status.success());
        written(base)
    };
    assert_eq!(renewed("192.0.2.1"), "server 192.0.2.1 iburst\nserver 192.0.2.2 iburst\n");
    assert_eq!(renewed("192.0.2.1 192.0.2.2"), "");
}

#[test]
fn hooks_decide_the_exit_status() {
    let scratch = Scratch::new().unwrap();
    let base = scratch.path();
    hook(base, "dhclient-exit-hooks", "exit_status=7\n");
    assert_eq!(run(base, &[("reason", "BOUND")]).status.code(), Some(7));
    hook(base, "dhclient-enter-hooks", "exit_status=3\n");
    hook(base, "dhclient-exit-hooks", "echo never >>\"$OUT\"\n");
    assert_eq!(run(base, &[("reason", "BOUND")]).status.code(), Some(3));
    assert_eq!(written(base), "");
}

#[test]
fn without_hooks_there_is_nothing_to_do() {
    let scratch = Scratch::new().unwrap();
    let output = run(scratch.path(), &[("reason", "BOUND")]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
