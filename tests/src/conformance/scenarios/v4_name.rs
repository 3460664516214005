//! DHCPv4: host names, from option 12, option 81, reservations, and made up by the server.

use anyhow::Result;
use serde_json::json;

use crate::client::message4::{Kind, option};
use crate::conformance::scenario::{Scenario, V4};
use crate::conformance::stage::Stage;

use super::ddns;

/// A life with this host name in option 12, and with this option 81.
fn life(stage: &Stage, host_name: Option<&[u8]>, fqdn: Option<&[u8]>) -> Result<()> {
    life_of(stage, 1, host_name, fqdn)
}

fn life_of(stage: &Stage, number: u8, host_name: Option<&[u8]>, fqdn: Option<&[u8]>) -> Result<()> {
    let mut client = stage.v4(number)?;
    client.options.extend(host_name.map(|name| (option::HOST_NAME, name.to_vec())));
    client.options.extend(fqdn.map(|fqdn| (option::FQDN, fqdn.to_vec())));
    client.bind()?;
    client.renew()?;
    client.discover()?;
    client.release()
}

/// Messages with an option 81 that Kea cannot read; it answers none of them.
fn unread(stage: &Stage, fqdn: &[u8]) -> Result<()> {
    let mut client = stage.v4(1)?.bound()?;
    for kind in [Kind::Discover, Kind::Release] {
        let mut query = client.query(kind).with(option::FQDN, fqdn);
        query.ciaddr = client.address()?;
        client.send(&query, None)?;
        stage.fence()?;
    }
    client.renew().map(drop)
}

const LIFE: &str = "2*committed(1,0) 2*renew release committed(0,1)";

/// One life each: name of the scenario, name in option 12 and option 81, what it shows.
macro_rules! lives {
    ($($name:literal: $host_name:expr, $fqdn:expr => $shows:expr;)+) => {
        &[$(Scenario { name: $name, traffic: |stage| life(stage, $host_name, $fqdn), shows: $shows, ..V4 }),+]
    };
}

