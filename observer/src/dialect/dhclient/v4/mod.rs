//! The DHCPv4 clients: what each asks, has, and loses.

mod client;
mod search;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::dhcpv4::{MessageType, RequestKind};
use crate::identity::{HardwareAddress, Identifier};
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Event, Exchange4, LeaseEvent, Observed4, Occurrence};

use super::table::Table;
use super::telling::Occasion;
use super::values::Values;
use super::{Counters, Limits, Outlet, Settings, values4};

use client::{Client, Key, Lease};
use search::Search;

pub(super) use client::ENDED_KEPT;
pub(super) use search::SEARCH_KEPT;

/// Within this time a second answer to the same question is the first one again.
pub(super) const ANSWERED_AGAIN: Duration = Duration::from_secs(60);

/// The clients.
#[derive(Debug)]
pub(super) struct Clients {
    settings: Settings,
    table: Table<Client>,
    /// The client that last spoke from a hardware address, for messages without an identifier.
    by_hardware: HashMap<HardwareAddress, usize>,
    by_address: HashMap<Ipv4Addr, usize>,
}

impl Clients {
    pub(super) fn new(settings: Settings, limits: Limits) -> Self {
        let (by_hardware, by_address) = (HashMap::new(), HashMap::new());
        Self { settings, table: Table::new(limits), by_hardware, by_address }
    }

    /// For searches that begin from here on.
    pub(super) fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    pub(super) fn counters(&self) -> Counters {
        self.table.counters()
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.table.poll_timeout()
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
        if let Some(client) = known.and_then(|slot| self.table.get_mut(slot))
            && matches!(query.message.message_type, Some(MessageType::DISCOVER | MessageType::REQUEST))
        {
            client.xid = Some(query.message.xid);
        }
        let discovers = query.message.message_type == Some(MessageType::DISCOVER);
        let begins = match query.message.message_type {
            Some(MessageType::REQUEST) => request_kind(query) == RequestKind::InitReboot,
            _ => discovers,
        };
        if !begins || (known.is_none() && !wanted) {
            return;
        }
        let slot = known.unwrap_or_else(|| self.insert(query));
        let Some(client) = self.table.get_mut(slot) else { return };
        client.heard_of(query);
        client.xid = Some(query.message.xid);
        let patience = self.settings.timeout;
        match &mut client.search {
            Some(search) => search.go_on(event.at, patience, discovers),
            None => {
                if let Some(lease) = &mut client.lease {
                    // Another process than the one that had the lease: it knows it from its file.
                    lease.values.remove("next_server");
                }
                client.search = Some(Search::new(event.at, patience, discovers, wanted));
                if wanted {
                    client.say(Occasion::of(event, "PREINIT", Event::Heard), outlet);
                }
            }
        }
        self.note(slot);
        while let Some(slot) = self.table.pop_search_over_limit() {
            self.note(slot);
        }
    }

    /// A server has made an offer: there is one.
    fn offered(&mut self, exchange: &Exchange4) {
        let Some(slot) = exchange.either().and_then(|observed| self.find(observed)) else { return };
        if let Some(search) = self.table.get_mut(slot).and_then(|client| client.search.as_mut()) {
            search.is_offered();
        }
        self.note(slot);
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
        let over_limit = self.table.room() == 0;
        let Some(client) = self.table.get_mut(slot) else { return };
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
        let before = client.before().filter(|_| reason != "REBOOT");
        let is_renewal = matches!(reason, "RENEW" | "REBIND");
        let same = |before: &Values| values.is_same_but(before, &values4::RENEWED);
        let changes = !is_renewal || !before.is_some_and(same);
        if wanted {
            let with_old = before.map(|before| ("old_", before));
            let told: Vec<_> = [("new_", &values)].into_iter().chain(with_old).collect();
            let occasion = Occasion::of(event, reason, means);
            client.say(Occasion { changes, values: &told, ..occasion }, outlet);
        }
        let had_lease = client.has_lease();
        client.ended = None;
        if over_limit && !had_lease {
            self.table.count_over_limit(1);
        } else {
            client.told |= wanted;
            let lifetime = answer.message.lease_time().map_or(Lifetime::Infinite, Lifetime::from_wire);
            let left = client.lease.replace(Lease {
                address,
                values,
                end: lifetime.end(at.whole_second()),
                answered: Some((answer.message.xid, kind, at)),
            });
            if let Some(left) = left {
                self.by_address.remove(&left.address);
            }
            self.by_address.insert(address, slot);
        }
        self.table.remember(slot, outlet);
        self.note(slot);
    }

