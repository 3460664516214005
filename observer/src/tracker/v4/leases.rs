//! What an answer, a RELEASE or a DECLINE does to the records, and what is told of it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::identity::HardwareAddress;
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::records::Record;
use crate::tracker::{Event, Exchange4, Lease4, LeaseState, Observed4, Occurrence, Tracker};

use super::view::View4;

impl Tracker {
    fn view4(&mut self, at: Timestamp, exchange: &Exchange4) -> Option<View4> {
        let place = self.places.of(exchange.either()?);
        View4::new(self, at, exchange, place)
    }

    /// An OFFER of an address for which the client has a record: Kea goes through the motions of renewing it.
    pub(super) fn offered4(&mut self, at: Timestamp, exchange: Exchange4) {
        let Some(view) = self.view4(at, &exchange) else { return };
        let Some(stored) = view.own_record(self) else {
            return self.heard(at, || Occurrence::Heard4 { exchange });
        };
        let offered = view.lease();
        // An offer out of the lease cache shows what is left; the hook sees the whole.
        let reused = self.reuses4(at, stored, &offered);
        let valid_lifetime = if reused { stored.valid_lifetime } else { offered.valid_lifetime };
        let (state, hostname) = (stored.state, view.renewed_hostname());
        let lease = Lease4 { state, hostname, valid_lifetime, ..offered };
        let before = stored.clone();
        self.emit(
            at,
            Event::Renew,
            Occurrence::Renew4 { exchange, subnet: view.subnet, lease: Box::new(lease) },
        );
        self.remember_before([Some(before)], []);
    }

    /// An ACK: the client has a lease.
    pub(super) fn granted4(&mut self, at: Timestamp, exchange: Exchange4) {
        let Some(view) = self.view4(at, &exchange) else { return };
        let granted = view.lease();
        if let Some(stored) = view.own_record(self).cloned() {
            return self.extended4(at, exchange, &view, stored, granted);
        }
        // The client has moved: its other record on this network is gone.
        let deleted =
            view.other_record(self).and_then(|address| self.leases4.remove(address)).into_iter().collect();
        let end = self.leases4.get(view.address).and_then(|stored| self.leases4.taken_over(at, stored));
        self.emit_end(at, end);
        self.store4(granted.clone());
        self.emit(at, Event::Commit, Occurrence::Committed4 { exchange, leases: vec![granted], deleted });
        self.remember_before([None], []);
    }

    /// An ACK for an address of which the client has a record.
    fn extended4(
        &mut self,
        at: Timestamp,
        exchange: Exchange4,
        view: &View4,
        stored: Lease4,
        mut granted: Lease4,
    ) {
        // A client that renews past its relay is still behind it.
        granted.relay = granted.relay.or_else(|| stored.relay.clone());
        let end = self.leases4.overtaken(at, &stored);
        self.emit_end(at, end);
        let event = view.renewal();
        let reused = self.reuses4(at, &stored, &granted);
        let valid_lifetime = if reused { stored.valid_lifetime } else { granted.valid_lifetime };
        let lease = Box::new(Lease4 { hostname: view.renewed_hostname(), valid_lifetime, ..granted.clone() });
        self.emit(at, event, Occurrence::Renew4 { exchange: exchange.clone(), subnet: view.subnet, lease });
        self.remember_before([Some(stored.clone())], []);
        if reused {
            // Nothing was written: the record keeps its CLTT, and the answer showed what was left of the lease.
            return self.commit_nothing(at, event, exchange);
        }
        self.store4(granted.clone());
        self.emit(at, event, Occurrence::Committed4 { exchange, leases: vec![granted], deleted: vec![] });
        self.remember_before([Some(stored)], []);
    }

    /// Remembers a lease. In the record a made-up name is in lower case like any other.
    fn store4(&mut self, mut lease: Lease4) {
        lease.hostname = lease.hostname.into_lower_case();
        self.leases4.store(&mut self.deadlines, lease);
    }

    /// A RELEASE: of the lease at `ciaddr`, if it is the client's.
    pub(super) fn released4(&mut self, at: Timestamp, query: Arc<Observed4>) {
        let found = self.owned_by_sender(query.message.ciaddr, &query).cloned();
        let exchange = Exchange4 { query: Some(query), answer: None };
        let Some(lease) = found else {
            return self.commit_nothing(at, Event::Commit, exchange);
        };
        let kept = self
            .released_state()
            .and_then(|state| self.leases4.keep_released(&mut self.deadlines, at, &lease, state));
        let deleted = kept.unwrap_or_else(|| {
            self.leases4.remove(lease.address);
            lease.clone()
        });
        let released = Occurrence::Release4 { exchange: exchange.clone(), lease: Box::new(lease) };
        self.emit(at, Event::Release, released);
        let committed = Occurrence::Committed4 { exchange, leases: vec![], deleted: vec![deleted] };
        self.emit(at, Event::Release, committed);
    }

