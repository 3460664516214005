//! DHCPv4: getting a lease, keeping it, getting another.

use std::net::Ipv4Addr;

use anyhow::Result;
use serde_json::json;

use crate::client::message4::{Kind, option};
use crate::client::v4::Client4;
use crate::conformance::scenario::{Scenario, V4};
use crate::conformance::stage::{Stage, expect};
use crate::kea::Config;

/// One subnet more on the link, with its pool, as one shared network.
fn shared_network(config: Config) -> Config {
    let subnets = json!([
        { "id": 7, "subnet": "192.0.2.0/24", "pools": [{ "pool": "192.0.2.100 - 192.0.2.101" }] },
        { "id": 8, "subnet": "198.51.100.0/24", "pools": [{ "pool": "198.51.100.100 - 198.51.100.199" }] },
    ]);
    config
        .set("subnet4", json!([]))
        .set("shared-networks", json!([{ "name": "floor", "interface": "s0", "subnet4": subnets }]))
}

/// REQUEST in SELECTING for another address than the one that is offered.
fn ask_for(client: &mut Client4, address: Ipv4Addr) -> Result<()> {
    let mut offer = client.discover()?;
    offer.yiaddr = address;
    client.select(&offer)?;
    Ok(())
}

fn address(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

/// Binds, and lets a lease of 2 s grow old while nobody reclaims it.
fn bind_and_outlive(stage: &Stage, client: &mut Client4) -> Result<()> {
    stage.early_in_a_second();
    client.bind()?;
    stage.let_pass(3.5);
    stage.early_in_a_second();
    Ok(())
}

fn never_reclaimed(config: Config) -> Config {
    config.lasting(2, 1, 1).at("/expired-leases-processing/reclaim-timer-wait-time", 0)
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "v4-discover-unknown", traffic: |stage| stage.v4(1)?.discover().map(drop), ..V4 },
    Scenario {
        name: "v4-dora",
        traffic: |stage| stage.v4(1)?.host_name("one").bind().map(drop),
        shows: "committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-discover-with-live-lease",
        traffic: |stage| stage.v4(1)?.host_name("Live").bound()?.discover().map(drop),
        shows: "committed(1,0) renew",
        ..V4
    },
    Scenario {
        name: "v4-dora-again",
        traffic: |stage| stage.v4(1)?.identified(b"\x01again").bound()?.bind().map(drop),
        shows: "2*committed(1,0) 2*renew",
        ..V4
    },
    Scenario {
        name: "v4-renew-rebind-init-reboot",
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("keeper").bound()?;
            expect(&client.renew()?, Kind::Ack)?;
            expect(&client.rebind()?, Kind::Ack)?;
            let held = client.address()?;
            expect(&client.init_reboot(held)?, Kind::Ack)
        },
        shows: "4*committed(1,0) 3*renew",
        ..V4
    },
    Scenario {
        name: "v4-broadcast-flag-secs-and-hops",
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            client.flags = 0x8001;
            let offer = client.discover()?;
            let mut query = client.query(Kind::Request);
            (query.xid, query.secs, query.hops) = (offer.xid, 0x1234, 3);
            let server = offer.option(option::SERVER_ID).unwrap_or_default().to_vec();
            let query =
                query.with(option::REQUESTED_ADDRESS, offer.yiaddr.octets()).with(option::SERVER_ID, server);
            client.exchange(query, None, &[Kind::Ack]).map(drop)
        },
        shows: "committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-request-answered-twice",
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let offer = client.discover()?;
            client.select(&offer)?;
            client.select(&offer).map(drop)
        },
        shows: "2*committed(1,0) renew",
        ..V4
    },
    Scenario {
        name: "v4-asks-for-a-lease-time",
        kea: |config| config.set("min-valid-lifetime", 100).set("max-valid-lifetime", 1000),
        traffic: |stage| {
            for (number, seconds) in [(1, 50_u32), (2, 500), (3, 5000)] {
                let mut client =
                    stage.v4(number)?.option(option::LEASE_TIME, seconds.to_be_bytes()).bound()?;
                client.renew()?;
            }
            Ok(())
        },
        shows: "6*committed(1,0) 3*renew",
        ..V4
    },
    Scenario {
        name: "v4-infinite-lease",
        kea: |config| config.set("valid-lifetime", u32::MAX).set("max-valid-lifetime", u32::MAX),
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("forever").bound()?;
            client.renew()?;
            client.rebind()?;
            client.release()
        },
        shows: "committed(1,0) 2*renew 2*committed(0,0) release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-cache-threshold",
        kea: |config| config.set("cache-threshold", 0.5),
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("cached").bound()?;
            client.renew()?;
            stage.let_pass(2.1);
            client.renew()?;
            client.bind()?;
            // A new name is a change, which is written.
            client.options.clear();
            client.renew()?;
            client.renew().map(drop)
        },
        shows: "2*committed(1,0) 6*renew 4*committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-cache-max-age",
        kea: |config| {
            config
                .set("cache-threshold", 0.9)
                .set("cache-max-age", 3)
                .set("valid-lifetime", 8)
                .set("min-valid-lifetime", 8)
        },
        traffic: |stage| {
            stage.early_in_a_second();
            let mut client = stage.v4(1)?.bound()?;
            stage.let_pass(1.0);
            client.renew()?;
            stage.let_pass(4.0);
            client.renew()?;
            stage.let_pass(2.0);
            client.renew()?;
            stage.called("lease4_expire", client.address()?)
        },
        shows: "2*committed(1,0) 3*renew 2*committed(0,0) expire",
        ..V4
    },
    Scenario {
        name: "v4-renewal-of-a-lost-record",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            stage.restart_kea()?;
            client.renew()?;
            client.renew().map(drop)
        },
        shows: "3*committed(1,0) renew",
        ..V4
    },
    Scenario {
        name: "v4-move-within-the-subnet",
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("mover").bound()?;
            ask_for(&mut client, address("192.0.2.177"))?;
            client.renew().map(drop)
        },
        shows: "committed(1,0) 2*renew committed(1,1) committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-move-within-the-shared-network",
        kea: shared_network,
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            ask_for(&mut client, address("198.51.100.150"))?;
            client.renew()?;
            ask_for(&mut client, address("192.0.2.101"))
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-shared-network-runs-over",
        kea: shared_network,
        traffic: |stage| {
            for number in 1..=4 {
                let mut client = stage.v4(number)?.identified(&[0, number]).bound()?;
                client.renew()?;
            }
            Ok(())
        },
        shows: "8*committed(1,0) 4*renew",
        ..V4
    },
    Scenario {
        name: "v4-two-networks-two-leases",
        traffic: |stage| {
            let mut direct = stage.v4(1)?.bound()?;
            // The same client behind a relay: another subnet, so both leases stay.
            let mut far = stage.v4(1)?.through("198.51.100.1", None).bound()?;
            direct.renew()?;
            far.rebind().map(drop)
        },
        shows: "4*committed(1,0) 2*renew",
        ..V4
    },
    Scenario {
        name: "v4-own-lease-over-but-not-reclaimed",
        kea: never_reclaimed,
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("late");
            bind_and_outlive(stage, &mut client)?;
            expect(&client.renew()?, Kind::Ack)
        },
        shows: "committed(1,0) expire renew committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-dora-with-own-lease-over-but-not-reclaimed",
        kea: never_reclaimed,
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("later");
            bind_and_outlive(stage, &mut client)?;
            client.bind().map(drop)
        },
        shows: "committed(1,0) 2*renew expire committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-lease-of-another-over-but-not-reclaimed",
        kea: |config| never_reclaimed(config).at("/subnet4/0/pools/0/pool", "192.0.2.100 - 192.0.2.100"),
        traffic: |stage| {
            let mut first = stage.v4(1)?.host_name("first").identified(b"first");
            bind_and_outlive(stage, &mut first)?;
            stage.v4(2)?.host_name("second").bind().map(drop)
        },
        shows: "committed(1,0) expire committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-reservation-comes-and-moves-the-client",
        kea: Config::persistent,
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("lucky").bound()?;
            let promised = json!([{ "hw-address": "02:aa:bb:00:00:01", "ip-address": "192.0.2.50" }]);
            stage.restart_kea_with(|config| config.at("/subnet4/0/reservations", promised))?;
            expect(&client.renew()?, Kind::Nak)?;
            client.bind()?;
            client.renew().map(drop)
        },
        shows: "committed(1,0) committed(0,0) committed(1,1) renew committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-address-is-promised-to-another",
        kea: Config::persistent,
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let held = client.bind()?.yiaddr.to_string();
            let promised = json!([{ "hw-address": "02:aa:bb:00:00:99", "ip-address": held }]);
            stage.restart_kea_with(|config| config.at("/subnet4/0/reservations", promised))?;
            client.renew()?;
            client.bind()?;
            client.renew().map(drop)
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-restart-keeps-the-leases",
        kea: Config::persistent,
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("Kept").identified(b"\x00kept").bound()?;
            stage.restart_kea()?;
            client.renew()?;
            client.release()
        },
        shows: "2*committed(1,0) renew release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-reserved-address-and-name",
        kea: |config| {
            config.at("/subnet4/0/reservations", json!([{
                "hw-address": "02:aa:bb:00:00:01", "ip-address": "192.0.2.50", "hostname": "Reserved.example.org",
            }]))
        },
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("own").bound()?;
            client.renew()?;
            client.release()
        },
        shows: "2*committed(1,0) renew release committed(0,1)",
        ..V4
    },
];
