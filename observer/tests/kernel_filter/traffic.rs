//! The whole capture on real interfaces: a veth pair in a namespace of the test's own.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use aya::Ebpf;
use aya::programs::{SchedClassifier, TcAttachType};
use dhcp_observer::capture::live::{Attach, Capture, CaptureError, Change, Options, Readiness, Road};
use dhcp_observer::frame::{Direction, LinkType, MetadataTag};
use dhcp_observer::time::Timestamp;
use dhcp_observer_ebpf::{FRAME_LIMIT, OBJECT, programs};
use log::LevelFilter;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::frames::{self, IPV4, UDP, V4, ethernet, udp, v6};
use crate::namespace::{Namespace, index, ip, make_pair, send, tc, tun};
use crate::privilege;

/// A frame as the capture handed it out.
#[derive(Clone, PartialEq)]
struct Seen {
    interface: String,
    index: Option<u32>,
    direction: Direction,
    link_type: LinkType,
    tag: Option<MetadataTag>,
    wire_length: usize,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Seen {
    /// Without the thousands of octets that a failed comparison would otherwise print.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { interface, index, direction, link_type, tag, wire_length, bytes } = self;
        let start = &bytes[..bytes.len().min(20)];
        write!(
            f,
            "{interface}({index:?}) {direction:?} {link_type:?} {tag:?} {wire_length} {start:02x?}..{}",
            bytes.len()
        )
    }
}

fn seen(interface: &str, direction: Direction, bytes: &[u8]) -> Seen {
    Seen {
        interface: interface.to_owned(),
        index: Some(index(interface)),
        direction,
        link_type: LinkType::Ethernet,
        tag: None,
        wire_length: bytes.len(),
        bytes: bytes.to_vec(),
    }
}

/// A capture with the runtime it needs to wait.
struct Observer {
    capture: Capture,
    runtime: Runtime,
    /// What came while something else was waited for.
    frames: Vec<Seen>,
    changes: Vec<String>,
}

impl Observer {
    fn open(attach: Attach, interfaces: &[&str]) -> Self {
        Self::with(&Options { attach, ..on(interfaces) })
    }

    fn with(options: &Options) -> Self {
        // The capture is opened outside the runtime, as a daemon does that drops its privilege before it starts one.
        let capture = Capture::open(options).unwrap_or_else(|error| panic!("{error}"));
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { capture, runtime, frames: Vec::new(), changes: Vec::new() }
    }

    /// Waits until as many frames came as are expected, then makes sure that they are those and no more came. The
    /// frames of a veth pair are there when the send returns, so what would come too much is there too.
    fn expect(&mut self, expected: &[Seen]) {
        while self.frames.len() < expected.len() {
            self.step();
        }
        assert_eq!(std::mem::take(&mut self.frames), expected);
    }

    /// Waits until something is told of links.
    fn next_changes(&mut self) -> Vec<String> {
        while self.changes.is_empty() {
            self.step();
        }
        std::mem::take(&mut self.changes)
    }

    /// What is told of links now.
    fn changes(&mut self) -> Vec<String> {
        self.look_at_links();
        std::mem::take(&mut self.changes)
    }

    /// Waits for one thing and takes it in.
    fn step(&mut self) {
        match self.ready() {
            Readiness::Links => self.look_at_links(),
            Readiness::Frames => self.drain(),
        }
    }

    fn ready(&mut self) -> Readiness {
        let ready = self.runtime.block_on(async { timeout(LONG, self.capture.ready()).await });
        ready.expect("nothing became ready").expect("readiness")
    }

    fn look_at_links(&mut self) {
        let changes = self.capture.changes().expect("changes");
        self.changes.extend(changes.iter().map(Change::to_string));
    }

