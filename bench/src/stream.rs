//! Events a second through a stream: one long-lived process that reads lines and acknowledges each.
//!
//! The same process is also fed by a bare loop that writes lines made beforehand and keeps no account: the ceiling that pipes and
//! the process set.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dhcp_observer::clock::Clock;
use dhcp_observer::config::{KeaVersion, ServerConfig};
use dhcp_observer::dialect::invocation::Invocation;
use dhcp_observer::dialect::{json, kea};
use dhcp_observer::drive::Driver;
use dhcp_observer::frame::{Direction, Frame, Interface, LinkType};
use dhcp_observer::hook::{Call, Hooks, Limits, Mode, Progress, Spec, Tried, resolve_program};
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::{Answers, Limits as LeaseLimits, Subject};
use observer_tests::wait;
use tokio::runtime::{Builder, Runtime};

use crate::traffic::Traffic;

const CLIENTS: u32 = 20_000;
const ROUNDS: usize = 3;
/// Frames between two looks at what the process says, as in the daemon when the ring is full.
const BUDGET: usize = 256;

/// Prints the figures.
pub fn measure() -> Result<()> {
    let own = std::env::current_exe().context("current_exe")?;
    let program = own.with_file_name("line-sink");
    ensure!(program.is_file(), "there is no {}: build the whole package", program.display());
    let frames: Vec<_> = Traffic::mixed(CLIENTS).collect();
    let calls = calls(&frames);
    let mut lines = Vec::new();
    for (event, (_, invocation)) in (1..).zip(&calls) {
        json::write_call(&mut lines, invocation, event, 1);
    }
    println!(
        "  {} frames of {CLIENTS} clients make {} calls, {} octets of JSON each on average; window {}",
        frames.len(),
        calls.len(),
        lines.len() / calls.len(),
        Mode::WINDOW
    );
    let (mut bare, mut submitted, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(bare_rate(&program, &lines, calls.len())?);
        submitted.push(submitted_rate(&program, &calls)?);
        whole.push(whole_rate(&program, &frames, calls.len())?);
    }
    let [bare, submitted, whole] = [bare, submitted, whole].map(|mut rates: Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!("  events/s, median of {ROUNDS} rounds; aim: 100,000");
    println!("    bare loop, lines made beforehand       {bare:>9.0}");
    println!(
        "    calls to acknowledgements              {submitted:>9.0}: {:.2} times that",
        submitted / bare
    );
    println!("    frames to acknowledgements             {whole:>9.0}: {:.2} times that", whole / bare);
    Ok(())
}

fn driver() -> Driver {
    Driver::new(Arc::new(ServerConfig::default()), Answers::Both, LeaseLimits::default())
}

/// Has the frames observed as a capture file would show them.
fn each_frame(frames: &[(u64, Vec<u8>)], mut handle: impl FnMut(&Frame<'_>)) {
    let interface = Arc::new(Interface { index: None, name: String::new() });
    for (at, bytes) in frames {
        handle(&Frame {
            at: Timestamp::from_nanos(at.cast_signed()),
            interface: &interface,
            direction: Direction::Unknown,
            link_type: LinkType::Ethernet,
            metadata_tag: None,
            bytes,
            wire_length: bytes.len(),
        });
    }
}

type Rendered = (Vec<Subject>, Arc<Invocation>);

fn calls(frames: &[(u64, Vec<u8>)]) -> Vec<Rendered> {
    let mut driver = driver();
    let mut calls = Vec::new();
    each_frame(frames, |frame| {
        driver.handle_frame(frame, |event| {
            if let Some(invocation) = kea::invocation(&event, KeaVersion::default()) {
                calls.push((event.subjects(), Arc::new(invocation)));
            }
        });
    });
    calls
}

/// The hook, and how many of its events are acknowledged.
struct Stream {
    hooks: Hooks<Subject, u64>,
    runtime: Runtime,
    acknowledged: usize,
    events: u64,
}

impl Stream {
    fn new(program: &Path) -> Result<Self> {
        let mode = Mode::Stream { window: Mode::WINDOW };
        let spec = Spec { mode, ..Spec::new("stream", resolve_program(program, Path::new("/"))?) };
        let hooks = Hooks::new(vec![spec], Limits::default(), Clock::new())?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { hooks, runtime, acknowledged: 0, events: 0 })
    }

    fn submit(&mut self, at: Timestamp, subjects: Vec<Subject>, invocation: Arc<Invocation>) -> Result<()> {
        self.events += 1;
        let call = Call { hook: 0, subjects, tag: self.events, tried: Tried::default(), invocation };
        ensure!(self.hooks.submit(at, self.events, [call]).is_empty(), "the queue was full");
        Ok(())
    }

    fn note(&mut self, progress: &Progress<u64>) {
        self.acknowledged += usize::from(matches!(progress, Progress::Finished { .. }));
    }

    /// What there is to be heard; waits only where the queue is half full.
    fn listen(&mut self) {
        while let Some(progress) = self.hooks.try_progress() {
            self.note(&progress);
        }
        while !self.hooks.has_room() {
            let progress = self.runtime.block_on(self.hooks.progress());
            self.note(&progress);
        }
    }

    fn finish(mut self, wanted: usize) -> Result<()> {
        while self.acknowledged < wanted {
            let progress = self.runtime.block_on(self.hooks.progress());
            self.note(&progress);
        }
        let counters = self.hooks.counters();
        ensure!(counters.acknowledged == wanted as u64 && counters.started == 1, "{counters:?}");
        while self.runtime.block_on(self.hooks.drain()).is_some() {}
        Ok(())
    }
}

fn submitted_rate(program: &Path, calls: &[Rendered]) -> Result<f64> {
    let mut stream = Stream::new(program)?;
    let start = wait::now();
    for some in calls.chunks(BUDGET) {
        for (subjects, invocation) in some {
            stream.submit(invocation.at, subjects.clone(), Arc::clone(invocation))?;
        }
        stream.listen();
    }
    stream.finish(calls.len())?;
    Ok(calls.len() as f64 / start.elapsed().as_secs_f64())
}

fn whole_rate(program: &Path, frames: &[(u64, Vec<u8>)], wanted: usize) -> Result<f64> {
    let mut stream = Stream::new(program)?;
    let mut driver = driver();
    let start = wait::now();
    let mut submitted = Ok(());
    for some in frames.chunks(BUDGET) {
        each_frame(some, |frame| {
            driver.handle_frame(frame, |event| {
                let Some(invocation) = kea::invocation(&event, KeaVersion::default()) else { return };
                let given = stream.submit(event.at, event.subjects(), Arc::new(invocation));
                if submitted.is_ok() {
                    submitted = given;
                }
            });
        });
        stream.listen();
    }
    submitted?;
    stream.finish(wanted)?;
    Ok(wanted as f64 / start.elapsed().as_secs_f64())
}

fn bare_rate(program: &Path, lines: &[u8], wanted: usize) -> Result<f64> {
    // Its environment is empty, as a stream's is.
    let mut child = Command::new(program)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| program.display().to_string())?;
    let mut input = child.stdin.take().context("no standard input")?;
    let mut output = child.stdout.take().context("no standard output")?;
    let start = wait::now();
    let heard = std::thread::scope(|scope| -> Result<usize> {
        let reader = scope.spawn(move || {
            let mut gulp = vec![0; 1 << 16];
            let mut heard = 0;
            while let Ok(count @ 1..) = output.read(&mut gulp) {
                heard += count;
            }
            heard
        });
        input.write_all(lines)?;
        drop(input);
        reader.join().map_err(|_| anyhow::anyhow!("the reader has failed"))
    })?;
    let seconds = start.elapsed().as_secs_f64();
    child.wait()?;
    ensure!(heard == wanted, "{heard} of {wanted} lines were acknowledged");
    Ok(wanted as f64 / seconds)
}
