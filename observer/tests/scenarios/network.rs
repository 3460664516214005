//! What the network says beside leases: when each event comes, when it does not, and what a flood makes of it.

use std::net::SocketAddr;
use std::sync::Arc;

use dhcp_observer::config::ServerConfig;
use dhcp_observer::frame::{Direction, Interface};
use dhcp_observer::tracker::network::Kind;
use dhcp_observer::tracker::{Answers, Limits};

use crate::story::{Story, unix};
use crate::wire4::{self, Dhcp4, client, ip};
use crate::wire6::{self, Dhcp6, na, pd, status};

const A: &str = "192.0.2.100";
const B: &str = "192.0.2.101";
const UNANSWERED: &str = "unanswered: observer_unanswered";
const FOREIGN: &str = "foreign-server: observer_foreign_server";
const NAK: &str = "nak: observer_nak";
const EXHAUSTED: &str = "pool-exhausted: observer_pool_exhausted";
const CONFLICT: &str = "conflict: observer_conflict";

fn watching(kind: Kind) -> Story {
    Story::new().watching(&[kind])
}

fn watching_both(kind: Kind) -> Story {
    Story::tapping(ServerConfig::default(), Answers::Both, Limits::default()).watching(&[kind])
}

fn nth(number: u32) -> wire4::Client {
    let [_, a, b, c] = number.to_be_bytes();
    client(1).chaddr(&[2, 0xaa, 0, a, b, c])
}

/// The same answer from another server.
fn from_other(mut answer: Dhcp4) -> Dhcp4 {
    answer = answer.set(54, &ip("192.0.2.66").octets());
    answer.source = SocketAddr::from((ip("192.0.2.66"), 67));
    answer.macs.0 = [2, 0x66, 0, 0, 0, 1];
    answer
}

fn from_other6(mut answer: Dhcp6) -> Dhcp6 {
    answer.options.retain(|(code, _)| *code != 2);
    answer.with((2, vec![0, 3, 0, 1, 2, 0x66, 0, 0, 0, 1]))
}

#[test]
fn nothing_comes_out_unless_it_is_asked_for() {
    let mut story = Story::new();
    story.at(0).asks(&client(1).discover()).answers(&client(1).reboot(A).nak());
    story.pass(&from_other(client(2).discover().offer(A)), Direction::In).asks(&client(3).decline(A));
    story.at(3_600).expect_network([]);
    assert_eq!(story.deadline(), None);
    assert_eq!(story.network_counters(), Default::default());
    // One kind is no other.
    let mut story = watching(Kind::Conflict);
    story.at(0).asks(&client(1).discover()).answers(&client(1).reboot(A).nak());
    story.at(3_600).expect_network([]);
    assert_eq!(story.deadline(), None);
}

// Unanswered.

#[test]
fn a_client_that_nobody_answers_is_told_once_an_episode() {
    let (mut story, client) = (watching(Kind::Unanswered), client(1));
    let first = client.discover();
    story.at(0).asks(&first);
    assert_eq!(story.deadline(), Some(10_000_000_000));
    story.at(4).asks(&first);
    // A new transaction is the same episode.
    story.at(9).asks(&client.discover());
    let calls = story.at(60).expect_network([UNANSWERED]);
    assert_eq!(calls.at(0), 10_000_000_000);
    calls
        .has(0, &[("OBSERVER_ASKED", "3"), ("OBSERVER_SINCE", &unix(0)), ("QUERY4_TYPE", "DHCPDISCOVER")])
        .has(
            0,
            &[("QUERY4_HWADDR", "02:aa:00:00:00:01"), ("QUERY4_TXID", "65538"), ("OBSERVER_LEFT_OUT", "-")],
        )
        .has(0, &[("OBSERVER_INTERFACE", "vs"), ("OBSERVER_CERTAINTY", "observed"), ("LEASES4_SIZE", "-")]);
    for at in [60, 120, 600, 3_000, 9_000] {
        story.at(at).asks(&client.discover());
    }
    story.at(9_900).expect_network([]);
    // An answer ends it, and the next is another.
    let discover = client.discover();
    story.at(10_000).asks(&discover).answers(&discover.offer(A));
    story.at(10_100).asks(&client.discover()).at(10_200).expect_network([UNANSWERED]);
    // So does silence.
    story
        .at(20_000)
        .asks(&client.discover())
        .at(20_100)
        .expect_network([UNANSWERED])
        .has(0, &[("OBSERVER_ASKED", "1")]);
}

