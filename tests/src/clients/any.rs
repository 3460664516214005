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
