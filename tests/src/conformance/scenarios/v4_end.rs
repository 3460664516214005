//! DHCPv4: giving back, declining, running out.

use anyhow::Result;
use serde_json::json;

use crate::client::message4::{Kind, option};
use crate::client::v4::{Binding4, Client4};
use crate::conformance::scenario::{Scenario, V4};
use crate::conformance::stage::Stage;
use crate::kea::Config;

/// Leases of 3 s, which Kea reclaims within a second.
fn short(config: Config) -> Config {
    config.lasting(3, 1, 2)
}

/// The end of probation after 2 s.
fn short_probation(config: Config) -> Config {
    config.set("decline-probation-period", 2)
}

/// RELEASE of an address, be it the client's or not.
fn release(client: &mut Client4, binding: Binding4) -> Result<()> {
    client.binding = Some(binding);
    client.release()
}

/// Binds, waits until the lease has been reclaimed, and gives the client back.
fn reclaimed(stage: &Stage, client: Client4) -> Result<Client4> {
    let client = client.bound()?;
    stage.called("lease4_expire", client.address()?)?;
    Ok(client)
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v4-release",
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("Leaver").identified(b"\x00leaver").bound()?;
            stage.let_pass(1.1);
            client.release()
        },
        shows: "committed(1,0) release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-release-and-come-back",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            client.release()?;
            client.bind()?;
            client.release()
        },
        shows: "2*committed(1,0) 2*release 2*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-release-of-nothing",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let mut binding = client.binding.expect("bound");
            binding.address = "192.0.2.180".parse()?;
            release(&mut client, binding)
        },
        shows: "committed(1,0) committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-release-twice",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let binding = client.binding.expect("bound");
            client.release()?;
            release(&mut client, binding)
        },
        shows: "committed(1,0) release committed(0,1) committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-release-of-another-clients-lease",
        traffic: |stage| {
            let mut owner = stage.v4(1)?.bound()?;
            release(&mut stage.v4(2)?, owner.binding.expect("bound"))?;
            owner.renew().map(drop)
        },
        shows: "2*committed(1,0) renew committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-release-to-another-server",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let mut query = client.query(Kind::Release);
            query.ciaddr = client.address()?;
            client.send(&query.with(option::SERVER_ID, [192, 0, 2, 77]), client.binding)
        },
        shows: "committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-release-without-server-id",
        traffic: |stage| {
            let mut client = stage.v4(1)?.identified(b"\x00nameless").bound()?;
            let mut query = client.query(Kind::Release);
            query.ciaddr = client.address()?;
            client.send(&query, client.binding)
        },
        shows: "committed(1,0) release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-release-before-the-answer",
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("hasty").bound()?;
            // The server has the release in its queue when it answers the renewal.
            let mut renewal = client.query(Kind::Request);
            renewal.ciaddr = client.address()?;
            client.send(&renewal, client.binding)?;
            client.release()?;
            stage.fence()?;
            client.discover().map(drop)
        },
        shows: "2*committed(1,0) renew release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-release-before-the-offer",
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("hasty").bound()?;
            let binding = client.binding;
            let query = client.query(Kind::Discover);
            client.send(&query, None)?;
            client.release()?;
            stage.fence()?;
            // Everything at once: renewal, discovery, release.
            client.bind()?;
            let mut renewal = client.query(Kind::Request);
            renewal.ciaddr = client.address()?;
            client.send(&renewal, binding)?;
            let query = client.query(Kind::Discover);
            client.send(&query, None)?;
            client.release()
        },
        shows: "committed(1,0) renew release committed(0,1) 2*committed(1,0) 2*renew release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-release-behind-an-ignored-request",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let query = client.query(Kind::Request).with(option::REQUESTED_ADDRESS, [192, 0, 2, 150]);
            client.send(&query.with(option::SERVER_ID, [192, 0, 2, 77]), None)?;
            client.release()?;
            client.bind().map(drop)
        },
        shows: "2*committed(1,0) release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-decline-before-the-answer",
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let offer = client.discover()?;
            let server = offer.option(option::SERVER_ID).unwrap_or_default().to_vec();
            let mut request = client.query(Kind::Request).with(option::SERVER_ID, server.clone());
            request.xid = offer.xid;
            client.send(&request.with(option::REQUESTED_ADDRESS, offer.yiaddr.octets()), None)?;
            let decline = client.query(Kind::Decline).with(option::SERVER_ID, server);
            client.send(&decline.with(option::REQUESTED_ADDRESS, offer.yiaddr.octets()), None)
        },
        shows: "2*committed(1,0) decline",
        ..V4
    },
    Scenario {
        name: "v4-release-without-ciaddr",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let query =
                client.query(Kind::Release).with(option::REQUESTED_ADDRESS, client.address()?.octets());
            client.send(&query, None)
        },
        shows: "committed(1,0) committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-release-after-expiry",
        kea: short,
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("late");
            client = reclaimed(stage, client)?;
            client.release()
        },
        shows: "committed(1,0) expire release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-release-through-the-relay",
        traffic: |stage| {
            let mut client = stage.v4(1)?.through("198.51.100.1", Some(b"\x01\x03abc")).bound()?;
            let mut query = client.query(Kind::Release);
            query.ciaddr = client.address()?;
            client.send(&query, None)
        },
        shows: "committed(1,0) release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-decline-and-end-of-probation",
        kea: short_probation,
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("Conflicted").identified(b"\x01x");
            let refused = client.bind()?.yiaddr;
            client.decline()?;
            client.bind()?;
            stage.called("lease4_recover", refused)?;
            client.renew().map(drop)
        },
        shows: "committed(1,0) decline committed(1,0) committed(1,0) expire recover renew committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-decline-of-nothing",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let binding = client.binding.expect("bound");
            client.binding = Some(Binding4 { address: "192.0.2.180".parse()?, ..binding });
            client.decline()
        },
        shows: "committed(1,0) committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-decline-of-another-clients-lease",
        traffic: |stage| {
            let mut owner = stage.v4(1)?.bound()?;
            let mut other = stage.v4(2)?;
            other.binding = owner.binding;
            other.decline()?;
            owner.renew().map(drop)
        },
        shows: "2*committed(1,0) committed(0,0) renew",
        ..V4
    },
    Scenario {
        name: "v4-decline-without-requested-address",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let mut query = client.query(Kind::Decline).with(option::SERVER_ID, [192, 0, 2, 1]);
            query.ciaddr = client.address()?;
            client.send(&query, None)
        },
        shows: "committed(1,0) committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-decline-twice",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let binding = client.binding;
            client.decline()?;
            client.binding = binding;
            client.decline()
        },
        shows: "committed(1,0) decline committed(1,0) committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-decline-to-another-server",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let query = client.query(Kind::Decline).with(option::SERVER_ID, [192, 0, 2, 77]);
            client.send(&query.with(option::REQUESTED_ADDRESS, client.address()?.octets()), None)
        },
        shows: "committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-decline-after-expiry",
        kea: |config| short_probation(short(config)),
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            client = reclaimed(stage, client)?;
            let address = client.address()?;
            client.decline()?;
            stage.called("lease4_recover", address)
        },
        shows: "committed(1,0) expire decline committed(1,0) expire recover",
        ..V4
    },
    Scenario {
        name: "v4-release-of-a-declined-address",
        traffic: |stage| {
            let mut client = stage.v4(1)?.identified(b"\x00sorry").bound()?;
            let binding = client.binding.expect("bound");
            client.decline()?;
            release(&mut client, binding)
        },
        shows: "committed(1,0) decline committed(1,0) committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-end-of-probation-unreclaimed",
        kea: |config| {
            short_probation(config)
                .at("/expired-leases-processing/reclaim-timer-wait-time", 0)
                .at("/subnet4/0/pools/0/pool", "192.0.2.100 - 192.0.2.100")
        },
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            stage.early_in_a_second();
            client.decline()?;
            stage.let_pass(3.3);
            stage.v4(2)?.bind().map(drop)
        },
        shows: "committed(1,0) decline committed(1,0) expire recover committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-expiry",
        kea: short,
        traffic: |stage| {
            for number in 1..=3 {
                stage.v4(number)?.host_name("short").identified(&[1, number]).bind()?;
            }
            for last in 100..=102 {
                stage.called("lease4_expire", format!("192.0.2.{last}"))?;
            }
            Ok(())
        },
        shows: "3*committed(1,0) 3*expire",
        ..V4
    },
    Scenario {
        name: "v4-discover-with-reclaimed-lease",
        kea: short,
        traffic: |stage| {
            let client = stage.v4(1)?.host_name("Back");
            let mut client = reclaimed(stage, client)?;
            client.discover().map(drop)
        },
        shows: "committed(1,0) expire renew",
        ..V4
    },
    Scenario {
        name: "v4-dora-with-reclaimed-lease",
        kea: short,
        traffic: |stage| {
            let client = stage.v4(1)?.host_name("Back").identified(b"back");
            let mut client = reclaimed(stage, client)?.bound()?;
            client.release()
        },
        shows: "2*committed(1,0) expire 2*renew release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-reclaimed-lease-goes-to-another",
        kea: |config| short(config).at("/subnet4/0/pools/0/pool", "192.0.2.100 - 192.0.2.100"),
        traffic: |stage| {
            let first = stage.v4(1)?;
            let mut first = reclaimed(stage, first)?;
            // The last second of a lease is nobody's: the timer has reclaimed it, and the allocator waits for its end.
            stage.let_pass(1.5);
            stage.v4(2)?.bind()?;
            // The pool is empty: no answer.
            let query = first.query(Kind::Discover);
            first.send(&query, None)
        },
        shows: "2*committed(1,0) expire",
        ..V4
    },
    Scenario {
        name: "v4-renewals-keep-a-lease-alive",
        kea: short,
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            for _ in 0..4 {
                stage.let_pass(1.1);
                client.renew()?;
            }
            stage.called("lease4_expire", client.address()?)
        },
        shows: "5*committed(1,0) 4*renew expire",
        ..V4
    },
    Scenario {
        name: "v4-reclaimed-records-are-removed-at-once",
        kea: |config| short(config).at("/expired-leases-processing/flush-reclaimed-timer-wait-time", 0),
        traffic: |stage| {
            let client = stage.v4(1)?.host_name("gone");
            let mut client = reclaimed(stage, client)?;
            client.bind().map(drop)
        },
        shows: "2*committed(1,0) expire",
        ..V4
    },
    Scenario {
        name: "v4-reclaimed-records-are-not-held",
        kea: |config| {
            short(config)
                .at("/expired-leases-processing/hold-reclaimed-time", 0)
                .at("/expired-leases-processing/flush-reclaimed-timer-wait-time", 1)
        },
        traffic: |stage| {
            let client = stage.v4(1)?;
            let mut client = reclaimed(stage, client)?;
            // The flush timer deletes the record without a word.
            stage.let_pass(2.5);
            client.bind().map(drop)
        },
        shows: "2*committed(1,0) expire",
        ..V4
    },
    Scenario {
        name: "v4-infinite-lease-does-not-expire",
        kea: |config| {
            short(config).set("max-valid-lifetime", u32::MAX).at(
                "/subnet4/0/reservations",
                json!([{ "hw-address": "02:aa:bb:00:00:02", "ip-address": "192.0.2.20" }]),
            )
        },
        traffic: |stage| {
            stage.v4(1)?.option(option::LEASE_TIME, u32::MAX.to_be_bytes()).bind()?;
            let mortal = stage.v4(2)?.bound()?;
            stage.called("lease4_expire", mortal.address()?)
        },
        shows: "2*committed(1,0) expire",
        ..V4
    },
];
