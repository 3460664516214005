//! The DHCPv6 clients: each address and each prefix of each identity association has calls of its own.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use crate::dhcpv6::{IaKind, IaLease, IdentityAssociation, Message, MessageType, code};
use crate::dialect::Memory;
use crate::identity::{Duid, HardwareAddress, Identifier, hardware_address_in_duid};
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Event, Exchange6, LeaseEvent, Observed6, Occurrence, Place, Subject};

use super::agenda::Agenda;
use super::memory;
use super::telling::Telling;
use super::v4::{ENDED_KEPT, SEARCH_KEPT};
use super::values::Values;
use super::{Counters, Limits, Outlet, values6};

/// A second Reply to the same question within this time is the first one again.
const ANSWERED_AGAIN: Duration = Duration::from_secs(60);
/// A client counts in whole seconds, and from when the answer has come to it.
const FRACTION: Duration = Duration::from_secs(2);
/// Status codes (RFC 8415 section 21.13).
const SUCCESS: u16 = 0;
const NOT_ON_LINK: u16 = 4;

/// The clients.
#[derive(Debug)]
pub(super) struct Clients {
    limits: Limits,
    clients: Slab<Client>,
    by_duid: HashMap<Duid, usize>,
    agenda: Agenda,
    /// The clients that search, by when they asked last.
    searches: Agenda,
    leases: usize,
    counters: Counters,
}

#[derive(Debug)]
struct Client {
    duid: Duid,
    hwaddr: Option<HardwareAddress>,
    place: Place,
    /// The options that it asks for.
    requested: Vec<u16>,
    leases: Vec<Lease>,
    /// When it asked last, while it searches for a server.
    search: Option<Timestamp>,
    /// The transaction of its latest question: the answers to earlier ones it does not take.
    xid: Option<u32>,
    /// It extends what it has and has had no answer yet. If it searches next, it is the same process that does, which
    /// needs no interface made ready.
    extends: bool,
    /// The transaction of the last Reply that gave something, and when it came.
    answered: Option<(u32, Timestamp)>,
    /// When it would rebind if nobody answered its renewals, where the server has said so.
    rebinds: Option<Timestamp>,
    due: Option<Timestamp>,
    searched: Option<Timestamp>,
}

/// What one address or prefix is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id {
    kind: IaKind,
    iaid: u32,
    address: Ipv6Addr,
    prefix_len: u8,
}

#[derive(Debug)]
struct Lease {
    id: Id,
    values: Values,
    told: bool,
    /// When its preferred lifetime is over, if that is told.
    deprecation: Option<Timestamp>,
    end: Option<Timestamp>,
    /// Until when it is remembered, once it is over.
    over_until: Option<Timestamp>,
}

impl Id {
    fn new(ia: &IdentityAssociation<'_>, lease: &IaLease) -> Self {
        Self { kind: ia.kind, iaid: ia.iaid, address: lease.address, prefix_len: lease.prefix_len }
    }

    fn subject(self) -> Subject {
        match self.kind {
            IaKind::PrefixDelegation => Subject::Prefix6(self.address),
            IaKind::NonTemporary | IaKind::Temporary => Subject::Address6(self.address),
        }
    }
}

impl Lease {
    fn is_over(&self) -> bool {
        self.over_until.is_some()
    }

    fn next(&self) -> Option<Timestamp> {
        [self.deprecation, self.end, self.over_until].into_iter().flatten().min()
    }
}

impl Client {
    fn next(&self) -> Option<Timestamp> {
        let leases = self.leases.iter().filter_map(Lease::next).min();
        [leases, self.search.map(|last| last + SEARCH_KEPT)].into_iter().flatten().min()
    }

    fn find(&self, id: Id) -> Option<usize> {
        self.leases.iter().position(|lease| lease.id == id)
    }

    fn heard_of(&mut self, observed: &Observed6) {
        self.place = Place { interface: Some(observed.interface.clone()), vlans: observed.vlans };
        if let Some(codes) = observed.message.option(code::OPTION_REQUEST) {
            self.requested = codes.as_chunks::<2>().0.iter().map(|code| u16::from_be_bytes(*code)).collect();
        }
    }
}

