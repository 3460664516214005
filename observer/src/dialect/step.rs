//! What an event is to a dialect that follows leases: something given, the end of a lease, or nothing that concerns it.

use crate::time::Timestamp;
use crate::tracker::{Event, Exchange4, Exchange6, Lease4, Lease6, LeaseEvent, Occurrence};

use super::followed::Followed;
use super::granted::Renewed;
use super::happening::{Exchange, Happening};
use super::lease::{Key, Lease};

/// One event.
pub(super) enum Step<'a> {
    /// The server is done with an exchange.
    Committed4 { exchange: &'a Exchange4, leases: &'a [Lease4], deleted: &'a [Lease4] },
    /// The same of DHCPv6.
    Committed6 { exchange: &'a Exchange6, leases: &'a [Lease6], deleted: &'a [Lease6] },
    /// A lease has ended, by the word of the tracker.
    Ended { lease: Lease, end: End, happening: Happening<'a> },
    /// A message for which no server calls a hook.
    Heard4(&'a Exchange4),
    /// The same of DHCPv6.
    Heard6(&'a Exchange6),
    /// Nothing that concerns leases now.
    Aside,
}

/// How a lease has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Released,
    Declined,
    Expired,
}

/// The events so far, as far as the next one is to be understood by them.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) renewed: Renewed,
    latest: Timestamp,
}

impl Steps {
    pub(super) fn new() -> Self {
        Self { renewed: Renewed::default(), latest: Timestamp::EPOCH }
    }

    /// When the latest event was.
    pub(super) fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Takes in an event and says what it is.
    pub(super) fn take<'a>(&mut self, event: &'a LeaseEvent) -> Step<'a> {
        self.latest = self.latest.max(event.at);
        let ended4 = |lease: &Lease4, end, exchange| {
            let happening = Happening::of(event, exchange);
            Step::Ended { lease: lease.into(), end, happening }
        };
        let ended6 = |lease: &Lease6, end, exchange| {
            let happening = Happening::of(event, exchange);
            Step::Ended { lease: lease.into(), end, happening }
        };
        match &event.occurrence {
            Occurrence::Committed4 { exchange, leases, deleted } => {
                Step::Committed4 { exchange, leases, deleted }
            }
            Occurrence::Committed6 { exchange, leases, deleted } => {
                Step::Committed6 { exchange, leases, deleted }
            }
            Occurrence::Renew4 { .. } | Occurrence::Renew6 { .. } | Occurrence::Rebind6 { .. } => {
                self.renewed.note(&event.occurrence);
                Step::Aside
            }
            Occurrence::Release4 { exchange, lease } => ended4(lease, End::Released, Exchange::V4(exchange)),
            Occurrence::Release6 { exchange, lease } => ended6(lease, End::Released, Exchange::V6(exchange)),
            Occurrence::Decline4 { exchange, lease } => ended4(lease, End::Declined, Exchange::V4(exchange)),
            Occurrence::Decline6 { exchange, lease } => ended6(lease, End::Declined, Exchange::V6(exchange)),
            // Most often the deadline of the dialect was first.
            Occurrence::Expire4 { lease, .. } => ended4(lease, End::Expired, Exchange::None),
            Occurrence::Expire6 { lease, .. } => ended6(lease, End::Expired, Exchange::None),
            Occurrence::Heard4 { exchange } => Step::Heard4(exchange),
            Occurrence::Heard6 { exchange } => Step::Heard6(exchange),
            // Not leases, or not any more.
            Occurrence::Register6 { .. }
            | Occurrence::Recover4 { .. }
            | Occurrence::Recover6 { .. }
            | Occurrence::Network(_) => Step::Aside,
        }
    }

    /// The next of these leases that is over by now. A lease of no time at all is over before it is given; time runs on all
    /// the same.
    pub(super) fn overdue(&mut self, leases: &Followed, now: Timestamp) -> Option<(Key, Happening<'static>)> {
        let (end, key) = leases.next_end().filter(|(end, _)| *end <= now)?;
        self.latest = self.latest.max(end);
        Some((key, Happening::alone(self.latest, Event::Expire, false)))
    }
}
