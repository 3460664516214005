//! Interfaces that vanish and return: what is observed stops and goes on, and leases are remembered meanwhile.

use observer_tests::link::{End, veth};
use observer_tests::need::Need;
use observer_tests::require;

use crate::stage::{LIFE, Stage, Wire, is_life};

#[test]
fn deleted_and_made_again() {
    require!(Need::Root);
    for attach in ["tc", "clsact", "xdp"] {
        let mut stage = Stage::new(&["--attach", attach]);
        let mut talk = stage.talk(7);
        stage.wire.bind(&mut talk);
        let (near, far) = (stage.cable.server.namespace.clone(), stage.cable.client.namespace.clone());
        for round in 1..=2 {
            near.ip(&["link", "delete", "s0"]).unwrap();
            stage.observer.wait_for_log("s0 went away", round).unwrap();
            let (server, client) =
                veth(&near, &End::recorded_server(), &far, &End::recorded_client()).unwrap();
            stage.observer.wait_for_log("s0 is observed", round + 1).unwrap();
            stage.wire = Wire::new(&client, &server);
        }
        stage.wire.renew(&mut talk);
        stage.wire.release(&mut talk);
        let (calls, ended) = stage.finish(LIFE.len());
        is_life(&calls, &talk, &LIFE);
        assert_eq!(ended.count("tracker", "inferred_answers"), 0, "{}", ended.stderr);
    }
}

#[test]
fn deleted_and_made_again_at_once() {
    require!(Need::Root);
    // Nobody waits for the observer to notice: the new interface has the name and index of the old one.
    let mut stage = Stage::new(&[]);
    let mut talk = stage.talk(7);
    stage.wire.bind(&mut talk);
    let (near, far) = (stage.cable.server.namespace.clone(), stage.cable.client.namespace.clone());
    near.ip(&["link", "delete", "s0"]).unwrap();
    let (server, client) = veth(&near, &End::recorded_server(), &far, &End::recorded_client()).unwrap();
    stage.observer.wait_for_log("s0 is observed", 2).unwrap();
    stage.wire = Wire::new(&client, &server);
    stage.wire.renew(&mut talk);
    stage.wire.release(&mut talk);
    let (calls, _) = stage.finish(LIFE.len());
    is_life(&calls, &talk, &LIFE);
}

#[test]
fn renamed_away_and_back() {
    require!(Need::Root);
    let mut stage = Stage::new(&[]);
    let mut talk = stage.talk(7);
    stage.wire.bind(&mut talk);
    let near = stage.cable.server.namespace.clone();
    near.ip(&["link", "set", "s0", "name", "other0"]).unwrap();
    stage.observer.wait_for_log("s0 went away", 1).unwrap();
    // Another name is another interface: nobody asked for that one.
    stage.wire.live(&mut stage.talk(8));
    near.ip(&["link", "set", "other0", "name", "s0"]).unwrap();
    stage.observer.wait_for_log("s0 is observed", 2).unwrap();
    stage.wire.renew(&mut talk);
    stage.wire.release(&mut talk);
    let (calls, _) = stage.finish(LIFE.len());
    is_life(&calls, &talk, &LIFE);
}

#[test]
fn down_and_up() {
    require!(Need::Root);
    let stage = Stage::new(&[]);
    let mut talk = stage.talk(7);
    stage.wire.bind(&mut talk);
    for state in ["down", "up"] {
        stage.cable.server.namespace.ip(&["link", "set", "s0", state]).unwrap();
    }
    let wire = Wire::new(&stage.cable.client, &stage.cable.server);
    wire.renew(&mut talk);
    wire.release(&mut talk);
    let (calls, ended) = stage.finish(LIFE.len());
    is_life(&calls, &talk, &LIFE);
    assert_eq!(ended.stderr.matches("s0 is observed").count(), 1, "{}", ended.stderr);
}

#[test]
fn one_that_comes_later() {
    require!(Need::Root);
    let mut stage = Stage::new(&["--iface", "s1", "--wait"]);
    let (near, far) = (stage.cable.server.namespace.clone(), stage.cable.client.namespace.clone());
    let own = End { name: "s1", addresses: vec![], mac: [2, 0, 0, 0, 1, 1], ..End::recorded_server() };
    let peer = End { name: "c1", mac: [2, 0, 0, 0, 1, 2], ..End::recorded_client() };
    let (server, client) = veth(&near, &own, &far, &peer).unwrap();
    stage.observer.wait_for_log("s1 is observed", 1).unwrap();
    let mut talk = stage.talk(7);
    // The client has moved to another link: the lease is the same, and where it was heard is new.
    stage.wire.bind(&mut talk);
    let wire = Wire::new(&client, &server);
    wire.renew(&mut talk);
    wire.release(&mut talk);
    let (calls, _) = stage.finish(LIFE.len());
    is_life(&calls, &talk, &LIFE);
    let heard: Vec<_> = calls.iter().map(|call| call.get("OBSERVER_INTERFACE").unwrap()).collect();
    assert_eq!(heard, ["s0", "s1", "s1", "s1", "s1"]);
}

#[test]
fn one_that_is_named_twice() {
    require!(Need::Root);
    for attach in ["tc", "clsact", "xdp"] {
        let stage = Stage::new(&["--iface", "s0", "--attach", attach]);
        let mut talk = stage.talk(7);
        stage.wire.live(&mut talk);
        let (calls, ended) = stage.finish(LIFE.len());
        is_life(&calls, &talk, &LIFE);
        assert_eq!(ended.count("totals", "frames"), 7, "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("s0 is observed").count(), 1, "{}", ended.stderr);
    }
}
