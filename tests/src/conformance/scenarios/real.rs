//! Real clients: what people run, in the clients' namespace, with files of their own.
//!
//! Each gets its configuration, leases and process id in the scenario's directory. A client that insists on paths of its
//! own gets a mount namespace in which those are empty. Scripts set addresses inside the namespace and do nothing else.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::conformance::scenario::{Scenario, V4, V6};
use crate::conformance::shows::word;
use crate::conformance::stage::Stage;
use crate::kea::Config;
use crate::process::Process;

/// How long a client may take for one step.
const PATIENCE: Duration = Duration::from_secs(40);

/// Sets what dhclient was given.
const DHCLIENT_SCRIPT: &str = r#"#!/bin/sh
case $reason in
BOUND|RENEW|REBIND|REBOOT) ip address replace "$new_ip_address/24" dev "$interface" ;;
BOUND6|RENEW6|REBIND6) [ -z "$new_ip6_address" ] || ip address replace "$new_ip6_address/64" dev "$interface" nodad ;;
EXPIRE|FAIL|STOP|RELEASE) ip -4 address flush dev "$interface" ;;
esac
exit 0
"#;

/// Sets what udhcpc was given.
const UDHCPC_SCRIPT: &str = r#"#!/bin/sh
case $1 in
bound|renew) ip address replace "$ip/24" dev "$interface" ;;
deconfig) ip -4 address flush dev "$interface" ;;
esac
"#;

/// A file in the scenario's directory.
fn file(stage: &Stage, name: &str, text: &str) -> Result<PathBuf> {
    let path = stage.scratch.path().join(name);
    let new = path.with_extension("new");
    std::fs::write(&new, text).with_context(|| new.display().to_string())?;
    std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755))?;
    // A client may be running the script of the same name: what runs cannot be written, but it can be replaced.
    std::fs::rename(&new, &path).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Starts a client.
fn start(stage: &Stage, name: &str, command: Command) -> Result<Process> {
    Process::start(name, command, stage.scratch.path())
}

/// A command with empty directories at these paths, which nobody else sees, and in a process namespace, so that helpers
/// that the client leaves behind when it is killed go with it.
fn apart(stage: &Stage, paths: &str, program: &str) -> Command {
    let mut command = stage.clients().command("unshare");
    let script = "for path in $1; do mount -t tmpfs none \"$path\" || exit 1; done; shift; exec \"$@\"";
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", paths, program]);
    command
}

/// Sends a signal to the client that [`apart`] started: the only child of `unshare`.
fn signal_apart(outer: &Process, signal: Signal) -> Result<()> {
    let outer = outer.pid();
    let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"))?;
    let client =
        children.trim().parse().with_context(|| format!("the children of unshare are {children:?}"))?;
    kill(Pid::from_raw(client), signal).with_context(|| format!("cannot send {signal}"))
}

/// Waits until Kea has been asked for this many renewals.
fn renewals(stage: &Stage, count: usize) -> Result<()> {
    stage.until(&format!("{count} renewals"), PATIENCE, |calls| {
        calls.iter().filter(|call| matches!(word(call).as_str(), "renew" | "rebind")).count() >= count
    })
}

/// Waits until Kea has called its hook at this hook point.
fn point(stage: &Stage, point: &str) -> Result<()> {
    stage.until(point, PATIENCE, |calls| calls.iter().any(|call| word(call) == point))
}

/// Leases that are renewed after seconds.
fn brisk(config: Config) -> Config {
    config.lasting(12, 2, 9)
}

fn brisk6(config: Config) -> Config {
    config.lasting(14, 2, 9).set("preferred-lifetime", 12)
}

fn dhclient(stage: &Stage, more: &[&str]) -> Result<Command> {
    let script = file(stage, "dhclient-script", DHCLIENT_SCRIPT)?;
    let settings = "initial-delay 0; timeout 10; retry 2; reboot 2; send host-name \"Real-Client\";\n\
                    request subnet-mask, routers, domain-name-servers, host-name;\n";
    let settings = file(stage, "dhclient.conf", settings)?;
    let at = |name: &str| stage.scratch.path().join(name);
    let mut command = stage.clients().command("dhclient");
    command.args(more).arg("-cf").arg(settings).arg("-sf").arg(script);
    command
        .arg("-lf")
        .arg(at("dhclient.leases"))
        .arg("-pf")
        .arg(at("dhclient.pid"))
        .arg(stage.cable.client.name);
    Ok(command)
}

