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

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::{Duid, HardwareAddress};
use crate::time::Timestamp;
use crate::{dhcpv4, dhcpv6};

use super::records::Record;
use super::table::Owner;
use super::{
    Answers, Event, Exchange4, Exchange6, LeaseEvent, LeaseState, Observed, Observed4, Observed6, Occurrence,
    Tracker, v4, v6,
};

pub use sighting::{Finding, Frames, Kind, Rival, ServerId, Sighting};

pub(crate) use refusal::status_name;

use conflict::Conflicts;
use exhaustion::{Exhausted, Exhaustion, Link};
use foreign::{Foreign, Servers};
use quota::Quota;
use refusal::status;
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

    fn message4(&mut self, at: Timestamp, observed: &Arc<Observed4>, tracker: &Tracker) {
        use dhcpv4::{MessageType, Op};
        match (observed.message.op, observed.message.message_type) {
            (Op::Request, Some(kind)) if self.answers.query_counts(observed.direction) => {
                self.question4(at, observed, kind, tracker);
            }
            (Op::Reply, Some(MessageType::OFFER | MessageType::ACK | MessageType::NAK)) => {
                self.answer4(at, observed, tracker);
            }
            _ => {}
        }
    }

    fn question4(
        &mut self,
        at: Timestamp,
        query: &Arc<Observed4>,
        kind: dhcpv4::MessageType,
        tracker: &Tracker,
    ) {
        use dhcpv4::MessageType;
        let message = &query.message;
        if self.kinds.has(Kind::Conflict) {
            let finding = match kind {
                MessageType::DECLINE => self.conflicts.declined4(at, query, tracker),
                MessageType::REQUEST => self.conflicts.claimed4(at, query, tracker),
                _ => None,
            };
            if let Some(finding) = finding {
                let exchange = Exchange4 { query: Some(Arc::clone(query)), answer: None };
                self.emit(at, finding, Frames::V4(exchange), 0);
            }
        }
        let has_answer = matches!(kind, MessageType::DISCOVER | MessageType::REQUEST | MessageType::INFORM);
        if !self.waits_for_answers() || !has_answer {
            return;
        }
        let client = Client::V4(message.chaddr);
        let server = message.server_id().map(ServerId::V4);
        if kind == MessageType::REQUEST && server.is_some() {
            // It takes an offer, so there was one.
            self.unanswered.answered(at, &client, &[MessageType::DISCOVER.0]);
        }
        if !self.servers.is_for_ours(server.as_ref()) {
            return;
        }
        let newcomer = kind == MessageType::DISCOVER
            && self.kinds.has(Kind::PoolExhausted)
            && !has_lease(at, &message.chaddr, tracker);
        let question = Observed::V4(Arc::clone(query));
        let told = self.unanswered.ask(at, (client.clone(), kind.0), message.xid, newcomer, &question);
        if let Some(since) = told.filter(|_| newcomer) {
            self.searching(at, client, since, query);
        }
    }

    /// A client without a lease has been searching in vain since then.
    fn searching(&mut self, at: Timestamp, client: Client, since: Timestamp, query: &Arc<Observed4>) {
        if self.kinds.has(Kind::PoolExhausted) {
            let exhausted = self.exhaustion.wait(at, client, since, query);
            self.exhausted4(at, exhausted);
        }
    }

    fn exhausted4(&mut self, at: Timestamp, exhausted: Option<Exhausted>) {
        if let Some(Exhausted { clients, question }) = exhausted {
            let exchange = Exchange4 { query: Some(question), answer: None };
            let finding = Finding::PoolExhausted { status: None, reason: None, clients: Some(clients) };
            self.emit(at, finding, Frames::V4(exchange), 0);
        }
    }

    fn answer4(&mut self, at: Timestamp, answer: &Arc<Observed4>, tracker: &Tracker) {
        use dhcpv4::MessageType;
        let message = &answer.message;
        let client = Client::V4(message.chaddr);
        let server = message.server_id().map(ServerId::V4);
        let counts = self.answers.answer_counts(answer.direction);
        if let Some(server) = &server {
            self.servers.heard(server, counts);
        }
        if self.waits_for_answers() {
            self.unanswered.answered4(at, &client, answer);
        }
        let find = || Exchange4 {
            query: questions_behind(message.message_type)
                .iter()
                .find_map(|kind| tracker.exchanges4.find(at, v4::key(answer, *kind)).cloned()),
            answer: Some(Arc::clone(answer)),
        };
        if self.kinds.has(Kind::ForeignServer) {
            let key = (answer.source_mac, answer.source.ip(), server);
            if let Some((first, left_out)) = self.foreign_server(at, counts, client, message.xid, key) {
                let address = Some(IpAddr::V4(message.yiaddr)).filter(|address| !address.is_unspecified());
                self.emit(at, Finding::ForeignServer { address, first }, Frames::V4(find()), left_out);
            }
        }
        if message.message_type == Some(MessageType::NAK) {
            if self.kinds.has(Kind::Nak) {
                let exchange = find();
                self.emit(at, refusal::nak4(&exchange), Frames::V4(exchange), 0);
            }
        } else if counts && !message.yiaddr.is_unspecified() {
            self.given4(at, answer, tracker);
        }
    }

    /// An answer that counts gives, or offers, an address.
    fn given4(&mut self, at: Timestamp, answer: &Arc<Observed4>, tracker: &Tracker) {
        let message = &answer.message;
        let is_ack = message.message_type == Some(dhcpv4::MessageType::ACK);
        if self.kinds.has(Kind::PoolExhausted) {
            let own = tracker.leases4.get(message.yiaddr).filter(|lease| {
                lease.state == LeaseState::Default
                    && lease.belongs_to(&message.chaddr, message.client_id().as_deref())
            });
            match own {
                Some(lease) if is_ack => {
                    let exhausted = self.exhaustion.extend(at, Link::of_lease(lease));
                    self.exhausted4(at, exhausted);
                }
                Some(_) => {}
                None => self.exhaustion.give(at, &Link::of4(answer)),
            }
        }
        if self.kinds.has(Kind::Conflict) && is_ack {
            self.conflicts.granted4(at, answer, tracker);
        }
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

    fn message6(&mut self, at: Timestamp, observed: &Arc<Observed6>, tracker: &Tracker) {
        use dhcpv6::MessageType;
        let message = &observed.message;
        match message.message_type {
            question if question.is_query() && self.answers.query_counts(observed.direction) => {
                self.question6(at, observed, tracker);
            }
            MessageType::ADVERTISE | MessageType::REPLY => self.answer6(at, observed, tracker),
            _ => {}
        }
    }

    fn question6(&mut self, at: Timestamp, query: &Arc<Observed6>, tracker: &Tracker) {
        use dhcpv6::MessageType;
        let message = &query.message;
        let Some(duid) = message.client_duid() else { return };
        if self.kinds.has(Kind::Conflict) && message.message_type == MessageType::DECLINE {
            for finding in self.conflicts.declined6(at, query, tracker) {
                let exchange = Exchange6 { query: Some(Arc::clone(query)), answer: None };
                self.emit(at, finding, Frames::V6(exchange), 0);
            }
        }
        if !self.kinds.has(Kind::Unanswered) || message.message_type == MessageType::ADDR_REG_INFORM {
            return;
        }
        let client = Client::V6(Duid::new(duid));
        if message.message_type == MessageType::REQUEST {
            // It takes what was advertised, so somebody did.
            self.unanswered.answered(at, &client, &[MessageType::SOLICIT.0]);
        }
        if self.servers.is_for_ours(server6(query).as_ref()) {
            let key = (client, message.message_type.0);
            self.unanswered.ask(at, key, message.transaction_id, false, &Observed::V6(Arc::clone(query)));
        }
    }

    fn answer6(&mut self, at: Timestamp, answer: &Arc<Observed6>, tracker: &Tracker) {
        let message = &answer.message;
        let Some(duid) = message.client_duid() else { return };
        let client = Client::V6(Duid::new(duid));
        let server = server6(answer);
        let counts = self.answers.answer_counts(answer.direction);
        if let Some(server) = &server {
            self.servers.heard(server, counts);
        }
        if self.kinds.has(Kind::Unanswered) {
            self.unanswered.answered6(at, &client, answer);
        }
        let query = || v6::key(answer).and_then(|key| tracker.exchanges6.find(at, key).cloned());
        let find = || Exchange6 { query: query(), answer: Some(Arc::clone(answer)) };
        if self.kinds.has(Kind::ForeignServer) {
            let key = (answer.source_mac, answer.source.ip(), server);
            let foreign = self.foreign_server(at, counts, client, message.transaction_id, key);
            if let Some((first, left_out)) = foreign {
                let mut leases = message.identity_associations().filter_map(|ia| ia.leases().next());
                let address = leases.next().map(|lease| lease.address.into());
                self.emit(at, Finding::ForeignServer { address, first }, Frames::V6(find()), left_out);
            }
        }
        if self.kinds.has(Kind::Nak) {
            let exchange = find();
            if let Some(finding) = refusal::nak6(&exchange) {
                self.emit(at, finding, Frames::V6(exchange), 0);
            }
        }
        if counts && self.kinds.has(Kind::PoolExhausted) {
            self.exhausted6(at, answer, &find());
        }
        if counts && self.kinds.has(Kind::Conflict) && message.message_type == dhcpv6::MessageType::REPLY {
            self.conflicts.granted6(at, answer, tracker);
        }
    }

    fn exhausted6(&mut self, at: Timestamp, answer: &Observed6, exchange: &Exchange6) {
        // A question tells more of its way than an answer.
        let link = Link::of6(exchange.query.as_deref().unwrap_or(answer));
        for code in [status::NO_ADDRS_AVAIL, status::NO_PREFIX_AVAIL] {
            let Some(found) = refusal::statuses(&answer.message).find(|found| found.code == code) else {
                continue;
            };
            if self.exhaustion.refuse(at, link.clone(), code) {
                let finding =
                    Finding::PoolExhausted { status: Some(code), reason: found.reason, clients: None };
                self.emit(at, finding, Frames::V6(exchange.clone()), 0);
            }
        }
    }
}

/// The questions that an answer of this type can belong to, the likeliest first.
fn questions_behind(answer: Option<dhcpv4::MessageType>) -> &'static [dhcpv4::MessageType] {
    use dhcpv4::MessageType;
    match answer {
        Some(MessageType::OFFER) => &[MessageType::DISCOVER],
        Some(MessageType::NAK) => &[MessageType::REQUEST],
        _ => &[MessageType::REQUEST, MessageType::INFORM, MessageType::DISCOVER],
    }
}

/// The DUID of the server that a message names or comes from, when it is as long as one may be.
fn server6(observed: &Observed6) -> Option<ServerId> {
    let duid = observed.message.server_duid()?;
    (1..=dhcpv6::Message::MAX_DUID).contains(&duid.len()).then(|| ServerId::V6(Duid::new(duid)))
}

/// Whether a client holds a running lease.
fn has_lease(at: Timestamp, chaddr: &HardwareAddress, tracker: &Tracker) -> bool {
    let owner = Owner::Hardware(chaddr.htype(), chaddr.octets());
    let runs = |lease: &super::Lease4| lease.state == LeaseState::Default && !lease.is_overdue(at);
    !tracker.leases4.owned(owner, runs).is_empty()
}
