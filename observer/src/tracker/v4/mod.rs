//! DHCPv4: what Kea's server does with each message, as far as the wire tells.

mod leases;
mod view;

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::dhcpv4::{MessageType, Op, code};
use crate::identity::HardwareAddress;
use crate::time::Timestamp;

use super::legs::Leg;
use super::{Answers, Event, Exchange4, Observed4, Occurrence, Tracker};

pub(super) use leases::shows_remainder;

/// The kind of a BOOTP question, which has no message type.
const BOOTP: MessageType = MessageType(0);

/// What an answer has in common with its question: the transaction, the client, what kind of question it answers, and the
/// relay (RFC 2131 table 3). A relay can overhear what is routed past it and send it on as well: the same question twice,
/// and an answer to each.
pub(super) type Key = (u32, HardwareAddress, MessageType, Ipv4Addr);

pub(super) fn key(observed: &Observed4, question: MessageType) -> Key {
    (observed.message.xid, observed.message.chaddr, question, observed.message.giaddr)
}

impl Tracker {
    pub(super) fn message4(&mut self, at: Timestamp, observed: Arc<Observed4>) {
        self.counters.messages4 += 1;
        let message = &observed.message;
        self.counters.malformed += u64::from(!message.malformed.is_empty());
        match (message.op, message.message_type) {
            (
                Op::Request,
                None
                | Some(
                    MessageType::DISCOVER
                    | MessageType::REQUEST
                    | MessageType::DECLINE
                    | MessageType::RELEASE
                    | MessageType::INFORM,
                ),
            ) => {
                if self.answers.query_counts(observed.direction) {
                    self.query4(at, observed);
                } else {
                    self.counters.foreign_queries += 1;
                }
            }
            (Op::Reply, None | Some(MessageType::OFFER | MessageType::ACK | MessageType::NAK)) => {
                if !self.answers.answer_counts(observed.direction) {
                    self.counters.foreign_answers += 1;
                } else if !self.is_copy4(at, &observed) {
                    self.answer4(at, observed);
                }
            }
            _ => self.counters.other_messages += 1,
        }
    }

    /// Whether a mirror port showed the same a moment ago on the other side of a relay. A relay changes `hops`, `giaddr`
    /// and option 82, and whom the message is sent to; what makes a lease stays.
    fn is_copy4(&mut self, at: Timestamp, observed: &Observed4) -> bool {
        let message = &observed.message;
        let addresses = (message.ciaddr, message.yiaddr, message.requested_address(), message.server_id());
        let said = (
            message.message_type,
            message.xid,
            message.chaddr,
            message.client_id(),
            addresses,
            message.lease_time(),
        );
        let copy = self.answers == Answers::Both && self.legs.is_copy(at, (4, said), Leg::of4(observed));
        self.counters.relayed_copies += u64::from(copy);
        copy
    }

    /// A question. Most wait for their answer; RELEASE and DECLINE have none, and neither do those that Kea rejects.
    fn query4(&mut self, at: Timestamp, observed: Arc<Observed4>) {
        let message_type = observed.message.message_type.unwrap_or(BOOTP);
        self.counters.relayed_by_clients += u64::from(is_relayed_by_client(&observed));
        if !observed.message.is_readable() {
            self.counters.other_messages += 1;
            return;
        }
        let unanswered = matches!(message_type, MessageType::RELEASE | MessageType::DECLINE);
        if unanswered && !self.is_for_our_server(&observed) {
            self.counters.foreign_queries += 1;
        } else if (unanswered || self.fails_sanity_check(&observed)) && self.is_copy4(at, &observed) {
            // What it caused was told when it was on its way to the relay.
        } else if self.fails_sanity_check(&observed) {
            self.rejected4(at, observed);
        } else if unanswered {
            if let Some(observed) = self.held4.hold(at, observed) {
                self.given_up4(at, observed);
            }
        } else {
            if matches!(message_type, MessageType::DISCOVER | MessageType::REQUEST) {
                self.held4.asked(at, &observed.message.chaddr, observed.message.xid);
            }
            let (key, bytes) = (key(&observed, message_type), observed.message.options.footprint());
            self.exchanges4.ask(at, key, Arc::clone(&observed), bytes);
            self.heard(at, || Occurrence::Heard4 {
                exchange: Exchange4 { query: Some(observed), answer: None },
            });
        }
    }

