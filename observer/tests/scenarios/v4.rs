//! DHCPv4, row by row of the truth table.

use dhcp_observer::config::ServerConfig;
use dhcp_observer::frame::Direction;
use dhcp_observer::tracker::{Answers, Limits};

use crate::config::subnet4;
use crate::story::{Packet, Story, unix};
use crate::wire4::{SERVER, client, ip};

const A: &str = "192.0.2.100";

#[test]
fn a_new_client_is_committed_at_its_request_and_not_before() {
    let (mut story, client) = (Story::new(), client(1));
    let discover = client.discover();
    story.at(0).asks(&discover).expect_nothing();
    story.at_millis(400).answers(&discover.offer(A)).expect_nothing();
    let request = client.select(A);
    story.at_millis(800).asks(&request).expect_nothing();
    story.at_millis(1_900).answers(&request.ack(A)).expect(["commit: leases4_committed(1,0)"]).has(
        0,
        &[
            ("QUERY4_TYPE", "DHCPREQUEST"),
            ("QUERY4_TXID", "65537"),
            ("QUERY4_LOCAL_ADDR", "255.255.255.255"),
            ("QUERY4_LOCAL_PORT", "67"),
            ("QUERY4_REMOTE_ADDR", "0.0.0.0"),
            ("QUERY4_REMOTE_PORT", "68"),
            ("QUERY4_IFACE_INDEX", "3"),
            ("QUERY4_IFACE_NAME", "vs"),
            ("QUERY4_HOPS", "0"),
            ("QUERY4_SECS", "0"),
            ("QUERY4_FLAGS", "0"),
            ("QUERY4_CIADDR", "0.0.0.0"),
            ("QUERY4_YIADDR", "0.0.0.0"),
            ("QUERY4_GIADDR", "0.0.0.0"),
            ("QUERY4_RELAYED", "false"),
            ("QUERY4_HWADDR", "02:aa:00:00:00:01"),
            ("QUERY4_HWADDR_TYPE", "1"),
            ("QUERY4_LOCAL_HWADDR", "ff:ff:ff:ff:ff:ff"),
            ("QUERY4_REMOTE_HWADDR", "02:aa:00:00:00:01"),
            ("QUERY4_OPTION_82", "-"),
            ("QUERY4_OPTION_82_SUB_OPTION_1", "-"),
            ("LEASES4_AT0_ADDRESS", A),
            // The whole second in which the answer passed.
            ("LEASES4_AT0_CLTT", &unix(1)),
            ("LEASES4_AT0_HOSTNAME", ""),
            ("LEASES4_AT0_HWADDR", "02:aa:00:00:00:01"),
            ("LEASES4_AT0_HWADDR_TYPE", "1"),
            ("LEASES4_AT0_STATE", "default"),
            ("LEASES4_AT0_SUBNET_ID", ""),
            ("LEASES4_AT0_VALID_LIFETIME", "3600"),
            ("LEASES4_AT0_CLIENT_ID", ""),
            ("DELETED_LEASES4_SIZE", "0"),
            ("OBSERVER_INFERRED", "-"),
            ("OBSERVER_ESTIMATED", "-"),
        ],
    );
}

#[test]
fn a_known_client_that_begins_anew_is_renewed_at_discover_and_at_request() {
    let (mut story, client) = (Story::with(subnet4(|_| {})), client(1));
    story.at(0).given(&client, A);
    story.at(60).dora(&client, A);
    story
        .expect(["renew: lease4_renew", "renew: lease4_renew", "renew: leases4_committed(1,0)"])
        .has(0, &[("QUERY4_TYPE", "DHCPDISCOVER"), ("LEASE4_CLTT", &unix(60)), ("LEASE4_STATE", "default")])
        .has(0, &[("SUBNET4_ID", "7"), ("SUBNET4_NAME", "192.0.2.0/24"), ("SUBNET4_PREFIX_LEN", "24")])
        .has(
            1,
            &[("QUERY4_TYPE", "DHCPREQUEST"), ("LEASE4_VALID_LIFETIME", "3600"), ("LEASE4_SUBNET_ID", "7")],
        )
        .has(2, &[("LEASES4_AT0_CLTT", &unix(60))]);
}

