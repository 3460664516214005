//! The dialect of Kea's `run_script` hook library, variable by variable in Kea's order.

mod lease;
mod query;
mod query4;
mod query6;
mod reference;

use std::collections::VecDeque;

use crate::config::KeaVersion;
use crate::tracker::network::Frames;
use crate::tracker::{Exchange4, Exchange6, LeaseEvent, Occurrence};

use super::invocation::{Invocation, Strings};
use super::observer;
use super::text;
use super::variable::{write_all, write_one};
use super::{Call, Dialect, Options};

use query4::{Client4, QUERY4, SUBNET4, pkt4};
use query6::{PKT6_IA, QUERY6, QUERY6_RELAY};

pub(super) use lease::{LEASE4, LEASE6};
pub(super) use reference::reference;

/// The dialect. It remembers nothing: every event is a call of its own.
#[derive(Debug)]
pub struct Kea {
    version: KeaVersion,
    calls: VecDeque<Call>,
}

impl Kea {
    /// The dialect of this version of Kea.
    pub fn new(version: KeaVersion) -> Self {
        Self { version, calls: VecDeque::new() }
    }
}

impl Dialect for Kea {
    fn handle_event(&mut self, event: &LeaseEvent, wanted: bool) {
        if !wanted {
            return;
        }
        let Some(word) = hook_point(&event.occurrence) else { return };
        let Some(invocation) = invocation(event, self.version) else { return };
        let (subjects, changes) = (event.subjects(), event.changes_anything());
        self.calls.push_back(Call { word, event: event.event, subjects, changes, invocation });
    }

    fn poll_call(&mut self) -> Option<Call> {
        self.calls.pop_front()
    }

    fn set_options(&mut self, options: &Options) {
        self.version = options.version;
    }
}

/// The call that Kea would have made for this event, and the `OBSERVER_` variables behind Kea's own. `None` for what Kea has
/// no hook point for.
pub fn invocation(event: &LeaseEvent, version: KeaVersion) -> Option<Invocation> {
    let hook_point = hook_point(&event.occurrence)?;
    // Room for the largest call that is common, so that it is not moved while it grows.
    let mut environment = Strings::with_capacity(80, 2_560);
    write_environment(&mut environment, &event.occurrence, version);
    observer::write(&mut environment, event);
    let mut arguments = Strings::with_capacity(1, 20);
    arguments.push(hook_point.as_bytes());
    Some(Invocation { at: event.at, arguments, environment })
}

/// The hook points of Kea.
pub const HOOK_POINTS: [&str; 14] = [
    "lease4_renew",
    "leases4_committed",
    "lease4_release",
    "lease4_decline",
    "lease4_expire",
    "lease4_recover",
    "lease6_renew",
    "lease6_rebind",
    "leases6_committed",
    "lease6_release",
    "lease6_decline",
    "lease6_expire",
    "addr6_register",
    "lease6_recover",
];

/// The name of the hook point: Kea's only argument. `None` for what is no hook point.
pub fn hook_point(occurrence: &Occurrence) -> Option<&'static str> {
    Some(match occurrence {
        Occurrence::Renew4 { .. } => "lease4_renew",
        Occurrence::Committed4 { .. } => "leases4_committed",
        Occurrence::Release4 { .. } => "lease4_release",
        Occurrence::Decline4 { .. } => "lease4_decline",
        Occurrence::Expire4 { .. } => "lease4_expire",
        Occurrence::Recover4 { .. } => "lease4_recover",
        Occurrence::Renew6 { .. } => "lease6_renew",
        Occurrence::Rebind6 { .. } => "lease6_rebind",
        Occurrence::Committed6 { .. } => "leases6_committed",
        Occurrence::Release6 { .. } => "lease6_release",
        Occurrence::Decline6 { .. } => "lease6_decline",
        Occurrence::Expire6 { .. } => "lease6_expire",
        Occurrence::Register6 { .. } => "addr6_register",
        Occurrence::Recover6 { .. } => "lease6_recover",
        Occurrence::Network(sighting) => sighting.finding.kind().hook_point(),
        Occurrence::Heard4 { .. } | Occurrence::Heard6 { .. } => return None,
    })
}

