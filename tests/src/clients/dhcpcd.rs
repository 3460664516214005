//! dhcpcd of either family, which does everything when told.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use crate::clients::{INTERFACE, RunningClient};
use crate::netns::Namespace;
use crate::service::{Recipe, Service, write};
use crate::wait;

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

/// How long an answer may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A running dhcpcd.
#[derive(Debug)]
pub struct Dhcpcd {
    service: Service,
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
        Ok(Self { service: Service::start(namespace, directory, recipe)? })
    }

    /// Sends it a signal until it says that it heard it: one that comes while it starts its hook can be lost.
    fn tell(&mut self, signal: Signal) -> Result<()> {
        let heard = format!("received {signal}");
        let before = self.service.log().matches(&heard).count();
        for _ in 0..5 {
            self.service.signal(signal)?;
            let looked = wait::until(&heard, Duration::from_secs(2), || {
                Ok((self.service.log().matches(&heard).count() > before).then_some(()))
            });
            if looked.is_ok() {
                return Ok(());
            }
        }
        bail!("dhcpcd does not hear {signal}: {}", self.service.log())
    }
}

impl RunningClient for Dhcpcd {
    fn renew(&mut self) -> Result<()> {
        self.tell(Signal::SIGUSR1)
    }

    /// One that waits for the answer to a renewal of DHCPv6 releases nothing.
    fn settle(&mut self) -> Result<()> {
        let is_answered = |log: &str| {
            let asked =
                ["SOLICIT6 (", "REQUEST6 (", "RENEW6 (", "received SIGUSR1"].map(|word| log.rfind(word));
            !log.contains("SOLICIT6 (") || asked.into_iter().max().flatten() <= log.rfind("REPLY6 received")
        };
        wait::until("an answer to dhcpcd's last question", SOON, || {
            Ok(is_answered(&self.service.log()).then_some(()))
        })
    }

    fn rebind(&mut self) -> Result<bool> {
        self.tell(Signal::SIGHUP).map(|()| true)
    }

    /// Its processes do not always agree on when to end; what counts is what it has said by then.
    fn release(&mut self) -> Result<()> {
        self.tell(Signal::SIGALRM)
    }

    fn vanish(&mut self) -> Result<()> {
        self.service.end(Signal::SIGKILL)
    }
}