#[test]
fn an_offer_of_another_address_than_the_one_on_record_is_no_renewal() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    let discover = client.discover();
    story.at(60).asks(&discover).answers(&discover.offer("192.0.2.101")).expect_nothing();
}

#[test]
fn what_is_only_offered_is_not_stored() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    let discover = client.discover();
    story.at(1_000).asks(&discover).answers(&discover.offer(A)).expect(["renew: lease4_renew"]);
    story.at(3_600).expect(["expire: lease4_expire"]).has(0, &[("LEASE4_CLTT", &unix(0))]);
}

#[test]
fn each_kind_of_request_renews_and_the_event_tells_them_apart() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    for (at, query, event) in [
        (10, client.renew(A), "renew"),
        (20, client.rebind(A), "rebind"),
        (30, client.reboot(A), "renew"),
        (40, client.select(A), "renew"),
        // Through a relay a broadcast arrives by unicast: ciaddr and giaddr together are a rebinding client.
        (50, client.rebind(A).relayed("192.0.2.2", &[]), "rebind"),
    ] {
        let calls = story
            .at(at)
            .acked(&query, A)
            .expect([&format!("{event}: lease4_renew"), &format!("{event}: leases4_committed(1,0)")]);
        calls.has(
            0,
            &[("LEASE4_CLTT", &unix(at)), ("LEASE4_STATE", "default"), ("PKT4_HWADDR", "02:aa:00:00:00:01")],
        );
        calls.has(1, &[("LEASES4_AT0_CLTT", &unix(at))]);
    }
    story.at(3_649).expect_nothing().at(3_650).expect(["expire: lease4_expire"]);
}

#[test]
fn a_renewal_of_a_record_that_the_server_lost_is_a_first_lease() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).acked(&client.renew(A), A).expect(["commit: leases4_committed(1,0)"]);
}

#[test]
fn a_refusal_commits_nothing_and_ends_nothing() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    let request = client.reboot("10.9.9.9");
    story.at(5).asks(&request).answers(&request.nak()).expect(["commit: leases4_committed(0,0)"]).has(
        0,
        &[("QUERY4_TYPE", "DHCPREQUEST"), ("LEASES4_AT0_ADDRESS", "-"), ("DELETED_LEASES4_AT0_ADDRESS", "-")],
    );
    story.at(3_600).expect(["expire: lease4_expire"]);
}

#[test]
fn a_question_without_an_answer_does_nothing() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    let (renew, reboot) = (client.renew(A), client.reboot("192.0.2.7"));
    story.at(5).asks(&client.discover()).asks(&renew).asks(&renew).asks(&reboot).expect_nothing();
    story.at(3_600).expect(["expire: lease4_expire"]).has(0, &[("LEASE4_CLTT", &unix(0))]);
}

#[test]
fn a_retransmission_that_is_answered_again_has_its_events_again() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    let renew = client.renew(A);
    story.at(9).asks(&renew).asks(&renew).answers(&renew.ack(A)).answers(&renew.ack(A)).expect([
        "renew: lease4_renew",
        "renew: leases4_committed(1,0)",
        "renew: lease4_renew",
        "renew: leases4_committed(1,0)",
    ]);
}

#[test]
fn an_inform_is_nothing_with_or_without_an_address_in_its_answer() {
    let (mut story, client) = (Story::new(), client(1));
    let inform = client.inform(A);
    story.at(0).asks(&inform).answers(&inform.ack_inform()).expect_nothing();
    story.at(1).asks(&inform).answers(&inform.ack(A)).expect_nothing();
    assert_eq!(story.counters().leases4, 0);
}

