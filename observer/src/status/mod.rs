//! What there is to know of a running observer at one moment: for `dhcp-observer status`, for Prometheus, for the log.

mod durations;
pub mod metrics;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use durations::{BOUNDS, Durations};

/// One moment of a running observer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it began, in Unix seconds.
    pub started: f64,
    /// The moment that this is about, in Unix seconds.
    pub now: f64,
    /// The interfaces that are observed, with how.
    pub interfaces: Vec<Interface>,
    /// Counts that only grow, by group and name; see [`GROUPS`].
    pub counts: BTreeMap<String, BTreeMap<String, u64>>,
    /// What there is at the moment, by name: leases, deadlines, queues.
    pub gauges: BTreeMap<String, u64>,
    /// The hooks in the order of the configuration.
    pub hooks: Vec<Hook>,
    /// What is kept on disk; `None` without a state directory.
    pub store: Option<Store>,
}

/// An observed interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: Option<u32>,
    /// How it is observed: TCX, clsact or XDP.
    pub road: String,
}

/// One configured hook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// `exec`, `stream` or `batch`.
    pub mode: String,
    /// Calls that wait.
    pub queued: u64,
    /// Calls that run, or are with a stream.
    pub running: u64,
    /// Counts that only grow, by name.
    pub counts: BTreeMap<String, u64>,
    /// How long its calls took.
    pub durations: Durations,
}

/// What is kept on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Store {
    /// The database file.
    pub path: String,
    /// Whether the disk failed and everything is kept in memory for the time being.
    pub degraded: bool,
    /// Calls that are stored and not done.
    pub outbox: u64,
    /// Calls that were given up.
    pub dead: u64,
    /// Counts that only grow, by name.
    pub counts: BTreeMap<String, u64>,
    /// How long the writer's transactions took, each from its beginning until it was committed.
    pub commits: Durations,
}

/// A group of counts: its name, the label that tells its members apart, and what it says.
pub struct Group {
    /// The name in [`Status::counts`], and behind `dhcp_observer_` the name of the metric.
    pub name: &'static str,
    /// The label's name.
    pub label: &'static str,
    /// What it says.
    pub help: &'static str,
}

const fn group(name: &'static str, label: &'static str, help: &'static str) -> Group {
    Group { name, label, help }
}

/// The groups of counts.
pub const GROUPS: [Group; 12] = [
    group("kernel", "outcome", "Frames that the eBPF programs looked at, by what became of them"),
    group("frames", "outcome", "Frames read from the ring buffer, by what became of them"),
    group("messages4", "type", "DHCPv4 messages by type"),
    group("messages6", "type", "DHCPv6 messages by type"),
    group("malformed4", "fault", "Faults in DHCPv4 messages by reason"),
    group("malformed6", "fault", "Faults in DHCPv6 messages by reason"),
    group("hook_points", "hook_point", "Events by Kea's hook point"),
    group("events", "event", "Events by what happened to the lease"),
    group("tracker", "what", "What the tracker passed over or inferred"),
    group("network", "what", "Events beside leases, and those left out"),
    group("hooks", "what", "Calls of all hooks together, by what became of them"),
    group("observer", "what", "Whatever else was lost or left out"),
];

impl Status {
    /// Adds to a count; one that is zero is there too, so that a scrape sees it before it first grows.
    pub fn add(&mut self, group: &str, name: &str, count: u64) {
        *self.counts.entry(group.to_owned()).or_default().entry(name.to_owned()).or_default() += count;
    }

    /// Adds several.
    pub fn add_all<'a>(&mut self, group: &str, counts: impl IntoIterator<Item = (&'a str, u64)>) {
        counts.into_iter().for_each(|(name, count)| self.add(group, name, count));
    }

    /// Says what there is at the moment.
    pub fn set(&mut self, name: &str, value: u64) {
        self.gauges.insert(name.to_owned(), value);
    }
}
