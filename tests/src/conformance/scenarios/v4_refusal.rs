//! DHCPv4: what is refused, ignored, or no matter of leases.

use serde_json::json;

use crate::client::message4::{Kind, option};
use crate::client::v4::Binding4;
use crate::conformance::scenario::{Scenario, V4};
use crate::conformance::stage::expect;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v4-nak-unknown-client-reboots",
        traffic: |stage| expect(&stage.v4(1)?.init_reboot("192.0.2.150".parse()?)?, Kind::Nak),
        shows: "committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-nak-wrong-network",
        traffic: |stage| expect(&stage.v4(1)?.init_reboot("10.1.2.3".parse()?)?, Kind::Nak),
        shows: "committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-nak-address-of-another-client",
        traffic: |stage| {
            let taken = stage.v4(1)?.bind()?.yiaddr;
            let mut other = stage.v4(2)?;
            expect(&other.init_reboot(taken)?, Kind::Nak)?;
            other.bind()?;
            // It has a lease, and asks for one that is not its own.
            expect(&other.init_reboot(taken)?, Kind::Nak)?;
            other.renew().map(drop)
        },
        shows: "3*committed(1,0) 2*committed(0,0) renew",
        ..V4
    },
    Scenario {
        name: "v4-nak-selecting-an-address-of-another-client",
        traffic: |stage| {
            let taken = stage.v4(1)?.bind()?.yiaddr;
            let mut other = stage.v4(2)?;
            let offer = other.discover()?;
            let mut query = other.query(Kind::Request);
            query.xid = offer.xid;
            let query =
                query.with(option::REQUESTED_ADDRESS, taken.octets()).with(option::SERVER_ID, [192, 0, 2, 1]);
            other.exchange(query, None, &[Kind::Nak]).map(drop)
        },
        shows: "committed(1,0) committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-nak-renewal-of-an-address-of-another-client",
        traffic: |stage| {
            let owner = stage.v4(1)?.bound()?;
            let mut other = stage.v4(2)?;
            other.binding = owner.binding;
            expect(&other.renew()?, Kind::Nak)?;
            expect(&other.rebind()?, Kind::Nak)
        },
        shows: "committed(1,0) 2*committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-nak-no-subnet-for-the-relay",
        traffic: |stage| {
            let mut client = stage.v4(1)?.through("203.0.113.1", None);
            expect(&client.init_reboot("203.0.113.9".parse()?)?, Kind::Nak)
        },
        shows: "committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-reboot-in-vain-where-not-authoritative",
        kea: |config| config.set("authoritative", false),
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let query = client.query(Kind::Request).with(option::REQUESTED_ADDRESS, [192, 0, 2, 150]);
            client.send(&query, None)
        },
        ..V4
    },
    Scenario {
        name: "v4-renewal-of-an-address-in-no-pool",
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let mut query = client.query(Kind::Request);
            query.ciaddr = "192.0.2.33".parse()?;
            client.send(&query, None)
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-request-to-another-server",
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let offer = client.discover()?;
            let mut query = client.query(Kind::Request);
            query.xid = offer.xid;
            let query = query.with(option::REQUESTED_ADDRESS, offer.yiaddr.octets());
            client.send(&query.with(option::SERVER_ID, [192, 0, 2, 77]), None)
        },
        ..V4
    },
    Scenario {
        name: "v4-discover-that-names-the-server",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            let query = client.query(Kind::Discover).with(option::SERVER_ID, [192, 0, 2, 1]);
            client.send(&query, None)?;
            let query = client.query(Kind::Discover).with(option::SERVER_ID, [192, 0, 2, 77]);
            client.send(&query, None)
        },
        shows: "committed(1,0) committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-discover-that-names-a-silent-server",
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let query = client.query(Kind::Discover).with(option::SERVER_ID, [192, 0, 2, 1]);
            client.send(&query, None)
        },
        shows: "committed(0,0)",
        ..V4
    },
    Scenario {
        name: "v4-inform",
        traffic: |stage| {
            let mut client = stage.v4(1)?.host_name("informed");
            client.inform("192.0.2.9".parse()?)?;
            client.bind()?;
            let held = client.address()?;
            client.inform(held)?;
            client.renew().map(drop)
        },
        shows: "2*committed(1,0) renew",
        ..V4
    },
    Scenario {
        name: "v4-nobody-asks",
        traffic: |stage| {
            stage.fence()?;
            for kind in [Kind::Discover, Kind::Request, Kind::Release, Kind::Decline] {
                let mut nobody = stage.v4(1)?;
                nobody.hardware = (1, 0);
                let query = nobody.query(kind).with(option::REQUESTED_ADDRESS, [192, 0, 2, 150]);
                nobody.send(&query, None)?;
            }
            Ok(())
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-empty-pool",
        kea: |config| config.at("/subnet4/0/pools", json!([])),
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let query = client.query(Kind::Discover);
            client.send(&query, None)
        },
        ..V4
    },
    Scenario {
        name: "v4-bootp",
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let query = client.query(Kind::Discover).without(option::MESSAGE_TYPE);
            client.send(&query, None)
        },
        ..V4
    },
    Scenario {
        name: "v4-bootp-served",
        kea: |config| config.library("libdhcp_bootp.so").expect("Debian's Kea has it"),
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let query = client.query(Kind::Discover).without(option::MESSAGE_TYPE);
            let xid = query.xid;
            client.send(&query, None)?;
            stage.calls(1, std::time::Duration::from_secs(5))?;
            // Asked again, answered again.
            let mut query = client.query(Kind::Discover).without(option::MESSAGE_TYPE);
            query.xid = xid + 1;
            client.send(&query, None)
        },
        shows: "...",
        ..V4
    },
    Scenario {
        name: "v4-server-messages-from-clients",
        traffic: |stage| {
            let mut client = stage.v4(1)?.bound()?;
            for kind in [Kind::Offer, Kind::Ack, Kind::Nak] {
                let query = client.query(kind);
                client.send(&query, None)?;
            }
            Ok(())
        },
        shows: "committed(1,0)",
        ..V4
    },
    Scenario {
        name: "v4-unicast-to-the-server-without-an-address",
        traffic: |stage| {
            let mut client = stage.v4(1)?;
            let server = "192.0.2.1".parse()?;
            let query = client.query(Kind::Discover);
            let none = Binding4 { address: "0.0.0.0".parse()?, server };
            let offer = client.exchange(query, Some(none), &[Kind::Offer])?;
            client.select(&offer).map(drop)
        },
        shows: "committed(1,0)",
        ..V4
    },
];
