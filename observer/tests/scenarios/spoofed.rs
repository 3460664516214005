//! Messages that are not what they seem: none makes a lease that no server gave, and each is counted.

use dhcp_observer::config::ServerConfig;
use dhcp_observer::frame::Direction;
use dhcp_observer::tracker::{Answers, Counters, Limits};

use crate::story::{Packet, Story};
use crate::wire4::{self, SERVER};
use crate::wire6;

fn tapping(answers: Answers) -> Story {
    Story::tapping(ServerConfig::default(), answers, Limits::default())
}

fn addresses() -> Vec<(u16, Vec<u8>)> {
    vec![
        wire6::na(1, vec![wire6::address("2001:db8::1", 1_800, 3_600)]),
        wire6::pd(1, vec![wire6::prefix("2001:db8:f000::", 56, 1_800, 3_600)]),
    ]
}

/// These counts, and nothing else that is dropped.
#[track_caller]
fn counted(story: &Story, expected: impl FnOnce(&mut Counters)) {
    let found = story.counters();
    let mut counters = Counters {
        messages4: found.messages4,
        messages6: found.messages6,
        events: found.events,
        leases4: found.leases4,
        leases6: found.leases6,
        deadlines: found.deadlines,
        ..Counters::default()
    };
    expected(&mut counters);
    assert_eq!(found, counters);
}

#[test]
fn answers_on_the_wrong_side_give_nothing() {
    for (answers, wrong) in [(Answers::Out, Direction::In), (Answers::In, Direction::Out)] {
        let right = if wrong == Direction::In { Direction::Out } else { Direction::In };
        let mut story = tapping(answers);
        let (four, six) = (wire4::client(1), wire6::client(1));
        let (request, renew) = (four.select("192.0.2.100"), four.renew("192.0.2.100"));
        let six = six.request(addresses());
        story.at(0);
        // The questions pass where the server that counts would have them from.
        for question in [&request, &renew] {
            story.pass(question, wrong);
        }
        story.pass(&six, wrong);
        for answer in [request.ack("192.0.2.100"), renew.offer("192.0.2.100"), request.nak()] {
            story.pass(&answer, wrong).expect_nothing();
        }
        for answer in [six.reply(addresses()), six.advertise(addresses())] {
            story.pass(&answer, wrong).expect_nothing();
        }
        counted(&story, |counters| counters.foreign_answers = 5);
        assert_eq!((story.counters().leases4, story.counters().leases6), (0, 0));
        // Questions that go the way of answers are for another server, and answers to them are not ours either.
        story.pass(&request, right).pass(&six, right).expect_nothing();
        counted(&story, |counters| (counters.foreign_answers, counters.foreign_queries) = (5, 2));
    }
}

#[test]
fn answers_that_nobody_asked_for_are_marked_or_give_nothing() {
    let mut story = tapping(Answers::Both);
    let (four, six) = (wire4::client(1), wire6::client(1));
    let (request, inform) = (four.select("192.0.2.100"), four.inform("192.0.2.100"));
    story.at(0);
    // That they give an address for a time is all that they say.
    story.answers(&request.offer("192.0.2.100")).expect_nothing();
    story.answers(&inform.ack_inform()).answers(&request.ack("0.0.0.0")).expect_nothing();
    story.answers(&request.ack("192.0.2.101").without(51)).expect_nothing();
    story.answers(&six.request(vec![]).reply(vec![wire6::na(1, vec![wire6::status(2)])])).expect_nothing();
    counted(&story, |counters| counters.unmatched_answers = 4);
    story.answers(&request.ack("192.0.2.100"));
    story.expect(["commit: leases4_committed(1,0)"]).has(0, &[("OBSERVER_INFERRED", "1")]);
    story.answers(&six.request(vec![]).reply(addresses()));
    story.expect(["commit: leases6_committed(2,0)"]).has(0, &[("OBSERVER_INFERRED", "1")]);
    counted(&story, |counters| (counters.unmatched_answers, counters.inferred_answers) = (4, 2));
}