/// Binds, renews, goes away without a word, comes back, releases.
fn dhclient_life(stage: &Stage, mode: &[&str]) -> Result<()> {
    let with = |more: &str| dhclient(stage, &[mode, &[more]].concat());
    let mut running = start(stage, "dhclient", with("-d")?)?;
    renewals(stage, 2)?;
    running.signal(Signal::SIGKILL)?;
    running.wait(PATIENCE)?;
    let mut running = start(stage, "dhclient-again", with("-d")?)?;
    renewals(stage, 4)?;
    running.signal(Signal::SIGKILL)?;
    running.wait(PATIENCE)?;
    let status = start(stage, "dhclient-release", with("-r")?)?.wait(PATIENCE)?;
    ensure!(status.success(), "dhclient -r ended with {status}");
    point(stage, "release")
}

fn dhcpcd(stage: &Stage, family: &str, settings: &str) -> Result<()> {
    let settings =
        format!("duid\nnohook resolv.conf, hostname, ntp.conf\nscript /bin/true\nnoarp\nnodelay\n{settings}");
    let settings = file(stage, "dhcpcd.conf", &settings)?;
    let mut command = apart(stage, "/run /var/lib/dhcpcd", "dhcpcd");
    command
        .args([family, "--nobackground", "--debug", "--config"])
        .arg(settings)
        .arg(stage.cable.client.name);
    let mut running = start(stage, "dhcpcd", command)?;
    renewals(stage, 2)?;
    // It releases its leases and ends. A signal that comes while it takes in an answer it forgets.
    stage.let_pass(0.5);
    signal_apart(&running, Signal::SIGALRM)?;
    running.wait(PATIENCE)?;
    point(stage, "release")
}

fn udhcpc(stage: &Stage) -> Result<()> {
    let script = file(stage, "udhcpc-script", UDHCPC_SCRIPT)?;
    let mut command = stage.clients().command("udhcpc");
    command.args([
        "-f",
        "-R",
        "-i",
        stage.cable.client.name,
        "-x",
        "hostname:Tiny",
        "-F",
        "tiny.example.org",
        "-s",
    ]);
    command.arg(script).arg("-p").arg(stage.scratch.path().join("udhcpc.pid"));
    let mut running = start(stage, "udhcpc", command)?;
    point(stage, "committed(1,0)")?;
    // It would renew in its own time; asked to, it does at once.
    running.signal(Signal::SIGUSR1)?;
    renewals(stage, 1)?;
    running.stop(PATIENCE)?;
    point(stage, "release")
}

fn dhcp6c(stage: &Stage) -> Result<()> {
    let settings = format!(
        "interface {} {{ send ia-pd 1; send ia-na 2; }};\nid-assoc pd 1 {{ }};\nid-assoc na 2 {{ }};\n",
        stage.cable.client.name
    );
    let settings = file(stage, "dhcp6c.conf", &settings)?;
    let mut command = apart(stage, "/run /var/lib/dhcpv6", "dhcp6c");
    command.args(["-f", "-D", "-c"]).arg(settings).arg(stage.cable.client.name);
    let mut running = start(stage, "dhcp6c", command)?;
    renewals(stage, 2)?;
    signal_apart(&running, Signal::SIGTERM)?;
    running.wait(PATIENCE)?;
    point(stage, "release")
}

