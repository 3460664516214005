//! When leases end: never early, never late, in order, once.

use dhcp_observer::config::ServerConfig;

use crate::config::timers;
use crate::story::{Story, unix};
use crate::wire4::client;
use crate::wire6;

const A: &str = "192.0.2.100";
const B: &str = "192.0.2.101";
const C: &str = "192.0.2.102";
const SECOND: i64 = 1_000_000_000;

#[test]
fn a_lease_ends_at_the_whole_second_of_its_answer_plus_its_lifetime() {
    let (mut story, client) = (Story::new(), client(1));
    story.at_millis(2_999).given(&client, A);
    assert_eq!(story.deadline(), Some(3_602 * SECOND));
    story.at_millis(3_601_999).expect_nothing();
    // However late the clock looks again, the event carries its deadline.
    let calls = story.at(9_999).expect(["expire: lease4_expire"]);
    assert_eq!(calls.at(0), 3_602 * SECOND);
    calls.has(
        0,
        &[
            ("LEASE4_ADDRESS", A),
            ("LEASE4_CLTT", &unix(2)),
            ("LEASE4_STATE", "default"),
            ("LEASE4_VALID_LIFETIME", "3600"),
            ("LEASE4_HWADDR", "02:aa:00:00:00:01"),
            ("REMOVE_LEASE", "false"),
            ("QUERY4_TYPE", "-"),
            ("OBSERVER_ESTIMATED", "-"),
        ],
    );
}

#[test]
fn a_frame_after_the_deadline_finds_the_lease_ended() {
    let (mut story, one, two) = (Story::new(), client(1), client(2));
    story.at(0).given(&one, A);
    // No look at the clock in between: the frame itself brings the time.
    story.at(3_600).asks(&two.reboot(B));
    story.expect(["expire: lease4_expire"]);
}

#[test]
fn leases_end_in_the_order_of_their_deadlines_across_families() {
    let mut story = Story::new();
    let short = |seconds| move |text| wire6::address(text, 1, seconds);
    let (one, two) = (client(1), client(2));
    for (client, address, seconds) in [(&one, A, 30), (&two, B, 10)] {
        let request = client.select(address);
        story.at(0).asks(&request).answers(&request.ack(address).lifetime(seconds));
    }
    let six = wire6::client(3);
    let ia = || vec![wire6::na(1, vec![short(20)("2001:db8::1")])];
    story.replied(&six.request(ia()), ia()).calls();
    let calls =
        story.at(60).expect(["expire: lease4_expire", "expire: lease6_expire", "expire: lease4_expire"]);
    calls.has(0, &[("LEASE4_ADDRESS", B)]).has(2, &[("LEASE4_ADDRESS", A)]);
    assert_eq!([0, 1, 2].map(|index| calls.at(index) / SECOND), [10, 20, 30]);
}

#[test]
fn a_renewal_moves_the_end_and_a_shorter_one_moves_it_forward() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    story.at(3_000).acked(&client.renew(A), A).calls();
    let renew = client.renew(A);
    story.at(3_100).asks(&renew).answers(&renew.ack(A).lifetime(60)).calls();
    story.at(3_159).expect_nothing().at(3_160).expect(["expire: lease4_expire"]);
    story.at(3_600).expect_nothing().at(6_600).expect_nothing();
}

#[test]
fn an_endless_lease_that_becomes_finite_ends_and_the_other_way_round_not() {
    let (mut story, client) = (Story::new(), client(1));
    for (at, seconds) in [(0, u32::MAX), (10, 60), (20, u32::MAX)] {
        let renew = client.renew(A);
        story.at(at).asks(&renew).answers(&renew.ack(A).lifetime(seconds)).calls();
    }
    story.at(10_000).expect_nothing();
    let renew = client.renew(A);
    story.asks(&renew).answers(&renew.ack(A).lifetime(60)).calls();
    story.at(10_059).expect_nothing().at(10_060).expect(["expire: lease4_expire"]);
}

#[test]
fn a_look_at_the_clock_with_nothing_due_does_nothing() {
    let (mut story, client) = (Story::new(), client(1));
    assert_eq!(story.deadline(), None);
    story.at(0).expect_nothing().given(&client, A);
    let due = story.deadline();
    for at in [1, 1, 2, 3_599] {
        assert_eq!(story.at(at).expect_nothing().deadline(), due);
    }
}

