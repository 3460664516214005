//! `cargo xtask test`: everything the tests need, then the tests.
//!
//! The tests drive real servers and clients in network namespaces of their own, so they need these Debian packages and
//! root. Where the user is not root, `sudo` installs and runs; compiling is always done as the user.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

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
    let mut cargo = command::cargo(root);
    cargo.args(["test", "--workspace", "--no-fail-fast"]).args(passed_on);
    as_root(&mut cargo)?;
    command::run(&mut cargo)
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
