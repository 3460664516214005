use std::sync::Arc;

use super::*;
use crate::config::{Dhcp4, Dhcp6, ExpiredLeases, PdPool, ServerConfig, Subnet4, Subnet6};
use crate::identity::{ClientId, Duid, HardwareAddress};
use crate::octets::Octets;
use crate::time::{Lifetime, Timestamp};
use crate::tracker::{Answers, LeaseChange, LeaseState, Limits, Occurrence};

const NOW: i64 = 1_795_280_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds)
}

/// A lease of 600 s that ends `left` seconds from now.
fn lease4(last: u8, left: i64) -> Lease4 {
    Lease4 {
        address: [192, 0, 2, last].into(),
        hwaddr: HardwareAddress::ethernet([2, 0, 0, 0, 0, last]),
        client_id: Some(ClientId::new(&[last])),
        hostname: Octets::default(),
        cltt: at(left - 600),
        valid_lifetime: Lifetime::Seconds(600),
        state: LeaseState::Default,
        subnet_id: None,
        place: Arc::default(),
        relay: None,
    }
}

fn lease6(kind: IaKind, address: &str, prefix_len: u8) -> Lease6 {
    Lease6 {
        kind,
        address: address.parse().unwrap(),
        prefix_len,
        duid: Duid::new(&[0, 3, 0, 1, 2, 0, 0, 0, 0, 1]),
        iaid: 1,
        hwaddr: None,
        hostname: Octets::default(),
        cltt: at(-600),
        preferred_lifetime: Lifetime::Seconds(300),
        valid_lifetime: Lifetime::Seconds(600),
        state: LeaseState::Default,
        subnet_id: None,
        place: Arc::default(),
        way: None,
        relay_information: None,
    }
}

fn tracker(config: ServerConfig) -> Tracker {
    Tracker::new(Arc::new(config), Answers::Both, Limits::default())
}

/// Each event: when, which hook point, which address or subnet.
fn events(tracker: &mut Tracker) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    while let Some(event) = tracker.poll_event() {
        let what = match &event.occurrence {
            Occurrence::Expire4 { lease, .. } => format!("expire {} {:?}", lease.address, lease.subnet_id),
            Occurrence::Recover4 { lease } => format!("recover {} {:?}", lease.address, lease.subnet_id),
            Occurrence::Expire6 { lease, .. } => format!("expire {} {:?}", lease.address, lease.subnet_id),
            other => format!("{other:?}"),
        };
        assert!(!event.estimated);
        found.push((event.at.unix_seconds() - NOW, what));
    }
    found
}

#[test]
fn what_is_over_ends_at_once_in_its_own_order() {
    let mut tracker = tracker(ServerConfig::default());
    let reclaimed = Lease4 { state: LeaseState::ExpiredReclaimed, ..lease4(4, -60) };
    let declined = Lease4 { state: LeaseState::Declined, subnet_id: Some(9), ..lease4(5, -5) };
    let forgotten = Lease4 { state: LeaseState::ExpiredReclaimed, ..lease4(6, -3_600) };
    tracker.seed([lease4(1, -10), lease4(2, -20), lease4(3, 30), reclaimed, declined, forgotten], []);
    assert_eq!(tracker.counters().leases4, 6);
    assert_eq!(events(&mut tracker), []);
    tracker.handle_timeout(at(0));
    let expected = [
        (-20, "expire 192.0.2.2 None".to_owned()),
        (-10, "expire 192.0.2.1 None".to_owned()),
        (-5, "expire 192.0.2.5 Some(9)".to_owned()),
        (-5, "recover 192.0.2.5 Some(9)".to_owned()),
    ];
    assert_eq!(events(&mut tracker), expected);
    // The reclaimed ones are still held, but the one whose hold time was over and the declined one.
    assert_eq!(tracker.counters().leases4, 4);
    assert_eq!(tracker.poll_timeout(), Some(at(30)));
    tracker.handle_timeout(at(30));
    assert_eq!(events(&mut tracker), [(30, "expire 192.0.2.3 None".to_owned())]);
    tracker.handle_timeout(at(30 + 3_600));
    assert_eq!(events(&mut tracker), []);
    assert_eq!(tracker.counters().leases4, 0);
}

#[test]
fn without_a_reclamation_timer_nothing_ends() {
    let mut config = ServerConfig::default();
    config.dhcp4.expired_leases = ExpiredLeases { reclaim_timer_wait_time: 0, ..ExpiredLeases::default() };
    let mut tracker = tracker(config);
    tracker.seed([lease4(1, -10)], []);
    assert_eq!(tracker.poll_timeout(), None);
    assert_eq!(tracker.counters().leases4, 1);
}