#[test]
fn a_release_ends_the_lease_at_ciaddr() {
    let (mut story, client) = (Story::with(subnet4(|_| {})), client(1).with(12, b"Nemo"));
    story.at(0).asks(&client.select(A)).answers(&client.select(A).ack(A).with(12, b"nemo"));
    story.expect(["commit: leases4_committed(1,0)"]);
    story
        .at(90)
        .asks(&client.release(A))
        .expect(["release: lease4_release", "release: leases4_committed(0,1)"])
        .has(
            0,
            &[
                ("QUERY4_TYPE", "DHCPRELEASE"),
                ("QUERY4_CIADDR", A),
                ("QUERY4_YIADDR", "0.0.0.0"),
                ("LEASE4_CLTT", &unix(0)),
                ("LEASE4_HOSTNAME", "nemo"),
                ("LEASE4_STATE", "default"),
                ("LEASE4_SUBNET_ID", "7"),
                ("LEASE4_VALID_LIFETIME", "3600"),
            ],
        )
        .has(1, &[("DELETED_LEASES4_AT0_ADDRESS", A), ("DELETED_LEASES4_AT0_STATE", "default")])
        .has(1, &[("DELETED_LEASES4_AT0_VALID_LIFETIME", "3600"), ("DELETED_LEASES4_AT0_CLTT", &unix(0))]);
    // Kea 2.2 forgets a released lease at once: nothing is left to expire, or to renew at the next DISCOVER.
    story.at(9_000).dora(&client, A).expect(["commit: leases4_committed(1,0)"]);
}

#[test]
fn a_release_or_decline_that_fails_commits_nothing() {
    let (mut story, owner, other) = (Story::new(), client(1), client(2));
    story.at(0).given(&owner, A);
    for query in [
        other.release(A),
        owner.release("192.0.2.99"),
        // The address in the wrong field.
        owner.release("0.0.0.0").with(50, &ip(A).octets()),
        other.decline(A),
        owner.decline("192.0.2.99"),
        owner.decline(A).without(50),
        owner.release("0.0.0.0").without(54),
    ] {
        story.at(5).asks(&query).expect(["commit: leases4_committed(0,0)"]);
    }
    story.at(3_600).expect(["expire: lease4_expire"]);
}

#[test]
fn a_release_needs_no_server_identifier() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    let release = client.release(A).without(54);
    story.at(5).asks(&release).expect(["release: lease4_release", "release: leases4_committed(0,1)"]);
}

#[test]
fn a_decline_is_of_the_requested_address_and_ciaddr_does_not_matter() {
    let (mut story, client) = (Story::new(), client(1).client_id(&[1, 2, 3]).with(12, b"nemo"));
    story.at(0).asks(&client.select(A)).answers(&client.select(A).ack(A).with(12, b"nemo"));
    story.expect(["commit: leases4_committed(1,0)"]);
    let mut decline = client.decline(A);
    decline.ciaddr = ip("192.0.2.55");
    story
        .at(10)
        .asks(&decline)
        .expect(["decline: lease4_decline", "decline: leases4_committed(1,0)"])
        .has(
            0,
            &[
                ("QUERY4_TYPE", "DHCPDECLINE"),
                ("LEASE4_STATE", "default"),
                ("LEASE4_HWADDR", "02:aa:00:00:00:01"),
                ("LEASE4_CLIENT_ID", "01:02:03"),
                ("LEASE4_HOSTNAME", "nemo"),
                ("LEASE4_CLTT", &unix(0)),
                ("LEASE4_VALID_LIFETIME", "3600"),
            ],
        )
        .has(
            1,
            &[
                ("LEASES4_AT0_ADDRESS", A),
                ("LEASES4_AT0_STATE", "declined"),
                ("LEASES4_AT0_HWADDR", ""),
                ("LEASES4_AT0_HWADDR_TYPE", "1"),
                ("LEASES4_AT0_CLIENT_ID", ""),
                ("LEASES4_AT0_HOSTNAME", ""),
                ("LEASES4_AT0_CLTT", &unix(10)),
                ("LEASES4_AT0_VALID_LIFETIME", "86400"),
            ],
        );
    // Nobody's now: neither its last holder renews it nor can it be given back.
    story.at(11).asks(&client.release(A)).expect(["commit: leases4_committed(0,0)"]);
    story.at(86_409).expect_nothing();
    story
        .at(86_410)
        .expect(["expire: lease4_expire", "recover: lease4_recover"])
        .has(0, &[("LEASE4_STATE", "declined"), ("REMOVE_LEASE", "false"), ("LEASE4_HWADDR", "")])
        .has(1, &[("LEASE4_STATE", "declined"), ("LEASE4_CLTT", &unix(10)), ("REMOVE_LEASE", "-")]);
    assert_eq!(story.counters().leases4, 0, "Kea deletes the record though it does not say so");
}

