//! The dialect of dnsmasq's `--dhcp-script`: `add`, `old` and `del` as dnsmasq 2.90 says them.
//!
//! dnsmasq calls the script for what it keeps of a lease and not for each message: a renewal that changes nothing but the
//! end is not told, and what the client said in its question is told only where dnsmasq has just read it.

mod environment;
mod holders;
mod name;
mod reading;

use std::collections::VecDeque;

use crate::dhcpv6::IaKind;
use crate::identity::Identifier;
use crate::octets::Octets;
use crate::time::Timestamp;
use crate::tracker::{Exchange4, Exchange6, Lease4, Lease6, LeaseEvent};

use super::followed::Followed;
use super::happening::{Exchange, Happening};
use super::lease::{Key, Lease};
use super::step::{Step, Steps};
use super::{Call, Dialect, Loss, Memory};

pub(super) use environment::PATH;

use environment::{Told, hostname};
use holders::{Holders, Name};
use reading::{Manner, hwaddr6, kept, manner4, manner6, with_name, with_relay};

/// How many scripts run at once when nobody says otherwise: dnsmasq runs one after the other, and scripts that people have
/// written rely on it.
pub const MAX_PARALLEL: usize = 1;

/// What the wire does not tell of dnsmasq's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--script-on-renewal`: a renewal that changes nothing but the end of the lease is told too.
    pub script_on_renewal: bool,
    /// `--leasefile-ro`: the script keeps the leases, so it is told of everything that is kept, client identifiers too.
    pub leasefile_ro: bool,
    /// `--domain`: DNSMASQ_DOMAIN of a lease that has a name.
    pub domain: Option<String>,
    /// DNSMASQ_TAGS, blanks between.
    pub tags: Option<String>,
    /// `--log-dhcp`: DNSMASQ_LOG_DHCP.
    pub log_dhcp: bool,
}

/// The first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Add,
    Old,
    Del,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Old => "old",
            Self::Del => "del",
        }
    }
}

/// The dialect. The leases that it follows have the host name that dnsmasq would have given them, and what dnsmasq keeps of
/// earlier messages: relay, client identifier, hardware address.
#[derive(Debug)]
pub struct Dnsmasq {
    options: Options,
    leases: Followed,
    holders: Holders,
    steps: Steps,
    server_duid: Option<Identifier>,
    memories: VecDeque<Memory>,
    calls: VecDeque<Call>,
}

/// The memory of the server's DUID.
const SERVER_DUID: &[u8] = b"server-duid";

/// What is to be told of a lease once dnsmasq is done with a message.
struct Turn {
    action: Action,
    lease: Lease,
    before: Option<Lease>,
    /// Its name has become another one, or none.
    loses_name: bool,
    /// It counts as new or changed.
    is_change: bool,
    /// The message was another client's, which took the name.
    is_loser: bool,
}

impl Dnsmasq {
    /// The dialect for one hook; `limit` is how many leases it follows at once, see [`super::DEFAULT_LIMIT`].
    pub fn new(options: Options, limit: usize) -> Self {
        Self {
            options,
            leases: Followed::new(limit),
            holders: Holders::default(),
            steps: Steps::new(),
            server_duid: None,
            memories: VecDeque::new(),
            calls: VecDeque::new(),
        }
    }

    fn call(&mut self, told: Told<'_>) {
        let told = Told { server_duid: self.server_duid.as_ref(), ..told };
        self.calls.push_back(environment::call(told, &self.options));
    }

    fn put(&mut self, lease: Lease) -> bool {
        self.forget_name(lease.key());
        let name = Name::of(&lease);
        let is_followed = self.leases.put(lease);
        self.holders.insert(name.filter(|_| is_followed));
        is_followed
    }

    fn forget_name(&mut self, key: Key) {
        self.holders.remove(self.leases.get(key).and_then(Name::of));
    }

    /// Tells the end of a lease that was told of.
    fn del(&mut self, key: Key, happening: Happening<'_>) {
        self.forget_name(key);
        if let Some(lease) = self.leases.remove(key) {
            let (action, before, old_name) = (Action::Del, None, None);
            self.call(Told {
                action,
                happening,
                lease: &lease,
                before,
                old_name,
                has_data: false,
                server_duid: None,
            });
        }
    }

    fn del_of(&mut self, lease: impl Into<Lease>, happening: Happening<'_>) {
        let lease = lease.into();
        if self.leases.get(lease.key()).is_some_and(|known| known.is_same_client(&lease)) {
            self.del(lease.key(), happening);
        }
    }