#[test]
fn the_configuration_names_subnets_and_who_is_who() {
    let heedless = Subnet4 { match_client_id: false, ..Subnet4::new(7, [192, 0, 2, 0].into(), 24) };
    let pool = PdPool {
        prefix: "2001:db8:8000::".parse().unwrap(),
        prefix_len: 40,
        delegated_len: 56,
        excluded: None,
    };
    let subnet6 = Subnet6 { pd_pools: vec![pool], ..Subnet6::new(17, "2001:db8:1::".parse().unwrap(), 64) };
    let mut tracker = tracker(ServerConfig {
        dhcp4: Dhcp4::default().with_subnets(vec![heedless]),
        dhcp6: Dhcp6::default().with_subnets(vec![subnet6]),
        ..ServerConfig::default()
    });
    let address = lease6(IaKind::NonTemporary, "2001:db8:1::1000", 128);
    let named = Lease6 { subnet_id: Some(3), ..lease6(IaKind::NonTemporary, "2001:db8:1::1001", 128) };
    let prefix = lease6(IaKind::PrefixDelegation, "2001:db8:8000::", 56);
    tracker.seed([lease4(1, 10)], [address, named, prefix]);
    let seeded = tracker.leases4.get([192, 0, 2, 1].into()).unwrap();
    assert_eq!((seeded.subnet_id, &seeded.client_id), (Some(7), &None));
    tracker.handle_timeout(at(0));
    let expected = [
        (0, "expire 2001:db8:1::1000 Some(17)".to_owned()),
        (0, "expire 2001:db8:1::1001 Some(3)".to_owned()),
        (0, "expire 2001:db8:8000:: Some(17)".to_owned()),
    ];
    assert_eq!(events(&mut tracker), expected);
}

#[test]
fn a_tracker_that_goes_on_where_another_was_tells_the_same() {
    let states = [
        LeaseState::Default,
        LeaseState::Declined,
        LeaseState::ExpiredReclaimed,
        LeaseState::Released,
        LeaseState::Registered,
    ];
    let lease = |last: u8| {
        let state = states[usize::from(last) % states.len()];
        let valid_lifetime = match (state, last % 7) {
            (LeaseState::Released, _) => Lifetime::Seconds(0),
            (_, 6) => Lifetime::Infinite,
            _ => Lifetime::Seconds(600),
        };
        Lease4 { state, valid_lifetime, ..lease4(last, i64::from(last) * 10 - 300) }
    };
    let lease6 = |last: u8| Lease6 {
        state: states[usize::from(last) % states.len()],
        ..lease6(IaKind::NonTemporary, &format!("2001:db8::{last:x}"), 128)
    };
    let mut first = tracker(ServerConfig::default());
    first.seed((1..=100).map(lease), (1..=20).map(lease6));
    first.resume(at(100), [[192, 0, 2, 254].into()]);
    first.handle_timeout(at(100));
    while first.poll_event().is_some() {}
    let everything = |tracker: &Tracker| {
        let mut all = Vec::new();
        let mut cursor = Some(Default::default());
        while let Some(from) = cursor {
            let (changes, next) = tracker.leases_from(from, 16);
            all.extend(changes);
            cursor = next;
        }
        all.sort_by_key(|change| format!("{change:?}"));
        all
    };
    let left = everything(&first);
    assert!(left.len() > 80, "{}", left.len());
    let mut second = tracker(ServerConfig::default());
    for change in left.clone() {
        match change {
            LeaseChange::Put4(lease) => second.seed([lease], []),
            LeaseChange::Put6(lease) => second.seed([], [lease]),
            other => panic!("{other:?}"),
        }
    }
    second.resume(at(100), first.servers4());
    assert_eq!(everything(&second), left);
    assert!(second.servers4().eq(first.servers4()));
    let mut told = 0;
    for now in 100..5_000 {
        let mut events = |tracker: &mut Tracker| {
            tracker.handle_timeout(at(now));
            let mut found: Vec<_> = std::iter::from_fn(|| tracker.poll_event())
                .map(|event| (event.at, format!("{:?}", event.occurrence)))
                .collect();
            // Of one moment the order is that in which the leases were put in.
            found.sort();
            told += found.len();
            found
        };
        assert_eq!(events(&mut first), events(&mut second), "{now}");
    }
    assert!(told > 50, "{told}");
    assert_eq!(everything(&second), everything(&first));
}
