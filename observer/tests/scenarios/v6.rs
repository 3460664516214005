//! DHCPv6, row by row of the truth table.

use dhcp_observer::config::ServerConfig;
use dhcp_observer::frame::Direction;
use dhcp_observer::tracker::{Answers, Limits};

use crate::config::{known_kea6, no_reclaim_timer, subnet6};
use crate::story::{Story, unix};
use crate::wire6::{Client, Options, address, client, fqdn, na, pd, prefix, status};

const A: &str = "2001:db8:1::100";
const B: &str = "2001:db8:1::101";
const P: &str = "2001:db8:f000::";

/// An IA_NA 1 with A and an IA_PD 2 with P, the prefix first.
fn both() -> Options {
    vec![pd(2, vec![prefix(P, 56, 300, 600)]), na(1, vec![address(A, 300, 600)])]
}

fn one(text: &str) -> Options {
    vec![na(1, vec![address(text, 300, 600)])]
}

impl Story {
    #[track_caller]
    fn given6(&mut self, client: &Client, options: Options) -> &mut Self {
        let count = options.len();
        let request = client.request(options.clone());
        self.replied(&request, options);
        self.expect([format!("commit: leases6_committed({count},0)").as_str()]);
        self
    }
}

#[test]
fn four_messages_commit_addresses_before_prefixes_whatever_their_order() {
    let (mut story, client) = (Story::with(subnet6(|_| {})), client(1));
    let solicit = client.solicit(vec![pd(2, vec![]), na(1, vec![])]);
    story.at(0).asks(&solicit).answers(&solicit.advertise(both())).expect_nothing();
    let request = client.request(both());
    story.at_millis(1_700).replied(&request, both());
    story.expect(["commit: leases6_committed(2,0)"]).has(
        0,
        &[
            ("QUERY6_TYPE", "REQUEST"),
            ("QUERY6_TXID", "65538"),
            ("QUERY6_LOCAL_ADDR", "ff02::1:2"),
            ("QUERY6_LOCAL_PORT", "0"),
            ("QUERY6_REMOTE_ADDR", "fe80::ff:fe00:1"),
            ("QUERY6_REMOTE_PORT", "546"),
            ("QUERY6_IFACE_INDEX", "3"),
            ("QUERY6_IFACE_NAME", "vs"),
            ("QUERY6_REMOTE_HWADDR", ""),
            ("QUERY6_REMOTE_HWADDR_TYPE", ""),
            ("QUERY6_PROTO", "UDP"),
            ("QUERY6_CLIENT_ID", "00:03:00:01:02:aa:00:00:00:01"),
            ("LEASES6_AT0_ADDRESS", A),
            ("LEASES6_AT0_CLTT", &unix(1)),
            ("LEASES6_AT0_HOSTNAME", ""),
            ("LEASES6_AT0_HWADDR", "02:aa:00:00:00:01"),
            ("LEASES6_AT0_HWADDR_TYPE", "1"),
            ("LEASES6_AT0_STATE", "default"),
            ("LEASES6_AT0_SUBNET_ID", "8"),
            ("LEASES6_AT0_VALID_LIFETIME", "600"),
            ("LEASES6_AT0_DUID", "00:03:00:01:02:aa:00:00:00:01"),
            ("LEASES6_AT0_IAID", "1"),
            ("LEASES6_AT0_PREFERRED_LIFETIME", "300"),
            ("LEASES6_AT0_PREFIX_LEN", "128"),
            ("LEASES6_AT0_TYPE", "IA_NA"),
            ("LEASES6_AT1_ADDRESS", P),
            ("LEASES6_AT1_IAID", "2"),
            ("LEASES6_AT1_PREFIX_LEN", "56"),
            ("LEASES6_AT1_SUBNET_ID", "8"),
            ("LEASES6_AT1_TYPE", "IA_PD"),
            ("LEASES6_AT2_ADDRESS", "-"),
            ("OBSERVER_INFERRED", "-"),
        ],
    );
}

