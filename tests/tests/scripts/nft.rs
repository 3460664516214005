//! `nft-set.sh` and the kernel's nftables.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use observer_tests::client::message6::{Ia, Item6, Kind};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::{Script, printed};
use observer_tests::traffic::{Options4, Station, Traffic};
use observer_tests::wait;
use serde_json::Value;

const RULES: &str = "add table inet dhcp; \
    add set inet dhcp leased4 { type ipv4_addr; flags timeout; }; \
    add set inet dhcp leased6 { type ipv6_addr; flags timeout; }; \
    add set inet dhcp delegated6 { type ipv6_addr; flags interval, timeout; }";

/// The elements of a set with their timeouts in seconds; none for one that stays.
pub fn elements(namespace: &Namespace, set: &str) -> BTreeMap<String, Option<u64>> {
    let text = printed(namespace.command("nft").args(["-j", "list", "set", "inet", "dhcp", set])).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let set = value["nftables"].as_array().unwrap().iter().find_map(|part| part.get("set")).unwrap().clone();
    let list = set.get("elem").and_then(Value::as_array).cloned().unwrap_or_default();
    let name = |value: &Value| match value.get("prefix") {
        Some(prefix) => format!("{}/{}", prefix["addr"].as_str().unwrap(), prefix["len"]),
        None => value.as_str().unwrap().to_owned(),
    };
    list.iter()
        .map(|element| match element.get("elem") {
            Some(with) => (name(&with["val"]), with["timeout"].as_u64()),
            None => (name(element), None),
        })
        .collect()
}

/// A namespace with the sets.
pub fn sets() -> Namespace {
    let namespace = Namespace::new().unwrap();
    printed(namespace.command("nft").arg(RULES)).unwrap();
    namespace
}

#[test]
fn a_set_has_what_is_leased_for_as_long_as_it_is() {
    require!(Need::Root, Need::Program("nft"));
    let (scratch, namespace) = (Scratch::new().unwrap(), sets());
    let script =
        Script::install(&namespace, scratch.path(), "nft-set", "NFT_SET_PREFIX=delegated6\n").unwrap();
    let file = scratch.path().join("told.pcap");
    let (none, own) = (Options4::new(), |last| Ipv4Addr::new(192, 0, 2, last));
    let now = wait::unix_now();
    let mut traffic = Traffic::starting(now - 600.0);
    for number in [1, 2, 3, 4] {
        traffic.bind4(Station(number), own(number as u8), &none, &none).unwrap();
    }
    traffic.pass(300.0);
    traffic.release4(Station(2), own(2), &none).unwrap();
    traffic.decline4(Station(3), own(3), &none).unwrap();
    traffic.bind4(Station(4), own(4), &none, &none).unwrap();
    traffic.lifetime = u32::MAX;
    traffic.bind4(Station(5), own(5), &none, &none).unwrap();
    traffic.lifetime = 10;
    traffic.bind4(Station(6), own(6), &none, &none).unwrap();
    let item = |text: &str, prefix_length| Item6 {
        address: text.parse().unwrap(),
        prefix_length,
        preferred: 1800,
        valid: 3600,
    };
    let associations = [
        Ia { items: vec![item("2001:db8:1::1000", 128)], ..Ia::addresses(1) },
        Ia { items: vec![item("2001:db8:8000::", 56)], ..Ia::prefixes(1) },
    ];
    let gone = [
        Ia { items: vec![item("2001:db8:1::2000", 128)], ..Ia::addresses(1) },
        Ia { items: vec![item("2001:db8:8000:100::", 56)], ..Ia::prefixes(1) },
    ];
    for (station, associations) in [(Station(7), &associations), (Station(8), &gone)] {
        traffic.exchange6(Kind::Request, station, associations, &Vec::new(), None).unwrap();
    }
    traffic.pass(5.0);
    traffic.exchange6(Kind::Release, Station(8), &gone, &Vec::new(), None).unwrap();
    traffic.write(&file).unwrap();

    // Station 1 has its lease since ten minutes, station 4 since five; of an hour. Twice, as events may come again.
    for _ in 0..2 {
        script.replay(&file, &[]).unwrap();
        let passed = (wait::unix_now() - now) as u64 + 2;
        let near = |timeout: Option<u64>, expected: u64| {
            let timeout = timeout.unwrap();
            assert!(timeout <= expected + 2 && timeout + passed >= expected, "{timeout}, not {expected}");
        };
        let four = elements(&namespace, "leased4");
        assert_eq!(four.keys().collect::<Vec<_>>(), ["192.0.2.1", "192.0.2.4", "192.0.2.5"]);
        near(four["192.0.2.1"], 3000);
        near(four["192.0.2.4"], 3300);
        assert_eq!(four["192.0.2.5"], None, "a lease that never ends");
        let six = elements(&namespace, "leased6");
        assert_eq!(six.keys().collect::<Vec<_>>(), ["2001:db8:1::1000"]);
        near(six["2001:db8:1::1000"], 3300);
        let prefixes = elements(&namespace, "delegated6");
        assert_eq!(prefixes.keys().collect::<Vec<_>>(), ["2001:db8:8000::/56"]);
        near(prefixes["2001:db8:8000::/56"], 3300);
    }

    // All ends, and the sets are empty.
    script.replay(&file, &["--settle", "7200"]).unwrap();
    assert_eq!(elements(&namespace, "leased4").into_keys().collect::<Vec<_>>(), ["192.0.2.5"]);
    assert!(elements(&namespace, "leased6").is_empty());
    assert!(elements(&namespace, "delegated6").is_empty());
}

#[test]
fn a_set_that_is_not_there_is_a_failure() {
    require!(Need::Root, Need::Program("nft"));
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let script = Script::install(&namespace, scratch.path(), "nft-set", "").unwrap();
    let lease = [("LEASE4_ADDRESS", "192.0.2.1"), ("LEASE4_HWADDR", "02:00:00:00:00:01")];
    let output = script.call("lease4_expire", &lease).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nft refused this"));
}
