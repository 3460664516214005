//! A mirror port that shows both sides of a relay or router: each change of a lease is told once.

use std::net::{Ipv4Addr, SocketAddr};

use dhcp_observer::config::ServerConfig;
use dhcp_observer::frame::Direction;
use dhcp_observer::tracker::{Answers, Limits};

use crate::story::{Packet, Story};
use crate::wire4::{self, Dhcp4};
use crate::wire6::{self, Dhcp6};

const A: &str = "192.0.2.100";
const RELAY: &str = "192.0.2.254";
const RELAY_MAC: [u8; 6] = [2, 0xcc, 0, 0, 0, 2];
const AGENT: &[u8] = &[1, 2, b'p', b'7'];

fn mirror() -> Story {
    Story::tapping(ServerConfig::default(), Answers::Both, Limits::default())
}

impl Story {
    /// Everything arrives at a mirror port.
    fn shows(&mut self, packet: &impl Packet) -> &mut Self {
        self.pass(packet, Direction::In)
    }
}

/// The relay's question and, out of the server's answer to it, what the relay passes on to the client.
fn passed_on(answer: &Dhcp4) -> Dhcp4 {
    let mut answer = answer.clone().without(82);
    answer.source = SocketAddr::from((answer.giaddr, 67));
    answer.destination = SocketAddr::from((Ipv4Addr::BROADCAST, 68));
    answer.macs = (RELAY_MAC, [0xff; 6]);
    answer
}

/// A question on both legs, then its answer on both.
fn both_legs(story: &mut Story, query: &Dhcp4, answer: impl Fn(&Dhcp4) -> Dhcp4) {
    let relayed = query.clone().relayed(RELAY, AGENT);
    let answer = answer(&relayed);
    story.shows(query).shows(&relayed).shows(&answer).shows(&passed_on(&answer));
}

#[test]
fn a_relayed_exchange_is_told_once_as_the_server_had_it() {
    let (mut story, client) = (mirror(), wire4::client(1));
    both_legs(&mut story, &client.discover(), |query| query.offer(A));
    both_legs(&mut story, &client.select(A), |query| query.ack(A));
    let calls = story.expect(["commit: leases4_committed(1,0)"]);
    calls.has(0, &[("QUERY4_GIADDR", RELAY), ("QUERY4_HOPS", "1"), ("QUERY4_OPTION_82", "0x01027037")]);
    // An offer on the way counts, too: the second DISCOVER is offered the lease that there is.
    story.at(60);
    both_legs(&mut story, &client.discover(), |query| query.offer(A));
    both_legs(&mut story, &client.select(A), |query| query.ack(A));
    story.expect(["renew: lease4_renew", "renew: lease4_renew", "renew: leases4_committed(1,0)"]);
    story.at(120);
    both_legs(&mut story, &client.reboot("192.0.2.9"), Dhcp4::nak);
    story.expect(["commit: leases4_committed(0,0)"]);
    assert_eq!(story.counters().relayed_copies, 5);
}

#[test]
fn a_retransmission_that_is_answered_again_is_told_again() {
    let (mut story, client) = (mirror(), wire4::client(1));
    let query = client.reboot(A);
    both_legs(&mut story, &query, |query| query.ack(A));
    story.expect(["commit: leases4_committed(1,0)"]);
    // At once, and after the time in which a client does it.
    both_legs(&mut story, &query, |query| query.ack(A));
    story.expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
    story.at(4);
    both_legs(&mut story, &query, |query| query.ack(A));
    story.expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
}

#[test]
fn two_answers_may_overtake_what_is_passed_on() {
    let (mut story, client) = (mirror(), wire4::client(1));
    let query = client.reboot(A).relayed(RELAY, AGENT);
    let answer = query.ack(A);
    story.shows(&query).shows(&answer).shows(&query).shows(&answer);
    story.shows(&passed_on(&answer)).shows(&passed_on(&answer));
    story.expect(["commit: leases4_committed(1,0)", "renew: lease4_renew", "renew: leases4_committed(1,0)"]);
}

#[test]
fn a_relay_that_speaks_with_the_servers_address_or_clears_its_own_is_recognised() {
    for change in [
        |copy: &mut Dhcp4| {
            copy.source = SocketAddr::from((wire4::SERVER, 67));
            copy.macs.0 = wire4::SERVER_MAC;
        },
        |copy: &mut Dhcp4| copy.giaddr = Ipv4Addr::UNSPECIFIED,
        |copy: &mut Dhcp4| copy.hops = 0,
    ] {
        let (mut story, client) = (mirror(), wire4::client(1));
        let query = client.reboot(A).relayed(RELAY, AGENT);
        let answer = query.ack(A);
        let mut copy = passed_on(&answer);
        change(&mut copy);
        story.shows(&query).shows(&answer).shows(&copy);
        story.expect(["commit: leases4_committed(1,0)"]);
    }
}

