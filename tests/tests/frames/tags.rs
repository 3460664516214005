//! VLAN tags, in the bytes and stripped to metadata, by every way of attaching: recordings of Kea are sent again with
//! tags, and the calls are those of the recording plus the tags.

use std::panic::resume_unwind;

use observer_tests::capture::Frame;
use observer_tests::compare::{Rules, compare};
use observer_tests::golden::Recording;
use observer_tests::inject::{AnswersFrom, replay_paced};
use observer_tests::need::Need;
use observer_tests::observer::{binary, replay_invocations};
use observer_tests::require;

use crate::stage::{Stage, lives};

/// Tags as they are on the wire, and what hooks are told of them: VLANs and priorities.
struct Tags {
    bytes: &'static [u8],
    vlan: Option<&'static str>,
    priority: Option<&'static str>,
}

const NONE: Tags = Tags { bytes: &[], vlan: None, priority: None };
const VLAN: Tags = Tags { bytes: &[0x81, 0, 0x60, 42], vlan: Some("42"), priority: Some("3") };
/// A service tag (802.1ad) and a customer tag.
const QINQ: Tags =
    Tags { bytes: &[0x88, 0xa8, 0, 7, 0x81, 0, 0xe0, 42], vlan: Some("7.42"), priority: Some("0.7") };
/// Only a priority: the frame is in no VLAN.
const PRIORITY: Tags = Tags { bytes: &[0x81, 0, 0xa0, 0], vlan: Some("0"), priority: Some("5") };

fn is_told_with_tags(name: &str, tags: &Tags, attach: &str) {
    let recording = Recording::named(name);
    let config = recording.kea_config();
    let kea = ["--kea-config", config.to_str().unwrap()];
    let stage = Stage::new(&[&kea[..], &["--attach", attach]].concat());
    let index = stage.cable.server.index.to_string();
    let options = ["--iface-name", "s0", "--iface-index", &index];
    let expected = replay_invocations(&recording.capture(), &[&options[..], &kea].concat()).unwrap();

    let mut frames: Vec<Frame> = recording.frames().unwrap();
    for frame in &mut frames {
        frame.bytes.splice(12..12, tags.bytes.iter().copied());
    }
    let (peer, observed) = (&stage.cable.client, &stage.cable.server);
    let start = replay_paced(&frames, 1.0, peer, observed, AnswersFrom::Observed).unwrap();
    let (calls, ended) = stage.finish(expected.len());

    let what = format!("{name}, tags {:02x?}, --attach {attach}", tags.bytes);
    let rules = Rules {
        shift: start - recording.start().unwrap(),
        cltt_within: 1.5,
        variable_order: true,
        ..Rules::default()
    };
    compare(&expected, &calls, &rules).unwrap_or_else(|report| panic!("{what}:\n{report}"));
    assert_eq!(lives(&calls), lives(&expected), "{what}");
    for call in &calls {
        let told =
            ["OBSERVER_INTERFACE", "OBSERVER_VLAN", "OBSERVER_VLAN_PRIORITY", "OBSERVER_QUERY_DIRECTION"]
                .map(|name| call.get(name));
        assert_eq!(told, [Some("s0"), tags.vlan, tags.priority, Some("in")], "{what}: {call:?}");
        let answered = call.get("OBSERVER_SERVER_ID").is_some();
        assert_eq!(call.get("OBSERVER_ANSWER_DIRECTION"), answered.then_some("out"), "{what}: {call:?}");
    }
    let sent = frames.len() as u64;
    assert_eq!((ended.count("totals", "frames"), ended.count("totals", "handled")), (sent, sent), "{what}");
    assert_eq!(ended.count("kernel", "lost"), 0, "{what}");
}

fn every_tag(attach: &'static str) {
    require!(Need::Root);
    // Built before the clock of any recording runs.
    binary().unwrap();
    let recordings = ["kea-v4-dora", "kea-v6-sarr"];
    let tagged = [&VLAN, &QINQ, &PRIORITY].into_iter().flat_map(|tags| recordings.map(|name| (name, tags)));
    let plain = [("kea-v4-renew", &NONE), ("kea-v6-relay", &NONE)];
    std::thread::scope(|scope| {
        let runs: Vec<_> = plain
            .into_iter()
            .chain(tagged)
            .map(|(name, tags)| scope.spawn(move || is_told_with_tags(name, tags, attach)))
            .collect();
        for run in runs {
            run.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
}

#[test]
fn by_traffic_control() {
    every_tag("tc");
}

#[test]
fn by_clsact() {
    every_tag("clsact");
}

#[test]
fn by_xdp() {
    every_tag("xdp");
}
