//! Clients that fight over an address.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::dhcpv4::RequestKind;
use crate::dhcpv6::IaKind;
use crate::identity::{HardwareAddress, Identifier};
use crate::time::Timestamp;
use crate::tracker::records::Record;
use crate::tracker::{Lease4, Lease6, LeaseState, Observed4, Observed6, Tracker};

use super::LIMIT;
use super::recent::Recent;
use super::sighting::{Finding, Rival};

/// Two claims further apart are none of one fight.
const WINDOW: Duration = Duration::from_secs(300);
/// A fight is over when nobody claimed the address for so long.
const QUIET: Duration = Duration::from_secs(600);
/// For so long declines are counted, and former holders remembered.
const DAY: Duration = Duration::from_secs(86_400);

/// What is known of addresses.
#[derive(Debug)]
pub(super) struct Conflicts {
    /// Who had an address before the one who has it now.
    former: Recent<IpAddr, Rival>,
    /// How often an address was declined, and in which transaction last.
    declines: Recent<IpAddr, (u32, u32)>,
    /// Who claimed an address last without being known to have it.
    claims: Recent<Ipv4Addr, Rival>,
    /// Addresses whose fight was told.
    told: Recent<Ipv4Addr, ()>,
}

impl Rival {
    fn of4(lease: &Lease4) -> Self {
        Self { hwaddr: Some(lease.hwaddr), identifier: lease.client_id.clone() }
    }

    fn of6(lease: &Lease6) -> Self {
        Self { hwaddr: lease.hwaddr, identifier: Some(lease.duid.clone()) }
    }

    fn asking(observed: &Observed4) -> Self {
        let identifier = observed.message.client_id().map(|octets| Identifier::new(&octets));
        Self { hwaddr: Some(observed.message.chaddr), identifier }
    }

    /// Whether both can be one client: it may have one identifier while it boots and another afterwards.
    fn may_be(&self, other: &Self) -> bool {
        let same_hardware = self.hwaddr.filter(|address: &HardwareAddress| !address.is_empty())
            == other.hwaddr
            && self.hwaddr.is_some();
        same_hardware || (self.identifier.is_some() && self.identifier == other.identifier)
    }
}

impl Conflicts {
    pub(super) fn new() -> Self {
        Self {
            former: Recent::new(4 * LIMIT, DAY),
            declines: Recent::new(LIMIT, DAY),
            claims: Recent::new(LIMIT, WINDOW),
            told: Recent::new(LIMIT, QUIET),
        }
    }

    /// An ACK gives an address: whoever has claimed it is done, and who had it before is remembered.
    pub(super) fn granted4(&mut self, at: Timestamp, answer: &Observed4, tracker: &Tracker) {
        let address = answer.message.yiaddr;
        self.claims.take(at, &address);
        let Some(record) = tracker.leases4.get(address).filter(|record| !record.hwaddr.is_empty()) else {
            return;
        };
        let holder = Rival::of4(record);
        if !holder.may_be(&Rival::asking(answer)) {
            self.former.put(at, address.into(), holder, 0);
        }
    }

    /// A Reply gives an address.
    pub(super) fn granted6(&mut self, at: Timestamp, answer: &Observed6, tracker: &Tracker) {
        let duid = answer.message.client_duid().unwrap_or_default();
        let associations = answer.message.identity_associations();
        for lease in associations.filter(|ia| ia.kind != IaKind::PrefixDelegation).flat_map(|ia| ia.leases())
        {
            let Some(record) = tracker.leases6.get((false, lease.address)) else { continue };
            if record.state != LeaseState::Declined && record.duid.octets() != duid {
                self.former.put(at, lease.address.into(), Rival::of6(record), 0);
            }
        }
    }

    /// A DHCPDECLINE.
    pub(super) fn declined4(
        &mut self,
        at: Timestamp,
        query: &Observed4,
        tracker: &Tracker,
    ) -> Option<Finding> {
        let address = query.message.requested_address()?;
        let declines = self.count(at, address.into(), query.message.xid)?;
        let asking = Rival::asking(query);
        let holder = tracker.leases4.get(address).filter(|record| !record.hwaddr.is_empty()).map(Rival::of4);
        let rival = self.other(at, address.into(), holder, |rival| !rival.may_be(&asking));
        Some(Finding::Declined { address: address.into(), declines, rival })
    }