#[test]
fn a_request_of_an_existing_binding_is_committed_and_nothing_else() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given6(&client, both());
    story.at(5).replied(&client.request(both()), both());
    story.expect(["renew: leases6_committed(2,0)"]).has(0, &[("LEASES6_AT0_CLTT", &unix(5))]);
    story.at(604).expect_nothing().at(605).expect(["expire: lease6_expire", "expire: lease6_expire"]);
}

#[test]
fn rapid_commit_needs_the_servers_consent() {
    let (mut story, client) = (Story::new(), client(1));
    let solicit = client.solicit(one(A)).with((14, vec![]));
    story
        .at(0)
        .asks(&solicit)
        .answers(&solicit.advertise(one(A)))
        .answers(&solicit.reply(one(A)))
        .expect_nothing();
    story.answers(&solicit.reply(one(A)).with((14, vec![])));
    story.expect(["commit: leases6_committed(1,0)"]).has(0, &[("QUERY6_TYPE", "SOLICIT")]);
}

#[test]
fn a_renew_calls_for_each_lease_addresses_first_and_so_does_a_rebind() {
    let (mut story, client) = (Story::with(subnet6(|_| {})), client(1));
    let options = || {
        vec![
            pd(0x0102_0304, vec![prefix(P, 56, 300, 600)]),
            na(7, vec![address(B, 300, 600)]),
            na(6, vec![address(A, 300, 600)]),
        ]
    };
    story.at(0).given6(&client, options());
    story.at(150).replied(&client.renew(options()), options());
    let calls = story.expect([
        "renew: lease6_renew",
        "renew: lease6_renew",
        "renew: lease6_renew",
        "renew: leases6_committed(3,0)",
    ]);
    // In the order of the packet, not of the identifiers.
    calls.has(0, &[("LEASE6_ADDRESS", B), ("LEASE6_CLTT", &unix(150)), ("LEASE6_SUBNET_ID", "8")]);
    calls.has(
        0,
        &[("PKT6_IA_IAID", "7"), ("PKT6_IA_IA_TYPE", "3"), ("PKT6_IA_IA_T1", "0"), ("PKT6_IA_IA_T2", "0")],
    );
    calls.has(1, &[("LEASE6_ADDRESS", A), ("PKT6_IA_IAID", "6")]);
    calls.has(2, &[("LEASE6_TYPE", "IA_PD"), ("PKT6_IA_IAID", "16909060"), ("PKT6_IA_IA_TYPE", "25")]);
    calls.has(3, &[("LEASES6_AT0_ADDRESS", B), ("LEASES6_AT2_ADDRESS", P), ("DELETED_LEASES6_SIZE", "0")]);

    story.at(300).replied(&client.rebind(options()), options());
    story
        .expect([
            "rebind: lease6_rebind",
            "rebind: lease6_rebind",
            "rebind: lease6_rebind",
            "rebind: leases6_committed(3,0)",
        ])
        .has(0, &[("QUERY6_TYPE", "REBIND"), ("PKT6_IA_IAID", "7"), ("LEASE6_STATE", "default")]);
}

#[test]
fn a_renew_of_a_wrong_address_renews_the_bound_one() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given6(&client, one(A));
    // The answer takes the wrong one away with lifetimes of zero; it was nobody's.
    let answer = vec![na(1, vec![address(A, 300, 600), address(B, 0, 0)])];
    story.at(5).replied(&client.renew(one(B)), answer);
    story.expect(["renew: lease6_renew", "renew: leases6_committed(1,0)"]).has(0, &[("LEASE6_ADDRESS", A)]);
}

#[test]
fn a_renew_without_binding_is_a_first_lease_or_nothing() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).replied(&client.renew(one(A)), vec![na(1, vec![status(3)])]);
    story.expect(["commit: leases6_committed(0,0)"]);
    story.at(1).replied(&client.renew(one(A)), one(A)).expect(["commit: leases6_committed(1,0)"]);
}

