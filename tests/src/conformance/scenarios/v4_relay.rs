//! DHCPv4: relays, and the shapes of option 82.

use anyhow::Result;

use crate::client::message4::{Kind, option};
use crate::conformance::scenario::{Scenario, V4};
use crate::conformance::stage::Stage;

/// A whole life behind a relay that adds this.
fn life(stage: &Stage, agent: Option<&[u8]>) -> Result<()> {
    let mut client = stage.v4(1)?.host_name("far").through("198.51.100.1", agent).bound()?;
    client.rebind()?;
    client.renew()?;
    client.release()
}

const LIFE: &str = "3*committed(1,0) 2*renew release committed(0,1)";

/// One life each: name of the scenario, relay agent information, what it shows.
macro_rules! lives {
    ($($name:literal: $agent:expr => $shows:expr;)+) => {
        &[$(Scenario { name: $name, traffic: |stage| life(stage, $agent), shows: $shows, ..V4 }),+]
    };
}

pub(super) const LIVES: &[Scenario] = lives! {
    "v4-relay-without-option-82": None => LIFE;
    "v4-relay-text": Some(b"\x01\x08Ethernet\x02\x06switch") => LIFE;
    "v4-relay-binary": Some(b"\x01\x06\x00\x04\x00\x0a\x01\x02\x02\x08\x00\x06\xde\xad\xbe\xef\x00\x00") => LIFE;
    "v4-relay-reversed": Some(b"\x97\x02\x00\x2a\x02\x03\xde\xad\x01\x01\x04eth3") => LIFE;
    "v4-relay-duplicate-sub-options": Some(b"\x01\x02ab\x02\x01x\x01\x02cd\x02\x01y") => LIFE;
    "v4-relay-empty-sub-options": Some(b"\x01\x00\x02\x00\x06\x03sub") => LIFE;
    "v4-relay-one-empty-sub-option": Some(b"\x02\x00") => LIFE;
    "v4-relay-empty-option": Some(b"") => LIFE;
    "v4-relay-code-255": Some(b"\xff\x01z\xfe\x02hi\x01\x01a") => LIFE;
    "v4-relay-code-0": Some(b"\x02\x01r\x00\x01q\x01\x01a") => LIFE;
    "v4-relay-cut-short": Some(b"\x01\x02ab\x02\x09xy") => "...";
    "v4-relay-stray-octet": Some(b"\x01\x02ab\x02") => "...";
    "v4-relay-longest-option": Some(&[&[1, 200][..], &[b'c'; 200], &[2, 51], &[b'r'; 51]].concat()) => LIFE;
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v4-relay-many-sub-options",
        traffic: |stage| {
            let agent: Vec<u8> = (1..=60_u8).rev().flat_map(|code| [code, 2, code, 0]).collect();
            // Link selection, server override and their like are heeded by Kea; they are left out.
            let plain = agent.chunks(4).filter(|sub| ![5, 11, 53].contains(&sub[0])).flatten().copied();
            life(stage, Some(&plain.collect::<Vec<u8>>()))
        },
        shows: LIFE,
        ..V4
    },
    Scenario {
        name: "v4-relay-code-53",
        traffic: |stage| {
            // Kea's answers to this are unreadable, so they are not waited for.
            let mut client = stage.v4(1)?.through("198.51.100.1", Some(b"\x35\x01\x05\x01\x01a"));
            let query = client.query(Kind::Discover);
            client.send(&query, None)?;
            let mut query = client.query(Kind::Request);
            query = query.with(option::REQUESTED_ADDRESS, [198, 51, 100, 100]);
            client.send(&query, None)
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-relay-option-twice",
        traffic: |stage| {
            let mut client = stage.v4(1)?.through("198.51.100.1", Some(b"\x01\x02ab"));
            client = client.option(option::RELAY_AGENT, *b"\x02\x02cd");
            client.bind()?;
            client.rebind().map(drop)
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-relay-option-thrice",
        traffic: |stage| {
            let mut client = stage.v4(1)?.through("198.51.100.1", Some(b"\x01\x02ab\x02\x01x\x01\x01B"));
            client = client.option(option::RELAY_AGENT, *b"\x02\x02cd\x01\x02ef\x01\x01g");
            client = client.option(option::RELAY_AGENT, *b"\x01\x00\x09\x05h");
            client.bind()?;
            client.rebind().map(drop)
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-relay-option-in-two-pieces",
        traffic: |stage| {
            let long = [&[2, 200][..], &[b'r'; 200], &[1, 100], &[b'c'; 100]].concat();
            let mut client = stage.v4(1)?.through("198.51.100.1", Some(&long[255..]));
            client = client.option(option::RELAY_AGENT, &long[..255]);
            client.bind()?;
            client.rebind().map(drop)
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-relay-link-selection",
        traffic: |stage| {
            stage
                .v4(1)?
                .through("198.51.100.1", Some(b"\x05\x04\xc0\x00\x02\x00\x01\x01p"))
                .bound()?
                .rebind()
                .map(drop)
        },
        shows: "2*committed(1,0) renew",
        ..V4
    },
    Scenario {
        name: "v4-relay-server-override",
        traffic: |stage| {
            let mut client =
                stage.v4(1)?.through("198.51.100.1", Some(b"\x0b\x04\xc6\x33\x64\x01\x01\x01p")).bound()?;
            client.rebind()?;
            client.release()
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-option-82-without-a-relay",
        traffic: |stage| {
            stage.v4(1)?.option(option::RELAY_AGENT, *b"\x01\x04port").bound()?.renew().map(drop)
        },
        shows: "2*committed(1,0) renew",
        ..V4
    },
    Scenario {
        name: "v4-relay-two-hops-and-broadcast-flag",
        traffic: |stage| {
            let mut client = stage.v4(1)?.through("198.51.100.1", Some(b"\x01\x01a"));
            client.flags = 0x8000;
            let mut query = client.query(Kind::Discover);
            (query.hops, query.secs) = (4, 9);
            let offer = client.exchange(query, None, &[Kind::Offer])?;
            client.select(&offer)?;
            client.rebind().map(drop)
        },
        shows: "2*committed(1,0) renew",
        ..V4
    },
    Scenario {
        name: "v4-relay-changes",
        traffic: |stage| {
            let mut client = stage.v4(1)?.through("198.51.100.1", Some(b"\x01\x05port1")).bound()?;
            client = client.through("198.51.100.2", Some(b"\x01\x05port2"));
            client.rebind()?;
            client.relay = None;
            client.renew().map(drop)
        },
        shows: "3*committed(1,0) 2*renew",
        ..V4
    },
    Scenario {
        name: "v4-relay-stored-extended-info",
        kea: |config| config.set("store-extended-info", true).set("cache-threshold", 0.5),
        traffic: |stage| {
            let mut client = stage.v4(1)?.through("198.51.100.1", Some(b"\x01\x05port1")).bound()?;
            client.rebind()?;
            // Another port is a change of the lease, which is written.
            client = client.through("198.51.100.1", Some(b"\x01\x05port2"));
            client.rebind()?;
            client.rebind().map(drop)
        },
        shows: "2*committed(1,0) 3*renew 2*committed(0,0)",
        ..V4
    },
];
