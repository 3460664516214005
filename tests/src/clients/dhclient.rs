//! ISC dhclient of either family.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use crate::clients::{INTERFACE, RunningClient};
use crate::hook::DumpHook;
use crate::netns::Namespace;
use crate::service::{Recipe, Service, write, write_script};
use crate::wait;

/// How long it may take to release.
const PATIENCE: Duration = Duration::from_secs(20);

/// Configures the interface with what dhclient was given. `ip` is found in PATH, which dhclient hands on.
const SCRIPT: &str = r#"#!/bin/sh
PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin
case $reason in
PREINIT|PREINIT6) ip link set "$interface" up ;;
BOUND|RENEW|REBIND|REBOOT)
    ip addr replace "$new_ip_address/$new_subnet_mask" dev "$interface"
    [ -z "$new_routers" ] || ip route replace default via "${new_routers%% *}" dev "$interface" ;;
EXPIRE|FAIL|RELEASE|STOP) ip -4 addr flush dev "$interface" ;;
BOUND6|RENEW6|REBIND6) [ -z "$new_ip6_address" ] || ip addr replace "$new_ip6_address/128" dev "$interface" nodad ;;
EXPIRE6|RELEASE6|STOP6) [ -z "$old_ip6_address" ] || ip addr del "$old_ip6_address/128" dev "$interface" ;;
esac
exit 0
"#;

/// What it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A DHCPv4 address.
    V4,
    /// A DHCPv6 address.
    Address6,
    /// A DHCPv6 prefix.
    Prefix6,
    /// Both, in identity associations of one message.
    AddressAndPrefix6,
    /// A temporary DHCPv6 address.
    Temporary6,
}

impl Wants {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::V4 => &["-4"],
            Self::Address6 => &["-6"],
            Self::Prefix6 => &["-6", "-P"],
            Self::AddressAndPrefix6 => &["-6", "-N", "-P"],
            Self::Temporary6 => &["-6", "-T"],
        }
    }
}

/// A running dhclient. It cannot be told to renew; its timers are the server's.
#[derive(Debug)]
pub struct Dhclient {
    namespace: Namespace,
    directory: PathBuf,
    options: Vec<String>,
    service: Service,
}

impl Dhclient {
    /// Starts one that calls itself `name`.
    pub fn start(namespace: &Namespace, directory: &Path, wants: Wants, name: &str) -> Result<Self> {
        Self::start_with(namespace, directory, wants, name, SCRIPT)
    }

    /// The same with a script that writes down how it was called, too.
    pub fn start_dumping(
        namespace: &Namespace,
        directory: &Path,
        wants: Wants,
        name: &str,
        hook: &DumpHook,
    ) -> Result<Self> {
        // The shell exports its working directory, which dhclient does not.
        let script =
            SCRIPT.replace("exit 0\n", &format!("unset PWD OLDPWD\nexec {}\n", hook.script().display()));
        Self::start_with(namespace, directory, wants, name, &script)
    }

    /// Waits until it has logged `text`.
    pub fn wait_for_log(&mut self, text: &str, within: Duration) -> Result<()> {
        self.service.wait_for_log(text, within)
    }

    /// Waits until it has broadcast a DHCPREQUEST so many times since it was started.
    pub fn wait_for_broadcasts(&self, times: usize, within: Duration) -> Result<()> {
        wait::until(&format!("{times} broadcast requests of dhclient"), within, || {
            let log = self.service.log();
            let is_broadcast =
                |line: &&str| line.contains("DHCPREQUEST for ") && line.contains("to 255.255.255.255 ");
            Ok((log.lines().filter(is_broadcast).count() >= times).then_some(()))
        })
    }

    fn start_with(
        namespace: &Namespace,
        directory: &Path,
        wants: Wants,
        name: &str,
        script: &str,
    ) -> Result<Self> {
        let configuration = format!(
            "timeout 20; retry 2; reboot 2; initial-interval 1; backoff-cutoff 2; send host-name \"{name}\"; send fqdn.fqdn \"{name}\";
            request subnet-mask, routers, host-name, dhcp-lease-time, dhcp-renewal-time, dhcp-rebinding-time;\n"
        );
        let configuration = if wants == Wants::V4 {
            configuration.replace(&format!("send fqdn.fqdn \"{name}\";"), "")
        } else {
            format!("send fqdn.fqdn \"{name}\"; send fqdn.server-update on; also request dhcp6.fqdn;\n")
        };
        let configuration = write(directory, "dhclient.conf", &configuration)?;
        let script = write_script(directory, "dhclient-script", script)?;
        let leases = directory.join("dhclient.leases").display().to_string();
        let mut options: Vec<String> = wants.options().iter().map(|&option| option.to_owned()).collect();
        options.extend(
            ["-v", "--no-pid", "-D", "LL", "-cf", &configuration, "-lf", &leases, "-sf", &script]
                .map(str::to_owned),
        );
        let foreground: Vec<&str> = options.iter().map(String::as_str).chain(["-d", INTERFACE]).collect();
        let recipe = Recipe::new("dhclient", &foreground, "Listening on");
        let service = Service::start(namespace, directory, recipe)?;
        Ok(Self { namespace: namespace.clone(), directory: directory.to_owned(), options, service })
    }
}

impl RunningClient for Dhclient {
    fn release(&mut self) -> Result<()> {
        // The running one goes without a word; another one reads its lease and releases it.
        self.service.end(Signal::SIGKILL)?;
        let mut command = self.namespace.command("dhclient");
        command.args(&self.options).args(["-r", INTERFACE]);
        let mut process = crate::process::Process::start("dhclient-release", command, &self.directory)?;
        let status = process.wait(PATIENCE)?;
        ensure!(status.success(), "dhclient -r ended with {status}: {}", process.stderr());
        Ok(())
    }

    fn vanish(&mut self) -> Result<()> {
        self.service.end(Signal::SIGKILL)
    }
}
