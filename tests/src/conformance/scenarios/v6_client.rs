//! DHCPv6: relays, hardware addresses, names.

use anyhow::Result;
use serde_json::json;

use crate::client::message6::{Kind, Options, option};
use crate::client::v6::{Client6, Relay6};
use crate::conformance::scenario::{Scenario, V6};
use crate::conformance::stage::Stage;
use crate::kea::Config;

use super::{both, ddns, one};

/// Everything that calls a hook, once.
fn life(client: &mut Client6) -> Result<()> {
    client.bind()?;
    client.renew()?;
    client.rebind()?;
    client.release().map(drop)
}

const LIFE_OF_ONE: &str = "3*committed(1,0) renew rebind release committed(0,1)";
const LIFE_OF_TWO: &str = "3*committed(2,0) 2*renew 2*rebind 2*release committed(0,2)";

/// DUID-EN: enterprise number 9, and nothing that is a hardware address.
const ANONYMOUS: &[u8] = b"\x00\x02\x00\x00\x00\x09\x0c\xc0\x84\xd3\x03\x00\x09\x12";

/// The client link-layer address option (RFC 6939).
const LINK_LAYER_ADDRESS: u16 = 79;
const SUBSCRIBER_ID: u16 = 38;

fn relay(address: &str, link: &str, options: &[(u16, &[u8])]) -> Result<Relay6> {
    let options: Options = options.iter().map(|(code, payload)| (*code, payload.to_vec())).collect();
    Ok(Relay6 { address: address.parse()?, link: link.parse()?, options })
}

/// The life of a client of this DUID behind one relay that adds these options.
fn relayed(stage: &Stage, duid: &[u8], options: &[(u16, &[u8])]) -> Result<()> {
    let client = stage.v6(1, one())?.known_as(duid);
    life(&mut client.through(vec![relay("2001:db8:1::2", "2001:db8:2::1", options)?])?)
}

/// The life of a client of this universal hardware address, which shows in its link-local address.
fn universal(stage: &Stage, duid: &[u8]) -> Result<()> {
    let mac = [0x00, 0x16, 0x3e, 1, 2, 3];
    life(&mut Client6::with_mac(&stage.cable, mac, one())?.known_as(duid))
}

/// The life of a client with this option 39.
fn named(stage: &Stage, number: u8, fqdn: &[u8]) -> Result<()> {
    life(&mut stage.v6(number, both())?.option(option::FQDN, fqdn))
}

