mod errors;
mod includes;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::config::KeaVersion;
use crate::config::dhcp4::Subnet4;
use crate::config::dhcp6::PdPool;
use crate::config::reservation::IdentifierKind;
use crate::config::timers::CacheRule;
use crate::time::Lifetime;

/// A directory of its own for one test, gone when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dhcp-observer-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The error of loading `kea.conf` with this content, without the directory's name.
    fn error_of(&self, bytes: impl AsRef<[u8]>) -> String {
        let error = load(&[self.write("kea.conf", bytes)], KeaVersion::default()).unwrap_err().to_string();
        error.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn parse(text: impl AsRef<[u8]>) -> ServerConfig {
    load(&[Directory::new().write("kea.conf", text)], KeaVersion::default()).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/kea/fixtures").join(name)
}

fn v4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

#[test]
fn the_golden_configurations_are_read() {
    let config = load(&[fixture("golden4.conf"), fixture("golden6.conf")], KeaVersion::default()).unwrap();
    assert!(config.dhcp4.configured && config.dhcp6.configured);
    let names: Vec<_> = config.dhcp4.subnets().iter().map(|subnet| (subnet.id, subnet.name())).collect();
    assert_eq!(names, [(7, "192.0.2.0/24".into()), (8, "198.51.100.0/24".into())]);
    assert_eq!(config.dhcp4.expired_leases.reclaim_timer_wait_time, 1);
    assert_eq!(config.dhcp4.same_network(v4("192.0.2.5"), v4("198.51.100.5")), Some(false));
    assert_eq!(config.dhcp6.subnet_of_address(v6("2001:db8:1::1000")).map(|subnet| subnet.id), Some(17));
    assert_eq!(
        config.dhcp6.subnet_of_prefix(v6("2001:db8:8000:100::"), 56).map(|subnet| subnet.id),
        Some(17)
    );
    assert_eq!(config.dhcp6.subnet_of_prefix(v6("2001:db8:9000:10::"), 60).map(|subnet| subnet.id), Some(18));
    assert_eq!(config.dhcp6.mac_sources, [MacSource::Any]);
}

#[test]
fn without_a_file_there_are_keas_defaults() {
    let config = load(&[], KeaVersion::default()).unwrap();
    assert!(!config.dhcp4.configured && !config.dhcp6.configured);
    assert_eq!(config.dhcp4.decline_probation_period, 86_400);
    assert_eq!(config.dhcp6.expired_leases, ExpiredLeases::default());
    assert_eq!(config.dhcp4.expired_leases.hold_reclaimed_time, 3_600);
}

/// Ids and lifetimes of this very file were compared with what `config-get` of Kea 2.2.0 answers.
#[test]
fn ids_and_inheritance_are_those_of_kea() {
    let dhcp4 = load(&[fixture("office.conf")], KeaVersion::default()).unwrap().dhcp4;
    let share = |threshold| CacheRule { threshold: Some(threshold), max_age: None };
    let floor = |threshold| CacheRule { threshold: Some(threshold), max_age: Some(60) };
    let found: Vec<_> = dhcp4
        .subnets()
        .iter()
        .map(|it| {
            (it.id, it.name(), it.shared_network.as_deref(), it.match_client_id, it.valid_lifetime, it.cache)
        })
        .collect();
    let seconds = Lifetime::Seconds(4_000);
    let expected = [
        (1, "10.0.0.0/24", Some("floor"), true, Lifetime::Infinite, floor(0.25)),
        (2, "10.0.2.0/24", Some("floor"), true, seconds, floor(0.25)),
        (3, "192.0.2.7/24", None, false, seconds, share(0.25)),
        (4, "203.0.113.0/24", None, false, seconds, share(0.25)),
        (9, "198.51.100.0/24", None, false, seconds, share(0.25)),
        (20, "10.0.1.0/24", Some("floor"), false, seconds, floor(0.5)),
    ];
    assert_eq!(found, expected.map(|(a, name, c, d, e, f)| (a, name.to_string(), c, d, e, f)));
    assert_eq!(dhcp4.subnet(2).map(|subnet| subnet.store_extended_info), Some(true));
    assert_eq!(dhcp4.decline_probation_period, 3_600);
    assert_eq!((dhcp4.match_client_id, dhcp4.cache), (false, share(0.25)));
    let expired = dhcp4.expired_leases;
    assert_eq!(
        (expired.reclaim_timer_wait_time, expired.hold_reclaimed_time, expired.max_reclaim_leases),
        (5, 0, 100)
    );

    let printer = dhcp4.reservations.get(IdentifierKind::HwAddress, &[2, 0xaa, 0, 0, 0, 1]).unwrap();
    assert_eq!(printer.hostname.as_deref(), Some("Printer"));
    let lab = &dhcp4.subnet(9).unwrap().reservations;
    assert_eq!(lab.get(IdentifierKind::ClientId, b"lab-1").unwrap().address, Some(v4("198.51.100.9")));
    assert_eq!(lab.get(IdentifierKind::CircuitId, &[1, 2]).unwrap().hostname.as_deref(), Some("port2"));
    assert_eq!(dhcp4.subnet_of(v4("192.0.2.200")).map(Subnet4::name).as_deref(), Some("192.0.2.7/24"));
    assert_eq!(dhcp4.same_network(v4("10.0.0.1"), v4("10.0.1.1")), Some(true));
}

#[test]
fn v6_subnets_have_pools_and_reservations() {
    let dhcp6 = parse(
        r#"{ "Dhcp6": {
        "mac-sources": [ "rfc4649", "duid", "rfc6939" ],
        "subnet6": [ { "subnet": "2001:DB8:1::1/64", "pd-pools": [
            { "prefix": "2001:db8:8000::", "prefix-len": 40, "delegated-len": 56,
              "excluded-prefix": "2001:db8:8000:0:8000::", "excluded-prefix-len": 72 },
            { "prefix": "2001:db8:7000::", "prefix-len": 48, "delegated-len": 48, "excluded-prefix": "::",
              "excluded-prefix-len": 0 } ],
          "reservations": [ { "duid": "01:02:03", "ip-addresses": [ "2001:db8:1::5" ],
            "prefixes": [ "2001:db8:100::/48" ], "hostname": "" } ] } ],
        "shared-networks": [ { "name": "a" }, { "name": "b", "subnet6": [ { "subnet": "2001:db8:2::/64" } ] } ]
        } }"#,
    )
    .dhcp6;
    assert_eq!(dhcp6.mac_sources, [MacSource::RemoteId, MacSource::Duid, MacSource::ClientLinkAddrOption]);
    let names: Vec<_> = dhcp6.subnets().iter().map(|subnet| (subnet.id, subnet.name())).collect();
    assert_eq!(names, [(1, "2001:db8:2::/64".into()), (2, "2001:db8:1::1/64".into())]);
    let subnet = dhcp6.subnet(2).unwrap();
    let excluded = Some((v6("2001:db8:8000:0:8000::"), 72));
    let pool = PdPool { prefix: v6("2001:db8:8000::"), prefix_len: 40, delegated_len: 56, excluded };
    assert_eq!(subnet.pd_pools.first(), Some(&pool));
    assert_eq!(subnet.pd_pools.get(1).map(|pool| pool.excluded), Some(None));
    let reserved = subnet.reservations.get(IdentifierKind::Duid, &[1, 2, 3]).unwrap();
    assert_eq!(reserved.addresses, [v6("2001:db8:1::5")]);
    assert_eq!(reserved.hostname, None, "an empty name is none");
    assert_eq!(dhcp6.subnet_of_prefix(v6("2001:db8:100::"), 48).map(|subnet| subnet.id), Some(2));
    assert_eq!(dhcp6.subnet_of_prefix(v6("2001:db8:8000:0:8000::"), 72).map(|subnet| subnet.id), Some(2));
}