#[test]
fn addresses_withdrawn_or_replaced_are_deleted() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given6(&client, one(A));
    let answer = vec![na(1, vec![address(A, 0, 0), address(B, 300, 600)])];
    story.at(5).replied(&client.renew(one(A)), answer);
    story.expect(["commit: leases6_committed(1,1)"]).has(
        0,
        &[
            ("LEASES6_AT0_ADDRESS", B),
            ("DELETED_LEASES6_AT0_ADDRESS", A),
            ("DELETED_LEASES6_AT0_CLTT", &unix(0)),
        ],
    );
    // Named by nobody, but replaced on its own network.
    story.at(6).replied(&client.renew(one(B)), one(A));
    story.expect(["commit: leases6_committed(1,1)"]).has(0, &[("DELETED_LEASES6_AT0_ADDRESS", B)]);
    story.at(7).replied(&client.rebind(one(A)), vec![na(1, vec![address(A, 0, 0)])]);
    story.expect(["commit: leases6_committed(0,1)"]);
    story.at(10_000).expect_nothing();
}

#[test]
fn an_address_withdrawn_from_one_client_is_not_taken_from_another() {
    let (mut story, owner, other) = (Story::new(), client(1), client(2));
    story.at(0).given6(&owner, one(A));
    story.at(5).replied(&other.renew(one(A)), vec![na(1, vec![address(A, 0, 0), address(B, 300, 600)])]);
    story.expect(["commit: leases6_committed(1,0)"]).has(0, &[("LEASES6_AT0_ADDRESS", B)]);
    story.at(600).expect(["expire: lease6_expire"]).has(0, &[("LEASE6_ADDRESS", A)]);
}

#[test]
fn nothing_granted_is_still_committed() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).replied(&client.request(vec![]), vec![]).expect(["commit: leases6_committed(0,0)"]);
    story.at(1).replied(&client.request(one(A)), vec![na(1, vec![status(2)])]);
    story.expect(["commit: leases6_committed(0,0)"]).has(0, &[("LEASES6_AT0_ADDRESS", "-")]);
}

#[test]
fn confirm_and_information_request_are_nothing() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given6(&client, one(A));
    story.at(1).replied(&client.confirm(one(A)), vec![status(0)]);
    story.replied(&client.information_request(vec![]), vec![]).expect_nothing();
    // An Information-request may be anonymous.
    let mut anonymous = client.information_request(vec![]);
    anonymous.options.clear();
    story.replied(&anonymous, vec![]).expect_nothing();
}

#[test]
fn a_release_gives_back_each_lease_addresses_first() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given6(&client, both());
    story.at(50).replied(&client.release(both()), vec![status(0)]);
    let calls = story.expect([
        "release: lease6_release",
        "release: lease6_release",
        "release: leases6_committed(0,2)",
    ]);
    calls.has(0, &[("QUERY6_TYPE", "RELEASE"), ("LEASE6_ADDRESS", A), ("LEASE6_CLTT", &unix(0))]);
    calls.has(0, &[("LEASE6_STATE", "default"), ("LEASE6_VALID_LIFETIME", "600"), ("PKT6_IA_IAID", "-")]);
    calls.has(1, &[("LEASE6_ADDRESS", P), ("LEASE6_PREFIX_LEN", "56")]);
    calls.has(2, &[("DELETED_LEASES6_AT0_ADDRESS", A), ("DELETED_LEASES6_AT1_ADDRESS", P)]);
    calls.has(2, &[("DELETED_LEASES6_AT0_VALID_LIFETIME", "600")]);
    story.at(10_000).expect_nothing();
}

#[test]
fn a_release_or_decline_of_what_is_not_bound_commits_nothing() {
    let (mut story, owner, other) = (Story::new(), client(1), client(2));
    story.at(0).given6(&owner, both());
    let no_binding = || vec![na(1, vec![status(3)]), status(0)];
    for query in [
        other.release(one(A)),
        other.decline(one(A)),
        owner.release(vec![na(9, vec![address(A, 0, 0)])]),
        owner.release(vec![na(1, vec![address(B, 0, 0)])]),
        owner.release(vec![na(1, vec![])]),
        // Of its own, but the server says that it does not know it.
        owner.release(one(A)),
        owner.decline(one(A)),
        // A prefix cannot be declined, and an address is no prefix.
        owner.decline(vec![pd(2, vec![prefix(P, 56, 0, 0)])]),
        owner.release(vec![pd(1, vec![prefix(A, 128, 0, 0)])]),
    ] {
        story.at(1).replied(&query, no_binding()).expect(["commit: leases6_committed(0,0)"]);
    }
    assert_eq!(story.counters().leases6, 2);
    // Without an answer there is nothing at all.
    story.asks(&owner.release(both())).expect_nothing();
}

