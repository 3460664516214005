//! A Reply that gives leases, seen as Kea sees the question behind it.

use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::config::{HostnameFrom, IdentifierKind, Subnet6};
use crate::dhcpv6::{IaKind, IaLease, IdentityAssociation, Message};
use crate::identity::{Duid, HardwareAddress};
use crate::octets::Octets;
use crate::time::Timestamp;
use crate::tracker::hardware::hardware_address;
use crate::tracker::made_up::is_made_up;
use crate::tracker::{Exchange6, Lease6, LeaseState, Place, Tracker, Way};

use super::given;

/// A Reply that gives leases, seen as Kea sees the question behind it.
pub(super) struct View6 {
    pub(super) duid: Duid,
    pub(super) hwaddr: Option<HardwareAddress>,
    pub(super) hostname: Octets,
    /// The address from which the server made up the name. Only the lease of that address has it.
    pub(super) made_up_from: Option<Ipv6Addr>,
    /// The client has asked without option 39, so the Reply names nobody; the server's reservations may.
    is_nameless: bool,
    relay_information: Option<Box<[u8]>>,
    pub(super) cltt: Timestamp,
    pub(super) place: Arc<Place>,
    way: Arc<Way>,
}

/// The first address of a Reply, if the server made up the name in it from that.
fn made_up_from(tracker: &Tracker, exchange: &Exchange6, answer: &Message, name: &[u8]) -> Option<Ipv6Addr> {
    if name.is_empty() {
        return None;
    }
    let first = answer.identity_associations().filter(|ia| ia.kind == IaKind::NonTemporary);
    let address = first.flat_map(|ia| given(&ia).collect::<Vec<_>>()).next()?.address;
    let written = address.to_string().replace(':', "-");
    let client_says = || exchange.query.as_deref().and_then(|query| query.message.hostname());
    let subnet = tracker.config.dhcp6.subnet_of_address(address);
    let replaces = subnet.is_some_and(|subnet| subnet.replaces_client_name);
    is_made_up(name, &written, client_says, replaces).then_some(address)
}

impl View6 {
    /// `None` when there is no answer, or it names no client.
    pub(super) fn new(
        tracker: &Tracker,
        at: Timestamp,
        exchange: &Exchange6,
        place: Arc<Place>,
    ) -> Option<Self> {
        let answer = exchange.answer.as_deref()?;
        let asker = exchange.query.as_deref().unwrap_or(answer);
        let hwaddr = hardware_address(asker, &tracker.config.dhcp6.mac_sources);
        // An answer tells the way to the client only by its envelope; its own source is the server.
        let way = exchange.query.as_deref().map(|query| Way::of(query, hwaddr)).unwrap_or_default();
        let hostname = HostnameFrom::or_default(tracker.config.hostname, tracker.config.dhcp6.configured)
            .choose(
                || answer.message.hostname_as_sent(),
                || exchange.query.as_deref().and_then(|query| query.message.own_hostname()),
            );
        let made_up_from = made_up_from(tracker, exchange, &answer.message, &hostname);
        Some(Self {
            duid: Duid::new(asker.message.client_duid()?),
            hwaddr,
            place,
            way: Arc::new(way),
            hostname: if made_up_from.is_none() { hostname.into_lower_case() } else { hostname },
            made_up_from,
            is_nameless: exchange.query.as_deref().is_some_and(|query| query.message.hostname().is_none()),
            relay_information: if tracker.config.dhcp6.stores_extended_info() {
                asker.message.relay_information()
            } else {
                None
            },
            cltt: at.whole_second(),
        })
    }

    /// The name that is reserved for the client where its lease is, as it is written there.
    fn reserved_hostname(&self, subnet: Option<&Subnet6>) -> Octets {
        let reserved = subnet.and_then(|subnet| {
            let by_hardware = self
                .hwaddr
                .as_ref()
                .and_then(|hwaddr| subnet.reservations.get(IdentifierKind::HwAddress, hwaddr.octets()));
            by_hardware.or_else(|| subnet.reservations.get(IdentifierKind::Duid, self.duid.octets()))
        });
        let name = reserved.and_then(|reserved| reserved.hostname.as_deref()).unwrap_or_default();
        name.as_bytes().into()
    }

    pub(super) fn lease(&self, tracker: &Tracker, ia: &IdentityAssociation<'_>, granted: IaLease) -> Lease6 {
        let config = &tracker.config.dhcp6;
        let subnet = match ia.kind {
            IaKind::PrefixDelegation => config.subnet_of_prefix(granted.address, granted.prefix_len),
            IaKind::NonTemporary | IaKind::Temporary => config.subnet_of_address(granted.address),
        };
        Lease6 {
            kind: ia.kind,
            address: granted.address,
            prefix_len: granted.prefix_len,
            duid: self.duid.clone(),
            iaid: ia.iaid,
            hwaddr: self.hwaddr,
            hostname: match self.made_up_from {
                Some(address) if address != granted.address => Octets::default(),
                None if self.is_nameless && self.hostname.is_empty() => self.reserved_hostname(subnet),
                _ => self.hostname.clone(),
            },
            cltt: self.cltt,
            preferred_lifetime: granted.preferred_lifetime,
            valid_lifetime: granted.valid_lifetime,
            state: LeaseState::Default,
            subnet_id: subnet.map(|subnet| subnet.id),
            place: Arc::clone(&self.place),
            way: (ia.kind == IaKind::PrefixDelegation).then(|| Arc::clone(&self.way)),
            relay_information: self
                .relay_information
                .clone()
                .filter(|_| subnet.is_some_and(|subnet| subnet.store_extended_info)),
        }
    }
}