/// `kea-dhcp4 -t` of Kea 2.2.0 takes all of these.
#[test]
fn what_kea_tolerates_is_tolerated() {
    for text in [
        "{\"Dhcp4\":{\"subnet4\":[{\"subnet\":\"10.0.0.0/8\"},,,]}}",
        "{\"Dhcp4\":{\"server-tag\":\"a\",,\"subnet4\":[{\"subnet\":\"10.0.0.0/8\",},{\"subnet\":\"11.0.0.0/8\"},,],},}",
        "\r\n\t{\"Dhcp4\"\r\n:\t{\"subnet4\":[{\"subnet\":\" 10.0.0.0 / 8\"}]}}\r\n# the end",
        "/*/ {*/{/* /* */\"Dhcp4\":{//\n\"subnet4\":[#]\n{\"subnet\":\"10.0.0.0/+08\"}]}}",
        "{\"Dhcp4\":{\"subnet4\":[{\"subnet\":\"10.0.0.0/8\"}],\"user-context\":{\"a\":+1,\"b\":.5,\"c\":1.,\"d\":1e5,\"e\":007}}}",
        "{\"Dhcp4\":{\"subnet4\":[{\"subnet\":\"1\\u0030.0.0.0\\/8\"}],\"user-context\":{\"\\u00fc\":null,\"b\":[true,false,[]]}}}",
    ] {
        let dhcp4 = parse(text).dhcp4;
        assert_eq!(dhcp4.subnet_of(v4("10.1.2.3")).map(|subnet| subnet.id), Some(1), "{text}");
    }
    let latin1 = b"# B\xfcro\n{\"Dhcp4\":{\"server-tag\":\"B\xfcro\",\"subnet4\":[]}}";
    assert!(parse(latin1).dhcp4.configured, "Kea reads bytes");
}

