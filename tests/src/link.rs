//! Virtual cables between namespaces.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use crate::netns::Namespace;
use crate::wait;

/// How long the kernel may take to notice that a cable is plugged in at both ends.
const CARRIER: Duration = Duration::from_secs(10);

/// One end of a cable, as a test wants it.
#[derive(Clone, Debug)]
pub struct End {
    /// The interface's name.
    pub name: &'static str,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<&'static str>,
    /// Its MTU.
    pub mtu: u32,
    /// Whether it gets an IPv6 link-local address from its hardware address.
    pub link_local: bool,
}

impl End {
    /// The observed side of the recordings.
    pub fn recorded_server() -> Self {
        Self {
            name: "s0",
            mac: [2, 0, 0, 0, 0, 1],
            addresses: vec!["192.0.2.1/24", "2001:db8:1::1/64"],
            mtu: 1500,
            link_local: true,
        }
    }

    /// The client's side of the recordings. It has no address, so that its kernel stays silent.
    pub fn recorded_client() -> Self {
        Self { name: "c0", mac: [2, 0, 0, 0, 0, 2], addresses: Vec::new(), mtu: 1500, link_local: false }
    }
}

/// An interface that exists.
#[derive(Clone, Debug)]
pub struct Link {
    /// The namespace that it is in.
    pub namespace: Namespace,
    /// Its name.
    pub name: &'static str,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// The kernel's interface index.
    pub index: u32,
}

impl Link {
    /// Waits until the kernel has noticed the carrier, which it may do up to a second late, and has given the interface
    /// its link-local address.
    fn wait_until_running(&self, link_local: bool) -> Result<()> {
        let is_own = |address: &InterfaceAddress| address.interface_name == self.name;
        let is_link_local = |address: &InterfaceAddress| {
            let address = address.address.as_ref().and_then(SockaddrStorage::as_sockaddr_in6);
            address.is_some_and(|address| address.ip().is_unicast_link_local())
        };
        wait::until(&format!("carrier on {}", self.name), CARRIER, || {
            self.namespace.run(|| {
                let own: Vec<_> = getifaddrs().context("getifaddrs")?.filter(is_own).collect();
                let running = own.iter().any(|address| address.flags.contains(InterfaceFlags::IFF_RUNNING));
                Ok((running && (!link_local || own.iter().any(is_link_local))).then_some(()))
            })
        })
    }

    /// Tells the kernel behind this interface where `address` is, so that it never has to ask.
    pub fn neighbour(&self, address: &str, mac: [u8; 6]) -> Result<()> {
        let mac = mac_text(mac);
        self.namespace.ip(&[
            "neigh",
            "replace",
            address,
            "lladdr",
            &mac,
            "dev",
            self.name,
            "nud",
            "permanent",
        ])?;
        Ok(())
    }
}

/// A hardware address as people write it.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// Lays a cable between two namespaces (or within one) and brings both ends up.
///
/// The near end gets the interface index 2, that of the recordings, where it is free.
pub fn veth(near_side: &Namespace, near: &End, far_side: &Namespace, far: &End) -> Result<(Link, Link)> {
    let (near_mac, far_mac, far_path) = (mac_text(near.mac), mac_text(far.mac), far_side.path());
    let add = |index: &[&str]| {
        let kind = ["address", &near_mac, "type", "veth"];
        let far = ["peer", "name", far.name, "address", &far_mac, "netns", &far_path];
        near_side.ip(&[&["link", "add", near.name], index, &kind[..], &far[..]].concat())
    };
    add(&["index", "2"]).or_else(|_| add(&[]))?;
    let (near_link, far_link) = (bring_up(near_side, near)?, bring_up(far_side, far)?);
    near_link.wait_until_running(near.link_local)?;
    far_link.wait_until_running(far.link_local)?;
    Ok((near_link, far_link))
}

/// A VLAN device (802.1Q) on a link, up, with the link's hardware address. The kernel needs its module 8021q.
pub fn vlan(parent: &Link, name: &'static str, id: u16) -> Result<Link> {
    let namespace = &parent.namespace;
    namespace.ip(&[
        "link",
        "add",
        "link",
        parent.name,
        "name",
        name,
        "type",
        "vlan",
        "id",
        &id.to_string(),
    ])?;
    let end = End { name, mac: parent.mac, addresses: Vec::new(), mtu: 1500, link_local: false };
    bring_up(namespace, &end)
}

fn bring_up(namespace: &Namespace, end: &End) -> Result<Link> {
    if !end.link_local {
        namespace.ip(&["link", "set", end.name, "addrgenmode", "none"])?;
    }
    namespace.ip(&["link", "set", end.name, "mtu", &end.mtu.to_string(), "up"])?;
    for address in &end.addresses {
        let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        namespace.ip(&[&["address", "add", address, "dev", end.name], nodad].concat())?;
    }
    let index = namespace.run(|| nix::net::if_::if_nametoindex(end.name).context("if_nametoindex"))?;
    Ok(Link { namespace: namespace.clone(), name: end.name, mac: end.mac, index })
}

/// The topology of the recordings: `s0` beside the server, `c0` beside the clients.
#[derive(Clone, Debug)]
pub struct Cable {
    /// The observed side.
    pub server: Link,
    /// The clients' side.
    pub client: Link,
}

impl Cable {
    /// Makes two namespaces and the cable between them.
    pub fn as_recorded() -> Result<Self> {
        let (near, far) = (Namespace::new()?, Namespace::new()?);
        let (server, client) = veth(&near, &End::recorded_server(), &far, &End::recorded_client())?;
        Ok(Self { server, client })
    }
}
