//! dhcpcd of either family, which does everything when told.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use crate::clients::{INTERFACE, RunningClient};
use crate::netns::Namespace;
use crate::service::{Recipe, Service, write};

/// Where it keeps leases, its identifier and its control socket, whatever it is told.
const FIXED: &[&str] = &["/run", "/var/lib/dhcpcd"];

/// What it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A DHCPv4 address.
    V4,
    /// A DHCPv6 address.
    Address6,
    /// A DHCPv6 address and a prefix.
    AddressAndPrefix6,
}

/// A running dhcpcd.
#[derive(Debug)]
pub struct Dhcpcd {
    service: Service,
    configuration: String,
}

impl Dhcpcd {
    /// Starts one that calls itself `name`, without router solicitations and without probing addresses.
    pub fn start(namespace: &Namespace, directory: &Path, wants: Wants, name: &str) -> Result<Self> {
        let family = match wants {
            Wants::V4 => "ipv4only\nnoarp\n".to_owned(),
            Wants::Address6 => format!("ipv6only\nnoipv6rs\ninterface {INTERFACE}\nia_na 1\n"),
            Wants::AddressAndPrefix6 => {
                format!("ipv6only\nnoipv6rs\ninterface {INTERFACE}\nia_na 1\nia_pd 2 -\n")
            }
        };
        let configuration = format!(
            "debug\nnodev\nnohook resolv.conf, hostname, ntp.conf, timesyncd.conf\nscript /bin/true\n\
             duid ll\noption subnet_mask, routers\nrequire dhcp_server_identifier\nhostname_short\nhostname {name}\n\
             timeout 0\n{family}"
        );
        let configuration = write(directory, "dhcpcd.conf", &configuration)?;
        let arguments = ["-B", "-f", &configuration, INTERFACE];
        let recipe = Recipe::new("dhcpcd", &arguments, "executing").private(FIXED);
        Ok(Self { service: Service::start(namespace, directory, recipe)?, configuration })
    }

    fn tell(&mut self, what: &str) -> Result<()> {
        let configuration = self.configuration.clone();
        self.service.beside("dhcpcd", &["-f", &configuration, what, INTERFACE])
    }
}

impl RunningClient for Dhcpcd {
    fn renew(&mut self) -> Result<()> {
        self.tell("--renew")
    }

    fn rebind(&mut self) -> Result<bool> {
        self.tell("--rebind").map(|()| true)
    }

    fn release(&mut self) -> Result<()> {
        // Its processes do not always agree on when to end; what counts is what it has said by then.
        // A signal that comes while it starts its hook can be lost.
        for _ in 0..5 {
            self.service.signal(Signal::SIGALRM)?;
            if self.service.wait_for_log("received SIGALRM", Duration::from_secs(2)).is_ok() {
                return Ok(());
            }
        }
        bail!("dhcpcd does not hear SIGALRM: {}", self.service.log())
    }

    fn vanish(&mut self) -> Result<()> {
        self.service.end(Signal::SIGKILL)
    }
}
