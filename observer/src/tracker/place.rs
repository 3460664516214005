//! Where a lease was last heard of: kept beside it, so that a hook can still be told when the lease ends.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::dhcpv4::code;
use crate::dissect::VlanTags;
use crate::frame::Interface;
use crate::identity::HardwareAddress;

use super::observed::ObservedMessage;
use super::{Observed4, Observed6};

/// An interface and the VLANs in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The interface; `None` for a lease that was read from a file.
    pub interface: Option<Arc<Interface>>,
    /// VLAN tags, outermost first.
    pub vlans: VlanTags,
}

impl Place {
    /// Where a message was seen.
    pub(crate) fn of<M>(observed: &ObservedMessage<M>) -> Self {
        Self { interface: Some(Arc::clone(&observed.interface)), vlans: observed.vlans }
    }
}

/// The places that were seen, so that a million leases share a handful of them.
#[derive(Debug, Default)]
pub(super) struct Places {
    known: HashMap<Place, Arc<Place>>,
}

impl Places {
    /// More than the VLANs of one interface; whatever is beyond gets a place of its own.
    const LIMIT: usize = 8_192;

    pub(super) fn of<M>(&mut self, observed: &ObservedMessage<M>) -> Arc<Place> {
        let place = Place::of(observed);
        match self.known.get(&place) {
            Some(known) => Arc::clone(known),
            None => {
                let new = Arc::new(place.clone());
                if self.known.len() < Self::LIMIT {
                    self.known.insert(place, Arc::clone(&new));
                }
                new
            }
        }
    }
}

/// The relay of a DHCPv4 client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay4 {
    /// `giaddr`.
    pub address: Ipv4Addr,
    /// The payload of option 82, may be empty.
    pub agent_information: Box<[u8]>,
}

impl Relay4 {
    /// `None` when no relay carried the message.
    pub(super) fn of(observed: &Observed4) -> Option<Self> {
        let message = &observed.message;
        message.is_relayed().then(|| Self {
            address: message.giaddr,
            agent_information: message
                .options
                .get(code::RELAY_AGENT_INFORMATION)
                .map(|payload| (*payload).into())
                .unwrap_or_default(),
        })
    }
}

/// The way to a DHCPv6 client, as a route to its delegated prefix needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The client's link-local address.
    pub next_hop: Option<Ipv6Addr>,
    /// The client's hardware address.
    pub hwaddr: Option<HardwareAddress>,
    /// The relay from which the message came; the client is behind it, not on our link.
    pub relay: Option<Ipv6Addr>,
}

impl Way {
    /// `hwaddr` is the hardware address that the DHCP message tells, if any.
    pub(super) fn of(observed: &Observed6, hwaddr: Option<HardwareAddress>) -> Self {
        let is_link_local = |address: &Ipv6Addr| address.segments()[0] & 0xffc0 == 0xfe80;
        let source = match observed.source.ip() {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        };
        match observed.message.relays.last() {
            Some(nearest) => {
                Self { next_hop: Some(nearest.peer_address).filter(is_link_local), hwaddr, relay: source }
            }
            // On our own link the frame itself tells, which a DUID made elsewhere may not.
            None => Self {
                next_hop: source.filter(is_link_local),
                hwaddr: observed.source_mac.map(HardwareAddress::ethernet).or(hwaddr),
                relay: None,
            },
        }
    }
}