#[test]
fn only_the_first_address_of_an_association_is_released() {
    let (mut story, client) = (Story::new(), client(1));
    let two = || vec![na(1, vec![address(A, 300, 600), address(B, 300, 600)])];
    story.at(0).replied(&client.request(two()), two()).expect(["commit: leases6_committed(2,0)"]);
    story.at(1).replied(&client.release(two()), vec![]);
    story
        .expect(["release: lease6_release", "release: leases6_committed(0,1)"])
        .has(0, &[("LEASE6_ADDRESS", A)]);
}

#[test]
fn a_decline_is_of_every_address_and_ends_with_the_probation() {
    let (mut story, client) = (Story::with(subnet6(|_| {})), client(1));
    let two = || vec![na(5, vec![address(A, 300, 600)]), na(6, vec![address(B, 300, 600)])];
    let request = client.request(two()).with(fqdn(&["Host"]));
    story.at(0).asks(&request).answers(&request.reply(two()).with(fqdn(&["Host", "example"])));
    story.expect(["commit: leases6_committed(2,0)"]).has(0, &[("LEASES6_AT0_HOSTNAME", "host.example.")]);
    story.at(10).replied(&client.decline(two()), vec![]);
    let calls = story.expect([
        "decline: lease6_decline",
        "decline: lease6_decline",
        "decline: leases6_committed(2,0)",
    ]);
    calls.has(
        0,
        &[
            ("LEASE6_ADDRESS", A),
            ("LEASE6_STATE", "default"),
            ("LEASE6_HOSTNAME", "host.example."),
            ("LEASE6_HWADDR", "02:aa:00:00:00:01"),
            ("LEASE6_VALID_LIFETIME", "600"),
            ("LEASE6_CLTT", &unix(0)),
        ],
    );
    calls.has(
        2,
        &[
            ("LEASES6_AT0_STATE", "declined"),
            ("LEASES6_AT0_DUID", "00"),
            ("LEASES6_AT0_IAID", "5"),
            ("LEASES6_AT0_HWADDR", ""),
            ("LEASES6_AT0_HWADDR_TYPE", ""),
            ("LEASES6_AT0_HOSTNAME", ""),
            ("LEASES6_AT0_PREFERRED_LIFETIME", "0"),
            ("LEASES6_AT0_VALID_LIFETIME", "86400"),
            ("LEASES6_AT0_CLTT", &unix(10)),
            ("LEASES6_AT0_SUBNET_ID", "8"),
            ("LEASES6_AT1_ADDRESS", B),
            ("LEASES6_AT1_IAID", "6"),
        ],
    );
    // Nobody's now.
    story.at(11).replied(&client.release(two()), vec![]).expect(["commit: leases6_committed(0,0)"]);
    story.at(86_409).expect_nothing().at(86_410);
    let calls = story.expect([
        "expire: lease6_expire",
        "recover: lease6_recover",
        "expire: lease6_expire",
        "recover: lease6_recover",
    ]);
    calls.has(0, &[("LEASE6_ADDRESS", A), ("LEASE6_STATE", "declined"), ("REMOVE_LEASE", "false")]);
    calls.has(1, &[("LEASE6_ADDRESS", A), ("LEASE6_DUID", "00"), ("REMOVE_LEASE", "-")]);
    assert_eq!(story.counters().leases6, 0);
}