#[test]
fn whoever_is_answered_in_time_is_not_told_of() {
    let (mut story, client) = (watching(Kind::Unanswered), client(1));
    let discover = client.discover();
    story.at(0).asks(&discover).at(9).answers(&discover.offer(A));
    assert_eq!(story.deadline(), None);
    story.at(10).acked(&client.select(A), A);
    let inform = client.inform(A);
    story.at(11).asks(&inform).answers(&inform.ack_inform());
    let reboot = client.reboot(B);
    story.at(12).asks(&reboot).answers(&reboot.nak());
    // These have no answer.
    story.at(13).asks(&client.release(A)).asks(&client.decline(B));
    story.at(3_000).expect_network([]);
}

#[test]
fn each_kind_of_question_waits_for_its_own_answer() {
    let (mut story, client) = (watching(Kind::Unanswered), client(1));
    story.at(0).given(&client, A);
    story.at(100).asks(&client.renew(A));
    let inform = client.inform(A);
    story.at(101).asks(&inform).answers(&inform.ack_inform());
    story
        .at(200)
        .expect_network([UNANSWERED])
        .has(0, &[("QUERY4_TYPE", "DHCPREQUEST"), ("QUERY4_CIADDR", A)]);
    story.at(201).acked(&client.rebind(A), A);
    story.at(300).expect_network([]);
}

#[test]
fn what_another_server_is_asked_or_answers_is_not_unanswered() {
    let (mut story, one, two) = (watching(Kind::Unanswered), client(1), client(2));
    story.at(0).given(&two, B);
    // Its offer was not even seen, but the client takes it; and what is asked of it is not asked of ours.
    story.at(100).asks(&one.discover());
    story.at(101).asks(&one.select(A).set(54, &ip("192.0.2.66").octets()));
    story.at(200).expect_network([]);
    let discover = nth(9).discover();
    story.at(300).asks(&discover).pass(&from_other(discover.offer(A)), Direction::In);
    // What leaves is for others.
    story.pass(&nth(10).discover(), Direction::Out);
    story.at(400).expect_network([]);
}

#[test]
fn dhcpv6_questions_wait_for_their_answers() {
    let (mut story, client) = (watching(Kind::Unanswered), wire6::client(1));
    let solicit = client.solicit(vec![na(1, vec![])]).relayed("2001:db8:7::1", vec![(18, b"port".to_vec())]);
    story.at(0).asks(&solicit).at(1).asks(&solicit);
    let calls = story.at(20).expect_network([UNANSWERED]);
    calls.has(
        0,
        &[("QUERY6_TYPE", "SOLICIT"), ("OBSERVER_ASKED", "2"), ("OBSERVER_RELAY0_LINK", "2001:db8:7::1")],
    );
    story.at(30).asks(&client.solicit(vec![])).answers(&solicit.advertise(vec![]));
    let ia = || vec![na(1, vec![wire6::address("2001:db8::1", 1, 9_999)])];
    story.at(40).replied(&client.request(ia()), ia());
    story.at(50).asks(&client.renew(ia())).at(55).replied(&client.rebind(ia()), ia());
    let (release, information) = (client.release(ia()), client.information_request(vec![]));
    story.at(60).asks(&release).answers(&release.reply(vec![]));
    story.at(61).asks(&information).answers(&information.reply(vec![]));
    // Old servers have never heard of it.
    story.at(62).asks(&client.inform_of_address(vec![wire6::address("2001:db8::9", 1, 1)]));
    story.at(100).expect_network([]);
    for question in [client.confirm(ia()), client.renew(ia()), client.information_request(vec![])] {
        story.asks(&question);
    }
    let calls = story.at(200).expect_network([UNANSWERED, UNANSWERED, UNANSWERED]);
    calls.has(0, &[("QUERY6_TYPE", "CONFIRM")]).has(2, &[("QUERY6_TYPE", "INFORMATION_REQUEST")]);
}

