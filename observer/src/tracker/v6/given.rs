//! What a Reply gives: leases, or the registration of an address.

use smallvec::SmallVec;

use crate::dhcpv6::{IaKind, IaLease, IdentityAssociation, MessageType};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::records::Record;
use crate::tracker::table::Owner;
use crate::tracker::v4::shows_remainder;
use crate::tracker::{Event, Exchange6, IaReference, Lease6, LeaseState, Occurrence, Tracker};

use super::view::View6;
use super::{MOST_LEASES, given};

impl Tracker {
    /// A Reply to Request, Renew, Rebind or, by rapid commit, Solicit.
    pub(super) fn granted6(&mut self, at: Timestamp, exchange: Exchange6) {
        let Some(view) = self.view6(at, &exchange) else { return };
        let Some(answer) = exchange.answer.clone() else { return };
        let mut leases = Vec::new();
        let mut befores = Vec::new();
        let mut deleted = Vec::new();
        let mut event = Event::Commit;
        let mut keys = SmallVec::<[_; 4]>::new();
        let mut associations = SmallVec::<[_; 4]>::new();
        for ia in answer.message.identity_associations() {
            if associations.contains(&(ia.kind, ia.iaid)) {
                // Read again it would take away what it has just given.
                self.counters.leases_repeated += given(&ia).count() as u64;
                continue;
            }
            associations.push((ia.kind, ia.iaid));
            deleted.extend(self.leave_others6(&view, &ia, MOST_LEASES - deleted.len()));
            for granted in given(&ia) {
                if keys.len() == MOST_LEASES {
                    self.counters.leases_left_out += 1;
                    continue;
                }
                let granted = view.lease(self, &ia, granted);
                if keys.contains(&granted.key()) {
                    self.counters.leases_repeated += 1;
                    continue;
                }
                keys.push(granted.key());
                let Grant { lease, before, extended } = self.grant6(at, &exchange, &view, &ia, granted);
                event = extended.unwrap_or(event);
                if let Some(lease) = lease {
                    leases.push(lease);
                    befores.push(before);
                }
            }
        }
        self.emit(at, event, Occurrence::Committed6 { exchange, leases, deleted });
        self.remember_before([], befores);
    }

    /// One address or prefix of a Reply.
    fn grant6(
        &mut self,
        at: Timestamp,
        exchange: &Exchange6,
        view: &View6,
        ia: &IdentityAssociation<'_>,
        mut granted: Lease6,
    ) -> Grant {
        let Some(stored) = self.leases6.get(granted.key()).cloned() else {
            self.leases6.store(&mut self.deadlines, granted.clone());
            return Grant { lease: Some(granted), before: None, extended: None };
        };
        if !stored.belongs_to(ia.kind, view.duid.octets(), ia.iaid) {
            let reused = stored.state == LeaseState::ExpiredReclaimed || stored.is_overdue(at);
            let quirk = self.is_known_kea6() && self.config.version.keeps_hardware_address_of_last_holder();
            if reused && quirk {
                // Kea 2.2 reuses the record and leaves the hardware address of its last holder in it. A record that was
                // neither must have been deleted unseen, and there was none to reuse.
                granted.hwaddr = stored.hwaddr;
            }
            let end = self.leases6.taken_over(at, &stored);
            self.emit_end(at, end);
            self.leases6.store(&mut self.deadlines, granted.clone());
            return Grant { lease: Some(granted), before: None, extended: None };
        }

        let question = exchange.query.as_deref().map(|query| query.message.message_type);
        let event = if question == Some(MessageType::REBIND) { Event::Rebind } else { Event::Renew };
        let extends = matches!(question, Some(MessageType::RENEW | MessageType::REBIND));
        if !extends && self.is_known_kea6() {
            // Kea leaves the hardware address alone when an existing lease is requested again.
            granted.hwaddr = stored.hwaddr;
        }
        let reused = self.reuses6(at, &stored, &granted);
        if granted.relay_information.is_none() {
            // A renewal past the relays leaves what they said before.
            granted.relay_information.clone_from(&stored.relay_information);
        }
        if extends {
            let mut lease = Box::new(granted.clone());
            if view.made_up_from.is_some() {
                // The name is made after this hook point.
                lease.hostname = Octets::default();
            }
            if reused {
                lease.valid_lifetime = stored.valid_lifetime;
                lease.preferred_lifetime = stored.preferred_lifetime;
            }
            let (exchange, ia) = (exchange.clone(), IaReference { kind: ia.kind, iaid: ia.iaid });
            let occurrence = match event {
                Event::Rebind => Occurrence::Rebind6 { exchange, ia, lease },
                _ => Occurrence::Renew6 { exchange, ia, lease },
            };
            self.emit(at, event, occurrence);
            self.remember_before([], [Some(stored.clone())]);
            // Unlike DHCPv4, the old record is reclaimed after the hook point of its renewal.
            let end = self.leases6.overtaken(at, &stored);
            self.emit_end(at, end);
        }
        if reused {
            return Grant { lease: None, before: None, extended: Some(event) };
        }
        self.leases6.store(&mut self.deadlines, granted.clone());
        Grant { lease: Some(granted), before: Some(stored), extended: Some(event) }
    }

    /// Whether the server is known to be Kea, by its configuration. Its odd ways with hardware addresses are not wanted
    /// beside any other.
    fn is_known_kea6(&self) -> bool {
        self.config.dhcp6.configured
    }

