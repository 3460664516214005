//! The DHCPv4 clients: what each asks, has, and loses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use slab::Slab;

use crate::dhcpv4::{MessageType, RequestKind, code};
use crate::dialect::Memory;
use crate::identity::{ClientId, HardwareAddress, Identifier};
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Event, Exchange4, LeaseEvent, Observed4, Occurrence, Place, Subject};

use super::agenda::Agenda;
use super::memory;
use super::telling::Telling;
use super::values::Values;
use super::{Counters, Limits, Outlet, Settings, values4};

/// How long the lease that a client had is remembered when it is over.
pub(super) const ENDED_KEPT: Duration = Duration::from_secs(86_400);
/// After so much silence a client that searches begins anew.
pub(super) const SEARCH_KEPT: Duration = Duration::from_secs(600);
/// What a client still says within this time after it should have given up belongs to the search that is over: dhclient
/// looks at its watch only when it is about to ask again, every 15 s at the latest.
const REST: Duration = Duration::from_secs(20);
/// Within this time a second answer to the same question is the first one again.
const ANSWERED_AGAIN: Duration = Duration::from_secs(60);

/// Who a client is: its identifier, or else its hardware address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Identifier(ClientId),
    Hardware(HardwareAddress),
}

/// The clients.
#[derive(Debug)]
pub(super) struct Clients {
    settings: Settings,
    limits: Limits,
    clients: Slab<Client>,
    by_key: HashMap<Key, usize>,
    /// The client that last spoke from a hardware address, for messages without an identifier.
    by_hardware: HashMap<HardwareAddress, usize>,
    by_address: HashMap<Ipv4Addr, usize>,
    agenda: Agenda,
    /// The clients that search, by when they asked last.
    searches: Agenda,
    leases: usize,
    counters: Counters,
}

#[derive(Debug)]
struct Client {
    key: Key,
    hwaddr: HardwareAddress,
    place: Place,
    /// The options that it asks for.
    requested: Vec<u16>,
    /// Whether the script was told of the lease.
    told: bool,
    lease: Option<Lease>,
    ended: Option<Ended>,
    search: Option<Search>,
    /// The transaction of its latest question: the answers to earlier ones it does not take.
    xid: Option<u32>,
    due: Option<Timestamp>,
    searched: Option<Timestamp>,
}

#[derive(Debug)]
struct Lease {
    address: Ipv4Addr,
    values: Values,
    end: Option<Timestamp>,
    /// The question behind the last answer, and when that came.
    answered: Option<(u32, Option<RequestKind>, Timestamp)>,
}

#[derive(Debug)]
struct Ended {
    values: Values,
    until: Timestamp,
}

/// A client without an answer.
#[derive(Debug)]
struct Search {
    /// Whether the script was told of it.
    told: bool,
    /// When it gives up; `None` once a server has answered, or it has given up.
    gives_up: Option<Timestamp>,
    /// When it has given up.
    gave_up: Option<Timestamp>,
    /// Whether it has come as far as DISCOVER, with which its patience begins anew.
    discovers: bool,
    /// When it asked last.
    last: Timestamp,
}

impl Client {
    fn client_id(&self) -> Option<&Identifier> {
        match &self.key {
            Key::Identifier(identifier) => Some(identifier),
            Key::Hardware(_) => None,
        }
    }

    /// When something is to be done.
    fn next(&self) -> Option<Timestamp> {
        let lease = self.lease.as_ref().and_then(|lease| lease.end);
        let search = self.search.as_ref();
        let gives_up = search.and_then(|search| search.gives_up);
        let is_silent = search.map(|search| search.last + SEARCH_KEPT);
        [lease, gives_up, is_silent, self.ended.as_ref().map(|ended| ended.until)].into_iter().flatten().min()
    }

    fn has_lease(&self) -> bool {
        self.lease.is_some() || self.ended.is_some()
    }

    /// What a lease said to the script when it was last told, whether or not it is over.
    fn before(&self) -> Option<&Values> {
        self.lease.as_ref().map(|lease| &lease.values).or(self.ended.as_ref().map(|ended| &ended.values))
    }
}