#[test]
fn a_sighting_stands_in_time_among_the_events_of_leases() {
    let (mut story, one, two) = (watching(Kind::Unanswered), client(1), client(2));
    let request = one.select(A);
    story.at(0).asks(&request).answers(&request.ack(A).lifetime(100)).calls();
    story.at(92).asks(&two.discover()).at(85 + 20).expect(["expire: lease4_expire", UNANSWERED]);
    story.at(200).asks(&one.discover());
    // No look at the clock in between: the next frame brings the time.
    story.at(0).stamp(300_000).asks(&two.discover());
    story.expect([UNANSWERED]).has(0, &[("QUERY4_HWADDR", "02:aa:00:00:00:01")]);
}

// A foreign server.

#[test]
fn an_answer_that_arrives_is_told_once_an_hour_for_each_server() {
    let (mut story, client) = (watching(Kind::ForeignServer), client(1));
    let discover = client.discover();
    story.at(0).asks(&discover).answers(&discover.offer(A));
    story.pass(&from_other(discover.offer("10.6.6.6")), Direction::In);
    let calls = story.expect_network([FOREIGN]);
    calls
        .has(0, &[("OBSERVER_SERVER_ID", "192.0.2.66"), ("OBSERVER_SERVER_HWADDR", "02:66:00:00:00:01")])
        .has(0, &[("OBSERVER_SERVER_ADDRESS", "192.0.2.66"), ("OBSERVER_ADDRESS", "10.6.6.6")])
        .has(0, &[("QUERY4_TYPE", "DHCPDISCOVER"), ("OBSERVER_ANSWER_DIRECTION", "in")])
        .has(0, &[("OBSERVER_FIRST_SERVER_ID", "-"), ("OBSERVER_LEFT_OUT", "-")]);
    for at in 1..=5 {
        story.at(at * 600).pass(&from_other(client.discover().offer(B)), Direction::In);
    }
    story.expect_network([]);
    story.at(3_600).pass(&from_other(client.discover().offer(B)), Direction::In);
    story.expect_network([FOREIGN]).has(0, &[("OBSERVER_LEFT_OUT", "5"), ("OBSERVER_CERTAINTY", "inferred")]);
    // Another hardware address is another server.
    let mut third = from_other(client.discover().ack(A));
    third.macs.0 = [2, 0x77, 0, 0, 0, 1];
    story.pass(&third, Direction::In).expect_network([FOREIGN]);
}

#[test]
fn an_answer_that_leaves_is_foreign_to_who_stands_at_the_client() {
    let mut story = Story::tapping(ServerConfig::default(), Answers::In, Limits::default())
        .watching(&[Kind::ForeignServer]);
    let discover = client(1).discover();
    story.at(0).pass(&discover, Direction::Out).pass(&discover.offer(A), Direction::In).expect_network([]);
    story.pass(&from_other(discover.offer(B)), Direction::Out).expect_network([FOREIGN]);
}

#[test]
fn where_all_answers_count_the_second_server_of_an_exchange_is_foreign() {
    let (mut story, client) = (watching_both(Kind::ForeignServer), client(1));
    let discover = client.discover();
    story.at(0).asks(&discover).answers(&discover.offer(A)).answers(&discover.offer(A)).expect_network([]);
    story.answers(&from_other(discover.offer(B)));
    story
        .expect_network([FOREIGN])
        .has(0, &[("OBSERVER_FIRST_SERVER_ID", "192.0.2.1"), ("OBSERVER_SERVER_ID", "192.0.2.66")]);
    // Servers that share the clients between them are none.
    let other = nth(7).discover();
    story.at(4_000).asks(&other).answers(&from_other(other.offer(B))).expect_network([]);

    let (mut story, six) = (watching_both(Kind::ForeignServer), wire6::client(1));
    let solicit = six.solicit(vec![na(1, vec![])]);
    let ia = |text| vec![na(1, vec![wire6::address(text, 1, 2)])];
    story.at(0).asks(&solicit).answers(&solicit.advertise(ia("2001:db8::1"))).expect_network([]);
    story.answers(&from_other6(solicit.advertise(ia("2001:db8:666::1"))));
    story.expect_network([FOREIGN]).has(
        0,
        &[("OBSERVER_ADDRESS", "2001:db8:666::1"), ("OBSERVER_SERVER_ID", "00:03:00:01:02:66:00:00:00:01")],
    );
}

