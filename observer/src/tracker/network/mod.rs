//! What the network says beside leases: nobody answers, another server does, a client is refused, a pool is empty, two
//! clients want one address.
//!
//! [`Watch`] is a state machine of its own beside the [`Tracker`], with the same four verbs and fed with the same
//! messages; it looks at what the tracker knows and changes nothing there. It exists only when it was asked for.
//!
//! # Rules
//!
//! *unanswered*: a client has put a question and [`Options::unanswered_after`] later there is no answer. An episode is
//! one client's questions of one type, retransmissions and new transactions alike. It is told once, and ends with an
//! answer of any server, with a DHCPREQUEST or Request that takes somebody's offer (for the search), or when the client
//! is silent for two hours. Questions that name a server whose answers do not count are not waited for; neither are
//! those that have no answer (RELEASE and DECLINE of DHCPv4, BOOTP) or that old servers do not know (ADDR-REG-INFORM).
//!
//! *foreign-server*: an answer that goes the wrong way for `--answers`. Where all answers count, the second answer to a
//! question that comes from another server identity than the first. Told once an hour for each server (frame source, IP
//! source, identity).
//!
//! *nak*: each DHCPNAK, and each Reply with NotOnLink or NoBinding except to Release and Decline, whoever sent it.
//!
//! *pool-exhausted*: an answer that counts has the status NoAddrsAvail or NoPrefixAvail. In DHCPv4, where servers keep
//! silent: on one link, three or more clients without a lease have searched unanswered within five minutes, the server
//! has given nobody there a new address since, and it has extended a known lease on the same link since the first of
//! them began. Told once for each link (and status) until there is no sign of it for ten minutes.
//!
//! *conflict*: each DECLINE (not its retransmission), for each address in it. And in DHCPv4 a claim: a client in
//! INIT-REBOOT, RENEWING or REBINDING names an address that is not known to be its own, and another client has claimed
//! it unsuccessfully within five minutes or, if the claimant is RENEWING or REBINDING, holds a running lease of it.
//! Clients with the same hardware address or identifier are one. In INIT-REBOOT an address that is of no configured
//! subnet and that nobody had is passed over: the client brings it from elsewhere. Told once for each address until
//! nobody claims it for ten minutes.
//!
//! No more than 600 events of each kind come out in a minute; what is left out is counted, and told with the next.

mod conflict;
mod exhaustion;
mod foreign;
mod quota;
mod recent;
mod refusal;
mod sighting;
mod unanswered;
mod v4;
mod v6;

use std::collections::VecDeque;
use std::time::Duration;

use crate::identity::{Duid, HardwareAddress};
use crate::time::Timestamp;

use super::{Answers, Event, Exchange4, Exchange6, LeaseEvent, Observed, Occurrence, Tracker};

pub use sighting::{Finding, Frames, Kind, Rival, ServerId, Sighting};

pub(crate) use refusal::status_name;

use conflict::Conflicts;
use exhaustion::Exhaustion;
use foreign::{Foreign, Servers};
use quota::Quota;
use unanswered::Unanswered;

/// Entries of a table that has one for each client or address.
const LIMIT: usize = 16_384;

/// Which kinds of events are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// Whether none is.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |all, kind| all | 1 << kind as u8))
    }
}

/// What is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The events that are wanted.
    pub kinds: Kinds,
    /// How long a question may be without an answer.
    pub unanswered_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        // A client of RFC 2131 has asked twice by then, and a client of RFC 8415 four times.
        Self { kinds: Kinds::default(), unanswered_after: Duration::from_secs(10) }
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that came out.
    pub events: u64,
    /// Events that were left out because there were too many of their kind in a minute.
    pub left_out: u64,
    /// Clients, addresses, servers and links that made room for others in a full table.
    pub evicted: u64,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Client {
    V4(HardwareAddress),
    V6(Duid),
}