    fn drain(&mut self) {
        let mut latest = Timestamp::from_nanos(i64::MIN);
        let drained = self.capture.drain(1_000, |frame| {
            assert!(frame.at >= latest, "stamps ran back");
            latest = frame.at;
            self.frames.push(Seen {
                interface: frame.interface.name.clone(),
                index: frame.interface.index,
                direction: frame.direction,
                link_type: frame.link_type,
                tag: frame.metadata_tag,
                wire_length: frame.wire_length,
                bytes: frame.bytes.to_vec(),
            });
        });
        let now = self.capture.clock().now();
        let recent = latest <= now && now.since(latest) < Duration::from_secs(60);
        assert!(drained == 0 || recent, "{latest} is not shortly before {now}");
    }
}

/// Longer than anything here takes, so that only a failure waits for it.
const LONG: Duration = Duration::from_secs(10);

fn on(interfaces: &[&str]) -> Options {
    Options { interfaces: interfaces.iter().map(|name| (*name).to_owned()).collect(), ..Options::default() }
}

const EVERY_ROAD: [Attach; 3] = [Attach::Tc, Attach::Clsact, Attach::Xdp];

#[test]
fn both_directions_are_seen_on_every_interface_and_road() {
    if !privilege::granted() {
        return;
    }
    for attach in EVERY_ROAD {
        let _namespace = Namespace::with_pair();
        let mut observer = Observer::open(attach, &["left", "right"]);
        observer.capture.drain(1, |_| {});
        let (v4, v6) = (frames::dhcpv4(), frames::dhcpv6());
        send("left", &v4);
        send("left", &V4::default().frame(&udp(53, 4000, &[0; 40])));
        send("right", &v6);
        observer.expect(&[
            seen("left", Direction::Out, &v4),
            seen("right", Direction::In, &v4),
            seen("right", Direction::Out, &v6),
            seen("left", Direction::In, &v6),
        ]);
        let counters = observer.capture.counters().expect("counters");
        assert_eq!((counters.seen, counters.taken_v4, counters.taken_v6), (6, 2, 2), "{attach:?}");
        assert_eq!((counters.taken(), counters.lost, counters.malformed), (4, 0, 0), "{attach:?}");
    }
}

/// How many TCX programs `left` has.
fn tcx_programs(direction: TcAttachType) -> usize {
    SchedClassifier::query_tcx("left", direction).map_or(0, |(_, programs)| programs.len())
}

/// Whether this kernel has TCX at all (6.6 does): without it the default road is clsact.
fn has_tcx() -> bool {
    SchedClassifier::query_tcx("lo", TcAttachType::Ingress).is_ok()
}

#[test]
fn the_hooks_are_the_ones_that_were_asked_for() {
    if !privilege::granted() {
        return;
    }
    for attach in EVERY_ROAD {
        let _namespace = Namespace::with_pair();
        let mut observer = Observer::open(attach, &["left"]);
        let road = match observer.capture.changes().expect("changes").as_slice() {
            [Change::Attached { road, swept: 0, .. }] => *road,
            other => panic!("{other:?}"),
        };
        let filters = tc("filter show dev left ingress") + &tc("filter show dev left egress");
        let filters = filters.matches("direct-action").count();
        let xdp = ip("link show left").contains("prog/xdp");
        let hooks = (tcx_programs(TcAttachType::Ingress), tcx_programs(TcAttachType::Egress), filters, xdp);
        match attach {
            Attach::Tc if has_tcx() => assert_eq!((road, hooks), (Road::Tcx, (1, 1, 0, false))),
            Attach::Tc | Attach::Clsact => {
                assert_eq!((road, hooks), (Road::Clsact { priority: 1 }, (0, 0, 2, false)));
            }
            Attach::Xdp if has_tcx() => assert_eq!((road, hooks), (Road::XdpDriver, (0, 1, 0, true))),
            Attach::Xdp => assert_eq!((road, hooks), (Road::XdpDriver, (0, 0, 1, true))),
        }
        drop(observer);
        assert_eq!(
            (tcx_programs(TcAttachType::Ingress), tcx_programs(TcAttachType::Egress)),
            (0, 0),
            "{attach:?}"
        );
        assert!(!tc("qdisc show dev left").contains("clsact"), "{attach:?}: our qdisc stayed");
        assert!(!ip("link show left").contains("xdp"), "{attach:?}");
    }
}