    /// Takes the name from the first other lease that has it, as dnsmasq does: a name belongs to whom it was given last. In
    /// DHCPv6 all leases of one client may share a name.
    fn take_name(&mut self, lease: &Lease) -> Option<Turn> {
        let name = Name::of(lease)?;
        let duid = |lease: &Lease| match lease {
            Lease::V6(lease) => Some(lease.duid.clone()),
            Lease::V4(_) => None,
        };
        let loses = |other: &Lease| matches!(other, Lease::V4(_)) || duid(other) != duid(lease);
        let loser = self.holders.others(&name).find(|other| self.leases.get(*other).is_some_and(loses))?;
        let before = self.leases.get(loser).cloned()?;
        let lease = with_name(before.clone(), Octets::default());
        self.put(lease.clone());
        Some(Turn {
            action: Action::Old,
            lease,
            before: Some(before),
            loses_name: true,
            is_change: true,
            is_loser: true,
        })
    }

    /// The server has said that the client holds a lease. `name` is the one that the exchange gives, if any. What is to be
    /// told of it, and of who loses his name by it, goes to `turns`.
    fn grant(
        &mut self,
        lease: Lease,
        name: Option<Octets>,
        manner: Manner,
        (happening, wanted): (Happening<'_>, bool),
        turns: &mut Vec<Turn>,
    ) {
        let key = lease.key();
        if self.leases.get(key).is_some_and(|known| !known.is_same_client(&lease)) {
            self.del(key, happening);
        }
        let before = self.leases.get(key).cloned();
        let keeps_name = || match &before {
            Some(before) => hostname(before).into(),
            // A lease that is told of at the start has the name that is stored with it.
            None if happening.is_announcement() => name::legal(hostname(&lease)).unwrap_or_default().into(),
            None => Octets::default(),
        };
        let name = name.unwrap_or_else(keeps_name);
        let lease = with_name(lease, name);
        let Some(before) = before else {
            if wanted && self.leases.has_room(key) {
                turns.extend(self.take_name(&lease));
                self.put(lease.clone());
                let action = if happening.is_announcement() { Action::Old } else { Action::Add };
                turns.push(Turn {
                    action,
                    lease,
                    before: None,
                    loses_name: false,
                    is_change: true,
                    is_loser: false,
                });
            }
            return;
        };
        let lease = kept(lease, &before);
        if !wanted {
            self.put(lease);
            return;
        }
        let is_renamed = !hostname(&lease).eq_ignore_ascii_case(hostname(&before));
        if is_renamed {
            turns.extend(self.take_name(&lease));
        }
        self.put(lease.clone());
        turns.push(Turn {
            action: Action::Old,
            loses_name: is_renamed && !hostname(&before).is_empty(),
            is_change: is_renamed || manner.is_change || self.is_changed(&before, &lease),
            lease,
            before: Some(before),
            is_loser: false,
        });
    }

    /// Tells what a message has changed as dnsmasq does when it is done with it: it goes through its list, the youngest lease
    /// first, once for names that were lost and once for everything else.
    fn tell(&mut self, mut turns: Vec<Turn>, manner: Manner, happening: Happening<'_>) {
        turns.sort_by_key(|turn| std::cmp::Reverse(self.leases.number(turn.lease.key())));
        let alone = Happening::alone(happening.at, happening.event, happening.estimated);
        let of = |turn: &Turn| {
            if turn.is_loser {
                return (alone, false);
            }
            (happening, if turn.before.is_none() { !happening.is_announcement() } else { manner.has_data })
        };
        for turn in turns.iter().filter(|turn| turn.loses_name) {
            let ((happening, has_data), before) = (of(turn), turn.before.clone());
            self.call(Told {
                action: Action::Old,
                happening,
                lease: &turn.lease,
                old_name: turn.before.as_ref().map(hostname),
                before,
                has_data,
                server_duid: None,
            });
        }
        for turn in turns.iter().filter(|turn| turn.is_change) {
            let (happening, has_data) = of(turn);
            // That the name is gone was told.
            let before = turn.before.clone().filter(|_| !turn.is_loser);
            self.call(Told {
                action: turn.action,
                happening,
                lease: &turn.lease,
                before,
                old_name: None,
                has_data,
                server_duid: None,
            });
        }
    }

    /// Whether dnsmasq calls a lease changed.
    fn is_changed(&self, before: &Lease, now: &Lease) -> bool {
        let (hwaddr, identifier) = match (before, now) {
            (Lease::V4(before), Lease::V4(now)) => {
                (before.hwaddr != now.hwaddr, before.client_id != now.client_id)
            }
            (Lease::V6(before), Lease::V6(now)) => (before.hwaddr != now.hwaddr, false),
            _ => (false, false),
        };
        let has_moved = match (before.interface(), now.interface()) {
            (Some(before), Some(now)) => before.name != now.name,
            _ => false,
        };
        let other_end = before.end().map(Timestamp::unix_seconds) != now.end().map(Timestamp::unix_seconds);
        hwaddr
            || has_moved
            || (self.options.script_on_renewal && other_end)
            || (self.options.leasefile_ro && (other_end || identifier))
    }

    fn committed4(
        &mut self,
        exchange: &Exchange4,
        leases: &[Lease4],
        deleted: &[Lease4],
        event: &LeaseEvent,
        wanted: bool,
    ) {
        let happening = Happening::of(event, Exchange::V4(exchange));
        for lease in deleted {
            self.del_of(lease, happening);
        }
        let name = name::of4(exchange);
        let says = manner4(exchange);
        let mut turns = Vec::new();
        for lease in self.steps.renewed.granted4(exchange, leases, event) {
            let lease = with_relay(lease, exchange);
            self.grant(lease, name.clone(), says, (happening, wanted), &mut turns);
        }
        self.tell(turns, says, happening);
    }

    fn committed6(
        &mut self,
        exchange: &Exchange6,
        leases: &[Lease6],
        deleted: &[Lease6],
        event: &LeaseEvent,
        wanted: bool,
    ) {
        self.learn_server(exchange);
        let happening = Happening::of(event, Exchange::V6(exchange));
        for lease in deleted {
            self.del_of(lease, happening);
        }
        let name = name::of6(exchange);
        let says = manner6(exchange);
        let address = hwaddr6(exchange);
        let granted = self.steps.renewed.granted6(exchange, leases, event, |key| self.leases.get(key));
        let mut turns = Vec::new();
        for lease in granted {
            let Lease::V6(lease) = lease else { continue };
            // dnsmasq delegates no prefixes, and its script has no word for them.
            if lease.kind == IaKind::PrefixDelegation {
                continue;
            }
            // Only a lasting address is given a name.
            let name = name.clone().filter(|_| lease.kind == IaKind::NonTemporary);
            let lease = Lease6 { hwaddr: address, ..*lease };
            self.grant(Lease::V6(Box::new(lease)), name, says, (happening, wanted), &mut turns);
        }
        self.tell(turns, says, happening);
    }

    fn learn_server(&mut self, exchange: &Exchange6) {
        let Some(duid) = exchange.answer.as_deref().and_then(|answer| answer.message.server_duid()) else {
            return;
        };
        if self.server_duid.as_ref().is_none_or(|known| known.octets() != duid) {
            self.server_duid = Some(Identifier::new(duid));
            self.memories.push_back(Memory { key: SERVER_DUID.to_vec(), value: Some(duid.to_vec()) });
        }
    }
}

impl Dialect for Dnsmasq {
    fn handle_event(&mut self, event: &LeaseEvent, wanted: bool) {
        match self.steps.take(event) {
            Step::Committed4 { exchange, leases, deleted } => {
                self.committed4(exchange, leases, deleted, event, wanted);
            }
            Step::Committed6 { exchange, leases, deleted } => {
                self.committed6(exchange, leases, deleted, event, wanted);
            }
            Step::Ended { lease, happening, .. } => {
                if let Exchange::V6(exchange) = happening.exchange {
                    self.learn_server(exchange);
                }
                self.del_of(lease, happening);
            }
            // dnsmasq has no script for what is not about its leases.
            Step::Heard4(_) | Step::Heard6(_) | Step::Aside => {}
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((key, happening)) = self.steps.overdue(&self.leases, now) {
            self.del(key, happening);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.leases.next_end().map(|(end, _)| end)
    }

    fn losses(&self) -> Vec<Loss> {
        self.leases.losses()
    }

    fn poll_call(&mut self) -> Option<Call> {
        self.calls.pop_front()
    }

    fn poll_memory(&mut self) -> Option<Memory> {
        self.memories.pop_front().or_else(|| self.leases.poll_memory())
    }

    fn recall(&mut self, key: &[u8], value: &[u8]) {
        if key == SERVER_DUID {
            self.server_duid = Some(Identifier::new(value));
            return;
        }
        if let Some(key) = self.leases.recall(key, value) {
            self.holders.insert(self.leases.get(key).and_then(Name::of));
        }
    }
}
