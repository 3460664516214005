//! DHCPv4: who is who. Client identifiers, hardware addresses of all kinds, `match-client-id`.

use anyhow::Result;
use serde_json::json;

use crate::client::message4::{Kind, option};
use crate::client::v4::Client4;
use crate::conformance::scenario::{Scenario, V4};
use crate::conformance::stage::Stage;

/// A client of another hardware type or length.
fn odd(stage: &Stage, number: u8, htype: u8, hlen: u8) -> Result<Client4> {
    let mut client = stage.v4(number)?;
    client.hardware = (htype, hlen);
    // The answer to a client without an Ethernet address has to be broadcast.
    client.flags = 0x8000;
    Ok(client)
}

/// A lease, its renewal and its end.
fn life(client: &mut Client4) -> Result<()> {
    client.bind()?;
    client.renew()?;
    client.release()
}

/// Every kind of message with a client identifier that Kea does not take as one.
fn ill_identified(stage: &Stage, client_id: &[u8]) -> Result<()> {
    let mut owner = stage.v4(1)?.bound()?;
    let mut client = stage.v4(1)?.identified(client_id);
    for (number, kind) in (100..).zip([
        Kind::Discover,
        Kind::Request,
        Kind::Inform,
        Kind::Decline,
        Kind::Release,
        Kind::Request,
    ]) {
        let mut query = client.query(kind);
        query.xid = number;
        query.ciaddr = if kind == Kind::Request { "0.0.0.0".parse()? } else { owner.address()? };
        let query = query.with(option::REQUESTED_ADDRESS, owner.address()?.octets());
        client.send(&query, None)?;
        stage.fence()?;
    }
    owner.renew().map(drop)
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v4-client-id-of-another-machine",
        traffic: |stage| {
            let mut first = stage.v4(1)?.identified(b"\x00shared").bound()?;
            // The same client identifier elsewhere is the same client.
            let mut second = stage.v4(2)?.identified(b"\x00shared").bound()?;
            first.renew()?;
            second.release()
        },
        shows: "3*committed(1,0) 3*renew release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-two-client-ids-on-one-machine",
        traffic: |stage| {
            let mut first = stage.v4(1)?.identified(b"\x00boot rom").bound()?;
            let mut second = stage.v4(1)?.identified(b"\x00system").bound()?;
            first.renew()?;
            second.renew()?;
            first.release()
        },
        shows: "4*committed(1,0) 2*renew release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-client-id-comes",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            client = client.identified(b"\x00new");
            let mut again = client;
            again.renew()?;
            again.bind()?;
            again.release()
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-client-id-goes",
        traffic: |stage| {
            let mut client = stage.v4(1)?.identified(b"\x00old").bound()?;
            client.client_id = None;
            client.renew()?;
            client.bind()?;
            client.release()
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-client-id-changes-on-renewal",
        traffic: |stage| {
            let mut client = stage.v4(1)?.identified(b"\x00one").bound()?;
            client.client_id = Some(b"\x00two".to_vec());
            client.renew().map(drop)
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-release-by-another-client-id",
        traffic: |stage| {
            let mut client = stage.v4(1)?.identified(b"\x00one").bound()?;
            let binding = client.binding;
            client.client_id = Some(b"\x00two".to_vec());
            client.release()?;
            client.binding = binding;
            client.client_id = None;
            client.release()
        },
        shows: "committed(1,0) committed(0,0) release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-match-client-id-off",
        kea: |config| config.set("match-client-id", false),
        traffic: |stage| {
            let mut client = stage.v4(1)?.identified(b"\x00one").bound()?;
            client.client_id = Some(b"\x00two".to_vec());
            client.renew()?;
            client.bind()?;
            // The same identifier on another machine is another client.
            let mut other = stage.v4(2)?.identified(b"\x00two").bound()?;
            other.release()?;
            client.release()
        },
        shows: "4*committed(1,0) 3*renew 2*release 2*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-match-client-id-off-in-one-subnet",
        kea: |config| config.at("/subnet4/0/match-client-id", false),
        traffic: |stage| {
            life(&mut stage.v4(1)?.identified(b"\x00one"))?;
            let mut far = stage.v4(2)?.identified(b"\x00far").through("198.51.100.1", None).bound()?;
            far.rebind().map(drop)
        },
        shows: "4*committed(1,0) 2*renew release committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-client-id-shapes",
        traffic: |stage| {
            life(&mut stage.v4(2)?.identified(b"\x01\x02"))?;
            life(&mut stage.v4(3)?.identified(&[0xff; 128]))?;
            life(&mut stage.v4(4)?.identified(b"\x00text \x00 \xff'\"$(x)"))
        },
        shows: "...",
        ..V4
    },
    Scenario { name: "v4-client-id-empty", traffic: |stage| ill_identified(stage, b""), shows: "...", ..V4 },
    Scenario {
        name: "v4-client-id-of-one-octet",
        traffic: |stage| ill_identified(stage, b"\x01"),
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-client-id-of-129-octets",
        traffic: |stage| ill_identified(stage, &[7; 129]),
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-hardware-types",
        traffic: |stage| {
            for (number, htype) in [(1, 6), (2, 7), (3, 32), (4, 255), (5, 0)] {
                life(&mut odd(stage, number, htype, 6)?)?;
            }
            Ok(())
        },
        shows: "10*committed(1,0) 5*renew 5*release 5*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-hardware-type-changes",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            client.hardware.0 = 6;
            client.bind()?;
            client.release()
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-short-hardware-addresses",
        traffic: |stage| {
            for hlen in 1..=5 {
                life(&mut odd(stage, hlen, 1, hlen)?.identified(&[0, hlen]))?;
            }
            Ok(())
        },
        shows: "10*committed(1,0) 5*renew 5*release 5*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-long-hardware-addresses",
        traffic: |stage| {
            for hlen in [7, 8, 10, 15, 16] {
                life(&mut odd(stage, hlen, 1, hlen)?)?;
            }
            Ok(())
        },
        shows: "10*committed(1,0) 5*renew 5*release 5*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-hardware-addresses-beyond-chaddr",
        traffic: |stage| {
            for hlen in [17, 20, 21, 255] {
                let mut client = odd(stage, hlen, 1, hlen)?;
                let query = client.query(Kind::Discover);
                client.send(&query, None)?;
                stage.fence()?;
                let query = client.query(Kind::Release);
                client.send(&query, None)?;
            }
            Ok(())
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-no-hardware-address-but-a-client-id",
        traffic: |stage| {
            life(&mut odd(stage, 1, 1, 0)?.identified(b"\x00only this"))?;
            life(&mut odd(stage, 2, 32, 0)?.identified(b"\xff\x00\x00\x00\x01\x00\x03\x00\x01\x02"))
        },
        shows: "4*committed(1,0) 2*renew 2*release 2*committed(0,1)",
        ..V4
    },
    Scenario {
        name: "v4-reserved-by-client-id-for-a-moved-client",
        kea: |config| {
            config.at(
                "/subnet4/0/reservations",
                json!([{ "client-id": "00:76:69:70", "ip-address": "192.0.2.60" }]),
            )
        },
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            client.client_id = Some(b"\x00vip".to_vec());
            client.bind()?;
            client.renew()?;
            client.release()
        },
        shows: "...",
        ..V4
    },
];
