//! One DHCPv4 client: what is known of it, and how its script is told.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::dhcpv4::{RequestKind, code};
use crate::identity::{ClientId, HardwareAddress, Identifier};
use crate::time::Timestamp;
use crate::tracker::{Event, Observed4, Place, Subject};

use super::super::telling::{Occasion, Telling};
use super::super::values::Values;
use super::super::{Outlet, memory, table, values4};
use super::search::Search;

/// How long the lease that a client had is remembered when it is over.
pub(in crate::dialect::dhclient) const ENDED_KEPT: Duration = Duration::from_secs(86_400);

/// Who a client is: its identifier, or else its hardware address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Identifier(ClientId),
    Hardware(HardwareAddress),
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) key: Key,
    pub(super) hwaddr: HardwareAddress,
    place: Place,
    /// The options that it asks for.
    requested: Vec<u16>,
    /// Whether the script was told of the lease.
    pub(super) told: bool,
    pub(super) lease: Option<Lease>,
    pub(super) ended: Option<Ended>,
    pub(super) search: Option<Search>,
    /// The transaction of its latest question: the answers to earlier ones it does not take.
    pub(super) xid: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    pub(super) values: Values,
    pub(super) end: Option<Timestamp>,
    /// The question behind the last answer, and when that came.
    pub(super) answered: Option<(u32, Option<RequestKind>, Timestamp)>,
}

#[derive(Debug)]
pub(super) struct Ended {
    values: Values,
    pub(super) until: Timestamp,
}

impl Key {
    pub(super) fn of(observed: &Observed4) -> Self {
        match observed.message.client_id() {
            Some(client_id) => Self::Identifier(Identifier::new(&client_id)),
            None => Self::Hardware(observed.message.chaddr),
        }
    }
}

impl table::Client for Client {
    type Key = Key;

    fn key(&self) -> &Key {
        &self.key
    }

    fn next(&self) -> Option<Timestamp> {
        let lease = self.lease.as_ref().and_then(|lease| lease.end);
        let search = self.search.as_ref().map(Search::next);
        [lease, search, self.ended.as_ref().map(|ended| ended.until)].into_iter().flatten().min()
    }

    fn asked_last(&self) -> Option<Timestamp> {
        self.search.as_ref().map(|search| search.asked_last)
    }

    fn end_search(&mut self) {
        self.search = None;
    }

    fn leases(&self) -> usize {
        usize::from(self.has_lease())
    }

    fn memory_key(&self) -> Vec<u8> {
        match &self.key {
            Key::Identifier(identifier) => [&[4, 1], identifier.octets()].concat(),
            Key::Hardware(hwaddr) => {
                [&[4, 0], hwaddr.htype().to_be_bytes().as_slice(), hwaddr.octets()].concat()
            }
        }
    }

    fn memory(&self) -> Option<Vec<u8>> {
        memory::write(&memory::Client4 {
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
        })
    }
}

impl Client {
    /// A client of which nothing is known yet.
    pub(super) fn new(key: Key, hwaddr: HardwareAddress) -> Self {
        Self {
            key,
            hwaddr,
            place: Place::default(),
            requested: Vec::new(),
            told: false,
            lease: None,
            ended: None,
            search: None,
            xid: None,
        }
    }

    /// A client out of a memory.
    pub(super) fn recalled(memory: memory::Client4) -> Self {
        let hwaddr = HardwareAddress::from(memory.hwaddr);
        let key = memory::identifier(memory.client_id).map_or(Key::Hardware(hwaddr), Key::Identifier);
        let time = Timestamp::from_nanos;
        Self {
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
            ..Self::new(key, hwaddr)
        }
    }

    fn client_id(&self) -> Option<&Identifier> {
        match &self.key {
            Key::Identifier(identifier) => Some(identifier),
            Key::Hardware(_) => None,
        }
    }

    /// Whether a lease of it is remembered, be it one that is over.
    pub(super) fn has_lease(&self) -> bool {
        self.lease.is_some() || self.ended.is_some()
    }

    /// What a lease said to the script when it was last told, whether or not it is over.
    pub(super) fn before(&self) -> Option<&Values> {
        self.lease.as_ref().map(|lease| &lease.values).or(self.ended.as_ref().map(|ended| &ended.values))
    }

    /// Notes where a message came from and what it asks for.
    pub(super) fn heard_of(&mut self, observed: &Observed4) {
        self.place = Place::of(observed);
        if let Some(codes) = observed.message.options.get(code::PARAMETER_REQUEST_LIST) {
            self.requested = codes.iter().map(|code| u16::from(*code)).collect();
        }
    }

    /// Its lease, which is taken from it, is over.
    pub(super) fn end(&mut self, mut values: Values, occasion: Occasion<'_>, outlet: &mut Outlet) {
        if occasion.reason == "RELEASE" {
            // The dhclient that releases has the lease from its file, which knows no next server, and ends it now.
            values.remove("next_server");
            values.set("expiry", |out| {
                crate::dialect::text::number(out, occasion.at.unix_seconds());
                true
            });
        }
        if std::mem::take(&mut self.told) {
            self.say(Occasion { values: &[("old_", &values)], ..occasion }, outlet);
        }
        self.ended = Some(Ended { values, until: occasion.at + ENDED_KEPT });
    }

    /// No server has answered for too long.
    pub(super) fn give_up(&mut self, at: Timestamp, outlet: &mut Outlet) {
        match &self.lease {
            Some(lease) => {
                let values = &[("new_", &lease.values)];
                self.say(Occasion { values, ..Occasion::alone(at, "TIMEOUT", Event::Heard) }, outlet);
                self.told = true;
            }
            None => self.say(Occasion::alone(at, "FAIL", Event::Heard), outlet),
        }
    }

    pub(super) fn say(&self, occasion: Occasion<'_>, outlet: &mut Outlet) {
        let address = self.lease.as_ref().map(|lease| lease.address);
        let told = occasion.values.iter().filter_map(|(_, values)| values.get("ip_address")?.parse().ok());
        let mut subjects = vec![Subject::Client4(Identifier::new(self.hwaddr.octets()))];
        subjects.extend(told.chain(address).map(Subject::Lease4));
        subjects.sort();
        subjects.dedup();
        let telling = Telling {
            occasion,
            subjects,
            place: &self.place,
            hwaddr: Some(&self.hwaddr),
            client_id: self.client_id().map_or(&[], Identifier::octets),
            requested: &self.requested,
            option_name: values4::option_name,
        };
        outlet.calls.push_back(telling.call());
    }
}
