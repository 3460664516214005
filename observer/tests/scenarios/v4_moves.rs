//! Clients that move, and addresses that change hands.

use dhcp_observer::config::Subnet4;

use crate::config::{no_reclaim_timer, subnets4};
use crate::story::{Story, unix};
use crate::wire4::{client, ip};

const A: &str = "192.0.2.100";
const B: &str = "192.0.2.101";
const ELSEWHERE: &str = "198.51.100.5";

#[test]
fn a_client_that_takes_another_address_of_the_network_loses_its_old_one() {
    let (mut story, client) = (Story::new(), client(1).client_id(&[1, 9]));
    let request = client.select(A);
    story.at(0).asks(&request).answers(&request.ack(A).with(12, b"old"));
    story.expect(["commit: leases4_committed(1,0)"]);
    // No configuration: the mask of the answer tells that both are on one network.
    story.at(50).acked(&client.reboot(B), B).expect(["commit: leases4_committed(1,1)"]).has(
        0,
        &[
            ("LEASES4_AT0_ADDRESS", B),
            ("LEASES4_AT0_CLTT", &unix(50)),
            ("DELETED_LEASES4_AT0_ADDRESS", A),
            ("DELETED_LEASES4_AT0_CLTT", &unix(0)),
            ("DELETED_LEASES4_AT0_HOSTNAME", "old"),
            ("DELETED_LEASES4_AT0_STATE", "default"),
        ],
    );
    story
        .at(3_600)
        .expect_nothing()
        .at(3_650)
        .expect(["expire: lease4_expire"])
        .has(0, &[("LEASE4_ADDRESS", B)]);
}

#[test]
fn a_client_may_hold_one_address_on_each_network() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    story.at(1).given(&client, ELSEWHERE);
    assert_eq!(story.counters().leases4, 2);
}

#[test]
fn a_shared_network_is_one_network_and_two_subnets_are_two() {
    let network = |shared: bool| {
        let subnet = |id, prefix| Subnet4 {
            shared_network: shared.then(|| "floor".into()),
            ..Subnet4::new(id, ip(prefix), 24)
        };
        subnets4(vec![subnet(1, "192.0.2.0"), subnet(2, "198.51.100.0")])
    };
    for (shared, expected) in
        [(true, "commit: leases4_committed(1,1)"), (false, "commit: leases4_committed(1,0)")]
    {
        let (mut story, client) = (Story::with(network(shared)), client(1));
        story.at(0).given(&client, A);
        story.at(1).dora(&client, ELSEWHERE).expect([expected]).has(0, &[("LEASES4_AT0_SUBNET_ID", "2")]);
    }
}

#[test]
fn the_configuration_knows_better_than_the_mask() {
    let halves = subnets4(vec![Subnet4::new(1, ip("192.0.2.0"), 25), Subnet4::new(2, ip("192.0.2.128"), 25)]);
    let (mut story, client) = (Story::with(halves), client(1));
    story.at(0).given(&client, A);
    story.at(1).dora(&client, "192.0.2.200").expect(["commit: leases4_committed(1,0)"]);
}

#[test]
fn a_move_is_found_by_identifier_first_and_by_hardware_address_where_there_is_none() {
    for (first, second, deleted) in [
        (client(1).client_id(&[1, 9]), client(2).client_id(&[1, 9]), 1),
        (client(1), client(1).client_id(&[1, 9]), 1),
        (client(1).client_id(&[1, 9]), client(1), 1),
        (client(1).client_id(&[1, 9]), client(1).client_id(&[1, 8]), 0),
        (client(1), client(2), 0),
    ] {
        let mut story = Story::new();
        story.at(0).given(&first, A);
        let expected = format!("commit: leases4_committed(1,{deleted})");
        story.at(1).dora(&second, B).expect([expected.as_str()]);
    }
}