    /// A RELEASE or DECLINE whose turn has come.
    fn given_up4(&mut self, at: Timestamp, observed: Arc<Observed4>) {
        if observed.message.message_type == Some(MessageType::RELEASE) {
            self.released4(at, observed);
        } else {
            self.declined4(at, observed);
        }
    }

    /// The answer for which the first held message waits will not come.
    pub(super) fn let_go4(&mut self, at: Timestamp) {
        if let Some(observed) = self.held4.pop() {
            self.given_up4(at, observed);
        }
    }

    /// Whether the question names no server, or one that was heard. Before any was heard nothing can be told.
    fn is_for_our_server(&self, observed: &Observed4) -> bool {
        match observed.message.server_id() {
            Some(server) => self.servers4.is_empty() || self.servers4.contains(&server),
            None => true,
        }
    }

    /// The sanity checks of Kea 2.2, after which it calls `leases4_committed` with nothing in it and sends no answer:
    /// a client that has neither hardware address nor identifier, a DISCOVER that names this server.
    fn fails_sanity_check(&self, observed: &Observed4) -> bool {
        let message = &observed.message;
        if matches!(message.message_type, None | Some(MessageType::INFORM))
            || !self.is_for_our_server(observed)
        {
            return false;
        }
        let nobody = message.chaddr.is_empty() && message.client_id().is_none();
        let offered_before_asking = message.message_type == Some(MessageType::DISCOVER)
            && message.server_id().is_some_and(|server| self.servers4.contains(&server));
        nobody || offered_before_asking
    }

    /// A message that the server rejects without an answer. That it did is known from its rules, not from the wire.
    fn rejected4(&mut self, at: Timestamp, query: Arc<Observed4>) {
        if self.config.version.commits_rejected_messages() {
            let exchange = Exchange4 { query: Some(query), answer: None };
            let committed = Occurrence::Committed4 { exchange, leases: vec![], deleted: vec![] };
            self.emit_as(at, Event::Commit, committed, true);
        }
    }

    fn answer4(&mut self, at: Timestamp, answer: Arc<Observed4>) {
        if let Some(server) = answer.message.server_id()
            && self.servers4.hear(&server)
            && let Some(new) = &mut self.new_servers4
        {
            new.push(server);
        }
        let (client, xid) = (answer.message.chaddr, answer.message.xid);
        let question = match answer.message.message_type {
            Some(MessageType::OFFER) => MessageType::DISCOVER,
            _ => MessageType::REQUEST,
        };
        let asked = || self.exchanges4.asked_at(at, key(&answer, question));
        let free = self.held4.answered(at, &client, xid, asked);
        free.before.into_iter().for_each(|observed| self.given_up4(at, observed));
        self.matched4(at, answer);
        free.after.into_iter().for_each(|observed| self.given_up4(at, observed));
    }

    /// An answer, in its place among the client's messages.
    fn matched4(&mut self, at: Timestamp, answer: Arc<Observed4>) {
        let find = |question| self.exchanges4.find(at, key(&answer, question)).cloned();
        match answer.message.message_type {
            Some(MessageType::OFFER) => {
                let query = find(MessageType::DISCOVER);
                self.offered4(at, Exchange4 { query, answer: Some(answer) });
            }
            Some(MessageType::NAK) => {
                let query = find(MessageType::REQUEST);
                self.counters.inferred_answers += u64::from(query.is_none());
                self.commit_nothing(at, Event::Commit, Exchange4 { query, answer: Some(answer) });
            }
            Some(MessageType::ACK) => {
                let given = !answer.message.yiaddr.is_unspecified();
                if let Some(query) = find(MessageType::REQUEST).filter(|_| given) {
                    // Beside one server its answer is the truth; of several, a client takes that of the one it has named.
                    if self.answers == Answers::Both && !is_chosen(&query, &answer) {
                        self.counters.unchosen_answers += 1;
                        return;
                    }
                    self.granted4(at, Exchange4 { query: Some(query), answer: Some(answer) });
                } else if let Some(query) = find(MessageType::INFORM) {
                    // The client keeps an address that it has from elsewhere; there is no lease.
                    let exchange = Exchange4 { query: Some(query), answer: Some(answer) };
                    self.heard(at, || Occurrence::Heard4 { exchange });
                } else if let Some(query) = find(MessageType::DISCOVER)
                    .filter(|_| given && answer.message.options.contains(code::RAPID_COMMIT))
                {
                    // RFC 4039: two messages instead of four.
                    self.granted4(at, Exchange4 { query: Some(query), answer: Some(answer) });
                } else if given && answer.message.lease_time().is_some() {
                    self.counters.inferred_answers += 1;
                    self.granted4(at, Exchange4 { query: None, answer: Some(answer) });
                } else {
                    self.counters.unmatched_answers += 1;
                }
            }
            None => match find(BOOTP) {
                // BOOTP knows no lease time: the address is the client's for good.
                Some(query) if !answer.message.yiaddr.is_unspecified() => {
                    self.granted4(at, Exchange4 { query: Some(query), answer: Some(answer) });
                }
                _ => self.counters.unmatched_answers += 1,
            },
            Some(_) => {}
        }
    }
}

