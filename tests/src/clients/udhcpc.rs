//! udhcpc of BusyBox.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::clients::{INTERFACE, RunningClient};
use crate::netns::Namespace;
use crate::service::{Recipe, Service, write_script};
use crate::wait;

/// Configures the interface with what udhcpc was given.
const SCRIPT: &str = r#"#!/bin/sh
PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin
case $1 in
deconfig) ip link set "$interface" up; ip -4 addr flush dev "$interface" ;;
bound|renew)
    ip addr replace "$ip/$mask" dev "$interface"
    [ -z "$router" ] || ip route replace default via "${router%% *}" dev "$interface" ;;
esac
exit 0
"#;

/// What it says when it is done with an answer.
const BOUND: &str = "lease of ";
/// How long it may take to do as it is told.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running udhcpc.
#[derive(Debug)]
pub struct Udhcpc {
    service: Service,
    /// How often it was bound or told to renew.
    asked: usize,
}

impl Udhcpc {
    /// Starts one that calls itself `name` and sends a packet a second while it has no answer.
    pub fn start(namespace: &Namespace, directory: &Path, name: &str) -> Result<Self> {
        let script = write_script(directory, "udhcpc-script", SCRIPT)?;
        let name = format!("hostname:{name}");
        let arguments = ["-f", "-i", INTERFACE, "-s", &script, "-t", "20", "-T", "2", "-x", &name];
        Ok(Self {
            service: Service::start(namespace, directory, Recipe::new("udhcpc", &arguments, "started"))?,
            asked: 1,
        })
    }
}

impl RunningClient for Udhcpc {
    /// It can miss an answer that comes while the socket is open from which it asked; then it asks again.
    fn settle(&mut self) -> Result<()> {
        wait::until("bound udhcpc", PATIENCE, || {
            Ok((self.service.log().matches(BOUND).count() >= self.asked).then_some(()))
        })
    }

    fn renew(&mut self) -> Result<()> {
        self.asked += 1;
        self.service.signal(Signal::SIGUSR1)
    }

    fn release(&mut self) -> Result<()> {
        self.service.signal(Signal::SIGUSR2)?;
        self.service.wait_for_log("entering released state", PATIENCE)?;
        self.service.end(Signal::SIGKILL)
    }

    fn vanish(&mut self) -> Result<()> {
        self.service.end(Signal::SIGKILL)
    }
}
