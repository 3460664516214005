//! One frame that passed several taps is one frame.
//!
//! A bridge and its port, or a VLAN's parent and its child, both show the same bytes within moments. The copy on the
//! second tap is dropped and counted; the same bytes again on the same tap are a retransmission and are kept.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;
use slab::Slab;

use crate::frame::{Direction, Interface};
use crate::time::Timestamp;

use super::datagram::Datagram;

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateLimits {
    /// How long after its first sighting a frame can be seen on another tap.
    pub window: Duration,
    /// The most frames remembered at a time. At the limit the oldest is forgotten.
    pub frames: usize,
    /// The most octets of payload remembered at a time. At the limit the oldest is forgotten.
    pub bytes: usize,
}

impl Default for DuplicateLimits {
    fn default() -> Self {
        Self { window: Duration::from_millis(100), frames: 65_536, bytes: 16 * 1024 * 1024 }
    }
}

/// What became of the datagrams that went in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DuplicateCounts {
    /// Copies on a further tap, dropped.
    pub dropped: u64,
    /// Frames forgotten at a limit before their time: a later copy of one is taken for a frame of its own.
    pub evicted: u64,
}

/// Remembers the frames of the last moments and recognises their copies on other taps.
///
/// Contents are compared, not hashes: no one can make a frame disappear by finding a collision.
#[derive(Debug)]
pub struct Duplicates {
    limits: DuplicateLimits,
    taps: usize,
    hasher: RandomState,
    contents: Slab<Content>,
    index: HashTable<usize>,
    /// Every remembered frame in the order of its first sighting, with its content.
    recent: VecDeque<(Timestamp, usize)>,
    bytes: usize,
    counts: DuplicateCounts,
}

/// Frames with the same content, and who has seen how many of them.
///
/// Frames are numbered from 0 as they are first seen, on whichever tap. A tap that sees the content again sees the
/// next frame that it has not seen; if there is none, this sighting is the first one of a new frame.
#[derive(Debug)]
struct Content {
    hash: u64,
    direction: Direction,
    source: SocketAddr,
    destination: SocketAddr,
    payload: Box<[u8]>,
    /// The number of the oldest frame remembered.
    oldest: u64,
    /// The number of the next new frame.
    next: u64,
    /// The number of the next frame that a tap has not seen.
    taps: Vec<(Arc<Interface>, u64)>,
}

impl Content {
    fn is(&self, datagram: &Datagram<'_>) -> bool {
        self.direction == datagram.direction
            && self.source == datagram.source
            && self.destination == datagram.destination
            && *self.payload == *datagram.payload
    }

    /// Counts a sighting; whether it is the first one of its frame.
    fn is_first_sighting(&mut self, interface: &Arc<Interface>) -> bool {
        let same = |tap: &Arc<Interface>| Arc::ptr_eq(tap, interface) || tap == interface;
        let position = match self.taps.iter().position(|(tap, _)| same(tap)) {
            Some(position) => position,
            None => {
                self.taps.push((Arc::clone(interface), self.oldest));
                self.taps.len() - 1
            }
        };
        let Some((_, unseen)) = self.taps.get_mut(position) else { return true };
        let frame = self.oldest.max(*unseen);
        *unseen = frame + 1;
        let first = frame >= self.next;
        if first {
            self.next = frame + 1;
        }
        first
    }
}

impl Duplicates {
    /// For a number of taps. With one tap nothing is remembered, because nothing can be a copy.
    pub fn new(taps: usize, limits: DuplicateLimits) -> Self {
        Self {
            limits,
            taps,
            hasher: RandomState::new(),
            contents: Slab::new(),
            index: HashTable::new(),
            recent: VecDeque::new(),
            bytes: 0,
            counts: DuplicateCounts::default(),
        }
    }

    /// Says that interfaces came or went.
    pub fn set_taps(&mut self, taps: usize) {
        self.taps = taps;
    }

    /// What became of the datagrams that went in.
    pub fn counts(&self) -> DuplicateCounts {
        self.counts
    }

    #[cfg(test)]
    pub(super) fn footprint(&self) -> (usize, usize, usize) {
        assert_eq!(self.contents.len(), self.index.len());
        assert_eq!(self.contents.iter().map(|(_, content)| content.payload.len()).sum::<usize>(), self.bytes);
        (self.contents.len(), self.recent.len(), self.bytes)
    }

    /// Whether this is a frame that was seen on another tap within the window: same addresses, ports, payload and
    /// direction. Each tap sees each frame once, so two retransmissions that both pass two taps are two frames.
    #[inline]
    pub fn is_duplicate(&mut self, datagram: &Datagram<'_>) -> bool {
        self.taps > 1 && self.compare(datagram)
    }

    fn compare(&mut self, datagram: &Datagram<'_>) -> bool {
        self.expire(datagram.at);
        let hash = self.hasher.hash_one((datagram.source, datagram.destination, &*datagram.payload));
        let found =
            self.index.find(hash, |&slot| self.contents.get(slot).is_some_and(|known| known.is(datagram)));
        let (slot, first) = match found.copied().and_then(|slot| Some((slot, self.contents.get_mut(slot)?))) {
            Some((slot, content)) => (slot, content.is_first_sighting(&datagram.interface)),
            None => (self.remember(hash, datagram), true),
        };
        if first {
            self.recent.push_back((datagram.at, slot));
            while self.recent.len() > self.limits.frames || self.bytes > self.limits.bytes {
                self.counts.evicted += 1;
                if !self.forget_oldest() {
                    break;
                }
            }
        } else {
            self.counts.dropped += 1;
        }
        !first
    }

    fn remember(&mut self, hash: u64, datagram: &Datagram<'_>) -> usize {
        self.bytes += datagram.payload.len();
        let slot = self.contents.insert(Content {
            hash,
            direction: datagram.direction,
            source: datagram.source,
            destination: datagram.destination,
            payload: Box::from(&*datagram.payload),
            oldest: 0,
            next: 1,
            taps: vec![(Arc::clone(&datagram.interface), 1)],
        });
        let contents = &self.contents;
        self.index.insert_unique(hash, slot, |&slot| contents.get(slot).map_or(0, |content| content.hash));
        slot
    }

    fn expire(&mut self, now: Timestamp) {
        while self.recent.front().is_some_and(|(first, _)| now.since(*first) > self.limits.window) {
            self.forget_oldest();
        }
    }

    /// Forgets the frame that was first seen longest ago; `false` when there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, slot)) = self.recent.pop_front() else { return false };
        let Some(content) = self.contents.get_mut(slot) else { return true };
        content.oldest += 1;
        if content.oldest >= content.next {
            let (hash, length) = (content.hash, content.payload.len());
            self.bytes -= length;
            self.contents.try_remove(slot);
            if let Ok(entry) = self.index.find_entry(hash, |&known| known == slot) {
                entry.remove();
            }
        }
        true
    }
}