    /// The server has given another client's address away: that client no longer has it.
    fn taken_over(&mut self, event: &LeaseEvent, address: Ipv4Addr, by: Option<usize>, outlet: &mut Outlet) {
        if let Some(slot) = self.by_address.get(&address).copied().filter(|slot| Some(*slot) != by) {
            self.end(slot, Occasion::alone(event.at, "EXPIRE", Event::Expire), outlet);
        }
    }

    /// A NAK: what the client claims it does not have.
    fn refused(&mut self, event: &LeaseEvent, exchange: &Exchange4, outlet: &mut Outlet) {
        let Some(slot) = exchange.either().and_then(|observed| self.find(observed)) else { return };
        let Some(client) = self.table.get_mut(slot) else { return };
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
            self.end(slot, Occasion::of(event, "EXPIRE", Event::Expire), outlet);
            // A client that was refused does not remember what it had.
            if let Some(client) = self.table.get_mut(slot) {
                client.ended = None;
            }
            self.table.remember(slot, outlet);
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
        let held = self.table.get(slot).and_then(|client| client.lease.as_ref()).map(|lease| lease.address);
        if held.is_some() && held == address {
            self.end(slot, Occasion::of(event, reason, means), outlet);
        }
    }

    /// The lease of a client is over.
    fn end(&mut self, slot: usize, occasion: Occasion<'_>, outlet: &mut Outlet) {
        let Some(client) = self.table.get_mut(slot) else { return };
        let Some(Lease { address, values, .. }) = client.lease.take() else { return };
        client.end(values, occasion, outlet);
        if self.by_address.get(&address) == Some(&slot) {
            self.by_address.remove(&address);
        }
        self.table.remember(slot, outlet);
        self.note(slot);
    }

    /// Does what is due at this moment.
    pub(super) fn handle_timeout(&mut self, now: Timestamp, outlet: &mut Outlet) {
        while let Some(slot) = self.table.due(now) {
            let Some(client) = self.table.get_mut(slot) else { return };
            if let Some(end) = client.lease.as_ref().and_then(|lease| lease.end).filter(|end| *end <= now) {
                self.end(slot, Occasion::alone(end, "EXPIRE", Event::Expire), outlet);
                continue;
            }
            if let Some(search) = &mut client.search {
                if let Some(at) = search.give_up(now) {
                    if search.told {
                        client.give_up(at, outlet);
                    }
                } else if search.is_silent(now) {
                    client.search = None;
                }
            }
            if client.ended.take_if(|ended| ended.until <= now).is_some() && client.lease.is_none() {
                self.table.remember(slot, outlet);
            }
            self.note(slot);
        }
    }

    fn find(&self, observed: &Observed4) -> Option<usize> {
        let message = &observed.message;
        let by_hardware = || self.by_hardware.get(&message.chaddr).copied();
        let Some(client_id) = message.client_id() else { return by_hardware() };
        let by_key = self.table.find(&Key::Identifier(Identifier::new(&client_id)));
        // Where either side has no identifier, the hardware address tells.
        by_key.or_else(|| {
            by_hardware().filter(|slot| {
                self.table.get(*slot).is_some_and(|client| matches!(client.key, Key::Hardware(_)))
            })
        })
    }

    fn insert(&mut self, observed: &Observed4) -> usize {
        self.insert_client(Client::new(Key::of(observed), observed.message.chaddr))
    }

    fn insert_client(&mut self, client: Client) -> usize {
        let hwaddr = client.hwaddr;
        let slot = self.table.insert(client);
        self.by_hardware.insert(hwaddr, slot);
        slot
    }

    fn note(&mut self, slot: usize) {
        if let Some(forgotten) = self.table.note(slot)
            && self.by_hardware.get(&forgotten.hwaddr) == Some(&slot)
        {
            self.by_hardware.remove(&forgotten.hwaddr);
        }
    }

    /// Takes a client back from memory.
    pub(super) fn recall(&mut self, value: &[u8]) {
        let Ok(memory) = serde_json::from_slice(value) else { return };
        let client = Client::recalled(memory);
        if self.table.find(&client.key).is_some() {
            return;
        }
        if self.table.room() == 0 {
            self.table.count_over_limit(1);
            return;
        }
        let address = client.lease.as_ref().map(|lease| lease.address);
        let slot = self.insert_client(client);
        if let Some(address) = address {
            self.by_address.insert(address, slot);
        }
        self.note(slot);
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
