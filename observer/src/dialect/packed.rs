//! Leases as octets: what a dialect remembers over a restart of a lease that it follows.
//!
//! Numbers are big-endian; what can be missing has an octet 0 or 1 before it; what has no fixed length has its length, two
//! octets, before it. The first octet names this form, so that a later one can be told from it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::dhcpv6::IaKind;
use crate::dissect::{VlanTag, VlanTags};
use crate::frame::Interface;
use crate::identity::{HardwareAddress, Identifier};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Lease4, Lease6, LeaseState, Place, Relay4, Way};

use super::lease::Lease;

/// This form, of a DHCPv4 and of a DHCPv6 lease.
const V4: u8 = 0x14;
const V6: u8 = 0x16;

/// The octets of a lease.
pub(super) fn pack(lease: &Lease) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(128));
    match lease {
        Lease::V4(lease) => out.lease4(lease),
        Lease::V6(lease) => out.lease6(lease),
    }
    out.0
}

/// The lease behind the octets; `None` when they are none, or of a form that is not known here.
pub(super) fn unpack(octets: &[u8]) -> Option<Lease> {
    let (form, rest) = octets.split_first()?;
    let mut from = Reader(rest);
    let lease = match *form {
        V4 => Lease::V4(Box::new(from.lease4()?)),
        V6 => Lease::V6(Box::new(from.lease6()?)),
        _ => return None,
    };
    from.0.is_empty().then_some(lease)
}

struct Writer(Vec<u8>);

