//! `cargo xtask test`: everything the tests need, then the tests.
//!
//! The tests drive real servers and clients in network namespaces of their own, so they need these Debian packages and
//! root. Where the user is not root, `sudo` installs and runs; compiling is always done as the user.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use crate::command;

/// A program that the tests run, and the Debian package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("kea-dhcp4", "kea-dhcp4-server"),
    ("kea-dhcp6", "kea-dhcp6-server"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("tcpdump", "tcpdump"),
    ("perfdhcp", "kea-admin"),
    ("unshare", "util-linux"),
    ("dhcpd", "isc-dhcp-server"),
    ("dhclient", "isc-dhcp-client"),
    ("dhcrelay", "isc-dhcp-relay"),
    ("dnsmasq", "dnsmasq-base"),
    ("dhcpcd", "dhcpcd-base"),
    ("udhcpc", "udhcpc"),
    ("udhcpd", "udhcpd"),
    ("dhcp6c", "wide-dhcpv6-client"),
    ("shellcheck", "shellcheck"),
    ("named", "bind9"),
    ("tsig-keygen", "bind9"),
    ("nsupdate", "bind9-dnsutils"),
    ("dig", "bind9-dnsutils"),
    ("nft", "nftables"),
    ("curl", "curl"),
    ("jq", "jq"),
    ("logger", "bsdutils"),
    ("flock", "util-linux"),
    ("sha256sum", "coreutils"),
    ("faketime", "faketime"),
    ("setpriv", "util-linux"),
    ("nsenter", "util-linux"),
    ("systemctl", "systemd"),
    ("systemd-analyze", "systemd"),
    ("pkill", "procps"),
];

/// Tests that for the most part wait until leases of two minutes end, by target and names: they run beside all others.
const WAITING: &[(&str, &[&str])] = &[
    ("dnsmasq_dialect", &["all_that_the_wire_can_tell_is_equal"]),
    // It has a test of the same name.
    ("dhclient_dialect", &[]),
    ("dhclient_live", &["v4_bind_renew_rebind_reboot", "v6_bind_renew_rebind_confirm"]),
];

/// Installs packages without starting their daemons: tests start their own, and nobody wants a DHCP server on the network
/// of this machine. A policy that the machine has already is left alone.
const INSTALL: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy || exit 1
fi
apt-get install --yes --no-install-recommends "$@"
"#;

/// Installs what is missing, then runs the tests of the whole workspace, with what stands behind the verb passed on.
pub fn run(root: &Path, passed_on: &[&str]) -> Result<()> {
    install_all()?;
    let tests = |arguments: &[&str]| -> Result<Command> {
        let mut cargo = command::cargo(root);
        cargo.args(["test", "--no-fail-fast"]).args(arguments);
        as_root(&mut cargo)?;
        Ok(cargo)
    };
    if !passed_on.is_empty() {
        return command::run(tests(&["--workspace"])?.args(passed_on));
    }
    command::run(&mut tests(&["--workspace", "--no-run"])?)?;
    let targets = WAITING.iter().flat_map(|(target, _)| ["--test", *target]);
    let mut beside = tests(&["--package", "observer-tests"])?;
    beside.args(targets).stdout(Stdio::piped()).stderr(Stdio::piped());
    let beside = beside.spawn().context("cannot run cargo")?;
    let beside = thread::spawn(move || beside.wait_with_output());
    let skipped = WAITING.iter().flat_map(|(_, names)| *names).flat_map(|name| ["--skip", *name]);
    let rest = command::run(tests(&["--workspace", "--"])?.args(skipped));
    let beside = beside.join().map_err(|_| anyhow!("nobody has waited for cargo"))?.context("cargo")?;
    // Its words at the end, in one piece.
    io::stdout().write_all(&beside.stdout)?;
    io::stderr().write_all(&beside.stderr)?;
    ensure!(beside.status.success(), "tests that wait failed: {}", beside.status);
    rest
}

/// Installs what is missing of what any test needs.
pub(crate) fn install_all() -> Result<()> {
    install(PROGRAMS, is_root()?)
}

/// Has cargo start each test that it has compiled through sudo, where the user is not root.
pub(crate) fn as_root(cargo: &mut Command) -> Result<()> {
    if !is_root()? {
        let host = host_triple()?;
        cargo.env(format!("CARGO_TARGET_{}_RUNNER", host.to_uppercase().replace('-', "_")), "sudo -E");
    }
    Ok(())
}

/// Installs the packages of those programs that are not there.
pub fn install(programs: &[(&str, &'static str)], is_root: bool) -> Result<()> {
    let mut missing: Vec<&str> = programs
        .iter()
        .filter(|(program, _)| command::find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(
        command::find("apt-get").is_some(),
        "needed are the programs of these Debian packages; install them first: {}",
        missing.join(" ")
    );
    println!("installing {}", missing.join(" "));
    let mut list = privileged(is_root, "apt-get");
    command::run(list.arg("update"))?;
    let mut install = privileged(is_root, "sh");
    command::run(install.args(["-c", INSTALL, "sh"]).args(&missing))
}

/// A command that runs as root and asks nothing.
pub(crate) fn privileged(is_root: bool, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    command.arg("DEBIAN_FRONTEND=noninteractive").arg(program);
    command
}

/// Whether we may do everything ourselves.
pub(crate) fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot run id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

fn host_triple() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let output = Command::new(rustc).args(["--version", "--verbose"]).output().context("cannot run rustc")?;
    let text = String::from_utf8(output.stdout).context("rustc does not speak UTF-8")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}
