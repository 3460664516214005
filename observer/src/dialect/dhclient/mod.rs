//! The dialect of dhclient-script(8), ISC DHCP 4.4: every client's lease as its own dhclient would tell it to its script.
//!
//! Unlike Kea's, this dialect follows the client: it remembers what each was given, so that a renewal can say what was
//! before, and a lease that runs out is told in the words of the client. The README lists what the wire cannot
//! tell.

mod agenda;
mod format;
mod memory;
mod names;
mod options4;
mod options6;
mod spaces;
mod suspect;
mod table;
mod telling;
pub(super) use telling::PATH;
mod v4;
mod v6;
mod values;
mod values4;
mod values6;

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Timestamp;
use crate::tracker::LeaseEvent;

use super::{Call, Dialect, Loss, Memory, Options};

use suspect::Check;

/// What a hook of this dialect can be told to do otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a client searches for a server before it gives up (`timeout` of dhclient.conf(5)): FAIL or TIMEOUT.
    pub timeout: Duration,
}

impl From<&Options> for Settings {
    fn from(options: &Options) -> Self {
        Self { timeout: options.search_timeout.unwrap_or(Self::default().timeout) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60) }
    }
}

/// How much the dialect keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Leases of each family. A lease over the limit has its call but is not remembered, and is counted.
    pub leases: usize,
    /// Clients of each family that search for a server. The oldest one makes room, and is counted.
    pub searches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = crate::tracker::Limits::default();
        Self { leases: limits.leases, searches: limits.exchanges }
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Leases that are remembered, those that have ended a short while ago included.
    pub leases: u64,
    /// Clients that search for a server.
    pub searches: u64,
    /// Leases that were not remembered because the table was full.
    pub leases_over_limit: u64,
    /// Searches that made room for others before their time.
    pub searches_evicted: u64,
    /// Values that were left out because a script could stumble over them.
    pub suspect_values: u64,
}

/// Counts the values that are left out.
#[derive(Debug, Default)]
struct Suspects(u64);

impl Suspects {
    /// Whether a value may go to the script.
    fn pass(&mut self, check: Option<Check>, value: &[u8]) -> bool {
        let passes = check.is_none_or(|check| check.is_passed_by(value));
        self.0 += u64::from(!passes);
        passes
    }
}

/// What comes out: calls, and what is to be remembered.
#[derive(Debug, Default)]
struct Outlet {
    calls: VecDeque<Call>,
    memories: VecDeque<Memory>,
    suspects: Suspects,
}

/// The dialect.
#[derive(Debug)]
pub struct Dhclient {
    v4: v4::Clients,
    v6: v6::Clients,
    outlet: Outlet,
}

impl Dhclient {
    /// A dialect that has seen nothing.
    pub fn new(settings: Settings, limits: Limits) -> Self {
        Self {
            v4: v4::Clients::new(settings, limits),
            v6: v6::Clients::new(limits),
            outlet: Outlet::default(),
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let (v4, v6) = (self.v4.counters(), self.v6.counters());
        Counters {
            leases: v4.leases + v6.leases,
            searches: v4.searches + v6.searches,
            leases_over_limit: v4.leases_over_limit + v6.leases_over_limit,
            searches_evicted: v4.searches_evicted + v6.searches_evicted,
            suspect_values: self.outlet.suspects.0,
        }
    }
}

impl Default for Dhclient {
    fn default() -> Self {
        Self::new(Settings::default(), Limits::default())
    }
}

impl Dialect for Dhclient {
    fn wants_heard(&self) -> bool {
        true
    }

    fn handle_event(&mut self, event: &LeaseEvent, wanted: bool) {
        // Own deadlines are no deadlines of the tracker; the caller fires them, and doing so twice does no harm.
        self.handle_timeout(event.at);
        self.v4.handle_event(event, wanted, &mut self.outlet);
        self.v6.handle_event(event, wanted, &mut self.outlet);
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now) {
            self.v4.handle_timeout(due, &mut self.outlet);
            self.v6.handle_timeout(due, &mut self.outlet);
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        [self.v4.poll_timeout(), self.v6.poll_timeout()].into_iter().flatten().min()
    }

    fn losses(&self) -> Vec<Loss> {
        let Counters { leases_over_limit, searches_evicted, suspect_values, .. } = self.counters();
        vec![
            Loss::over_limit("leases_over_limit", leases_over_limit),
            // Clients that are not followed any more.
            Loss::over_limit("searches_evicted", searches_evicted),
            Loss::suspect("suspect_values", suspect_values),
        ]
    }

    fn set_options(&mut self, options: &Options) {
        self.v4.set_settings(options.into());
    }

    fn poll_call(&mut self) -> Option<Call> {
        self.outlet.calls.pop_front()
    }

    fn poll_memory(&mut self) -> Option<Memory> {
        self.outlet.memories.pop_front()
    }

    fn recall(&mut self, key: &[u8], value: &[u8]) {
        match key.split_first() {
            Some((4, _)) => self.v4.recall(value),
            Some((6, _)) => self.v6.recall(value),
            _ => {}
        }
    }
}