#[test]
fn an_ack_of_a_server_that_was_not_chosen_gives_nothing() {
    // At a mirror port, where every server's answers count.
    let mut story = tapping(Answers::Both);
    let request = wire4::client(1).select("192.0.2.100");
    let rogue = request.ack("192.0.2.66").set(54, &[192, 0, 2, 66]);
    story.at(0).asks(&request).answers(&rogue).expect_nothing();
    counted(&story, |counters| counters.unchosen_answers = 1);
    story.answers(&request.ack("192.0.2.100")).expect(["commit: leases4_committed(1,0)"]);
    // A client that asks any server takes any server's answer.
    let rebind = wire4::client(1).rebind("192.0.2.100");
    let other = rebind.ack("192.0.2.100").set(54, &[192, 0, 2, 2]);
    story.at(9).asks(&rebind).answers(&other);
    story.expect(["rebind: lease4_renew", "rebind: leases4_committed(1,0)"]);
    counted(&story, |counters| counters.unchosen_answers = 1);
    // Beside the server its word is the truth, whatever it calls itself.
    let mut story = tapping(Answers::Out);
    story.at(0).asks(&request).answers(&rogue).expect(["commit: leases4_committed(1,0)"]);
}

#[test]
fn what_only_relays_say_is_counted_when_clients_say_it() {
    let mut story = tapping(Answers::Out);
    let client = wire4::client(1);
    // Alone it gives nothing; what the server makes of it is the server's business.
    let with_agent = client.select("192.0.2.100").with(82, b"\x01\x04eth9");
    story.at(0).asks(&with_agent).expect_nothing();
    counted(&story, |counters| counters.relayed_by_clients = 1);
    // The server answers, and the lease knows of no relay.
    let mut answer = with_agent.ack("192.0.2.100");
    story.answers(&answer).expect(["commit: leases4_committed(1,0)"]);
    answer.xid = 0;
    let mut with_relay = client.discover();
    with_relay.giaddr = wire4::ip("203.0.113.1");
    story.asks(&with_relay).expect_nothing();
    counted(&story, |counters| counters.relayed_by_clients = 2);
    // A relay speaks from the server's port.
    story.asks(&client.discover().relayed("203.0.113.1", b"\x01\x01x")).expect_nothing();
    counted(&story, |counters| counters.relayed_by_clients = 2);

    let six = wire6::client(1);
    let mut enveloped = six.request(addresses()).relayed("2001:db8:9::1", vec![(18, b"eth9".to_vec())]);
    enveloped.source.set_port(546);
    story.asks(&enveloped).expect_nothing();
    story.asks(&six.solicit(addresses()).relayed("2001:db8:9::1", vec![])).expect_nothing();
    counted(&story, |counters| counters.relayed_by_clients = 3);
}

#[test]
fn relays_inside_each_other_past_the_limit_hide_what_they_carry() {
    for (depth, read) in [(8, true), (32, true), (33, false), (100, false), (255, false)] {
        let mut story = tapping(Answers::Out);
        let request = (0..depth).fold(wire6::client(1).request(addresses()), |message, _| {
            message.relayed("2001:db8:9::1", vec![(18, b"eth0".to_vec())])
        });
        let reply = request.reply(addresses());
        story.at(0).whole(&request, Direction::In).whole(&reply, Direction::Out);
        if read {
            story.expect(["commit: leases6_committed(2,0)"]);
            counted(&story, |_| {});
        } else {
            story.expect_nothing();
            counted(&story, |counters| (counters.malformed, counters.other_messages) = (2, 2));
        }
        assert_eq!(story.counters().leases6, if read { 2 } else { 0 }, "{depth} relays");
    }
}

#[test]
fn a_client_that_speaks_as_a_server_is_not_heard() {
    // Answers that arrive from the network, to the server's port or from the client's.
    let mut story = tapping(Answers::Out);
    let request = wire4::client(1).select("192.0.2.100");
    let mut forged = request.ack("192.0.2.100");
    forged.source = request.source;
    forged.destination = (SERVER, 67).into();
    story.at(0).asks(&request).asks(&forged).expect_nothing();
    counted(&story, |counters| counters.foreign_answers = 1);
    // A question dressed as an answer, and an answer dressed as a question.
    let (mut question, mut answer) = (request.clone(), request.ack("192.0.2.100"));
    (question.op, answer.op) = (2, 1);
    for message in [&question, &answer] {
        story.asks(message).answers(message).expect_nothing();
    }
    counted(&story, |counters| (counters.foreign_answers, counters.other_messages) = (1, 4));
    let nothing = story.pass_bytes(
        &std::sync::Arc::new(dhcp_observer::frame::Interface { index: None, name: String::new() }),
        &request.frame()[..20],
        Direction::In,
    );
    assert_eq!(nothing.skipped("truncated-headers"), 1);
}
