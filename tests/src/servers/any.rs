//! All servers behind one face, so that a test can go through them.

use std::path::Path;

use anyhow::Result;

use crate::kea::Family;
use crate::netns::Namespace;
use crate::servers::Lifetimes;
use crate::servers::dnsmasq::{self, Dnsmasq};
use crate::servers::isc_dhcpd4::IscDhcpd4;
use crate::servers::isc_dhcpd6::IscDhcpd6;
use crate::servers::kea::KeaServer;
use crate::servers::udhcpd::Udhcpd;
use crate::service::Service;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the programs, with the family")]
pub enum Server {
    Dhcpd4,
    Dhcpd6,
    Dnsmasq,
    Kea4,
    Kea6,
    Udhcpd,
}

/// One that runs.
#[derive(Debug)]
pub enum Running {
    /// Kea.
    Kea(KeaServer),
    /// Any other.
    Service(Service),
}

impl Server {
    /// The program that it is.
    pub fn program(self) -> &'static str {
        match self {
            Self::Dhcpd4 | Self::Dhcpd6 => "dhcpd",
            Self::Dnsmasq => "dnsmasq",
            Self::Kea4 => "kea-dhcp4",
            Self::Kea6 => "kea-dhcp6",
            Self::Udhcpd => "udhcpd",
        }
    }

    /// Starts it.
    pub fn start(self, namespace: &Namespace, directory: &Path, lifetimes: Lifetimes) -> Result<Running> {
        let kea = |family| KeaServer::start(namespace, directory, family, lifetimes).map(Running::Kea);
        match self {
            Self::Dhcpd4 => IscDhcpd4::new(lifetimes).start(namespace, directory).map(Running::Service),
            Self::Dhcpd6 => IscDhcpd6::new(lifetimes).start(namespace, directory).map(Running::Service),
            Self::Dnsmasq => Dnsmasq::new(lifetimes).start(namespace, directory).map(Running::Service),
            Self::Kea4 => kea(Family::V4),
            Self::Kea6 => kea(Family::V6),
            Self::Udhcpd => Udhcpd::new(lifetimes).start(namespace, directory).map(Running::Service),
        }
    }

    /// How long its leases last with these timers.
    pub fn valid(self, lifetimes: Lifetimes) -> u32 {
        match self {
            Self::Dnsmasq => dnsmasq::SHORTEST,
            Self::Dhcpd4 | Self::Dhcpd6 | Self::Kea4 | Self::Kea6 | Self::Udhcpd => lifetimes.valid,
        }
    }
}

impl Running {
    /// Ends it.
    pub fn stop(&mut self) -> Result<()> {
        match self {
            Self::Kea(server) => server.stop(),
            Self::Service(server) => server.stop(),
        }
    }

    /// Starts it again, with the leases that it had.
    pub fn start_again(&mut self) -> Result<()> {
        match self {
            Self::Kea(server) => server.start_again(),
            Self::Service(server) => server.start_again(),
        }
    }
}