impl Writer {
    fn put(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    /// Nothing that a lease holds is longer than two octets can count; what were, would be cut.
    fn string(&mut self, octets: &[u8]) {
        let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
        self.put(&length.to_be_bytes());
        self.put(octets.get(..usize::from(length)).unwrap_or_default());
    }

    fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put(self, value);
        }
    }

    fn hwaddr(&mut self, address: &HardwareAddress) {
        self.put(&address.htype().to_be_bytes());
        self.string(address.octets());
    }

    fn times(&mut self, cltt: Timestamp, valid_lifetime: Lifetime) {
        self.put(&cltt.as_nanos().to_be_bytes());
        self.put(&valid_lifetime.to_wire().to_be_bytes());
    }

    fn place(&mut self, place: &Place) {
        self.maybe(place.interface.as_deref(), |out, interface| {
            out.maybe(interface.index, |out, index| out.put(&index.to_be_bytes()));
            out.string(interface.name.as_bytes());
        });
        let tags = place.vlans.as_slice();
        self.0.push(u8::try_from(tags.len()).unwrap_or(0));
        for tag in tags {
            self.put(&tag.ethertype.to_be_bytes());
            self.put(&tag.tci.to_be_bytes());
        }
    }

    fn lease4(&mut self, lease: &Lease4) {
        self.0.push(V4);
        self.put(&lease.address.octets());
        self.hwaddr(&lease.hwaddr);
        self.maybe(lease.client_id.as_ref(), |out, id| out.string(id.octets()));
        self.string(&lease.hostname);
        self.times(lease.cltt, lease.valid_lifetime);
        self.0.push(state_number(lease.state));
        self.maybe(lease.subnet_id, |out, id| out.put(&id.to_be_bytes()));
        self.place(&lease.place);
        self.maybe(lease.relay.as_deref(), |out, relay| {
            out.put(&relay.address.octets());
            out.string(&relay.agent_information);
        });
    }

    fn lease6(&mut self, lease: &Lease6) {
        self.0.push(V6);
        self.0.push(match lease.kind {
            IaKind::NonTemporary => 0,
            IaKind::Temporary => 1,
            IaKind::PrefixDelegation => 2,
        });
        self.put(&lease.address.octets());
        self.0.push(lease.prefix_len);
        self.string(lease.duid.octets());
        self.put(&lease.iaid.to_be_bytes());
        self.maybe(lease.hwaddr.as_ref(), Self::hwaddr);
        self.string(&lease.hostname);
        self.times(lease.cltt, lease.valid_lifetime);
        self.put(&lease.preferred_lifetime.to_wire().to_be_bytes());
        self.0.push(state_number(lease.state));
        self.maybe(lease.subnet_id, |out, id| out.put(&id.to_be_bytes()));
        self.place(&lease.place);
        self.maybe(lease.way.as_deref(), |out, way| {
            out.maybe(way.next_hop, |out, address| out.put(&address.octets()));
            out.maybe(way.hwaddr.as_ref(), Self::hwaddr);
            out.maybe(way.relay, |out, address| out.put(&address.octets()));
        });
        self.maybe(lease.relay_information.as_deref(), Self::string);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn octet(&mut self) -> Option<u8> {
        self.take().map(|[octet]| octet)
    }

    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn long(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.short()?);
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The outer `None` is for octets that are none of ours.
    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.octet()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn hwaddr(&mut self) -> Option<HardwareAddress> {
        let htype = self.short()?;
        let octets = self.string()?;
        Some(HardwareAddress::new(htype, octets, octets.len()))
    }

    fn address6(&mut self) -> Option<Ipv6Addr> {
        self.take::<16>().map(Ipv6Addr::from)
    }

    fn cltt(&mut self) -> Option<Timestamp> {
        self.take().map(i64::from_be_bytes).map(Timestamp::from_nanos)
    }

    fn lifetime(&mut self) -> Option<Lifetime> {
        self.long().map(Lifetime::from_wire)
    }

    fn place(&mut self) -> Option<Arc<Place>> {
        let interface = self.maybe(|from| {
            let index = from.maybe(Self::long)?;
            let name = String::from_utf8(from.string()?.to_vec()).ok()?;
            Some(Arc::new(Interface { index, name }))
        })?;
        let mut vlans = VlanTags::default();
        for _ in 0..self.octet()? {
            let tag = VlanTag { ethertype: self.short()?, tci: self.short()? };
            vlans.push(tag).then_some(())?;
        }
        Some(Arc::new(Place { interface, vlans }))
    }

    fn lease4(&mut self) -> Option<Lease4> {
        Some(Lease4 {
            address: self.take::<4>().map(Ipv4Addr::from)?,
            hwaddr: self.hwaddr()?,
            client_id: self.maybe(|from| from.string().map(Identifier::new))?,
            hostname: Octets::from(self.string()?),
            cltt: self.cltt()?,
            valid_lifetime: self.lifetime()?,
            state: state(self.octet()?)?,
            subnet_id: self.maybe(Self::long)?,
            place: self.place()?,
            relay: self.maybe(|from| {
                let address = from.take::<4>().map(Ipv4Addr::from)?;
                Some(Arc::new(Relay4 { address, agent_information: from.string()?.into() }))
            })?,
        })
    }

    fn lease6(&mut self) -> Option<Lease6> {
        let kind = match self.octet()? {
            0 => IaKind::NonTemporary,
            1 => IaKind::Temporary,
            2 => IaKind::PrefixDelegation,
            _ => return None,
        };
        let address = self.address6()?;
        let prefix_len = self.octet()?;
        let duid = Identifier::new(self.string()?);
        let iaid = self.long()?;
        let hwaddr = self.maybe(Self::hwaddr)?;
        let hostname = Octets::from(self.string()?);
        let cltt = self.cltt()?;
        let valid_lifetime = self.lifetime()?;
        let preferred_lifetime = self.lifetime()?;
        Some(Lease6 {
            kind,
            address,
            prefix_len,
            duid,
            iaid,
            hwaddr,
            hostname,
            cltt,
            preferred_lifetime,
            valid_lifetime,
            state: state(self.octet()?)?,
            subnet_id: self.maybe(Self::long)?,
            place: self.place()?,
            way: self.maybe(|from| {
                let next_hop = from.maybe(Self::address6)?;
                let hwaddr = from.maybe(Self::hwaddr)?;
                let relay = from.maybe(Self::address6)?;
                Some(Arc::new(Way { next_hop, hwaddr, relay }))
            })?,
            relay_information: self.maybe(|from| from.string().map(Into::into))?,
        })
    }
}

