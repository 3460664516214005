//! Messages a second on one core, from the file to the environment of the hook, and how much of that each stage takes.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dhcp_observer::capture::pcap::Reader;
use dhcp_observer::config::{KeaVersion, ServerConfig};
use dhcp_observer::dialect::kea;
use dhcp_observer::dissect::{Dissector, FragmentLimits};
use dhcp_observer::drive::Driver;
use dhcp_observer::frame::Frame;
use dhcp_observer::tracker::{Answers, Limits};
use dhcp_observer::{dhcpv4, dhcpv6};
use observer_tests::need::find_program;
use observer_tests::scratch::Scratch;
use observer_tests::wait;

use crate::traffic::{Traffic, write_pcap};

const CLIENTS: u32 = 100_000;
/// Each stage is measured so often, in turn with the others; the best round is the one that was disturbed least.
const ROUNDS: usize = 5;
/// tshark gets the beginning of the traffic only: it is that much slower.
const CLIENTS_FOR_TSHARK: u32 = 10_000;

/// What a pass did.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    messages: u64,
    events: u64,
    octets: u64,
}

type Stage = (&'static str, fn(&Path) -> Result<Pass>);

/// From the first stage alone to all of them.
const STAGES: [Stage; 5] = [
    ("read", read),
    ("+ dissect", dissect),
    ("+ parse", parse),
    ("+ track", track),
    ("+ environment", environment),
];

fn each_frame(path: &Path, mut handle: impl FnMut(&Frame<'_>)) -> Result<Pass> {
    let mut reader = Reader::open(path)?;
    let mut pass = Pass::default();
    while let Some(record) = reader.next_record()? {
        pass.messages += 1;
        if let Ok(frame) = record.frame(None) {
            handle(&frame);
        }
    }
    Ok(pass)
}

fn read(path: &Path) -> Result<Pass> {
    each_frame(path, |frame| {
        black_box(frame);
    })
}

fn dissect(path: &Path) -> Result<Pass> {
    let mut dissector = Dissector::new(FragmentLimits::default());
    each_frame(path, |frame| {
        black_box(dissector.dissect(frame).is_ok());
    })
}

fn parse(path: &Path) -> Result<Pass> {
    let mut dissector = Dissector::new(FragmentLimits::default());
    each_frame(path, |frame| {
        let Ok(datagram) = dissector.dissect(frame) else { return };
        if datagram.source.is_ipv4() {
            black_box(dhcpv4::parse(&datagram.payload));
        } else {
            black_box(dhcpv6::parse(&datagram.payload));
        }
    })
}

fn driver() -> Driver {
    Driver::new(Arc::new(ServerConfig::default()), Answers::Both, Limits::default())
}

fn track(path: &Path) -> Result<Pass> {
    let mut driver = driver();
    let pass = each_frame(path, |frame| {
        driver.handle_frame(frame, |event| {
            black_box(event);
        });
    })?;
    Ok(Pass { events: driver.counters().events, ..pass })
}

fn environment(path: &Path) -> Result<Pass> {
    let (mut driver, mut octets) = (driver(), 0);
    let pass = each_frame(path, |frame| {
        driver.handle_frame(frame, |event| {
            let invocation = black_box(kea::invocation(&event, KeaVersion::default()));
            octets += invocation.map_or(0, |invocation| invocation.environment.footprint() as u64);
        });
    })?;
    ensure!(driver.totals().handled == pass.messages, "not every frame was handled: {:?}", driver.totals());
    let counters = driver.counters();
    ensure!(counters.malformed + counters.inferred_answers + counters.unmatched_answers == 0, "{counters:?}");
    Ok(Pass { events: counters.events, octets, ..pass })
}

fn seconds(work: impl FnOnce() -> Result<Pass>) -> Result<(f64, Pass)> {
    let start = wait::now();
    let pass = work()?;
    Ok((start.elapsed().as_secs_f64(), pass))
}

/// Prints the figures.
pub fn measure() -> Result<()> {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("mixed.pcap");
    let length = write_pcap(&path, Traffic::mixed(CLIENTS))?;
    let mut rounds = vec![Vec::new(); STAGES.len()];
    let mut last = Pass::default();
    for _ in 0..ROUNDS {
        for ((_, stage), rounds) in STAGES.iter().zip(&mut rounds) {
            let (seconds, pass) = seconds(|| stage(&path))?;
            rounds.push(seconds);
            last = pass;
        }
    }
    let messages = last.messages as f64;
    println!(
        "  {} messages of {CLIENTS} clients (7 of 10 DHCPv4), {} events, {} MB of pcap, one thread, {ROUNDS} rounds",
        last.messages,
        last.events,
        length / 1_000_000
    );
    println!("  environments are {} octets on average with their index", last.octets / last.events.max(1));
    println!(
        "  {:<15} {:>12} {:>12} {:>12} {:>12}",
        "from the file", "messages/s", "ns/message", "this stage", "median round"
    );
    let mut before = 0.0;
    for ((name, _), rounds) in STAGES.iter().zip(&mut rounds) {
        rounds.sort_by(f64::total_cmp);
        let nanoseconds = |seconds: f64| seconds * 1e9 / messages;
        let (best, median) = (nanoseconds(rounds[0]), nanoseconds(rounds[rounds.len() / 2]));
        println!("  {name:<15} {:>12.0} {best:>12.0} {:>12.0} {median:>12.0}", 1e9 / best, best - before);
        before = best;
    }
    let ours = 1e9 / before;
    println!(
        "  events/s with their environments: {:.0}; aim: 1,000,000 messages/s",
        last.events as f64 * ours / messages
    );
    match tshark(&scratch) {
        Ok(theirs) => println!(
            "  tshark prints {theirs:.0} messages/s of the same traffic: we do {:.0} times that",
            ours / theirs
        ),
        Err(reason) => println!("  beside tshark: skipped: {reason:#}"),
    }
    Ok(())
}

/// tshark's messages a second, its start subtracted: the time for a file less that for one message.
fn tshark(scratch: &Scratch) -> Result<f64> {
    let program = find_program("tshark").context("tshark is not installed")?;
    let time = |clients: u32, frames: usize| -> Result<f64> {
        let path = scratch.path().join(format!("tshark-{frames}.pcap"));
        write_pcap(&path, Traffic::mixed(clients).take(frames))?;
        // The first run warms the caches, and the best of them was disturbed least, as with our own stages.
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = wait::now();
            let mut command = Command::new(&program);
            // What a script would ask for to do the observer's work.
            command.args(["-n", "-T", "fields"]).arg("-r").arg(&path);
            for field in [
                "dhcp.option.dhcp",
                "dhcp.id",
                "dhcp.hw.mac_addr",
                "dhcp.ip.your",
                "dhcpv6.msgtype",
                "dhcpv6.duid.bytes",
            ] {
                command.args(["-e", field]);
            }
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().context("tshark")?;
            ensure!(status.success(), "tshark ended with {status}");
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let frames = CLIENTS_FOR_TSHARK as usize * 10;
    let alone = time(1, 1)?;
    let all = time(CLIENTS_FOR_TSHARK, frames)?;
    Ok(frames as f64 / (all - alone).max(Duration::from_millis(1).as_secs_f64()))
}

/// One pass through all stages, for a profiler.
pub fn one_pass(clients: u32) -> Result<()> {
    let scratch = Scratch::new()?;
    let path = scratch.path().join("mixed.pcap");
    write_pcap(&path, Traffic::mixed(clients))?;
    for _ in 0..4 {
        let (seconds, pass) = seconds(|| environment(&path))?;
        println!("{:.0} ns/message, {} events", seconds * 1e9 / pass.messages as f64, pass.events);
    }
    Ok(())
}
