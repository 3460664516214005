//! Messages of any kind at any time through the tracker: what comes out is true of what went in, in order, within bounds.
//!
//! An input is a script: two octets choose the circumstances, then each octet is a step. A step lets time pass and then
//! shows the tracker a message: any payload at all, or one made of a few octets, so that a fuzzer soon has clients, leases
//! and servers that meet.

mod craft;
mod script;

use std::sync::Arc;

use dhcp_observer::config::{ServerConfig, Subnet4};
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::network::{self, Kind, Watch};
use dhcp_observer::tracker::{Answers, Limits, Observed, Tracker};

use crate::bytes::Bytes;
use crate::model::Model;
use crate::rendered::{self, VERSIONS};

pub use script::encode;

/// The tracker, what watches beside it, and what they may say next.
struct Stage {
    tracker: Tracker,
    watch: Watch,
    model: Model,
    limits: Limits,
    now: Timestamp,
}

/// One script.
pub fn run(input: &[u8]) {
    let mut input = Bytes::new(input);
    let mut stage = Stage::new(input.octet(), input.octet());
    while !input.is_empty() {
        let step = script::Step::read(&mut input, stage.now, stage.tracker.poll_timeout());
        stage.pass_time(step.at);
        if let Some(message) = step.message {
            stage.show(message);
        }
    }
    stage.tracker.handle_end();
    stage.hear();
    stage.pass_time(Timestamp::MAX);
}

impl Stage {
    fn new(how: u8, timers: u8) -> Self {
        let answers = [Answers::Out, Answers::In, Answers::Both, Answers::Both][usize::from(how) % 4];
        let version = VERSIONS[usize::from(how >> 2) % 4];
        let mut config = ServerConfig::of(version);
        if how & 16 != 0 {
            let subnet = |id, prefix: [u8; 4]| Subnet4 {
                shared_network: Some("both".into()),
                match_client_id: id != 2,
                store_extended_info: true,
                ..Subnet4::new(id, prefix.into(), 24)
            };
            config.dhcp4.configured = true;
            config.dhcp4 =
                config.dhcp4.with_subnets(vec![subnet(1, [192, 0, 2, 0]), subnet(2, [198, 51, 100, 0])]);
            config.dhcp6.configured = true;
        }
        let choose = |shift: u8, among: [u32; 4]| among[usize::from(timers >> shift) % 4];
        let expired = &mut config.dhcp4.expired_leases;
        expired.reclaim_timer_wait_time = choose(0, [10, 10, 10, 0]);
        expired.hold_reclaimed_time = choose(2, [3_600, 60, 0, u32::MAX]);
        expired.flush_reclaimed_timer_wait_time = choose(4, [25, 25, 25, 0]);
        config.dhcp6.expired_leases = *expired;
        config.dhcp4.decline_probation_period = choose(6, [86_400, 50, 0, u32::MAX]);
        config.dhcp6.decline_probation_period = config.dhcp4.decline_probation_period;
        let limits = if how & 32 != 0 {
            Limits { leases: 3, exchanges: 4 }
        } else {
            Limits { leases: 100_000, exchanges: 1_024 }
        };
        let kinds = if how & 64 != 0 { Kind::ALL.into_iter().collect() } else { network::Kinds::default() };
        let mut tracker = Tracker::new(Arc::new(config), answers, limits);
        tracker.tell_heard(how & 128 != 0);
        Self {
            tracker,
            watch: Watch::new(network::Options { kinds, ..network::Options::default() }, answers),
            model: Model::new(version),
            limits,
            now: Timestamp::from_seconds(1_700_000_000),
        }
    }

    /// Every deadline up to `at` happens, one by one, and a clock that is looked at once more changes nothing.
    fn pass_time(&mut self, at: Timestamp) {
        while let Some(due) = self.next().filter(|due| *due <= at) {
            self.tracker.handle_timeout(due);
            self.watch.handle_timeout(due);
            assert!(self.next().is_none_or(|next| next > due), "what was due has happened");
            self.now = self.now.max(due);
            self.hear();
        }
        self.now = self.now.max(at);
        self.tracker.handle_timeout(at);
        self.watch.handle_timeout(at);
        assert!(self.tracker.poll_event().is_none() && self.watch.poll_event().is_none());
    }

    fn next(&self) -> Option<Timestamp> {
        [self.tracker.poll_timeout(), self.watch.poll_timeout()].into_iter().flatten().min()
    }

    fn show(&mut self, message: Observed) {
        self.watch.handle_message(self.now, &message, &self.tracker);
        self.tracker.handle_message(self.now, message);
        self.hear();
    }

    fn hear(&mut self) {
        let counters = self.tracker.counters();
        let limit = self.limits.leases as u64;
        assert!(counters.leases4 <= limit && counters.leases6 <= limit, "{counters:?}");
        assert!(counters.deadlines <= 1_024 + 2 * (counters.leases4 + counters.leases6), "{counters:?}");
        self.model.is_complete &= counters.leases_over_limit == 0;
        let mut said = Vec::new();
        while let Some(event) = self.tracker.poll_event() {
            said.push(event);
        }
        said.iter().for_each(|event| self.model.take(event));
        while let Some(event) = self.watch.poll_event() {
            said.push(event);
        }
        for event in &said {
            assert!(event.at <= self.now, "nothing is told before it happens");
            rendered::check(event);
        }
    }
}
