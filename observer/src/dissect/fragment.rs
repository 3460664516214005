//! The fragments of datagrams, kept until they are whole.
//!
//! `etherparse`'s buffer puts one datagram together. The table around it is ours: it is bounded in datagrams, octets
//! and age, and it rejects overlaps, which the buffer accepts without a word (RFC 1858, RFC 5722).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use etherparse::defrag::IpDefragBuf;
use etherparse::{IpNumber, UdpHeaderSlice, ip_number};

use crate::frame::{Direction, Frame, Interface};
use crate::time::Timestamp;

use super::datagram::{MacAddress, VlanTags};
use super::link::Link;
use super::network::{Fragment, Packet};
use super::skip::Skip;
use super::transport::is_dhcp;

/// What the table of unfinished datagrams may hold. At a limit the datagram nearest its deadline is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentLimits {
    /// The most datagrams at a time.
    pub datagrams: usize,
    /// The most octets of memory behind their contents.
    pub bytes: usize,
    /// How long an IPv4 datagram may take from its first fragment to its last.
    pub ipv4_age: Duration,
    /// How long an IPv6 datagram may take (RFC 8200 section 4.5: 60 seconds).
    pub ipv6_age: Duration,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self {
            datagrams: 1024,
            bytes: 8 * 1024 * 1024,
            ipv4_age: Duration::from_secs(30),
            ipv6_age: Duration::from_secs(60),
        }
    }
}

/// What became of fragmented datagrams. (What became of their frames is told by [`super::SkipCounts`].)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentCounts {
    /// Put together.
    pub completed: u64,
    /// Dropped because the rest did not come in time.
    pub expired: u64,
    /// Dropped at a limit to make room for younger ones.
    pub evicted: u64,
    /// Dropped because fragments overlapped or contradicted each other.
    pub overlapped: u64,
}

/// What waits for its rest now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentsWaiting {
    /// Unfinished datagrams.
    pub datagrams: usize,
    /// Octets of memory behind them.
    pub bytes: usize,
}

/// What makes fragments belong together. The tap is part of it: the same fragments may pass two taps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    interface: Arc<Interface>,
    direction: Direction,
    vlans: VlanTags,
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    /// IPv4 tells datagrams apart by protocol as well (RFC 791); IPv6 does not (RFC 8200), so there it is none.
    protocol: Option<IpNumber>,
}

#[derive(Debug)]
struct Entry {
    /// Its place in [`Fragments::deadlines`].
    deadline: (Timestamp, u64),
    state: State,
}

#[derive(Debug)]
enum State {
    Collecting(Collecting),
    /// Of no use, for this reason, and so is everything that belongs to it and still arrives.
    Rejected(Skip),
}

#[derive(Debug)]
struct Collecting {
    buffer: IpDefragBuf,
    fragments: usize,
    /// The highest octet that any fragment reached.
    reach: u16,
    /// What the fragment with offset 0 said: the protocol and the hardware addresses.
    first: Option<(IpNumber, Option<MacAddress>, Option<MacAddress>)>,
}

/// The fragmented part of a packet, whole again.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) protocol: IpNumber,
    pub(super) bytes: Vec<u8>,
    pub(super) source_mac: Option<MacAddress>,
    pub(super) destination_mac: Option<MacAddress>,
}

/// The most fragments of one datagram: enough for 64 KiB in the smallest packets of any link that carries DHCP.
const MOST_FRAGMENTS: usize = 256;
/// What an entry costs besides its content, so that many small ones are not free.
const OVERHEAD: usize = 512;

/// The table of unfinished datagrams.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    limits: FragmentLimits,
    entries: HashMap<Key, Entry>,
    /// The keys of all entries by deadline and, among equals, age.
    deadlines: BTreeMap<(Timestamp, u64), Key>,
    serial: u64,
    bytes: usize,
    counts: FragmentCounts,
}

