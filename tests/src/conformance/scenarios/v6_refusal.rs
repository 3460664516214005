//! DHCPv6: what is refused, ignored, or no matter of leases.

use serde_json::json;

use crate::client::message6::{Ia, IaKind, Item6, Kind, option};
use crate::conformance::scenario::{Scenario, V6};

use super::both;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v6-request-without-association",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?;
            client.solicit()?;
            client.associations.clear();
            client.request()?;
            client.renew()?;
            client.rebind()?;
            client.release().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-no-address-available",
        kea: |config| config.at("/subnet6/0/pools", json!([])).at("/subnet6/0/pd-pools", json!([])),
        traffic: |stage| {
            let mut client = stage.v6(1, both())?;
            client.solicit()?;
            client.request()?;
            client.renew()?;
            client.rebind().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-address-but-no-prefix-available",
        kea: |config| config.at("/subnet6/0/pd-pools", json!([])),
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.renew()?;
            client.release().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-rapid-commit-without-address-available",
        kea: |config| config.at("/subnet6/0/pools", json!([])).at("/subnet6/0/pd-pools", json!([])),
        traffic: |stage| {
            let mut client = stage.v6(1, both())?;
            let mut query = client.query(Kind::Solicit, false);
            query.options.push((option::RAPID_COMMIT, vec![]));
            client.send(&query)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-confirm",
        traffic: |stage| {
            let mut client = stage.v6(1, vec![Ia::addresses(1)])?.bound()?;
            client.confirm()?;
            client.associations[0].items[0].address = "2001:db8:77::1".parse()?;
            client.confirm().map(drop)
        },
        shows: "committed(1,0)",
        ..V6
    },
    Scenario {
        name: "v6-information-request",
        traffic: |stage| stage.v6(1, Vec::new())?.information_request().map(drop),
        ..V6
    },
    Scenario {
        name: "v6-to-another-server",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            client.server_duid = Some(b"\x00\x03\x00\x01\x02\x77\x77\x77\x77\x77".to_vec());
            for kind in [Kind::Request, Kind::Renew, Kind::Release, Kind::Decline] {
                let query = client.query(kind, true);
                client.send(&query)?;
            }
            Ok(())
        },
        shows: "committed(2,0)",
        ..V6
    },
    Scenario {
        name: "v6-server-id-missing-or-forbidden",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            for (kind, named) in [
                (Kind::Request, false),
                (Kind::Renew, false),
                (Kind::Release, false),
                (Kind::Decline, false),
                (Kind::Rebind, true),
                (Kind::Confirm, true),
                (Kind::Solicit, true),
            ] {
                let query = client.query(kind, named);
                client.send(&query)?;
            }
            Ok(())
        },
        shows: "committed(2,0)",
        ..V6
    },
    Scenario {
        name: "v6-without-client-id",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            for kind in [Kind::Solicit, Kind::Request, Kind::Renew, Kind::Release] {
                let mut query = client.query(kind, kind != Kind::Solicit);
                query.options.retain(|(code, _)| *code != option::CLIENT_ID);
                client.send(&query)?;
            }
            Ok(())
        },
        shows: "committed(2,0)",
        ..V6
    },
    Scenario {
        name: "v6-prefix-length-that-is-not-given",
        traffic: |stage| {
            let hint = Item6 { address: "::".parse()?, prefix_length: 60, preferred: 0, valid: 0 };
            let mut client =
                stage.v6(1, vec![Ia { kind: IaKind::Prefixes, iaid: 1, items: vec![hint] }])?.bound()?;
            client.associations[0].items[0].prefix_length = 60;
            client.renew()?;
            client.associations[0].items[0].prefix_length = 60;
            client.release().map(drop)
        },
        shows: "...",
        ..V6
    },
    Scenario {
        name: "v6-temporary-addresses",
        traffic: |stage| {
            let mut client = stage.v6(1, vec![Ia::addresses(1)])?;
            // IA_TA, which Kea does not serve: IAID 9 and nothing in it.
            client.options = vec![(4, vec![0, 0, 0, 9])];
            client.bind()?;
            client.renew().map(drop)
        },
        shows: "2*committed(1,0) renew",
        ..V6
    },
    Scenario {
        name: "v6-server-messages-from-clients",
        traffic: |stage| {
            let mut client = stage.v6(1, both())?.bound()?;
            for kind in [Kind::Advertise, Kind::Reply, Kind::RelayReply] {
                let query = client.query(kind, true);
                client.send(&query)?;
            }
            Ok(())
        },
        shows: "committed(2,0)",
        ..V6
    },
];
