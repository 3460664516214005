//! DHCPv6: what Kea's server does with each message, as far as the wire tells.

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::config::{HostnameFrom, IdentifierKind, Subnet6};
use crate::dhcpv6::{IaKind, IaLease, IdentityAssociation, Message, MessageType};
use crate::identity::{Duid, HardwareAddress};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};

use super::hardware::hardware_address;
use super::legs::Leg;
use super::made_up::is_made_up;
use super::records::Record;
use super::table::Owner;
use super::v4::shows_remainder;
use super::{
    Answers, Event, Exchange6, IaReference, Lease6, LeaseState, Observed6, Occurrence, Place, Tracker, Way,
};

/// The status code that a server gives for an identity association it does not know (RFC 8415 section 21.13).
const NO_BINDING: u16 = 3;

/// The UDP port from which clients ask (RFC 8415 section 7.2).
const CLIENT: u16 = 546;

/// How many leases of one message count, those that it gives and those that it takes away each. No server gives so many to
/// one client; with thousands of them the environment of their one hook would be larger than the kernel takes
/// (`execve(2)`: a quarter of the stack's limit, two million octets as a rule).
const MOST_LEASES: usize = 128;

/// What an answer has in common with its question.
pub(super) type Key = (u32, Duid);

pub(super) fn key(observed: &Observed6) -> Option<Key> {
    Some((observed.message.transaction_id, Duid::new(observed.message.client_duid()?)))
}

impl Tracker {
    pub(super) fn message6(&mut self, at: Timestamp, observed: Arc<Observed6>) {
        self.counters.messages6 += 1;
        let message = &observed.message;
        self.counters.malformed += u64::from(!message.malformed.is_empty());
        match message.message_type {
            question if question.is_query() => {
                if !self.answers.query_counts(observed.direction) {
                    self.counters.foreign_queries += 1;
                } else if let Some(key) = key(&observed) {
                    let by_client = observed.source.port() == CLIENT && !observed.message.relays.is_empty();
                    self.counters.relayed_by_clients += u64::from(by_client);
                    let bytes = observed.message.footprint();
                    self.exchanges6.ask(at, key, Arc::clone(&observed), bytes);
                    self.heard(at, || Occurrence::Heard6 {
                        exchange: Exchange6 { query: Some(observed), answer: None },
                    });
                } else {
                    // Only an Information-request may be anonymous (RFC 8415 section 18.2.6), and it makes no lease.
                    self.counters.other_messages += 1;
                }
            }
            MessageType::REPLY | MessageType::ADDR_REG_REPLY => {
                if !self.answers.answer_counts(observed.direction) {
                    self.counters.foreign_answers += 1;
                } else if !self.is_copy6(at, &observed) {
                    self.reply6(at, observed);
                }
            }
            MessageType::ADVERTISE => {
                if !self.answers.answer_counts(observed.direction) {
                    self.counters.foreign_answers += 1;
                } else if self.tells_heard {
                    let query = key(&observed).and_then(|key| self.exchanges6.find(at, key).cloned());
                    let exchange = Exchange6 { query, answer: Some(observed) };
                    self.heard(at, || Occurrence::Heard6 { exchange });
                }
            }
            _ => self.counters.other_messages += 1,
        }
    }

    /// Whether a mirror port showed the same a moment ago on the other side of a relay, which leaves the message in its
    /// envelope alone.
    fn is_copy6(&mut self, at: Timestamp, observed: &Observed6) -> bool {
        if self.answers != Answers::Both {
            return false;
        }
        let message = &observed.message;
        let options: Vec<(u16, &[u8])> = message.options().collect();
        let said = (6, message.message_type, message.transaction_id, options);
        let copy = self.legs.is_copy(at, said, Leg::of6(observed));
        self.counters.relayed_copies += u64::from(copy);
        copy
    }

    fn reply6(&mut self, at: Timestamp, answer: Arc<Observed6>) {
        let Some(key) = key(&answer) else {
            self.counters.other_messages += 1;
            return;
        };
        let query = self.exchanges6.find(at, key).cloned();
        let question = query.as_deref().map(|query| query.message.message_type);
        let exchange = Exchange6 { query, answer: Some(answer.clone()) };
        match question {
            Some(MessageType::REQUEST | MessageType::RENEW | MessageType::REBIND) => {
                self.granted6(at, exchange)
            }
            Some(MessageType::SOLICIT) if answer.message.has_rapid_commit() => self.granted6(at, exchange),
            Some(MessageType::RELEASE) => self.released6(at, exchange),
            Some(MessageType::DECLINE) => self.declined6(at, exchange),
            Some(MessageType::ADDR_REG_INFORM) if self.config.version.registers_addresses() => {
                self.registered6(at, exchange);
            }
            Some(_) => self.heard(at, || Occurrence::Heard6 { exchange }),
            None => {
                // Any question can be behind it. Addresses with a lifetime tell that it gave a lease.
                if answer.message.identity_associations().any(|ia| given(&ia).next().is_some()) {
                    self.counters.inferred_answers += 1;
                    self.granted6(at, exchange);
                } else {
                    self.counters.unmatched_answers += 1;
                }
            }
        }
    }

