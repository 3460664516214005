//! ISC dhcpd for DHCPv4.

use std::path::Path;

use anyhow::Result;

use crate::netns::Namespace;
use crate::servers::{INTERFACE, Lifetimes};
use crate::service::{Recipe, Service, write};

/// How dhcpd is configured.
#[derive(Clone, Debug)]
pub struct IscDhcpd4 {
    /// Its timers.
    pub lifetimes: Lifetimes,
    /// The percentage of a lease within which a renewal is answered with what is left of it; 0 switches that off.
    pub cache_threshold: u32,
}

impl IscDhcpd4 {
    /// With these timers, and without its lease cache.
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes, cache_threshold: 0 }
    }

    /// Starts it.
    pub fn start(&self, namespace: &Namespace, directory: &Path) -> Result<Service> {
        let Lifetimes { t1, t2, valid } = self.lifetimes;
        let configuration = format!(
            "authoritative; ping-check false; ddns-update-style none;
            min-lease-time 1; default-lease-time {valid}; max-lease-time {valid};
            option dhcp-renewal-time {t1}; option dhcp-rebinding-time {t2};
            dhcp-cache-threshold {};
            subnet 192.0.2.0 netmask 255.255.255.0 {{ range 192.0.2.100 192.0.2.199; option routers 192.0.2.1; }}
            subnet 198.51.100.0 netmask 255.255.255.0 {{ range 198.51.100.100 198.51.100.199; option routers 198.51.100.1; }}
            ",
            self.cache_threshold
        );
        let configuration = write(directory, "dhcpd4.conf", &configuration)?;
        let leases = write(directory, "dhcpd4.leases", "")?;
        let arguments = ["-4", "-f", "-d", "--no-pid", "-cf", &configuration, "-lf", &leases, INTERFACE];
        Service::start(namespace, directory, Recipe::new("dhcpd", &arguments, "Server starting service"))
    }
}
