//! What is remembered over a restart, as JSON.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::frame::Interface;
use crate::identity::{HardwareAddress, Identifier};
use crate::time::Timestamp;
use crate::tracker::Place;

use super::values::Values;

/// A DHCPv4 client with a lease, or with one that has ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Client4 {
    pub(super) hwaddr: Hardware,
    pub(super) client_id: Option<Vec<u8>>,
    pub(super) place: Where,
    pub(super) requested: Vec<u16>,
    pub(super) told: bool,
    pub(super) lease: Option<Lease4>,
    pub(super) ended: Option<Ended>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lease4 {
    pub(super) address: Ipv4Addr,
    pub(super) values: Values,
    /// Nanoseconds since the Unix epoch; `None` for never.
    pub(super) end: Option<i64>,
}

/// A lease that is over, and until when it is remembered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) values: Values,
    pub(super) until: i64,
}

/// A DHCPv6 client with its addresses and prefixes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Client6 {
    pub(super) duid: Vec<u8>,
    pub(super) hwaddr: Option<Hardware>,
    pub(super) place: Where,
    pub(super) requested: Vec<u16>,
    pub(super) leases: Vec<Lease6>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lease6 {
    /// 3, 4 or 25: the code of the identity association's option.
    pub(super) kind: u16,
    pub(super) iaid: u32,
    pub(super) address: Ipv6Addr,
    pub(super) prefix_len: u8,
    pub(super) values: Values,
    pub(super) told: bool,
    pub(super) deprecation: Option<i64>,
    pub(super) end: Option<i64>,
    /// Until when it is remembered, once it is over.
    pub(super) over_until: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hardware {
    htype: u16,
    octets: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Where {
    interface: Option<(Option<u32>, String)>,
}

impl From<&HardwareAddress> for Hardware {
    fn from(address: &HardwareAddress) -> Self {
        Self { htype: address.htype(), octets: address.octets().to_vec() }
    }
}

impl From<Hardware> for HardwareAddress {
    fn from(hardware: Hardware) -> Self {
        Self::new(hardware.htype, &hardware.octets, hardware.octets.len())
    }
}

impl From<&Place> for Where {
    fn from(place: &Place) -> Self {
        let parts = |interface: &Arc<Interface>| (interface.index, interface.name.clone());
        Self { interface: place.interface.as_ref().map(parts) }
    }
}

impl From<Where> for Place {
    fn from(place: Where) -> Self {
        let interface = place.interface.map(|(index, name)| Arc::new(Interface { index, name }));
        Self { interface, ..Self::default() }
    }
}

/// Nanoseconds of a moment.
pub(super) fn nanos(at: Timestamp) -> i64 {
    at.as_nanos()
}

/// The identifier in a memory.
pub(super) fn identifier(octets: Option<Vec<u8>>) -> Option<Identifier> {
    octets.map(|octets| Identifier::new(&octets))
}

/// The octets of a memory. There is nothing in it that cannot be written.
pub(super) fn write(memory: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(memory).ok()
}
