//! An answer that gives an address, seen as Kea sees the question behind it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::config::HostnameFrom;
use crate::dhcpv4::RequestKind;
use crate::identity::{ClientId, HardwareAddress};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::made_up::is_made_up;
use crate::tracker::table::Owner;
use crate::tracker::{Event, Exchange4, Lease4, LeaseState, Observed4, Place, Relay4, SubnetName, Tracker};

/// An answer that gives an address, seen as Kea sees the question behind it.
pub(super) struct View4 {
    pub(super) address: Ipv4Addr,
    hwaddr: HardwareAddress,
    /// What the client sent; the lease has it only where the server heeds it.
    client_id: Option<ClientId>,
    match_client_id: bool,
    hostname: Octets,
    /// Whether the server made up the name.
    is_made_up: bool,
    mask: Option<Ipv4Addr>,
    cltt: Timestamp,
    valid_lifetime: Lifetime,
    pub(super) subnet: Option<SubnetName>,
    kind: Option<RequestKind>,
    place: Arc<Place>,
    relay: Option<Arc<Relay4>>,
}

impl View4 {
    /// `None` when there is no answer.
    pub(super) fn new(
        tracker: &Tracker,
        at: Timestamp,
        exchange: &Exchange4,
        place: Arc<Place>,
    ) -> Option<Self> {
        let answer = &exchange.answer.as_deref()?.message;
        let query = exchange.query.as_deref();
        let asker = query.map_or(answer, |query| &query.message);
        let config = &tracker.config.dhcp4;
        let subnet = config.subnet_of(answer.yiaddr);
        let hostname = HostnameFrom::or_default(tracker.config.hostname, config.configured)
            .choose(|| answer.hostname_as_sent(), || query.and_then(|query| query.message.own_hostname()));
        let [a, b, c, d] = answer.yiaddr.octets();
        let client_says = || query.and_then(|query| query.message.hostname());
        let replaces = subnet.is_some_and(|subnet| subnet.replaces_client_name);
        let is_made_up =
            !hostname.is_empty() && is_made_up(&hostname, &format!("{a}-{b}-{c}-{d}"), client_says, replaces);
        let hostname = if is_made_up { hostname } else { hostname.into_lower_case() };
        Some(Self {
            address: answer.yiaddr,
            hwaddr: asker.chaddr,
            client_id: asker.client_id().map(|octets| ClientId::new(&octets)),
            match_client_id: subnet.map_or(config.match_client_id, |subnet| subnet.match_client_id),
            hostname,
            is_made_up,
            mask: answer.subnet_mask(),
            cltt: at.whole_second(),
            // RFC 2131 has the server always say how long; one that does not gives no end.
            valid_lifetime: answer.lease_time().map_or(Lifetime::Infinite, Lifetime::from_wire),
            subnet: subnet.map(|subnet| SubnetName {
                id: subnet.id,
                prefix: subnet.prefix,
                prefix_len: subnet.prefix_len,
                match_client_id: subnet.match_client_id,
            }),
            kind: query.map(|query| query.message.request_kind(is_broadcast(query))),
            place,
            relay: exchange.either().and_then(Relay4::of).map(Arc::new),
        })
    }

    /// The client identifier, where the server heeds it.
    fn client_id(&self) -> Option<&ClientId> {
        self.client_id.as_ref().filter(|_| self.match_client_id)
    }

    /// The lease that the answer gives.
    pub(super) fn lease(&self) -> Lease4 {
        Lease4 {
            address: self.address,
            hwaddr: self.hwaddr,
            client_id: self.client_id().cloned(),
            hostname: self.hostname.clone(),
            cltt: self.cltt,
            valid_lifetime: self.valid_lifetime,
            state: LeaseState::Default,
            subnet_id: self.subnet.map(|subnet| subnet.id),
            place: Arc::clone(&self.place),
            relay: self.relay.clone(),
        }
    }

    /// The record of the given address, if it is the client's.
    pub(super) fn own_record<'a>(&self, tracker: &'a Tracker) -> Option<&'a Lease4> {
        tracker.leases4.get(self.address).filter(|lease| self.is_owner(lease))
    }

    /// The client's record of another address on the same network: found by client identifier or, failing that, by
    /// hardware address.
    pub(super) fn other_record(&self, tracker: &Tracker) -> Option<Ipv4Addr> {
        let elsewhere = |lease: &Lease4| {
            lease.address != self.address
                && self.is_owner(lease)
                && self.is_same_network(tracker, lease.address)
        };
        let by_client_id = self.client_id().and_then(|client_id| {
            tracker.leases4.owned(Owner::ClientId(client_id.octets()), elsewhere).first().copied()
        });
        by_client_id.or_else(|| {
            let owner = Owner::Hardware(self.hwaddr.htype(), self.hwaddr.octets());
            tracker.leases4.owned(owner, elsewhere).first().copied()
        })
    }

    fn is_owner(&self, lease: &Lease4) -> bool {
        lease.state != LeaseState::Declined
            && lease.belongs_to(&self.hwaddr, self.client_id().map(ClientId::octets))
    }

    /// Whether another address is in the same subnet or shared network. Where the configuration does not tell, the mask of
    /// the answer does.
    fn is_same_network(&self, tracker: &Tracker, other: Ipv4Addr) -> bool {
        tracker.config.dhcp4.same_network(self.address, other).unwrap_or_else(|| {
            self.mask.is_some_and(|mask| {
                self.address.to_bits() & mask.to_bits() == other.to_bits() & mask.to_bits()
            })
        })
    }

    pub(super) fn renewal(&self) -> Event {
        match self.kind {
            Some(RequestKind::Rebinding) => Event::Rebind,
            _ => Event::Renew,
        }
    }

    /// The host name in `lease4_renew`. A name that the server makes up from the address is made after that hook point.
    pub(super) fn renewed_hostname(&self) -> Octets {
        if self.is_made_up { Octets::default() } else { self.hostname.clone() }
    }
}

fn is_broadcast(query: &Observed4) -> bool {
    matches!(query.destination.ip(), IpAddr::V4(address) if address.is_broadcast())
}
