//! The dialect of the Solaris `dhcpagent` event hook (PSARC), whose program relies on a promise: for each lease exactly one
//! BOUND, then any number of EXTENDs, then exactly one of DROP, EXPIRE and RELEASE, and nothing else in between.
//!
//! [`EventHook`] keeps the promise by itself, whatever it is shown: it remembers which leases its program was told of, and
//! has a deadline of its own for each. It never relies on having seen a beginning, nor on an end being reported to it.

mod program;

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use crate::config::KeaVersion;
use crate::dhcpv4;
use crate::dhcpv6::{MessageType as Type6, code as code6};
use crate::frame::Interface;
use crate::time::Timestamp;
use crate::tracker::{Event, Exchange4, Exchange6, Lease4, Lease6, LeaseEvent, Observed4};

use super::followed::Followed;
use super::happening::{Exchange, Happening};
use super::lease::{Key, Lease};
use super::step::{End, Step, Steps};
use super::{Call, Dialect, Loss, Memory};

/// The status of a Reply to Confirm when the client has moved to another link (RFC 8415 section 21.13).
const NOT_ON_LINK: u16 = 4;

/// The events, in the words of the manual page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Bound,
    Extend,
    Expire,
    Release,
    Drop(DropReason),
}

/// What ended a lease that neither ran out nor was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DropReason {
    /// The server refused it.
    Refused,
    /// The client found the address in use.
    Declined,
    /// The client was given another address in its place, or the server took it away.
    Moved,
    /// Another client was given it.
    Taken,
    /// It is observed no more.
    Stopped,
}

/// The dialect.
#[derive(Debug)]
pub struct EventHook {
    version: KeaVersion,
    bound: Followed,
    steps: Steps,
    /// Leases that are still to be dropped, since when they are observed no more.
    stopping: VecDeque<Key>,
    stopped: Timestamp,
    calls: VecDeque<Call>,
}

impl EventHook {
    /// The dialect for one hook. The version says which variables of the question there are; `limit` is how many leases
    /// the hook is told of at once, see [`super::DEFAULT_LIMIT`].
    pub fn new(version: KeaVersion, limit: usize) -> Self {
        Self {
            version,
            bound: Followed::new(limit),
            steps: Steps::new(),
            stopping: VecDeque::new(),
            stopped: Timestamp::EPOCH,
            calls: VecDeque::new(),
        }
    }

    fn call(&mut self, word: Word, happening: Happening<'_>, lease: &Lease, before: Option<Lease>) {
        self.calls.push_back(program::call(word, happening, lease, before, self.version));
    }

    /// Tells the end of a lease, if the hook was told of its beginning.
    fn end(&mut self, key: Key, word: Word, happening: Happening<'_>) {
        if let Some(lease) = self.bound.remove(key) {
            self.call(word, happening, &lease, None);
        }
    }

    /// The same, if the lease is still this client's.
    fn end_of(&mut self, lease: impl Into<Lease>, word: Word, happening: Happening<'_>) {
        let lease = lease.into();
        if self.bound.get(lease.key()).is_some_and(|bound| bound.is_same_client(&lease)) {
            self.end(lease.key(), word, happening);
        }
    }

    /// The server has said that the client holds a lease.
    fn grant(&mut self, lease: Lease, happening: Happening<'_>, wanted: bool) {
        let key = lease.key();
        if self.bound.get(key).is_some_and(|bound| !bound.is_same_client(&lease)) {
            self.end(key, Word::Drop(DropReason::Taken), happening);
        }
        match self.bound.get(key).cloned() {
            // Also when it is not wanted: a lease that is renewed out of the hook's sight does not end.
            Some(before) => {
                self.bound.put(lease.clone());
                if wanted && !happening.is_announcement() {
                    self.call(Word::Extend, happening, &lease, Some(before));
                }
            }
            None if wanted && self.bound.put(lease.clone()) => {
                self.call(Word::Bound, happening, &lease, None)
            }
            None => {}
        }
    }

