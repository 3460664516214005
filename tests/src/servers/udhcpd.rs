//! udhcpd of BusyBox.

use std::path::Path;

use anyhow::Result;

use crate::netns::Namespace;
use crate::servers::{INTERFACE, Lifetimes};
use crate::service::{Recipe, Service, write};

/// How udhcpd is configured.
#[derive(Clone, Debug)]
pub struct Udhcpd {
    /// Its timers.
    pub lifetimes: Lifetimes,
}

impl Udhcpd {
    /// With these timers.
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes }
    }

    /// Starts it. It knows one subnet only, so it is no use behind relays.
    pub fn start(&self, namespace: &Namespace, directory: &Path) -> Result<Service> {
        let Lifetimes { t1, t2, valid } = self.lifetimes;
        let leases = write(directory, "udhcpd.leases", "")?;
        let pid = directory.join("udhcpd.pid");
        let configuration = format!(
            "start 192.0.2.100\nend 192.0.2.199\ninterface {INTERFACE}\nmin_lease 1\nauto_time 1\nmax_leases 100\n\
             lease_file {leases}\npidfile {}\n\
             option subnet 255.255.255.0\noption router 192.0.2.1\noption lease {valid}\n\
             option 0x3a {t1:08x}\noption 0x3b {t2:08x}\n",
            pid.display()
        );
        let configuration = write(directory, "udhcpd.conf", &configuration)?;
        // An address is given out after nobody answered for it for so many milliseconds.
        let arguments = ["-f", "-a", "50", &configuration];
        Service::start(namespace, directory, Recipe::new("udhcpd", &arguments, "started"))
    }
}
