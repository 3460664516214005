//! DHCPv6: getting leases, keeping them, getting others.

use serde_json::json;

use crate::client::message6::{Ia, IaKind, Item6, option};
use crate::conformance::scenario::{Scenario, V6};
use crate::conformance::stage::Stage;
use crate::kea::Config;

use super::one;

/// One IA_NA and one IA_PD.
fn both() -> Vec<Ia> {
    vec![Ia::addresses(0x0102_0304), Ia::prefixes(7)]
}

/// An association that names an address or prefix.
fn naming(kind: IaKind, iaid: u32, address: &str, prefix_length: u8) -> Ia {
    let address = address.parse().expect("an address");
    Ia { kind, iaid, items: vec![Item6 { address, prefix_length, preferred: 0, valid: 0 }] }
}

/// Leases of 2 s that nobody reclaims.
fn never_reclaimed(config: Config) -> Config {
    config
        .lasting(2, 1, 1)
        .set("preferred-lifetime", 2)
        .at("/expired-leases-processing/reclaim-timer-wait-time", 0)
}

/// One address and one prefix, no more.
fn scarce(config: Config) -> Config {
    config.at("/subnet6/0/pools", json!([{ "pool": "2001:db8:1::1000 - 2001:db8:1::1000" }])).at(
        "/subnet6/0/pd-pools",
        json!([{ "prefix": "2001:db8:8000::", "prefix-len": 56, "delegated-len": 56 }]),
    )
}

/// Two subnets of the link as one shared network.
fn shared_network(config: Config) -> Config {
    let subnets = json!([
        { "id": 17, "subnet": "2001:db8:1::/64", "interface": "s0",
          "pools": [{ "pool": "2001:db8:1::1000 - 2001:db8:1::1001" }] },
        { "id": 18, "subnet": "2001:db8:2::/64", "interface": "s0",
          "pools": [{ "pool": "2001:db8:2::1000 - 2001:db8:2::1fff" }] },
    ]);
    config
        .set("subnet6", json!([]))
        .set("shared-networks", json!([{ "name": "floor", "interface": "s0", "subnet6": subnets }]))
}

