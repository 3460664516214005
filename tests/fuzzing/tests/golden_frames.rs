//! The frames of the recordings, cut at every octet and with every bit turned, through everything up to what hooks are
//! started with.
//!
//! Of messages that are alike (same type, same options, same way) one is taken. The first of each family is also seen
//! with the whole of its story before it, so that its answer meets a question and its renewal a lease.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhcp_observer::capture::pcap::Reader;
use dhcp_observer::config::{KeaVersion, ServerConfig};
use dhcp_observer::dissect::{Dissector, FragmentLimits};
use dhcp_observer::drive::Driver;
use dhcp_observer::frame::{Direction, Frame, Interface, LinkType};
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::{Answers, Counters, LeaseEvent, LeaseState, Limits, Occurrence};
use dhcp_observer::{dhcpv4, dhcpv6};
use observer_fuzzing::model::Model;
use observer_fuzzing::rendered::{self, VERSIONS};

/// A frame of a recording.
#[derive(Clone)]
struct Recorded {
    at: Timestamp,
    bytes: Vec<u8>,
    /// What makes it different from others.
    shape: String,
}

fn recordings() -> Vec<Vec<Recorded>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden");
    let mut files: Vec<PathBuf> =
        fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path().join("capture.pcap")).collect();
    // Those of options are hundreds of like messages with other payloads: minutes, and nothing new below the options.
    let is_of_options =
        |file: &Path| file.parent().is_some_and(|folder| folder.to_string_lossy().ends_with("-options"));
    files.retain(|file| file.is_file() && !is_of_options(file));
    files.sort();
    files.iter().map(|file| recording(&fs::read(file).unwrap())).collect()
}

fn recording(file: &[u8]) -> Vec<Recorded> {
    let mut reader = Reader::new(file).unwrap();
    let mut dissector = Dissector::new(FragmentLimits::default());
    let mut frames = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        let frame = record.frame(None).unwrap();
        assert_eq!(frame.link_type, LinkType::Ethernet);
        let Ok(datagram) = dissector.dissect(&frame) else { continue };
        let shape = if datagram.source.is_ipv4() {
            let message = dhcpv4::parse(&datagram.payload);
            let kind = message.message_type.map(|kind| kind.0);
            format!("4 {kind:?} {} {:?}", message.is_relayed(), message.options.codes().collect::<Vec<_>>())
        } else {
            let message = dhcpv6::parse(&datagram.payload);
            let inside: Vec<_> = message
                .identity_associations()
                .map(|association| (association.kind, association.leases().count()))
                .collect();
            let codes: Vec<_> = message.options().map(|(code, _)| code).collect();
            format!("6 {} {} {codes:?} {inside:?}", message.message_type.0, message.relays.len())
        };
        frames.push(Recorded { at: frame.at, bytes: frame.bytes.into(), shape });
    }
    frames
}

/// Everything, and what must hold of it.
struct Stage {
    driver: Driver,
    model: Model,
    interface: Arc<Interface>,
    frames: u64,
}

impl Stage {
    fn new() -> Self {
        let limits = Limits { leases: 1_000_000, exchanges: 256 };
        Self {
            driver: Driver::new(Arc::new(ServerConfig::default()), Answers::Both, limits),
            model: Model::new(KeaVersion::V2_2),
            interface: Arc::new(Interface { index: Some(2), name: "s0".into() }),
            frames: 0,
        }
    }

    /// Passes a frame. What it gives is in its bytes, and a hook could be told of it.
    fn pass(&mut self, at: Timestamp, bytes: &[u8], wire_length: usize) -> usize {
        let (interface, model) = (&self.interface, &mut self.model);
        let frame = Frame {
            at,
            interface,
            direction: Direction::Unknown,
            link_type: LinkType::Ethernet,
            metadata_tag: None,
            bytes,
            wire_length,
        };
        let mut events = 0;
        // One version by turns: rendering is most of the time that these tests take.
        let versions = &VERSIONS[usize::try_from(self.frames % 4).unwrap()..][..1];
        self.driver.handle_frame(&frame, |event| {
            events += 1;
            model.take(&event);
            rendered::check_for(&event, versions);
            assert!(is_in(&event, bytes), "an invented lease: {event:?}");
        });
        self.frames += 1;
        events
    }

