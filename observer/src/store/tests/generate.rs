//! Leases of every shape, from a seed.

use std::sync::Arc;

use crate::dhcpv6::IaKind;
use crate::dissect::{VlanTag, VlanTags};
use crate::frame::Interface;
use crate::identity::{ClientId, Duid, HardwareAddress};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Lease4, Lease6, LeaseState, Place, Relay4, Way};

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.one_in(3)).then(|| make(self))
    }

    fn octets(&mut self, longest: u64) -> Vec<u8> {
        let length = self.below(longest + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn hwaddr(&mut self) -> HardwareAddress {
        let octets = self.octets(20);
        HardwareAddress::new(self.next() as u16, &octets, octets.len())
    }

    /// Plain, empty, of no character set, with NUL, quotes and what else a shell or SQL would trip over.
    fn hostname(&mut self) -> Octets {
        let names: [&[u8]; 7] = [
            b"",
            b"host.example.org.",
            "h\u{f6}st".as_bytes(),
            b"nul\0nul",
            b"'; DROP TABLE leases4; --",
            b"\xff\xfe",
            b"7",
        ];
        match names.get(self.below(9) as usize) {
            Some(name) => Octets::from(*name),
            None => self.octets(255).into(),
        }
    }

    fn lifetime(&mut self) -> Lifetime {
        match self.below(4) {
            0 => Lifetime::Infinite,
            1 => Lifetime::Seconds(0),
            _ => Lifetime::Seconds((self.next() as u32).min(u32::MAX - 1)),
        }
    }

    fn cltt(&mut self) -> Timestamp {
        Timestamp::from_seconds(self.below(4_000_000_000) as i64 - 1_000)
    }

    fn state(&mut self) -> LeaseState {
        use LeaseState::{Declined, Default, ExpiredReclaimed, Registered, Released};
        [Default, Declined, ExpiredReclaimed, Released, Registered][self.below(5) as usize]
    }

    fn place(&mut self) -> Arc<Place> {
        let mut vlans = VlanTags::default();
        for _ in 0..self.below(5) {
            let ethertype = [0x8100, 0x88a8, 0x9100][self.below(3) as usize];
            let tci = if self.one_in(2) { self.below(4_096) } else { self.next() } as u16;
            assert!(vlans.push(VlanTag { ethertype, tci }));
        }
        let interface = self.maybe(|random| {
            let index = random.maybe(|random| random.next() as u32);
            let name = ["", "eth0", "br-lan.100"][random.below(3) as usize].to_owned();
            Arc::new(Interface { index, name })
        });
        Arc::new(Place { interface, vlans })
    }

    /// Of `range` addresses.
    pub(super) fn lease4(&mut self, range: u64) -> Lease4 {
        Lease4 {
            address: (0xc000_0200 + self.below(range) as u32).into(),
            hwaddr: self.hwaddr(),
            client_id: self.maybe(|random| ClientId::new(&random.octets(255))),
            hostname: self.hostname(),
            cltt: self.cltt(),
            valid_lifetime: self.lifetime(),
            state: self.state(),
            subnet_id: self.maybe(|random| random.next() as u32),
            place: self.place(),
            relay: self.maybe(|random| {
                let agent_information = random.octets(300).into();
                Arc::new(Relay4 { address: (random.next() as u32).into(), agent_information })
            }),
        }
    }

    /// Of `range` addresses or prefixes.
    pub(super) fn lease6(&mut self, range: u64) -> Lease6 {
        use IaKind::{NonTemporary, PrefixDelegation, Temporary};
        let address = (0x2001_0db8_u128 << 96 | u128::from(self.below(range))).into();
        Lease6 {
            kind: [NonTemporary, Temporary, PrefixDelegation][self.below(3) as usize],
            address,
            prefix_len: self.below(129) as u8,
            duid: Duid::new(&self.octets(130)),
            iaid: self.next() as u32,
            hwaddr: self.maybe(Self::hwaddr),
            hostname: self.hostname(),
            cltt: self.cltt(),
            preferred_lifetime: self.lifetime(),
            valid_lifetime: self.lifetime(),
            state: self.state(),
            subnet_id: self.maybe(|random| random.next() as u32),
            place: self.place(),
            way: self.maybe(|random| {
                Arc::new(Way {
                    next_hop: random.maybe(|random| (u128::from(random.next()) << 3).into()),
                    hwaddr: random.maybe(Self::hwaddr),
                    relay: random.maybe(|random| u128::from(random.next()).into()),
                })
            }),
            relay_information: self.maybe(|random| random.octets(400).into()),
        }
    }
}