/// Lets leases of 2 s grow old.
fn outlive(stage: &Stage) {
    stage.let_pass(3.5);
    stage.early_in_a_second();
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v6-solicit-advertise",
        traffic: |stage| stage.v6(1, both())?.solicit().map(drop),
        ..V6
    },
    Scenario {
        name: "v6-solicit-with-live-leases",
        traffic: |stage| stage.v6(1, both())?.bound()?.solicit().map(drop),
        shows: "committed(2,0)",
        ..V6
    },
    Scenario {
        name: "v6-address",
        traffic: |stage| stage.v6(1, one())?.bind().map(drop),
        shows: "committed(1,0)",
        ..V6
    },
    Scenario {
        name: "v6-prefix",
        traffic: |stage| stage.v6(1, vec![Ia::prefixes(1)])?.bind().map(drop),
        shows: "committed(1,0)",
        ..V6
    },
    Scenario {
        name: "v6-address-and-prefix",
        traffic: |stage| stage.v6(1, both())?.bind().map(drop),
        shows: "committed(2,0)",
        ..V6
    },
    Scenario {
        name: "v6-prefix-before-address",
        traffic: |stage| {
            let mut client = stage
                .v6(1, vec![Ia::prefixes(9), Ia::addresses(8), Ia::prefixes(7), Ia::addresses(6)])?
                .bound()?;
            client.renew()?;
            client.rebind()?;
            client.release().map(drop)
        },
        shows: "3*committed(4,0) 4*renew 4*rebind 4*release committed(0,4)",
        ..V6
    },
    Scenario {
        name: "v6-rapid-commit",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?;
            client.rapid_commit()?;
            client.rapid_commit().map(drop)
        },
        shows: "2*committed(2,0)",
        ..V6
    },
    Scenario {
        name: "v6-rapid-commit-refused",
        kea: |config| config.at("/subnet6/0/rapid-commit", false),
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.option(option::RAPID_COMMIT, b"");
            client.bind().map(drop)
        },
        shows: "committed(2,0)",
        ..V6
    },
    Scenario {
        name: "v6-request-of-existing-leases",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.request()?;
            client.bind().map(drop)
        },
        shows: "3*committed(2,0)",
        ..V6
    },
    Scenario {
        name: "v6-renew-and-rebind",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.renew()?;
            client.rebind()?;
            client.confirm()?;
            client.information_request().map(drop)
        },
        shows: "3*committed(2,0) 2*renew 2*rebind",
        ..V6
    },
    Scenario {
        name: "v6-renew-of-an-association-without-binding",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.associations.push(Ia::addresses(99));
            client.renew()?;
            client.associations.push(Ia::prefixes(100));
            client.rebind().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-renew-of-nothing",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?;
            client.solicit()?;
            client.renew()?;
            client.renew().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-rebind-of-nothing",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?;
            client.solicit()?;
            client.rebind().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-renew-of-a-wrong-address",
        traffic: |stage| {
            let mut client = stage.v6(1, one())?.bound()?;
            client.associations = vec![naming(IaKind::Addresses, 1, "2001:db8:1::1fff", 128)];
            client.renew()?;
            client.associations = vec![naming(IaKind::Addresses, 1, "2001:db8:ffff::1", 128)];
            client.renew()?;
            client.associations = vec![naming(IaKind::Addresses, 1, "2001:db8:ffff::1", 128)];
            client.rebind().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-renew-without-addresses",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.associations = both();
            client.renew().map(drop)
        },
        shows: "2*committed(2,0) 2*renew",
        ..V6
    },
    Scenario {
        name: "v6-request-with-hints",
        traffic: |stage| {
            let hints = vec![
                naming(IaKind::Addresses, 1, "2001:db8:1::1abc", 128),
                naming(IaKind::Prefixes, 2, "2001:db8:80ab:cd00::", 56),
            ];
            let mut client = stage.v6(1, hints)?;
            client.solicit()?;
            client.request()?;
            client.renew().map(drop)
        },
        shows: "2*committed(2,0) 2*renew",
        ..V6
    },
    Scenario {
        name: "v6-request-for-another-address",
        traffic: |stage| {
            let mut client = stage.v6(1, one())?.bound()?;
            client.associations = vec![naming(IaKind::Addresses, 1, "2001:db8:1::1abc", 128)];
            client.request().map(drop)
        },
        shows: "2*committed(1,0)",
        ..V6
    },
    Scenario {
        name: "v6-several-associations-come-and-go",
        traffic: |stage| {
            let mut client = stage.v6(1, (1..=5).map(Ia::addresses).collect())?.bound()?;
            let last = client.associations.split_off(3);
            client.renew()?;
            client.release()?;
            client.associations = last;
            client.renew().map(drop)
        },
        shows: "committed(5,0) 5*renew committed(3,0) committed(2,0) 3*release committed(0,3)",
        ..V6
    },
    Scenario {
        name: "v6-own-leases-over-but-not-reclaimed",
        kea: never_reclaimed,
        traffic: |stage| {
            stage.early_in_a_second();
            let mut client = stage.v6(1, both())?.bound()?;
            outlive(stage);
            client.renew()?;
            outlive(stage);
            client.rebind().map(drop)
        },
        shows: "3*committed(2,0) 2*renew 2*rebind 4*expire",
        ..V6
    },
    Scenario {
        name: "v6-request-of-leases-over-but-not-reclaimed",
        kea: never_reclaimed,
        traffic: |stage| {
            stage.early_in_a_second();
            let mut client = stage.v6(1, both())?.bound()?;
            outlive(stage);
            client.bind()?;
            outlive(stage);
            client.release().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-leases-of-another-over-but-not-reclaimed",
        kea: |config| scarce(never_reclaimed(config)),
        traffic: |stage| {
            stage.early_in_a_second();
            stage.v6(1, both())?.bind()?;
            outlive(stage);
            let mut heir = stage.v6(2, both())?.option(option::FQDN, b"\x00\x04heir").bound()?;
            heir.renew()?;
            outlive(stage);
            // A client without a hardware address that anybody could find.
            stage.v6(3, both())?.known_as(b"\x00\x02\x00\x00\x00\x09\x0c\xc0").bind().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-cache-threshold",
        kea: |config| config.set("cache-threshold", 0.5),
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.renew()?;
            stage.let_pass(2.1);
            client.rebind()?;
            client.request()?;
            client.solicit()?;
            // A name is a change, which is written.
            client.options = vec![(option::FQDN, b"\x00\x03new".to_vec())];
            client.renew()?;
            client.renew().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-infinite-lifetimes",
        kea: |config| {
            config
                .set("valid-lifetime", u32::MAX)
                .set("preferred-lifetime", u32::MAX)
                .set("cache-threshold", 0.5)
        },
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.renew()?;
            client.release().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-lifetimes-asked-for",
        kea: |config| {
            config
                .set("min-valid-lifetime", 100)
                .set("max-valid-lifetime", 1000)
                .set("min-preferred-lifetime", 50)
                .set("max-preferred-lifetime", 500)
        },
        traffic: |stage| {
            let mut ia = naming(IaKind::Addresses, 1, "2001:db8:1::1500", 128);
            (ia.items[0].preferred, ia.items[0].valid) = (222, 444);
            let mut client = stage.v6(1, vec![ia])?;
            client.solicit()?;
            client.request()?;
            (client.associations[0].items[0].preferred, client.associations[0].items[0].valid) = (1, 9999);
            client.renew().map(drop)
        },
        shows: "2*committed(1,0) renew",
        ..V6
    },
    Scenario {
        name: "v6-renewal-of-lost-records",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            stage.restart_kea()?;
            // The restarted server has another DUID.
            client.rebind()?;
            client.renew().map(drop)
        },
        shows: "3*committed(2,0) 2*renew",
        ..V6
    },
    Scenario {
        name: "v6-shared-network",
        kea: shared_network,
        traffic: |stage| {
            for number in 1..=4 {
                let mut client = stage.v6(number, one())?.bound()?;
                client.renew()?;
            }
            Ok(())
        },
        shows: "8*committed(1,0) 4*renew",
        ..V6
    },
    Scenario {
        name: "v6-reserved-address-and-prefix",
        kea: |config| {
            config.at(
                "/subnet6/0/reservations",
                json!([{
                    "duid": "00:03:00:01:02:aa:bb:00:00:01", "hostname": "Reserved",
                    "ip-addresses": ["2001:db8:1::50"], "prefixes": ["2001:db8:8000:aa00::/56"],
                }]),
            )
        },
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.renew()?;
            client.options = vec![(option::FQDN, b"\x00\x03own".to_vec())];
            client.renew()?;
            client.release().map(drop)
        },
        shows: "3*committed(2,0) 4*renew 2*release committed(0,2)",
        ..V6
    },
    Scenario {
        name: "v6-two-reserved-addresses",
        kea: |config| {
            config.at("/subnet6/0/reservations", json!([{
                "duid": "00:03:00:01:02:aa:bb:00:00:01", "ip-addresses": ["2001:db8:1::50", "2001:db8:1::51"],
            }]))
        },
        traffic: |stage| {
            let mut client =
                stage.v6(1, vec![Ia::addresses(1), Ia::addresses(2), Ia::addresses(3)])?.bound()?;
            client.renew()?;
            client.release().map(drop)
        },
        shows: "2*committed(3,0) 3*renew 3*release committed(0,3)",
        ..V6
    },
    Scenario {
        name: "v6-leases-are-taken-away",
        kea: |config| config.persistent().set("valid-lifetime", 5).set("preferred-lifetime", 4),
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.option(option::FQDN, b"\x00\x05Robin").bound()?;
            let (address, prefix) = (client.address(0)?, client.address(1)?);
            // Both are promised to somebody else.
            let promised = json!([{
                "duid": "00:03:00:01:02:aa:bb:00:00:99",
                "ip-addresses": [address.to_string()], "prefixes": [format!("{prefix}/56")],
            }]);
            stage.restart_kea_with(|config| config.at("/subnet6/0/reservations", promised))?;
            client.rebind()?;
            client.renew()?;
            (0..2).try_for_each(|place| stage.called("lease6_expire", client.address(place)?))
        },
        shows: "committed(2,0) ...",
        ..V6
    },
    Scenario {
        name: "v6-own-reservation-comes",
        kea: Config::persistent,
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            let promised = json!([{
                "duid": "00:03:00:01:02:aa:bb:00:00:01",
                "ip-addresses": ["2001:db8:1::50"], "prefixes": ["2001:db8:8000:aa00::/56"],
            }]);
            stage.restart_kea_with(|config| config.at("/subnet6/0/reservations", promised))?;
            client.rebind()?;
            client.renew()?;
            client.release().map(drop)
        },
        shows: "committed(2,0) ...",
        ..V6
    },
    Scenario {
        name: "v6-renewal-of-an-address-in-no-pool-any-more",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.through_link("2001:db8:2::1")?.bound()?;
            // The client has moved to another link.
            client = client.direct();
            client.rebind()?;
            client.renew()?;
            client.confirm().map(drop)
        },
        shows: "...",
        ..V6
    },
];
