//! A RELEASE or DECLINE that comes before the answer to what the same client asked before.
//!
//! A server takes messages one after the other, and such a message waits in its queue while it answers the request. On
//! the wire the answer comes last, and would bring back to life what was given back. So the message is held until the
//! answer has passed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::HardwareAddress;
use crate::time::Timestamp;

use super::Observed4;
use super::exchange::Exchanges;

/// How long the answer may take. A request that is not answered by then is one that the server ignores.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many messages are held. One more is not held: a flood of them is not a client in a hurry.
const LIMIT: usize = 1_024;

/// The messages that are held, and the requests that they wait for.
#[derive(Debug)]
pub(super) struct Held {
    /// The transaction that each client waits for, and since when; `None` once it is answered.
    waiting: Exchanges<Option<(Timestamp, u32)>>,
    /// Until when each message is held, oldest first.
    messages: VecDeque<(Timestamp, Arc<Observed4>)>,
}

impl Held {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: Exchanges::new(limit), messages: VecDeque::new() }
    }

    /// A client has made a request.
    pub(super) fn asked(&mut self, at: Timestamp, client: &HardwareAddress, xid: u32) {
        self.waiting.ask(at, client, Some((at, xid)), 0);
    }

    /// An answer has passed. Whether it was the one that the client's held messages wait for; one to anything later tells
    /// that the server has come past them.
    pub(super) fn answered(&mut self, at: Timestamp, client: &HardwareAddress, xid: u32) -> bool {
        let awaited = self.waiting.find(at, client).is_some_and(|waits| waits.is_some_and(|(_, own)| own == xid));
        if awaited {
            self.waiting.ask(at, client, None, 0);
        }
        awaited
    }

    /// Holds a message if its client waits for an answer; gives it back if not.
    pub(super) fn hold(&mut self, at: Timestamp, message: Arc<Observed4>) -> Option<Arc<Observed4>> {
        let asked = self.waiting.find(at, message.message.chaddr).copied().flatten();
        let waits = asked.is_some_and(|(asked, _)| at.since(asked) < PATIENCE);
        if !waits || self.messages.len() >= LIMIT {
            return Some(message);
        }
        self.messages.push_back((at + PATIENCE, message));
        None
    }

    /// Takes out the held messages of a client.
    pub(super) fn take(&mut self, client: &HardwareAddress) -> Vec<Arc<Observed4>> {
        let (own, others) =
            std::mem::take(&mut self.messages).into_iter().partition(|(_, held)| held.message.chaddr == *client);
        self.messages = others;
        let own: VecDeque<_> = own;
        own.into_iter().map(|(_, held)| held).collect()
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Until when the first message is held.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.messages.front().map(|(until, _)| *until)
    }

    /// Takes out the first message.
    pub(super) fn pop(&mut self) -> Option<Arc<Observed4>> {
        self.messages.pop_front().map(|(_, held)| held)
    }
}
