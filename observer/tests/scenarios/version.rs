//! Where Kea's releases differ: each difference that a script can see, on both sides of the release that made it.

use dhcp_observer::config::{Dhcp6, ExpiredLeases, KeaVersion, ServerConfig};

use crate::story::{Story, unix};
use crate::wire4::{self, SERVER};
use crate::wire6::{self, address, na, pd, prefix};

const A: &str = "192.0.2.100";
const A6: &str = "2001:db8:1::1000";

const VERSIONS: [KeaVersion; 4] = [KeaVersion::V2_2, KeaVersion::V2_6, KeaVersion::V3_0, KeaVersion::V3_2];

fn story(version: KeaVersion) -> Story {
    Story::with(ServerConfig::of(version))
}

#[test]
fn a_v4_release_deletes_the_record_or_keeps_it_for_its_client() {
    for version in VERSIONS {
        let (mut story, client) = (story(version), wire4::client(1));
        story.at(0).given(&client, A);
        story.at(10).asks(&client.release(A));
        if version == KeaVersion::V2_2 {
            let calls = story.expect(["release: lease4_release", "release: leases4_committed(0,1)"]);
            calls.has(
                1,
                &[("DELETED_LEASES4_AT0_VALID_LIFETIME", "3600"), ("DELETED_LEASES4_AT0_STATE", "default")],
            );
            story.at(20_000).expect_nothing();
            continue;
        }
        let state = if version == KeaVersion::V2_6 { "default" } else { "released" };
        story.at(20);
        story
            .expect(["release: lease4_release", "release: leases4_committed(0,1)", "expire: lease4_expire"])
            .has(0, &[("LEASE4_VALID_LIFETIME", "3600"), ("LEASE4_STATE", "default")])
            .has(1, &[("DELETED_LEASES4_AT0_VALID_LIFETIME", "0"), ("DELETED_LEASES4_AT0_STATE", state)])
            .has(2, &[("LEASE4_VALID_LIFETIME", "0"), ("LEASE4_STATE", state), ("LEASE4_CLTT", &unix(0))]);
        // The client comes back within the hold time and is known.
        story.at(100).dora(&client, A);
        story
            .expect(["renew: lease4_renew", "renew: lease4_renew", "renew: leases4_committed(1,0)"])
            .has(0, &[("LEASE4_STATE", "expired-reclaimed")]);
    }
}

#[test]
fn without_affinity_a_release_deletes_the_record_in_every_version() {
    for version in VERSIONS {
        let mut config = ServerConfig::of(version);
        config.dhcp4.expired_leases = ExpiredLeases { hold_reclaimed_time: 0, ..ExpiredLeases::default() };
        let (mut story, client) = (Story::with(config), wire4::client(1));
        story.at(0).given(&client, A);
        story.at(10).asks(&client.release(A));
        story
            .expect(["release: lease4_release", "release: leases4_committed(0,1)"])
            .has(1, &[("DELETED_LEASES4_AT0_VALID_LIFETIME", "3600")]);
        story.at(20_000).expect_nothing();
    }
}

#[test]
fn a_v6_release_keeps_address_and_prefix_for_their_client() {
    let leases =
        || vec![na(7, vec![address(A6, 300, 600)]), pd(8, vec![prefix("2001:db8:9::", 56, 300, 600)])];
    for version in [KeaVersion::V2_6, KeaVersion::V3_0] {
        let (mut story, client) = (story(version), wire6::client(1));
        story.at(0).replied(&client.request(leases()), leases()).calls();
        story.at(10).replied(&client.release(leases()), vec![na(7, vec![]), pd(8, vec![])]);
        story.at(20);
        let state = if version == KeaVersion::V2_6 { "default" } else { "released" };
        story
            .expect([
                "release: lease6_release",
                "release: lease6_release",
                "release: leases6_committed(0,2)",
                "expire: lease6_expire",
                "expire: lease6_expire",
            ])
            .has(
                2,
                &[
                    ("DELETED_LEASES6_AT1_VALID_LIFETIME", "0"),
                    ("DELETED_LEASES6_AT1_PREFERRED_LIFETIME", "0"),
                ],
            )
            .has(2, &[("DELETED_LEASES6_AT0_STATE", state)])
            .has(3, &[("LEASE6_TYPE", "IA_NA"), ("LEASE6_VALID_LIFETIME", "0"), ("LEASE6_STATE", state)])
            .has(4, &[("LEASE6_TYPE", "IA_PD")]);
    }
}

#[test]
fn the_duid_of_a_declined_lease_grew_by_two_octets() {
    for version in VERSIONS {
        let (mut story, client) = (story(version), wire6::client(1));
        let leases = || vec![na(7, vec![address(A6, 300, 600)])];
        story.at(0).replied(&client.request(leases()), leases()).calls();
        story.at(10).replied(&client.decline(leases()), vec![na(7, vec![])]);
        let duid = if version == KeaVersion::V2_2 { "00" } else { "00:00:00" };
        story
            .expect(["decline: lease6_decline", "decline: leases6_committed(1,0)"])
            .has(1, &[("LEASES6_AT0_DUID", duid)]);
    }
}

