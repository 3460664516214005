//! The life of a record: put in by an answer, over at its deadline, kept a while in case the client comes back.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::config::ExpiredLeases;
use crate::dhcpv6::IaKind;
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};

use super::deadlines::{Deadlines, Turn};
use super::table::{Owner, OwnerIndex, Table};
use super::{Event, Lease4, Lease6, LeaseState, Occurrence};

/// A lease of either family.
pub(super) trait Record: Clone {
    /// What there is one record for.
    type Key: std::hash::Hash + Eq + Copy + Ord;
    /// The record's key.
    fn key(&self) -> Self::Key;
    /// By what the owner's records are looked up in one of the two owner indexes, if this record stands in it.
    fn owner(&self, index: OwnerIndex) -> Option<Owner<'_>>;
    /// Its state.
    fn state(&self) -> LeaseState;
    /// When the lease, or the probation, is over.
    fn expiry(&self) -> Option<Timestamp>;
    /// What is left of it once it is reclaimed. Its name goes, because the server takes the name's DNS entries away then.
    fn reclaimed(self) -> Self;
    /// The same with nothing left of its lifetime, in this state.
    fn released(self, state: LeaseState) -> Self;
    /// The place of a record in the queue of deadlines.
    fn turn(slot: u32) -> Turn;
    /// The hook point of its end.
    fn expire(lease: Box<Self>, remove: bool) -> Occurrence;
    /// The hook point of the end of its probation.
    fn recover(lease: Box<Self>) -> Occurrence;

    /// Whether its time was over without its having been reclaimed. That happens only when the reclamation timer is off:
    /// otherwise the deadline came first. Unlike that timer, Kea's look at a record in passing lets its last second pass.
    fn is_overdue(&self, at: Timestamp) -> bool {
        let is_over = |expiry| expiry < at.whole_second();
        self.state() != LeaseState::ExpiredReclaimed && self.expiry().is_some_and(is_over)
    }
}

impl Record for Lease4 {
    type Key = Ipv4Addr;

    fn key(&self) -> Self::Key {
        self.address
    }

    fn owner(&self, index: OwnerIndex) -> Option<Owner<'_>> {
        match index {
            OwnerIndex::Identifier => {
                self.client_id.as_ref().map(|client_id| Owner::ClientId(client_id.octets()))
            }
            OwnerIndex::Hardware => {
                (!self.hwaddr.is_empty()).then(|| Owner::Hardware(self.hwaddr.htype(), self.hwaddr.octets()))
            }
        }
    }

    fn state(&self) -> LeaseState {
        self.state
    }

    fn expiry(&self) -> Option<Timestamp> {
        self.valid_lifetime.end(self.cltt)
    }

    fn reclaimed(self) -> Self {
        Self { state: LeaseState::ExpiredReclaimed, hostname: Octets::default(), ..self }
    }

    fn released(self, state: LeaseState) -> Self {
        Self { state, valid_lifetime: Lifetime::Seconds(0), ..self }
    }

    fn turn(slot: u32) -> Turn {
        Turn::V4(slot)
    }

    fn expire(lease: Box<Self>, remove: bool) -> Occurrence {
        Occurrence::Expire4 { lease, remove }
    }

    fn recover(lease: Box<Self>) -> Occurrence {
        Occurrence::Recover4 { lease }
    }
}

impl Record for Lease6 {
    /// Addresses and prefixes are two spaces; overlapping prefixes cannot be leased at once, so the first address will do.
    type Key = (bool, Ipv6Addr);

    fn key(&self) -> Self::Key {
        (self.kind == IaKind::PrefixDelegation, self.address)
    }

    fn owner(&self, index: OwnerIndex) -> Option<Owner<'_>> {
        match index {
            OwnerIndex::Identifier => Some(Owner::Association(self.duid.octets(), self.iaid)),
            OwnerIndex::Hardware => None,
        }
    }

    fn state(&self) -> LeaseState {
        self.state
    }

    fn expiry(&self) -> Option<Timestamp> {
        self.valid_lifetime.end(self.cltt)
    }

    fn reclaimed(self) -> Self {
        Self { state: LeaseState::ExpiredReclaimed, hostname: Octets::default(), ..self }
    }

    fn released(self, state: LeaseState) -> Self {
        Self { state, preferred_lifetime: Lifetime::Seconds(0), valid_lifetime: Lifetime::Seconds(0), ..self }
    }

    fn turn(slot: u32) -> Turn {
        Turn::V6(slot)
    }

    fn expire(lease: Box<Self>, remove: bool) -> Occurrence {
        Occurrence::Expire6 { lease, remove }
    }

    fn recover(lease: Box<Self>) -> Occurrence {
        Occurrence::Recover6 { lease }
    }
}