/// A call in the words of this family.
struct Say<'a> {
    reason: &'static str,
    at: Timestamp,
    event: Event,
    cause: Option<&'a LeaseEvent>,
    changes: bool,
    id: Option<Id>,
    values: &'a [(&'static str, &'a Values)],
}

impl Clients {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            clients: Slab::new(),
            by_duid: HashMap::new(),
            agenda: Agenda::default(),
            searches: Agenda::default(),
            leases: 0,
            counters: Counters::default(),
        }
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
            Occurrence::Heard6 { exchange } => match (&exchange.query, &exchange.answer) {
                (Some(query), None) => self.asked(event, query, wanted, outlet),
                (Some(query), Some(answer)) if query.message.message_type == MessageType::CONFIRM => {
                    self.confirmed(event, query, answer, wanted, outlet);
                }
                _ => {}
            },
            Occurrence::Committed6 { exchange, .. } => {
                let question = exchange.query.as_deref().map(|query| query.message.message_type);
                if !matches!(
                    question,
                    Some(MessageType::RELEASE | MessageType::DECLINE | MessageType::ADDR_REG_INFORM)
                ) {
                    self.given(event, exchange, question, wanted, outlet);
                }
            }
            _ => {}
        }
    }

    /// A question is put.
    fn asked(&mut self, event: &LeaseEvent, query: &Arc<Observed6>, wanted: bool, outlet: &mut Outlet) {
        let known = self.find(query);
        let question = query.message.message_type;
        if let Some(client) = known.and_then(|slot| self.clients.get_mut(slot)) {
            client.xid = Some(query.message.transaction_id);
            client.extends |= matches!(question, MessageType::RENEW | MessageType::REBIND);
        }
        // What a client with a prefix sends instead of a Confirm (RFC 8415 section 18.2.12) is a Rebind before its time.
        let is_early = || {
            let rebinds = known.and_then(|slot| self.clients.get(slot)).and_then(|client| client.rebinds);
            rebinds.is_some_and(|rebinds| event.at + FRACTION < rebinds)
        };
        let begins = match question {
            MessageType::SOLICIT | MessageType::CONFIRM => true,
            MessageType::REBIND => is_early(),
            _ => false,
        };
        match question {
            _ if begins => {
                if known.is_none() && !wanted {
                    return;
                }
                let Some(slot) = known.or_else(|| self.insert(query)) else { return };
                let Some(client) = self.clients.get_mut(slot) else { return };
                client.heard_of(query);
                client.xid = Some(query.message.transaction_id);
                let goes_on = std::mem::take(&mut client.extends) && question == MessageType::SOLICIT;
                if client.search.replace(event.at).is_none() && wanted && !goes_on {
                    let say = Say {
                        reason: "PREINIT6",
                        at: event.at,
                        event: Event::Heard,
                        cause: Some(event),
                        changes: true,
                        id: None,
                        values: &[],
                    };
                    client.say(say, outlet);
                }
                self.note(slot);
                self.make_room();
            }
            // The client does not wait for the answer before it tells its script.
            MessageType::RELEASE => self.named(event, query, "RELEASE6", Event::Release, outlet),
            // dhclient declines what its script refuses. The script here has not, and hears that it is over.
            MessageType::DECLINE => self.named(event, query, "EXPIRE6", Event::Decline, outlet),
            _ => {}
        }
    }

    /// What the client names in its question is over.
    fn named(
        &mut self,
        event: &LeaseEvent,
        query: &Observed6,
        reason: &'static str,
        means: Event,
        outlet: &mut Outlet,
    ) {
        let Some(slot) = self.find(query) else { return };
        for ia in query.message.identity_associations() {
            for lease in ia.leases() {
                self.end(slot, Id::new(&ia, &lease), event.at, reason, means, Some(event), outlet);
            }
        }
        self.remember(slot, outlet);
        self.note(slot);
    }

    /// The answer to a Confirm: the client goes on with what it has, or it has nothing.
    fn confirmed(
        &mut self,
        event: &LeaseEvent,
        query: &Observed6,
        answer: &Observed6,
        wanted: bool,
        outlet: &mut Outlet,
    ) {
        let Some(slot) = self.find(query) else { return };
        let Some(client) = self.clients.get_mut(slot) else { return };
        if client.xid.is_some_and(|xid| xid != answer.message.transaction_id) {
            return;
        }
        client.search = None;
        let ids: Vec<Id> =
            client.leases.iter().filter(|lease| !lease.is_over()).map(|lease| lease.id).collect();
        let status = status(&answer.message);
        for id in ids {
            if status == NOT_ON_LINK {
                self.end(slot, id, event.at, "EXPIRE6", Event::Expire, Some(event), outlet);
            } else if status == SUCCESS
                && wanted
                && let Some(client) = self.clients.get_mut(slot)
                && let Some(lease) = client.find(id).and_then(|at| client.leases.get_mut(at))
            {
                lease.told = true;
                let values = lease.values.clone();
                let say = Say {
                    reason: "BOUND6",
                    at: event.at,
                    event: Event::Renew,
                    cause: Some(event),
                    changes: true,
                    id: Some(id),
                    values: &[("new_", &values)],
                };
                client.say(say, outlet);
            }
        }
        self.remember(slot, outlet);
        self.note(slot);
    }

    /// A Reply that gives addresses or prefixes, or takes them.
    fn given(
        &mut self,
        event: &LeaseEvent,
        exchange: &Exchange6,
        question: Option<MessageType>,
        wanted: bool,
        outlet: &mut Outlet,
    ) {
        let (Some(answer), Some(asker)) = (&exchange.answer, exchange.either()) else { return };
        let known = self.find(asker);
        if known.is_none() && !wanted {
            return;
        }
        let Some(slot) = known.or_else(|| self.insert(asker)) else { return };
        let Some(client) = self.clients.get_mut(slot) else { return };
        let xid = answer.message.transaction_id;
        let is_again =
            client.answered.is_some_and(|(last, when)| last == xid && event.at.since(when) < ANSWERED_AGAIN);
        let is_late = exchange.query.is_some() && client.xid.is_some_and(|latest| latest != xid);
        if is_again || is_late {
            return;
        }
        client.extends = false;
        client.heard_of(asker);
        let gives = |ia: &IdentityAssociation<'_>| ia.leases().any(|lease| !is_withdrawn(&lease));
        if answer.message.identity_associations().any(|ia| gives(&ia)) {
            client.search = None;
            client.answered = Some((xid, event.at));
            let start = event.at.whole_second();
            let times = answer.message.identity_associations().filter(gives).map(|ia| ia.t2);
            client.rebinds =
                times.filter(|t2| *t2 > 0).map(|t2| start + Duration::from_secs(t2.into())).min();
        }
        for ia in answer.message.identity_associations() {
            for lease in ia.leases() {
                if is_withdrawn(&lease) {
                    let id = Id::new(&ia, &lease);
                    self.end(slot, id, event.at, "EXPIRE6", Event::Expire, Some(event), outlet);
                } else {
                    let values =
                        values6::values(event.at, &answer.message, &ia, &lease, &mut outlet.suspects);
                    self.grant(slot, event, question, &ia, &lease, values, wanted, outlet);
                }
            }
        }
        self.remember(slot, outlet);
        self.note(slot);
    }

    /// One address or prefix is given.
    #[expect(clippy::too_many_arguments, reason = "what is given, by what, to whom")]
    fn grant(
        &mut self,
        slot: usize,
        event: &LeaseEvent,
        question: Option<MessageType>,
        ia: &IdentityAssociation<'_>,
        granted: &IaLease,
        values: Values,
        wanted: bool,
        outlet: &mut Outlet,
    ) {
        let id = Id::new(ia, granted);
        let over_limit = self.leases >= self.limits.leases;
        let Some(client) = self.clients.get_mut(slot) else { return };
        let at = client.find(id);
        let stored = at.and_then(|at| client.leases.get(at));
        let runs = stored.is_some_and(|lease| !lease.is_over());
        let (reason, means) = match question {
            Some(MessageType::RENEW) => ("RENEW6", Event::Renew),
            Some(MessageType::REBIND) => ("REBIND6", Event::Rebind),
            // The question was missed.
            None if runs => ("RENEW6", Event::Renew),
            _ => ("BOUND6", Event::Commit),
        };
        let same = |lease: &Lease| values.is_same_but(&lease.values, &values6::RENEWED);
        let changes = reason == "BOUND6" || !stored.is_some_and(same);
        if wanted {
            let old = stored.map(|lease| ("old_", &lease.values));
            let told: Vec<_> = [("new_", &values)].into_iter().chain(old).collect();
            let (at, cause, id) = (event.at, Some(event), Some(id));
            client.say(Say { reason, at, event: means, cause, changes, id, values: &told }, outlet);
        }
        let start = event.at.whole_second();
        let lease = Lease {
            id,
            values,
            told: wanted || stored.is_some_and(|lease| lease.told),
            // What ends as a whole is not deprecated before.
            deprecation: granted
                .preferred_lifetime
                .end(start)
                .filter(|_| granted.preferred_lifetime < granted.valid_lifetime),
            end: granted.valid_lifetime.end(start),
            over_until: None,
        };
        match at.and_then(|at| client.leases.get_mut(at)) {
            Some(stored) => *stored = lease,
            None if over_limit => self.counters.leases_over_limit += 1,
            None => {
                client.leases.push(lease);
                self.leases += 1;
            }
        }
    }

    /// One address or prefix is over.
    #[expect(clippy::too_many_arguments, reason = "what is over, when, in which words, by what")]
    fn end(
        &mut self,
        slot: usize,
        id: Id,
        at: Timestamp,
        reason: &'static str,
        means: Event,
        cause: Option<&LeaseEvent>,
        outlet: &mut Outlet,
    ) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let stored = client.find(id).and_then(|at| client.leases.get_mut(at));
        let Some(lease) = stored.filter(|lease| !lease.is_over()) else { return };
        (lease.deprecation, lease.end, lease.over_until) = (None, None, Some(at + ENDED_KEPT));
        if std::mem::take(&mut lease.told) {
            let values = lease.values.clone();
            let (changes, id, values) = (true, Some(id), &[("old_", &values)]);
            client.say(Say { reason, at, event: means, cause, changes, id, values }, outlet);
        }
    }

    /// Does what is due at this moment.
    pub(super) fn handle_timeout(&mut self, now: Timestamp, outlet: &mut Outlet) {
        while let Some(slot) = self.agenda.due(now) {
            let Some(client) = self.clients.get_mut(slot) else { return };
            if client.search.is_some_and(|last| last + SEARCH_KEPT <= now) {
                client.search = None;
            }
            let due = client.leases.iter().filter_map(|lease| Some((lease.next()?, lease.id)));
            if let Some((at, id)) = due.min_by_key(|(at, _)| *at).filter(|(at, _)| *at <= now) {
                self.due(slot, id, at, outlet);
                self.remember(slot, outlet);
            }
            self.note(slot);
        }
    }

    /// The next thing happens to one address or prefix.
    fn due(&mut self, slot: usize, id: Id, at: Timestamp, outlet: &mut Outlet) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(index) = client.find(id) else { return };
        let Some(lease) = client.leases.get_mut(index) else { return };
        if lease.is_over() {
            client.leases.remove(index);
            self.leases -= 1;
        } else if lease.deprecation == Some(at) {
            lease.deprecation = None;
            if lease.told {
                let values = lease.values.clone();
                let say = Say {
                    reason: "DEPREF6",
                    at,
                    event: Event::Heard,
                    cause: None,
                    changes: true,
                    id: Some(id),
                    values: &[("cur_", &values)],
                };
                client.say(say, outlet);
            }
        } else {
            self.end(slot, id, at, "EXPIRE6", Event::Expire, None, outlet);
        }
    }

    fn find(&self, observed: &Observed6) -> Option<usize> {
        self.by_duid.get(&Identifier::new(observed.message.client_duid()?)).copied()
    }

    fn insert(&mut self, observed: &Observed6) -> Option<usize> {
        let duid = Identifier::new(observed.message.client_duid()?);
        Some(self.insert_client(Client {
            hwaddr: hardware_address_in_duid(duid.octets()),
            duid,
            place: Place::default(),
            requested: Vec::new(),
            leases: Vec::new(),
            search: None,
            xid: None,
            extends: false,
            answered: None,
            rebinds: None,
            due: None,
            searched: None,
        }))
    }

    fn insert_client(&mut self, client: Client) -> usize {
        let duid = client.duid.clone();
        let slot = self.clients.insert(client);
        self.by_duid.insert(duid, slot);
        slot
    }

    /// Notes when something is to be done about a client; one about which nothing is known is forgotten.
    fn note(&mut self, slot: usize) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let next = client.next();
        self.agenda.put(slot, &mut client.due, next);
        let search = client.search;
        self.searches.put(slot, &mut client.searched, search);
        if search.is_none() && client.leases.is_empty() {
            let client = self.clients.remove(slot);
            self.by_duid.remove(&client.duid);
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
        let key = [&[6], client.duid.octets()].concat();
        let value =
            (!client.leases.is_empty()).then(|| client.memory()).and_then(|memory| memory::write(&memory));
        outlet.memories.push_back(Memory { key, value });
    }

    /// Takes a client back from memory.
    pub(super) fn recall(&mut self, value: &[u8]) {
        let Ok(memory) = serde_json::from_slice::<memory::Client6>(value) else { return };
        let duid = Identifier::new(&memory.duid);
        if self.by_duid.contains_key(&duid) {
            return;
        }
        let mut leases: Vec<Lease> = memory.leases.into_iter().filter_map(recalled).collect();
        let over_limit = leases.split_off(leases.len().min(self.limits.leases.saturating_sub(self.leases)));
        self.counters.leases_over_limit += over_limit.len() as u64;
        if leases.is_empty() {
            return;
        }
        self.leases += leases.len();
        let slot = self.insert_client(Client {
            duid,
            hwaddr: memory.hwaddr.map(HardwareAddress::from),
            place: memory.place.into(),
            requested: memory.requested,
            leases,
            search: None,
            xid: None,
            extends: false,
            answered: None,
            rebinds: None,
            due: None,
            searched: None,
        });
        self.note(slot);
    }
}