#[test]
fn ours_is_the_first_of_a_chain_that_others_began() {
    if !privilege::granted() {
        return;
    }
    let _namespace = Namespace::with_pair();
    if !has_tcx() {
        eprintln!("skipped: this kernel has no TCX, and so no chain");
        return;
    }
    let mut theirs = Ebpf::load(OBJECT).expect("the committed object is an eBPF object");
    let theirs: &mut SchedClassifier = theirs
        .program_mut(programs::EMPTY)
        .and_then(|program| program.try_into().ok())
        .expect(programs::EMPTY);
    theirs.load().expect(programs::EMPTY);
    for direction in [TcAttachType::Ingress, TcAttachType::Egress] {
        theirs.attach("left", direction).expect("TCX");
    }
    let _observer = Observer::open(Attach::Tc, &["left"]);
    for (direction, name) in [(TcAttachType::Ingress, programs::IN), (TcAttachType::Egress, programs::OUT)] {
        let (_, chain) = SchedClassifier::query_tcx("left", direction).expect("TCX");
        let chain: Vec<_> = chain.iter().map(|program| program.name_as_str().unwrap_or_default()).collect();
        // The kernel keeps fifteen octets of a name.
        assert_eq!(chain, [&name[..15], &programs::EMPTY[..15]]);
    }
}

#[test]
fn the_outermost_tag_is_metadata_on_arrival_and_in_the_bytes_elsewhere() {
    if !privilege::granted() {
        return;
    }
    let packet = V4::default().packet(&udp(68, 67, &[3; 300]));
    for attach in EVERY_ROAD {
        for tags in [&[(0x8100, 0x6064)][..], &[(0x88a8, 100), (0x8100, 7)], &[(0x8100, 0)]] {
            let _namespace = Namespace::with_pair();
            let mut observer = Observer::open(attach, &["left", "right"]);
            let frame = ethernet(tags, IPV4, &packet);
            send("left", &frame);
            let arrived = if attach == Attach::Xdp {
                seen("right", Direction::In, &frame)
            } else {
                let (ethertype, tci) = tags[0];
                Seen {
                    tag: Some(MetadataTag { ethertype, tci }),
                    ..seen("right", Direction::In, &ethernet(&tags[1..], IPV4, &packet))
                }
            };
            observer.expect(&[seen("left", Direction::Out, &frame), arrived]);
        }
    }
}

#[test]
fn a_frame_in_pages_is_taken_whole_and_one_beyond_the_limit_is_cut() {
    if !privilege::granted() {
        return;
    }
    // A packet socket puts all but the Ethernet header of so long a frame into pages, where direct access ends.
    let jumbo = V4::default().frame(&udp(67, 68, &[5; 8_958]));
    let longest = V4::default().frame(&udp(67, 68, &[6; FRAME_LIMIT - 42]));
    let too_long = V4::default().frame(&udp(67, 68, &[7; FRAME_LIMIT - 41]));
    let other = V4::default().frame(&udp(53, 4000, &[8; 8_958]));
    for attach in EVERY_ROAD {
        let _namespace = Namespace::with_pair();
        let mut observer = Observer::open(attach, &["left", "right"]);
        let mut expected = Vec::new();
        for frame in [&jumbo, &longest, &too_long, &other] {
            send("left", frame);
            if frame == &other {
                continue;
            }
            for (interface, direction) in [("left", Direction::Out), ("right", Direction::In)] {
                let bytes = frame[..frame.len().min(FRAME_LIMIT)].to_vec();
                expected.push(Seen { bytes, ..seen(interface, direction, frame) });
            }
        }
        observer.expect(&expected);
        assert_eq!(observer.capture.counters().expect("counters").truncated, 2, "{attach:?}");
    }
}