#[test]
fn relays_change_the_ends_and_nothing_else() {
    let (mut story, client) = (Story::new(), client(1));
    let request = client
        .request(both())
        .relayed("2001:db8:1::1", vec![(18, b"port 7".to_vec())])
        .relayed("2001:db8:2::1", vec![(37, vec![0, 0, 0, 9, 1])]);
    story.at(0).replied(&request, both());
    story.expect(["commit: leases6_committed(2,0)"]).has(
        0,
        &[
            ("QUERY6_TYPE", "REQUEST"),
            ("QUERY6_TXID", "65537"),
            ("QUERY6_LOCAL_ADDR", "2001:db8:ffff::1"),
            ("QUERY6_REMOTE_ADDR", "2001:db8:2::1"),
            ("QUERY6_REMOTE_PORT", "547"),
            ("QUERY6_OPTION_18", "-"),
        ],
    );
    // The same client without its relays is the same client.
    story.at(5).replied(&client.renew(both()), both());
    story.expect(["renew: lease6_renew", "renew: lease6_renew", "renew: leases6_committed(2,0)"]);
}

#[test]
fn an_overdue_record_is_renewed_first_and_reclaimed_second() {
    let (mut story, client) = (Story::with(no_reclaim_timer()), client(1));
    story.at(0).given6(&client, both());
    story.at(900).replied(&client.renew(both()), both());
    let calls = story.expect([
        "renew: lease6_renew",
        "expire: lease6_expire",
        "renew: lease6_renew",
        "expire: lease6_expire",
        "renew: leases6_committed(2,0)",
    ]);
    calls
        .has(0, &[("LEASE6_CLTT", &unix(900))])
        .has(1, &[("LEASE6_CLTT", &unix(0)), ("REMOVE_LEASE", "false")]);
    calls.has(1, &[("OBSERVER_ESTIMATED", "-"), ("QUERY6_TYPE", "-")]);
}

#[test]
fn a_request_of_ones_own_overdue_record_reclaims_nothing() {
    let (mut story, client) = (Story::with(no_reclaim_timer()), client(1));
    story.at(0).given6(&client, one(A));
    story.at(900).replied(&client.request(one(A)), one(A)).expect(["renew: leases6_committed(1,0)"]);
}

#[test]
fn another_client_that_takes_an_overdue_record_inherits_its_hardware_address() {
    let (mut story, old, new) = (Story::with(known_kea6(no_reclaim_timer())), client(1), client(2));
    story.at(0).given6(&old, one(A));
    story.at(900).replied(&new.request(one(A)), one(A));
    let calls = story.expect(["expire: lease6_expire", "commit: leases6_committed(1,0)"]);
    calls.has(0, &[("LEASE6_DUID", "00:03:00:01:02:aa:00:00:00:01"), ("OBSERVER_ESTIMATED", "-")]);
    // Kea 2.2 forgets to write the new one.
    calls.has(
        1,
        &[("LEASES6_AT0_DUID", "00:03:00:01:02:aa:00:00:00:02"), ("LEASES6_AT0_HWADDR", "02:aa:00:00:00:01")],
    );
    calls.has(1, &[("DELETED_LEASES6_SIZE", "0")]);
    // A Renew puts it right.
    story.at(901).replied(&new.renew(one(A)), one(A));
    let calls = story.expect(["renew: lease6_renew", "renew: leases6_committed(1,0)"]);
    calls
        .has(0, &[("LEASE6_HWADDR", "02:aa:00:00:00:02")])
        .has(1, &[("LEASES6_AT0_HWADDR", "02:aa:00:00:00:02")]);
}

#[test]
fn another_client_that_takes_a_reclaimed_record_inherits_its_hardware_address() {
    let (mut story, old, new) = (Story::with(known_kea6(ServerConfig::default())), client(1), client(2));
    story.at(0).given6(&old, one(A));
    story.at(900).expect(["expire: lease6_expire"]);
    story.replied(&new.request(one(A)), one(A));
    story.expect(["commit: leases6_committed(1,0)"]).has(0, &[("LEASES6_AT0_HWADDR", "02:aa:00:00:00:01")]);
}

