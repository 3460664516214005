//! From the answer on the wire to the start of the script, and how many scripts a second.
//!
//! A real cable between two namespaces, the real daemon on one end, and a hook that notes its start. Beside it a bare
//! loop around `posix_spawn` starts the same hook with the same environment: the floor that the machine sets.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dhcp_observer::config::{KeaVersion, ServerConfig};
use dhcp_observer::dialect::invocation::Invocation;
use dhcp_observer::dialect::kea;
use dhcp_observer::drive::Driver;
use dhcp_observer::frame::{Direction, Frame, Interface, LinkType};
use dhcp_observer::time::Timestamp;
use dhcp_observer::tracker::{Answers, Limits};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::wait::waitpid;
use nix::time::{ClockId, clock_gettime};
use observer_tests::inject::PacketSocket;
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::{self, Observer};
use observer_tests::scratch::Scratch;
use observer_tests::wait;

use crate::traffic::{Client, Family};

/// Exchanges whose latency is measured, and the time from one to the next.
const EXCHANGES: u32 = 500;
const PACE: Duration = Duration::from_millis(10);
/// Exchanges sent at once to see how fast hooks can be started; the observer's queue takes them all.
const BURST: u32 = 4_000;
/// How many hooks the observer runs side by side unless told otherwise.
const SIDE_BY_SIDE: usize = 32;
const PATIENCE: Duration = Duration::from_secs(120);
/// The steps of a client that matter here: REQUEST and ACK, which make one event.
const REQUEST: u32 = 2;
const ACK: u32 = 3;

/// Prints the figures.
pub fn measure() -> Result<()> {
    if let Some(reason) = Need::Root.missing() {
        bail!(reason);
    }
    if std::env::var_os("DHCP_OBSERVER_BIN").is_none() {
        bail!("DHCP_OBSERVER_BIN names no observer; cargo xtask bench builds and names one");
    }
    println!("  observer: {}", observer::binary()?.display());
    let hook = Hook::install()?;
    let bare = bare_latency(&hook)?;
    let ours = wire_latency(&hook, Kept::Nothing)?;
    let stored = wire_latency(&hook, Kept::InStore)?;
    let separate = wire_latency(&hook, Kept::ByAnother)?;
    println!("  {:<44} {:>9} {:>9} {:>9}", "microseconds", "p50", "p99", "most");
    for (what, mut latencies) in [
        ("posix_spawn alone: call to start of the hook", bare),
        ("wire to start of the hook", ours),
        ("the same with the store, as it is by default", stored),
        ("the same with store and a user of its own", separate),
    ] {
        latencies.sort_unstable();
        let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize] as f64 / 1e3;
        println!("  {what:<44} {:>9.0} {:>9.0} {:>9.0}", at(0.5), at(0.99), at(1.0));
    }
    println!("  {EXCHANGES} exchanges, one every {} ms; aim: p50 1 ms, p99 5 ms", PACE.as_millis());

    // In turn, so that a noisy second falls on all of them.
    let [mut one, mut many, mut observed, mut kept, mut separate] = [const { Vec::new() }; 5];
    for _ in 0..3 {
        one.push(bare_rate(&hook, 1)?);
        many.push(bare_rate(&hook, SIDE_BY_SIDE)?);
        observed.push(observed_rate(&hook, Kept::Nothing)?);
        kept.push(observed_rate(&hook, Kept::InStore)?);
        separate.push(observed_rate(&hook, Kept::ByAnother)?);
    }
    let [one, many, observed, kept, separate] = [one, many, observed, kept, separate].map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[1]
    });
    println!("  hooks/s, median of 3 rounds of {BURST}: observer {observed:.0}");
    println!("    posix_spawn one at a time {one:.0}: {:.2} times that", observed / one);
    println!("    posix_spawn {SIDE_BY_SIDE} side by side {many:.0}: {:.2} times that", observed / many);
    println!("    observer with the store {kept:.0}: {:.2} times one without", kept / observed);
    println!(
        "    with store and a user of its own {separate:.0}: {:.2} times with the store alone",
        separate / kept
    );
    Ok(())
}

/// The hook in a directory of its own, and what it is called with.
struct Hook {
    scratch: Scratch,
    script: PathBuf,
    invocation: Invocation,
}

impl Hook {
    fn install() -> Result<Self> {
        let own = std::env::current_exe().context("current_exe")?;
        let program = own.with_file_name("stamp-hook");
        ensure!(program.is_file(), "there is no {}: build the whole package", program.display());
        let scratch = Scratch::new()?;
        // An observer with a user of its own has its store below.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o711))?;
        let script = scratch.path().join("hook");
        std::os::unix::fs::symlink(program, &script)?;
        Ok(Self { scratch, script, invocation: invocation()? })
    }

    fn starts_file(&self) -> PathBuf {
        self.script.with_file_name("starts")
    }

    /// Transactions and times of the starts so far.
    fn starts(&self) -> Vec<(u64, i64)> {
        let bytes = fs::read(self.starts_file()).unwrap_or_default();
        let number = |octets: &[u8]| octets.try_into().map(u64::from_le_bytes).unwrap_or_default();
        bytes
            .chunks_exact(16)
            .map(|record| (number(&record[..8]), number(&record[8..]).cast_signed()))
            .collect()
    }

    /// Waits for so many starts and forgets them.
    fn take_starts(&self, count: u32) -> Result<Vec<(u64, i64)>> {
        let count = count as usize;
        let wanted = (count * 16) as u64;
        wait::until(&format!("start of {count} hooks"), PATIENCE, || {
            let length = fs::metadata(self.starts_file()).map_or(0, |file| file.len());
            Ok((length >= wanted).then_some(()))
        })?;
        let starts = self.starts();
        fs::remove_file(self.starts_file())?;
        ensure!(starts.len() == count, "{} hooks were started, not {count}", starts.len());
        Ok(starts)
    }

