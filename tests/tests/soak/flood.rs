//! More than anybody can want: the memory is bounded, each frame is accounted for, nothing is made up, and a client in the
//! middle of it is told of.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use observer_tests::client::datagram::Datagram;
use observer_tests::client::datagram::frame;
use observer_tests::client::message4::{Kind, Message4, option};
use observer_tests::clients::RunningClient;
use observer_tests::clients::udhcpc::Udhcpc;
use observer_tests::hook::DumpHook;
use observer_tests::inject::PacketSocket;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::{Cable, End, Link, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::{Ended, Observer, Totals};
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::soak::{Dice, mebibytes, number, report};
use observer_tests::wait;

use crate::party::{Party, SERVER};

/// How long a hook may take to be started on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Frames that are handed to the kernel at once.
const BATCH: u64 = 256;
/// The ring that the short form fits into.
const RING: u64 = 64 << 20;
/// What the observer may need beside the ring, which is mapped twice, and the questions that wait.
const BASE: u64 = 64 << 20;
/// Questions that wait for an answer, the default of `[limits] exchanges`, and what one of them needs in memory.
const EXCHANGES: u64 = 65_536;
const EXCHANGE: u64 = 2 << 10;

/// A quiet segment with a real server and a real client, and one that is flooded, observed by one observer.
struct Stage {
    quiet: Cable,
    loud: Cable,
    scratch: Scratch,
}

impl Stage {
    fn new() -> Self {
        let (near, far, other) =
            (Namespace::new().unwrap(), Namespace::new().unwrap(), Namespace::new().unwrap());
        let server = End { addresses: vec!["192.0.2.1/24"], link_local: false, ..End::recorded_server() };
        let (server, client) = veth(&near, &server, &far, &End::recorded_client()).unwrap();
        let quiet = Cable { server, client };
        let end = |name, last| End { name, mac: [2, 0, 0, 0, 1, last], ..End::recorded_client() };
        let (server, client) = veth(&near, &end("s1", 1), &other, &end("c1", 2)).unwrap();
        Self { quiet, loud: Cable { server, client }, scratch: Scratch::new().unwrap() }
    }

    fn observe(&self, script: &Path, more: &[&str]) -> Observer {
        let directory = self.scratch.directory("observer").unwrap();
        let more = [&["--iface", "s1"], more].concat();
        Observer::start(&self.quiet.server.namespace, &directory, "s0", script, &more).unwrap()
    }
}

/// One of the kernel's numbers about an interface.
fn statistic(link: &Link, name: &str) -> u64 {
    let output = link.namespace.command("ip").args(["-s", "-j", "link", "show", link.name]).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let (way, name) = name.split_once('.').unwrap();
    told.pointer(&format!("/0/stats64/{way}/{name}")).and_then(serde_json::Value::as_u64).unwrap()
}

/// Frames made by changing a few octets of one.
struct Stamp {
    frame: Vec<u8>,
    dice: Dice,
}

/// Where a DHCPv4 message begins in a frame without tags and IP options.
const MESSAGE: usize = 14 + 20 + 8;
const XID: usize = MESSAGE + 4;
const CHADDR: usize = MESSAGE + 28;

impl Stamp {
    fn new(message: &Message4, from: ([u8; 6], Ipv4Addr, u16), to: Ipv4Addr, seed: u64) -> Self {
        let port = if from.2 == 68 { 67 } else { 68 };
        let mut frame = frame(message, from, ([0xff; 6], to, port));
        // A UDP checksum of 0 is none (RFC 768).
        frame[MESSAGE - 2..MESSAGE].fill(0);
        Self { frame, dice: Dice::new(seed) }
    }

    /// The next frame: another client, another transaction.
    fn next(&mut self) -> Vec<u8> {
        let (who, xid) = (self.dice.roll().to_be_bytes(), self.dice.roll().to_be_bytes());
        self.frame[XID..XID + 4].copy_from_slice(&xid[..4]);
        self.frame[CHADDR..CHADDR + 6].copy_from_slice(&who[..6]);
        // A multicast address is nobody's.
        self.frame[CHADDR] &= 0xfe;
        self.frame.clone()
    }
}

/// A DISCOVER of somebody who is nobody.
fn starvation(seed: u64) -> Stamp {
    let message = Message4::query(Kind::Discover, 0, [0; 6]);
    Stamp::new(&message, ([2, 9, 9, 9, 9, 9], Ipv4Addr::UNSPECIFIED, 68), Ipv4Addr::BROADCAST, seed)
}

/// An OFFER or ACK from the clients' side, in the name of some server.
fn forgery(kind: Kind, seed: u64) -> Stamp {
    let mut message = Message4::query(kind, 0, [0; 6]);
    message.op = 2;
    message.yiaddr = Ipv4Addr::new(10, 66, 0, 1);
    let server = Ipv4Addr::from_bits(0x0a42_0000 + (seed as u32 & 0xffff));
    let message =
        message.with(option::LEASE_TIME, 3_600_u32.to_be_bytes()).with(option::SERVER_ID, server.octets());
    Stamp::new(&message, ([2, 8, 8, 8, 8, 8], server, 67), Ipv4Addr::BROADCAST, seed)
}

/// Sends so many frames as fast as the kernel takes them. Of ten frames eight ask and two are forged; says how many were.
fn flood(link: &Link, frames: u64) -> u64 {
    let socket = PacketSocket::open_to_send(link).unwrap();
    let mut discover = starvation(0x5eed);
    let (mut sent, mut forged) = (0, 0);
    while sent < frames {
        let count = BATCH.min(frames - sent);
        let mut batch = Vec::new();
        // Another server's name for each batch.
        let mut forgeries = [forgery(Kind::Ack, 2 * sent + 1), forgery(Kind::Offer, 2 * sent + 3)];
        for place in sent..sent + count {
            batch.push(match place % 10 {
                kind @ 8..=9 => {
                    forged += 1;
                    forgeries[kind as usize - 8].next()
                }
                _ => discover.next(),
            });
        }
        socket.send_all(&batch).unwrap();
        sent += count;
    }
    forged
}

/// Scripted clients and their server on the flooded segment: each takes a lease. Says how many did.
fn take_leases(cable: &Cable, first: u32, done: impl Fn(u32) -> bool) -> u32 {
    let (peer, own) = (
        PacketSocket::open_to_send(&cable.client).unwrap(),
        PacketSocket::open_to_send(&cable.server).unwrap(),
    );
    let mut count = 0;
    while !done(count) {
        let party = Party::new(first + count, &cable.server);
        let xid = 0x7000_0000 + party.number;
        for kind in [Kind::Discover, Kind::Request] {
            peer.send(&party.by_client(&party.ask(kind, xid))).unwrap();
            let answer = if kind == Kind::Discover { Kind::Offer } else { Kind::Ack };
            // So long that the question has arrived.
            wait::pace(wait::now() + Duration::from_millis(10));
            own.send(&party.by_server(&party.answer(answer, xid, 7_200))).unwrap();
        }
        count += 1;
    }
    count
}

fn addresses(hook: &DumpHook) -> Vec<Ipv4Addr> {
    let calls = hook.calls().unwrap();
    let committed = calls.iter().filter(|call| call.hook() == "leases4_committed");
    committed.map(|call| call.get("LEASES4_AT0_ADDRESS").unwrap().parse().unwrap()).collect()
}

/// How many DHCPv4 frames this socket has seen.
fn dhcp_frames(witness: &PacketSocket) -> u64 {
    let is_dhcp = |frame: &[u8]| {
        let datagram = Datagram::decode(frame)?;
        [67, 68].contains(&datagram.from.port()).then_some(())
    };
    std::iter::from_fn(|| witness.receive(Duration::ZERO, is_dhcp).unwrap()).count() as u64
}

/// Frames that were handed to the observed interfaces are frames handled plus frames lost.
#[track_caller]
fn account(ended: &Ended, arrived: u64) -> (u64, u64) {
    let totals = Totals::parse(&ended.stderr).unwrap();
    totals.check().unwrap();
    let (taken, lost) = (ended.count("kernel", "taken"), ended.count("kernel", "lost"));
    assert_eq!(taken + lost, arrived, "sent = handled + lost: {}", ended.stderr);
    assert_eq!((totals.frames, totals.handled), (taken, taken), "{}", ended.stderr);
    (taken, lost)
}

#[test]
fn starvation_and_forgery() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("udhcpc"));
    let frames = number("SOAK_FRAMES", 50_000);
    let stage = Stage::new();
    let hook = DumpHook::install(stage.scratch.path()).unwrap();
    let observer = stage.observe(hook.script(), &["--ring-size", &RING.to_string()]);
    let server = &stage.quiet.server;
    let config = Config::plain(Family::V4).unwrap().without_script();
    let directory = stage.scratch.directory("kea").unwrap();
    let _kea = Kea::start(&server.namespace, &directory, config, Path::new("/bin/true")).unwrap();

    // As one reads them: what was on the wires before is nobody's.
    let before = [statistic(&stage.loud.server, "rx.packets"), statistic(&stage.loud.client, "tx.dropped")];
    let witness = PacketSocket::open(&stage.quiet.client).unwrap();
    let over = AtomicBool::new(false);
    let directory = stage.scratch.directory("client").unwrap();
    let begun = wait::now();
    let (forged, during, took) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let forged = flood(&stage.loud.client, frames);
            over.store(true, Ordering::Relaxed);
            (forged, begun.elapsed())
        });
        let clients =
            scope.spawn(|| take_leases(&stage.loud, 1, |count| count > 0 && over.load(Ordering::Relaxed)));
        let mut client = Udhcpc::start(&stage.quiet.client.namespace, &directory, "real").unwrap();
        client.settle().unwrap();
        client.renew().unwrap();
        client.settle().unwrap();
        client.vanish().unwrap();
        let (forged, took) = flood.join().unwrap();
        (forged, clients.join().unwrap(), took)
    });
    let after = take_leases(&stage.loud, 100_000, |count| count == 10);
    let told = wait::until("the leases of afterwards", SOON, || {
        let told = addresses(&hook);
        let late = |address: &&Ipv4Addr| address.octets()[0] == 10 && address.octets()[1] > 0;
        let late = told.iter().filter(late).count();
        Ok((late == after as usize).then_some(told))
    });
    told.unwrap();
    let peak = observer.peak_memory().unwrap();
    let limit = 2 * RING + EXCHANGES * EXCHANGE + BASE;
    let ended = observer.stop().unwrap();
    let told = addresses(&hook);

    let own = u64::from(4 * (during + after));
    let now = [statistic(&stage.loud.server, "rx.packets"), statistic(&stage.loud.client, "tx.dropped")];
    let (arrived, dropped) = (now[0] - before[0], now[1] - before[1]);
    assert_eq!(arrived + dropped, frames + own / 2, "the cable itself keeps nothing");
    let (handled, lost) = account(&ended, arrived + own / 2 + dhcp_frames(&witness));
    assert!(peak <= limit, "{} of at most {}", mebibytes(peak), mebibytes(limit));
    // Nothing is made up.
    let foreign = ended.count("tracker", "foreign_answers");
    assert!(foreign <= forged, "{foreign} of {forged}: {}", ended.stderr);
    let expected =
        |address: &Ipv4Addr| address.octets()[0] == 10 || address.octets()[..3] == SERVER.octets()[..3];
    assert!(told.iter().all(expected), "{told:?}");
    assert!(told.iter().all(|address| address.octets()[..2] != [10, 66]), "a forged lease was told");
    let of_real = told.iter().filter(|address| address.octets()[0] == 192).count();
    let of_scripted = told.len() - of_real;
    if lost == 0 {
        assert_eq!((foreign, of_scripted), (forged, (during + after) as usize), "{}", ended.stderr);
        assert!(of_real >= 2, "the real client's lease and renewal: {told:?}");
    }
    assert_eq!(
        ended.count("tracker", "leases4") as usize,
        of_scripted + usize::from(of_real > 0),
        "{}",
        ended.stderr
    );
    let told_of = format!("{of_scripted} of {} leases told in the flood and after it", during + after);
    report(
        "flood",
        &format!(
            "{frames} frames in {:.1} s ({:.0}/s), {forged} of them forged; {handled} handled + {lost} lost = all that \
             arrived ({dropped} dropped by the cable); {foreign} counted as foreign; {told_of}; real client told {of_real} \
             times; peak memory {} of at most {}",
            took.as_secs_f64(),
            frames as f64 / took.as_secs_f64(),
            mebibytes(peak),
            mebibytes(limit)
        ),
    );
}

