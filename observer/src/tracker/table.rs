//! Leases by address and by owner, without a second copy of either key.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;

use hashbrown::HashTable;
use slab::Slab;

use crate::time::Timestamp;

use super::deadlines::Scheduled;
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

/// How many records of one owner are looked at. Nobody holds so many; who seems to is not allowed to make every further
/// message of theirs slow.
const MAX_OWNED: usize = 1_024;

/// A record and the moment for which it is queued in [`super::deadlines`].
#[derive(Debug)]
pub(super) struct Entry<L> {
    pub(super) lease: L,
    pub(super) scheduled: Scheduled,
    /// Its neighbours among the records of its owner, one pair for each of the two indexes.
    links: [Links; 2],
}

/// The slots before and behind in a list.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    before: Link,
    behind: Link,
}

/// A slot or none, in four octets: a million records have four of them each.
#[derive(Clone, Copy, Debug, Default)]
struct Link(Option<NonZeroU32>);

impl Link {
    fn to(slot: Option<u32>) -> Self {
        Self(slot.and_then(|slot| NonZeroU32::new(slot.wrapping_add(1))))
    }

    fn slot(self) -> Option<u32> {
        self.0.map(|number| number.get() - 1)
    }
}

/// The records of one family. An owner index knows the latest record of each owner, and the others are linked behind it: a
/// hash table in which thousands have one hash would be a list as well, and a slow one.
pub(super) struct Table<L> {
    entries: Slab<Entry<L>>,
    by_key: HashTable<u32>,
    by_owner: [HashTable<u32>; 2],
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
            by_owner: [HashTable::new(), HashTable::new()],
            hasher: RandomState::new(),
        }
    }
}

impl<L: Record> Table<L> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many slots there are, empty ones too.
    pub(super) fn slots(&self) -> u32 {
        // The limits keep a table far below 2^32 records.
        u32::try_from(self.entries.capacity()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Entry<L>> {
        self.entries.get(slot as usize)
    }

    pub(super) fn scheduled_mut(&mut self, slot: u32) -> Option<&mut Scheduled> {
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

    /// Slots of the owner's records for which `is` holds, in the order of their keys. Of very many only the latest are looked
    /// at.
    pub(super) fn find_owned(&self, owner: Owner<'_>, mut is: impl FnMut(&L) -> bool) -> Vec<u32> {
        let index = owner.index();
        let heads = self.by_owner.get(index as usize);
        let head = heads.and_then(|heads| {
            heads.find(self.hasher.hash_one(owner), |&slot| {
                self.get(slot).is_some_and(|entry| entry.lease.owner(index) == Some(owner))
            })
        });
        let links = |slot: u32| self.get(slot).and_then(|entry| entry.links.get(index as usize));
        let mut found: Vec<u32> = std::iter::successors(head.copied(), |&slot| links(slot)?.behind.slot())
            .take(MAX_OWNED)
            .filter(|&slot| self.get(slot).is_some_and(|entry| is(&entry.lease)))
            .collect();
        found.sort_by_key(|&slot| self.get(slot).map(|entry| entry.lease.key()));
        found
    }

    /// Every record that is queued, with the moment for which it is.
    pub(super) fn scheduled(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        // The limits keep a table far below 2^32 records.
        self.entries
            .iter()
            .filter_map(|(slot, entry)| Some((entry.scheduled.get()?, u32::try_from(slot).ok()?)))
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
                let slot = u32::try_from(self.entries.insert(Entry {
                    lease,
                    scheduled: Scheduled::default(),
                    links: Default::default(),
                }))
                .unwrap_or(u32::MAX);
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
        if let Ok(found) =
            self.by_key.find_entry(self.hasher.hash_one(entry.lease.key()), |&other| other == slot)
        {
            found.remove();
        }
        Some(entry.lease)
    }

    /// Puts a record in front of the others of its owner.
    fn index_owner(&mut self, slot: u32, index: OwnerIndex) {
        let (entries, hasher) = (&self.entries, &self.hasher);
        let owner_of = |&slot: &u32| entries.get(slot as usize).and_then(|entry| entry.lease.owner(index));
        let hash_of = |slot: &u32| owner_of(slot).map_or(0, |owner| hasher.hash_one(owner));
        let Some(owner) = owner_of(&slot) else { return };
        let Some(heads) = self.by_owner.get_mut(index as usize) else { return };
        let behind = match heads.find_mut(hash_of(&slot), |head| owner_of(head) == Some(owner)) {
            Some(head) => Some(std::mem::replace(head, slot)),
            None => {
                heads.insert_unique(hash_of(&slot), slot, hash_of);
                None
            }
        };
        self.link(None, Some(slot), index);
        self.link(Some(slot), behind, index);
    }

    /// Takes a record out of the others of its owner.
    fn unindex_owner(&mut self, slot: u32, index: OwnerIndex) {
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        let Some(owner) = entry.lease.owner(index) else { return };
        let hash = self.hasher.hash_one(owner);
        let Some(links) = entry.links.get_mut(index as usize).map(std::mem::take) else { return };
        self.link(links.before.slot(), links.behind.slot(), index);
        let Some(heads) = self.by_owner.get_mut(index as usize) else { return };
        if let (None, Ok(mut head)) = (links.before.slot(), heads.find_entry(hash, |&head| head == slot)) {
            match links.behind.slot() {
                Some(behind) => *head.get_mut() = behind,
                None => drop(head.remove()),
            }
        }
    }

    /// Makes two records neighbours; without one the other is at its end of the list.
    fn link(&mut self, before: Option<u32>, behind: Option<u32>, index: OwnerIndex) {
        let mut change = |slot: Option<u32>, change: &dyn Fn(&mut Links)| {
            let entry = slot.and_then(|slot| self.entries.get_mut(slot as usize));
            if let Some(links) = entry.and_then(|entry| entry.links.get_mut(index as usize)) {
                change(links);
            }
        };
        change(before, &|links| links.behind = Link::to(behind));
        change(behind, &|links| links.before = Link::to(before));
    }
}
