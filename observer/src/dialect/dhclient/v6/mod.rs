//! The DHCPv6 clients: each address and each prefix of each identity association has calls of its own.

mod client;
mod lease;

use std::sync::Arc;
use std::time::Duration;

use crate::dhcpv6::{IaLease, IdentityAssociation, Message, MessageType, code};
use crate::identity::Identifier;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Event, Exchange6, LeaseEvent, Observed6, Occurrence};

use super::table::Table;
use super::telling::Occasion;
use super::v4::{ANSWERED_AGAIN, SEARCH_KEPT};
use super::{Counters, Limits, Outlet};

use client::Client;
use lease::{Id, Lease};

/// A client counts in whole seconds, and from when the answer has come to it.
const FRACTION: Duration = Duration::from_secs(2);
/// Status codes (RFC 8415 section 21.13).
const SUCCESS: u16 = 0;
const NOT_ON_LINK: u16 = 4;

/// The clients.
#[derive(Debug)]
pub(super) struct Clients {
    table: Table<Client>,
}

impl Clients {
    pub(super) fn new(limits: Limits) -> Self {
        Self { table: Table::new(limits) }
    }

    pub(super) fn counters(&self) -> Counters {
        self.table.counters()
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.table.poll_timeout()
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
        if let Some(client) = known.and_then(|slot| self.table.get_mut(slot)) {
            client.xid = Some(query.message.transaction_id);
            client.extends |= matches!(question, MessageType::RENEW | MessageType::REBIND);
        }
        // What a client with a prefix sends instead of a Confirm (RFC 8415 section 18.2.12) is a Rebind before its time.
        let is_early = || {
            let rebinds = known.and_then(|slot| self.table.get(slot)).and_then(|client| client.rebinds);
            rebinds.is_some_and(|rebinds| event.at + FRACTION < rebinds)
        };
        let begins = match question {
            MessageType::SOLICIT | MessageType::CONFIRM => true,
            MessageType::REBIND => is_early(),
            // The client does not wait for the answer before it tells its script.
            MessageType::RELEASE => {
                return self.named(query, Occasion::of(event, "RELEASE6", Event::Release), outlet);
            }
            // dhclient declines what its script refuses. The script here has not, and hears that it is over.
            MessageType::DECLINE => {
                return self.named(query, Occasion::of(event, "EXPIRE6", Event::Decline), outlet);
            }
            _ => false,
        };
        if !begins || (known.is_none() && !wanted) {
            return;
        }
        let Some(slot) = known.or_else(|| self.insert(query)) else { return };
        let Some(client) = self.table.get_mut(slot) else { return };
        client.heard_of(query);
        client.xid = Some(query.message.transaction_id);
        let goes_on = std::mem::take(&mut client.extends) && question == MessageType::SOLICIT;
        if client.search.replace(event.at).is_none() && wanted && !goes_on {
            client.say(None, Occasion::of(event, "PREINIT6", Event::Heard), outlet);
        }
        self.table.note(slot);
        while let Some(slot) = self.table.pop_search_over_limit() {
            self.table.note(slot);
        }
    }

    /// What the client names in its question is over.
    fn named(&mut self, query: &Observed6, occasion: Occasion<'_>, outlet: &mut Outlet) {
        let Some(slot) = self.find(query) else { return };
        let Some(client) = self.table.get_mut(slot) else { return };
        for ia in query.message.identity_associations() {
            for lease in ia.leases() {
                client.end(Id::new(&ia, &lease), occasion, outlet);
            }
        }
        self.table.remember(slot, outlet);
        self.table.note(slot);
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
        let Some(client) = self.table.get_mut(slot) else { return };
        if client.xid.is_some_and(|xid| xid != answer.message.transaction_id) {
            return;
        }
        client.search = None;
        let ids: Vec<Id> =
            client.leases.iter().filter(|lease| !lease.is_over()).map(|lease| lease.id).collect();
        let status = status(&answer.message);
        for id in ids {
            if status == NOT_ON_LINK {
                client.end(id, Occasion::of(event, "EXPIRE6", Event::Expire), outlet);
            } else if status == SUCCESS
                && wanted
                && let Some(lease) = client.find_mut(id)
            {
                lease.told = true;
                client.say_of(id, "new_", Occasion::of(event, "BOUND6", Event::Renew), outlet);
            }
        }
        self.table.remember(slot, outlet);
        self.table.note(slot);
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
        let Some(client) = self.table.get_mut(slot) else { return };
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
                let has_room = self.table.room() > 0;
                let Some(client) = self.table.get_mut(slot) else { return };
                if is_withdrawn(&lease) {
                    let occasion = Occasion::of(event, "EXPIRE6", Event::Expire);
                    client.end(Id::new(&ia, &lease), occasion, outlet);
                    continue;
                }
                let lease = Lease::granted(event.at, &answer.message, &ia, &lease, &mut outlet.suspects);
                let is_remembered = client.grant(lease, question, (event, wanted), has_room, outlet);
                self.table.count(slot);
                self.table.count_over_limit(usize::from(!is_remembered));
            }
        }
        self.table.remember(slot, outlet);
        self.table.note(slot);
    }

    /// Does what is due at this moment.
    pub(super) fn handle_timeout(&mut self, now: Timestamp, outlet: &mut Outlet) {
        while let Some(slot) = self.table.due(now) {
            let Some(client) = self.table.get_mut(slot) else { return };
            if client.search.is_some_and(|last| last + SEARCH_KEPT <= now) {
                client.search = None;
            }
            if client.handle_due(now, outlet) {
                self.table.remember(slot, outlet);
            }
            self.table.note(slot);
        }
    }

    fn find(&self, observed: &Observed6) -> Option<usize> {
        self.table.find(&Identifier::new(observed.message.client_duid()?))
    }

    fn insert(&mut self, observed: &Observed6) -> Option<usize> {
        Some(self.table.insert(Client::new(Identifier::new(observed.message.client_duid()?))))
    }

    /// Takes a client back from memory.
    pub(super) fn recall(&mut self, value: &[u8]) {
        let Ok(memory) = serde_json::from_slice(value) else { return };
        let mut client = Client::recalled(memory);
        if self.table.find(&client.duid).is_some() {
            return;
        }
        let over_limit = client.leases.split_off(client.leases.len().min(self.table.room()));
        self.table.count_over_limit(over_limit.len());
        if !client.leases.is_empty() {
            let slot = self.table.insert(client);
            self.table.note(slot);
        }
    }
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