#[test]
fn who_takes_a_declined_record_after_its_probation_has_no_hardware_address() {
    // Seen with the real server: the decline took the address out of the record, and its reuse puts none in.
    let (mut story, old, new) = (Story::with(known_kea6(no_reclaim_timer())), client(1), client(2));
    story.at(0).given6(&old, one(A));
    story.at(1).replied(&old.decline(one(A)), vec![]).calls();
    story.at(90_000).replied(&new.request(one(A)), one(A));
    let calls =
        story.expect(["expire: lease6_expire", "recover: lease6_recover", "commit: leases6_committed(1,0)"]);
    calls.has(0, &[("LEASE6_STATE", "declined"), ("OBSERVER_ESTIMATED", "-")]);
    calls.has(2, &[("LEASES6_AT0_HWADDR", ""), ("LEASES6_AT0_DUID", "00:03:00:01:02:aa:00:00:00:02")]);
}

#[test]
fn a_reclaimed_record_keeps_its_state_and_loses_its_name() {
    let (mut story, client) = (Story::new(), client(1));
    let request = client.request(one(A));
    story.at(0).asks(&request).answers(&request.reply(one(A)).with(fqdn(&["host"])));
    let calls = story.at(600).expect(["commit: leases6_committed(1,0)", "expire: lease6_expire"]);
    calls.has(1, &[("LEASE6_HOSTNAME", "host."), ("LEASE6_STATE", "default")]);
    story.at(700).replied(&client.release(one(A)), vec![]);
    let calls = story.expect(["release: lease6_release", "release: leases6_committed(0,1)"]);
    calls
        .has(0, &[("LEASE6_STATE", "expired-reclaimed"), ("LEASE6_HOSTNAME", ""), ("LEASE6_CLTT", &unix(0))]);
}

#[test]
fn a_reclaimed_record_is_renewed_without_a_second_end() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given6(&client, one(A));
    story.at(700).expect(["expire: lease6_expire"]);
    story.replied(&client.renew(one(A)), one(A));
    story
        .expect(["renew: lease6_renew", "renew: leases6_committed(1,0)"])
        .has(0, &[("LEASE6_STATE", "default")]);
}

#[test]
fn a_lease_freed_unseen_leaves_no_hardware_address_behind() {
    // The server had no record any more, or it could not have given the address away: there is nothing to inherit.
    let (mut story, old, new) = (Story::new(), client(1), client(2));
    story.at(0).given6(&old, one(A));
    story.at(5).replied(&new.request(one(A)), one(A));
    let calls = story.expect(["expire: lease6_expire", "commit: leases6_committed(1,0)"]);
    calls.has(0, &[("OBSERVER_ESTIMATED", "1")]).has(1, &[("LEASES6_AT0_HWADDR", "02:aa:00:00:00:02")]);
}

#[test]
fn a_request_leaves_the_hardware_address_as_it_was_and_a_renew_writes_it() {
    let (mut story, client) = (Story::with(known_kea6(ServerConfig::default())), client(1));
    let named = |octet| vec![(79, vec![0, 1, 2, 0xdd, 0, 0, 0, octet])];
    let relayed = |query: crate::wire6::Dhcp6, octet| query.relayed("2001:db8:1::1", named(octet));
    for (query, expected) in [
        (relayed(client.request(one(A)), 1), "02:dd:00:00:00:01"),
        (relayed(client.request(one(A)), 2), "02:dd:00:00:00:01"),
        (relayed(client.renew(one(A)), 3), "02:dd:00:00:00:03"),
        (relayed(client.rebind(one(A)), 4), "02:dd:00:00:00:04"),
    ] {
        story.at(1).replied(&query, one(A));
        let calls = story.calls();
        calls.has(calls.0.len() - 1, &[("LEASES6_AT0_HWADDR", expected)]);
    }
}

#[test]
fn the_name_is_that_of_the_answer_and_a_renewal_without_one_clears_it() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).asks(&client.request(both()));
    let request = client.request(both()).with(fqdn(&["Host"]));
    story.at(1).asks(&request).answers(&request.reply(both()).with(fqdn(&["Host", "Example", "org"])));
    let calls = story.expect(["commit: leases6_committed(2,0)"]);
    calls.has(0, &[("LEASES6_AT0_HOSTNAME", "host.example.org.")]);
    story.at(2).replied(&client.renew(both()), both());
    let calls = story.calls();
    calls
        .has(0, &[("LEASE6_HOSTNAME", "")])
        .has(2, &[("LEASES6_AT0_HOSTNAME", ""), ("LEASES6_AT1_HOSTNAME", "")]);
}