pub(super) const LIVES: &[Scenario] = lives! {
    "v4-name-none": None, None => LIFE;
    "v4-name-mixed-case": Some(b"MyHost-7"), None => LIFE;
    "v4-name-illegal-characters": Some(b"My_Host $(id) \xc3\xa4 'x' 7"), None => LIFE;
    "v4-name-nothing-legal": Some(b"_$ _"), None => LIFE;
    "v4-name-multi-label": Some(b"A.Four.Example.COM"), None => LIFE;
    "v4-name-multi-label-with-dot": Some(b"aa.Four.example.com."), None => LIFE;
    "v4-name-dot": Some(b"."), None => LIFE;
    "v4-name-blanks": Some(b" host "), None => LIFE;
    "v4-name-nul-at-the-end": Some(b"host\0\0"), None => LIFE;
    "v4-name-nul-inside": Some(b"ho\0st"), None => LIFE;
    "v4-name-empty": Some(b""), None => "...";
    "v4-fqdn-full": None, Some(b"\x04\0\0\x04Beta\x07Example\x03ORG\0") => LIFE;
    "v4-fqdn-partial": None, Some(b"\x05\0\0\x05HostA") => LIFE;
    "v4-fqdn-ascii": None, Some(b"\x01\0\0HostB.Example.org") => LIFE;
    "v4-fqdn-ascii-with-dot": None, Some(b"\x00\0\0hostc.example.org.") => LIFE;
    "v4-fqdn-ascii-partial": None, Some(b"\x00\0\0HostD") => LIFE;
    "v4-fqdn-empty": None, Some(b"\x04\0\0") => LIFE;
    "v4-fqdn-root": None, Some(b"\x04\0\0\0") => "...";
    "v4-fqdn-illegal-characters": None, Some(b"\x04\0\0\x08a_b $c.d\x03org\0") => LIFE;
    "v4-fqdn-no-update": None, Some(b"\x0c\0\0\x05HostE\x03org\0") => LIFE;
    "v4-fqdn-and-host-name": Some(b"twelve"), Some(b"\x05\0\0\x06eighty\x03one\0") => LIFE;
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v4-name-illegal-characters-replaced",
        kea: |config| config.set("hostname-char-set", "[^A-Za-z0-9.-]").set("hostname-char-replacement", "x"),
        traffic: |stage| life(stage, Some(b"a_b c"), None),
        shows: LIFE,
        ..V4
    },
    Scenario {
        name: "v4-name-long",
        traffic: |stage| {
            life_of(stage, 1, Some(&[b'n'; 63]), None)?;
            life_of(stage, 2, Some(&[b'n'; 64]), None)?;
            life_of(stage, 3, Some(&[b'n'; 250]), None)
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-name-qualifying-suffix",
        kea: ddns,
        traffic: |stage| {
            life_of(stage, 1, Some(b"Short"), None)?;
            life_of(stage, 2, Some(b"has.labels"), None)?;
            life_of(stage, 3, Some(b"has.dot."), None)?;
            life_of(stage, 4, None, Some(b"\x04\0\0\x04Part"))?;
            life_of(stage, 5, None, Some(b"\x04\0\0\x04Full\x03org\0"))?;
            life_of(stage, 6, None, None)
        },
        shows: "12*committed(1,0) 12*renew 6*release 6*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-fqdn-broken",
        traffic: |stage| unread(stage, b"\x04\0\0\x20short"),
        shows: "...",
        ..V4
    },
    Scenario { name: "v4-fqdn-too-short", traffic: |stage| unread(stage, b"\x04"), shows: "...", ..V4 },
    Scenario {
        name: "v4-name-changes-and-goes",
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("First").bound()?;
            client.options = vec![(option::HOST_NAME, b"second".to_vec())];
            client.renew()?;
            client.options = vec![(option::FQDN, b"\x04\0\0\x05third\x03org\0".to_vec())];
            client.rebind()?;
            client.options.clear();
            client.renew()?;
            client.release()
        },
        shows: "4*committed(1,0) 3*renew release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-name-replaced-always",
        kea: |config| ddns(config).set("ddns-replace-client-name", "always"),
        traffic: |stage| {
            life_of(stage, 1, Some(b"own"), None)?;
            life_of(stage, 2, None, Some(b"\x05\0\0\x03own\x03org\0"))?;
            life_of(stage, 3, None, None)
        },
        shows: "6*committed(1,0) 6*renew 3*release 3*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-name-replaced-when-present",
        kea: |config| {
            ddns(config).set("ddns-replace-client-name", "when-present").set("ddns-generated-prefix", "Dyn")
        },
        traffic: |stage| {
            life_of(stage, 1, Some(b"own"), None)?;
            life_of(stage, 2, None, Some(b"\x05\0\0\x03own\x03org\0"))?;
            life_of(stage, 3, None, None)
        },
        shows: "6*committed(1,0) 6*renew 3*release 3*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-name-replaced-when-not-present",
        kea: |config| {
            ddns(config).set("ddns-replace-client-name", "when-not-present").set("ddns-generated-prefix", "")
        },
        traffic: |stage| {
            life_of(stage, 1, Some(b"own"), None)?;
            life_of(stage, 2, None, None)
        },
        shows: "4*committed(1,0) 4*renew 2*release 2*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-name-made-up-and-expired",
        kea: |config| ddns(config).set("ddns-replace-client-name", "always").lasting(3, 1, 2),
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            stage.called("lease4_expire", client.address()?)?;
            client.bind().map(drop)
        },
        shows: "2*committed(1,0) expire 2*renew",
        ..V4
    },
    Scenario {
        name: "v4-name-that-looks-made-up",
        kea: ddns,
        traffic: |stage| life(stage, Some(b"myhost-192-0-2-100"), None),
        shows: LIFE,
        ..V4
    },
    Scenario {
        name: "v4-name-reserved",
        kea: |config| {
            config.at(
                "/subnet4/0/reservations",
                json!([
                    { "hw-address": "02:aa:bb:00:00:01", "hostname": "Reserved" },
                    { "hw-address": "02:aa:bb:00:00:02", "hostname": "Full.Reserved.org." },
                ]),
            )
        },
        traffic: |stage| {
            life_of(stage, 1, None, None)?;
            life_of(stage, 2, Some(b"own"), None)
        },
        shows: "4*committed(1,0) 4*renew 2*release 2*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-name-reserved-and-qualified",
        kea: |config| {
            ddns(config).at(
                "/subnet4/0/reservations",
                json!([{ "hw-address": "02:aa:bb:00:00:01", "hostname": "res" }]),
            )
        },
        traffic: |stage| {
            life_of(stage, 1, None, None)?;
            life_of(stage, 1, Some(b"own"), None)?;
            life_of(stage, 1, None, Some(b"\x05\0\0\x03own\x03org\0"))
        },
        shows: "6*committed(1,0) 6*renew 3*release 3*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-name-updates-off",
        kea: |config| config.set("ddns-send-updates", false).set("ddns-qualifying-suffix", "lan.test"),
        traffic: |stage| {
            life_of(stage, 1, Some(b"Short"), None)?;
            life_of(stage, 2, None, Some(b"\x05\0\0\x03own\x03org\0"))
        },
        shows: "4*committed(1,0) 4*renew 2*release 2*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-name-updates-overridden",
        kea: |config| {
            ddns(config).set("ddns-override-no-update", true).set("ddns-override-client-update", true)
        },
        traffic: |stage| {
            life_of(stage, 1, None, Some(b"\x08\0\0own.org"))?;
            life_of(stage, 2, None, Some(b"\x04\0\0\x03own\x03org\0"))
        },
        shows: "4*committed(1,0) 4*renew 2*release 2*committed(0,1)",
        ..V4
    },
];