#[test]
fn fragments_are_followed_on_each_interface_by_itself() {
    if !privilege::granted() {
        return;
    }
    let _namespace = Namespace::with_pair();
    let mut observer = Observer::open(Attach::Tc, &["left", "right"]);
    let message = udp(67, 68, &[7; 2000]);
    let first = V4 { identification: 77, more_fragments: true, ..V4::default() };
    let last = V4 { offset: 185, more_fragments: false, ..first };
    let (first, last) = (first.frame(&message[..1480]), last.frame(&message[1480..]));
    send("left", &first);
    send("left", &last);
    // The same identification the other way is another datagram's: its first fragment was not seen here.
    send("right", &last);
    let mut expected = Vec::new();
    for frame in [&first, &last] {
        expected.push(seen("left", Direction::Out, frame));
        expected.push(seen("right", Direction::In, frame));
    }
    observer.expect(&expected);
    assert_eq!(observer.capture.counters().expect("counters").taken_v4_fragment, 4);
}

#[test]
fn an_interface_without_a_link_layer_is_observed() {
    if !privilege::granted() {
        return;
    }
    for attach in EVERY_ROAD {
        let _namespace = Namespace::empty();
        let mut tunnel = tun();
        let mut observer = Observer::open(attach, &["tunnel"]);
        let v4 = V4::default().packet(&udp(68, 67, &[1; 240]));
        let v6 = v6(UDP, &udp(546, 547, &[1; 60]));
        for packet in [&v4, &v6] {
            tunnel.write_all(packet).expect("the tunnel takes a packet");
        }
        let raw =
            |packet: &[u8]| Seen { link_type: LinkType::RawIp, ..seen("tunnel", Direction::In, packet) };
        observer.expect(&[raw(&v4), raw(&v6)]);
    }
}

#[test]
fn what_a_killed_observer_left_is_removed_and_nothing_is_seen_twice() {
    if !privilege::granted() {
        return;
    }
    let _namespace = Namespace::with_pair();
    // A killed process runs no destructors.
    std::mem::forget(Observer::open(Attach::Clsact, &["left"]));
    let left_behind = || {
        let filters = tc("filter show dev left ingress") + &tc("filter show dev left egress");
        filters.matches("direct-action").count()
    };
    assert_eq!(left_behind(), 2);
    for attach in [Attach::Clsact, Attach::Tc] {
        let mut observer = Observer::open(attach, &["left"]);
        match observer.capture.changes().expect("changes").as_slice() {
            [Change::Attached { swept: 2, .. }] => {}
            other => panic!("{other:?}"),
        }
        let frame = frames::dhcpv4();
        send("left", &frame);
        observer.expect(&[seen("left", Direction::Out, &frame)]);
        if attach == Attach::Clsact {
            assert_eq!(left_behind(), 2);
            std::mem::forget(observer);
        }
    }
    assert_eq!(left_behind(), 0);
    assert!(!tc("qdisc show dev left").contains("clsact"), "a qdisc that we made stayed");
}

#[test]
fn what_is_someone_elses_stays() {
    if !privilege::granted() {
        return;
    }
    let _namespace = Namespace::with_pair();
    tc("qdisc add dev left clsact");
    tc("filter add dev left ingress prio 1 u32 match u32 0 0");
    // Their qdisc, and their filter of another kind in the first place.
    let mut observer = Observer::open(Attach::Clsact, &["left", "right"]);
    let changes = observer.changes();
    assert!(changes[0].contains("clsact at priority 2, behind another's filter"), "{changes:?}");
    assert!(changes[1].ends_with("right is observed (clsact)"), "{changes:?}");
    // Someone begins to use the qdisc that we made.
    tc("filter add dev right egress prio 9 u32 match u32 0 0");
    drop(observer);
    // And killed observers before that leave nothing but what is not theirs either.
    std::mem::forget(Observer::open(Attach::Clsact, &["left", "right"]));
    drop(Observer::open(Attach::Tc, &["left", "right"]));
    for (interface, direction) in [("left", "ingress"), ("right", "egress")] {
        assert!(tc(&format!("qdisc show dev {interface}")).contains("clsact"), "{interface}");
        let filters = tc(&format!("filter show dev {interface} {direction}"));
        assert!(filters.contains("u32") && !filters.contains("dhcp_observer"), "{filters}");
    }
}