fn state_number(state: LeaseState) -> u8 {
    match state {
        LeaseState::Default => 0,
        LeaseState::Declined => 1,
        LeaseState::ExpiredReclaimed => 2,
        LeaseState::Released => 3,
        LeaseState::Registered => 4,
    }
}

fn state(number: u8) -> Option<LeaseState> {
    Some(match number {
        0 => LeaseState::Default,
        1 => LeaseState::Declined,
        2 => LeaseState::ExpiredReclaimed,
        3 => LeaseState::Released,
        4 => LeaseState::Registered,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Arc<Place> {
        let mut vlans = VlanTags::default();
        assert!(vlans.push(VlanTag { ethertype: 0x8100, tci: 100 }));
        assert!(vlans.push(VlanTag { ethertype: 0x88a8, tci: 0x6007 }));
        let interface = Interface { index: Some(3), name: "vs".to_owned() };
        Arc::new(Place { interface: Some(Arc::new(interface)), vlans })
    }

    fn lease4() -> Lease4 {
        Lease4 {
            address: Ipv4Addr::new(192, 0, 2, 7),
            hwaddr: HardwareAddress::new(6, &[1, 2, 3], 3),
            client_id: Some(Identifier::new(&[1, 0, 9])),
            hostname: Octets::from(&b"a name that needs memory of its own"[..]),
            cltt: Timestamp::from_seconds(1_700_000_000),
            valid_lifetime: Lifetime::Infinite,
            state: LeaseState::Default,
            subnet_id: Some(7),
            place: place(),
            relay: Some(Arc::new(Relay4 {
                address: Ipv4Addr::new(192, 0, 2, 254),
                agent_information: (*b"\x01\x03abc").into(),
            })),
        }
    }

    fn lease6() -> Lease6 {
        Lease6 {
            kind: IaKind::PrefixDelegation,
            address: "2001:db8:f::".parse().unwrap(),
            prefix_len: 56,
            duid: Identifier::new(&[0, 3, 0, 1, 2, 3]),
            iaid: 0x0102_0304,
            hwaddr: Some(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1])),
            hostname: Octets::default(),
            cltt: Timestamp::from_seconds(5),
            preferred_lifetime: Lifetime::Seconds(10),
            valid_lifetime: Lifetime::Seconds(20),
            state: LeaseState::Registered,
            subnet_id: None,
            place: Arc::default(),
            way: Some(Arc::new(Way {
                next_hop: Some("fe80::1".parse().unwrap()),
                hwaddr: None,
                relay: Some("2001:db8::2".parse().unwrap()),
            })),
            relay_information: Some((*b"relays").into()),
        }
    }

    #[test]
    fn leases_come_back_as_they_were() {
        let bare4 =
            Lease4 { client_id: None, subnet_id: None, place: Arc::default(), relay: None, ..lease4() };
        let bare6 = Lease6 { hwaddr: None, way: None, relay_information: None, ..lease6() };
        let leases = [
            Lease::V4(Box::new(lease4())),
            Lease::V4(Box::new(bare4)),
            Lease::V6(Box::new(lease6())),
            Lease::V6(Box::new(bare6)),
        ];
        for lease in leases {
            assert_eq!(unpack(&pack(&lease)), Some(lease));
        }
    }

    #[test]
    fn what_is_no_lease_is_passed_over() {
        for lease in [Lease::V4(Box::new(lease4())), Lease::V6(Box::new(lease6()))] {
            let octets = pack(&lease);
            for end in 0..octets.len() {
                assert_eq!(unpack(&octets[..end]), None, "cut after {end}");
            }
            assert_eq!(unpack(&[&octets[..], &[0]].concat()), None);
            assert_eq!(unpack(&[&[0x99], &octets[1..]].concat()), None);
        }
    }
}
