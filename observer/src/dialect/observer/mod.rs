//! The variables of our own, behind those of every dialect: what only an observer can know, or what Kea does not tell.

mod exchange;
mod leases;
mod network;
mod reference;
mod relays;

use crate::tracker::network::Frames;
use crate::tracker::{Event, LeaseEvent, Occurrence, Place};

use super::invocation::Strings;
use super::variable::{write_all, write_one};

pub(super) use reference::reference;

/// Appends them all, in the order of the reference.
pub(super) fn write(environment: &mut Strings, event: &LeaseEvent) {
    if event.event != Event::Heard {
        write_text(environment, "OBSERVER_EVENT", event.event.name());
    }
    let certainty = if event.is_inferred() {
        "inferred"
    } else if event.estimated {
        "estimated"
    } else {
        "observed"
    };
    write_text(environment, "OBSERVER_CERTAINTY", certainty);
    for (name, is_so) in [("OBSERVER_INFERRED", event.is_inferred()), ("OBSERVER_ESTIMATED", event.estimated)]
    {
        if is_so {
            write_text(environment, name, "1");
        }
    }
    match &event.occurrence {
        Occurrence::Renew4 { exchange, lease, .. } => {
            exchange::write4(environment, exchange);
            relays::write4(environment, exchange, lease.relay.as_deref());
            leases::write_one4(environment, lease, before(&event.before4, 0));
        }
        Occurrence::Committed4 { exchange, leases, deleted } => {
            exchange::write4(environment, exchange);
            let relay = leases.iter().chain(deleted).find_map(|lease| lease.relay.as_deref());
            relays::write4(environment, exchange, relay);
            leases::write_lists4(environment, leases, &event.before4, deleted);
        }
        Occurrence::Release4 { exchange, lease } | Occurrence::Decline4 { exchange, lease } => {
            exchange::write4(environment, exchange);
            relays::write4(environment, exchange, lease.relay.as_deref());
            leases::write_one4(environment, lease, None);
        }
        Occurrence::Expire4 { lease, .. } | Occurrence::Recover4 { lease } => {
            exchange::write_place(environment, &lease.place);
            relays::write_relay4(environment, lease.relay.as_deref());
            leases::write_one4(environment, lease, None);
        }
        Occurrence::Renew6 { exchange, lease, .. } | Occurrence::Rebind6 { exchange, lease, .. } => {
            exchange::write6(environment, exchange);
            relays::write6(environment, exchange);
            leases::write_one6(environment, lease, before(&event.before6, 0));
        }
        Occurrence::Register6 { exchange, lease, .. }
        | Occurrence::Release6 { exchange, lease }
        | Occurrence::Decline6 { exchange, lease } => {
            exchange::write6(environment, exchange);
            relays::write6(environment, exchange);
            leases::write_one6(environment, lease, None);
        }
        Occurrence::Committed6 { exchange, leases, deleted } => {
            exchange::write6(environment, exchange);
            relays::write6(environment, exchange);
            leases::write_lists6(environment, leases, &event.before6, deleted);
        }
        Occurrence::Expire6 { lease, .. } | Occurrence::Recover6 { lease } => {
            exchange::write_place(environment, &lease.place);
            leases::write_one6(environment, lease, None);
        }
        Occurrence::Network(sighting) => {
            match &sighting.frames {
                Frames::V4(exchange) => {
                    exchange::write4(environment, exchange);
                    relays::write4(environment, exchange, None);
                }
                Frames::V6(exchange) => {
                    exchange::write6(environment, exchange);
                    relays::write6(environment, exchange);
                }
            }
            write_all(environment, "", network::SIGHTING, sighting);
        }
        Occurrence::Heard4 { exchange } => {
            exchange::write4(environment, exchange);
            relays::write4(environment, exchange, None);
        }
        Occurrence::Heard6 { exchange } => {
            exchange::write6(environment, exchange);
            relays::write6(environment, exchange);
        }
    }
}

/// Those of a deadline that a dialect keeps itself: where the lease was last heard of.
pub(super) fn write_deadline(environment: &mut Strings, event: Event, place: &Place) {
    if event != Event::Heard {
        write_text(environment, "OBSERVER_EVENT", event.name());
    }
    write_text(environment, "OBSERVER_CERTAINTY", "observed");
    exchange::write_place(environment, place);
}

fn before<L>(before: &[Option<L>], index: usize) -> Option<&L> {
    before.get(index).and_then(Option::as_ref)
}

fn write_text(environment: &mut Strings, name: &str, text: &str) {
    write_one(environment, name, |out| out.extend_from_slice(text.as_bytes()));
}
