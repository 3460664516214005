//! One message seen on several legs of its way is one message.
//!
//! A mirror port may show both sides of a relay, or of a router: the server's answer on its way to the relay, and the same
//! answer as the relay passes it on. It is the same answer when it says the same thing within a moment and comes from
//! somewhere else, since a server that answers a retransmission answers from where it answered before.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use crate::dissect::VlanTags;
use crate::time::Timestamp;

use super::observed::ObservedMessage;
use super::{Observed4, Observed6};

/// How long a message may take over all its legs. Clients wait longer than this before they ask again (RFC 2131 section
/// 4.1, RFC 8415 section 15), but nothing rests on that: what comes again on the same leg is always a message of its own.
const WINDOW: Duration = Duration::from_secs(1);
/// The most messages remembered at a time. At the limit the oldest is forgotten.
const MESSAGES: usize = 65_536;
/// The most legs on which one message is followed; more than relays are allowed to be in a row.
const LEGS: usize = 32;

/// One side of a relay or router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    source: IpAddr,
    source_mac: Option<[u8; 6]>,
    vlans: VlanTags,
    /// How far from the client, as far as the message says: no relay puts on again what another has taken off.
    depth: usize,
}

impl Leg {
    fn new<M>(observed: &ObservedMessage<M>, depth: usize) -> Self {
        Self { source: observed.source.ip(), source_mac: observed.source_mac, vlans: observed.vlans, depth }
    }

    /// The leg of a DHCPv4 message. The last relay is the one that answers to the client's port.
    pub(super) fn of4(observed: &Observed4) -> Self {
        const CLIENT: u16 = 68;
        let is_last = observed.message.is_relayed() && observed.destination.port() == CLIENT;
        Self::new(observed, usize::from(!is_last))
    }

    /// The leg of a DHCPv6 message: each relay takes off one envelope.
    pub(super) fn of6(observed: &Observed6) -> Self {
        Self::new(observed, observed.message.relays.len())
    }
}

/// Messages of the last moments, by what they say, and where each was seen.
#[derive(Debug, Default)]
pub(super) struct Legs {
    /// By the hash of what they say: it is keyed at random, so nobody can make two of them meet.
    messages: HashMap<u64, Said>,
    /// Every message in the order of its first sighting.
    recent: VecDeque<(Timestamp, u64)>,
    hasher: RandomState,
    /// Messages that were forgotten before their time.
    evicted: u64,
}

/// Messages that say the same. They are numbered from 0 as they are first seen, on whichever leg; a leg on which the same
/// is said again shows the next message that it has not shown yet.
#[derive(Debug)]
struct Said {
    /// The number of the oldest message remembered.
    oldest: u64,
    /// The number of the next new message.
    next: u64,
    /// The number of the next message that a leg has not shown.
    legs: Vec<(Leg, u64)>,
}

impl Said {
    /// Counts a sighting; whether it is the first one of its message.
    fn is_first_sighting(&mut self, leg: Leg) -> bool {
        let unseen = match self.legs.iter_mut().find(|(known, _)| *known == leg) {
            Some((_, unseen)) => unseen,
            None => {
                let deeper = self.legs.iter().all(|(known, _)| known.depth < leg.depth);
                let unseen = if deeper { self.next } else { self.oldest };
                if self.legs.len() < LEGS {
                    self.legs.push((leg, unseen));
                }
                match self.legs.last_mut() {
                    Some((last, unseen)) if *last == leg => unseen,
                    _ => return false,
                }
            }
        };
        let number = self.oldest.max(*unseen);
        *unseen = number + 1;
        let first = number >= self.next;
        if first {
            self.next = number + 1;
        }
        first
    }
}

impl Legs {
    /// Whether this was seen a moment ago on another leg, saying the same.
    pub(super) fn is_copy(&mut self, at: Timestamp, said: impl Hash, leg: Leg) -> bool {
        while self.recent.front().is_some_and(|(first, _)| at.since(*first) > WINDOW) {
            self.forget_oldest();
        }
        let key = self.hasher.hash_one(said);
        let said = self.messages.entry(key).or_insert(Said { oldest: 0, next: 0, legs: Vec::new() });
        let first = said.is_first_sighting(leg);
        if first {
            self.recent.push_back((at, key));
            if self.recent.len() > MESSAGES {
                self.evicted += 1;
                self.forget_oldest();
            }
        }
        !first
    }

    /// How many messages were forgotten because there were too many: their copies count as messages.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn forget_oldest(&mut self) {
        let Some((_, key)) = self.recent.pop_front() else { return };
        if let Some(said) = self.messages.get_mut(&key) {
            said.oldest += 1;
            if said.oldest >= said.next {
                self.messages.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(number: u8) -> Leg {
        Leg { source: [192, 0, 2, number].into(), source_mac: None, vlans: VlanTags::default(), depth: 1 }
    }

    #[test]
    fn each_leg_shows_each_message_once() {
        let mut legs = Legs::default();
        let at = Timestamp::from_seconds;
        for (number, copy) in
            [(1, false), (2, true), (3, true), (1, false), (1, false), (2, true), (2, true), (2, false)]
        {
            assert_eq!(legs.is_copy(at(0), "ack", leg(number)), copy, "{number}");
        }
        assert!(!legs.is_copy(at(0), "another", leg(2)));
        assert!(!legs.is_copy(at(2), "ack", leg(3)), "that was long ago");
        assert_eq!((legs.messages.len(), legs.recent.len()), (1, 1));
    }

    #[test]
    fn what_was_seen_outside_its_envelope_is_not_put_back() {
        let mut legs = Legs::default();
        let deep = |number, depth| Leg { depth, ..leg(number) };
        let now = Timestamp::EPOCH;
        for (leg, copy) in [(deep(1, 0), false), (deep(2, 1), false), (deep(3, 0), true), (deep(3, 0), true)]
        {
            assert_eq!(legs.is_copy(now, "reply", leg), copy, "{leg:?}");
        }
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut legs = Legs::default();
        for number in 0..MESSAGES * 2 {
            legs.is_copy(Timestamp::EPOCH, number, leg(1));
        }
        assert_eq!((legs.messages.len(), legs.recent.len()), (MESSAGES, MESSAGES));
        assert_eq!(legs.evicted(), MESSAGES as u64);
        for number in 0..=255 {
            legs.is_copy(Timestamp::EPOCH, 0, leg(number));
        }
        assert!(legs.messages.values().all(|said| said.legs.len() <= LEGS));
    }
}
