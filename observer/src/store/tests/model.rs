//! Random operations, and lives that end at random points, against a model in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::generate::Random;
use super::*;
use crate::dhcpv6::IaKind;
use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Default)]
struct Model {
    leases4: BTreeMap<Ipv4Addr, Lease4>,
    leases6: BTreeMap<(bool, Ipv6Addr), Lease6>,
    servers: BTreeSet<Ipv4Addr>,
    memories: BTreeMap<(String, Vec<u8>), Vec<u8>>,
    /// How many attempts are known to have begun, and whether one is under way.
    calls: BTreeMap<(u64, u16), (u32, bool)>,
    next_event: u64,
}

impl Model {
    fn random_lease(&mut self, random: &mut Random) -> LeaseChange {
        match random.below(5) {
            0 => {
                let address = random.lease4(64).address;
                self.leases4.remove(&address);
                LeaseChange::Gone4(address)
            }
            1 => {
                let lease = random.lease6(64);
                let (is_prefix, address) = (lease.kind == IaKind::PrefixDelegation, lease.address);
                self.leases6.remove(&(is_prefix, address));
                LeaseChange::Gone6 { is_prefix, address }
            }
            2 => {
                let lease = random.lease4(64);
                self.leases4.insert(lease.address, lease.clone());
                LeaseChange::Put4(lease)
            }
            3 => {
                let lease = random.lease6(64);
                let key = (lease.kind == IaKind::PrefixDelegation, lease.address);
                self.leases6.insert(key, lease.clone());
                LeaseChange::Put6(lease)
            }
            _ => {
                let server = Ipv4Addr::from_bits(random.below(20) as u32);
                self.servers.insert(server);
                LeaseChange::Server4(server)
            }
        }
    }

    fn random_memory(&mut self, random: &mut Random) -> HookMemory {
        let hook = ["log", "dns"][random.below(2) as usize];
        let key: &[u8] = [&b"a"[..], b"\0", b"\xff", b""][random.below(4) as usize];
        let value = [None, Some(&b"seen"[..]), Some(b"\0\xfe"), Some(b"")][random.below(4) as usize];
        match value {
            Some(value) => self.memories.insert((hook.to_owned(), key.to_vec()), value.to_vec()),
            None => self.memories.remove(&(hook.to_owned(), key.to_vec())),
        };
        memory(hook, key, value)
    }

    fn random_change(&mut self, random: &mut Random) -> Change {
        let leases = (0..random.below(4)).map(|_| self.random_lease(random)).collect();
        let memories = (0..random.below(3)).map(|_| self.random_memory(random)).collect();
        let id = self.next_event;
        self.next_event += 1;
        let positions = 0..random.below(4) as u16;
        self.calls.extend(positions.clone().map(|position| ((id, position), (0, false))));
        let calls = positions.map(|position| call(id, position)).collect();
        Change { leases, memories, events: vec![event(id)], calls, latest: Some(NOW), ..Change::default() }
    }

    fn random_mark(&mut self, random: &mut Random, store: &mut Store) {
        let Some(index) = (!self.calls.is_empty()).then(|| random.below(self.calls.len() as u64)) else {
            return;
        };
        let (&key, &(attempts, running)) = self.calls.iter().nth(index as usize).unwrap();
        let id = CallId { event: key.0, position: key.1 };
        let attempt = if running { attempts } else { attempts + 1 };
        match random.below(5) {
            0 | 1 => {
                store.started(id, attempt);
                self.calls.insert(key, (attempt, true));
            }
            2 => {
                store.ended(id, outcome(attempt, Then::Again { at: NOW, failures: 1 }));
                self.calls.insert(key, (attempt, false));
            }
            3 => {
                store.ended(id, outcome(attempt, Then::Done));
                self.calls.remove(&key);
            }
            _ => {
                store.ended(id, outcome(attempt, Then::Dead));
                self.calls.remove(&key);
            }
        }
    }

    fn compare(&mut self, archive: &mut Archive, seed: u64) {
        let (leases4, leases6) = leases(archive);
        assert_eq!(leases4, self.leases4.values().cloned().collect::<Vec<_>>(), "seed {seed}");
        let leases6: BTreeMap<_, _> = leases6
            .into_iter()
            .map(|lease| ((lease.kind == IaKind::PrefixDelegation, lease.address), lease))
            .collect();
        assert_eq!(leases6, self.leases6, "seed {seed}");
        let servers: BTreeSet<_> = archive.restored().servers4.iter().copied().collect();
        assert_eq!(servers, self.servers, "seed {seed}");
        let expected: Vec<_> = self
            .memories
            .iter()
            .map(|((hook, key), value)| (hook.clone(), key.clone(), value.clone()))
            .collect();
        assert_eq!(memories(archive), expected, "seed {seed}");
        for (attempts, running) in self.calls.values_mut() {
            *attempts += u32::from(!*running);
            *running = false;
        }
        let expected: Vec<_> = self
            .calls
            .iter()
            .map(|((event, position), (attempts, _))| (*event, *position, *attempts))
            .collect();
        assert_eq!(calls(archive), expected, "seed {seed}");
        for stored in &archive.restored().calls {
            let expected = StoredCall { tried: stored.tried, ..call(stored.id.event, stored.id.position) };
            assert_eq!(*stored, expected, "seed {seed}");
        }
        assert_eq!(archive.restored().next_event, self.next_event, "seed {seed}");
    }
}

#[test]
fn the_database_is_what_was_appended_however_often_it_is_opened_again() {
    for seed in 0..8 {
        let scratch = Scratch::new();
        let mut random = Random(seed);
        let mut model = Model { next_event: 1, ..Model::default() };
        let limits = Limits { history: 1 << random.below(8), ..Limits::default() };
        for _ in 0..10 {
            let mut archive = open_with(&Options { limits, ..options(scratch.path()) });
            model.compare(&mut archive, seed);
            let mut store = start(archive);
            for _ in 0..random.below(120) {
                if random.below(2) == 0 {
                    model.random_mark(&mut random, &mut store);
                } else {
                    let ticket = store.append(model.random_change(&mut random)).unwrap();
                    if random.below(8) == 0 {
                        assert_eq!(wait(&mut store, ticket), (vec![], true), "seed {seed}");
                    }
                }
            }
            if random.below(2) == 0 {
                store.close();
            }
        }
    }
}