#[test]
fn somebody_elses_overdue_record_is_reclaimed_in_passing() {
    let (mut story, old, new) = (Story::with(no_reclaim_timer()), client(1), client(2));
    story.at(0).given(&old, A);
    story.at(9_000).expect_nothing();
    story
        .dora(&new, A)
        .expect(["expire: lease4_expire", "commit: leases4_committed(1,0)"])
        .has(
            0,
            &[("LEASE4_HWADDR", "02:aa:00:00:00:01"), ("LEASE4_CLTT", &unix(0)), ("LEASE4_STATE", "default")],
        )
        .has(0, &[("REMOVE_LEASE", "false"), ("OBSERVER_ESTIMATED", "-"), ("QUERY4_TYPE", "-")])
        .has(1, &[("LEASES4_AT0_HWADDR", "02:aa:00:00:00:02"), ("DELETED_LEASES4_SIZE", "0")]);
}

#[test]
fn ones_own_overdue_record_is_reclaimed_and_renewed() {
    let (mut story, client) = (Story::with(no_reclaim_timer()), client(1));
    story.at(0).given(&client, A);
    let discover = client.discover();
    // A DISCOVER only looks.
    story.at(9_000).asks(&discover).answers(&discover.offer(A));
    story
        .expect(["renew: lease4_renew"])
        .has(0, &[("LEASE4_STATE", "default"), ("LEASE4_CLTT", &unix(9_000))]);
    story.acked(&client.select(A), A);
    let calls =
        story.expect(["expire: lease4_expire", "renew: lease4_renew", "renew: leases4_committed(1,0)"]);
    calls.has(0, &[("LEASE4_CLTT", &unix(0)), ("REMOVE_LEASE", "false"), ("OBSERVER_ESTIMATED", "-")]);
    calls.has(1, &[("LEASE4_CLTT", &unix(9_000)), ("LEASE4_STATE", "default")]);
    // Once only.
    story
        .at(9_001)
        .acked(&client.renew(A), A)
        .expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
}

#[test]
fn in_the_second_of_its_expiry_a_lease_is_not_yet_overdue() {
    let (mut story, client) = (Story::with(no_reclaim_timer()), client(1));
    story.at(0).given(&client, A);
    story.at_millis(3_600_900).acked(&client.renew(A), A);
    story.expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
    story.at_millis(7_201_000).acked(&client.renew(A), A);
    story.expect(["expire: lease4_expire", "renew: lease4_renew", "renew: leases4_committed(1,0)"]);
}

#[test]
fn a_reclaimed_record_is_still_its_owners_and_ends_no_second_time() {
    let (mut story, client) = (Story::new(), client(1));
    let request = client.select(A);
    story.at(0).asks(&request).answers(&request.ack(A).with(12, b"nemo"));
    story.at(3_600);
    let calls = story.expect(["commit: leases4_committed(1,0)", "expire: lease4_expire"]);
    calls.has(1, &[("LEASE4_STATE", "default"), ("LEASE4_HOSTNAME", "nemo")]);
    let discover = client.discover();
    story.at(5_000).asks(&discover).answers(&discover.offer(A));
    story
        .expect(["renew: lease4_renew"])
        .has(0, &[("LEASE4_STATE", "expired-reclaimed"), ("LEASE4_VALID_LIFETIME", "3600")]);
    story.acked(&client.select(A), A);
    let calls = story.expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
    calls.has(0, &[("LEASE4_STATE", "default")]).has(1, &[("LEASES4_AT0_STATE", "default")]);
}

#[test]
fn a_reclaimed_record_goes_to_the_next_client_without_a_word() {
    let (mut story, old, new) = (Story::new(), client(1), client(2));
    story.at(0).given(&old, A);
    story.at(3_600).expect(["expire: lease4_expire"]);
    story.at(3_700).dora(&new, A).expect(["commit: leases4_committed(1,0)"]);
    // The old client has no record any more.
    story.at(3_701).dora(&old, B).expect(["commit: leases4_committed(1,0)"]);
}

