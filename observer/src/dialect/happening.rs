//! What a dialect's call is for, where one event of the tracker can be several: one happening to one lease.

use crate::time::Timestamp;
use crate::tracker::{Event, Exchange4, Exchange6, IaReference, LeaseEvent, Occurrence};

use super::lease::Lease;

/// What happened, and the messages behind it.
#[derive(Clone, Copy)]
pub(super) struct Happening<'a> {
    pub(super) at: Timestamp,
    pub(super) event: Event,
    pub(super) estimated: bool,
    pub(super) exchange: Exchange<'a>,
}

/// The messages behind it, where there are any.
#[derive(Clone, Copy)]
pub(super) enum Exchange<'a> {
    V4(&'a Exchange4),
    V6(&'a Exchange6),
    None,
}

impl<'a> Happening<'a> {
    pub(super) fn of(event: &LeaseEvent, exchange: Exchange<'a>) -> Self {
        // Of what is heard beside leases an INFORM lets the client go on as before; a Confirm only ends something.
        let word = match (event.event, exchange) {
            (Event::Heard, Exchange::V4(_)) => Event::Renew,
            (Event::Heard, _) => Event::Commit,
            (event, _) => event,
        };
        Self { at: event.at, event: word, estimated: event.estimated, exchange }
    }

    pub(super) fn alone(at: Timestamp, event: Event, estimated: bool) -> Self {
        Self { at, event, estimated, exchange: Exchange::None }
    }

    /// Whether no message is behind it: a lease that lives is told of at the start.
    pub(super) fn is_announcement(&self) -> bool {
        match self.exchange {
            Exchange::V4(exchange) => exchange.either().is_none(),
            Exchange::V6(exchange) => exchange.either().is_none(),
            Exchange::None => false,
        }
    }
}

/// The name of the interface on which the client was last heard of; empty for a lease that was read from a file.
pub(super) fn interface<'a>(happening: Happening<'a>, lease: &'a Lease) -> &'a str {
    let heard = match happening.exchange {
        Exchange::V4(exchange) => exchange.either().map(|observed| &observed.interface),
        Exchange::V6(exchange) => exchange.either().map(|observed| &observed.interface),
        Exchange::None => None,
    };
    heard.or_else(|| lease.interface()).map(|interface| interface.name.as_str()).unwrap_or_default()
}

/// The part of an event that is about this lease, from which our own variables are written.
pub(super) fn own_event(happening: Happening<'_>, lease: &Lease, before: Option<Lease>) -> LeaseEvent {
    let (mut before4, mut before6) = (Vec::new(), Vec::new());
    match before {
        Some(Lease::V4(before)) => before4.push(Some(*before)),
        Some(Lease::V6(before)) => before6.push(Some(*before)),
        None => {}
    }
    let occurrence = match (happening.exchange, lease) {
        (Exchange::V4(exchange), Lease::V4(lease)) if exchange.either().is_some() => {
            Occurrence::Renew4 { exchange: exchange.clone(), subnet: None, lease: lease.clone() }
        }
        (Exchange::V6(exchange), Lease::V6(lease)) if exchange.either().is_some() => Occurrence::Renew6 {
            exchange: exchange.clone(),
            ia: IaReference { kind: lease.kind, iaid: lease.iaid },
            lease: lease.clone(),
        },
        (_, Lease::V4(lease)) => Occurrence::Expire4 { lease: lease.clone(), remove: false },
        (_, Lease::V6(lease)) => Occurrence::Expire6 { lease: lease.clone(), remove: false },
    };
    let Happening { at, event, estimated, .. } = happening;
    LeaseEvent { at, event, estimated, occurrence, before4, before6 }
}
