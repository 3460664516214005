//! All clients behind one face, so that a test can go through them.

use std::path::Path;

use anyhow::Result;

use crate::clients::RunningClient;
use crate::clients::dhclient::{self, Dhclient};
use crate::clients::dhcpcd::{self, Dhcpcd};
use crate::clients::udhcpc::Udhcpc;
use crate::clients::wide_dhcp6c::WideDhcp6c;
use crate::netns::Namespace;

/// Which client, and what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the programs")]
pub enum Client {
    Dhclient(dhclient::Wants),
    Dhcpcd(dhcpcd::Wants),
    Udhcpc,
    /// With or without a prefix.
    WideDhcp6c(bool),
}

impl Client {
    /// The program that it is.
    pub fn program(self) -> &'static str {
        match self {
            Self::Dhclient(_) => "dhclient",
            Self::Dhcpcd(_) => "dhcpcd",
            Self::Udhcpc => "udhcpc",
            Self::WideDhcp6c(_) => "dhcp6c",
        }
    }

    /// Whether it speaks DHCPv6.
    pub fn is_v6(self) -> bool {
        match self {
            Self::Dhclient(wants) => wants != dhclient::Wants::V4,
            Self::Dhcpcd(wants) => wants != dhcpcd::Wants::V4,
            Self::Udhcpc => false,
            Self::WideDhcp6c(_) => true,
        }
    }

    /// How many leases it holds at a time.
    pub fn leases(self) -> usize {
        match self {
            Self::Dhclient(dhclient::Wants::AddressAndPrefix6)
            | Self::Dhcpcd(dhcpcd::Wants::AddressAndPrefix6)
            | Self::WideDhcp6c(true) => 2,
            Self::Dhclient(_) | Self::Dhcpcd(_) | Self::Udhcpc | Self::WideDhcp6c(false) => 1,
        }
    }

    /// Starts one that calls itself `name`, if it can.
    pub fn start(
        self,
        namespace: &Namespace,
        directory: &Path,
        name: &str,
    ) -> Result<Box<dyn RunningClient>> {
        Ok(match self {
            Self::Dhclient(wants) => Box::new(Dhclient::start(namespace, directory, wants, name)?),
            Self::Dhcpcd(wants) => Box::new(Dhcpcd::start(namespace, directory, wants, name)?),
            Self::Udhcpc => Box::new(Udhcpc::start(namespace, directory, name)?),
            Self::WideDhcp6c(prefix) => Box::new(WideDhcp6c::start(namespace, directory, prefix)?),
        })
    }
}