#[test]
fn each_family_comes_once() {
    let directory = Directory::new();
    let both = directory.write("both.conf", "{\"Dhcp6\":{},\"Dhcp4\":{}}");
    let four = directory.write("four.conf", "{\n  \"Dhcp4\": {} }");
    let six = directory.write("six.conf", "{\"Dhcp6\":{\"decline-probation-period\":7}}");
    assert_eq!(load(&[four.clone(), six], KeaVersion::default()).unwrap().dhcp6.decline_probation_period, 7);
    let config = load(std::slice::from_ref(&both), KeaVersion::default()).unwrap();
    assert!(config.dhcp4.configured && config.dhcp6.configured);
    let shown = directory.0.display();
    let error = load(&[both, four], KeaVersion::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{shown}/four.conf:2:12: found \"Dhcp4\" a second time, the first is at {shown}/both.conf:1:21"
        )
    );
}

/// Debian's own examples, where Kea is installed.
#[test]
fn the_installed_examples_are_read() {
    for path in ["/etc/kea/kea-dhcp4.conf", "/etc/kea/kea-dhcp6.conf"] {
        if Path::new(path).exists() {
            let config = load(&[path.into()], KeaVersion::default()).unwrap();
            assert!(config.dhcp4.configured || config.dhcp6.configured);
        }
    }
}

#[test]
fn many_subnets_are_read() {
    let subnets: Vec<_> =
        (0..30_000).map(|n| format!("{{\"subnet\":\"{}/24\"}}", Ipv4Addr::from_bits(n << 8))).collect();
    let dhcp4 = parse(format!("{{\"Dhcp4\":{{\"subnet4\":[{}]}}}}", subnets.join(",\n"))).dhcp4;
    assert_eq!(dhcp4.subnet_of(Ipv4Addr::from_bits(29_999 << 8 | 7)).map(|subnet| subnet.id), Some(30_000));
}