fn write_environment(environment: &mut Strings, occurrence: &Occurrence, version: KeaVersion) {
    match occurrence {
        Occurrence::Renew4 { exchange, subnet, lease } => {
            write_all(environment, "", QUERY4, exchange);
            write_all(environment, "", SUBNET4, subnet);
            write_all(environment, "", &pkt4(), &Client4 { exchange, subnet: *subnet });
            write_all(environment, "LEASE4_", LEASE4, lease);
        }
        Occurrence::Committed4 { exchange, leases, deleted } => {
            write_all(environment, "", QUERY4, exchange);
            write_list(environment, "LEASES4", leases, |environment, prefix, lease| {
                write_all(environment, prefix, LEASE4, lease);
            });
            write_list(environment, "DELETED_LEASES4", deleted, |environment, prefix, lease| {
                write_all(environment, prefix, LEASE4, lease);
            });
        }
        Occurrence::Release4 { exchange, lease } | Occurrence::Decline4 { exchange, lease } => {
            write_all(environment, "", QUERY4, exchange);
            write_all(environment, "LEASE4_", LEASE4, lease);
        }
        Occurrence::Expire4 { lease, remove } => {
            write_all(environment, "LEASE4_", LEASE4, lease);
            write_remove(environment, *remove);
        }
        Occurrence::Recover4 { lease } => write_all(environment, "LEASE4_", LEASE4, lease),
        Occurrence::Renew6 { exchange, ia, lease } | Occurrence::Rebind6 { exchange, ia, lease } => {
            write_query6(environment, exchange, version);
            write_all(environment, "LEASE6_", LEASE6, lease);
            write_all(environment, "", PKT6_IA, ia);
        }
        Occurrence::Committed6 { exchange, leases, deleted } => {
            write_query6(environment, exchange, version);
            write_list(environment, "LEASES6", leases, |environment, prefix, lease| {
                write_all(environment, prefix, LEASE6, lease);
            });
            write_list(environment, "DELETED_LEASES6", deleted, |environment, prefix, lease| {
                write_all(environment, prefix, LEASE6, lease);
            });
        }
        Occurrence::Release6 { exchange, lease } | Occurrence::Decline6 { exchange, lease } => {
            write_query6(environment, exchange, version);
            write_all(environment, "LEASE6_", LEASE6, lease);
        }
        Occurrence::Expire6 { lease, remove } => {
            write_all(environment, "LEASE6_", LEASE6, lease);
            write_remove(environment, *remove);
        }
        Occurrence::Register6 { exchange, old, lease } => {
            write_query6(environment, exchange, version);
            write_one(environment, "ADDRESS6", |out| text::ipv6(out, lease.address));
            if let Some(old) = old {
                write_all(environment, "OLD_LEASE6_", LEASE6, old);
            }
            write_all(environment, "NEW_LEASE6_", LEASE6, lease);
        }
        Occurrence::Recover6 { lease } => write_all(environment, "LEASE6_", LEASE6, lease),
        Occurrence::Network(sighting) => match &sighting.frames {
            Frames::V4(exchange) => write_all(environment, "", QUERY4, exchange),
            Frames::V6(exchange) => write_query6(environment, exchange, version),
        },
        Occurrence::Heard4 { .. } | Occurrence::Heard6 { .. } => {}
    }
}

/// The variables of the question of a DHCPv4 exchange.
pub(super) fn write_query4(environment: &mut Strings, exchange: &Exchange4) {
    write_all(environment, "", QUERY4, exchange);
}

/// The variables of the question of a DHCPv6 exchange.
pub(super) fn write_query6(environment: &mut Strings, exchange: &Exchange6, version: KeaVersion) {
    write_all(environment, "", QUERY6, exchange);
    if version.shows_relay_options() {
        write_all(environment, "", QUERY6_RELAY, exchange);
    }
}

fn write_remove(environment: &mut Strings, remove: bool) {
    write_one(environment, "REMOVE_LEASE", |out| text::boolean(out, remove));
}

/// `<NAME>_SIZE`, then the variables of each element behind `<NAME>_AT<index>_`.
fn write_list<L>(environment: &mut Strings, name: &str, list: &[L], write: impl Fn(&mut Strings, &str, &L)) {
    environment.push_variable(name, "_SIZE", |out| {
        text::number(out, list.len());
        true
    });
    let mut prefix = String::with_capacity(name.len() + 8);
    for (index, element) in list.iter().enumerate() {
        prefix.clear();
        for piece in [name, "_AT", itoa::Buffer::new().format(index), "_"] {
            prefix.push_str(piece);
        }
        write(environment, &prefix, element);
    }
}