impl Fragments {
    pub(super) fn new(limits: FragmentLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub(super) fn counts(&self) -> FragmentCounts {
        self.counts
    }

    /// How much waits now.
    pub(super) fn waiting(&self) -> FragmentsWaiting {
        FragmentsWaiting { datagrams: self.entries.len(), bytes: self.bytes }
    }

    #[cfg(test)]
    pub(super) fn footprint(&self) -> (usize, usize) {
        assert_eq!(self.entries.len(), self.deadlines.len());
        let bytes: usize = self.entries.values().map(|entry| entry.state.cost()).sum();
        assert_eq!(bytes, self.bytes);
        (self.entries.len(), bytes)
    }

    /// Drops the datagrams whose time is over.
    #[inline]
    pub(super) fn expire(&mut self, now: Timestamp) {
        if !self.deadlines.is_empty() {
            self.expire_some(now);
        }
    }

    #[cold]
    fn expire_some(&mut self, now: Timestamp) {
        while let Some(first) = self.deadlines.first_entry() {
            if first.key().0 > now {
                break;
            }
            let key = first.remove();
            if let Some(State::Collecting(_)) = self.forget(&key) {
                self.counts.expired += 1;
            }
        }
    }

    /// Adds a fragment to its datagram, which comes back when this completes it.
    pub(super) fn take(
        &mut self,
        frame: &Frame<'_>,
        link: &Link<'_>,
        packet: &Packet<'_>,
        fragment: &Fragment<'_>,
    ) -> Result<Whole, Skip> {
        let range = range(fragment)?;
        if range.end as usize + OVERHEAD > self.limits.bytes || self.limits.datagrams == 0 {
            return Err(Skip::FragmentNoRoom);
        }
        let ipv4 = packet.source.is_ipv4();
        let key = Key {
            interface: Arc::clone(frame.interface),
            direction: frame.direction,
            vlans: link.vlans,
            source: packet.source,
            destination: packet.destination,
            identification: fragment.identification,
            protocol: ipv4.then_some(fragment.protocol),
        };
        let mut entry = match self.entries.remove(&key) {
            Some(entry) => entry,
            None => self.new_entry(&key, frame.at, ipv4),
        };
        self.bytes -= entry.state.cost();
        let outcome = match &mut entry.state {
            State::Rejected(reason) => Err(*reason),
            State::Collecting(collecting) => collecting.add(fragment, range, link, ipv4),
        };
        match outcome {
            Ok(()) => {
                let Entry { deadline, state } = entry;
                match state.finish() {
                    Ok(whole) => {
                        self.deadlines.remove(&deadline);
                        self.counts.completed += 1;
                        Ok(whole)
                    }
                    Err(state) => {
                        self.put_back(key, Entry { deadline, state });
                        Err(Skip::FragmentPending)
                    }
                }
            }
            Err(reason) => {
                if let (State::Collecting(_), Skip::FragmentOverlap | Skip::OtherPort) =
                    (&entry.state, reason)
                {
                    self.counts.overlapped += u64::from(reason == Skip::FragmentOverlap);
                    entry.state = State::Rejected(reason);
                }
                self.put_back(key, entry);
                Err(reason)
            }
        }
    }

    fn new_entry(&mut self, key: &Key, at: Timestamp, ipv4: bool) -> Entry {
        while self.entries.len() >= self.limits.datagrams {
            self.evict_first();
        }
        self.serial += 1;
        let age = if ipv4 { self.limits.ipv4_age } else { self.limits.ipv6_age };
        let deadline = (at + age, self.serial);
        self.deadlines.insert(deadline, key.clone());
        let state = State::Collecting(Collecting {
            buffer: IpDefragBuf::new(ip_number::UDP, Vec::new(), Vec::new()),
            fragments: 0,
            reach: 0,
            first: None,
        });
        self.bytes += state.cost();
        Entry { deadline, state }
    }

    /// Puts an entry into the table, where others make room for it.
    fn put_back(&mut self, key: Key, entry: Entry) {
        let cost = entry.state.cost();
        let deadline = entry.deadline;
        // While others are evicted, its own deadline must not be the one that is found.
        self.deadlines.remove(&deadline);
        while self.bytes + cost > self.limits.bytes && !self.entries.is_empty() {
            self.evict_first();
        }
        self.bytes += cost;
        self.deadlines.insert(deadline, key.clone());
        self.entries.insert(key, entry);
    }

    fn evict_first(&mut self) {
        let Some((_, key)) = self.deadlines.pop_first() else { return };
        if let Some(State::Collecting(_)) = self.forget(&key) {
            self.counts.evicted += 1;
        }
    }

    /// Takes an entry out whose deadline is out already.
    fn forget(&mut self, key: &Key) -> Option<State> {
        let state = self.entries.remove(key)?.state;
        self.bytes -= state.cost();
        Some(state)
    }
}

impl State {
    /// The whole datagram, or itself when something is missing.
    fn finish(self) -> Result<Whole, Self> {
        match self {
            Self::Collecting(Collecting {
                buffer,
                first: Some((protocol, source_mac, destination_mac)),
                ..
            }) if buffer.is_complete() => {
                Ok(Whole { protocol, bytes: buffer.take_bufs().0, source_mac, destination_mac })
            }
            unfinished => Err(unfinished),
        }
    }