#[test]
fn an_answer_whose_question_was_missed_tells_what_it_repeats() {
    let (mut story, client) = (Story::with(subnet6(|_| {})), client(1));
    let calls =
        story.at(0).answers(&client.request(both()).reply(both())).expect(["commit: leases6_committed(2,0)"]);
    calls.has(
        0,
        &[
            ("OBSERVER_INFERRED", "1"),
            ("QUERY6_TXID", "65537"),
            ("QUERY6_CLIENT_ID", "00:03:00:01:02:aa:00:00:00:01"),
            ("QUERY6_IFACE_NAME", "vs"),
            ("QUERY6_IFACE_INDEX", "3"),
            ("QUERY6_LOCAL_PORT", "0"),
            ("QUERY6_PROTO", "UDP"),
            ("QUERY6_TYPE", ""),
            ("QUERY6_LOCAL_ADDR", ""),
            ("QUERY6_REMOTE_ADDR", ""),
            ("QUERY6_REMOTE_PORT", ""),
            ("LEASES6_AT0_HWADDR", "02:aa:00:00:00:01"),
            ("LEASES6_AT0_SUBNET_ID", "8"),
        ],
    );
    // A Reply without leases can be the answer to anything.
    story.at(1).answers(&client.release(both()).reply(vec![status(0)])).expect_nothing();
    assert_eq!((story.counters().inferred_answers, story.counters().unmatched_answers), (1, 1));
}

#[test]
fn another_association_of_the_same_client_is_another_owner() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given6(&client, one(A));
    story.given6(&client, vec![na(2, vec![address(B, 300, 600)])]);
    assert_eq!(story.counters().leases6, 2);
    // An IA_PD with the identifier of the IA_NA too.
    story.given6(&client, vec![pd(1, vec![prefix(P, 56, 300, 600)])]);
    assert_eq!(story.counters().leases6, 3);
}

#[test]
fn an_address_and_a_prefix_that_begin_alike_are_two_leases() {
    let (mut story, client) = (Story::new(), client(1));
    let alike = vec![na(1, vec![address(P, 300, 600)]), pd(1, vec![prefix(P, 56, 300, 600)])];
    story.at(0).given6(&client, alike);
    assert_eq!(story.counters().leases6, 2);
}

#[test]
fn answers_that_pass_the_other_way_are_another_servers() {
    let client = client(1);
    for (answers, query, answer, expected) in [
        (Answers::Out, Direction::In, Direction::Out, 1),
        (Answers::Out, Direction::Out, Direction::In, 0),
        (Answers::In, Direction::Out, Direction::In, 1),
        (Answers::Both, Direction::In, Direction::In, 1),
        (Answers::Both, Direction::Unknown, Direction::Unknown, 1),
    ] {
        let mut story = Story::tapping(ServerConfig::default(), answers, Limits::default());
        let request = client.request(one(A));
        story.at(0).pass(&request, query).pass(&request.reply(one(A)), answer);
        assert_eq!(story.calls().0.len(), expected, "{answers:?} {query:?} {answer:?}");
    }
}

#[test]
fn a_renewal_that_is_answered_twice_happens_twice_and_an_unanswered_one_never() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given6(&client, one(A));
    let renew = client.renew(one(A));
    story.at(1).asks(&renew).asks(&renew).expect_nothing();
    story.answers(&renew.reply(one(A))).answers(&renew.reply(one(A)));
    story.expect([
        "renew: lease6_renew",
        "renew: leases6_committed(1,0)",
        "renew: lease6_renew",
        "renew: leases6_committed(1,0)",
    ]);
}