    /// A Reply to Request, Renew, Rebind or, by rapid commit, Solicit.
    fn granted6(&mut self, at: Timestamp, exchange: Exchange6) {
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

    fn view6(&mut self, at: Timestamp, exchange: &Exchange6) -> Option<View6> {
        let place = self.places.of(exchange.either()?);
        View6::new(self, at, exchange, place)
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

    /// A Reply to Release: the first address of each identity association, where the server knew it.
    fn released6(&mut self, at: Timestamp, exchange: Exchange6) {
        let mut deleted = Vec::new();
        for (ia, lease) in self.accepted(&exchange, |ia| ia.leases().take(1).collect()) {
            let Some(lease) = self.owned6(&exchange, ia, lease.address).cloned() else { continue };
            if deleted.len() == MOST_LEASES {
                self.counters.leases_left_out += 1;
                continue;
            }
            let kept = self
                .released_state()
                .and_then(|state| self.leases6.keep_released(&mut self.deadlines, at, &lease, state));
            deleted.push(kept.unwrap_or_else(|| {
                self.leases6.remove(lease.key());
                lease.clone()
            }));
            let released = Occurrence::Release6 { exchange: exchange.clone(), lease: Box::new(lease) };
            self.emit(at, Event::Release, released);
        }
        let event = if deleted.is_empty() { Event::Commit } else { Event::Release };
        self.emit(at, event, Occurrence::Committed6 { exchange, leases: vec![], deleted });
    }

    /// A Reply to Decline: every address of each IA_NA, where the server knew it. Prefixes cannot be declined.
    fn declined6(&mut self, at: Timestamp, exchange: Exchange6) {
        let mut leases = Vec::new();
        let addresses = self.accepted(&exchange, |ia| match ia.kind {
            IaKind::NonTemporary => ia.leases().collect(),
            IaKind::Temporary | IaKind::PrefixDelegation => vec![],
        });
        for (ia, lease) in addresses {
            let running = |lease: &&Lease6| lease.state == LeaseState::Default && !lease.is_overdue(at);
            let version = self.config.version;
            let found = self
                .owned6(&exchange, ia, lease.address)
                .filter(|lease| !version.declines_only_running_leases() || running(lease));
            let Some(lease) = found.cloned() else { continue };
            if leases.len() == MOST_LEASES {
                self.counters.leases_left_out += 1;
                continue;
            }
            let declined = Lease6 {
                duid: Duid::new(version.declined_duid()),
                hwaddr: None,
                hostname: Octets::default(),
                cltt: at.whole_second(),
                preferred_lifetime: Lifetime::Seconds(0),
                valid_lifetime: Lifetime::from_wire(self.config.dhcp6.decline_probation_period),
                state: LeaseState::Declined,
                ..lease.clone()
            };
            self.leases6.store(&mut self.deadlines, declined.clone());
            let occurrence = Occurrence::Decline6 { exchange: exchange.clone(), lease: Box::new(lease) };
            self.emit(at, Event::Decline, occurrence);
            leases.push(declined);
        }
        let event = if leases.is_empty() { Event::Commit } else { Event::Decline };
        self.emit(at, event, Occurrence::Committed6 { exchange, leases, deleted: vec![] });
    }

    /// An ADDR-REG-REPLY: the server has taken note of an address that the client made up (RFC 9686).
    fn registered6(&mut self, at: Timestamp, exchange: Exchange6) {
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

    /// What the client named in its question, by identity association in Kea's order, except what the Reply calls unknown:
    /// the status of an association that names one thing is about that; of several, any one may be the unknown one.
    fn accepted(
        &self,
        exchange: &Exchange6,
        named: impl Fn(&IdentityAssociation<'_>) -> Vec<IaLease>,
    ) -> Vec<(IaReference, IaLease)> {
        let (Some(query), Some(answer)) = (&exchange.query, &exchange.answer) else { return vec![] };
        // Looked up rather than searched for: a client can name thousands of associations, and the server answers each.
        let unknown: HashSet<(IaKind, u32)> = answer
            .message
            .identity_associations()
            .filter(|ia| ia.status() == NO_BINDING)
            .map(|ia| (ia.kind, ia.iaid))
            .collect();
        let associations = query.message.identity_associations();
        associations
            .flat_map(|ia| {
                let reference = IaReference { kind: ia.kind, iaid: ia.iaid };
                let mut leases = named(&ia);
                if leases.len() == 1 && unknown.contains(&(ia.kind, ia.iaid)) {
                    leases.clear();
                }
                leases.into_iter().map(move |lease| (reference, lease))
            })
            .collect()
    }

    /// The record of this address, if it is held by this identity association of who asked.
    fn owned6(&self, exchange: &Exchange6, ia: IaReference, address: Ipv6Addr) -> Option<&Lease6> {
        let duid = exchange.query.as_deref()?.message.client_duid()?;
        let lease = self.leases6.get((ia.kind == IaKind::PrefixDelegation, address))?;
        lease.belongs_to(ia.kind, duid, ia.iaid).then_some(lease)
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

/// What an identity association of a Reply gives: the addresses and prefixes with a lifetime.
fn given<'a>(ia: &IdentityAssociation<'a>) -> impl Iterator<Item = IaLease> + use<'a> {
    ia.leases().filter(|lease| lease.valid_lifetime != Lifetime::Seconds(0))
}

/// A Reply that gives leases, seen as Kea sees the question behind it.
struct View6 {
    duid: Duid,
    hwaddr: Option<HardwareAddress>,
    hostname: Octets,
    /// The address from which the server made up the name. Only the lease of that address has it.
    made_up_from: Option<Ipv6Addr>,
    /// The client has asked without option 39, so the Reply names nobody; the server's reservations may.
    is_nameless: bool,
    relay_information: Option<Box<[u8]>>,
    cltt: Timestamp,
    place: Arc<Place>,
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
    fn new(tracker: &Tracker, at: Timestamp, exchange: &Exchange6, place: Arc<Place>) -> Option<Self> {
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

    fn lease(&self, tracker: &Tracker, ia: &IdentityAssociation<'_>, granted: IaLease) -> Lease6 {
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