#[test]
fn what_is_for_another_server_is_nothing() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    let other = ip("192.0.2.254").octets();
    story
        .at(5)
        .asks(&client.release(A).set(54, &other))
        .asks(&client.decline(A).set(54, &other))
        .asks(&client.discover().with(54, &other))
        .asks(&client.select(A).set(54, &other))
        .expect_nothing();
    assert_eq!(story.counters().foreign_queries, 2);
}

#[test]
fn kea_commits_nothing_for_what_fails_its_sanity_checks() {
    let (mut story, client) = (Story::new(), client(1));
    story.at(0).given(&client, A);
    let nobody = crate::wire4::client(2).chaddr(&[]);
    for query in
        [client.discover().with(54, &SERVER.octets()), nobody.discover(), nobody.reboot(A), nobody.release(A)]
    {
        story.at(1).asks(&query).expect(["commit: leases4_committed(0,0)"]);
    }
    story.at(2).asks(&nobody.inform(A)).expect_nothing();
}

#[test]
fn a_client_without_hardware_address_is_its_identifier() {
    let (mut story, client) = (Story::new(), client(1).chaddr(&[]).client_id(&[0, 9, 9]));
    story.at(0).given(&client, A);
    let calls = story
        .at(5)
        .acked(&client.renew(A), A)
        .expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
    calls.has(0, &[("LEASE4_CLIENT_ID", "00:09:09"), ("LEASE4_HWADDR", ""), ("LEASE4_HWADDR_TYPE", "1")]);
}

#[test]
fn an_answered_bootp_request_is_a_lease_for_good() {
    let (mut story, client) = (Story::new(), client(1));
    let mut bootp = client.discover();
    bootp.cookie = false;
    let mut answer = bootp.ack(A);
    answer.cookie = false;
    story
        .at(0)
        .asks(&bootp)
        .answers(&answer)
        .expect(["commit: leases4_committed(1,0)"])
        .has(0, &[("LEASES4_AT0_VALID_LIFETIME", "4294967295")]);
}

#[test]
fn unanswered_bootp_and_messages_that_go_the_wrong_way_are_nothing() {
    let (mut story, client) = (Story::new(), client(1));
    let mut bootp = client.discover();
    bootp.cookie = false;
    story.at(0).asks(&bootp).asks(&client.discover().without(53)).expect_nothing();
    let mut upside_down = client.select(A).ack(A);
    upside_down.op = 1;
    story.answers(&upside_down).expect_nothing();
    assert_eq!(story.counters().other_messages, 1);
}

#[test]
fn a_rapid_commit_is_a_lease_at_discover() {
    let (mut story, client) = (Story::new(), client(1));
    let discover = client.discover().with(80, &[]);
    story
        .at(0)
        .asks(&discover)
        .answers(&discover.ack(A).with(80, &[]))
        .expect(["commit: leases4_committed(1,0)"])
        .has(0, &[("QUERY4_TYPE", "DHCPDISCOVER"), ("LEASES4_AT0_ADDRESS", A), ("OBSERVER_INFERRED", "-")]);
}