/// A call in the words of this family.
struct Say<'a> {
    reason: &'static str,
    at: Timestamp,
    event: Event,
    cause: Option<&'a LeaseEvent>,
    changes: bool,
    values: &'a [(&'static str, &'a Values)],
    requests: bool,
}

impl Clients {
    pub(super) fn new(settings: Settings, limits: Limits) -> Self {
        Self {
            settings,
            limits,
            clients: Slab::new(),
            by_key: HashMap::new(),
            by_hardware: HashMap::new(),
            by_address: HashMap::new(),
            agenda: Agenda::default(),
            searches: Agenda::default(),
            leases: 0,
            counters: Counters::default(),
        }
    }

    /// For searches that begin from here on.
    pub(super) fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    pub(super) fn counters(&self) -> Counters {
        let (leases, searches) = (self.leases as u64, self.searches.len() as u64);
        Counters { leases, searches, ..self.counters }
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.agenda.next()
    }

    pub(super) fn handle_event(&mut self, event: &LeaseEvent, wanted: bool, outlet: &mut Outlet) {
        match &event.occurrence {
            Occurrence::Heard4 { exchange } => match (&exchange.query, &exchange.answer) {
                (Some(query), None) => self.asked(event, query, wanted, outlet),
                (_, Some(answer)) if answer.message.message_type == Some(MessageType::OFFER) => {
                    self.offered(exchange);
                }
                _ => {}
            },
            Occurrence::Renew4 { exchange, .. } if exchange.answer.as_ref().is_some_and(is_offer) => {
                self.offered(exchange);
            }
            Occurrence::Committed4 { exchange, .. } => match (&exchange.query, &exchange.answer) {
                (_, Some(answer)) if answer.message.message_type == Some(MessageType::NAK) => {
                    self.refused(event, exchange, outlet);
                }
                (_, Some(answer)) if !answer.message.yiaddr.is_unspecified() => {
                    self.bound(event, exchange, wanted, outlet);
                }
                (Some(query), None) => self.given_up(event, query, outlet),
                _ => {}
            },
            Occurrence::Release4 { exchange, .. } | Occurrence::Decline4 { exchange, .. } => {
                if let Some(query) = &exchange.query {
                    self.given_up(event, query, outlet);
                }
            }
            _ => {}
        }
    }

    /// A question is put. DISCOVER and INIT-REBOOT are what a client begins with.
    fn asked(&mut self, event: &LeaseEvent, query: &Observed4, wanted: bool, outlet: &mut Outlet) {
        let known = self.find(query);
        if let Some(client) = known.and_then(|slot| self.clients.get_mut(slot))
            && matches!(query.message.message_type, Some(MessageType::DISCOVER | MessageType::REQUEST))
        {
            client.xid = Some(query.message.xid);
        }
        let begins = match query.message.message_type {
            Some(MessageType::DISCOVER) => true,
            Some(MessageType::REQUEST) => request_kind(query) == RequestKind::InitReboot,
            _ => false,
        };
        if !begins || (known.is_none() && !wanted) {
            return;
        }
        let slot = known.unwrap_or_else(|| self.insert(query));
        let Some(client) = self.clients.get_mut(slot) else { return };
        client.heard_of(query);
        client.xid = Some(query.message.xid);
        let gives_up = Some(event.at + self.settings.timeout);
        let discovers = query.message.message_type == Some(MessageType::DISCOVER);
        let begins = client.search.is_none();
        match &mut client.search {
            Some(search) => {
                search.last = event.at;
                let is_next = discovers && !std::mem::replace(&mut search.discovers, discovers);
                let rests = search.gave_up.is_some_and(|gave_up| event.at < gave_up + REST);
                if is_next || search.gives_up.is_none() && !rests {
                    search.gives_up = gives_up;
                }
            }
            None => {
                if let Some(lease) = &mut client.lease {
                    // Another process than the one that had the lease: it knows it from its file.
                    lease.values.remove("next_server");
                }
                let (told, last) = (wanted, event.at);
                client.search = Some(Search { told, gives_up, gave_up: None, discovers, last });
            }
        }
        if begins && wanted {
            let say = Say {
                reason: "PREINIT",
                at: event.at,
                event: Event::Heard,
                cause: Some(event),
                changes: true,
                values: &[],
                requests: false,
            };
            client.say(say, outlet);
        }
        self.note(slot);
        self.make_room();
    }