#[test]
fn a_reclaimed_record_has_lost_its_name() {
    // Kea clears the name when it reclaims, because its DNS entries go then.
    let (mut story, client) = (Story::new(), client(1));
    let request = client.select(A);
    story.at(0).asks(&request).answers(&request.ack(A).with(12, b"nemo"));
    story.at(4_000).calls();
    story
        .acked(&client.reboot(B), B)
        .expect(["commit: leases4_committed(1,1)"])
        .has(0, &[("DELETED_LEASES4_AT0_STATE", "expired-reclaimed"), ("DELETED_LEASES4_AT0_HOSTNAME", "")]);
    let request = client.select(B);
    story.at(5_000).asks(&request).answers(&request.ack(B).with(12, b"nemo"));
    story.at(9_000).calls();
    story
        .asks(&client.release(B))
        .expect(["release: lease4_release", "release: leases4_committed(0,1)"])
        .has(
            0,
            &[("LEASE4_STATE", "expired-reclaimed"), ("LEASE4_HOSTNAME", ""), ("LEASE4_CLTT", &unix(5_000))],
        );
}

#[test]
fn a_live_record_that_changes_hands_must_have_been_freed_unseen() {
    let (mut story, old, new) = (Story::new(), client(1), client(2));
    story.at(0).given(&old, A);
    let calls =
        story.at(60).dora(&new, A).expect(["expire: lease4_expire", "commit: leases4_committed(1,0)"]);
    calls.has(0, &[("OBSERVER_ESTIMATED", "1"), ("LEASE4_HWADDR", "02:aa:00:00:00:01")]);
    calls.has(1, &[("OBSERVER_ESTIMATED", "-"), ("LEASES4_AT0_HWADDR", "02:aa:00:00:00:02")]);
    // The deadline of the old lease is not the new one's.
    story.at(3_600).expect_nothing().at(3_660).expect(["expire: lease4_expire"]);
}

#[test]
fn a_move_onto_an_overdue_record_ends_one_lease_and_deletes_the_other() {
    let (mut story, old, new) = (Story::with(no_reclaim_timer()), client(1), client(2));
    story.at(0).given(&old, A);
    story.at(1_000).given(&new, B);
    let calls = story
        .at(4_000)
        .acked(&new.reboot(A), A)
        .expect(["expire: lease4_expire", "commit: leases4_committed(1,1)"]);
    calls.has(0, &[("LEASE4_ADDRESS", A)]).has(1, &[("DELETED_LEASES4_AT0_ADDRESS", B)]);
}

#[test]
fn a_declined_address_can_be_taken_once_its_probation_is_over() {
    let (mut story, old, new) = (Story::with(no_reclaim_timer()), client(1), client(2));
    story.at(0).given(&old, A);
    story.at(1).asks(&old.decline(A)).calls();
    let calls = story.at(90_000).dora(&new, A).expect([
        "expire: lease4_expire",
        "recover: lease4_recover",
        "commit: leases4_committed(1,0)",
    ]);
    calls
        .has(0, &[("LEASE4_STATE", "declined"), ("OBSERVER_ESTIMATED", "-")])
        .has(1, &[("LEASE4_STATE", "declined")]);
}

#[test]
fn a_declined_address_that_is_taken_during_its_probation_was_freed_unseen() {
    let (mut story, old, new) = (Story::new(), client(1), client(2));
    story.at(0).given(&old, A);
    story.at(1).asks(&old.decline(A)).calls();
    let calls = story.at(100).dora(&new, A).expect([
        "expire: lease4_expire",
        "recover: lease4_recover",
        "commit: leases4_committed(1,0)",
    ]);
    calls.has(0, &[("OBSERVER_ESTIMATED", "1")]).has(1, &[("OBSERVER_ESTIMATED", "1")]);
    calls.has(2, &[("OBSERVER_ESTIMATED", "-")]);
    // Its probation is over and done with.
    story.at(3_700).expect(["expire: lease4_expire"]).has(0, &[("LEASE4_STATE", "default")]);
    story.at(200_000).expect_nothing();
}