    /// Every frame was handled or skipped for a named reason.
    fn balance(&self) -> BTreeMap<&'static str, u64> {
        let skipped: BTreeMap<_, _> = self.driver.skipped().collect();
        let totals = self.driver.totals();
        assert_eq!(totals.frames, self.frames);
        assert_eq!(totals.handled + skipped.values().sum::<u64>(), self.frames);
        skipped
    }
}

/// Whether the addresses that an event gives stand in the frame that brought it. What is declined stands in the question.
fn is_in(event: &LeaseEvent, bytes: &[u8]) -> bool {
    let stands = |address: &[u8]| bytes.windows(address.len()).any(|window| window == address);
    match &event.occurrence {
        Occurrence::Committed4 { leases, .. } => leases.iter().all(|lease| stands(&lease.address.octets())),
        Occurrence::Committed6 { leases, .. } => {
            leases.iter().all(|lease| lease.state == LeaseState::Declined || stands(&lease.address.octets()))
        }
        _ => true,
    }
}

/// Calls `with` for the first frame of each shape, in the state in which its recording has brought the stage.
fn each_shape(family: char, mut with: impl FnMut(&mut Stage, &Recorded)) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    for recording in recordings() {
        let mut stage = Stage::new();
        for frame in &recording {
            if frame.shape.starts_with(family) && seen.insert(frame.shape.clone()) {
                with(&mut stage, frame);
            }
            stage.pass(frame.at, &frame.bytes, frame.bytes.len());
        }
        stage.balance();
    }
    seen.len()
}

#[test]
fn frames_cut_at_every_octet() {
    // Ethernet, IP and UDP, without which there is no datagram. No recording has tags or header options.
    for (family, headers) in [('4', 14 + 20 + 8), ('6', 14 + 40 + 8)] {
        let shapes = each_shape(family, |stage, frame| {
            let truncated = |stage: &Stage| {
                let skipped = stage.driver.skipped().find(|(reason, _)| *reason == "truncated-headers");
                skipped.map_or(0, |(_, count)| count)
            };
            for length in 0..frame.bytes.len() {
                // Short on the wire, or cut by the capture: by turns.
                let wire_length = if length % 2 == 0 { length } else { frame.bytes.len() };
                let (skipped, before) = (truncated(stage), stage.driver.counters());
                stage.pass(frame.at, &frame.bytes[..length], wire_length);
                let counters = stage.driver.counters();
                if length < headers {
                    assert_eq!(truncated(stage), skipped + 1, "{} at {length}", frame.shape);
                    let messages = |counters: Counters| counters.messages4 + counters.messages6;
                    assert_eq!(messages(counters), messages(before));
                } else if family == '4' {
                    // Only behind its last option is there nothing to miss.
                    let whole = frame.bytes[length..].iter().all(|octet| *octet == 0);
                    assert!(whole || counters.malformed == before.malformed + 1, "at {length}");
                }
            }
            stage.balance();
        });
        assert!(shapes >= 20, "{shapes} shapes of family {family}");
    }
}

fn turn_every_bit(family: char) {
    let mut turned = 0;
    let shapes = each_shape(family, |stage, frame| {
        for bit in 0..frame.bytes.len() * 8 {
            let mut bytes = frame.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            stage.pass(frame.at, &bytes, bytes.len());
            turned += 1;
        }
        stage.balance();
    });
    println!("{turned} frames of {shapes} shapes");
    assert!(shapes >= 20 && turned > 50_000, "{turned} frames of {shapes} shapes of family {family}");
}

#[test]
fn frames_of_version_4_with_every_bit_turned() {
    turn_every_bit('4');
}

#[test]
fn frames_of_version_6_with_every_bit_turned() {
    turn_every_bit('6');
}