impl Client {
    fn say(&self, say: Say<'_>, outlet: &mut Outlet) {
        let has_values = !say.values.is_empty();
        let names = || self.requested.iter().map(|code| values6::option_name(*code)).collect();
        let mut subjects = vec![Subject::Client6(self.duid.clone())];
        subjects.extend(say.id.map(Id::subject));
        let call = Telling {
            reason: say.reason,
            at: say.at,
            event: say.event,
            cause: say.cause,
            subjects,
            changes: say.changes,
            place: &self.place,
            hwaddr: self.hwaddr.as_ref(),
            client_id: self.duid.octets(),
            values: say.values,
            requested: if has_values { names() } else { Vec::new() },
        };
        outlet.calls.push_back(call.call());
    }

    fn memory(&self) -> memory::Client6 {
        let leases = self.leases.iter().map(|lease| memory::Lease6 {
            kind: lease.id.kind.code(),
            iaid: lease.id.iaid,
            address: lease.id.address,
            prefix_len: lease.id.prefix_len,
            values: lease.values.clone(),
            told: lease.told,
            deprecation: lease.deprecation.map(memory::nanos),
            end: lease.end.map(memory::nanos),
            over_until: lease.over_until.map(memory::nanos),
        });
        memory::Client6 {
            duid: self.duid.octets().to_vec(),
            hwaddr: self.hwaddr.as_ref().map(memory::Hardware::from),
            place: (&self.place).into(),
            requested: self.requested.clone(),
            leases: leases.collect(),
        }
    }
}

fn recalled(lease: memory::Lease6) -> Option<Lease> {
    let kinds = [IaKind::NonTemporary, IaKind::Temporary, IaKind::PrefixDelegation];
    let kind = kinds.into_iter().find(|kind| kind.code() == lease.kind)?;
    let time = |nanos: Option<i64>| nanos.map(Timestamp::from_nanos);
    Some(Lease {
        id: Id { kind, iaid: lease.iaid, address: lease.address, prefix_len: lease.prefix_len },
        values: lease.values,
        told: lease.told,
        deprecation: time(lease.deprecation),
        end: time(lease.end),
        over_until: time(lease.over_until),
    })
}

/// Whether an address in a Reply is taken away.
fn is_withdrawn(lease: &IaLease) -> bool {
    lease.valid_lifetime == Lifetime::Seconds(0)
}

/// The status of a whole message; Success where it says nothing.
fn status(message: &Message) -> u16 {
    let status = message.option(code::STATUS_CODE).and_then(|payload| payload.first_chunk::<2>());
    status.map_or(SUCCESS, |octets| u16::from_be_bytes(*octets))
}
