use std::path::PathBuf;

use super::*;
use crate::seed::Seed;

fn read(text: &str) -> Seed {
    let mut ledger = Ledger::default();
    parse(PathBuf::from("leases.csv").into(), text.as_bytes(), &mut ledger);
    ledger.into_seed()
}

fn skipped(seed: &Seed) -> Vec<String> {
    seed.skipped.iter().map(ToString::to_string).collect()
}

const V4: &str = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n";
const V6: &str = "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,\
                  hostname,hwaddr,state,user_context,hwtype,hwaddr_source\n";

#[test]
fn later_rows_supersede_and_zero_takes_out() {
    let seed = read(&format!(
        "{V4}\
         192.0.2.100,02:00:00:00:00:01,01:02:00:00:00:00:01,600,1795284000,7,0,0,a&#x2cb.example.org,0,\n\
         192.0.2.101,02:00:00:00:00:02,,600,1795284000,7,0,0,,0,\n\
         192.0.2.100,02:00:00:00:00:01,01:02:00:00:00:00:01,600,1795284300,7,1,1,a&#x2cb.example.org,0,{{ \"a\": 1 }}\n\
         192.0.2.101,02:00:00:00:00:02,,0,1795283400,7,0,0,,0,\n\
         192.0.2.102,,,86400,1795370400,7,0,0,,1,\n\
         192.0.2.103,02:00:00:00:00:03,,4294967295,6090250695,7,0,0,,0,\n\
         192.0.2.104,02:00:00:00:00:04,,600,1795284000,7,0,0,,3,\n\
         192.0.2.105,02:00:00:00:00:05,,600,1795284000,7,0,0,,2,\n"
    ));
    assert_eq!(skipped(&seed), [""; 0]);
    let [first, declined, infinite, reclaimed] = seed.leases4.as_slice() else {
        panic!("{:?}", seed.leases4)
    };
    assert_eq!(first.address.to_string(), "192.0.2.100");
    assert_eq!(first.cltt, Timestamp::from_seconds(1_795_283_700));
    assert_eq!(first.valid_lifetime, Lifetime::Seconds(600));
    assert_eq!(&*first.hostname, b"a,b.example.org");
    assert_eq!(first.hwaddr, HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]));
    assert_eq!(first.client_id, Some(ClientId::new(&[1, 2, 0, 0, 0, 0, 1])));
    assert_eq!((first.subnet_id, first.state), (Some(7), LeaseState::Default));
    assert_eq!((declined.state, declined.hwaddr), (LeaseState::Declined, HardwareAddress::empty()));
    assert_eq!((infinite.valid_lifetime, infinite.cltt.unix_seconds()), (Lifetime::Infinite, 1_795_283_400));
    assert_eq!(reclaimed.state, LeaseState::ExpiredReclaimed);
}

#[test]
fn columns_go_by_name() {
    // Kea 2.6 has pool_id behind the rest; some other version might have it anywhere.
    let seed = read(
        "pool_id,expire,address,valid_lifetime,subnet_id,hwaddr,client_id,hostname,state\n\
         3,1795284000,192.0.2.1,600,9,02:00:00:00:00:01,,host,0\n",
    );
    assert_eq!(seed.leases4[0].subnet_id, Some(9));
    assert_eq!(&*seed.leases4[0].hostname, b"host");
}

#[test]
fn version_6_has_addresses_and_prefixes() {
    let seed = read(&format!(
        "{V6}\
         2001:db8:1::1000,00:03:00:01:02:00:00:00:00:01,600,1795284000,17,300,0,5,128,0,0,host.example.org.,02:00:00:00:00:01,0,,1,2\n\
         2001:db8:8000::,00:03:00:01:02:00:00:00:00:01,600,1795284000,17,300,2,6,56,0,0,,,0,,,\n\
         2001:db8:1::1001,00,86400,1795370400,17,0,0,7,128,0,0,,,1,,,\n\
         2001:db8:1::1002,00:03:00:01:02:00:00:00:00:02,600,1795284000,17,300,1,8,128,0,0,,,4,,,\n"
    ));
    assert_eq!(skipped(&seed), [""; 0]);
    let [address, declined, prefix] = seed.leases6.as_slice() else { panic!("{:?}", seed.leases6) };
    assert_eq!((address.kind, address.prefix_len, address.iaid), (IaKind::NonTemporary, 128, 5));
    assert_eq!(address.hwaddr, Some(HardwareAddress::ethernet([2, 0, 0, 0, 0, 1])));
    assert_eq!(
        (address.preferred_lifetime, address.cltt.unix_seconds()),
        (Lifetime::Seconds(300), 1_795_283_400)
    );
    assert_eq!((declined.state, declined.duid.octets()), (LeaseState::Declined, &[0][..]));
    assert_eq!((prefix.kind, prefix.prefix_len, prefix.hwaddr), (IaKind::PrefixDelegation, 56, None));
}

#[test]
fn bad_rows_are_named_and_the_rest_is_read() {
    let good = "192.0.2.9,02:00:00:00:00:01,,600,1795284000,7,0,0,,0,\n";
    for (row, why) in [
        (
            "192.0.2.300,02:00:00:00:00:01,,600,1795284000,7,0,0,,0,",
            "address: found \"192.0.2.300\", expected an IPv4 address",
        ),
        (
            "192.0.2.1,02:xx,,600,1795284000,7,0,0,,0,",
            "hwaddr: found \"02:xx\", expected octets in hexadecimal with colons",
        ),
        (
            "192.0.2.1,,zz,600,1795284000,7,0,0,,0,",
            "client_id: found \"zz\", expected octets in hexadecimal with colons",
        ),
        (
            "192.0.2.1,,,soon,1795284000,7,0,0,,0,",
            "valid_lifetime: found \"soon\", expected a number below 2^32",
        ),
        ("192.0.2.1,,,600,,7,0,0,,0,", "expire: found \"\", expected seconds since 1970"),
        (
            "192.0.2.1,,,600,5,7,0,0,,0,",
            "expire: found \"5\", expected a time not before 1970 when valid_lifetime is taken off",
        ),
        ("192.0.2.1,,,600,1795284000,7,0,0,,9,", "state: found \"9\", expected 0 to 4"),
        ("192.0.2.1,,,600,1795284000,7,0,0,,0", "found 10 columns, expected 11 as in the header"),
    ] {
        let seed = read(&format!("{V4}{row}\n{good}"));
        assert_eq!(skipped(&seed), [format!("leases.csv:2: {why}")]);
        assert_eq!(seed.leases4.len(), 1, "{row}");
    }
}

#[test]
fn an_escape_is_one_octet() {
    for (text, plain) in
        [("a&#x2cb", "a,b"), ("&#x2", "&#x2"), ("&#xzz", "&#xzz"), ("&&#x41", "&A"), ("&#x2:x", "&#x2:x")]
    {
        assert_eq!(&*unescape(text.as_bytes()), plain.as_bytes(), "{text}");
    }
}
