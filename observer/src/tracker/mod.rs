//! From messages to lease events: which answer belongs to which question, which lease it makes, what that means.
//!
//! [`Tracker`] is a pure state machine with four verbs. It reads no clock and does nothing but change its own tables, so a
//! live interface, a capture file and a test on a virtual clock that show it the same messages get the same events.
//! The truth is the server's answer: an ACK or a Reply makes a lease, a request alone never does. What Kea does in each
//! case, and in which order, is followed to the letter; see `ARCHITECTURE.md`.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

mod changes;
mod counters;
mod deadlines;
mod event;
mod exchange;
mod hardware;
mod held;
mod lease;
mod legs;
mod made_up;
pub mod network;
mod observed;
mod place;
mod records;
mod seed;
mod servers;
mod table;
mod v4;
mod v6;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::config::ServerConfig;
use crate::time::Timestamp;

pub use changes::{LeaseChange, LeaseCursor};
pub use counters::Counters;
pub use event::{
    Event, Exchange, Exchange4, Exchange6, IaReference, LeaseEvent, Occurrence, Subject, SubnetName,
};
pub use lease::{Lease4, Lease6, LeaseState};
pub use observed::{Answers, Observed, Observed4, Observed6, ObservedMessage};
pub use place::{Place, Relay4, Way};

use deadlines::{Deadlines, Turn};
use exchange::Exchanges;
use held::Held;
use legs::Legs;
use place::Places;
use records::{End, Record, Records};
use servers::Servers;

/// How much the tracker keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Leases of each family. A lease over the limit has its event but is not remembered, and is counted.
    pub leases: usize,
    /// Questions that wait for an answer, of each family. The oldest one makes room, and is counted.
    pub exchanges: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { leases: 2_000_000, exchanges: 65_536 }
    }
}

/// The state machine from messages to lease events.
#[derive(Debug)]
pub struct Tracker {
    config: Arc<ServerConfig>,
    answers: Answers,
    exchanges4: Exchanges<Arc<Observed4>>,
    held4: Held,
    exchanges6: Exchanges<Arc<Observed6>>,
    leases4: Records<Lease4>,
    leases6: Records<Lease6>,
    deadlines: Deadlines,
    places: Places,
    /// Messages that a mirror port may show again beyond a relay.
    legs: Legs,
    /// The time of the latest message or deadline. A lease of no time at all is over at the start of its second, which may
    /// be before the message that gave it; its end is not told as if it had come first.
    latest: Timestamp,
    /// Server identifiers seen in answers that count: a RELEASE or DECLINE for another server is not ours.
    servers4: Servers<Ipv4Addr>,
    /// Those of them that were not told as a change, where somebody wants to know.
    new_servers4: Option<Vec<Ipv4Addr>>,
    /// Whether messages are told for which no server calls a hook.
    tells_heard: bool,
    events: VecDeque<LeaseEvent>,
    counters: Counters,
}

impl Tracker {
    /// A tracker that has seen nothing.
    pub fn new(config: Arc<ServerConfig>, answers: Answers, limits: Limits) -> Self {
        Self {
            leases4: Records::new(config.dhcp4.expired_leases, limits.leases),
            leases6: Records::new(config.dhcp6.expired_leases, limits.leases),
            config,
            answers,
            exchanges4: Exchanges::new(limits.exchanges),
            held4: Held::new(limits.exchanges),
            exchanges6: Exchanges::new(limits.exchanges),
            deadlines: Deadlines::default(),
            places: Places::default(),
            legs: Legs::default(),
            latest: Timestamp::EPOCH,
            servers4: Servers::default(),
            new_servers4: None,
            tells_heard: false,
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Has events come out for messages for which no server calls a hook ([`Occurrence::Heard4`], [`Occurrence::Heard6`]).
    pub fn tell_heard(&mut self, tells_heard: bool) {
        self.tells_heard = tells_heard;
    }

    /// Takes in one message that passed at `at`. May change what [`Tracker::poll_timeout`] and [`Tracker::poll_event`]
    /// answer. The caller has fired every deadline at or before `at`.
    pub fn handle_message(&mut self, at: Timestamp, observed: Observed) {
        self.latest = self.latest.max(at);
        match observed {
            Observed::V4(observed) => self.message4(at, observed),
            Observed::V6(observed) => self.message6(at, observed),
        }
        if self.deadlines.is_stale(self.leases4.len() + self.leases6.len()) {
            self.deadlines.rebuild(self.leases4.queued().chain(self.leases6.queued()));
        }
    }

    /// Lets every deadline at or before `now` happen, in the order of the deadlines. May change what
    /// [`Tracker::poll_timeout`] and [`Tracker::poll_event`] answer. A call with nothing due does nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now) {
            if self.held4.next() == Some(due) {
                self.latest = self.latest.max(due);
                self.let_go4(self.latest);
                continue;
            }
            let Some((due, turn)) = self.deadlines.pop(now) else { return };
            self.latest = self.latest.max(due);
            match turn {
                Turn::V4(slot) => {
                    let end = self.leases4.due(&mut self.deadlines, due, slot);
                    self.emit_end(self.latest, end);
                }
                Turn::V6(slot) => {
                    let end = self.leases6.due(&mut self.deadlines, due, slot);
                    self.emit_end(self.latest, end);
                }
            }
        }
    }

