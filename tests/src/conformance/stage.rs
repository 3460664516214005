//! Where a scenario plays: Kea and the observer on one interface, a hook each, and clients behind the cable.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::call::Call;
use crate::client::message4::Kind;
use crate::client::message6::Ia;
use crate::client::v4::Client4;
use crate::client::v6::Client6;
use crate::conformance::scenario::Scenario;
use crate::hook::DumpHook;
use crate::kea::{Config, Family, Kea};
use crate::link::{Cable, End, veth};
use crate::netns::Namespace;
use crate::observer::{Ended, Observer};
use crate::scratch::Scratch;
use crate::wait;

/// How long an expiry may take: leases of a few seconds, Kea's reclaim timer of 1 s, and a slow machine.
const EXPIRY: Duration = Duration::from_secs(20);
/// The number of the client whose questions mark a place in the traffic.
const MARKER: u8 = 250;

/// Both programs, their hooks and the cable.
#[derive(Debug)]
pub struct Stage {
    /// The interface that is observed, and the clients' one.
    pub cable: Cable,
    /// A directory for what clients leave behind.
    pub scratch: Scratch,
    config: Config,
    kea: Option<Kea>,
    observer: Option<Observer>,
    real: DumpHook,
    observed: DumpHook,
}

/// What the two hooks wrote down.
#[derive(Clone, Debug)]
pub struct Story {
    /// The calls that Kea made.
    pub real: Vec<Call>,
    /// The calls that the observer made.
    pub observed: Vec<Call>,
    /// What the observer left behind.
    pub observer: Ended,
}

impl Stage {
    /// Starts everything. `before` runs when the cable is there and nothing else is.
    pub fn set(scenario: &Scenario, before: impl FnOnce(&Cable) -> Result<()>) -> Result<Self> {
        let config = (scenario.kea)(Config::plain(scenario.family)?);
        let (scratch, cable) = (Scratch::new()?, cable()?);
        before(&cable)?;
        let (a, b) = (scratch.directory("kea")?, scratch.directory("observer")?);
        let (real, observed) = (DumpHook::install(&a)?, DumpHook::install(&b)?);
        let server = &cable.server;
        let kea = Kea::start(&server.namespace, &a, config.clone(), real.script())?;
        let known = kea.config().to_str().context("a path that is not UTF-8")?;
        let options = ["--kea-config", known];
        let observer = Observer::start(&server.namespace, &b, server.name, observed.script(), &options)?;
        let stage = Self { cable, scratch, config, kea: Some(kea), observer: Some(observer), real, observed };
        stage.early_in_a_second();
        Ok(stage)
    }

    /// A scripted DHCPv4 client.
    pub fn v4(&self, number: u8) -> Result<Client4> {
        Client4::new(&self.cable, number)
    }

    /// A scripted DHCPv6 client.
    pub fn v6(&self, number: u8, associations: Vec<Ia>) -> Result<Client6> {
        Client6::new(&self.cable, number, associations)
    }

    /// The clients' side of the cable, for real programs.
    pub fn clients(&self) -> &Namespace {
        &self.cable.client.namespace
    }

    /// Returns when Kea has handled everything that was sent before: it has answered a question that calls no hook, and
    /// it answers one after the other.
    pub fn fence(&self) -> Result<()> {
        match self.config.family() {
            Family::V4 => drop(self.v4(MARKER)?.inform(Ipv4Addr::new(192, 0, 2, 9))?),
            Family::V6 => drop(self.v6(MARKER, Vec::new())?.information_request()?),
        }
        Ok(())
    }

    /// Waits until Kea has called its hook at this hook point for this address.
    pub fn called(&self, hook: &str, address: impl ToString) -> Result<()> {
        let address = address.to_string();
        let wanted = |call: &Call| {
            call.hook() == hook && call.any(&["LEASE4_ADDRESS", "LEASE6_ADDRESS"]) == Some(&address)
        };
        self.real.wait_for_call(&format!("{hook} of {address}"), EXPIRY, wanted)?;
        Ok(())
    }

    /// Waits until Kea has called its hook this often.
    pub fn calls(&self, count: usize, within: Duration) -> Result<()> {
        self.real.wait_for(count, within).map(drop)
    }

    /// Waits until Kea's hook has been called as the condition wants it.
    pub fn until(&self, what: &str, within: Duration, wanted: impl Fn(&[Call]) -> bool) -> Result<()> {
        wait::until(what, within, || Ok(wanted(&self.real.calls()?).then_some(())))
    }

    /// Lets this much time pass: the point of the scenario is that a lease grows old.
    pub fn let_pass(&self, seconds: f64) {
        wait::pace(wait::now() + Duration::from_secs_f64(seconds));
    }

    /// Lets time pass until the clock that leases are counted by is early in a second.
    ///
    /// Both programs cut the time to whole seconds, one after the other: what happens early in a second happens in the
    /// same second for both.
    pub fn early_in_a_second(&self) {
        let now = wait::unix_now();
        let fraction = now - now.floor();
        if fraction > 0.4 {
            self.let_pass(1.02 - fraction);
        }
    }

    /// Ends Kea, which forgets every lease unless it is configured to keep them, and starts it again. The observer stays.
    pub fn restart_kea(&mut self) -> Result<()> {
        self.restart_kea_with(|config| config)
    }

    /// The same with a change of its configuration, of which the observer does not hear.
    pub fn restart_kea_with(&mut self, change: impl FnOnce(Config) -> Config) -> Result<()> {
        self.end_kea()?;
        self.config = change(self.config.clone());
        let (script, server) = (self.real.script(), &self.cable.server);
        let directory = script.parent().context("the hook is in no directory")?;
        self.kea = Some(Kea::start(&server.namespace, directory, self.config.clone(), script)?);
        Ok(())
    }

    fn end_kea(&mut self) -> Result<()> {
        let mut kea = self.kea.take().context("Kea is not running")?;
        kea.stop()?;
        kea.wait_for_scripts()
    }

    /// The configuration file that both programs read.
    pub fn kea_config(&self) -> Option<&Path> {
        self.kea.as_ref().map(Kea::config)
    }

    /// The last lines of Kea's log.
    pub fn end_of_log(&self) -> String {
        let log = self.kea.as_ref().map(Kea::log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(6)..].join("\n")
    }

    /// Ends everything in the order in which nothing is missed, and tells what the hooks wrote down.
    pub fn strike(&mut self) -> Result<Story> {
        self.fence()?;
        self.end_kea()?;
        // Kea and its scripts are done, so the observer has been shown all that caused a call. It ends after its hooks.
        let observer = self.observer.take().context("the observer is not running")?.stop()?;
        Ok(Story { real: self.real.calls()?, observed: self.observed.calls()?, observer })
    }
}

/// The topology of the recordings, with a link-local address on the clients' side, which real clients need.
fn cable() -> Result<Cable> {
    let (near, far) = (Namespace::new()?, Namespace::new()?);
    let client = End { link_local: true, ..End::recorded_client() };
    let (server, client) = veth(&near, &End::recorded_server(), &far, &client)?;
    Ok(Cable { server, client })
}

/// The answer must be of this type.
pub fn expect(answer: &crate::client::message4::Message4, kind: Kind) -> Result<()> {
    anyhow::ensure!(answer.is(kind), "expected {kind:?}, the answer was {answer:?}");
    Ok(())
}