#[test]
fn a_reclaimed_record_is_held_and_then_forgotten_without_a_word() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    story.at(3_600).expect(["expire: lease4_expire"]);
    story.at(7_199).expect_nothing();
    assert_eq!(story.counters().leases4, 1);
    story.at(7_200).expect_nothing();
    assert_eq!((story.counters().leases4, story.deadline()), (0, None));
    story.dora(&client, A).expect(["commit: leases4_committed(1,0)"]);
}

#[test]
fn a_hold_of_no_time_is_no_hold() {
    let (mut story, client) = (Story::with(timers(|timers| timers.hold_reclaimed_time = 0)), client(1));
    story.at(0).given(&client, A);
    story.at(3_600).expect(["expire: lease4_expire"]).has(0, &[("REMOVE_LEASE", "false")]);
    assert_eq!(story.counters().leases4, 0);
}

#[test]
fn without_a_flush_timer_records_go_at_once_and_the_hook_is_told() {
    let mut story = Story::with(timers(|timers| timers.flush_reclaimed_timer_wait_time = 0));
    let (one, two, six) = (client(1), client(2), wire6::client(3));
    let ia = || vec![wire6::na(1, vec![wire6::address("2001:db8::1", 1, 3_600)])];
    story.at(0).given(&one, A).given(&two, B);
    story.replied(&six.request(ia()), ia()).calls();
    story.asks(&two.decline(B)).calls();
    let calls = story.at(3_600).expect(["expire: lease4_expire", "expire: lease6_expire"]);
    calls.has(0, &[("REMOVE_LEASE", "true")]).has(1, &[("REMOVE_LEASE", "true")]);
    let calls = story.at(86_400).expect(["expire: lease4_expire", "recover: lease4_recover"]);
    calls.has(0, &[("REMOVE_LEASE", "true"), ("LEASE4_STATE", "declined")]);
    assert_eq!((story.counters().leases4, story.counters().leases6), (0, 0));
}

#[test]
fn reclaiming_in_passing_removes_nothing_even_without_a_flush_timer() {
    let mut story = Story::with(timers(|timers| {
        timers.flush_reclaimed_timer_wait_time = 0;
        timers.reclaim_timer_wait_time = 0;
    }));
    let client = client(1);
    story.at(0).given(&client, A);
    story.at(4_000).acked(&client.renew(A), A);
    story
        .expect(["expire: lease4_expire", "renew: lease4_renew", "renew: leases4_committed(1,0)"])
        .has(0, &[("REMOVE_LEASE", "false")]);
}

#[test]
fn the_probation_is_the_configured_one() {
    let mut config = ServerConfig::default();
    config.dhcp4.decline_probation_period = 30;
    let (mut story, client) = (Story::with(config), client(1));
    story.at(0).given(&client, A);
    story.at_millis(5_500).asks(&client.decline(A)).calls().has(1, &[("LEASES4_AT0_VALID_LIFETIME", "30")]);
    story.at(34).expect_nothing().at(35).expect(["expire: lease4_expire", "recover: lease4_recover"]);
}

#[test]
fn a_stamp_that_runs_back_is_moved_up() {
    let (mut story, one, two) = (Story::new(), client(1), client(2));
    story.at(0).given(&one, A);
    story.at(3_700).expect(["expire: lease4_expire"]);
    story.at(100).dora(&two, B);
    story.expect(["commit: leases4_committed(1,0)"]).has(0, &[("LEASES4_AT0_CLTT", &unix(3_700))]);
    assert_eq!(story.totals().stamps_run_back, 4);
    story.at(3_701).dora(&one, C).expect(["commit: leases4_committed(1,1)"]);
}

#[test]
fn a_question_waits_two_minutes() {
    for (wait, inferred) in [(120, "-"), (121, "1")] {
        let (mut story, client) = (Story::new(), client(1));
        let request = client.select(A);
        story.at(0).asks(&request).at(wait).answers(&request.ack(A));
        story.expect(["commit: leases4_committed(1,0)"]).has(0, &[("OBSERVER_INFERRED", inferred)]);
    }
}

#[test]
fn a_lease_of_no_time_ends_after_it_began() {
    let (mut story, client) = (Story::new(), client(1));
    let request = client.select(A);
    story.at_millis(700).asks(&request).answers(&request.ack(A).lifetime(0));
    story.at(1);
    let calls = story.expect(["commit: leases4_committed(1,0)", "expire: lease4_expire"]);
    assert_eq!((calls.at(0), calls.at(1)), (SECOND * 7 / 10, SECOND * 7 / 10));
}
