//! What the observer knows from configuration: the networks, identifiers and timers that the wire cannot tell.
//!
//! [`kea::load`] reads Kea's own configuration files. What comes out, [`ServerConfig`], is validated, never changes
//! afterwards and answers questions without I/O: to which subnet an address belongs, whether two addresses are on one
//! network, whether Kea would reuse a lease. Without a file the [`Default`] stands: no subnets, Kea's default timers.

pub mod file;
pub mod kea;

mod dhcp4;
mod dhcp6;
mod hostname;
mod json;
mod place;
mod prefix;
mod reservation;
mod source;
mod timers;
mod version;

pub use dhcp4::{Dhcp4, Subnet4};
pub use dhcp6::{Dhcp6, MacSource, PdPool, Subnet6};
pub use hostname::HostnameFrom;
pub use place::{ConfigError, Place};
pub use reservation::{Identifier, IdentifierKind, Reservations, Reserved4, Reserved6};
pub use timers::{CacheRule, ExpiredLeases};
pub use version::KeaVersion;

/// What is known of the DHCP server, one half for each protocol, and what was asked for.
///
/// The default is "no configuration given": no subnets, and the timers that Kea has when nobody sets them.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// Which Kea is imitated.
    pub version: KeaVersion,
    /// Kea's `Dhcp4`.
    pub dhcp4: Dhcp4,
    /// Kea's `Dhcp6`.
    pub dhcp6: Dhcp6,
    /// `--hostname`: whose word counts for a lease's host name, if somebody said so.
    pub hostname: Option<HostnameFrom>,
}

impl ServerConfig {
    /// No configuration given, and the defaults of this Kea.
    pub fn of(version: KeaVersion) -> Self {
        let mut config = Self { version, ..Self::default() };
        config.dhcp4.cache = CacheRule::of(version);
        config.dhcp6.cache = CacheRule::of(version);
        config
    }
}