#[test]
fn a_relayed_client_is_itself_and_its_relay_the_remote_end() {
    let (mut story, client) = (Story::new(), client(1));
    // As it was seen with the real server: sub-options out of order, one that Kea does not know.
    let agent = b"\x02\x03\xde\xad\x01\x01\x04eth3\x97\x02\x00\x2a";
    let mut request = client.select(A).relayed("192.0.2.2", agent);
    request.flags = 0x8000;
    request.secs = 5;
    story.at(0).acked(&request, A).expect(["commit: leases4_committed(1,0)"]).has(
        0,
        &[
            ("QUERY4_RELAYED", "true"),
            ("QUERY4_GIADDR", "192.0.2.2"),
            ("QUERY4_HOPS", "1"),
            ("QUERY4_SECS", "5"),
            ("QUERY4_FLAGS", "32768"),
            ("QUERY4_LOCAL_ADDR", "192.0.2.1"),
            ("QUERY4_LOCAL_HWADDR", "02:bb:00:00:00:01"),
            ("QUERY4_REMOTE_ADDR", "192.0.2.2"),
            ("QUERY4_REMOTE_PORT", "67"),
            ("QUERY4_REMOTE_HWADDR", "02:cc:00:00:00:01"),
            ("QUERY4_REMOTE_HWADDR_TYPE", "1"),
            ("QUERY4_HWADDR", "02:aa:00:00:00:01"),
            ("QUERY4_OPTION_82", "0x0104657468330203DEAD019702002A"),
            ("QUERY4_OPTION_82_SUB_OPTION_1", "0x65746833"),
            ("QUERY4_OPTION_82_SUB_OPTION_2", "0xDEAD01"),
        ],
    );
    // An empty sub-option is empty, a missing one is not there; the renewal past the relay has neither.
    let reboot = client.reboot(A).relayed("192.0.2.2", b"\x01\x00");
    story.at(1).acked(&reboot, A).acked(&client.renew(A), A);
    let calls = story.calls();
    calls.has(0, &[("QUERY4_OPTION_82", "0x0100"), ("QUERY4_OPTION_82_SUB_OPTION_1", "")]);
    calls.has(0, &[("QUERY4_OPTION_82_SUB_OPTION_2", "-")]);
    calls.has(2, &[("QUERY4_OPTION_82", "-"), ("QUERY4_RELAYED", "false")]);
}

#[test]
fn an_answer_whose_question_was_missed_tells_what_it_repeats() {
    let (mut story, client) = (Story::with(subnet4(|_| {})), client(1).client_id(&[1, 2]));
    let mut request = client.select(A).relayed("192.0.2.2", b"\x01\x01x");
    request.flags = 0x8000;
    let calls = story.at(3).answers(&request.ack(A)).expect(["commit: leases4_committed(1,0)"]);
    calls.has(
        0,
        &[
            ("OBSERVER_INFERRED", "1"),
            ("QUERY4_TXID", "65536"),
            ("QUERY4_HWADDR", "02:aa:00:00:00:01"),
            ("QUERY4_GIADDR", "192.0.2.2"),
            ("QUERY4_RELAYED", "true"),
            ("QUERY4_FLAGS", "32768"),
            ("QUERY4_OPTION_82", "0x010178"),
            ("QUERY4_IFACE_INDEX", "3"),
            ("QUERY4_IFACE_NAME", "vs"),
            ("LEASES4_AT0_ADDRESS", A),
            ("LEASES4_AT0_HWADDR", "02:aa:00:00:00:01"),
            ("LEASES4_AT0_CLIENT_ID", "01:02"),
            ("LEASES4_AT0_SUBNET_ID", "7"),
        ],
    );
    for missed in
        ["TYPE", "LOCAL_ADDR", "LOCAL_PORT", "REMOTE_ADDR", "REMOTE_PORT", "HOPS", "SECS", "CIADDR", "SIADDR"]
            .iter()
            .chain(&["YIADDR", "LOCAL_HWADDR", "LOCAL_HWADDR_TYPE", "REMOTE_HWADDR", "REMOTE_HWADDR_TYPE"])
    {
        calls.has(0, &[(&format!("QUERY4_{missed}"), "")]);
    }
    // A record makes it a renewal, and a refusal is a refusal.
    let calls = story
        .at(9)
        .answers(&client.renew(A).ack(A))
        .expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
    calls.has(0, &[("OBSERVER_INFERRED", "1"), ("PKT4_CLIENT_ID", "01:02"), ("LEASE4_CLTT", &unix(9))]);
    story.at(10).answers(&client.renew(A).nak()).expect(["commit: leases4_committed(0,0)"]);
    // An ACK that gives no time may be the answer to an INFORM.
    story.at(11).answers(&client.inform(A).ack_inform()).expect_nothing();
    assert_eq!((story.counters().inferred_answers, story.counters().unmatched_answers), (3, 1));
}

