//! The store in its default mode: how many events a second it takes, how long one waits, how fast a million leases load.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use dhcp_observer::clock::Clock;
use dhcp_observer::config::{KeaVersion, ServerConfig};
use dhcp_observer::dialect::invocation::{Invocation, Strings};
use dhcp_observer::dialect::kea;
use dhcp_observer::drive::Driver;
use dhcp_observer::frame::{Direction, Frame, Interface, LinkType};
use dhcp_observer::hook::Tried;
use dhcp_observer::store::{
    Archive, CallId, Change, Durability, EventRecord, Limits as StoreLimits, Options, Outcome, Report, Store,
    StoredCall, Then, Ticket,
};
use dhcp_observer::time::{Lifetime, Timestamp};
use dhcp_observer::tracker::{Answers, Lease4, LeaseChange, LeaseEvent, LeaseState, Limits, Subject};

use crate::traffic::{Family, Traffic};

const CLIENTS: u32 = 50_000;
const LEASES: u32 = 1_000_000;
const SINGLE: usize = 2_000;
/// How many events come at a steady rate, and how many in a second.
const STEADY: usize = 20_000;
const STEADY_RATE: f64 = 2_000.0;

/// A directory that is gone at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("observer-bench-{}-{name}", std::process::id())))
    }

    /// What its files take, in octets.
    fn size(&self) -> u64 {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(directory: &Path, durability: Durability, clock: Clock) -> Result<Archive> {
    let limits = StoreLimits::default();
    Ok(Archive::open(Options { directory: directory.to_path_buf(), durability, limits }, clock.now())?)
}

/// Prints the figures.
pub fn measure() -> Result<()> {
    let clock = Clock::new();
    steady(clock)?;
    throughput(clock)?;
    for durability in [Durability::Process, Durability::Power] {
        latency(clock, durability)?;
    }
    load(clock)
}

/// What one frame changed, as the daemon will have it.
fn change(driver: &mut Driver, events: &mut Vec<LeaseEvent>, next: &mut u64, hook: &Arc<str>) -> Change {
    let mut change = Change { latest: Some(driver.now()), ..Change::default() };
    change.leases.extend(std::iter::from_fn(|| driver.poll_change()));
    for event in events.drain(..) {
        let id = *next;
        *next += 1;
        let (hook_point, subjects) =
            (kea::hook_point(&event.occurrence).unwrap_or_default(), event.subjects());
        change.events.push(EventRecord {
            id,
            at: event.at,
            event: event.event.name(),
            hook_point,
            subjects: subjects.clone(),
        });
        let Some(invocation) = kea::invocation(&event, KeaVersion::default()) else { continue };
        change.calls.push(StoredCall {
            id: CallId { event: id, position: 0 },
            hook: Arc::clone(hook),
            at: event.at,
            word: hook_point.into(),
            changes: true,
            subjects,
            invocation: Arc::new(invocation),
            tried: Tried::default(),
        });
    }
    change
}

/// Frames of many clients through the tracker and the dialect into the store, each call marked as over once it is stored.
fn throughput(clock: Clock) -> Result<()> {
    let directory = Directory::new("throughput");
    let mut store = open(&directory.0, Durability::Process, clock)?.start(clock)?;
    let mut driver = Driver::new(Arc::new(ServerConfig::default()), Answers::Both, Limits::default());
    driver.record_changes(true);
    let interface = Arc::new(Interface { index: Some(2), name: "eth0".to_owned() });
    let hook: Arc<str> = "bench".into();
    let frames: Vec<_> = Traffic::arriving(0..CLIENTS, Family::V4).collect();
    let (mut events, mut next) = (Vec::new(), 1);
    let mut unstored: VecDeque<(Ticket, Vec<CallId>)> = VecDeque::new();
    let start = clock.now();
    for (at, frame) in &frames {
        let frame = Frame {
            at: Timestamp::from_nanos(i64::try_from(*at)?),
            interface: &interface,
            direction: Direction::Unknown,
            link_type: LinkType::Ethernet,
            metadata_tag: None,
            bytes: frame,
            wire_length: frame.len(),
        };
        driver.handle_frame(&frame, |event| events.push(event));
        let change = change(&mut driver, &mut events, &mut next, &hook);
        if change.is_empty() {
            continue;
        }
        while !store.has_room() {
            end_stored(&mut store, &mut unstored, clock)?;
            std::thread::yield_now();
        }
        let calls = change.calls.iter().map(|call| call.id).collect();
        let Ok(ticket) = store.append(change) else { anyhow::bail!("a change was refused") };
        unstored.push_back((ticket, calls));
        end_stored(&mut store, &mut unstored, clock)?;
    }
    while !unstored.is_empty() {
        end_stored(&mut store, &mut unstored, clock)?;
        std::thread::yield_now();
    }
    let took = clock.now().since(start);
    let counters = store.counters();
    store.close();
    println!(
        "  {} events of {CLIENTS} clients, from frame to stored and ended: {:.0} events/s (aim: 20,000); {} transactions \
         of {:.1} s in all, the longest {:.1} ms; {} MB on disk",
        next - 1,
        (next - 1) as f64 / took.as_secs_f64(),
        counters.commits.count(),
        counters.commits.sum(),
        counters.longest_commit.as_secs_f64() * 1e3,
        directory.size() / 1_000_000,
    );
    Ok(())
}

/// Marks the calls that are stored as over.
fn end_stored(store: &mut Store, unstored: &mut VecDeque<(Ticket, Vec<CallId>)>, clock: Clock) -> Result<()> {
    let Some(report) = store.try_report() else { return Ok(()) };
    let Report::Stored { up_to, durable } = report else { anyhow::bail!("{report:?}") };
    ensure!(durable, "the database cannot be written");
    while unstored.front().is_some_and(|(ticket, _)| *ticket <= up_to) {
        for call in unstored.pop_front().into_iter().flat_map(|(_, calls)| calls) {
            let result = "exit 0".to_owned();
            store.ended(call, Outcome { attempt: 1, at: clock.now(), result, then: Then::Done });
        }
    }
    Ok(())
}

/// How long one change takes until it is stored, when there is nothing else to do.
fn latency(clock: Clock, durability: Durability) -> Result<()> {
    let directory = Directory::new("latency");
    let mut store = open(&directory.0, durability, clock)?.start(clock)?;
    let mut took = Vec::with_capacity(SINGLE);
    for number in 0..SINGLE {
        let lease = lease(u32::try_from(number)?);
        let change = Change { leases: vec![LeaseChange::Put4(lease)], ..Change::default() };
        std::thread::sleep(Duration::from_millis(1));
        let start = clock.now();
        ensure!(store.append(change).is_ok(), "a change was refused");
        while store.try_report().is_none() {
            std::thread::yield_now();
        }
        took.push(clock.now().since(start));
    }
    store.close();
    took.sort_unstable();
    let at =
        |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default().as_secs_f64() * 1e6;
    println!(
        "  one change alone, durability {durability:?}: p50 {:.0} us, p99 {:.0} us until it is stored{}",
        at(50),
        at(99),
        if durability == Durability::Process { " (aim: well under 1,000)" } else { "" },
    );
    Ok(())
}

/// How long an event with its lease and its call takes until it is stored while they come at a steady rate and calls end: now
/// and then the log is written back into the database, by the thread that commits.
fn steady(clock: Clock) -> Result<()> {
    let directory = Directory::new("steady");
    let mut store = open(&directory.0, Durability::Process, clock)?.start(clock)?;
    let invocation = sample();
    let mut took = Vec::with_capacity(STEADY);
    let mut waiting: VecDeque<(Ticket, Timestamp, CallId)> = VecDeque::new();
    let start = clock.now();
    let mut sent = 0;
    while took.len() < STEADY {
        let now = clock.now();
        let due = now.since(start).as_secs_f64() * STEADY_RATE;
        if sent < STEADY && (sent as f64) < due {
            sent += 1;
            let lease = lease(u32::try_from(sent)? % CLIENTS);
            let id = CallId { event: u64::try_from(sent)?, position: 0 };
            let subjects = vec![Subject::Lease4(lease.address)];
            let change = Change {
                leases: vec![LeaseChange::Put4(lease)],
                events: vec![EventRecord {
                    id: id.event,
                    at: now,
                    event: "renew",
                    hook_point: "leases4_committed",
                    subjects: subjects.clone(),
                }],
                calls: vec![StoredCall {
                    id,
                    hook: "bench".into(),
                    at: now,
                    word: "leases4_committed".into(),
                    changes: true,
                    subjects,
                    invocation: Arc::clone(&invocation),
                    tried: Tried::default(),
                }],
                ..Change::default()
            };
            let Ok(ticket) = store.append(change) else { anyhow::bail!("a change was refused") };
            waiting.push_back((ticket, now, id));
        }
        let Some(report) = store.try_report() else {
            std::thread::yield_now();
            continue;
        };
        let Report::Stored { up_to, durable } = report else { anyhow::bail!("{report:?}") };
        ensure!(durable, "the database cannot be written");
        let now = clock.now();
        while waiting.front().is_some_and(|(ticket, ..)| *ticket <= up_to)
            && let Some((_, since, call)) = waiting.pop_front()
        {
            took.push(now.since(since));
            let result = "exit 0".to_owned();
            store.ended(call, Outcome { attempt: 1, at: now, result, then: Then::Done });
        }
    }
    let longest = store.counters().longest_commit;
    store.close();
    took.sort_unstable();
    let at = |share: f64| {
        let place = (took.len() as f64 * share / 100.0) as usize;
        took.get(place).or(took.last()).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    println!(
        "  {STEADY_RATE} events a second: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, at most {:.2} ms until one is stored; \
         the longest transaction {:.2} ms",
        at(50.0),
        at(99.0),
        at(99.9),
        at(100.0),
        longest.as_secs_f64() * 1e3,
    );
    Ok(())
}

/// A call as large as Kea's are.
fn sample() -> Arc<Invocation> {
    let (mut arguments, mut environment) = (Strings::default(), Strings::default());
    arguments.push(b"leases4_committed");
    for number in 0..60 {
        environment.push(format!("LEASES4_AT0_VARIABLE{number}=192.0.2.{number}").as_bytes());
    }
    Arc::new(Invocation { at: Timestamp::EPOCH, arguments, environment })
}

fn lease(number: u32) -> Lease4 {
    let address = 0x0a00_0000 + number;
    let [a, b, c, d] = address.to_be_bytes();
    Lease4 {
        address: address.into(),
        hwaddr: dhcp_observer::identity::HardwareAddress::ethernet([2, 0, a, b, c, d]),
        client_id: Some(dhcp_observer::identity::ClientId::new(&[1, 2, 0, a, b, c, d])),
        hostname: format!("host-{number}.example.org").into_bytes().into(),
        cltt: Timestamp::from_seconds(1_750_000_000),
        valid_lifetime: Lifetime::Seconds(86_400),
        state: LeaseState::Default,
        subnet_id: Some(1),
        place: Arc::default(),
        relay: None,
    }
}

/// A million leases: how long it takes to store them, and to have them again at the next start.
fn load(clock: Clock) -> Result<()> {
    let directory = Directory::new("load");
    let mut store = open(&directory.0, Durability::Process, clock)?.start(clock)?;
    let start = clock.now();
    for first in (0..LEASES).step_by(1_000) {
        let leases = (first..first + 1_000).map(|number| LeaseChange::Put4(lease(number))).collect();
        ensure!(store.append(Change { leases, ..Change::default() }).is_ok(), "a change was refused");
    }
    store.close();
    let stored = clock.now().since(start);
    let start = clock.now();
    let mut archive = open(&directory.0, Durability::Process, clock)?;
    let opened = clock.now().since(start);
    let mut driver = Driver::new(Arc::new(ServerConfig::default()), Answers::Both, Limits::default());
    archive.leases4(|leases| driver.seed(leases, []));
    let loaded = clock.now().since(start);
    ensure!(driver.counters().leases4 == u64::from(LEASES), "{:?}", driver.counters());
    println!(
        "  {LEASES} leases: {:.2} s to store, {:.2} s to open and check, {:.2} s until the tracker has them; {} MB on disk",
        stored.as_secs_f64(),
        opened.as_secs_f64(),
        loaded.as_secs_f64(),
        directory.size() / 1_000_000,
    );
    Ok(())
}