    /// A server has made an offer: there is one.
    fn offered(&mut self, exchange: &Exchange4) {
        let slot = exchange.either().and_then(|observed| self.find(observed));
        if let Some(search) =
            slot.and_then(|slot| self.clients.get_mut(slot)).and_then(|client| client.search.as_mut())
        {
            search.gives_up = None;
        }
        if let Some(slot) = slot {
            self.note(slot);
        }
    }

    /// An ACK.
    fn bound(&mut self, event: &LeaseEvent, exchange: &Exchange4, wanted: bool, outlet: &mut Outlet) {
        let (Some(answer), Some(asker)) = (&exchange.answer, exchange.either()) else { return };
        let known = self.find(asker);
        let (at, address) = (event.at, answer.message.yiaddr);
        self.taken_over(event, address, known, outlet);
        if known.is_none() && !wanted {
            return;
        }
        let slot = known.unwrap_or_else(|| self.insert(asker));
        let over_limit = self.leases >= self.limits.leases;
        let Some(client) = self.clients.get_mut(slot) else { return };
        if exchange.query.is_some() && client.xid.is_some_and(|xid| xid != answer.message.xid) {
            // A client insists on the transaction of its latest question.
            return;
        }
        let kind = exchange.query.as_deref().and_then(|query| {
            (query.message.message_type == Some(MessageType::REQUEST)).then(|| request_kind(query))
        });
        let is_known_address = client.lease.as_ref().is_some_and(|lease| lease.address == address);
        let is_again =
            client.lease.as_ref().and_then(|lease| lease.answered).is_some_and(|(xid, of, when)| {
                let patience = ANSWERED_AGAIN.min(renewal_time(answer) / 2);
                (xid, of) == (answer.message.xid, kind) && at.since(when) < patience
            });
        if is_again && is_known_address {
            return;
        }
        client.heard_of(asker);
        client.search = None;
        let values = values4::values(at, &answer.message, &mut outlet.suspects);
        let (reason, means) = match kind {
            Some(RequestKind::Renewing) => ("RENEW", Event::Renew),
            Some(RequestKind::Rebinding) => ("REBIND", Event::Rebind),
            Some(RequestKind::InitReboot) => ("REBOOT", Event::Renew),
            // The question was missed.
            None if exchange.query.is_none() && is_known_address => ("RENEW", Event::Renew),
            Some(RequestKind::Selecting) | None => ("BOUND", Event::Commit),
        };
        let before = client.before().filter(|_| reason != "REBOOT").cloned();
        let is_renewal = matches!(reason, "RENEW" | "REBIND");
        let same = |before: &Values| values.is_same_but(before, &values4::RENEWED);
        let changes = !is_renewal || !before.as_ref().is_some_and(same);
        if wanted {
            let with_old = before.as_ref().map(|before| ("old_", before));
            let told: Vec<_> = [("new_", &values)].into_iter().chain(with_old).collect();
            let (cause, requests) = (Some(event), true);
            client.say(Say { reason, at, event: means, cause, changes, values: &told, requests }, outlet);
        }
        let had_lease = client.has_lease();
        client.ended = None;
        if over_limit && !had_lease {
            self.counters.leases_over_limit += 1;
        } else {
            client.told |= wanted;
            let lifetime = answer.message.lease_time().map_or(Lifetime::Infinite, Lifetime::from_wire);
            let left = client.lease.replace(Lease {
                address,
                values,
                end: lifetime.end(at.whole_second()),
                answered: Some((answer.message.xid, kind, at)),
            });
            self.leases += usize::from(!had_lease);
            if let Some(left) = left {
                self.by_address.remove(&left.address);
            }
            self.by_address.insert(address, slot);
        }
        self.remember(slot, outlet);
        self.note(slot);
    }