// A refusal.

#[test]
fn each_nak_is_told_with_its_reason_and_what_was_asked_for() {
    let (mut story, client) = (watching(Kind::Nak), client(1));
    let reboot = client.reboot("10.0.0.9");
    story.at(0).asks(&reboot).answers(&reboot.nak().with(56, b"wrong network"));
    let calls = story.expect_network([NAK]);
    calls.has(
        0,
        &[("OBSERVER_REASON", "wrong network"), ("OBSERVER_ADDRESS", "10.0.0.9"), ("OBSERVER_STATUS", "-")],
    );
    calls.has(0, &[("QUERY4_TYPE", "DHCPREQUEST"), ("OBSERVER_SERVER_ID", "192.0.2.1")]);
    let renew = client.renew(A);
    story.at(1).asks(&renew).answers(&renew.nak());
    story.expect_network([NAK]).has(0, &[("OBSERVER_REASON", "-"), ("OBSERVER_ADDRESS", A)]);
    // Whoever sent it, and whether the question was seen or not.
    story.at(2).pass(&from_other(nth(9).renew(A).nak()), Direction::In);
    story.expect_network([NAK]).has(0, &[("OBSERVER_ADDRESS", "-"), ("OBSERVER_CERTAINTY", "inferred")]);
    story.at(3).dora(&client, A).expect_network([]);
}

#[test]
fn dhcpv6_refuses_by_status_codes() {
    let (mut story, client) = (watching(Kind::Nak), wire6::client(1));
    let ia = |inside| vec![na(1, vec![inside])];
    let address = || wire6::address("2001:db8::1", 1, 2);
    let words = |code: u16| (13, [&code.to_be_bytes()[..], b"no such thing"].concat());
    story.at(0).replied(&client.renew(ia(address())), ia(words(3)));
    let calls = story.expect_network([NAK]);
    calls.has(0, &[("OBSERVER_STATUS", "NoBinding"), ("OBSERVER_ADDRESS", "2001:db8::1")]);
    calls.has(0, &[("OBSERVER_REASON", "no such thing"), ("QUERY6_TYPE", "RENEW")]);
    story.replied(&client.confirm(ia(address())), vec![status(4)]);
    story.expect_network([NAK]).has(0, &[("OBSERVER_STATUS", "NotOnLink"), ("OBSERVER_REASON", "-")]);
    // Giving back what the server does not know is no refusal, and neither is success.
    story.replied(&client.release(ia(address())), ia(status(3)));
    story.replied(&client.decline(ia(address())), ia(status(3)));
    story.replied(&client.confirm(ia(address())), vec![status(0)]);
    story.expect_network([]);
}

// A pool with nothing left.

#[test]
fn dhcpv6_servers_say_so_and_are_quoted_once_for_each_link() {
    let (mut story, one, two) = (watching(Kind::PoolExhausted), wire6::client(1), wire6::client(2));
    let nothing = || vec![na(1, vec![(13, b"\x00\x02none left".to_vec())]), pd(2, vec![status(6)])];
    let solicit = one.solicit(vec![]);
    story.at(0).asks(&solicit).answers(&solicit.advertise(nothing()));
    let calls = story.expect_network([EXHAUSTED, EXHAUSTED]);
    calls.has(0, &[("OBSERVER_STATUS", "NoAddrsAvail"), ("OBSERVER_REASON", "none left")]);
    calls.has(1, &[("OBSERVER_STATUS", "NoPrefixAvail"), ("OBSERVER_CERTAINTY", "observed")]);
    story.at(300).replied(&two.request(vec![]), nothing());
    story.at(800).replied(&two.request(vec![]), nothing()).expect_network([]);
    // Another link has other pools.
    let far = two.request(vec![]).relayed("2001:db8:7::1", vec![]);
    story.replied(&far, vec![na(1, vec![status(2)])]).expect_network([EXHAUSTED]);
    story.at(1_500).replied(&two.request(vec![]), vec![na(1, vec![status(2)])]);
    story.expect_network([EXHAUSTED]).has(0, &[("OBSERVER_STATUS", "NoAddrsAvail")]);
}

