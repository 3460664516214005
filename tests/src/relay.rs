//! Networks behind relays: server – relay – client, and server – relay – relay – client.
//!
//! ```text
//!  server            relay 1              relay 2              client
//!  s0 ─── veth ─── upper lower ── veth ── upper lower ─── veth ─── c0
//!  192.0.2.1    192.0.2.2  203.0.113.1  203.0.113.2  198.51.100.1
//!  2001:db8:1::1   …1::2   …3::1        …3::2        2001:db8:2::1
//! ```
//!
//! With one relay, that one has the client's network below it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::link::{End, Link, veth};
use crate::netns::Namespace;
use crate::servers::dnsmasq;
use crate::service::{Recipe, Service};
use crate::wait;

/// The relays' addresses on the clients' network.
pub const GIADDR: &str = "198.51.100.1";
/// The same for DHCPv6.
pub const LINK_ADDRESS: &str = "2001:db8:2::1";

/// A server's and a client's link with relays, which do not run yet, in between.
#[derive(Debug)]
pub struct Network {
    /// The server's interface, which is observed.
    pub server: Link,
    /// The client's interface.
    pub client: Link,
    /// The relays' namespaces, the one next to the server first.
    pub relays: Vec<Namespace>,
}

fn end(name: &'static str, number: u8, addresses: Vec<&'static str>) -> End {
    End { name, mac: [2, 0, 0, 0, 1, number], addresses, mtu: 1500, link_local: true }
}

impl Network {
    /// No relay: a cable with a real client's kernel at the far end.
    pub fn direct() -> Result<Self> {
        let (near, far) = (Namespace::new()?, Namespace::new()?);
        silence(&near)?;
        let client = End { link_local: true, ..End::recorded_client() };
        let (server, client) = veth(&near, &End::recorded_server(), &far, &client)?;
        Self { server, client, relays: Vec::new() }.settled()
    }

    /// One relay, or two in a row.
    pub fn relayed(nested: bool) -> Result<Self> {
        let (near, far, first) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
        silence(&near)?;
        let client = End { link_local: true, ..End::recorded_client() };
        let up = end("upper", 2, vec!["192.0.2.2/24", "2001:db8:1::2/64"]);
        let (server, _) = veth(&near, &End::recorded_server(), &first, &up)?;
        let mut relays = vec![first.clone()];
        if nested {
            let second = Namespace::new()?;
            let middle = end("lower", 3, vec!["203.0.113.1/24", "2001:db8:3::1/64"]);
            let up = end("upper", 4, vec!["203.0.113.2/24", "2001:db8:3::2/64"]);
            veth(&first, &middle, &second, &up)?;
            relays.push(second);
        }
        let last = relays.last().context("no relay")?.clone();
        let down = end("lower", 5, vec!["198.51.100.1/24", "2001:db8:2::1/64"]);
        let (_, client) = veth(&last, &down, &far, &client)?;
        for relay in &relays {
            relay.sysctl("ipv4/ip_forward", "1")?;
            relay.sysctl("ipv6/conf/all/forwarding", "1")?;
        }
        for network in ["198.51.100.0/24", "203.0.113.0/24"] {
            near.ip(&["route", "add", network, "via", "192.0.2.2"])?;
        }
        for network in ["2001:db8:2::/64", "2001:db8:3::/64"] {
            near.ip(&["route", "add", network, "via", "2001:db8:1::2"])?;
        }
        if nested {
            first.ip(&["route", "add", "198.51.100.0/24", "via", "203.0.113.2"])?;
            first.ip(&["route", "add", "2001:db8:2::/64", "via", "2001:db8:3::2"])?;
            last.ip(&["route", "add", "default", "via", "203.0.113.1"])?;
            last.ip(&["route", "add", "default", "via", "2001:db8:3::1"])?;
        }
        Self { server, client, relays }.settled()
    }

    /// Waits until the client's kernel has a link-local address: dhclient does not.
    fn settled(self) -> Result<Self> {
        wait::until("link-local address", Duration::from_secs(20), || {
            let addresses = self.client.namespace.ip(&["-6", "address", "show", "dev", self.client.name])?;
            Ok((addresses.contains("fe80:") && !addresses.contains("tentative")).then_some(()))
        })?;
        Ok(self)
    }

    /// Starts ISC dhcrelay in each relay's namespace: with relay agent information (DHCPv4), with the interface's
    /// identifier (DHCPv6).
    pub fn dhcrelay(&self, directory: &Path, v6: bool) -> Result<Vec<Service>> {
        let above = [("192.0.2.1", "2001:db8:1::1%upper"), ("203.0.113.1", "2001:db8:3::1%upper")];
        let relays = self.relays.iter().zip(above).enumerate();
        let services = relays.map(|(number, (relay, (above4, above6)))| {
            let directory = directory.join(format!("relay-{number}"));
            std::fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
            let arguments: &[&str] = if v6 {
                &["-6", "-d", "--no-pid", "-I", "-l", "lower", "-u", above6]
            } else {
                &["-4", "-d", "--no-pid", "-a", "-id", "lower", "-iu", "upper", above4]
            };
            // The last of its sockets is the last that it tells of.
            let ready = if v6 { "Socket/" } else { "Socket/fallback" };
            Service::start(relay, &directory, Recipe::new("dhcrelay", arguments, ready))
        });
        services.collect()
    }

    /// Starts dnsmasq as the relay, of both families.
    pub fn dnsmasq(&self, directory: &Path) -> Result<Vec<Service>> {
        let directory = directory.join("relay");
        std::fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
        let relay = self.relays.first().context("no relay")?;
        Ok(vec![dnsmasq::relay(
            relay,
            &directory,
            &[(GIADDR, "192.0.2.1"), (LINK_ADDRESS, "2001:db8:1::1")],
        )?])
    }
}

/// The namespace sends no ICMP: to udhcpc an unreachable port is the loss of its lease.
fn silence(namespace: &Namespace) -> Result<()> {
    namespace.ip(&["rule", "add", "ipproto", "icmp", "priority", "1", "blackhole"])?;
    Ok(())
}
