//! A RELEASE or DECLINE that comes before the answer to what the same client asked before.
//!
//! A server takes messages one after the other, and such a message waits in its queue while it answers the question
//! before. On the wire the answer comes last, and would bring back to life what was given back. So the message is held
//! until the answer has passed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::HardwareAddress;
use crate::time::Timestamp;

use super::Observed4;
use super::exchange::Exchanges;

/// How long the answer may take. A question that is not answered by then is one that the server ignores.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many messages are held. One more is not held: a flood of them is not a client in a hurry.
const LIMIT: usize = 1_024;

/// The messages that are held, and the questions that they wait for.
#[derive(Debug)]
pub(super) struct Held {
    /// The transaction that each client waits for, and since when; `None` once it is answered.
    waiting: Exchanges<Option<(Timestamp, u32)>>,
    /// Oldest first.
    messages: VecDeque<Message>,
    /// Messages that were not held because too many were.
    over_limit: u64,
}

#[derive(Debug)]
struct Message {
    /// Until when it is held.
    until: Timestamp,
    /// When it came.
    came: Timestamp,
    /// The transaction whose answer it waits for.
    xid: u32,
    observed: Arc<Observed4>,
}

/// The held messages of a client that an answer sets free: those that the server took before the question behind the
/// answer, and those that it takes right after the answer.
#[derive(Debug, Default)]
pub(super) struct SetFree {
    pub(super) before: Vec<Arc<Observed4>>,
    pub(super) after: Vec<Arc<Observed4>>,
}

impl Held {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: Exchanges::new(limit), messages: VecDeque::new(), over_limit: 0 }
    }

    /// A client has asked something that the server may answer.
    pub(super) fn asked(&mut self, at: Timestamp, client: &HardwareAddress, xid: u32) {
        self.waiting.ask(at, client, Some((at, xid)), 0);
    }

    /// Holds a message if its client waits for an answer; gives it back if not.
    pub(super) fn hold(&mut self, at: Timestamp, observed: Arc<Observed4>) -> Option<Arc<Observed4>> {
        let asked = self.waiting.find(at, observed.message.chaddr).copied().flatten();
        match asked.filter(|(asked, _)| at.since(*asked) < PATIENCE) {
            Some(_) if self.messages.len() >= LIMIT => {
                self.over_limit += 1;
                Some(observed)
            }
            Some((_, xid)) => {
                self.messages.push_back(Message { until: at + PATIENCE, came: at, xid, observed });
                None
            }
            None => Some(observed),
        }
    }

    /// An answer to a client has passed. `asked` is when its question was put, if that was seen.
    pub(super) fn answered(
        &mut self,
        at: Timestamp,
        client: &HardwareAddress,
        xid: u32,
        asked: impl FnOnce() -> Option<Timestamp>,
    ) -> SetFree {
        if self.waiting.find(at, client).is_some_and(|waits| waits.is_some_and(|(_, own)| own == xid)) {
            self.waiting.ask(at, client, None, 0);
        }
        let mut free = SetFree::default();
        if self.messages.is_empty() {
            return free;
        }
        let asked = asked();
        let mut kept = VecDeque::new();
        for held in self.messages.drain(..) {
            if held.observed.message.chaddr != *client {
                kept.push_back(held);
            } else if held.xid == xid {
                free.after.push(held.observed);
            } else if asked.is_some_and(|asked| asked > held.came) {
                free.before.push(held.observed);
            } else {
                kept.push_back(held);
            }
        }
        self.messages = kept;
        free
    }

    /// How many messages were not held because too many were, and counted at once.
    pub(super) fn over_limit(&self) -> u64 {
        self.over_limit
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Until when the first message is held.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.messages.front().map(|held| held.until)
    }

    /// Takes out the first message.
    pub(super) fn pop(&mut self) -> Option<Arc<Observed4>> {
        self.messages.pop_front().map(|held| held.observed)
    }
}