/// Clients that ask in vain from `from` on, a second apart.
fn in_vain(story: &mut Story, from: i64, numbers: std::ops::Range<u32>) {
    for (second, number) in numbers.enumerate() {
        story.at(from + i64::try_from(second).unwrap()).asks(&nth(number).discover());
    }
}

#[test]
fn a_dhcpv4_server_that_serves_others_but_answers_no_newcomer_has_nothing_left() {
    let (mut story, old) = (watching(Kind::PoolExhausted), client(1));
    story.at(0).given(&old, A);
    in_vain(&mut story, 100, 2_000..2_003);
    story.at(105).acked(&old.renew(A), A);
    let calls = story.at(120).expect_network([EXHAUSTED]);
    assert_eq!(calls.at(0), 112_000_000_000);
    calls.has(
        0,
        &[("OBSERVER_CLIENTS", "3"), ("OBSERVER_CERTAINTY", "estimated"), ("OBSERVER_ESTIMATED", "1")],
    );
    calls.has(0, &[("QUERY4_TYPE", "DHCPDISCOVER"), ("OBSERVER_STATUS", "-")]);
    // One episode, however many come.
    in_vain(&mut story, 200, 3_000..3_100);
    story.at(310).acked(&old.renew(A), A).at(500).expect_network([]);
    in_vain(&mut story, 2_000, 4_000..4_003);
    story.at(2_020).expect_network([]);
    // The renewal can come last.
    story.acked(&old.renew(A), A).expect_network([EXHAUSTED]);
}

#[test]
fn silence_alone_is_no_empty_pool() {
    // Nobody is served: the server is down.
    let (mut story, old) = (watching(Kind::PoolExhausted), client(1));
    story.at(0).given(&old, A).at(99).acked(&old.renew(A), A);
    in_vain(&mut story, 100, 2_000..2_050);
    story.at(300).expect_network([]);
    // Two are too few, and one that asks often is one.
    let mut story = watching(Kind::PoolExhausted);
    story.at(0).given(&old, A);
    in_vain(&mut story, 100, 2_000..2_002);
    in_vain(&mut story, 120, 2_000..2_002);
    story.at(121).acked(&old.renew(A), A).at(200).expect_network([]);
    // Somebody has been given a new address there.
    let mut story = watching(Kind::PoolExhausted);
    story.at(0).given(&old, A);
    in_vain(&mut story, 100, 2_000..2_002);
    story.at(115).given(&client(9), B);
    in_vain(&mut story, 116, 2_002..2_003);
    story.at(117).acked(&old.renew(A), A).at(200).expect_network([]);
    // They are known: whatever is wrong, there are addresses for them.
    let mut story = watching(Kind::PoolExhausted);
    let address = |number: u32| format!("192.0.2.{}", number - 1_900);
    for number in 2_000..2_004 {
        story.at(0).dora(&nth(number), &address(number));
    }
    in_vain(&mut story, 100, 2_000..2_003);
    story.at(103).acked(&nth(2_003).renew(&address(2_003)), &address(2_003)).at(200).expect_network([]);
    // The server serves another link.
    let mut story = watching(Kind::PoolExhausted);
    let request = old.select(A).relayed("198.51.100.1", &[]);
    story.at(0).asks(&request).answers(&request.ack(A));
    in_vain(&mut story, 100, 2_000..2_005);
    // A renewal past the relay belongs to the link behind it.
    story.at(106).acked(&old.renew(A), A).at(200).expect_network([]);
    for number in 3_000..3_003 {
        story.at(300).asks(&nth(number).discover().relayed("198.51.100.1", &[]));
    }
    let calls = story.at(301).acked(&old.renew(A), A).at(320).expect_network([EXHAUSTED]);
    calls.has(0, &[("OBSERVER_RELAY", "198.51.100.1"), ("QUERY4_GIADDR", "198.51.100.1")]);
}

