//! What DHCPv6 messages say of the network.

use std::sync::Arc;

use crate::dhcpv6::{Message, MessageType};
use crate::identity::Duid;
use crate::time::Timestamp;
use crate::tracker::{Exchange6, Observed, Observed6, Tracker, v6};

use super::exhaustion::Link;
use super::refusal::{self, status};
use super::{Client, Finding, Frames, Kind, ServerId, Watch};

impl Watch {
    pub(super) fn message6(&mut self, at: Timestamp, observed: &Arc<Observed6>, tracker: &Tracker) {
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
        if counts && self.kinds.has(Kind::Conflict) && message.message_type == MessageType::REPLY {
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

/// The DUID of the server that a message names or comes from, when it is as long as one may be.
fn server6(observed: &Observed6) -> Option<ServerId> {
    let duid = observed.message.server_duid()?;
    (1..=Message::MAX_DUID).contains(&duid.len()).then(|| ServerId::V6(Duid::new(duid)))
}
