//! DHCPv6: what Kea's server does with each message, as far as the wire tells.

mod ended;
mod given;
mod view;

use std::sync::Arc;

use crate::dhcpv6::{IaLease, IdentityAssociation, MessageType};
use crate::identity::Duid;
use crate::time::{Lifetime, Timestamp};

use super::legs::Leg;
use super::{Answers, Exchange6, Observed6, Occurrence, Tracker};

/// The UDP port from which clients ask (RFC 8415 section 7.2).
const CLIENT: u16 = 546;

/// How many leases of one message count, those that it gives and those that it takes away each. No server gives so many to
/// one client; with thousands of them the environment of their one hook would be larger than the kernel takes
/// (`execve(2)`: a quarter of the stack's limit, two million octets as a rule).
const MOST_LEASES: usize = 128;

/// What an answer has in common with its question.
pub(super) type Key = (u32, Duid);

pub(super) fn key(observed: &Observed6) -> Option<Key> {
    Some((observed.message.transaction_id, Duid::new(observed.message.client_duid()?)))
}

impl Tracker {
    pub(super) fn message6(&mut self, at: Timestamp, observed: Arc<Observed6>) {
        self.counters.messages6 += 1;
        let message = &observed.message;
        self.counters.malformed += u64::from(!message.malformed.is_empty());
        match message.message_type {
            question if question.is_query() => {
                if !self.answers.query_counts(observed.direction) {
                    self.counters.foreign_queries += 1;
                } else if let Some(key) = key(&observed) {
                    let by_client = observed.source.port() == CLIENT && !observed.message.relays.is_empty();
                    self.counters.relayed_by_clients += u64::from(by_client);
                    let bytes = observed.message.footprint();
                    self.exchanges6.ask(at, key, Arc::clone(&observed), bytes);
                    self.heard(at, || Occurrence::Heard6 {
                        exchange: Exchange6 { query: Some(observed), answer: None },
                    });
                } else {
                    // Only an Information-request may be anonymous (RFC 8415 section 18.2.6), and it makes no lease.
                    self.counters.other_messages += 1;
                }
            }
            MessageType::REPLY | MessageType::ADDR_REG_REPLY => {
                if !self.answers.answer_counts(observed.direction) {
                    self.counters.foreign_answers += 1;
                } else if !self.is_copy6(at, &observed) {
                    self.reply6(at, observed);
                }
            }
            MessageType::ADVERTISE => {
                if !self.answers.answer_counts(observed.direction) {
                    self.counters.foreign_answers += 1;
                } else if self.tells_heard {
                    let query = key(&observed).and_then(|key| self.exchanges6.find(at, key).cloned());
                    let exchange = Exchange6 { query, answer: Some(observed) };
                    self.heard(at, || Occurrence::Heard6 { exchange });
                }
            }
            _ => self.counters.other_messages += 1,
        }
    }

    /// Whether a mirror port showed the same a moment ago on the other side of a relay, which leaves the message in its
    /// envelope alone.
    fn is_copy6(&mut self, at: Timestamp, observed: &Observed6) -> bool {
        if self.answers != Answers::Both {
            return false;
        }
        let message = &observed.message;
        let options: Vec<(u16, &[u8])> = message.options().collect();
        let said = (6, message.message_type, message.transaction_id, options);
        let copy = self.legs.is_copy(at, said, Leg::of6(observed));
        self.counters.relayed_copies += u64::from(copy);
        copy
    }

    fn reply6(&mut self, at: Timestamp, answer: Arc<Observed6>) {
        let Some(key) = key(&answer) else {
            self.counters.other_messages += 1;
            return;
        };
        let query = self.exchanges6.find(at, key).cloned();
        let question = query.as_deref().map(|query| query.message.message_type);
        let exchange = Exchange6 { query, answer: Some(answer.clone()) };
        match question {
            Some(MessageType::REQUEST | MessageType::RENEW | MessageType::REBIND) => {
                self.granted6(at, exchange)
            }
            Some(MessageType::SOLICIT) if answer.message.has_rapid_commit() => self.granted6(at, exchange),
            Some(MessageType::RELEASE) => self.released6(at, exchange),
            Some(MessageType::DECLINE) => self.declined6(at, exchange),
            Some(MessageType::ADDR_REG_INFORM) if self.config.version.registers_addresses() => {
                self.registered6(at, exchange);
            }
            Some(_) => self.heard(at, || Occurrence::Heard6 { exchange }),
            None => {
                // Any question can be behind it. Addresses with a lifetime tell that it gave a lease.
                if answer.message.identity_associations().any(|ia| given(&ia).next().is_some()) {
                    self.counters.inferred_answers += 1;
                    self.granted6(at, exchange);
                } else {
                    self.counters.unmatched_answers += 1;
                }
            }
        }
    }
}

/// What an identity association of a Reply gives: the addresses and prefixes with a lifetime.
fn given<'a>(ia: &IdentityAssociation<'a>) -> impl Iterator<Item = IaLease> + use<'a> {
    ia.leases().filter(|lease| lease.valid_lifetime != Lifetime::Seconds(0))
}