// A fight over an address.

#[test]
fn a_decline_is_told_with_who_declines_and_who_had_the_address_before() {
    let (mut story, old, new, third) =
        (watching(Kind::Conflict), client(1).client_id(b"\x01old"), client(2), client(3));
    story.at(0).given(&old, A);
    // The server gives it to another; the old one still has it.
    story.at(4_000).dora(&new, A).expect_network([]);
    let decline = new.decline(A);
    story.at(4_001).asks(&decline);
    let calls = story.expect_network([CONFLICT]);
    calls.has(0, &[("OBSERVER_CONFLICT", "decline"), ("OBSERVER_ADDRESS", A), ("OBSERVER_DECLINES", "1")]);
    calls.has(0, &[("QUERY4_HWADDR", "02:aa:00:00:00:02"), ("OBSERVER_RIVAL_HWADDR", "02:aa:00:00:00:01")]);
    calls.has(0, &[("OBSERVER_RIVAL_CLIENT_ID", "01:6f:6c:64")]);
    // Sent again it is the same.
    story.at(4_002).asks(&decline).expect_network([]);
    story.at(5_000).dora(&third, A).asks(&third.decline(A));
    let calls = story.expect_network([CONFLICT]);
    calls.has(0, &[("OBSERVER_DECLINES", "2"), ("OBSERVER_RIVAL_HWADDR", "02:aa:00:00:00:01")]);
    // Of an address that nobody had.
    story.at(5_001).asks(&nth(9).decline(B));
    story.expect_network([CONFLICT]).has(0, &[("OBSERVER_DECLINES", "1"), ("OBSERVER_RIVAL_HWADDR", "-")]);
}

#[test]
fn a_decline_of_dhcpv6_is_told_for_each_address() {
    let (mut story, old, new) = (watching(Kind::Conflict), wire6::client(1), wire6::client(2));
    let (a, b) = ("2001:db8::a", "2001:db8::b");
    let ia = |text| na(1, vec![wire6::address(text, 1, 99)]);
    story.at(0).replied(&old.request(vec![ia(a)]), vec![ia(a)]);
    story.at(1_000).replied(&new.request(vec![ia(a)]), vec![ia(a)]).expect_network([]);
    story.at(1_001).asks(&new.decline(vec![
        ia(a),
        ia(b),
        pd(3, vec![wire6::prefix("2001:db8:1::", 48, 1, 2)]),
    ]));
    let calls = story.expect_network([CONFLICT, CONFLICT]);
    calls.has(0, &[("OBSERVER_ADDRESS", a), ("OBSERVER_RIVAL_CLIENT_ID", "00:03:00:01:02:aa:00:00:00:01")]);
    calls.has(1, &[("OBSERVER_ADDRESS", b), ("OBSERVER_RIVAL_CLIENT_ID", "-"), ("QUERY6_TYPE", "DECLINE")]);
}

#[test]
fn two_clients_that_claim_one_address_are_told_once() {
    let (mut story, one, two) = (watching(Kind::Conflict), client(1), client(2));
    story.at(0).asks(&one.renew(A)).expect_network([]);
    story.at(200).asks(&two.rebind(A));
    let calls = story.expect_network([CONFLICT]);
    calls.has(0, &[("OBSERVER_CONFLICT", "claim"), ("OBSERVER_ADDRESS", A), ("OBSERVER_DECLINES", "-")]);
    calls.has(0, &[("QUERY4_HWADDR", "02:aa:00:00:00:02"), ("OBSERVER_RIVAL_HWADDR", "02:aa:00:00:00:01")]);
    story.at(300).asks(&one.renew(A)).at(400).asks(&two.rebind(A)).expect_network([]);
    story.at(2_000).asks(&one.renew(A)).at(2_001).asks(&two.rebind(A)).expect_network([CONFLICT]);
    // Too far apart.
    story.at(4_000).asks(&one.renew(B)).at(4_301).asks(&two.rebind(B)).expect_network([]);
}