/// A server that gives more leases than there is room for: each is told of, those beyond the limit are not remembered, and
/// counted.
#[test]
fn more_leases_than_there_is_room_for() {
    require!(Need::Root);
    const ROOM: u64 = 1_000;
    let frames = number("SOAK_FRAMES", 50_000) / 2;
    let stage = Stage::new();
    let script = stage.scratch.path().join("never");
    let file = stage.scratch.path().join("observer.toml");
    let told = stage.scratch.path().join("told");
    std::fs::write(&script, format!("#!/bin/sh\nprintf '%s\\n' \"$1\" >>{}\n", told.display())).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let text = format!(
        "[[interface]]\nname = \"s1\"\n[limits]\nleases = {ROOM}\nring_size = {RING}\n[[hook]]\nname = \"one\"\n\
         command = {script:?}\nfilter = {{ subnet = \"10.0.0.0/24\" }}\n"
    );
    std::fs::write(&file, text).unwrap();
    let server = &stage.loud.server;
    let directory = stage.scratch.directory("observer").unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let observer = Observer::start_with(&server.namespace, &directory, "s1", &arguments).unwrap();
    let socket = PacketSocket::open_to_send(server).unwrap();
    let mut sent: u32 = 0;
    while u64::from(sent) < frames {
        let count = (BATCH as u32).min(frames as u32 - sent);
        let ack = |number| {
            let party = Party::new(number, server);
            party.by_server(&party.answer(Kind::Ack, number, 7_200))
        };
        socket.send_all(&(sent..sent + count).map(|number| ack(number + 1)).collect::<Vec<_>>()).unwrap();
        sent += count;
    }
    // The last ones wait in the ring; SIGTERM has them handled.
    let peak = observer.peak_memory().unwrap();
    let ended = observer.stop().unwrap();
    let (_, lost) = account(&ended, frames);
    let (events, over) = (ended.count("tracker", "events"), ended.count("tracker", "leases_over_limit"));
    assert_eq!(ended.count("tracker", "leases4"), ROOM, "{}", ended.stderr);
    assert_eq!((events, over), (frames - lost, frames - lost - ROOM), "{}", ended.stderr);
    assert!(ended.stderr.contains("leases not remembered"), "{}", ended.stderr);
    let limit = 2 * RING + BASE;
    assert!(peak <= limit, "{} of at most {}", mebibytes(peak), mebibytes(limit));
    let lines = std::fs::read_to_string(&told).unwrap_or_default().lines().count() as u64;
    assert!((255 - lost.min(255)..=255).contains(&lines), "{lines} of the first 255 leases were told");
    report(
        "flood of leases",
        &format!(
            "{frames} given, {lost} lost, room for {ROOM}: {over} told and not remembered; peak memory {}",
            mebibytes(peak)
        ),
    );
}

