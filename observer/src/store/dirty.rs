//! What could not be written, kept in memory until it can be.
//!
//! Of each lease and memory only the last state is kept, and of calls those that are not over, so it grows with what there
//! is and not with what happens. Beyond a limit leases and memories are forgotten, and wanted again when the database
//! can be written.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::frame::RingPlace;
use crate::time::Timestamp;
use crate::tracker::LeaseChange;

use super::Limits;
use super::change::{
    CallId, Change, Counters, EventRecord, Gap, HookMemory, Mark, Outcome, StoredCall, Then, Wanted,
};

/// How many gaps are kept.
const GAPS: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LeaseKey {
    V4(Ipv4Addr),
    V6(bool, Ipv6Addr),
    Server(Ipv4Addr),
}

impl LeaseKey {
    fn of(change: &LeaseChange) -> Self {
        match change {
            LeaseChange::Put4(lease) => Self::V4(lease.address),
            LeaseChange::Gone4(address) => Self::V4(*address),
            LeaseChange::Put6(lease) => {
                Self::V6(lease.kind == crate::dhcpv6::IaKind::PrefixDelegation, lease.address)
            }
            LeaseChange::Gone6 { is_prefix, address } => Self::V6(*is_prefix, *address),
            LeaseChange::Server4(address) => Self::Server(*address),
        }
    }
}

/// What is to be written. The order is: leases, memories, events, calls, marks, gaps.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    leases: HashMap<LeaseKey, LeaseChange>,
    memories: HashMap<(Arc<str>, Vec<u8>), HookMemory>,
    pub(super) events: VecDeque<EventRecord>,
    calls: BTreeMap<CallId, StoredCall>,
    marks: BTreeMap<CallId, Mark>,
    pub(super) gaps: VecDeque<Gap>,
    pub(super) latest: Option<Timestamp>,
    pub(super) read_up_to: Option<RingPlace>,
    /// What was forgotten and has to come from others.
    pub(super) forgotten: Wanted,
}

impl Dirty {
    /// Nothing, of which that much is forgotten already.
    pub(super) fn without(forgotten: Wanted) -> Self {
        Self { forgotten, ..Self::default() }
    }

    pub(super) fn add(&mut self, change: Change, limits: &Limits, counters: &mut Counters) {
        let Change { leases, memories, events, calls, gaps, latest, read_up_to } = change;
        for lease in leases {
            self.leases.insert(LeaseKey::of(&lease), lease);
        }
        if self.forgotten.leases || self.leases.len() > limits.unwritten {
            counters.forgotten += self.leases.len() as u64;
            self.leases = HashMap::new();
            self.forgotten.leases = true;
        }
        for memory in memories {
            self.memories.insert((Arc::clone(&memory.hook), memory.memory.key.clone()), memory);
        }
        if self.forgotten.memories || self.memories.len() > limits.unwritten {
            counters.forgotten += self.memories.len() as u64;
            self.memories = HashMap::new();
            self.forgotten.memories = true;
        }
        self.events.extend(events);
        let too_many = self.events.len().saturating_sub(limits.history);
        self.events.drain(..too_many);
        for call in calls {
            if self.calls.len() < limits.calls {
                self.calls.insert(call.id, call);
            } else {
                counters.calls_refused += 1;
            }
        }
        self.gaps.extend(gaps);
        let too_many = self.gaps.len().saturating_sub(GAPS);
        self.gaps.drain(..too_many);
        self.latest = latest.or(self.latest);
        self.read_up_to = read_up_to.or(self.read_up_to);
    }

    pub(super) fn mark(&mut self, call: CallId, mark: Mark) {
        if let Mark::Started(begun) = mark
            && let Some(Mark::Ended(Outcome { attempt, then: Then::Again { .. }, .. })) =
                self.marks.get_mut(&call)
        {
            // How often it has failed is known there alone.
            *attempt = begun;
            return;
        }
        if matches!(mark, Mark::Kept) {
            // Nobody can see it.
            return;
        }
        let is_done = match &mark {
            Mark::Ended(outcome) => outcome.then == Then::Done,
            Mark::Withdrawn => true,
            Mark::Started(_) | Mark::Kept => false,
        };
        if is_done && self.calls.remove(&call).is_some() {
            // It came and went, and the database never knew.
            self.marks.remove(&call);
        } else {
            self.marks.insert(call, mark);
        }
    }

    pub(super) fn leases(&self) -> impl Iterator<Item = &LeaseChange> {
        self.leases.values()
    }

    pub(super) fn memories(&self) -> impl Iterator<Item = &HookMemory> {
        self.memories.values()
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = &StoredCall> {
        self.calls.values()
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = (CallId, &Mark)> {
        self.marks.iter().map(|(call, mark)| (*call, mark))
    }
}
