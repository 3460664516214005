//! DHCPv4: what Kea's server does with each message, as far as the wire tells.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::dhcpv4::{MessageType, Op, RequestKind, code};
use crate::identity::{ClientId, HardwareAddress};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};

use super::records::Record;
use super::table::Owner;
use super::{
    Event, Exchange4, Lease4, LeaseState, MAX_SERVERS, Observed4, Occurrence, Place, Relay4, SubnetName, Tracker,
};

/// What an answer has in common with its question: the transaction, the client, and what kind of question it answers.
pub(super) type Key = (u32, HardwareAddress, MessageType);

pub(super) fn key(observed: &Observed4, question: MessageType) -> Key {
    (observed.message.xid, observed.message.chaddr, question)
}

impl Tracker {
    pub(super) fn message4(&mut self, at: Timestamp, observed: Arc<Observed4>) {
        self.counters.messages4 += 1;
        let message = &observed.message;
        self.counters.malformed += u64::from(!message.malformed.is_empty());
        match (message.op, message.message_type) {
            (
                Op::Request,
                Some(
                    MessageType::DISCOVER
                    | MessageType::REQUEST
                    | MessageType::DECLINE
                    | MessageType::RELEASE
                    | MessageType::INFORM,
                ),
            ) => {
                if self.answers.query_counts(observed.direction) {
                    self.query4(at, observed);
                } else {
                    self.counters.foreign_queries += 1;
                }
            }
            (Op::Reply, Some(MessageType::OFFER | MessageType::ACK | MessageType::NAK)) => {
                if self.answers.answer_counts(observed.direction) {
                    self.answer4(at, observed);
                } else {
                    self.counters.foreign_answers += 1;
                }
            }
            _ => self.counters.other_messages += 1,
        }
    }

    /// A question. Most wait for their answer; RELEASE and DECLINE have none, and neither do those that Kea rejects.
    fn query4(&mut self, at: Timestamp, observed: Arc<Observed4>) {
        let Some(message_type) = observed.message.message_type else { return };
        let names_server = matches!(message_type, MessageType::RELEASE | MessageType::DECLINE);
        if names_server && !self.is_for_our_server(&observed) {
            self.counters.foreign_queries += 1;
        } else if self.fails_sanity_check(&observed) {
            self.rejected4(at, observed);
        } else if message_type == MessageType::RELEASE {
            self.released4(at, observed);
        } else if message_type == MessageType::DECLINE {
            self.declined4(at, observed);
        } else {
            let (key, bytes) = (key(&observed, message_type), observed.message.options.footprint());
            self.exchanges4.ask(at, key, observed, bytes);
        }
    }

    /// Whether the question names no server, or one that was heard. Before any was heard nothing can be told.
    fn is_for_our_server(&self, observed: &Observed4) -> bool {
        match observed.message.server_id() {
            Some(server) => self.servers4.is_empty() || self.servers4.contains(&server),
            None => true,
        }
    }

    /// The sanity checks of Kea 2.2, after which it calls `leases4_committed` with nothing in it and sends no answer:
    /// a client that has neither hardware address nor identifier, a DISCOVER that names this server.
    fn fails_sanity_check(&self, observed: &Observed4) -> bool {
        let message = &observed.message;
        if message.message_type == Some(MessageType::INFORM) || !self.is_for_our_server(observed) {
            return false;
        }
        let nobody = message.chaddr.is_empty() && message.client_id().is_none();
        let offered_before_asking = message.message_type == Some(MessageType::DISCOVER)
            && message.server_id().is_some_and(|server| self.servers4.contains(&server));
        nobody || offered_before_asking
    }

    /// A message that the server rejects without an answer. That it did is known from its rules, not from the wire.
    fn rejected4(&mut self, at: Timestamp, query: Arc<Observed4>) {
        if self.config.version.commits_rejected_messages() {
            let exchange = Exchange4 { query: Some(query), answer: None };
            let committed = Occurrence::Committed4 { exchange, leases: vec![], deleted: vec![] };
            self.emit_as(at, Event::Commit, committed, true);
        }
    }