fn mac_sources(config: Config, sources: &[&str]) -> Config {
    config.set("mac-sources", json!(sources))
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v6-relay",
        traffic: |stage| {
            let relays = vec![relay("2001:db8:1::2", "2001:db8:2::1", &[(option::INTERFACE_ID, b"eth7")])?];
            life(&mut stage.v6(1, both())?.through(relays)?)
        },
        shows: LIFE_OF_TWO,
        ..V6
    },
    Scenario {
        name: "v6-two-relays",
        traffic: |stage| {
            let near = relay("fe80::7", "2001:db8:2::1", &[(option::INTERFACE_ID, b"port 7")])?;
            let far = relay("2001:db8:1::2", "::", &[(option::REMOTE_ID, b"\0\0\0\x09remote")])?;
            life(&mut stage.v6(1, both())?.through(vec![near, far])?)
        },
        shows: LIFE_OF_TWO,
        ..V6
    },
    Scenario {
        name: "v6-three-relays",
        traffic: |stage| {
            let near = relay("fe80::7", "::", &[(option::INTERFACE_ID, b"p")])?;
            let middle = relay("2001:db8:2::2", "2001:db8:2::1", &[])?;
            let far = relay("2001:db8:1::2", "2001:db8:1::2", &[(SUBSCRIBER_ID, b"sub")])?;
            life(&mut stage.v6(1, both())?.through(vec![near, middle, far])?)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-relay-then-direct",
        traffic: |stage| {
            let client = stage.v6(1, one())?;
            let mut client = client.through_link("2001:db8:1::1")?.bound()?;
            client = client.direct();
            client.renew()?;
            client.release().map(drop)
        },
        shows: "2*committed(1,0) renew release committed(0,1)",
        ..V6
    },
    Scenario {
        name: "v6-relay-from-an-unknown-link",
        traffic: |stage| {
            let mut client = stage.v6(1, one())?.through_link("2001:db8:aaaa::1")?;
            client.solicit()?;
            client.request().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-duid-ll",
        traffic: |stage| life(&mut stage.v6(1, one())?),
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-duid-llt",
        traffic: |stage| {
            life(
                &mut stage
                    .v6(1, one())?
                    .known_as(b"\x00\x01\x00\x01\x2a\x2b\x2c\x2d\x02\x00\x00\xaa\xbb\xcc"),
            )
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-duid-ll-of-another-type",
        traffic: |stage| {
            life(&mut stage.v6(1, one())?.known_as(b"\x00\x03\x00\x1b\x00\x11\x22\x33\x44\x55\x66\x77"))
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-duid-long",
        traffic: |stage| {
            let long = [&b"\x00\x03\x00\x20"[..], &[7; 20]].concat();
            life(&mut stage.v6(1, one())?.known_as(&long))
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-duid-too-long",
        traffic: |stage| {
            // Kea fails on it, and does not answer.
            let long = [&b"\x00\x03\x00\x20"[..], &[7; 40]].concat();
            let mut client = stage.v6(1, one())?.known_as(&long);
            let query = client.query(Kind::Solicit, false);
            client.send(&query)
        },
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-none",
        traffic: |stage| life(&mut stage.v6(1, both())?.known_as(ANONYMOUS)),
        shows: LIFE_OF_TWO,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-duid-uuid",
        traffic: |stage| life(&mut stage.v6(1, one())?.known_as(b"\x00\x04abcdefghijklmnop")),
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-duid-shapes",
        traffic: |stage| {
            life(&mut stage.v6(1, one())?.known_as(b"\x00\x03\x00\x01"))?;
            life(&mut stage.v6(2, one())?.known_as(b"\x00\x01\x00\x01\x00\x00\x00\x00"))?;
            life(&mut stage.v6(3, one())?.known_as(b"\xff\xffx"))?;
            life(&mut stage.v6(4, one())?.known_as(b"\x00\x02\x09"))
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-duid-of-one-octet",
        traffic: |stage| {
            let mut client = stage.v6(1, one())?.known_as(b"\x07");
            let query = client.query(Kind::Solicit, false);
            client.send(&query)
        },
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-eui-64",
        traffic: |stage| universal(stage, ANONYMOUS),
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-eui-64-behind-a-relay",
        traffic: |stage| {
            let client =
                Client6::with_mac(&stage.cable, [0x00, 0x16, 0x3e, 1, 2, 3], one())?.known_as(ANONYMOUS);
            life(&mut client.through_link("2001:db8:2::1")?)
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-of-the-relays-option",
        traffic: |stage| {
            relayed(stage, ANONYMOUS, &[(LINK_LAYER_ADDRESS, b"\x00\x01\x0a\x1b\x0b\x01\xca\xfe")])
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-of-the-relays-option-before-the-duid",
        traffic: |stage| {
            let duid = b"\x00\x03\x00\x01\x02\xaa\xbb\x00\x00\x77";
            relayed(stage, duid, &[(LINK_LAYER_ADDRESS, b"\x00\x06\x0a\x1b\x0b\x01\xca\xfe")])
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-of-the-remote-id",
        traffic: |stage| {
            relayed(stage, ANONYMOUS, &[(option::REMOTE_ID, b"\x00\x00\x00\x09\x0a\x0b\x0c\x0d\x0e\x0f")])
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-of-odd-relay-options",
        traffic: |stage| {
            relayed(
                stage,
                ANONYMOUS,
                &[(LINK_LAYER_ADDRESS, b"\x00\x01"), (option::REMOTE_ID, b"\x00\x00\x00\x09")],
            )?;
            relayed(
                stage,
                ANONYMOUS,
                &[(option::REMOTE_ID, b"\x00\x00\x00\x09a remote-id of more than twenty octets")],
            )
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-of-the-nearest-relay",
        traffic: |stage| {
            let near = relay(
                "fe80::7",
                "2001:db8:2::1",
                &[(LINK_LAYER_ADDRESS, b"\x00\x01\x02\x00\x00\x00\x00\x01")],
            )?;
            let far =
                relay("2001:db8:1::2", "::", &[(LINK_LAYER_ADDRESS, b"\x00\x01\x02\x00\x00\x00\x00\x02")])?;
            life(&mut stage.v6(1, one())?.known_as(ANONYMOUS).through(vec![near, far])?)
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-only-the-far-relay-knows",
        traffic: |stage| {
            let near = relay("fe80::7", "2001:db8:2::1", &[])?;
            let far =
                relay("2001:db8:1::2", "::", &[(LINK_LAYER_ADDRESS, b"\x00\x01\x02\x00\x00\x00\x00\x02")])?;
            life(&mut stage.v6(1, one())?.known_as(ANONYMOUS).through(vec![near, far])?)
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-remote-id-of-the-far-relay",
        traffic: |stage| {
            let near = relay("fe80::7", "2001:db8:2::1", &[])?;
            let far = relay("2001:db8:1::2", "::", &[(option::REMOTE_ID, b"\0\0\0\x09\x02\0\0\0\0\x02")])?;
            life(&mut stage.v6(1, one())?.known_as(ANONYMOUS).through(vec![near, far])?)
        },
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-relay-stored-extended-info",
        kea: |config| config.set("store-extended-info", true).set("cache-threshold", 0.5),
        traffic: |stage| {
            let through = |client: Client6, port: &[u8]| {
                client.through(vec![relay(
                    "2001:db8:1::2",
                    "2001:db8:2::1",
                    &[(option::INTERFACE_ID, port)],
                )?])
            };
            let mut client = through(stage.v6(1, one())?, b"port1")?.bound()?;
            client.renew()?;
            // Another port is a change of the lease, which is written.
            client = through(client, b"port2")?;
            client.renew()?;
            client.renew().map(drop)
        },
        shows: "2*committed(1,0) 3*renew 2*committed(0,0)",
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-of-a-cable-modem",
        traffic: |stage| {
            // CableLabs' vendor options: device identifier from the modem.
            let vendor = b"\x00\x00\x11\x8b\x00\x24\x00\x06\x10\x0d\x7f\x00\x07\x88";
            life(&mut stage.v6(1, one())?.known_as(ANONYMOUS).option(17, vendor))?;
            // And the modem's address from the CMTS.
            relayed(stage, ANONYMOUS, &[(17, b"\x00\x00\x11\x8b\x04\x02\x00\x06\x10\x0d\x7f\x00\x07\x99")])
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-mac-sources-duid-only",
        kea: |config| mac_sources(config, &["duid"]),
        traffic: |stage| {
            universal(stage, ANONYMOUS)?;
            life(&mut stage.v6(1, one())?)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-mac-sources-in-another-order",
        kea: |config| mac_sources(config, &["ipv6-link-local", "remote-id", "rfc6939", "duid"]),
        traffic: |stage| {
            universal(stage, b"\x00\x03\x00\x01\x02\xaa\xbb\x00\x00\x77")?;
            relayed(
                stage,
                ANONYMOUS,
                &[
                    (LINK_LAYER_ADDRESS, b"\x00\x01\x0a\x1b\x0b\x01\xca\xfe"),
                    (option::REMOTE_ID, b"\x00\x00\x00\x09\x0a\x0b\x0c\x0d\x0e\x0f"),
                ],
            )
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-mac-sources-subscriber-id",
        kea: |config| mac_sources(config, &["subscriber-id"]),
        traffic: |stage| relayed(stage, ANONYMOUS, &[(SUBSCRIBER_ID, b"\x0a\x0b\x0c\x0d\x0e\x0f")]),
        shows: LIFE_OF_ONE,
        ..V6
    },
    Scenario {
        name: "v6-hwaddr-changes",
        traffic: |stage| {
            let option = |last| vec![(LINK_LAYER_ADDRESS, vec![0, 1, 2, 0, 0, 0, 0, last])];
            let relays = |last| -> Result<Vec<Relay6>> {
                Ok(vec![Relay6 { options: option(last), ..relay("2001:db8:1::2", "2001:db8:2::1", &[])? }])
            };
            let mut client = stage.v6(1, both())?.known_as(ANONYMOUS).through(relays(1)?)?.bound()?;
            client = client.through(relays(2)?)?;
            client.request()?;
            client = client.through(relays(3)?)?;
            client.renew()?;
            client = client.direct().through_link("2001:db8:2::1")?;
            client.renew()?;
            client.release().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-name-full",
        traffic: |stage| named(stage, 1, b"\x01\x05HostF\x07Example\x03org\0"),
        shows: LIFE_OF_TWO,
        ..V6
    },
    Scenario {
        name: "v6-name-partial",
        traffic: |stage| named(stage, 1, b"\x00\x05HostP"),
        shows: LIFE_OF_TWO,
        ..V6
    },
    Scenario { name: "v6-name-empty", traffic: |stage| named(stage, 1, b"\x01"), shows: LIFE_OF_TWO, ..V6 },
    Scenario { name: "v6-name-root", traffic: |stage| named(stage, 1, b"\x01\0"), shows: "...", ..V6 },
    Scenario {
        name: "v6-name-illegal-characters",
        traffic: |stage| named(stage, 1, b"\x01\x08a_b $c.d\x03org\0"),
        shows: LIFE_OF_TWO,
        ..V6
    },
    Scenario {
        name: "v6-name-no-update",
        traffic: |stage| named(stage, 1, b"\x04\x05HostN\x03org\0"),
        shows: LIFE_OF_TWO,
        ..V6
    },
    Scenario {
        name: "v6-name-qualifying-suffix",
        kea: ddns,
        traffic: |stage| {
            named(stage, 1, b"\x01\x05HostQ")?;
            named(stage, 2, b"\x01\x05HostQ\x03org\0")?;
            named(stage, 3, b"\x01")
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-name-replaced-always",
        kea: |config| {
            ddns(config).set("ddns-replace-client-name", "always").set("ddns-generated-prefix", "Dyn")
        },
        traffic: |stage| {
            named(stage, 1, b"\x01\x03own\x03org\0")?;
            life(&mut stage.v6(2, both())?)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-name-changes-and-goes",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.option(option::FQDN, b"\x00\x05First").bound()?;
            client.options = vec![(option::FQDN, b"\x00\x06Second".to_vec())];
            client.renew()?;
            client.options.clear();
            client.rebind()?;
            client.options = vec![(option::FQDN, b"\x00\x05Third".to_vec())];
            client.request()?;
            client.release().map(drop)
        },
        shows: "4*committed(2,0) 2*renew 2*rebind 2*release committed(0,2)",
        ..V6
    },
    Scenario {
        name: "v6-name-reserved",
        kea: |config| {
            config.at(
                "/subnet6/0/reservations",
                json!([
                    { "duid": "00:03:00:01:02:aa:bb:00:00:01", "hostname": "Reserved" },
                    { "duid": "00:03:00:01:02:aa:bb:00:00:02", "hostname": "Full.Reserved.org." },
                ]),
            )
        },
        traffic: |stage| {
            life(&mut stage.v6(1, one())?)?;
            named(stage, 2, b"\x01\x03own")
        },
        shows: "...",
        ..V6
    },
];