    /// The next moment at which [`Tracker::handle_timeout`] should be called; it may turn out that nothing was due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        [self.deadlines.next(), self.held4.next()].into_iter().flatten().min()
    }

    /// Says that nothing more will come: what waits for an answer waits no longer.
    pub fn handle_end(&mut self) {
        while !self.held4.is_empty() {
            self.let_go4(self.latest);
        }
    }

    /// The next event, in the order in which things happened. Call until `None` after each of the two verbs above.
    pub fn poll_event(&mut self) -> Option<LeaseEvent> {
        self.events.pop_front()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        Counters {
            leases4: self.leases4.len() as u64,
            leases6: self.leases6.len() as u64,
            deadlines: self.deadlines.len() as u64,
            leases_over_limit: self.leases4.over_limit() + self.leases6.over_limit(),
            servers_forgotten: self.servers4.forgotten(),
            exchanges_evicted: self.exchanges4.evicted() + self.exchanges6.evicted(),
            held_over_limit: self.held4.over_limit(),
            legs_evicted: self.legs.evicted(),
            ..self.counters
        }
    }

    /// A message for which no server calls a hook. These are no events of the server's, and are not counted as such.
    fn heard(&mut self, at: Timestamp, occurrence: impl FnOnce() -> Occurrence) {
        if self.tells_heard {
            let (before4, before6) = (Vec::new(), Vec::new());
            let occurrence = occurrence();
            let event =
                LeaseEvent { at, event: Event::Heard, estimated: false, occurrence, before4, before6 };
            self.events.push_back(event);
        }
    }

    fn emit(&mut self, at: Timestamp, event: Event, occurrence: Occurrence) {
        self.emit_as(at, event, occurrence, false);
    }

    /// The state of a released lease that is kept, where this server keeps them.
    fn released_state(&self) -> Option<LeaseState> {
        let version = self.config.version;
        version
            .keeps_released_leases()
            .then(|| if version.has_released_state() { LeaseState::Released } else { LeaseState::Default })
    }

    fn emit_end<L: Record>(&mut self, at: Timestamp, end: Option<End<L>>) {
        for (event, occurrence, estimated) in end.into_iter().flat_map(End::events) {
            self.emit_as(at, event, occurrence, estimated);
        }
    }

    fn emit_as(&mut self, at: Timestamp, event: Event, occurrence: Occurrence, estimated: bool) {
        self.counters.events += 1;
        let (before4, before6) = (Vec::new(), Vec::new());
        self.events.push_back(LeaseEvent { at, event, estimated, occurrence, before4, before6 });
    }

    /// Says of the event just emitted what the record of each of its leases was before.
    fn remember_before(
        &mut self,
        before4: impl IntoIterator<Item = Option<Lease4>>,
        before6: impl IntoIterator<Item = Option<Lease6>>,
    ) {
        if let Some(event) = self.events.back_mut() {
            event.before4.extend(before4);
            event.before6.extend(before6);
        }
    }
}
