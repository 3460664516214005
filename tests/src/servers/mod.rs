//! DHCP servers other than Kea, each in a namespace, with lifetimes short enough to see them end.
//!
//! All serve 192.0.2.100 to .199 or 2001:db8:1::100 to ::1ff on the interface `s0` and, behind relays,
//! 198.51.100.100 to .199 or 2001:db8:2::100 to ::1ff.

pub mod any;
pub mod dnsmasq;
pub mod isc_dhcpd4;
pub mod isc_dhcpd6;
pub mod kea;
pub mod udhcpd;

/// The interface on which servers serve.
pub const INTERFACE: &str = "s0";

/// What a server is told about time, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// When clients renew.
    pub t1: u32,
    /// When clients rebind.
    pub t2: u32,
    /// When leases end. DHCPv6 servers prefer addresses for as long.
    pub valid: u32,
}

impl Lifetimes {
    /// Short enough to wait for each, with room for a slow machine between them.
    pub const SHORT: Self = Self { t1: 4, t2: 9, valid: 20 };
    /// So long that nothing happens unless somebody does it.
    pub const LONG: Self = Self { t1: 300, t2: 500, valid: 600 };
}