    fn committed4(
        &mut self,
        exchange: &Exchange4,
        leases: &[Lease4],
        deleted: &[Lease4],
        event: &LeaseEvent,
        wanted: bool,
    ) {
        let happening = Happening::of(event, Exchange::V4(exchange));
        let granted = self.steps.renewed.granted4(exchange, leases, event);
        let ended = if event.event == Event::Release { Word::Release } else { Word::Drop(DropReason::Moved) };
        for lease in deleted {
            self.end_of(lease, ended, happening);
        }
        for lease in granted {
            self.grant(lease, happening, wanted);
        }
        if !leases.is_empty() || !deleted.is_empty() {
            return;
        }
        let query = exchange.query.as_deref();
        let answer = exchange.answer.as_deref().map(|answer| &answer.message);
        match (query.and_then(|query| query.message.message_type), answer) {
            (_, Some(answer)) if answer.message_type == Some(dhcpv4::MessageType::NAK) => {
                if let Some((query, address)) = query.and_then(|query| Some((query, claimed(query)?))) {
                    self.end_of_sender(address, query, Word::Drop(DropReason::Refused), happening);
                }
            }
            // Of a lease that the tracker did not know, or not as this client's.
            (Some(dhcpv4::MessageType::RELEASE), None) => {
                if let Some(query) = query {
                    self.end_of_sender(query.message.ciaddr, query, Word::Release, happening);
                }
            }
            (Some(dhcpv4::MessageType::DECLINE), None) => {
                if let Some((query, address)) =
                    query.and_then(|query| Some((query, query.message.requested_address()?)))
                {
                    self.end_of_sender(address, query, Word::Drop(DropReason::Declined), happening);
                }
            }
            _ => {}
        }
    }

    fn end_of_sender(&mut self, address: Ipv4Addr, query: &Observed4, word: Word, happening: Happening<'_>) {
        if self.lease_of_sender(address, query).is_some() {
            self.end(Key::V4(address), word, happening);
        }
    }

    fn lease_of_sender(&self, address: Ipv4Addr, query: &Observed4) -> Option<&Lease> {
        let client_id = query.message.client_id();
        self.bound.get(Key::V4(address)).filter(|lease| {
            matches!(lease, Lease::V4(lease) if lease.belongs_to(&query.message.chaddr, client_id.as_deref()))
        })
    }

    /// An INFORM that was answered: a client that holds a lease has had its configuration told anew.
    fn informed4(&mut self, exchange: &Exchange4, event: &LeaseEvent) {
        let Some(query) = exchange.query.as_deref().filter(|query| {
            exchange.answer.is_some() && query.message.message_type == Some(dhcpv4::MessageType::INFORM)
        }) else {
            return;
        };
        if let Some(lease) = self.lease_of_sender(query.message.ciaddr, query).cloned() {
            let before = Some(lease.clone());
            self.call(Word::Extend, Happening::of(event, Exchange::V4(exchange)), &lease, before);
        }
    }

    fn committed6(
        &mut self,
        exchange: &Exchange6,
        leases: &[Lease6],
        deleted: &[Lease6],
        event: &LeaseEvent,
        wanted: bool,
    ) {
        let happening = Happening::of(event, Exchange::V6(exchange));
        let granted = self.steps.renewed.granted6(exchange, leases, event, |key| self.bound.get(key));
        match exchange.query.as_deref().map(|query| query.message.message_type) {
            // A client that gives back several addresses of an association holds none of them any more.
            Some(Type6::RELEASE) => return self.end_named6(exchange, Word::Release, happening),
            Some(Type6::DECLINE) => {
                return self.end_named6(exchange, Word::Drop(DropReason::Declined), happening);
            }
            _ => {}
        }
        for lease in deleted {
            self.end_of(lease, Word::Drop(DropReason::Moved), happening);
        }
        for lease in granted {
            self.grant(lease, happening, wanted);
        }
    }