#[test]
fn a_lease_that_is_over_can_be_declined_until_3_0() {
    for version in VERSIONS {
        let mut config = ServerConfig::of(version);
        // The record stays, overdue, because nobody reclaims it.
        config.dhcp4.expired_leases =
            ExpiredLeases { reclaim_timer_wait_time: 0, ..ExpiredLeases::default() };
        let (mut story, client) = (Story::with(config), wire4::client(1));
        story.at(0).given(&client, A);
        story.at(4_000).asks(&client.decline(A));
        if version < KeaVersion::V3_0 {
            story.expect(["decline: lease4_decline", "decline: leases4_committed(1,0)"]);
        } else {
            story.expect(["commit: leases4_committed(0,0)"]);
        }
    }
}

#[test]
fn the_relays_options_are_shown_since_3_0() {
    let relay = || vec![(18, b"relay1:eth0".to_vec()), (37, vec![0, 0, 0, 9, 1, 2]), (38, vec![])];
    for version in VERSIONS {
        let (mut story, client) = (story(version), wire6::client(1));
        let leases = || vec![na(7, vec![address(A6, 300, 600)])];
        let request = client.request(leases()).relayed("2001:db8:2::1", relay());
        story.at(0).replied(&request, leases());
        let shown = version >= KeaVersion::V3_0;
        story.expect(["commit: leases6_committed(1,0)"]).has(
            0,
            &[
                ("QUERY6_OPTION_18", if shown { "0x72656C6179313A65746830" } else { "-" }),
                ("QUERY6_OPTION_37", if shown { "0x000000090102" } else { "-" }),
                ("QUERY6_OPTION_38", if shown { "" } else { "-" }),
            ],
        );
    }
}

#[test]
fn the_lease_cache_is_on_by_default_since_3_0() {
    for version in VERSIONS {
        let (mut story, client) = (story(version), wire4::client(1));
        story.at(0).given(&client, A);
        let renew = client.renew(A);
        story.at(600).asks(&renew).answers(&renew.ack(A).lifetime(3_000));
        if version < KeaVersion::V3_0 {
            story
                .expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"])
                .has(0, &[("LEASE4_VALID_LIFETIME", "3000")]);
        } else {
            story
                .expect(["renew: lease4_renew", "renew: leases4_committed(0,0)"])
                .has(0, &[("LEASE4_VALID_LIFETIME", "3600")]);
            story.at(3_600).expect(["expire: lease4_expire"]).has(0, &[("LEASE4_CLTT", &unix(0))]);
        }
    }
}

#[test]
fn rejected_messages_cause_nothing_since_3_2() {
    for version in VERSIONS {
        let (mut story, client) = (story(version), wire4::client(1));
        story.at(0).given(&client, A);
        let server = SERVER.octets();
        story.at(10).asks(&client.discover().set(54, &server));
        if version < KeaVersion::V3_2 {
            story.expect(["commit: leases4_committed(0,0)"]).has(0, &[("OBSERVER_ESTIMATED", "1")]);
        } else {
            story.expect_nothing();
        }
    }
}

#[test]
fn another_clients_hardware_address_stays_in_the_record_until_3_2() {
    for version in VERSIONS {
        let mut config = ServerConfig::of(version);
        // Beside other servers nobody wants another client's address.
        config.dhcp6.configured = true;
        let (first, second) = (wire6::client(1), wire6::client(2));
        let mut story = Story::with(config);
        let leases = || vec![na(7, vec![address(A6, 300, 600)])];
        story.at(0).replied(&first.request(leases()), leases()).calls();
        story.at(700).expect(["expire: lease6_expire"]);
        story.replied(&second.request(leases()), leases());
        let calls = story.expect(["commit: leases6_committed(1,0)"]);
        let of_first = calls.get(0, "LEASES6_AT0_HWADDR").ends_with(":01");
        assert_eq!(of_first, version < KeaVersion::V3_2, "{version:?}");
    }
}

#[test]
fn addresses_are_registered_since_3_0() {
    for version in VERSIONS {
        let (mut story, client) = (story(version), wire6::client(1));
        let inform = client.inform_of_address(vec![address(A6, 300, 600)]);
        story.at(0).asks(&inform).answers(&inform.confirms_address());
        if version < KeaVersion::V3_0 {
            story.expect_nothing();
            continue;
        }
        story
            .expect(["commit: addr6_register", "commit: leases6_committed(1,0)"])
            .has(0, &[("QUERY6_TYPE", "ADDR_REG_INFORM"), ("ADDRESS6", A6), ("OLD_LEASE6_ADDRESS", "-")])
            .has(
                0,
                &[("NEW_LEASE6_ADDRESS", A6), ("NEW_LEASE6_STATE", "registered"), ("NEW_LEASE6_IAID", "0")],
            )
            .has(1, &[("LEASES6_AT0_STATE", "registered")]);
        story.at(300).asks(&inform).answers(&inform.confirms_address());
        story
            .expect(["renew: addr6_register", "renew: leases6_committed(1,0)"])
            .has(0, &[("OLD_LEASE6_CLTT", &unix(0)), ("NEW_LEASE6_CLTT", &unix(300))]);
        story.at(900).expect(["expire: lease6_expire"]).has(0, &[("LEASE6_STATE", "registered")]);
        assert_eq!(story.counters().leases6, 0);
    }
}

#[test]
fn the_defaults_of_2_2_are_those_of_no_version_at_all() {
    let default = Dhcp6::default();
    assert_eq!(ServerConfig::of(KeaVersion::V2_2).dhcp6.cache, default.cache);
    assert_eq!(KeaVersion::default(), KeaVersion::V2_2);
}
