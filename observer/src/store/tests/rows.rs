use std::collections::BTreeMap;

use super::generate::Random;
use super::*;
use crate::dhcpv6::IaKind;

#[test]
fn generated_leases_come_back_exactly() {
    let scratch = Scratch::new();
    let mut store = start(open(scratch.path()));
    let mut random = Random(1);
    let (mut leases4, mut leases6) = (BTreeMap::new(), BTreeMap::new());
    let mut change = Change::default();
    for _ in 0..3_000 {
        let (lease4, lease6) = (random.lease4(1 << 20), random.lease6(1 << 20));
        change.leases.push(LeaseChange::Put4(lease4.clone()));
        change.leases.push(LeaseChange::Put6(lease6.clone()));
        leases4.insert(lease4.address, lease4);
        leases6.insert((lease6.kind == IaKind::PrefixDelegation, lease6.address), lease6);
    }
    put(&mut store, change);
    store.close();
    let mut archive = open(scratch.path());
    let (found4, found6) = leases(&mut archive);
    assert_eq!((found4.len(), found6.len()), (leases4.len(), leases6.len()));
    for found in found4 {
        assert_eq!(leases4.get(&found.address), Some(&found));
    }
    for found in found6 {
        let key = (found.kind == IaKind::PrefixDelegation, found.address);
        assert_eq!(leases6.get(&key), Some(&found));
    }
}

#[test]
fn a_call_comes_back_exactly() {
    let scratch = Scratch::new();
    let mut store = start(open(scratch.path()));
    put(&mut store, change(1));
    store.close();
    let mut archive = open(scratch.path());
    assert_eq!(
        archive.restored().calls,
        [StoredCall { tried: Tried { attempts: 1, failures: 0 }, ..call(1, 0) }]
    );
}

#[test]
fn people_can_read_it() {
    let scratch = Scratch::new();
    let mut store = start(open(scratch.path()));
    let mut lease = Random(3).lease4(1);
    lease.hostname = b"h\xf6st".as_slice().into();
    lease.hwaddr = crate::identity::HardwareAddress::ethernet([2, 0, 0, 0, 0, 9]);
    lease.cltt = Timestamp::from_seconds(1_000);
    lease.valid_lifetime = crate::time::Lifetime::Seconds(600);
    put(&mut store, Change { leases: vec![LeaseChange::Put4(lease)], ..Change::default() });
    // While the daemon has it.
    let text = "SELECT address || ' ' || hwaddr || ' ' || datetime(expires, 'unixepoch') FROM leases4";
    assert_eq!(sql::<String>(&scratch, text), "192.0.2.0 02:00:00:00:00:09 1970-01-01 00:26:40");
    assert_eq!(sql::<Vec<u8>>(&scratch, "SELECT hostname FROM leases4"), b"h\xf6st");
    store.close();
}

#[test]
fn rows_that_people_have_spoiled_are_passed_over() {
    let scratch = Scratch::new();
    let mut store = start(open(scratch.path()));
    let mut random = Random(5);
    let mut change = change(1);
    change.leases.extend([
        LeaseChange::Put4(Lease4 { address: [192, 0, 2, 1].into(), ..random.lease4(1) }),
        LeaseChange::Put4(Lease4 { address: [192, 0, 2, 2].into(), ..random.lease4(1) }),
    ]);
    put(&mut store, change);
    store.close();
    let connection = rusqlite::Connection::open(scratch.database()).unwrap();
    connection.execute_batch("UPDATE leases4 SET state = 'lost' WHERE address = '192.0.2.1'").unwrap();
    connection.execute_batch("UPDATE outbox SET subjects = 'nothing'; UPDATE meta SET value = 'x'").unwrap();
    drop(connection);
    let mut archive = open(scratch.path());
    assert_eq!(leases(&mut archive).0.len(), 1);
    assert_eq!(calls(&mut archive), []);
    assert_eq!(archive.restored().next_event, 2);
}