    /// Takes out of the table what the identity association held and the Reply does not give again: on the network where
    /// it gives something, or, where that does not tell, named with a lifetime of zero. What the client holds on another
    /// network the server does not touch. No more than `most`; what is beyond ends in its own time.
    fn leave_others6(&mut self, view: &View6, ia: &IdentityAssociation<'_>, most: usize) -> Vec<Lease6> {
        let owner = Owner::Association(view.duid.octets(), ia.iaid);
        let (withdrawn, given): (Vec<IaLease>, Vec<IaLease>) =
            ia.leases().partition(|lease| lease.valid_lifetime == Lifetime::Seconds(0));
        if withdrawn.is_empty() && given.is_empty() {
            return vec![];
        }
        let is_in = |leases: &[IaLease], address| leases.iter().any(|lease| lease.address == address);
        let gone = self.leases6.owned(owner, |lease| {
            lease.belongs_to(ia.kind, view.duid.octets(), ia.iaid)
                && !is_in(&given, lease.address)
                && given
                    .iter()
                    .find_map(|given| self.is_same_network6(lease, given))
                    .unwrap_or_else(|| is_in(&withdrawn, lease.address))
        });
        self.counters.leases_left_out += gone.len().saturating_sub(most) as u64;
        gone.into_iter().take(most).filter_map(|key| self.leases6.remove(key)).collect()
    }

    /// Whether a lease and an address that takes its place are on one network. Without configuration an address tells by
    /// its first 64 bits; a prefix does not tell.
    fn is_same_network6(&self, lease: &Lease6, given: &IaLease) -> Option<bool> {
        let config = &self.config.dhcp6;
        if lease.kind == IaKind::PrefixDelegation {
            let a = config.subnet_of_prefix(lease.address, lease.prefix_len)?;
            let b = config.subnet_of_prefix(given.address, given.prefix_len)?;
            return Some(
                a.id == b.id || (a.shared_network.is_some() && a.shared_network == b.shared_network),
            );
        }
        let told = config.same_network(lease.address, given.address);
        Some(told.unwrap_or_else(|| lease.address.to_bits() >> 64 == given.address.to_bits() >> 64))
    }
    fn view6(&mut self, at: Timestamp, exchange: &Exchange6) -> Option<View6> {
        let place = self.places.of(exchange.either()?);
        View6::new(self, at, exchange, place)
    }

    /// An ADDR-REG-REPLY: the server has taken note of an address that the client made up (RFC 9686).
    pub(super) fn registered6(&mut self, at: Timestamp, exchange: Exchange6) {
        let Some(view) = self.view6(at, &exchange) else { return };
        let Some(named) = exchange.query.as_deref().and_then(|query| query.message.registered_address())
        else {
            return;
        };
        let lease = Lease6 {
            kind: IaKind::NonTemporary,
            address: named.address,
            prefix_len: 128,
            duid: view.duid,
            // A registration belongs to no identity association.
            iaid: 0,
            hwaddr: view.hwaddr,
            hostname: view.hostname,
            cltt: view.cltt,
            preferred_lifetime: named.preferred_lifetime,
            valid_lifetime: named.valid_lifetime,
            state: LeaseState::Registered,
            subnet_id: self.config.dhcp6.subnet_of_address(named.address).map(|subnet| subnet.id),
            place: view.place,
            way: None,
            relay_information: None,
        };
        let stored = self.leases6.get(lease.key());
        let old = stored.filter(|old| old.state == LeaseState::Registered).cloned();
        // Kea refuses to register what is leased. A server that does it must have ended the lease.
        let leased = stored.filter(|_| old.is_none());
        let end = leased.and_then(|leased| self.leases6.taken_over(at, leased));
        self.emit_end(at, end);
        let event = if old.is_some() { Event::Renew } else { Event::Commit };
        self.leases6.store(&mut self.deadlines, lease.clone());
        self.emit(
            at,
            event,
            Occurrence::Register6 {
                exchange: exchange.clone(),
                old: old.clone().map(Box::new),
                lease: Box::new(lease.clone()),
            },
        );
        self.emit(at, event, Occurrence::Committed6 { exchange, leases: vec![lease], deleted: vec![] });
        self.remember_before([], [old]);
    }

    /// Whether Kea answered out of its lease cache; see [`Tracker::reuses4`].
    fn reuses6(&self, at: Timestamp, stored: &Lease6, granted: &Lease6) -> bool {
        let age = u32::try_from(at.whole_second().since(stored.cltt).as_secs()).unwrap_or(u32::MAX);
        let unchanged = stored.state == LeaseState::Default
            && stored.hostname == granted.hostname
            && stored.hwaddr == granted.hwaddr
            && stored.subnet_id == granted.subnet_id
            && (granted.relay_information.is_none() || granted.relay_information == stored.relay_information);
        let config = &self.config.dhcp6;
        let preferred = match (stored.preferred_lifetime, granted.preferred_lifetime) {
            // What is left of the preferred lifetime stops at zero.
            (Lifetime::Seconds(stored), Lifetime::Seconds(0)) => stored <= age.saturating_add(1),
            (stored, granted) => shows_remainder(stored, granted, age),
        };
        unchanged
            && preferred
            && shows_remainder(stored.valid_lifetime, granted.valid_lifetime, age)
            && config.reuses_lease(
                stored.subnet_id.and_then(|id| config.subnet(id)),
                stored.valid_lifetime,
                stored.preferred_lifetime,
                age,
            )
    }
}

/// What came of one address or prefix of a Reply.
struct Grant {
    /// The lease, unless it was answered out of the cache.
    lease: Option<Lease6>,
    /// What the client's record of it was before.
    before: Option<Lease6>,
    /// What became of the client's record, if there was one.
    extended: Option<Event>,
}