#[test]
fn the_hardware_address_comes_from_the_first_source_that_has_one() {
    use dhcp_observer::config::MacSource;
    let opaque = || client(1).duid(&[0, 2, 0, 0, 0, 9, 1]);
    let universal = "fe80::216:3eff:fe01:203";
    let any = vec![MacSource::Any];
    let relay =
        |options: Options| move |query: crate::wire6::Dhcp6| query.relayed("2001:db8:1::1", options.clone());
    let modem = (17, [&4491_u32.to_be_bytes()[..], &[0, 36, 0, 6, 2, 0xee, 0, 0, 0, 1]].concat());
    let cmts = (17, [&4491_u32.to_be_bytes()[..], &[4, 2, 0, 6, 2, 0xee, 0, 0, 0, 2]].concat());
    let direct = |query: crate::wire6::Dhcp6| query;
    type Way<'a> = &'a dyn Fn(crate::wire6::Dhcp6) -> crate::wire6::Dhcp6;
    type Case<'a> = (&'a str, Client, Way<'a>, Vec<MacSource>, &'a str, &'a str);
    let cases: [Case<'_>; 14] = [
        ("DUID-LL", client(1), &direct, any.clone(), "02:aa:00:00:00:01", "1"),
        (
            "DUID-LLT of InfiniBand",
            client(1).duid(&[0, 1, 0, 32, 9, 9, 9, 9, 7, 7]),
            &direct,
            any.clone(),
            "07:07",
            "32",
        ),
        ("nothing, and never the frame", opaque(), &direct, any.clone(), "", ""),
        ("EUI-64", opaque().source(universal), &direct, any.clone(), "00:16:3e:01:02:03", "1"),
        ("DUID before EUI-64", client(1).source(universal), &direct, any.clone(), "02:aa:00:00:00:01", "1"),
        (
            "EUI-64 of the peer",
            opaque().source(universal),
            &relay(vec![]),
            any.clone(),
            "00:16:3e:01:02:03",
            "1",
        ),
        (
            "RFC 6939 before DUID",
            client(1),
            &relay(vec![(79, vec![0, 6, 2, 0xdd, 0, 0, 0, 9])]),
            any.clone(),
            "02:dd:00:00:00:09",
            "6",
        ),
        (
            "the relay nearest to the client",
            opaque(),
            &|query| {
                query
                    .relayed("2001:db8:1::1", vec![(79, vec![0, 1, 1])])
                    .relayed("2001:db8:2::1", vec![(79, vec![0, 1, 2])])
            },
            any.clone(),
            "01",
            "1",
        ),
        (
            "EUI-64 before remote-id",
            opaque().source(universal),
            &relay(vec![(37, vec![0, 0, 0, 9, 5, 5])]),
            any.clone(),
            "00:16:3e:01:02:03",
            "1",
        ),
        ("remote-id", opaque(), &relay(vec![(37, vec![0, 0, 0, 9, 5, 5])]), any.clone(), "05:05", "1"),
        ("cable modem", opaque(), &|query| query.with(modem.clone()), any.clone(), "02:ee:00:00:00:01", "1"),
        ("CMTS", opaque(), &relay(vec![cmts.clone()]), any.clone(), "02:ee:00:00:00:02", "1"),
        ("only what is asked for", client(1), &direct, vec![MacSource::Ipv6LinkLocal], "", ""),
        (
            "in the order that is asked for",
            client(1).source(universal),
            &direct,
            vec![MacSource::Raw, MacSource::Ipv6LinkLocal, MacSource::Duid],
            "00:16:3e:01:02:03",
            "1",
        ),
    ];
    for (name, client, way, sources, hwaddr, htype) in cases {
        let mut config = ServerConfig::default();
        config.dhcp6.mac_sources = sources;
        let mut story = Story::with(config);
        let query = way(client.request(one(A)));
        let calls = story.at(0).replied(&query, one(A)).calls();
        let found = (calls.get(0, "LEASES6_AT0_HWADDR"), calls.get(0, "LEASES6_AT0_HWADDR_TYPE"));
        assert_eq!(found, (hwaddr.into(), htype.into()), "{name}");
    }
}
