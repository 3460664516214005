//! Questions that nobody answers, by client and kind of question.

use std::collections::VecDeque;
use std::time::Duration;

use crate::dhcpv4;
use crate::dhcpv6;
use crate::time::Timestamp;
use crate::tracker::{Observed, Observed4, Observed6};

use super::Client;
use super::recent::Recent;

/// Episodes that are followed at once.
const LIMIT: usize = 16_384;
/// A client that is silent for so long has given up. DHCPv6 clients rest for up to an hour between two attempts
/// (SOL_MAX_RT, RFC 8415 section 7.6).
const PATIENCE: Duration = Duration::from_secs(2 * 3_600);

/// A client and the type of its question.
pub(super) type Key = (Client, u8);

/// A question and its repetitions, for as long as there is no answer.
#[derive(Debug)]
struct Episode {
    since: Timestamp,
    asked: u32,
    transaction: u32,
    /// The client is not known to have a lease.
    newcomer: bool,
    /// The latest question; gone once the episode was told.
    question: Option<Observed>,
}

/// An episode that has just become too long.
#[derive(Debug)]
pub(super) struct Overdue {
    pub(super) at: Timestamp,
    pub(super) client: Client,
    pub(super) since: Timestamp,
    pub(super) asked: u32,
    pub(super) newcomer: bool,
    pub(super) question: Observed,
}

/// The episodes that are on.
#[derive(Debug)]
pub(super) struct Unanswered {
    after: Duration,
    episodes: Recent<Key, Episode>,
    /// When each becomes too long. All wait equally long, so those that began first stand first; those that have ended
    /// or were told are stale.
    due: VecDeque<(Timestamp, Key)>,
}

impl Unanswered {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, episodes: Recent::new(LIMIT, PATIENCE.max(after)), due: VecDeque::new() }
    }

    /// A client asks. When its episode was told before, says since when it is on.
    pub(super) fn ask(
        &mut self,
        at: Timestamp,
        key: Key,
        transaction: u32,
        newcomer: bool,
        question: &Observed,
    ) -> Option<Timestamp> {
        let before = self.episodes.take(at, &key);
        let is_new = before.is_none();
        let mut episode =
            before.unwrap_or(Episode { since: at, asked: 0, transaction, newcomer, question: None });
        let told = episode.question.is_none() && !is_new;
        episode.asked = episode.asked.saturating_add(1);
        episode.transaction = transaction;
        let mut bytes = 0;
        if !told {
            episode.question = Some(question.clone());
            bytes = match question {
                Observed::V4(observed) => observed.message.options.footprint(),
                Observed::V6(observed) => observed.message.footprint(),
            };
        }
        let since = episode.since;
        self.episodes.put(at, key.clone(), episode, bytes);
        if is_new {
            self.due.push_back((at + self.after, key));
            if self.due.len() > 2 * self.episodes.limit() {
                let mut due = std::mem::take(&mut self.due);
                due.retain(|(due, key)| self.is_live(*due, key));
                self.due = due;
            }
        }
        told.then_some(since)
    }

    /// A client has an answer to this kind of question.
    pub(super) fn answered(&mut self, at: Timestamp, client: &Client, kinds: &[u8]) {
        for kind in kinds {
            self.episodes.take(at, &(client.clone(), *kind));
        }
        self.skip_stale();
    }

    /// What a DHCPv4 answer ends: an OFFER the search, a NAK the request, an ACK with an address both, and one without
    /// an INFORM.
    pub(super) fn answered4(&mut self, at: Timestamp, client: &Client, answer: &Observed4) {
        use dhcpv4::MessageType;
        let kinds: &[MessageType] = match answer.message.message_type {
            Some(MessageType::OFFER) => &[MessageType::DISCOVER],
            Some(MessageType::NAK) => &[MessageType::REQUEST],
            Some(MessageType::ACK) if answer.message.yiaddr.is_unspecified() => &[MessageType::INFORM],
            Some(MessageType::ACK) => &[MessageType::DISCOVER, MessageType::REQUEST],
            _ => &[],
        };
        for kind in kinds {
            self.answered(at, client, &[kind.0]);
        }
    }

    /// What a DHCPv6 answer ends: an Advertise the search; a Reply what it replies to and, if that was about addresses,
    /// all that the client wanted of that sort.
    pub(super) fn answered6(&mut self, at: Timestamp, client: &Client, answer: &Observed6) {
        use dhcpv6::MessageType;
        const ALONE: [u8; 3] =
            [MessageType::INFORMATION_REQUEST.0, MessageType::RELEASE.0, MessageType::DECLINE.0];
        const ADDRESSES: [u8; 5] = [
            MessageType::SOLICIT.0,
            MessageType::REQUEST.0,
            MessageType::CONFIRM.0,
            MessageType::RENEW.0,
            MessageType::REBIND.0,
        ];
        if answer.message.message_type == MessageType::ADVERTISE {
            return self.answered(at, client, &[MessageType::SOLICIT.0]);
        }
        let transaction = answer.message.transaction_id;
        let same = |kind: &&u8| {
            self.episodes
                .peek(&(client.clone(), **kind))
                .is_some_and(|episode| episode.transaction == transaction)
        };
        match ALONE.iter().find(same) {
            Some(kind) => self.answered(at, client, &[*kind]),
            None => self.answered(at, client, &ADDRESSES),
        }
    }

    /// When the next episode becomes too long.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.front().map(|(due, _)| *due)
    }

    /// Takes the next episode that is too long at `now`. It stays on, and is not told again.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Overdue> {
        self.skip_stale();
        if self.next()? > now {
            return None;
        }
        let (at, key) = self.due.pop_front()?;
        self.skip_stale();
        self.episodes.lighten(&key);
        // It was put in at the latest when it was due, so it is not too old to be found.
        let episode = self.episodes.get_mut(at, &key)?;
        Some(Overdue {
            at,
            since: episode.since,
            asked: episode.asked,
            newcomer: episode.newcomer,
            question: episode.question.take()?,
            client: key.0,
        })
    }

    /// How many episodes made room for others.
    pub(super) fn evicted(&self) -> u64 {
        self.episodes.evicted()
    }

    fn skip_stale(&mut self) {
        while let Some((due, key)) = self.due.front()
            && !self.is_live(*due, key)
        {
            self.due.pop_front();
        }
    }

    fn is_live(&self, due: Timestamp, key: &Key) -> bool {
        self.episodes
            .peek(key)
            .is_some_and(|episode| episode.question.is_some() && episode.since + self.after == due)
    }
}
