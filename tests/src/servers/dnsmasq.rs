//! dnsmasq, as a server of either family and as a relay.

use std::path::Path;

use anyhow::{Context, Result};

use crate::netns::Namespace;
use crate::servers::{INTERFACE, Lifetimes};
use crate::service::{Recipe, Service};

/// The shortest lease that dnsmasq gives, in seconds. It raises anything below to this.
pub const SHORTEST: u32 = 120;

/// How dnsmasq is configured. Its leases last [`SHORTEST`]; in DHCPv6 it makes T1 and T2 itself.
#[derive(Clone, Debug)]
pub struct Dnsmasq {
    /// When clients renew and rebind (DHCPv4).
    pub lifetimes: Lifetimes,
    /// Further options.
    pub more: Vec<&'static str>,
}

impl Dnsmasq {
    /// With these T1 and T2.
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes, more: Vec::new() }
    }

    /// Starts it.
    pub fn start(&self, namespace: &Namespace, directory: &Path) -> Result<Service> {
        let leases = directory.join("dnsmasq.leases");
        let mut options = vec![
            format!("--dhcp-leasefile={}", leases.to_str().context("a path that is not UTF-8")?),
            format!("--interface={INTERFACE}"),
            format!("--dhcp-option=58,{}", self.lifetimes.t1),
            format!("--dhcp-option=59,{}", self.lifetimes.t2),
        ];
        let fixed = [
            "--dhcp-range=192.0.2.100,192.0.2.199,255.255.255.0,2m",
            "--dhcp-range=set:far,198.51.100.100,198.51.100.199,255.255.255.0,2m",
            "--dhcp-option=tag:far,3,198.51.100.1",
            "--dhcp-range=2001:db8:1::100,2001:db8:1::1ff,64,2m",
            "--dhcp-range=2001:db8:2::100,2001:db8:2::1ff,64,2m",
            "--dhcp-authoritative",
            "--no-ping",
        ];
        options.extend(fixed.iter().chain(&self.more).map(|&option| option.to_owned()));
        run(namespace, directory, &options, "DHCP, sockets bound")
    }
}

/// dnsmasq as a relay: what arrives for each of its own addresses goes to the server beside it.
pub fn relay(namespace: &Namespace, directory: &Path, relays: &[(&str, &str)]) -> Result<Service> {
    let options: Vec<String> =
        relays.iter().map(|(own, server)| format!("--dhcp-relay={own},{server}")).collect();
    run(namespace, directory, &options, "DHCP relay from")
}

fn run(namespace: &Namespace, directory: &Path, options: &[String], ready: &'static str) -> Result<Service> {
    let fixed = [
        "--no-daemon",
        "--port=0",
        "--conf-file=/dev/null",
        "--user=root",
        "--log-dhcp",
        "--bind-interfaces",
        "--no-resolv",
        "--no-hosts",
        "--pid-file",
    ];
    let arguments: Vec<&str> = fixed.into_iter().chain(options.iter().map(String::as_str)).collect();
    Service::start(namespace, directory, Recipe::new("dnsmasq", &arguments, ready))
}