#[test]
fn an_answer_finds_its_question_by_client_and_transaction() {
    let (mut story, one, two) = (Story::new(), client(1), client(2));
    let (mut first, mut second) = (one.select(A), two.select("192.0.2.101"));
    (first.xid, second.xid) = (77, 77);
    first.secs = 1;
    second.secs = 2;
    story.at(0).asks(&first).asks(&second).answers(&first.ack(A)).answers(&second.ack("192.0.2.101"));
    let calls = story.expect(["commit: leases4_committed(1,0)", "commit: leases4_committed(1,0)"]);
    calls.has(0, &[("QUERY4_SECS", "1"), ("LEASES4_AT0_HWADDR", "02:aa:00:00:00:01")]);
    calls.has(1, &[("QUERY4_SECS", "2"), ("LEASES4_AT0_HWADDR", "02:aa:00:00:00:02")]);
}

#[test]
fn whose_answers_count_is_a_matter_of_where_we_stand() {
    let client = client(1);
    let request = client.select(A);
    for (answers, query, answer, expected) in [
        (Answers::Out, Direction::In, Direction::Out, 1),
        // Another server's client, seen from ours: its question leaves and its answer arrives.
        (Answers::Out, Direction::Out, Direction::In, 0),
        (Answers::In, Direction::Out, Direction::In, 1),
        (Answers::In, Direction::In, Direction::Out, 0),
        (Answers::Both, Direction::In, Direction::Out, 1),
        (Answers::Both, Direction::Out, Direction::In, 1),
        (Answers::Out, Direction::Unknown, Direction::Unknown, 1),
    ] {
        let mut story = Story::tapping(ServerConfig::default(), answers, Limits::default());
        story.at(0).pass(&request, query).pass(&request.ack(A), answer);
        assert_eq!(story.calls().0.len(), expected, "{answers:?} {query:?} {answer:?}");
        let foreign = u64::from(expected == 0);
        assert_eq!((story.counters().foreign_queries, story.counters().foreign_answers), (foreign, foreign));
    }
}

#[test]
fn the_same_bytes_on_a_second_tap_are_one_frame() {
    let (mut story, client) = (Story::new(), client(1));
    let other = std::sync::Arc::new(dhcp_observer::frame::Interface { index: Some(4), name: "br0".into() });
    story.at(0).taps(2).given(&client, A);
    let (renew, ack) = (client.renew(A), client.renew(A).ack(A));
    let (query, answer) = (renew.frame(), ack.frame());
    story.at(5).pass(&renew, Direction::In).pass_bytes(&other, &query, Direction::In);
    story.at_millis(5_050).pass(&ack, Direction::Out).pass_bytes(&other, &answer, Direction::Out);
    story
        .expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"])
        .has(0, &[("QUERY4_IFACE_NAME", "vs")]);
    assert_eq!(story.totals().duplicates, 2);
}

#[test]
fn an_endless_lease_says_so_in_a_number_and_never_ends() {
    let (mut story, client) = (Story::new(), client(1));
    let request = client.select(A);
    story.at(0).asks(&request).answers(&request.ack(A).lifetime(u32::MAX));
    story.expect(["commit: leases4_committed(1,0)"]).has(0, &[("LEASES4_AT0_VALID_LIFETIME", "4294967295")]);
    assert_eq!(story.deadline(), None);
    story.at(5_000_000_000).expect_nothing();
}

#[test]
fn the_longest_hardware_address_is_kept_whole_and_a_short_one_too() {
    for octets in [&[7; 16][..], &[7]] {
        let (mut story, client) = (Story::new(), client(1).chaddr(octets));
        let expected = vec!["07"; octets.len()].join(":");
        story
            .at(0)
            .dora(&client, A)
            .expect(["commit: leases4_committed(1,0)"])
            .has(0, &[("QUERY4_HWADDR", &expected), ("LEASES4_AT0_HWADDR", &expected)]);
    }
}