    /// A Decline of DHCPv6: a finding for each address.
    pub(super) fn declined6(&mut self, at: Timestamp, query: &Observed6, tracker: &Tracker) -> Vec<Finding> {
        let duid = query.message.client_duid().unwrap_or_default();
        let associations = query.message.identity_associations();
        let addresses =
            associations.filter(|ia| ia.kind != IaKind::PrefixDelegation).flat_map(|ia| ia.leases());
        let mut findings = Vec::new();
        for address in addresses.map(|lease| lease.address) {
            let Some(declines) = self.count(at, address.into(), query.message.transaction_id) else {
                continue;
            };
            let record = tracker.leases6.get((false, address));
            let holder = record.filter(|record| record.state != LeaseState::Declined).map(Rival::of6);
            let is_other = |rival: &Rival| {
                rival.identifier.as_ref().is_none_or(|identifier| identifier.octets() != duid)
            };
            let rival = self.other(at, address.into(), holder, is_other);
            findings.push(Finding::Declined { address: address.into(), declines, rival });
        }
        findings
    }

    /// A DHCPREQUEST of a client that says it has an address: see the rules of [`super`].
    pub(super) fn claimed4(
        &mut self,
        at: Timestamp,
        query: &Observed4,
        tracker: &Tracker,
    ) -> Option<Finding> {
        let message = &query.message;
        let kind =
            message.request_kind(matches!(query.destination.ip(), IpAddr::V4(to) if to.is_broadcast()));
        let address = match kind {
            RequestKind::Selecting => return None,
            RequestKind::InitReboot => message.requested_address()?,
            RequestKind::Renewing | RequestKind::Rebinding => message.ciaddr,
        };
        let asking = Rival::asking(query);
        let record = tracker.leases4.get(address);
        let holder = record.filter(|record| record.state == LeaseState::Default && !record.is_overdue(at));
        if holder.is_some_and(|holder| {
            holder.belongs_to(&message.chaddr, message.client_id().as_deref())
                || Rival::of4(holder).may_be(&asking)
        }) {
            return None;
        }
        let restarts = kind == RequestKind::InitReboot;
        if restarts && record.is_none() && tracker.config.dhcp4.subnet_of(address).is_none() {
            // It comes from another network and asks for what it had there.
            return None;
        }
        let claimant = self.claims.take(at, &address).filter(|claimant| !claimant.may_be(&asking));
        self.claims.put(at, address, asking, 0);
        let rival = holder.filter(|_| !restarts).map(Rival::of4).or(claimant)?;
        let known = self.told.take(at, &address).is_some();
        self.told.put(at, address, (), 0);
        (!known).then_some(Finding::Claimed { address: address.into(), rival })
    }

    /// How many tables made room.
    pub(super) fn evicted(&self) -> u64 {
        self.former.evicted() + self.declines.evicted() + self.claims.evicted() + self.told.evicted()
    }

    /// Counts a decline; nothing when it is the one before, sent again.
    fn count(&mut self, at: Timestamp, address: IpAddr, transaction: u32) -> Option<u32> {
        let (before, last) = self.declines.take(at, &address).unwrap_or((0, !transaction));
        let again = last == transaction;
        let declines = if again { before } else { before.saturating_add(1) };
        self.declines.put(at, address, (declines, transaction), 0);
        (!again).then_some(declines)
    }

    /// The holder of an address, else its former holder, where that is another client.
    fn other(
        &mut self,
        at: Timestamp,
        address: IpAddr,
        holder: Option<Rival>,
        is_other: impl Fn(&Rival) -> bool,
    ) -> Option<Rival> {
        let former = || self.former.get_mut(at, &address).cloned();
        holder.filter(&is_other).or_else(former).filter(&is_other)
    }
}