#[test]
fn an_interface_that_comes_back_is_observed_again() {
    if !privilege::granted() {
        return;
    }
    let frame = frames::dhcpv4();
    for attach in EVERY_ROAD {
        let _namespace = Namespace::with_pair();
        let mut observer = Observer::open(attach, &["left"]);
        let attached = observer.changes();
        assert_eq!(attached.len(), 1, "{attached:?}");
        let gone = ["left went away, waiting for it"];

        ip("link delete left");
        assert_eq!(observer.next_changes(), gone, "{attach:?}");
        make_pair();
        assert_eq!(observer.next_changes(), attached, "{attach:?}");
        send("left", &frame);
        observer.expect(&[seen("left", Direction::Out, &frame)]);

        // Under another name it is not the one that was asked for.
        let rename = |from: &str, to: &str| {
            // Older kernels rename only what is down.
            ip(&format!("link set {from} down"));
            ip(&format!("link set {from} name {to}"));
            ip(&format!("link set {to} up"));
        };
        rename("left", "other");
        assert_eq!(observer.next_changes(), gone, "{attach:?}");
        send("other", &frame);
        rename("other", "left");
        assert_eq!(observer.next_changes(), attached, "{attach:?}");
        send("left", &frame);
        observer.expect(&[seen("left", Direction::Out, &frame)]);

        // Gone and back with the same index before anyone looked.
        let number = index("left");
        ip("link delete left");
        ip(&format!("link add name left index {number} type veth peer name right"));
        ip("link set left up");
        ip("link set right up");
        assert_eq!(observer.next_changes(), [gone[0], &attached[0]], "{attach:?}");
        send("left", &frame);
        observer.expect(&[seen("left", Direction::Out, &frame)]);
        assert_eq!(observer.changes(), [""; 0], "{attach:?}");
    }
}