    fn answer4(&mut self, at: Timestamp, answer: Arc<Observed4>) {
        if let Some(server) = answer.message.server_id()
            && self.servers4.len() < MAX_SERVERS
        {
            self.servers4.insert(server);
        }
        let find = |question| self.exchanges4.find(at, key(&answer, question)).cloned();
        match answer.message.message_type {
            Some(MessageType::OFFER) => {
                let query = find(MessageType::DISCOVER);
                self.offered4(at, Exchange4 { query, answer: Some(answer) });
            }
            Some(MessageType::NAK) => {
                let query = find(MessageType::REQUEST);
                self.counters.inferred_answers += u64::from(query.is_none());
                self.commit_nothing(at, Event::Commit, Exchange4 { query, answer: Some(answer) });
            }
            Some(MessageType::ACK) => {
                let given = !answer.message.yiaddr.is_unspecified();
                if let Some(query) = find(MessageType::REQUEST).filter(|_| given) {
                    self.granted4(at, Exchange4 { query: Some(query), answer: Some(answer) });
                } else if find(MessageType::INFORM).is_some() {
                    // The client keeps an address that it has from elsewhere; there is no lease.
                } else if let Some(query) = find(MessageType::DISCOVER)
                    .filter(|_| given && answer.message.options.contains(code::RAPID_COMMIT))
                {
                    // RFC 4039: two messages instead of four.
                    self.granted4(at, Exchange4 { query: Some(query), answer: Some(answer) });
                } else if given && answer.message.lease_time().is_some() {
                    self.counters.inferred_answers += 1;
                    self.granted4(at, Exchange4 { query: None, answer: Some(answer) });
                } else {
                    self.counters.unmatched_answers += 1;
                }
            }
            _ => {}
        }
    }

    fn view4(&mut self, at: Timestamp, exchange: &Exchange4) -> Option<View4> {
        let place = self.places.of(exchange.either()?);
        View4::new(self, at, exchange, place)
    }

    /// An OFFER of an address for which the client has a record: Kea goes through the motions of renewing it.
    fn offered4(&mut self, at: Timestamp, exchange: Exchange4) {
        let Some(view) = self.view4(at, &exchange) else { return };
        let Some(stored) = view.own_record(self) else { return };
        let offered = view.lease();
        // An offer out of the lease cache shows what is left; the hook sees the whole.
        let reused = self.reuses4(at, stored, &offered);
        let valid_lifetime = if reused { stored.valid_lifetime } else { offered.valid_lifetime };
        let (state, hostname) = (stored.state, view.renewed_hostname(&exchange));
        let lease = Lease4 { state, hostname, valid_lifetime, ..offered };
        let before = stored.clone();
        self.emit(at, Event::Renew, Occurrence::Renew4 { exchange, subnet: view.subnet, lease: Box::new(lease) });
        self.remember_before([Some(before)], []);
    }

    /// An ACK: the client has a lease.
    fn granted4(&mut self, at: Timestamp, exchange: Exchange4) {
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
        self.leases4.store(&mut self.deadlines, granted.clone());
        self.emit(at, Event::Commit, Occurrence::Committed4 { exchange, leases: vec![granted], deleted });
        self.remember_before([None], []);
    }

    /// An ACK for an address of which the client has a record.
    fn extended4(&mut self, at: Timestamp, exchange: Exchange4, view: &View4, stored: Lease4, mut granted: Lease4) {
        // A client that renews past its relay is still behind it.
        granted.relay = granted.relay.or_else(|| stored.relay.clone());
        let end = self.leases4.overtaken(at, &stored);
        self.emit_end(at, end);
        let event = view.renewal();
        let reused = self.reuses4(at, &stored, &granted);
        let valid_lifetime = if reused { stored.valid_lifetime } else { granted.valid_lifetime };
        let lease = Box::new(Lease4 {
            hostname: view.renewed_hostname(&exchange),
            valid_lifetime,
            ..granted.clone()
        });
        self.emit(at, event, Occurrence::Renew4 { exchange: exchange.clone(), subnet: view.subnet, lease });
        self.remember_before([Some(stored.clone())], []);
        if reused {
            // Nothing was written: the record keeps its CLTT, and the answer showed what was left of the lease.
            return self.commit_nothing(at, event, exchange);
        }
        self.leases4.store(&mut self.deadlines, granted.clone());
        self.emit(at, event, Occurrence::Committed4 { exchange, leases: vec![granted], deleted: vec![] });
        self.remember_before([Some(stored)], []);
    }