#[test]
fn who_renews_what_another_holds_fights_and_who_restarts_only_asks() {
    let (mut story, owner, other) = (watching(Kind::Conflict), client(1), client(2));
    story.at(0).given(&owner, A);
    // Not known before, but the server agrees: who restarts after that is not of one fight with it.
    story.acked(&nth(7).renew(B), B).asks(&other.reboot(B)).expect_network([]);
    let reboot = other.reboot(A);
    story.at(1).asks(&reboot).answers(&reboot.nak()).expect_network([]);
    story.at(2).acked(&owner.renew(A), A).expect_network([]);
    story.at(3).asks(&other.renew(A));
    story.expect_network([CONFLICT]).has(0, &[("OBSERVER_RIVAL_HWADDR", "02:aa:00:00:00:01")]);
}

#[test]
fn one_client_after_another_is_no_fight() {
    let (mut story, one, two) = (watching(Kind::Conflict), client(1), client(2));
    // Its own address, known or not.
    story.at(0).acked(&one.renew(A), A).asks(&one.renew(A)).asks(&one.reboot(A));
    // Given back, and given to the next, who restarts.
    story.at(10).asks(&one.release(A)).dora(&two, A).acked(&two.reboot(A), A).asks(&one.select(A));
    // It ran out before the next had it.
    story.at(9_000).acked(&one.rebind(A), A);
    // The same machine with its boot loader's identifier and with its system's.
    let booting = client(1).client_id(b"\x00pxe");
    story.at(9_001).asks(&booting.rebind(A)).asks(&booting.reboot(A));
    // Visitors who bring addresses from home.
    story.at(9_002).asks(&nth(7).reboot("10.9.9.9")).asks(&nth(8).reboot("10.9.9.9"));
    story.expect_network([]);
}

// Floods.

#[test]
fn a_flood_of_a_million_forged_clients_is_cut_off_and_counted() {
    let mut story = Story::new().watching(&Kind::ALL);
    let interface = Arc::new(Interface { index: Some(3), name: "vs".into() });
    let mut frame = crate::story::Packet::frame(&client(1).discover());
    // Behind Ethernet, IPv4 and UDP: `chaddr` is at 28 of the message.
    let chaddr = 14 + 20 + 8 + 28;
    story.at(0);
    for number in 0..1_000_000_u32 {
        frame[chaddr + 2..chaddr + 6].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
        story.stamp(i64::from(number) / 100).pass_bytes(&interface, &frame, Direction::In);
    }
    story.at(100);
    let told = story.calls().0.len() as u64;
    let counters = story.network_counters();
    assert_eq!(counters.events, told);
    // What has room is told as far as the quota goes; all the rest is accounted for.
    assert!((600..=1_200).contains(&told), "{told}");
    assert_eq!(counters.events + counters.left_out + counters.evicted, 1_000_000);
    // A minute later it is said how much there was.
    story.asks(&client(1).discover());
    let calls = story.at(170).expect_network([UNANSWERED]);
    assert_eq!(calls.get(0, "OBSERVER_LEFT_OUT"), counters.left_out.to_string());
}

#[test]
fn a_flood_of_foreign_servers_declines_and_claims_stays_within_its_quota() {
    let mut story = Story::new().watching(&[Kind::ForeignServer, Kind::Conflict, Kind::Nak]);
    story.at(0);
    for number in 0..20_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let address = format!("10.{a}.{b}.{c}");
        let mut offer = nth(number).discover().offer(&address).set(54, &number.to_be_bytes());
        offer.macs.0 = [2, 6, 6, a, b, c];
        story.pass(&offer, Direction::In).asks(&nth(number).decline(&address));
        story.asks(&nth(number).renew(&address)).answers(&nth(number).renew(&address).nak());
    }
    let told = |story: &mut Story| {
        let calls = story.calls().0;
        calls
            .iter()
            .filter(|call| call.arguments.iter().next().unwrap().to_bytes().starts_with(b"observer_"))
            .count()
    };
    assert_eq!(told(&mut story), 3 * 600);
    let counters = story.network_counters();
    assert_eq!(counters.events + counters.left_out, 60_000);
    assert!(counters.evicted > 0);
}
