//! Leases by address and by owner, without a second copy of either key.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use slab::Slab;

use crate::time::Timestamp;

use super::records::Record;

/// The two indexes by owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnerIndex {
    /// DHCPv4 client identifiers; DUID and IAID.
    Identifier,
    /// DHCPv4 hardware addresses.
    Hardware,
}

/// Something by which a client's records are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner<'a> {
    /// A DHCPv4 client identifier.
    ClientId(&'a [u8]),
    /// Hardware type and address of a DHCPv4 client.
    Hardware(u16, &'a [u8]),
    /// DUID and IAID of a DHCPv6 identity association; the kind is compared by the caller.
    Association(&'a [u8], u32),
}

impl Owner<'_> {
    fn index(&self) -> OwnerIndex {
        match self {
            Self::ClientId(_) | Self::Association(..) => OwnerIndex::Identifier,
            Self::Hardware(..) => OwnerIndex::Hardware,
        }
    }
}

/// A record and the moment for which it is queued in [`super::deadlines`].
#[derive(Debug)]
pub(super) struct Entry<L> {
    pub(super) lease: L,
    pub(super) scheduled: Option<Timestamp>,
}

/// The records of one family.
pub(super) struct Table<L> {
    entries: Slab<Entry<L>>,
    by_key: HashTable<u32>,
    by_identifier: HashTable<u32>,
    by_hardware: HashTable<u32>,
    hasher: RandomState,
}

impl<L> fmt::Debug for Table<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.entries.len()).finish_non_exhaustive()
    }
}

impl<L> Default for Table<L> {
    fn default() -> Self {
        Self {
            entries: Slab::new(),
            by_key: HashTable::new(),
            by_identifier: HashTable::new(),
            by_hardware: HashTable::new(),
            hasher: RandomState::new(),
        }
    }
}

impl<L: Record> Table<L> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Entry<L>> {
        self.entries.get(slot as usize)
    }

    pub(super) fn scheduled_mut(&mut self, slot: u32) -> Option<&mut Option<Timestamp>> {
        self.entries.get_mut(slot as usize).map(|entry| &mut entry.scheduled)
    }

    /// The slot of the record with this key.
    pub(super) fn find(&self, key: L::Key) -> Option<u32> {
        self.by_key
            .find(self.hasher.hash_one(key), |&slot| {
                self.entries.get(slot as usize).is_some_and(|entry| entry.lease.key() == key)
            })
            .copied()
    }

    /// Slots of the owner's records for which `is` holds, in the order of their keys. Different owners can share a hash, so
    /// `is` compares the owner too.
    pub(super) fn find_owned(&self, owner: Owner<'_>, mut is: impl FnMut(&L) -> bool) -> Vec<u32> {
        let mut found: Vec<u32> = self
            .by_owner(owner.index())
            .iter_hash(self.hasher.hash_one(owner))
            .copied()
            .filter(|&slot| self.get(slot).is_some_and(|entry| is(&entry.lease)))
            .collect();
        found.sort_by_key(|&slot| self.get(slot).map(|entry| entry.lease.key()));
        found
    }

    fn by_owner(&self, index: OwnerIndex) -> &HashTable<u32> {
        match index {
            OwnerIndex::Identifier => &self.by_identifier,
            OwnerIndex::Hardware => &self.by_hardware,
        }
    }

    /// Adds a record or replaces the one with its key. Gives its slot.
    pub(super) fn put(&mut self, lease: L) -> u32 {
        match self.find(lease.key()) {
            Some(slot) => {
                let same = |index| {
                    self.get(slot).is_some_and(|entry| entry.lease.owner(index) == lease.owner(index))
                };
                let moved = [OwnerIndex::Identifier, OwnerIndex::Hardware].map(|index| (index, !same(index)));
                for (index, _) in moved.into_iter().filter(|(_, moved)| *moved) {
                    self.unindex_owner(slot, index);
                }
                if let Some(entry) = self.entries.get_mut(slot as usize) {
                    entry.lease = lease;
                }
                for (index, _) in moved.into_iter().filter(|(_, moved)| *moved) {
                    self.index_owner(slot, index);
                }
                slot
            }
            None => {
                let hash = self.hasher.hash_one(lease.key());
                // The limits keep a table far below 2^32 records.
                let slot = u32::try_from(self.entries.insert(Entry { lease, scheduled: None })).unwrap_or(u32::MAX);
                let (entries, hasher) = (&self.entries, &self.hasher);
                self.by_key.insert_unique(hash, slot, |&slot| {
                    entries.get(slot as usize).map_or(0, |entry| hasher.hash_one(entry.lease.key()))
                });
                self.index_owner(slot, OwnerIndex::Identifier);
                self.index_owner(slot, OwnerIndex::Hardware);
                slot
            }
        }
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<L> {
        self.unindex_owner(slot, OwnerIndex::Identifier);
        self.unindex_owner(slot, OwnerIndex::Hardware);
        let entry = self.entries.try_remove(slot as usize)?;
        if let Ok(found) = self.by_key.find_entry(self.hasher.hash_one(entry.lease.key()), |&other| other == slot) {
            found.remove();
        }
        Some(entry.lease)
    }

    fn index_owner(&mut self, slot: u32, index: OwnerIndex) {
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |&slot: &u32| {
            let owner = entries.get(slot as usize).and_then(|entry| entry.lease.owner(index));
            owner.map(|owner| hasher.hash_one(owner))
        };
        let Some(hash) = hash_of(&slot) else { return };
        let table = match index {
            OwnerIndex::Identifier => &mut self.by_identifier,
            OwnerIndex::Hardware => &mut self.by_hardware,
        };
        table.insert_unique(hash, slot, |slot| hash_of(slot).unwrap_or_default());
    }

    fn unindex_owner(&mut self, slot: u32, index: OwnerIndex) {
        let owner = self.entries.get(slot as usize).and_then(|entry| entry.lease.owner(index));
        let Some(hash) = owner.map(|owner| self.hasher.hash_one(owner)) else { return };
        let table = match index {
            OwnerIndex::Identifier => &mut self.by_identifier,
            OwnerIndex::Hardware => &mut self.by_hardware,
        };
        if let Ok(found) = table.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
    }
}