#[test]
fn another_answer_is_another_answer() {
    for change in [
        |answer: &Dhcp4| answer.clone().lifetime(1_800),
        |answer: &Dhcp4| answer.clone().set(54, &[192, 0, 2, 2]),
        |answer: &Dhcp4| Dhcp4 { xid: answer.xid + 1, ..answer.clone() },
    ] {
        let (mut story, client) = (mirror(), wire4::client(1));
        let query = client.reboot(A).relayed(RELAY, AGENT);
        let answer = query.ack(A);
        story.shows(&query).shows(&answer).shows(&change(&passed_on(&answer)));
        story.expect([
            "commit: leases4_committed(1,0)",
            "renew: lease4_renew",
            "renew: leases4_committed(1,0)",
        ]);
    }
}

#[test]
fn a_client_that_the_server_hears_directly_and_through_a_relay_is_answered_twice() {
    let (mut story, client) = (mirror(), wire4::client(1));
    let query = client.reboot(A);
    let relayed = query.clone().relayed(RELAY, AGENT);
    let answer = relayed.ack(A);
    story.shows(&query).shows(&query.ack(A)).shows(&relayed).shows(&answer).shows(&passed_on(&answer));
    story.expect(["commit: leases4_committed(1,0)", "renew: lease4_renew", "renew: leases4_committed(1,0)"]);
}

#[test]
fn questions_without_an_answer_are_told_once() {
    let (mut story, client) = (mirror(), wire4::client(1));
    both_legs(&mut story, &client.reboot(A), |query| query.ack(A));
    story.calls();
    // A RELEASE is routed: on the far side it comes from the router.
    let release = client.release(A);
    let routed = Dhcp4 { macs: (RELAY_MAC, wire4::SERVER_MAC), ..release.clone() };
    story.at(10).shows(&release).shows(&routed);
    story.expect(["release: lease4_release", "release: leases4_committed(0,1)"]);
    both_legs(&mut story, &client.reboot(A), |query| query.ack(A));
    story.calls();
    let decline = client.decline(A);
    story.at(20).shows(&decline).shows(&decline.relayed(RELAY, AGENT));
    story.expect(["decline: lease4_decline", "decline: leases4_committed(1,0)"]);
}

#[test]
fn beside_the_server_every_answer_that_leaves_is_the_servers_own() {
    let (mut story, client) = (Story::new(), wire4::client(1));
    let query = client.reboot(A).relayed(RELAY, AGENT);
    let answer = query.ack(A);
    story.asks(&query).answers(&answer).answers(&passed_on(&answer));
    story.expect(["commit: leases4_committed(1,0)", "renew: lease4_renew", "renew: leases4_committed(1,0)"]);
}

const B: &str = "2001:db8:1::100";

/// What a relay makes of a Reply: one envelope less, from itself.
fn unwrapped(reply: &Dhcp6) -> Dhcp6 {
    let mut reply = reply.clone();
    let relay = reply.relays.pop().unwrap();
    // Its number tells the relays apart.
    let from = format!("fe80::{}", reply.relays.len() + 1).parse::<std::net::Ipv6Addr>().unwrap();
    let port = if reply.relays.is_empty() { 546 } else { 547 };
    reply.source = SocketAddr::from((from, 547));
    reply.destination = SocketAddr::from((relay.peer, port));
    reply
}

fn both_legs6(story: &mut Story, query: &Dhcp6, reply: impl Fn(&Dhcp6) -> Dhcp6) {
    let near = query.clone().relayed("2001:db8:1::1", vec![(18, b"port".to_vec())]);
    let far = near.clone().relayed("2001:db8:2::1", vec![]);
    let reply = reply(&far);
    let (second, last) = (unwrapped(&reply), unwrapped(&unwrapped(&reply)));
    story.shows(query).shows(&near).shows(&far).shows(&reply).shows(&second).shows(&last);
}

#[test]
fn a_dhcpv6_exchange_through_two_relays_is_told_once() {
    let (mut story, client) = (mirror(), wire6::client(1));
    let lease = || vec![wire6::na(7, vec![wire6::address(B, 1_800, 3_600)])];
    let request = client.request(lease());
    both_legs6(&mut story, &request, |query| query.reply(lease()));
    story.expect(["commit: leases6_committed(1,0)"]).has(0, &[("OBSERVER_RELAYS", "2")]);
    // Answered again.
    both_legs6(&mut story, &request, |query| query.reply(lease()));
    story.expect(["renew: leases6_committed(1,0)"]);
    story.at(10);
    both_legs6(&mut story, &client.renew(lease()), |query| query.reply(lease()));
    story.expect(["renew: lease6_renew", "renew: leases6_committed(1,0)"]);
    story.at(20);
    both_legs6(&mut story, &client.release(lease()), |query| query.reply(vec![wire6::status(0)]));
    story.expect(["release: lease6_release", "release: leases6_committed(0,1)"]);
    assert_eq!(story.counters().relayed_copies, 8);
}