    /// The end of everything that the client names in its question and holds.
    fn end_named6(&mut self, exchange: &Exchange6, word: Word, happening: Happening<'_>) {
        let Some(query) = exchange.query.as_deref() else { return };
        let Some(duid) = query.message.client_duid() else { return };
        for ia in query.message.identity_associations() {
            for named in ia.leases() {
                let key = Key::of6(ia.kind, named.address);
                let is_held = self.bound.get(key).is_some_and(
                    |lease| matches!(lease, Lease::V6(lease) if lease.belongs_to(ia.kind, duid, ia.iaid)),
                );
                if is_held {
                    self.end(key, word, happening);
                }
            }
        }
    }

    /// A Reply to Confirm that says no: the client is on another link now, and uses none of these addresses.
    fn confirmed6(&mut self, exchange: &Exchange6, event: &LeaseEvent) {
        let is_confirm =
            exchange.query.as_deref().is_some_and(|query| query.message.message_type == Type6::CONFIRM);
        let refused = exchange.answer.as_deref().is_some_and(|answer| {
            let status = answer.message.option(code6::STATUS_CODE).and_then(|payload| payload.first_chunk());
            status.is_some_and(|code| u16::from_be_bytes(*code) == NOT_ON_LINK)
        });
        if is_confirm && refused {
            let happening = Happening::of(event, Exchange::V6(exchange));
            self.end_named6(exchange, Word::Drop(DropReason::Refused), happening);
        }
    }
}

/// The address that a REQUEST claims.
fn claimed(query: &Observed4) -> Option<Ipv4Addr> {
    let ciaddr = Some(query.message.ciaddr).filter(|address| !address.is_unspecified());
    query.message.requested_address().or(ciaddr)
}

impl Dialect for EventHook {
    fn wants_heard(&self) -> bool {
        true
    }

    fn handle_event(&mut self, event: &LeaseEvent, wanted: bool) {
        match self.steps.take(event) {
            Step::Committed4 { exchange, leases, deleted } => {
                self.committed4(exchange, leases, deleted, event, wanted);
            }
            Step::Committed6 { exchange, leases, deleted } => {
                self.committed6(exchange, leases, deleted, event, wanted);
            }
            Step::Ended { lease, end, happening } => {
                let word = match end {
                    End::Released => Word::Release,
                    End::Declined => Word::Drop(DropReason::Declined),
                    End::Expired if event.estimated => Word::Drop(DropReason::Taken),
                    End::Expired => Word::Expire,
                };
                self.end_of(lease, word, happening);
            }
            Step::Heard4(exchange) if wanted => self.informed4(exchange, event),
            Step::Heard6(exchange) => self.confirmed6(exchange, event),
            Step::Heard4(_) | Step::Aside => {}
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((key, happening)) = self.steps.overdue(&self.bound, now) {
            self.end(key, Word::Expire, happening);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.bound.next_end().map(|(end, _)| end)
    }

    fn stop(&mut self, now: Timestamp, interface: Option<&Interface>) {
        self.stopped = self.steps.latest().max(now);
        let stopping = self.bound.keys(|lease| {
            interface.is_none_or(|interface| lease.interface().is_some_and(|own| **own == *interface))
        });
        self.stopping.extend(stopping);
    }

    fn losses(&self) -> Vec<Loss> {
        self.bound.losses()
    }

    fn poll_call(&mut self) -> Option<Call> {
        // One at a time: a million leases may be dropped at once.
        while self.calls.is_empty() {
            let key = self.stopping.pop_front()?;
            let happening = Happening::alone(self.stopped, Event::Expire, true);
            self.end(key, Word::Drop(DropReason::Stopped), happening);
        }
        self.calls.pop_front()
    }

    fn poll_memory(&mut self) -> Option<Memory> {
        self.bound.poll_memory()
    }

    fn recall(&mut self, key: &[u8], value: &[u8]) {
        let _unknown = self.bound.recall(key, value);
    }
}
