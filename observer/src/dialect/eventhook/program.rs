//! One call of an event hook: two arguments as in Solaris, and the environment, which is ours to define.

use crate::config::KeaVersion;
use crate::dialect::Call;
use crate::dialect::invocation::{Invocation, Strings};
use crate::dialect::kea::{self, LEASE4, LEASE6};
use crate::dialect::lease::Lease;
use crate::dialect::observer;
use crate::dialect::variable::{write_all, write_one};
use crate::time::Timestamp;
use crate::tracker::{Event, Exchange4, Exchange6, IaReference, LeaseEvent, Occurrence};

use super::{DropReason, Word};

/// What the event hook was called for.
#[derive(Clone, Copy)]
pub(super) struct Happening<'a> {
    at: Timestamp,
    event: Event,
    estimated: bool,
    exchange: Exchange<'a>,
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

impl Word {
    fn name(self) -> &'static str {
        match self {
            Self::Bound => "BOUND",
            Self::Extend => "EXTEND",
            Self::Expire => "EXPIRE",
            Self::Release => "RELEASE",
            Self::Drop(_) => "DROP",
        }
    }
}

impl DropReason {
    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Declined => "declined",
            Self::Moved => "moved",
            Self::Taken => "taken",
            Self::Stopped => "stopped",
        }
    }
}

pub(super) fn call(
    word: Word,
    happening: Happening<'_>,
    lease: &Lease,
    before: Option<Lease>,
    version: KeaVersion,
) -> Call {
    let mut arguments = Strings::with_capacity(2, 32);
    arguments.push(interface(happening, lease).as_bytes());
    arguments.push(word.name().as_bytes());

    let mut environment = Strings::with_capacity(80, 2_560);
    match happening.exchange {
        Exchange::V4(exchange) => kea::write_query4(&mut environment, exchange),
        Exchange::V6(exchange) => kea::write_query6(&mut environment, exchange, version),
        Exchange::None => {}
    }
    match lease {
        Lease::V4(lease) => write_all(&mut environment, "LEASE4_", LEASE4, lease),
        Lease::V6(lease) => write_all(&mut environment, "LEASE6_", LEASE6, lease),
    }
    let event = own_event(happening, lease, before);
    observer::write(&mut environment, &event);
    if let Word::Drop(reason) = word {
        write_one(&mut environment, "OBSERVER_DROP_REASON", |out| {
            out.extend_from_slice(reason.name().as_bytes());
        });
    }
    Call {
        word: word.name(),
        event: happening.event,
        subjects: vec![lease.key().subject()],
        changes: event.changes_anything(),
        invocation: Invocation { at: happening.at, arguments, environment },
    }
}

/// Where the client was last heard of. A lease that was read from a file has no such place: an empty argument.
fn interface<'a>(happening: Happening<'a>, lease: &'a Lease) -> &'a str {
    let heard = match happening.exchange {
        Exchange::V4(exchange) => exchange.either().map(|observed| &observed.interface),
        Exchange::V6(exchange) => exchange.either().map(|observed| &observed.interface),
        Exchange::None => None,
    };
    heard.or_else(|| lease.interface()).map(|interface| interface.name.as_str()).unwrap_or_default()
}

/// The part of an event that is about this lease, from which our own variables are written.
fn own_event(happening: Happening<'_>, lease: &Lease, before: Option<Lease>) -> LeaseEvent {
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