    /// The server has given another client's address away: that client no longer has it.
    fn taken_over(&mut self, event: &LeaseEvent, address: Ipv4Addr, by: Option<usize>, outlet: &mut Outlet) {
        if let Some(slot) = self.by_address.get(&address).copied().filter(|slot| Some(*slot) != by) {
            self.end(slot, event.at, "EXPIRE", Event::Expire, None, outlet);
        }
    }

    /// A NAK: what the client claims it does not have.
    fn refused(&mut self, event: &LeaseEvent, exchange: &Exchange4, outlet: &mut Outlet) {
        let Some(slot) = exchange.either().and_then(|observed| self.find(observed)) else { return };
        let Some(client) = self.clients.get_mut(slot) else { return };
        let xid = exchange.answer.as_deref().map(|answer| answer.message.xid);
        if exchange.query.is_some() && client.xid.is_some() && client.xid != xid {
            return;
        }
        client.search = None;
        let claimed = exchange
            .query
            .as_deref()
            .map(|query| query.message.requested_address().unwrap_or(query.message.ciaddr));
        let held = client.lease.as_ref().map(|lease| lease.address);
        if held.is_some() && (claimed.is_none() || claimed == held) {
            self.end(slot, event.at, "EXPIRE", Event::Expire, Some(event), outlet);
            // A client that was refused does not remember what it had.
            if let Some(client) = self.clients.get_mut(slot)
                && client.ended.take().is_some()
            {
                self.leases -= 1;
            }
            self.remember(slot, outlet);
        }
        self.note(slot);
    }

    /// RELEASE or DECLINE.
    fn given_up(&mut self, event: &LeaseEvent, query: &Observed4, outlet: &mut Outlet) {
        let message = &query.message;
        let (address, reason, means) = match message.message_type {
            Some(MessageType::RELEASE) => (Some(message.ciaddr), "RELEASE", Event::Release),
            // dhclient declines what its script refuses. The script here has not, and hears that it is over.
            Some(MessageType::DECLINE) => (message.requested_address(), "EXPIRE", Event::Decline),
            _ => return,
        };
        let Some(slot) = self.find(query) else { return };
        let held = self.clients.get(slot).and_then(|client| client.lease.as_ref()).map(|lease| lease.address);
        if held.is_some() && held == address {
            self.end(slot, event.at, reason, means, Some(event), outlet);
        }
    }

