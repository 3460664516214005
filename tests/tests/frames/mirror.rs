//! A mirror port: every frame arrives, for hardware addresses that are not the interface's own.

use std::net::Ipv4Addr;

use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::require;

use crate::stage::{LIFE, Stage, is_life};
use crate::talk::Talk;

const MIRROR: [&str; 3] = ["--answers", "both", "--promisc"];
/// A server elsewhere on the mirrored network.
const SERVER_MAC: [u8; 6] = [2, 0xee, 0, 0, 0, 1];
const RELAY: ([u8; 6], Ipv4Addr) = ([2, 0xee, 0, 0, 0, 2], Ipv4Addr::new(192, 0, 2, 254));

fn promiscuity(cable: &Cable) -> String {
    let shown = cable.server.namespace.ip(&["-details", "link", "show", "s0"]).unwrap();
    shown.split_whitespace().skip_while(|word| *word != "promiscuity").nth(1).unwrap().to_owned()
}

#[test]
fn both_directions_arrive() {
    require!(Need::Root);
    for attach in ["tc", "clsact", "xdp"] {
        let stage = Stage::new(&[&MIRROR[..], &["--attach", attach]].concat());
        let cable = stage.cable.clone();
        assert_eq!(promiscuity(&cable), "1");
        let mut talk = Talk::new(7, SERVER_MAC);
        let discover = talk.discover();
        let (client, server) =
            (|talk: &Talk, m: &_| talk.by_client(m), |talk: &Talk, m: &_| talk.by_server(m));
        stage.wire.arrives(&client(&talk, &discover));
        stage.wire.arrives(&server(&talk, &talk.offer()));
        stage.wire.arrives(&client(&talk, &talk.request()));
        stage.wire.arrives(&server(&talk, &talk.ack()));
        let renew = talk.renew();
        stage.wire.arrives(&client(&talk, &renew));
        stage.wire.arrives(&server(&talk, &talk.ack()));
        let release = talk.release();
        stage.wire.arrives(&client(&talk, &release));
        let (calls, ended) = stage.finish(LIFE.len());
        is_life(&calls, &talk, &LIFE);
        for call in &calls {
            assert_eq!(call.get("OBSERVER_QUERY_DIRECTION"), Some("in"));
            assert!(matches!(call.get("OBSERVER_ANSWER_DIRECTION"), Some("in") | None));
        }
        assert_eq!(ended.count("totals", "handled"), 7, "{}", ended.stderr);
        assert_eq!(promiscuity(&cable), "0");
    }
}

#[test]
fn both_legs_of_a_relayed_exchange_are_told_once() {
    require!(Need::Root);
    let stage = Stage::new(&MIRROR);
    let mut talk = Talk::new(7, SERVER_MAC);
    let ask = |talk: &Talk, query: &_| {
        stage.wire.arrives(&talk.by_client(query));
        stage.wire.arrives(&talk.by_relay(query, RELAY).1);
    };
    let answer = |talk: &Talk, answer: &_| {
        talk.through_relay(answer, RELAY).iter().for_each(|frame| stage.wire.arrives(frame));
    };
    let discover = talk.discover();
    ask(&talk, &discover);
    answer(&talk, &talk.offer());
    ask(&talk, &talk.request());
    answer(&talk, &talk.ack());
    // The client did not hear it and asks again: the server answers again, and that is an event of its own.
    ask(&talk, &talk.request());
    answer(&talk, &talk.ack());
    let release = talk.release();
    stage.wire.arrives(&talk.by_client(&release));
    let (calls, ended) = stage.finish(LIFE.len());
    is_life(&calls, &talk, &LIFE);
    assert_eq!(
        calls[0].get("QUERY4_GIADDR"),
        Some("192.0.2.254"),
        "the question is the one that the server had"
    );
    assert_eq!(ended.count("tracker", "relayed_copies"), 3, "{}", ended.stderr);
    assert_eq!(ended.count("totals", "handled"), 13, "{}", ended.stderr);
}

#[test]
fn nobody_is_made_promiscuous_unasked() {
    require!(Need::Root);
    let stage = Stage::new(&["--answers", "both"]);
    assert_eq!(promiscuity(&stage.cable), "0");
    stage.finish(0);
}
