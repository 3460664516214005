//! One call of an event hook: two arguments as in Solaris, and the environment, which is ours to define.

use crate::config::KeaVersion;
use crate::dialect::Call;
use crate::dialect::happening::{Exchange, Happening, interface, own_event};
use crate::dialect::invocation::{Invocation, Strings};
use crate::dialect::kea::{self, LEASE4, LEASE6};
use crate::dialect::lease::Lease;
use crate::dialect::observer;
use crate::dialect::variable::{write_all, write_one};

use super::{DropReason, Word};

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