/// perfdhcp at a rate that a Kea bears which starts a script for every answer.
fn perfdhcp(stage: &Stage, arguments: &[&str]) -> Result<()> {
    let mut command = stage.clients().command("perfdhcp");
    command.args(["-l", stage.cable.client.name]).args(arguments);
    let mut running = start(stage, "perfdhcp", command)?;
    // Its status says whether anything was lost on the way, which does not matter here.
    running.wait(PATIENCE)?;
    ensure!(running.stdout().contains("Statistics"), "perfdhcp has no report: {}", running.stderr());
    Ok(())
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "real-dhclient-v4",
        kea: brisk,
        traffic: |stage| dhclient_life(stage, &["-4"]),
        shows: "committed(1,0) renew release committed(0,1) ...",
        programs: &["dhclient"],
        ..V4
    },
    Scenario {
        name: "real-dhclient-v6-address",
        kea: brisk6,
        traffic: |stage| dhclient_life(stage, &["-6"]),
        shows: "committed(1,0) renew release committed(0,1) ...",
        programs: &["dhclient"],
        ..V6
    },
    Scenario {
        name: "real-dhclient-v6-prefix",
        kea: brisk6,
        traffic: |stage| dhclient_life(stage, &["-6", "-P"]),
        shows: "committed(1,0) renew release committed(0,1) ...",
        programs: &["dhclient"],
        ..V6
    },
    Scenario {
        name: "real-dhclient-v6-address-and-prefix",
        kea: brisk6,
        traffic: |stage| dhclient_life(stage, &["-6", "-N", "-P", "-D", "LL"]),
        shows: "committed(2,0) renew release committed(0,2) ...",
        programs: &["dhclient"],
        ..V6
    },
    Scenario {
        name: "real-dhcpcd-v4",
        kea: brisk,
        traffic: |stage| dhcpcd(stage, "--ipv4only", "hostname Real-Client\nfqdn both\n"),
        shows: "committed(1,0) renew release committed(0,1) ...",
        programs: &["dhcpcd", "unshare"],
        ..V4
    },
    Scenario {
        name: "real-dhcpcd-v6",
        kea: brisk6,
        traffic: |stage| {
            dhcpcd(stage, "--ipv6only", "noipv6rs\nia_na 1\nia_pd 2\nhostname Real-Client\nfqdn both\n")
        },
        shows: "renew release ...",
        programs: &["dhcpcd", "unshare"],
        ..V6
    },
    Scenario {
        name: "real-udhcpc",
        kea: brisk,
        traffic: |stage| udhcpc(stage),
        shows: "committed(1,0) renew release committed(0,1) ...",
        programs: &["udhcpc"],
        ..V4
    },
    Scenario {
        name: "real-dhcp6c",
        // It does not renew before 18 s, whatever T1 is.
        kea: |config| brisk6(config).set("valid-lifetime", 60).set("preferred-lifetime", 50),
        traffic: |stage| dhcp6c(stage),
        shows: "committed(2,0) renew release committed(0,1) ...",
        programs: &["dhcp6c", "unshare"],
        ..V6
    },
    Scenario {
        name: "real-perfdhcp-v4",
        traffic: |stage| {
            stage.clients().ip(&["address", "add", "192.0.2.2/24", "dev", stage.cable.client.name])?;
            perfdhcp(stage, &["-4", "-r", "40", "-n", "80", "-R", "80", "-W", "1000000", "192.0.2.1"])
        },
        shows: "committed(1,0) ...",
        programs: &["perfdhcp"],
        ..V4
    },
    Scenario {
        name: "real-perfdhcp-v4-renewals-and-releases",
        traffic: |stage| {
            stage.clients().ip(&["address", "add", "192.0.2.2/24", "dev", stage.cable.client.name])?;
            let rates = ["-r", "30", "-f", "10", "-F", "10"];
            perfdhcp(
                stage,
                &[&["-4", "-p", "3", "-R", "60", "-W", "1000000"], &rates[..], &["192.0.2.1"]].concat(),
            )
        },
        shows: "committed(1,0) renew release committed(0,1) ...",
        programs: &["perfdhcp"],
        ..V4
    },
    Scenario {
        name: "real-perfdhcp-v6",
        traffic: |stage| {
            let rates = ["-r", "30", "-f", "10", "-F", "10", "-e", "address-and-prefix"];
            perfdhcp(stage, &[&["-6", "-p", "3", "-R", "60", "-W", "1000000"], &rates[..], &["all"]].concat())
        },
        shows: "committed(2,0) renew release committed(0,2) ...",
        programs: &["perfdhcp"],
        ..V6
    },
];
