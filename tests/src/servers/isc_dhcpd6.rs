//! ISC dhcpd for DHCPv6.

use std::path::Path;

use anyhow::Result;

use crate::netns::Namespace;
use crate::servers::{INTERFACE, Lifetimes};
use crate::service::{Recipe, Service, write};

/// How dhcpd is configured: addresses, temporary addresses, and /56 prefixes.
#[derive(Clone, Debug)]
pub struct IscDhcpd6 {
    /// Its timers.
    pub lifetimes: Lifetimes,
}

impl IscDhcpd6 {
    /// With these timers.
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes }
    }

    /// Starts it.
    pub fn start(&self, namespace: &Namespace, directory: &Path) -> Result<Service> {
        let Lifetimes { t1, t2, valid } = self.lifetimes;
        let configuration = format!(
            "authoritative; ddns-update-style none; dhcp-cache-threshold 0;
            min-lease-time 1; default-lease-time {valid}; max-lease-time {valid}; preferred-lifetime {valid};
            option dhcp-renewal-time {t1}; option dhcp-rebinding-time {t2};
            subnet6 2001:db8:1::/64 {{
                range6 2001:db8:1::100 2001:db8:1::1ff;
                range6 2001:db8:1:0:8000::/65 temporary;
                prefix6 2001:db8:f000:: 2001:db8:f000:ff00:: /56;
            }}
            subnet6 2001:db8:2::/64 {{
                range6 2001:db8:2::100 2001:db8:2::1ff;
                prefix6 2001:db8:f100:: 2001:db8:f100:ff00:: /56;
            }}
            "
        );
        let configuration = write(directory, "dhcpd6.conf", &configuration)?;
        let leases = write(directory, "dhcpd6.leases", "")?;
        let arguments = ["-6", "-f", "-d", "--no-pid", "-cf", &configuration, "-lf", &leases, INTERFACE];
        Service::start(namespace, directory, Recipe::new("dhcpd", &arguments, "Server starting service"))
    }
}
