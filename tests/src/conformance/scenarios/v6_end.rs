//! DHCPv6: giving back, declining, running out.

use anyhow::Result;

use crate::client::message6::{Ia, IaKind, Item6, Kind, option};
use crate::client::v6::Client6;
use crate::conformance::scenario::{Scenario, V6};
use crate::conformance::stage::Stage;
use crate::kea::Config;

use super::both;

/// Leases of 3 s, which Kea reclaims within a second.
fn short(config: Config) -> Config {
    config.lasting(3, 1, 2).set("preferred-lifetime", 2)
}

fn short_probation(config: Config) -> Config {
    config.set("decline-probation-period", 2)
}

/// Waits until every lease of the client has been reclaimed.
fn reclaimed(stage: &Stage, client: &Client6) -> Result<()> {
    (0..client.associations.len()).try_for_each(|place| stage.called("lease6_expire", client.address(place)?))
}

/// A further item in the first association.
fn and_also(client: &mut Client6, address: &str) {
    let address = address.parse().expect("an address");
    client.associations[0].items.push(Item6 { address, prefix_length: 128, preferred: 0, valid: 0 });
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v6-release",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.option(option::FQDN, b"\x01\x06Leaver\x03org\0").bound()?;
            stage.let_pass(1.1);
            client.release().map(drop)
        },
        shows: "committed(2,0) 2*release committed(0,2)",
        ..V6
    },
    Scenario {
        name: "v6-release-of-one-of-two",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            let kept = client.associations.pop().into_iter().collect();
            client.release()?;
            client.associations = kept;
            client.renew().map(drop)
        },
        shows: "committed(2,0) release committed(0,1) renew committed(1,0)",
        ..V6
    },
    Scenario {
        name: "v6-release-of-several-addresses",
        traffic: |stage| {
            let mut client = stage.v6(1, vec![Ia::addresses(1)])?.bound()?;
            // Only the first address of an association is released.
            and_also(&mut client, "2001:db8:1::1fff");
            client.release().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-release-of-another-address-first",
        traffic: |stage| {
            let mut client = stage.v6(1, vec![Ia::addresses(1)])?.bound()?;
            and_also(&mut client, "2001:db8:1::1fff");
            client.associations[0].items.reverse();
            client.release().map(drop)
        },
        shows: "committed(1,0) committed(0,0)",
        ..V6
    },
    Scenario {
        name: "v6-release-without-binding",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            let held = client.associations.clone();
            client.release()?;
            client.associations = held;
            client.release().map(drop)
        },
        shows: "committed(2,0) 2*release committed(0,2) committed(0,0)",
        ..V6
    },
    Scenario {
        name: "v6-release-with-another-iaid",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.associations.iter_mut().for_each(|ia| ia.iaid += 50);
            client.release().map(drop)
        },
        shows: "committed(2,0) committed(0,0)",
        ..V6
    },
    Scenario {
        name: "v6-release-of-another-clients-leases",
        traffic: |stage| {
            let mut owner = stage.v6(1, both())?.bound()?;
            let mut other = stage.v6(2, owner.associations.clone())?;
            other.server_duid.clone_from(&owner.server_duid);
            other.release()?;
            owner.renew().map(drop)
        },
        shows: "2*committed(2,0) 2*renew committed(0,0)",
        ..V6
    },
    Scenario {
        name: "v6-release-of-an-empty-association",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.associations = both();
            client.release().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-release-after-expiry",
        kea: short,
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.option(option::FQDN, b"\x01\x04Late").bound()?;
            reclaimed(stage, &client)?;
            client.release().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-decline-and-end-of-probation",
        kea: short_probation,
        traffic: |stage| {
            let mut client = stage.v6(1, vec![Ia::addresses(5), Ia::addresses(6), Ia::prefixes(7)])?;
            client.options = vec![(option::FQDN, b"\x01\x0aConflicted".to_vec())];
            client.bind()?;
            let refused = [client.address(0)?, client.address(1)?];
            client.decline()?;
            refused.into_iter().try_for_each(|address| stage.called("lease6_recover", address))?;
            client.bind().map(drop)
        },
        shows: "committed(3,0) 2*decline committed(2,0) 2*expire 2*recover committed(3,0)",
        ..V6
    },
    Scenario {
        name: "v6-decline-of-several-addresses-in-one-association",
        traffic: |stage| {
            let mut client = stage.v6(1, vec![Ia::addresses(1), Ia::addresses(2)])?.bound()?;
            and_also(&mut client, "2001:db8:1::1fff");
            client.decline().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-decline-of-another-address-first",
        traffic: |stage| {
            let mut client = stage.v6(1, vec![Ia::addresses(1), Ia::addresses(2)])?.bound()?;
            and_also(&mut client, "2001:db8:1::1fff");
            client.associations[0].items.reverse();
            client.decline().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-decline-without-binding",
        traffic: |stage| {
            let mut client = stage.v6(1, vec![Ia::addresses(1)])?.bound()?;
            let held = client.associations.clone();
            client.decline()?;
            client.associations = held;
            client.decline().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-decline-of-another-clients-address",
        traffic: |stage| {
            let mut owner = stage.v6(1, vec![Ia::addresses(1)])?.bound()?;
            let mut other = stage.v6(2, owner.associations.clone())?;
            other.server_duid.clone_from(&owner.server_duid);
            other.decline()?;
            owner.renew().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-decline-of-a-prefix",
        traffic: |stage| {
            let mut client = stage.v6(1, vec![Ia::addresses(1), Ia::prefixes(2)])?.bound()?;
            let query = client.query(Kind::Decline, true);
            client.exchange(&query, Kind::Reply)?;
            client.renew().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-expiry",
        kea: short,
        traffic: |stage| {
            let first = stage.v6(1, both())?.option(option::FQDN, b"\x01\x05Short\x03org\0").bound()?;
            let mut second = stage.v6(2, both())?;
            second.rapid_commit()?;
            reclaimed(stage, &first)?;
            reclaimed(stage, &second)
        },
        shows: "2*committed(2,0) 4*expire",
        ..V6
    },
    Scenario {
        name: "v6-renewals-keep-leases-alive",
        kea: short,
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            for _ in 0..3 {
                stage.let_pass(1.1);
                client.renew()?;
            }
            reclaimed(stage, &client)
        },
        shows: "4*committed(2,0) 6*renew 2*expire",
        ..V6
    },
    Scenario {
        name: "v6-reclaimed-leases-come-back",
        kea: short,
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.option(option::FQDN, b"\x01\x04Back").bound()?;
            reclaimed(stage, &client)?;
            client.solicit()?;
            client.request().map(drop)
        },
        shows: "2*committed(2,0) 2*expire",
        ..V6
    },
    Scenario {
        name: "v6-renewal-of-reclaimed-leases",
        kea: short,
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            reclaimed(stage, &client)?;
            client.renew()?;
            client.rebind().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-reclaimed-leases-go-to-another",
        kea: |config| {
            short(config)
                .at("/subnet6/0/pools/0/pool", "2001:db8:1::1000 - 2001:db8:1::1000")
                .at("/subnet6/0/pd-pools/0/prefix-len", 56)
        },
        traffic: |stage| {
            let first = stage.v6(1, both())?.bound()?;
            reclaimed(stage, &first)?;
            stage.let_pass(1.5);
            let mut heir = stage.v6(2, both())?.bound()?;
            heir.renew().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-reclaimed-records-are-removed-at-once",
        kea: |config| short(config).at("/expired-leases-processing/flush-reclaimed-timer-wait-time", 0),
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            reclaimed(stage, &client)?;
            client.renew().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-request-of-a-declined-address",
        traffic: |stage| {
            let mut client =
                stage.v6(1, vec![Ia { kind: IaKind::Addresses, iaid: 1, items: vec![] }])?.bound()?;
            let held = client.associations.clone();
            client.decline()?;
            client.associations = held;
            client.request()?;
            client.renew().map(drop)
        },
        shows: "...",
        ..V6
    },
];