/// What becomes of a record that ends.
#[derive(Debug)]
pub(super) struct End<L> {
    lease: Box<L>,
    /// The server deletes the record at once and says so.
    remove: bool,
    /// The server was not due to end it; that it did follows from what it did next.
    estimated: bool,
}

impl<L: Record> End<L> {
    /// The hook points of the end, in order: it is over, and a declined lease is free again.
    pub(super) fn events(self) -> impl Iterator<Item = (Event, Occurrence, bool)> {
        let recovered = (self.lease.state() == LeaseState::Declined).then(|| self.lease.clone());
        let expire = (Event::Expire, L::expire(self.lease, self.remove), self.estimated);
        let recover = recovered.map(|lease| (Event::Recover, L::recover(lease), self.estimated));
        [Some(expire), recover].into_iter().flatten()
    }
}

/// The records of one family with their timers.
#[derive(Debug)]
pub(super) struct Records<L: Record> {
    table: Table<L>,
    timers: ExpiredLeases,
    limit: usize,
    over_limit: u64,
    /// Keys of records that changed, where somebody wants to know.
    changed: Option<Vec<L::Key>>,
}

impl<L: Record> Records<L> {
    pub(super) fn new(timers: ExpiredLeases, limit: usize) -> Self {
        Self { table: Table::default(), timers, limit, over_limit: 0, changed: None }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Leases that were not remembered because the table was full.
    pub(super) fn over_limit(&self) -> u64 {
        self.over_limit
    }

    /// The places of the records in the queue of deadlines.
    pub(super) fn queued(&self) -> impl Iterator<Item = (Timestamp, Turn)> {
        self.table.scheduled().map(|(due, slot)| (due, L::turn(slot)))
    }

    /// The record with this key.
    pub(super) fn get(&self, key: L::Key) -> Option<&L> {
        self.table.find(key).and_then(|slot| self.table.get(slot)).map(|entry| &entry.lease)
    }

    /// Notes from now on which records change, or not any more.
    pub(super) fn record_changes(&mut self, records: bool) {
        self.changed = records.then(Vec::new);
    }

    /// The key of a record that changed.
    pub(super) fn poll_changed(&mut self) -> Option<L::Key> {
        self.changed.as_mut()?.pop()
    }

    fn note_changed(&mut self, key: L::Key) {
        // One message changes a record or two, so the list is short when it is looked through; after a long sleep it is
        // taken after each deadline.
        if let Some(changed) = &mut self.changed
            && !changed.iter().rev().take(4).any(|known| *known == key)
        {
            changed.push(key);
        }
    }

    /// The record in a slot.
    pub(super) fn at(&self, slot: u32) -> Option<&L> {
        self.table.get(slot).map(|entry| &entry.lease)
    }

    /// How many slots there are, empty ones too.
    pub(super) fn slots(&self) -> u32 {
        self.table.slots()
    }

    /// Takes the record with this key out.
    pub(super) fn remove(&mut self, key: L::Key) -> Option<L> {
        self.note_changed(key);
        self.table.find(key).and_then(|slot| self.table.remove(slot))
    }

    /// The owner's records for which `is` holds, in the order of their keys; see [`Table::find_owned`].
    pub(super) fn owned(&self, owner: Owner<'_>, is: impl FnMut(&L) -> bool) -> Vec<L::Key> {
        let slots = self.table.find_owned(owner, is);
        slots.into_iter().filter_map(|slot| self.table.get(slot)).map(|entry| entry.lease.key()).collect()
    }

    /// Remembers a lease and when it will be over.
    pub(super) fn store(&mut self, deadlines: &mut Deadlines, lease: L) {
        if self.table.len() >= self.limit && self.table.find(lease.key()).is_none() {
            self.over_limit += 1;
            return;
        }
        self.note_changed(lease.key());
        let slot = self.table.put(lease);
        self.schedule(deadlines, slot);
    }

    /// Keeps a lease that was given back, with a lifetime of zero and in the given state, until it is reclaimed: at once,
    /// which is the earliest that Kea can. `None` when this server deletes such a lease: with affinity off, or when it is
    /// infinite.
    pub(super) fn keep_released(
        &mut self,
        deadlines: &mut Deadlines,
        at: Timestamp,
        lease: &L,
        state: LeaseState,
    ) -> Option<L> {
        let has_affinity =
            self.timers.flush_reclaimed_timer_wait_time != 0 && self.timers.hold_reclaimed_time != 0;
        if !has_affinity || lease.expiry().is_none() {
            return None;
        }
        let kept = lease.clone().released(state);
        self.note_changed(kept.key());
        let slot = self.table.put(kept.clone());
        if self.timers.reclaim_timer_wait_time != 0
            && let Some(scheduled) = self.table.scheduled_mut(slot)
        {
            deadlines.schedule(at, L::turn(slot), scheduled);
        }
        Some(kept)
    }

    fn schedule(&mut self, deadlines: &mut Deadlines, slot: u32) {
        let due = self.table.get(slot).and_then(|entry| self.due_at(&entry.lease));
        if let (Some(due), Some(scheduled)) = (due, self.table.scheduled_mut(slot)) {
            deadlines.schedule(due, L::turn(slot), scheduled);
        }
    }

    /// When something is to be done about a record, if ever.
    fn due_at(&self, lease: &L) -> Option<Timestamp> {
        match lease.state() {
            LeaseState::Default | LeaseState::Declined | LeaseState::Released | LeaseState::Registered => {
                lease.expiry().filter(|_| self.timers.reclaim_timer_wait_time != 0)
            }
            LeaseState::ExpiredReclaimed => lease
                .expiry()
                .map(|expiry| expiry + Duration::from_secs(u64::from(self.timers.hold_reclaimed_time))),
        }
    }

    /// The deadline for which a slot was queued has come. Gives the end of its record, if this is that.
    pub(super) fn due(&mut self, deadlines: &mut Deadlines, at: Timestamp, slot: u32) -> Option<End<L>> {
        match self.table.scheduled_mut(slot)? {
            scheduled if scheduled.get() == Some(at) => scheduled.set(None),
            // The slot was queued for an earlier moment since; this entry is the stale one.
            _ => return None,
        }
        let lease = &self.table.get(slot)?.lease;
        if self.due_at(lease).is_none_or(|due| due > at) {
            self.schedule(deadlines, slot);
            return None;
        }
        let key = lease.key();
        if lease.state() == LeaseState::ExpiredReclaimed {
            self.table.remove(slot);
            self.note_changed(key);
            return None;
        }
        let lease = Box::new(lease.clone());
        self.note_changed(key);
        let remove = self.timers.flush_reclaimed_timer_wait_time == 0;
        if remove || matches!(lease.state(), LeaseState::Declined | LeaseState::Registered) {
            // Kea deletes these records at once, though it does not say so.
            self.table.remove(slot);
        } else {
            self.table.put((*lease).clone().reclaimed());
            self.schedule(deadlines, slot);
        }
        Some(End { lease, remove, estimated: false })
    }

    /// The end of a record whose address goes to another client, unless it has ended before. Kea reclaims it in passing if
    /// its time was over; if it was not, the server must have freed it without a word on the wire.
    pub(super) fn taken_over(&self, at: Timestamp, lease: &L) -> Option<End<L>> {
        (lease.state() != LeaseState::ExpiredReclaimed).then(|| End {
            lease: Box::new(lease.clone()),
            remove: false,
            estimated: !lease.is_overdue(at),
        })
    }

    /// The end of a record that its owner brings to life again, if its time was over before.
    pub(super) fn overtaken(&self, at: Timestamp, lease: &L) -> Option<End<L>> {
        lease.is_overdue(at).then(|| End { lease: Box::new(lease.clone()), remove: false, estimated: false })
    }
}