/// An observer that gets no time: what the ring has no room for is lost, and counted to the frame.
#[test]
fn a_flood_past_an_observer_that_stands_still() {
    require!(Need::Root);
    let frames = number("SOAK_FRAMES", 50_000) / 2;
    let stage = Stage::new();
    let hook = DumpHook::install(stage.scratch.path()).unwrap();
    const SMALL: u64 = 1 << 20;
    let mut observer = stage.observe(hook.script(), &["--ring-size", &SMALL.to_string()]);
    let before = [statistic(&stage.loud.server, "rx.packets"), statistic(&stage.loud.client, "tx.dropped")];
    observer.signal(Signal::SIGSTOP).unwrap();
    flood(&stage.loud.client, frames);
    observer.signal(Signal::SIGCONT).unwrap();
    observer.wait_for_log("DHCP frames lost", 1).unwrap();
    assert_eq!(take_leases(&stage.loud, 1, |count| count == 1), 1);
    hook.wait_for(1, SOON).unwrap();
    let ended = observer.stop().unwrap();
    let now = [statistic(&stage.loud.server, "rx.packets"), statistic(&stage.loud.client, "tx.dropped")];
    let (arrived, dropped) = (now[0] - before[0], now[1] - before[1]);
    assert_eq!(arrived + dropped, frames + 2);
    let (handled, lost) = account(&ended, arrived + 2);
    // The frames alone fill the ring, each with the head of its record.
    assert!(lost >= frames.saturating_sub(SMALL / 286), "{handled} of {frames} fitted");
    assert_eq!(addresses(&hook), [Ipv4Addr::new(10, 0, 0, 1)]);
    report(
        "flood of a stopped observer",
        &format!("{frames} frames: {handled} handled + {lost} lost = all that arrived"),
    );
}