/// The state machine from messages to sightings.
#[derive(Debug)]
pub struct Watch {
    kinds: Kinds,
    answers: Answers,
    servers: Servers,
    unanswered: Unanswered,
    foreign: Foreign,
    exhaustion: Exhaustion,
    conflicts: Conflicts,
    quotas: [Quota; Kind::ALL.len()],
    events: VecDeque<LeaseEvent>,
    counters: Counters,
}

impl Watch {
    /// One that has seen nothing.
    pub fn new(options: Options, answers: Answers) -> Self {
        Self {
            kinds: options.kinds,
            answers,
            servers: Servers::default(),
            unanswered: Unanswered::new(options.unanswered_after),
            foreign: Foreign::new(),
            exhaustion: Exhaustion::new(),
            conflicts: Conflicts::new(),
            quotas: Default::default(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes in one message that passed at `at`, before the tracker does.
    pub fn handle_message(&mut self, at: Timestamp, observed: &Observed, tracker: &Tracker) {
        match observed {
            Observed::V4(observed) => self.message4(at, observed, tracker),
            Observed::V6(observed) => self.message6(at, observed, tracker),
        }
    }

    /// Lets every deadline at or before `now` happen.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(overdue) = self.unanswered.pop(now) {
            let unanswered::Overdue { at, client, since, asked, newcomer, question } = overdue;
            if self.kinds.has(Kind::Unanswered) {
                let frames = match question.clone() {
                    Observed::V4(query) => Frames::V4(Exchange4 { query: Some(query), answer: None }),
                    Observed::V6(query) => Frames::V6(Exchange6 { query: Some(query), answer: None }),
                };
                self.emit(at, Finding::Unanswered { asked, since }, frames, 0);
            }
            if let Observed::V4(query) = question
                && newcomer
            {
                self.searching(at, client, since, &query);
            }
        }
    }

    /// The next moment at which [`Watch::handle_timeout`] should be called; it may turn out that nothing was due.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.unanswered.next()
    }

    /// The next event, in the order in which things were seen.
    pub fn poll_event(&mut self) -> Option<LeaseEvent> {
        self.events.pop_front()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let evicted = self.servers.evicted()
            + self.unanswered.evicted()
            + self.foreign.evicted()
            + self.exhaustion.evicted()
            + self.conflicts.evicted();
        Counters { evicted, ..self.counters }
    }

    fn emit(&mut self, at: Timestamp, finding: Finding, frames: Frames, left_out: u64) {
        let kind = finding.kind();
        let Some(quota) = self.quotas.get_mut(kind as usize) else { return };
        let Some(more) = quota.admit(at) else {
            self.counters.left_out += 1;
            return;
        };
        self.counters.events += 1;
        // That a silent DHCPv4 server has nothing left is a conclusion.
        let estimated = matches!(finding, Finding::PoolExhausted { status: None, .. });
        let sighting = Sighting { finding, frames, left_out: left_out + more };
        self.events.push_back(LeaseEvent {
            at,
            event: Event::Network(kind),
            estimated,
            occurrence: Occurrence::Network(Box::new(sighting)),
            before4: Vec::new(),
            before6: Vec::new(),
        });
    }

    /// Whether questions without an answer are of interest.
    fn waits_for_answers(&self) -> bool {
        self.kinds.has(Kind::Unanswered) || self.kinds.has(Kind::PoolExhausted)
    }

    /// Whether an answer is another server's and that is to be told: who had answered before, and how many of its
    /// answers were not told.
    fn foreign_server(
        &mut self,
        at: Timestamp,
        counts: bool,
        client: Client,
        transaction: u32,
        server: foreign::Server,
    ) -> Option<(Option<ServerId>, u64)> {
        let first = match &server.2 {
            Some(id) if self.answers == Answers::Both => {
                Some(self.foreign.first(at, client, transaction, id)?)
            }
            _ if counts => return None,
            _ => None,
        };
        Some((first, self.foreign.see(at, server)?))
    }
}