    /// The lease of a client is over.
    fn end(
        &mut self,
        slot: usize,
        at: Timestamp,
        reason: &'static str,
        means: Event,
        cause: Option<&LeaseEvent>,
        outlet: &mut Outlet,
    ) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(Lease { address, mut values, .. }) = client.lease.take() else { return };
        if self.by_address.get(&address) == Some(&slot) {
            self.by_address.remove(&address);
        }
        if reason == "RELEASE" {
            // The dhclient that releases has the lease from its file, which knows no next server, and ends it now.
            values.remove("next_server");
            values.set("expiry", |out| {
                crate::dialect::text::number(out, at.unix_seconds());
                true
            });
        }
        if std::mem::take(&mut client.told) {
            let values = [("old_", &values)];
            client.say(
                Say { reason, at, event: means, cause, changes: true, values: &values, requests: true },
                outlet,
            );
        }
        client.ended = Some(Ended { values, until: at + ENDED_KEPT });
        self.remember(slot, outlet);
        self.note(slot);
    }

    /// Does what is due at this moment.
    pub(super) fn handle_timeout(&mut self, now: Timestamp, outlet: &mut Outlet) {
        while let Some(slot) = self.agenda.due(now) {
            let Some(client) = self.clients.get_mut(slot) else { return };
            if let Some(end) = client.lease.as_ref().and_then(|lease| lease.end).filter(|end| *end <= now) {
                self.end(slot, end, "EXPIRE", Event::Expire, None, outlet);
                continue;
            }
            if let Some(search) = &mut client.search {
                if let Some(at) = search.gives_up.take_if(|at| *at <= now) {
                    search.gave_up = Some(at);
                    let told = search.told;
                    client.gives_up(at, told, outlet);
                } else if search.last + SEARCH_KEPT <= now {
                    client.search = None;
                }
            }
            if client.ended.take_if(|ended| ended.until <= now).is_some() && client.lease.is_none() {
                self.leases -= 1;
                self.remember(slot, outlet);
            }
            self.note(slot);
        }
    }

    fn find(&self, observed: &Observed4) -> Option<usize> {
        let message = &observed.message;
        let by_hardware = || self.by_hardware.get(&message.chaddr).copied();
        let Some(client_id) = message.client_id() else { return by_hardware() };
        let by_key = self.by_key.get(&Key::Identifier(Identifier::new(&client_id))).copied();
        // Where either side has no identifier, the hardware address tells.
        by_key.or_else(|| {
            by_hardware().filter(|slot| {
                self.clients.get(*slot).is_some_and(|client| matches!(client.key, Key::Hardware(_)))
            })
        })
    }

    fn insert(&mut self, observed: &Observed4) -> usize {
        let message = &observed.message;
        let key = match message.client_id() {
            Some(client_id) => Key::Identifier(Identifier::new(&client_id)),
            None => Key::Hardware(message.chaddr),
        };
        self.insert_client(Client {
            key,
            hwaddr: message.chaddr,
            place: Place::default(),
            requested: Vec::new(),
            told: false,
            lease: None,
            ended: None,
            search: None,
            xid: None,
            due: None,
            searched: None,
        })
    }

    fn insert_client(&mut self, client: Client) -> usize {
        let (key, hwaddr) = (client.key.clone(), client.hwaddr);
        let slot = self.clients.insert(client);
        self.by_key.insert(key, slot);
        self.by_hardware.insert(hwaddr, slot);
        slot
    }

    /// Notes when something is to be done about a client; one about which nothing is known is forgotten.
    fn note(&mut self, slot: usize) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let next = client.next();
        self.agenda.put(slot, &mut client.due, next);
        let last = client.search.as_ref().map(|search| search.last);
        self.searches.put(slot, &mut client.searched, last);
        if client.search.is_none() && !client.has_lease() {
            let client = self.clients.remove(slot);
            self.by_key.remove(&client.key);
            if self.by_hardware.get(&client.hwaddr) == Some(&slot) {
                self.by_hardware.remove(&client.hwaddr);
            }
        }
    }

    /// Forgets the oldest searches over the limit.
    fn make_room(&mut self) {
        while self.searches.len() > self.limits.searches
            && let Some(slot) = self.searches.first()
            && let Some(client) = self.clients.get_mut(slot)
        {
            client.search = None;
            self.counters.searches_evicted += 1;
            self.note(slot);
        }
    }

    fn remember(&self, slot: usize, outlet: &mut Outlet) {
        let Some(client) = self.clients.get(slot) else { return };
        let mut key = vec![4];
        match &client.key {
            Key::Identifier(identifier) => {
                key.push(1);
                key.extend_from_slice(identifier.octets());
            }
            Key::Hardware(hwaddr) => {
                key.push(0);
                key.extend_from_slice(&hwaddr.htype().to_be_bytes());
                key.extend_from_slice(hwaddr.octets());
            }
        }
        let value = client.has_lease().then(|| client.memory()).and_then(|memory| memory::write(&memory));
        outlet.memories.push_back(Memory { key, value });
    }

    /// Takes a client back from memory.
    pub(super) fn recall(&mut self, value: &[u8]) {
        let Ok(memory) = serde_json::from_slice::<memory::Client4>(value) else { return };
        let hwaddr = HardwareAddress::from(memory.hwaddr);
        let key = memory::identifier(memory.client_id).map_or(Key::Hardware(hwaddr), Key::Identifier);
        if self.by_key.contains_key(&key) {
            return;
        }
        if self.leases >= self.limits.leases {
            self.counters.leases_over_limit += 1;
            return;
        }
        let time = Timestamp::from_nanos;
        let client = Client {
            key,
            hwaddr,
            place: memory.place.into(),
            requested: memory.requested,
            told: memory.told,
            lease: memory.lease.map(|lease| Lease {
                address: lease.address,
                values: lease.values,
                end: lease.end.map(time),
                answered: None,
            }),
            ended: memory.ended.map(|ended| Ended { values: ended.values, until: time(ended.until) }),
            search: None,
            xid: None,
            due: None,
            searched: None,
        };
        let address = client.lease.as_ref().map(|lease| lease.address);
        self.leases += usize::from(client.has_lease());
        let slot = self.insert_client(client);
        if let Some(address) = address {
            self.by_address.insert(address, slot);
        }
        self.note(slot);
    }
}