    fn spawn(&self) -> Result<nix::unistd::Pid> {
        let path = CString::new(self.script.as_os_str().as_bytes())?;
        let arguments: Vec<&CStr> =
            std::iter::once(path.as_c_str()).chain(self.invocation.arguments.iter()).collect();
        let environment: Vec<&CStr> = self.invocation.environment.iter().collect();
        let (actions, attributes) = (PosixSpawnFileActions::init()?, PosixSpawnAttr::init()?);
        Ok(posix_spawn(path.as_c_str(), &actions, &attributes, &arguments, &environment)?)
    }
}

/// What the daemon would start the hook with.
fn invocation() -> Result<Invocation> {
    let mut driver = Driver::new(Arc::new(ServerConfig::default()), Answers::Both, Limits::default());
    let interface = Arc::new(Interface { index: Some(2), name: "s0".to_owned() });
    let mut found = None;
    for step in [REQUEST, ACK] {
        let bytes = Client::new(0, Family::V4).frame(step);
        let frame = Frame {
            at: Timestamp::from_seconds(1),
            interface: &interface,
            direction: Direction::Unknown,
            link_type: LinkType::Ethernet,
            metadata_tag: None,
            bytes: &bytes,
            wire_length: bytes.len(),
        };
        driver.handle_frame(&frame, |event| found = kea::invocation(&event, KeaVersion::default()));
    }
    found.context("the exchange makes no event")
}

fn now() -> Result<i64> {
    let now = clock_gettime(ClockId::CLOCK_REALTIME)?;
    Ok(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}

/// Nanoseconds from the call of `posix_spawn` to the start of the hook.
fn bare_latency(hook: &Hook) -> Result<Vec<i64>> {
    let mut called = Vec::new();
    let start = wait::now();
    for number in 0..EXCHANGES {
        wait::pace(start + PACE * number);
        called.push(now()?);
        waitpid(hook.spawn()?, None)?;
    }
    let starts = hook.take_starts(EXCHANGES)?;
    Ok(starts.iter().zip(called).map(|((_, started), called)| started - called).collect())
}

/// Hooks a second of a loop that keeps so many running.
fn bare_rate(hook: &Hook, side_by_side: usize) -> Result<f64> {
    let start = wait::now();
    let mut running = 0;
    for _ in 0..BURST {
        if running == side_by_side {
            nix::sys::wait::wait()?;
            running -= 1;
        }
        hook.spawn()?;
        running += 1;
    }
    for _ in 0..running {
        nix::sys::wait::wait()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    hook.take_starts(BURST)?;
    Ok(f64::from(BURST) / seconds)
}

/// A cable with the observer on the server's end.
struct Stand {
    client: PacketSocket,
    server: PacketSocket,
    observer: Observer,
    // Last: the namespaces outlive what is in them.
    _cable: Cable,
}

/// What outlives the observer.
#[derive(Clone, Copy)]
enum Kept {
    Nothing,
    InStore,
    /// In the store, by an observer with a user of its own: hooks are started by its spawner.
    ByAnother,
}

impl Stand {
    fn new(hook: &Hook, kept: Kept) -> Result<Self> {
        let cable = Cable::as_recorded()?;
        let directory: &Path = hook.scratch.path();
        // Known leases would be renewed, and have two hooks each.
        let state = directory.join("state");
        let _ = fs::remove_dir_all(&state);
        let more = match kept {
            Kept::Nothing => vec![],
            Kept::InStore => vec!["--state-dir", state.to_str().context("a path that is not UTF-8")?],
            Kept::ByAnother => {
                let state = state.to_str().context("a path that is not UTF-8")?;
                vec!["--state-dir", state, "--user", "65531"]
            }
        };
        let observer =
            Observer::start(&cable.server.namespace, directory, cable.server.name, &hook.script, &more)?;
        let (client, server) = (PacketSocket::open(&cable.client)?, PacketSocket::open(&cable.server)?);
        Ok(Self { client, server, observer, _cable: cable })
    }
}

/// Nanoseconds from the sending of an answer to the start of its hook.
fn wire_latency(hook: &Hook, kept: Kept) -> Result<Vec<i64>> {
    let stand = Stand::new(hook, kept)?;
    let mut sent = HashMap::new();
    let start = wait::now();
    for number in 0..EXCHANGES {
        let client = Client::new(number, Family::V4);
        let (question, answer) = (client.frame(REQUEST), client.frame(ACK));
        wait::pace(start + PACE * number);
        stand.client.send(&question)?;
        sent.insert(u64::from(client.transaction(ACK)), now()?);
        stand.server.send(&answer)?;
    }
    let starts = hook.take_starts(EXCHANGES)?;
    stand.observer.stop()?;
    let latencies = starts.iter().map(|(transaction, started)| {
        sent.get(transaction).map(|sent| started - sent).context("a hook for a transaction that nobody began")
    });
    latencies.collect()
}

/// Hooks a second of the observer when it has more to start than it can.
fn observed_rate(hook: &Hook, kept: Kept) -> Result<f64> {
    let stand = Stand::new(hook, kept)?;
    for number in 0..BURST {
        let client = Client::new(number, Family::V4);
        stand.client.send(&client.frame(REQUEST))?;
        stand.server.send(&client.frame(ACK))?;
    }
    let starts = hook.take_starts(BURST)?;
    stand.observer.stop()?;
    let times = || starts.iter().map(|(_, started)| *started);
    let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    Ok(f64::from(BURST - 1) / ((last - first).max(1) as f64 / 1e9))
}