    fn cost(&self) -> usize {
        match self {
            Self::Collecting(collecting) => OVERHEAD + collecting.buffer.data().capacity(),
            Self::Rejected(_) => OVERHEAD,
        }
    }
}

/// The octets of the datagram that the fragment carries.
fn range(fragment: &Fragment<'_>) -> Result<std::ops::Range<u16>, Skip> {
    if fragment.truncated {
        return Err(Skip::FragmentTruncated);
    }
    let start = fragment.offset.byte_offset();
    let end = u16::try_from(fragment.bytes.len()).ok().and_then(|length| start.checked_add(length));
    match end {
        Some(end) if end > start && (!fragment.more || fragment.bytes.len().is_multiple_of(8)) => {
            Ok(start..end)
        }
        _ => Err(Skip::FragmentInvalid),
    }
}

impl Collecting {
    fn add(
        &mut self,
        fragment: &Fragment<'_>,
        range: std::ops::Range<u16>,
        link: &Link<'_>,
        ipv4: bool,
    ) -> Result<(), Skip> {
        let last = !fragment.more;
        let contradicts = match self.buffer.end() {
            Some(end) => range.end > end || (last && range.end != end),
            None => last && self.reach > range.end,
        };
        if contradicts {
            return Err(Skip::FragmentOverlap);
        }
        for section in self.buffer.sections() {
            if range.start >= section.end || range.end <= section.start {
                continue;
            }
            let within = range.start >= section.start && range.end <= section.end;
            let known = self.buffer.data().get(usize::from(range.start)..usize::from(range.end));
            let says_nothing_new = !last || self.buffer.end().is_some();
            // RFC 8200 section 4.5 lets an exact repetition pass; anything else that overlaps spoils the datagram.
            let repeats = within && says_nothing_new && known == Some(fragment.bytes);
            return Err(if repeats { Skip::FragmentRepeated } else { Skip::FragmentOverlap });
        }
        if self.fragments >= MOST_FRAGMENTS {
            return Err(Skip::FragmentInvalid);
        }
        if range.start == 0 {
            if fragment.protocol == ip_number::UDP && is_foreign(fragment.bytes, ipv4) {
                return Err(Skip::OtherPort);
            }
            self.first = Some((fragment.protocol, link.source, link.destination));
        }
        self.buffer.add(fragment.offset, fragment.more, fragment.bytes).map_err(|_| Skip::FragmentInvalid)?;
        self.fragments += 1;
        self.reach = self.reach.max(range.end);
        Ok(())
    }
}

/// Whether the first fragment of a UDP datagram tells that DHCP has nothing to do with it.
fn is_foreign(bytes: &[u8], ipv4: bool) -> bool {
    UdpHeaderSlice::from_slice(bytes)
        .is_ok_and(|udp| !is_dhcp(udp.source_port(), ipv4) && !is_dhcp(udp.destination_port(), ipv4))
}
