use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{Answers, LeaseState, Limits};
use super::*;
use crate::config::ServerConfig;
use crate::identity::HardwareAddress;
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};

fn lease(last: u8, cltt: i64) -> Lease4 {
    Lease4 {
        address: [192, 0, 2, last].into(),
        hwaddr: HardwareAddress::ethernet([2, 0, 0, 0, 0, last]),
        client_id: None,
        hostname: Octets::default(),
        cltt: Timestamp::from_seconds(cltt),
        valid_lifetime: Lifetime::Seconds(600),
        state: LeaseState::Default,
        subnet_id: None,
        place: Arc::default(),
        relay: None,
    }
}

fn tracker() -> Tracker {
    Tracker::new(Arc::new(ServerConfig::default()), Answers::Both, Limits::default())
}

fn changes(tracker: &mut Tracker) -> Vec<LeaseChange> {
    std::iter::from_fn(|| tracker.poll_change()).collect()
}

#[test]
fn a_lease_is_told_when_it_comes_when_it_ends_and_when_it_is_forgotten() {
    let mut tracker = tracker();
    tracker.seed([lease(1, 0)], []);
    assert_eq!(changes(&mut tracker), [], "nobody wanted to know");
    tracker.record_changes(true);
    tracker.seed([lease(2, 0), lease(2, 5), lease(3, 9)], []);
    let put = [LeaseChange::Put4(lease(3, 9)), LeaseChange::Put4(lease(2, 5))];
    assert_eq!(changes(&mut tracker), put);
    assert_eq!(changes(&mut tracker), []);
    // Lease 1, at 600 s, and lease 2, at 605 s, end; the hold time is an hour.
    tracker.handle_timeout(Timestamp::from_seconds(605));
    let over =
        |last, cltt| LeaseChange::Put4(Lease4 { state: LeaseState::ExpiredReclaimed, ..lease(last, cltt) });
    assert_eq!(changes(&mut tracker), [over(2, 5), over(1, 0)]);
    tracker.handle_timeout(Timestamp::from_seconds(600 + 3_600));
    assert_eq!(changes(&mut tracker), [LeaseChange::Gone4([192, 0, 2, 1].into()), over(3, 9)]);
    tracker.record_changes(false);
    tracker.handle_timeout(Timestamp::from_seconds(10_000));
    assert_eq!(changes(&mut tracker), []);
    assert_eq!(tracker.counters().leases4, 0);
}

#[test]
fn a_walk_finds_every_lease_however_small_its_steps() {
    let mut tracker = tracker();
    tracker.seed((1..=100).map(|last| lease(last, 0)), []);
    for steps in [1, 7, 1_000] {
        let mut found = BTreeMap::new();
        let mut cursor = Some(LeaseCursor::default());
        while let Some(at) = cursor {
            let (leases, next) = tracker.leases_from(at, steps);
            for change in leases {
                if let LeaseChange::Put4(lease) = change {
                    assert!(found.insert(lease.address, lease).is_none());
                }
            }
            cursor = next;
        }
        assert_eq!(found.len(), 100, "{steps}");
    }
}
