//! DHCPv4: what Kea's server does with each message, as far as the wire tells.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::config::HostnameFrom;
use crate::dhcpv4::{MessageType, Op, RequestKind, code};
use crate::identity::{ClientId, HardwareAddress};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};

use super::legs::Leg;
use super::made_up::is_made_up;
use super::records::Record;
use super::table::Owner;
use super::{
    Answers, Event, Exchange4, Lease4, LeaseState, Observed4, Occurrence, Place, Relay4, SubnetName, Tracker,
};

/// The kind of a BOOTP question, which has no message type.
const BOOTP: MessageType = MessageType(0);

/// What an answer has in common with its question: the transaction, the client, what kind of question it answers, and the
/// relay (RFC 2131 table 3). A relay can overhear what is routed past it and send it on as well: the same question twice,
/// and an answer to each.
pub(super) type Key = (u32, HardwareAddress, MessageType, Ipv4Addr);

pub(super) fn key(observed: &Observed4, question: MessageType) -> Key {
    (observed.message.xid, observed.message.chaddr, question, observed.message.giaddr)
}

impl Tracker {
    pub(super) fn message4(&mut self, at: Timestamp, observed: Arc<Observed4>) {
        self.counters.messages4 += 1;
        let message = &observed.message;
        self.counters.malformed += u64::from(!message.malformed.is_empty());
        match (message.op, message.message_type) {
            (
                Op::Request,
                None
                | Some(
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
            (Op::Reply, None | Some(MessageType::OFFER | MessageType::ACK | MessageType::NAK)) => {
                if !self.answers.answer_counts(observed.direction) {
                    self.counters.foreign_answers += 1;
                } else if !self.is_copy4(at, &observed) {
                    self.answer4(at, observed);
                }
            }
            _ => self.counters.other_messages += 1,
        }
    }

    /// Whether a mirror port showed the same a moment ago on the other side of a relay. A relay changes `hops`, `giaddr`
    /// and option 82, and whom the message is sent to; what makes a lease stays.
    fn is_copy4(&mut self, at: Timestamp, observed: &Observed4) -> bool {
        let message = &observed.message;
        let addresses = (message.ciaddr, message.yiaddr, message.requested_address(), message.server_id());
        let said = (
            message.message_type,
            message.xid,
            message.chaddr,
            message.client_id(),
            addresses,
            message.lease_time(),
        );
        let copy = self.answers == Answers::Both && self.legs.is_copy(at, (4, said), Leg::of4(observed));
        self.counters.relayed_copies += u64::from(copy);
        copy
    }

    /// A question. Most wait for their answer; RELEASE and DECLINE have none, and neither do those that Kea rejects.
    fn query4(&mut self, at: Timestamp, observed: Arc<Observed4>) {
        let message_type = observed.message.message_type.unwrap_or(BOOTP);
        self.counters.relayed_by_clients += u64::from(is_relayed_by_client(&observed));
        if !observed.message.is_readable() {
            self.counters.other_messages += 1;
            return;
        }
        let unanswered = matches!(message_type, MessageType::RELEASE | MessageType::DECLINE);
        if unanswered && !self.is_for_our_server(&observed) {
            self.counters.foreign_queries += 1;
        } else if (unanswered || self.fails_sanity_check(&observed)) && self.is_copy4(at, &observed) {
            // What it caused was told when it was on its way to the relay.
        } else if self.fails_sanity_check(&observed) {
            self.rejected4(at, observed);
        } else if unanswered {
            if let Some(observed) = self.held4.hold(at, observed) {
                self.given_up4(at, observed);
            }
        } else {
            if matches!(message_type, MessageType::DISCOVER | MessageType::REQUEST) {
                self.held4.asked(at, &observed.message.chaddr, observed.message.xid);
            }
            let (key, bytes) = (key(&observed, message_type), observed.message.options.footprint());
            self.exchanges4.ask(at, key, Arc::clone(&observed), bytes);
            self.heard(at, || Occurrence::Heard4 {
                exchange: Exchange4 { query: Some(observed), answer: None },
            });
        }
    }

    /// A RELEASE or DECLINE whose turn has come.
    fn given_up4(&mut self, at: Timestamp, observed: Arc<Observed4>) {
        if observed.message.message_type == Some(MessageType::RELEASE) {
            self.released4(at, observed);
        } else {
            self.declined4(at, observed);
        }
    }

    /// The answer for which the first held message waits will not come.
    pub(super) fn let_go4(&mut self, at: Timestamp) {
        if let Some(observed) = self.held4.pop() {
            self.given_up4(at, observed);
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
        if matches!(message.message_type, None | Some(MessageType::INFORM))
            || !self.is_for_our_server(observed)
        {
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
            && self.servers4.hear(&server)
            && let Some(new) = &mut self.new_servers4
        {
            new.push(server);
        }
        let (client, xid) = (answer.message.chaddr, answer.message.xid);
        let question = match answer.message.message_type {
            Some(MessageType::OFFER) => MessageType::DISCOVER,
            _ => MessageType::REQUEST,
        };
        let asked = || self.exchanges4.asked_at(at, key(&answer, question));
        let free = self.held4.answered(at, &client, xid, asked);
        free.before.into_iter().for_each(|observed| self.given_up4(at, observed));
        self.matched4(at, answer);
        free.after.into_iter().for_each(|observed| self.given_up4(at, observed));
    }

    /// An answer, in its place among the client's messages.
    fn matched4(&mut self, at: Timestamp, answer: Arc<Observed4>) {
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
                    // Beside one server its answer is the truth; of several, a client takes that of the one it has named.
                    if self.answers == Answers::Both && !is_chosen(&query, &answer) {
                        self.counters.unchosen_answers += 1;
                        return;
                    }
                    self.granted4(at, Exchange4 { query: Some(query), answer: Some(answer) });
                } else if let Some(query) = find(MessageType::INFORM) {
                    // The client keeps an address that it has from elsewhere; there is no lease.
                    let exchange = Exchange4 { query: Some(query), answer: Some(answer) };
                    self.heard(at, || Occurrence::Heard4 { exchange });
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
            None => match find(BOOTP) {
                // BOOTP knows no lease time: the address is the client's for good.
                Some(query) if !answer.message.yiaddr.is_unspecified() => {
                    self.granted4(at, Exchange4 { query: Some(query), answer: Some(answer) });
                }
                _ => self.counters.unmatched_answers += 1,
            },
            Some(_) => {}
        }
    }

    fn view4(&mut self, at: Timestamp, exchange: &Exchange4) -> Option<View4> {
        let place = self.places.of(exchange.either()?);
        View4::new(self, at, exchange, place)
    }

    /// An OFFER of an address for which the client has a record: Kea goes through the motions of renewing it.
    fn offered4(&mut self, at: Timestamp, exchange: Exchange4) {
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
    /// Whether the server made up the name.
    is_made_up: bool,
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
    fn renewed_hostname(&self) -> Octets {
        if self.is_made_up { Octets::default() } else { self.hostname.clone() }
    }
}

/// Whether the question names the server that answers, or none.
fn is_chosen(query: &Observed4, answer: &Observed4) -> bool {
    match (query.message.server_id(), answer.message.server_id()) {
        (Some(chosen), Some(server)) => chosen == server,
        _ => true,
    }
}

/// Whether a question comes from a client's port and says what a relay says.
fn is_relayed_by_client(query: &Observed4) -> bool {
    const CLIENT: u16 = 68;
    let message = &query.message;
    query.source.port() == CLIENT
        && (message.is_relayed() || message.options.contains(code::RELAY_AGENT_INFORMATION))
}

fn is_broadcast(query: &Observed4) -> bool {
    matches!(query.destination.ip(), IpAddr::V4(address) if address.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::super::{Answers, Limits, Observed};
    use super::*;
    use crate::config::ServerConfig;
    use crate::dhcpv4;
    use crate::dissect::VlanTags;
    use crate::frame::{Direction, Interface};

    const RELAY: [u8; 4] = [198, 51, 100, 1];

    fn message(kind: u8, giaddr: [u8; 4], to: &str) -> Observed {
        let mut payload = vec![0; 236];
        payload[0] = if kind == 5 { 2 } else { 1 };
        payload[1..3].copy_from_slice(&[1, 6]);
        payload[7] = 9;
        payload[12..16].copy_from_slice(&[198, 51, 100, 100]);
        if kind == 5 {
            payload[16..20].copy_from_slice(&[198, 51, 100, 100]);
        }
        payload[24..28].copy_from_slice(&giaddr);
        payload[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
        payload.extend([99, 130, 83, 99, 53, 1, kind, 51, 4, 0, 0, 0, 60, 255]);
        let source = "192.0.2.1:67".parse().unwrap();
        Observed::V4(Arc::new(Observed4 {
            interface: Arc::new(Interface { index: Some(2), name: "s0".to_owned() }),
            direction: if kind == 5 { Direction::Out } else { Direction::In },
            vlans: VlanTags::default(),
            source_mac: None,
            destination_mac: None,
            source,
            destination: to.parse().unwrap(),
            message: dhcpv4::parse(&payload),
        }))
    }

    #[test]
    fn a_renewal_that_a_relay_overhears_is_two_questions() {
        let mut tracker = Tracker::new(Arc::new(ServerConfig::default()), Answers::Out, Limits::default());
        let at = Timestamp::from_seconds(1);
        // As ISC dhcrelay does it: routed, overheard and sent on, then both are answered.
        for (kind, giaddr, to) in [
            (3, [0; 4], "192.0.2.1:67"),
            (3, RELAY, "192.0.2.1:67"),
            (5, [0; 4], "198.51.100.100:68"),
            (5, RELAY, "198.51.100.1:67"),
        ] {
            tracker.handle_message(at, message(kind, giaddr, to));
        }
        let mut relays = Vec::new();
        while let Some(event) = tracker.poll_event() {
            if let Occurrence::Committed4 { exchange, .. } = event.occurrence {
                relays.push(exchange.query.unwrap().message.giaddr);
            }
        }
        assert_eq!(relays, [Ipv4Addr::UNSPECIFIED, RELAY.into()]);
        assert_eq!(tracker.counters().inferred_answers, 0);
    }
}