#[test]
fn an_interface_that_is_not_there_is_an_error_or_waited_for() {
    if !privilege::granted() {
        return;
    }
    let _namespace = Namespace::empty();
    match Capture::open(&on(&["left"])).err() {
        Some(error @ CaptureError::NoSuchInterface { .. }) => {
            assert_eq!(error.to_string(), "no interface left: `ip link` lists those that exist");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(Capture::open(&on(&[])).err(), Some(CaptureError::NoInterface)));

    let mut observer = Observer::with(&Options { wait: true, ..on(&["left"]) });
    assert_eq!(observer.changes(), [""; 0]);
    make_pair();
    let road = if has_tcx() { "TCX" } else { "clsact" };
    assert_eq!(observer.next_changes(), [format!("left is observed ({road})")]);
}

#[test]
fn a_second_xdp_program_is_refused_with_what_to_do() {
    if !privilege::granted() {
        return;
    }
    let _namespace = Namespace::with_pair();
    let _first = Observer::open(Attach::Xdp, &["left"]);
    let error =
        Capture::open(&Options { attach: Attach::Xdp, ..on(&["left"]) }).err().map(|error| error.to_string());
    assert_eq!(
        error.as_deref(),
        Some("left already has an XDP program of someone else: attach by TC instead")
    );
    // What was attached before the refusal is gone again: only the first observer's program is on egress.
    assert_eq!(tcx_programs(TcAttachType::Egress), usize::from(has_tcx()));
}

#[test]
fn promiscuous_mode_lasts_as_long_as_the_capture() {
    if !privilege::granted() {
        return;
    }
    let _namespace = Namespace::with_pair();
    let promiscuity = || ip("-details link show left").contains("promiscuity 1");
    drop(Observer::open(Attach::Tc, &["left"]));
    assert!(!promiscuity(), "not asked for");
    let observer = Observer::with(&Options { promiscuous: true, ..on(&["left"]) });
    assert!(promiscuity());
    drop(observer);
    assert!(!promiscuity());
}

/// Keeps the lines that the programs log. There is one logger per process, so it is told apart by what it keeps.
struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("dhcp_observer_ebpf") {
            self.0.lock().expect("no test panics here").push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

#[test]
fn the_programs_log_as_much_as_they_are_asked_to() {
    if !privilege::granted() {
        return;
    }
    log::set_logger(&LINES).expect("this is the only test with a logger");
    log::set_max_level(LevelFilter::Trace);
    for (ebpf_log, lines) in [(LevelFilter::Off, 0), (LevelFilter::Info, 0), (LevelFilter::Debug, 1)] {
        let _namespace = Namespace::with_pair();
        let mut observer = Observer::with(&Options { ebpf_log, ..on(&["left"]) });
        let frame = frames::dhcpv4();
        send("left", &frame);
        observer.expect(&[seen("left", Direction::Out, &frame)]);
        // Lines are shown while frames are waited for.
        let Observer { capture, runtime, .. } = &mut observer;
        assert_eq!(capture.drain(1, |_| {}), 0);
        let wait = async {
            while let Ok(Readiness::Links) = capture.ready().await {
                drop(capture.changes())
            }
        };
        let waited = runtime.block_on(async { timeout(Duration::from_millis(200), wait).await });
        assert!(waited.is_err(), "no further frame was sent");
        let expected = format!("interface {}: took a frame of {} octets", index("left"), frame.len());
        assert_eq!(std::mem::take(&mut *LINES.0.lock().expect("no test panics here")), vec![expected; lines]);
    }
}

#[test]
fn what_a_budget_leaves_is_ready_at_once_and_what_is_lost_is_counted() {
    if !privilege::granted() {
        return;
    }
    const FRAMES: usize = 100;
    let _namespace = Namespace::with_pair();
    let mut observer = Observer::with(&Options { ring_bytes: 1, ..on(&["left"]) });
    assert_eq!(observer.ready(), Readiness::Frames, "nobody has looked into the ring yet");
    assert_eq!(observer.capture.drain(10, |_| {}), 0);
    let frame = frames::dhcpv4();
    for _ in 0..FRAMES {
        send("left", &frame);
    }
    let mut drained = 0;
    loop {
        assert_eq!(observer.ready(), Readiness::Frames);
        match observer.capture.drain(3, |taken| assert_eq!(taken.bytes, frame)) {
            3 => drained += 3,
            rest => {
                drained += rest;
                break;
            }
        }
    }
    let counters = observer.capture.counters().expect("counters");
    assert_eq!(counters.taken(), drained as u64);
    assert!(counters.lost > 0, "a ring of one page held {FRAMES} frames");
    assert_eq!(counters.taken() + counters.lost, FRAMES as u64);
    // Having lost something is no reason to stop.
    send("left", &frame);
    observer.expect(&[seen("left", Direction::Out, &frame)]);
}

#[test]
fn a_wait_that_was_given_up_loses_nothing() {
    if !privilege::granted() {
        return;
    }
    let _namespace = Namespace::with_pair();
    let mut observer = Observer::open(Attach::Tc, &["left"]);
    let frame = frames::dhcpv4();
    observer.capture.drain(1, |_| {});
    for _ in 0..20 {
        let Observer { capture, runtime, .. } = &mut observer;
        let ready = runtime.block_on(async {
            tokio::select! {
                biased;
                ready = capture.ready() => Some(ready.expect("readiness")),
                () = tokio::task::yield_now() => None,
            }
        });
        // The kernel may still be telling that the pair has a carrier.
        assert_ne!(ready, Some(Readiness::Frames));
        send("left", &frame);
        observer.expect(&[seen("left", Direction::Out, &frame)]);
        assert_eq!(observer.capture.drain(1, |_| {}), 0);
    }
}