impl Client {
    /// Notes where a message came from and what it asks for.
    fn heard_of(&mut self, observed: &Observed4) {
        self.place = Place { interface: Some(observed.interface.clone()), vlans: observed.vlans };
        if let Some(codes) = observed.message.options.get(code::PARAMETER_REQUEST_LIST) {
            self.requested = codes.iter().map(|code| u16::from(*code)).collect();
        }
    }

    /// No server has answered for too long.
    fn gives_up(&mut self, at: Timestamp, told: bool, outlet: &mut Outlet) {
        if !told {
            return;
        }
        let say = |reason, values, requests| Say {
            reason,
            at,
            event: Event::Heard,
            cause: None,
            changes: true,
            values,
            requests,
        };
        match &self.lease {
            Some(lease) => {
                let values = lease.values.clone();
                self.say(say("TIMEOUT", &[("new_", &values)], true), outlet);
                self.told = true;
            }
            None => self.say(say("FAIL", &[], false), outlet),
        }
    }

    fn say(&self, say: Say<'_>, outlet: &mut Outlet) {
        let names = || self.requested.iter().map(|code| values4::option_name(*code)).collect();
        let address = self.lease.as_ref().map(|lease| lease.address);
        let told = say.values.iter().filter_map(|(_, values)| values.get("ip_address")?.parse().ok());
        let mut subjects = vec![Subject::Client4(Identifier::new(self.hwaddr.octets()))];
        subjects.extend(told.chain(address).map(Subject::Lease4));
        subjects.sort();
        subjects.dedup();
        let call = Telling {
            reason: say.reason,
            at: say.at,
            event: say.event,
            cause: say.cause,
            subjects,
            changes: say.changes,
            place: &self.place,
            hwaddr: Some(&self.hwaddr),
            client_id: self.client_id().map_or(&[], Identifier::octets),
            values: say.values,
            requested: if say.requests { names() } else { Vec::new() },
        };
        outlet.calls.push_back(call.call());
    }

    fn memory(&self) -> memory::Client4 {
        memory::Client4 {
            hwaddr: (&self.hwaddr).into(),
            client_id: self.client_id().map(|identifier| identifier.octets().to_vec()),
            place: (&self.place).into(),
            requested: self.requested.clone(),
            told: self.told,
            lease: self.lease.as_ref().map(|lease| memory::Lease4 {
                address: lease.address,
                values: lease.values.clone(),
                end: lease.end.map(memory::nanos),
            }),
            ended: self.ended.as_ref().map(|ended| memory::Ended {
                values: ended.values.clone(),
                until: memory::nanos(ended.until),
            }),
        }
    }
}

fn is_offer(observed: &std::sync::Arc<Observed4>) -> bool {
    observed.message.message_type == Some(MessageType::OFFER)
}

fn request_kind(query: &Observed4) -> RequestKind {
    let is_broadcast = matches!(query.destination.ip(), IpAddr::V4(address) if address.is_broadcast());
    query.message.request_kind(is_broadcast)
}

/// When the client renews: half the lease time, or what option 58 says if that is sooner.
fn renewal_time(answer: &Observed4) -> Duration {
    let option = answer.message.options.get(58);
    let said = option
        .as_deref()
        .and_then(|octets| octets.first_chunk::<4>())
        .map(|octets| u32::from_be_bytes(*octets));
    let half = answer.message.lease_time().unwrap_or(u32::MAX) / 2;
    Duration::from_secs(said.map_or(half, |said| said.min(half)).into())
}