    /// A DECLINE: of the lease at the requested address, if it is the client's.
    pub(super) fn declined4(&mut self, at: Timestamp, query: Arc<Observed4>) {
        let Some(requested) = query.message.requested_address() else {
            return self.rejected4(at, query);
        };
        let running = |lease: &&Lease4| lease.state == LeaseState::Default && !lease.is_overdue(at);
        let found = self
            .owned_by_sender(requested, &query)
            .filter(|lease| !self.config.version.declines_only_running_leases() || running(lease))
            .cloned();
        let exchange = Exchange4 { query: Some(query), answer: None };
        let Some(lease) = found else {
            return self.commit_nothing(at, Event::Commit, exchange);
        };
        let declined = Lease4 {
            address: lease.address,
            hwaddr: HardwareAddress::empty(),
            client_id: None,
            hostname: Octets::default(),
            cltt: at.whole_second(),
            valid_lifetime: Lifetime::from_wire(self.config.dhcp4.decline_probation_period),
            state: LeaseState::Declined,
            subnet_id: lease.subnet_id,
            place: Arc::clone(&lease.place),
            relay: lease.relay.clone(),
        };
        self.leases4.store(&mut self.deadlines, declined.clone());
        let occurrence = Occurrence::Decline4 { exchange: exchange.clone(), lease: Box::new(lease) };
        self.emit(at, Event::Decline, occurrence);
        let committed = Occurrence::Committed4 { exchange, leases: vec![declined], deleted: vec![] };
        self.emit(at, Event::Decline, committed);
    }

    /// `leases4_committed` with nothing in it: a refusal, or something that changed nothing.
    pub(super) fn commit_nothing(&mut self, at: Timestamp, event: Event, exchange: Exchange4) {
        self.emit(at, event, Occurrence::Committed4 { exchange, leases: vec![], deleted: vec![] });
    }

    /// The record of this address, if it belongs to who sent the message. A declined one belongs to nobody.
    fn owned_by_sender(&self, address: Ipv4Addr, query: &Observed4) -> Option<&Lease4> {
        if !query.message.has_lawful_client_id() {
            return None;
        }
        let client_id = query.message.client_id();
        self.leases4.get(address).filter(|lease| {
            lease.state != LeaseState::Declined
                && lease.belongs_to(&query.message.chaddr, client_id.as_deref())
        })
    }

    /// Whether what the relay says is the same as before, or no part of the lease (`store-extended-info`).
    fn keeps_relay4(&self, stored: &Lease4, granted: &Lease4) -> bool {
        fn said(lease: &Lease4) -> Option<&[u8]> {
            let relay = lease.relay.as_deref()?;
            Some(&*relay.agent_information).filter(|said| !said.is_empty())
        }
        let is_kept =
            self.config.dhcp4.subnet_of(granted.address).is_some_and(|subnet| subnet.store_extended_info);
        !is_kept || said(granted).is_none_or(|said_now| Some(said_now) == said(stored))
    }

    /// Whether Kea answered out of its lease cache: nothing changed, the lease is young enough, and the answer shows what
    /// is left of it.
    fn reuses4(&self, at: Timestamp, stored: &Lease4, granted: &Lease4) -> bool {
        let age = u32::try_from(at.whole_second().since(stored.cltt).as_secs()).unwrap_or(u32::MAX);
        let unchanged = stored.state == LeaseState::Default
            && stored.hostname.eq_ignore_ascii_case(&granted.hostname)
            && stored.client_id == granted.client_id
            && stored.hwaddr == granted.hwaddr
            && stored.subnet_id == granted.subnet_id;
        // What asks the configuration comes last: most renewals show a whole lifetime and need not ask.
        unchanged
            && shows_remainder(stored.valid_lifetime, granted.valid_lifetime, age)
            && self.config.dhcp4.reuses_lease(stored.address, stored.valid_lifetime, age)
            && self.keeps_relay4(stored, granted)
    }
}

/// Whether an answer's lifetime is what is left of the stored one after `age` seconds. One second of doubt is allowed: the
/// server read its clock a moment before the answer left.
pub(in crate::tracker) fn shows_remainder(stored: Lifetime, granted: Lifetime, age: u32) -> bool {
    match (stored, granted) {
        (Lifetime::Infinite, Lifetime::Infinite) => true,
        (Lifetime::Seconds(stored), Lifetime::Seconds(granted)) => {
            stored >= granted && (stored - granted).abs_diff(age) <= 1
        }
        (Lifetime::Infinite, Lifetime::Seconds(_)) | (Lifetime::Seconds(_), Lifetime::Infinite) => false,
    }
}