/// Whether the question names the server that answers, or none.
fn is_chosen(query: &Observed4, answer: &Observed4) -> bool {
    match (query.message.server_id(), answer.message.server_id()) {
        (Some(chosen), Some(server)) => chosen == server,
        _ => true,
    }
}

/// Whether a question comes from a client's port and says what a relay says.
fn is_relayed_by_client(query: &Observed4) -> bool {
    const CLIENT: u16 = 68;
    let message = &query.message;
    query.source.port() == CLIENT
        && (message.is_relayed() || message.options.contains(code::RELAY_AGENT_INFORMATION))
}

#[cfg(test)]
mod tests {
    use super::super::{Answers, Limits, Observed};
    use super::*;
    use crate::config::ServerConfig;
    use crate::dhcpv4;
    use crate::dissect::VlanTags;
    use crate::frame::{Direction, Interface};

    const RELAY: [u8; 4] = [198, 51, 100, 1];

    fn message(kind: u8, giaddr: [u8; 4], to: &str) -> Observed {
        let mut payload = vec![0; 236];
        payload[0] = if kind == 5 { 2 } else { 1 };
        payload[1..3].copy_from_slice(&[1, 6]);
        payload[7] = 9;
        payload[12..16].copy_from_slice(&[198, 51, 100, 100]);
        if kind == 5 {
            payload[16..20].copy_from_slice(&[198, 51, 100, 100]);
        }
        payload[24..28].copy_from_slice(&giaddr);
        payload[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
        payload.extend([99, 130, 83, 99, 53, 1, kind, 51, 4, 0, 0, 0, 60, 255]);
        let source = "192.0.2.1:67".parse().unwrap();
        Observed::V4(Arc::new(Observed4 {
            interface: Arc::new(Interface { index: Some(2), name: "s0".to_owned() }),
            direction: if kind == 5 { Direction::Out } else { Direction::In },
            vlans: VlanTags::default(),
            source_mac: None,
            destination_mac: None,
            source,
            destination: to.parse().unwrap(),
            message: dhcpv4::parse(&payload),
        }))
    }

    #[test]
    fn a_renewal_that_a_relay_overhears_is_two_questions() {
        let mut tracker = Tracker::new(Arc::new(ServerConfig::default()), Answers::Out, Limits::default());
        let at = Timestamp::from_seconds(1);
        // As ISC dhcrelay does it: routed, overheard and sent on, then both are answered.
        for (kind, giaddr, to) in [
            (3, [0; 4], "192.0.2.1:67"),
            (3, RELAY, "192.0.2.1:67"),
            (5, [0; 4], "198.51.100.100:68"),
            (5, RELAY, "198.51.100.1:67"),
        ] {
            tracker.handle_message(at, message(kind, giaddr, to));
        }
        let mut relays = Vec::new();
        while let Some(event) = tracker.poll_event() {
            if let Occurrence::Committed4 { exchange, .. } = event.occurrence {
                relays.push(exchange.query.unwrap().message.giaddr);
            }
        }
        assert_eq!(relays, [Ipv4Addr::UNSPECIFIED, RELAY.into()]);
        assert_eq!(tracker.counters().inferred_answers, 0);
    }
}