    /// A RELEASE: of the lease at `ciaddr`, if it is the client's.
    fn released4(&mut self, at: Timestamp, query: Arc<Observed4>) {
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
    fn declined4(&mut self, at: Timestamp, query: Arc<Observed4>) {
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
    fn commit_nothing(&mut self, at: Timestamp, event: Event, exchange: Exchange4) {
        self.emit(at, event, Occurrence::Committed4 { exchange, leases: vec![], deleted: vec![] });
    }

    /// The record of this address, if it belongs to who sent the message. A declined one belongs to nobody.
    fn owned_by_sender(&self, address: Ipv4Addr, query: &Observed4) -> Option<&Lease4> {
        let client_id = query.message.client_id();
        self.leases4.get(address).filter(|lease| {
            lease.state != LeaseState::Declined
                && lease.belongs_to(&query.message.chaddr, client_id.as_deref())
        })
    }

    /// Whether Kea answered out of its lease cache: nothing changed, the lease is young enough, and the answer shows what
    /// is left of it.
    fn reuses4(&self, at: Timestamp, stored: &Lease4, granted: &Lease4) -> bool {
        let age = u32::try_from(at.whole_second().since(stored.cltt).as_secs()).unwrap_or(u32::MAX);
        let unchanged = stored.state == LeaseState::Default
            && stored.hostname == granted.hostname
            && stored.client_id == granted.client_id
            && stored.hwaddr == granted.hwaddr
            && stored.subnet_id == granted.subnet_id;
        unchanged
            && shows_remainder(stored.valid_lifetime, granted.valid_lifetime, age)
            && self.config.dhcp4.reuses_lease(stored.address, stored.valid_lifetime, age)
    }
}

/// Whether an answer's lifetime is what is left of the stored one after `age` seconds. One second of doubt is allowed: the
/// server read its clock a moment before the answer left.
pub(super) fn shows_remainder(stored: Lifetime, granted: Lifetime, age: u32) -> bool {
    match (stored, granted) {
        (Lifetime::Infinite, Lifetime::Infinite) => true,
        (Lifetime::Seconds(stored), Lifetime::Seconds(granted)) => {
            stored >= granted && (stored - granted).abs_diff(age) <= 1
        }
        (Lifetime::Infinite, Lifetime::Seconds(_)) | (Lifetime::Seconds(_), Lifetime::Infinite) => false,
    }
}

/// An answer that gives an address, seen as Kea sees the question behind it.
struct View4 {
    address: Ipv4Addr,
    hwaddr: HardwareAddress,
    /// What the client sent; the lease has it only where the server heeds it.
    client_id: Option<ClientId>,
    match_client_id: bool,
    hostname: Octets,
    mask: Option<Ipv4Addr>,
    cltt: Timestamp,
    valid_lifetime: Lifetime,
    subnet: Option<SubnetName>,
    kind: Option<RequestKind>,
    place: Arc<Place>,
    relay: Option<Arc<Relay4>>,
}

impl View4 {
    /// `None` when there is no answer.
    fn new(tracker: &Tracker, at: Timestamp, exchange: &Exchange4, place: Arc<Place>) -> Option<Self> {
        let answer = &exchange.answer.as_deref()?.message;
        let query = exchange.query.as_deref();
        let asker = query.map_or(answer, |query| &query.message);
        let config = &tracker.config.dhcp4;
        let subnet = config.subnet_of(answer.yiaddr);
        Some(Self {
            address: answer.yiaddr,
            hwaddr: asker.chaddr,
            client_id: asker.client_id().map(|octets| ClientId::new(&octets)),
            match_client_id: subnet.map_or(config.match_client_id, |subnet| subnet.match_client_id),
            hostname: answer.hostname().unwrap_or_default(),
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
    fn lease(&self) -> Lease4 {
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
    fn own_record<'a>(&self, tracker: &'a Tracker) -> Option<&'a Lease4> {
        tracker.leases4.get(self.address).filter(|lease| self.is_owner(lease))
    }

    /// The client's record of another address on the same network: found by client identifier or, failing that, by
    /// hardware address.
    fn other_record(&self, tracker: &Tracker) -> Option<Ipv4Addr> {
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

    fn renewal(&self) -> Event {
        match self.kind {
            Some(RequestKind::Rebinding) => Event::Rebind,
            _ => Event::Renew,
        }
    }

    /// The host name in `lease4_renew`. A name that the server makes up from the address is made after that hook point.
    fn renewed_hostname(&self, exchange: &Exchange4) -> Octets {
        let first_label = self.hostname.split(|&octet| octet == b'.').next().unwrap_or_default();
        if first_label.is_empty() {
            return self.hostname.clone();
        }
        let [a, b, c, d] = self.address.octets();
        let is_made_up = first_label.ends_with(format!("{a}-{b}-{c}-{d}").as_bytes())
            && exchange.query.as_deref().and_then(|query| query.message.hostname()).as_ref()
                != Some(&self.hostname);
        if is_made_up { Octets::default() } else { self.hostname.clone() }
    }
}

fn is_broadcast(query: &Observed4) -> bool {
    matches!(query.destination.ip(), IpAddr::V4(address) if address.is_broadcast())
}
