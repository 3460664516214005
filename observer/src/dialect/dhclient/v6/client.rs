//! One DHCPv6 client: the addresses and prefixes that it has, and how its script is told.

use crate::dhcpv6::{MessageType, code};
use crate::identity::{Duid, HardwareAddress, hardware_address_in_duid};
use crate::time::Timestamp;
use crate::tracker::{Event, LeaseEvent, Observed6, Place, Subject};

use super::super::telling::{Occasion, Telling};
use super::super::v4::{ENDED_KEPT, SEARCH_KEPT};
use super::super::{Outlet, memory, table, values6};
use super::lease::{Id, Lease};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) duid: Duid,
    hwaddr: Option<HardwareAddress>,
    place: Place,
    /// The options that it asks for.
    requested: Vec<u16>,
    pub(super) leases: Vec<Lease>,
    /// When it asked last, while it searches for a server.
    pub(super) search: Option<Timestamp>,
    /// The transaction of its latest question: the answers to earlier ones it does not take.
    pub(super) xid: Option<u32>,
    /// It extends what it has and has had no answer yet. If it searches next, it is the same process that does, which
    /// needs no interface made ready.
    pub(super) extends: bool,
    /// The transaction of the last Reply that gave something, and when it came.
    pub(super) answered: Option<(u32, Timestamp)>,
    /// When it would rebind if nobody answered its renewals, where the server has said so.
    pub(super) rebinds: Option<Timestamp>,
}

impl table::Client for Client {
    type Key = Duid;

    fn key(&self) -> &Duid {
        &self.duid
    }

    fn next(&self) -> Option<Timestamp> {
        let leases = self.leases.iter().filter_map(Lease::next).min();
        [leases, self.search.map(|last| last + SEARCH_KEPT)].into_iter().flatten().min()
    }

    fn asked_last(&self) -> Option<Timestamp> {
        self.search
    }

    fn end_search(&mut self) {
        self.search = None;
    }

    fn leases(&self) -> usize {
        self.leases.len()
    }

    fn memory_key(&self) -> Vec<u8> {
        [&[6], self.duid.octets()].concat()
    }

    fn memory(&self) -> Option<Vec<u8>> {
        memory::write(&memory::Client6 {
            duid: self.duid.octets().to_vec(),
            hwaddr: self.hwaddr.as_ref().map(memory::Hardware::from),
            place: (&self.place).into(),
            requested: self.requested.clone(),
            leases: self.leases.iter().map(Lease::memory).collect(),
        })
    }
}

impl Client {
    /// A client of which nothing is known yet.
    pub(super) fn new(duid: Duid) -> Self {
        Self {
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
        }
    }

    /// A client out of a memory.
    pub(super) fn recalled(memory: memory::Client6) -> Self {
        Self {
            hwaddr: memory.hwaddr.map(HardwareAddress::from),
            place: memory.place.into(),
            requested: memory.requested,
            leases: memory.leases.into_iter().filter_map(Lease::recalled).collect(),
            ..Self::new(Duid::new(&memory.duid))
        }
    }

    pub(super) fn find(&self, id: Id) -> Option<usize> {
        self.leases.iter().position(|lease| lease.id == id)
    }

    pub(super) fn find_mut(&mut self, id: Id) -> Option<&mut Lease> {
        self.leases.iter_mut().find(|lease| lease.id == id)
    }

    pub(super) fn heard_of(&mut self, observed: &Observed6) {
        self.place = Place::of(observed);
        if let Some(codes) = observed.message.option(code::OPTION_REQUEST) {
            self.requested = codes.as_chunks::<2>().0.iter().map(|code| u16::from_be_bytes(*code)).collect();
        }
    }

    /// One address or prefix is given in answer to this question. False when there is no room to remember it.
    pub(super) fn grant(
        &mut self,
        lease: Lease,
        question: Option<MessageType>,
        (event, wanted): (&LeaseEvent, bool),
        has_room: bool,
        outlet: &mut Outlet,
    ) -> bool {
        let at = self.find(lease.id);
        let stored = at.and_then(|at| self.leases.get(at));
        let runs = stored.is_some_and(|stored| !stored.is_over());
        let (reason, means) = match question {
            Some(MessageType::RENEW) => ("RENEW6", Event::Renew),
            Some(MessageType::REBIND) => ("REBIND6", Event::Rebind),
            // The question was missed.
            None if runs => ("RENEW6", Event::Renew),
            _ => ("BOUND6", Event::Commit),
        };
        let same = |stored: &Lease| lease.values.is_same_but(&stored.values, &values6::RENEWED);
        let changes = reason == "BOUND6" || !stored.is_some_and(same);
        if wanted {
            let old = stored.map(|stored| ("old_", &stored.values));
            let values: Vec<_> = [("new_", &lease.values)].into_iter().chain(old).collect();
            let occasion = Occasion { changes, values: &values, ..Occasion::of(event, reason, means) };
            self.say(Some(lease.id), occasion, outlet);
        }
        let lease = Lease { told: wanted || stored.is_some_and(|stored| stored.told), ..lease };
        match at.and_then(|at| self.leases.get_mut(at)) {
            Some(stored) => *stored = lease,
            None if has_room => self.leases.push(lease),
            None => return false,
        }
        true
    }

    /// The next thing happens to one address or prefix, if it is due by now. Whether it was.
    pub(super) fn handle_due(&mut self, now: Timestamp, outlet: &mut Outlet) -> bool {
        let due = self.leases.iter().enumerate().filter_map(|(index, lease)| Some((lease.next()?, index)));
        let Some((at, index)) = due.min_by_key(|(at, _)| *at).filter(|(at, _)| *at <= now) else {
            return false;
        };
        let Some(lease) = self.leases.get_mut(index) else { return false };
        let id = lease.id;
        if lease.is_over() {
            self.leases.remove(index);
        } else if lease.deprecation == Some(at) {
            lease.deprecation = None;
            if lease.told {
                self.say_of(id, "cur_", Occasion::alone(at, "DEPREF6", Event::Heard), outlet);
            }
        } else {
            self.end(id, Occasion::alone(at, "EXPIRE6", Event::Expire), outlet);
        }
        true
    }

    /// One address or prefix is over.
    pub(super) fn end(&mut self, id: Id, occasion: Occasion<'_>, outlet: &mut Outlet) {
        let Some(lease) = self.find_mut(id).filter(|lease| !lease.is_over()) else { return };
        (lease.deprecation, lease.end, lease.over_until) = (None, None, Some(occasion.at + ENDED_KEPT));
        if std::mem::take(&mut lease.told) {
            self.say_of(id, "old_", occasion, outlet);
        }
    }

    /// Tells of one address or prefix alone.
    pub(super) fn say_of(&self, id: Id, prefix: &'static str, occasion: Occasion<'_>, outlet: &mut Outlet) {
        if let Some(lease) = self.find(id).and_then(|at| self.leases.get(at)) {
            let values = &[(prefix, &lease.values)];
            self.say(Some(id), Occasion { values, ..occasion }, outlet);
        }
    }

    pub(super) fn say(&self, id: Option<Id>, occasion: Occasion<'_>, outlet: &mut Outlet) {
        let mut subjects = vec![Subject::Client6(self.duid.clone())];
        subjects.extend(id.map(Id::subject));
        let telling = Telling {
            occasion,
            subjects,
            place: &self.place,
            hwaddr: self.hwaddr.as_ref(),
            client_id: self.duid.octets(),
            requested: &self.requested,
            option_name: values6::option_name,
        };
        outlet.calls.push_back(telling.call());
    }
}
