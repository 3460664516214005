//! What DHCPv4 messages say of the network.

use std::net::IpAddr;
use std::sync::Arc;

use crate::dhcpv4::{MessageType, Op};
use crate::identity::HardwareAddress;
use crate::time::Timestamp;
use crate::tracker::records::Record;
use crate::tracker::table::Owner;
use crate::tracker::{Exchange4, Lease4, LeaseState, Observed, Observed4, Tracker, v4};

use super::exhaustion::{Exhausted, Link};
use super::{Client, Finding, Frames, Kind, ServerId, Watch, refusal};

impl Watch {
    pub(super) fn message4(&mut self, at: Timestamp, observed: &Arc<Observed4>, tracker: &Tracker) {
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

    fn question4(&mut self, at: Timestamp, query: &Arc<Observed4>, kind: MessageType, tracker: &Tracker) {
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
    pub(super) fn searching(
        &mut self,
        at: Timestamp,
        client: Client,
        since: Timestamp,
        query: &Arc<Observed4>,
    ) {
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
        let is_ack = message.message_type == Some(MessageType::ACK);
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
}

/// The questions that an answer of this type can belong to, the likeliest first.
fn questions_behind(answer: Option<MessageType>) -> &'static [MessageType] {
    match answer {
        Some(MessageType::OFFER) => &[MessageType::DISCOVER],
        Some(MessageType::NAK) => &[MessageType::REQUEST],
        _ => &[MessageType::REQUEST, MessageType::INFORM, MessageType::DISCOVER],
    }
}

/// Whether a client holds a running lease.
fn has_lease(at: Timestamp, chaddr: &HardwareAddress, tracker: &Tracker) -> bool {
    let owner = Owner::Hardware(chaddr.htype(), chaddr.octets());
    let runs = |lease: &Lease4| lease.state == LeaseState::Default && !lease.is_overdue(at);
    !tracker.leases4.owned(owner, runs).is_empty()
}
