//! An observer that is killed at any moment, again and again: whatever happened on the wire is told, in order, what is told
//! twice says so, and nobody on the wire notices.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use observer_tests::ledger::{self, Line, SCRIPT};
use observer_tests::link::{Cable, End, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::{binary, every_user};
use observer_tests::process::Process;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::soak::{Dice, mebibytes, number, report};
use observer_tests::wait;
use rusqlite::{Connection, OpenFlags};

use crate::traffic::Traffic;

/// How long the observer may take to be ready, and at the end to tell what it has not told.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two exchanges.
const PACE: Duration = Duration::from_millis(25);
/// The longest that an observer lives, milliseconds; many die before they are ready.
const LIFE: u64 = 1_200;

/// Where the lives of the observers are.
struct Stage {
    scratch: Scratch,
    cable: Cable,
    script: PathBuf,
    state: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let scratch = Scratch::new().unwrap();
        let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let server = End { addresses: Vec::new(), link_local: false, ..End::recorded_server() };
        let (server, client) = veth(&near, &server, &far, &End::recorded_client()).unwrap();
        let script = scratch.path().join("hook");
        std::fs::write(&script, SCRIPT).unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let state = scratch.directory("state").unwrap();
        std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        Self { scratch, cable: Cable { server, client }, script, state }
    }

    fn command(&self) -> std::process::Command {
        self.cable.server.namespace.command(binary().unwrap().to_str().unwrap())
    }

    /// Starts one, and waits for nothing.
    fn live(&self, number: u64) -> Process {
        let mut command = self.command();
        command.args(["--iface", self.cable.server.name, "--state-dir"]).arg(&self.state);
        command.arg("--script").arg(&self.script).current_dir(self.scratch.path());
        if let Some(user) = every_user() {
            command.arg("--user").arg(user);
        }
        Process::start(&format!("observer-{number}"), command, self.scratch.path()).unwrap()
    }

    fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(self.scratch.path().join("calls")).unwrap_or_default();
        text.lines().map(|line| Line::parse(line).unwrap()).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is pinned would stay in the kernel's memory.
        let _ = self.command().args(["detach", "--iface", self.cable.server.name]).output();
    }
}

/// The database as another program sees it.
fn assert_sound(state: &Path) {
    let file = state.join("observer.db");
    let database = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let said: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(said, "ok", "{}", file.display());
}

/// The numbers of a log's lines about frames that are gone.
fn announced(log: &str) -> u64 {
    let losses = log.lines().filter_map(|line| Some(line.split_once(" DHCP frames lost")?.0));
    losses.filter_map(|before| before.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn killed_at_any_moment() {
    require!(Need::Root);
    let kills = number("SOAK_KILLS", 15);
    let at_least = Duration::from_secs(60 * number("SOAK_MINUTES", 0));
    let seed = number("SOAK_SEED", u64::from(std::process::id()));
    println!("SOAK_SEED={seed}");
    let mut dice = Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let stage = Stage::new();
    // Before: the wire is as it is without an observer.
    Traffic::start(&stage.cable, PACE, 0x80_0000).finish();
    let mut first = stage.live(0);
    first.wait_for_log("ready", PATIENCE).unwrap();
    let traffic = Traffic::start(&stage.cable, PACE, 0);
    let (mut peak, mut ready, mut frames_gone) = (0, 0, 0);
    let mut observer = first;
    let begun = wait::now();
    let mut life = 0;
    while life < kills || begun.elapsed() < at_least {
        life += 1;
        wait::pace(wait::now() + Duration::from_millis(dice.below(LIFE)));
        peak = peak.max(observer.peak_memory().unwrap());
        assert!(observer.is_running().unwrap(), "life {life} ended by itself: {}", observer.stderr());
        observer.signal(Signal::SIGKILL).unwrap();
        observer.wait(PATIENCE).unwrap();
        let log = observer.stderr();
        assert!(!log.contains("panicked") && !log.contains("moved"), "life {life}: {log}");
        ready += u64::from(log.contains("ready: "));
        frames_gone += announced(&log);
        assert_sound(&stage.state);
        observer = stage.live(life);
    }
    let took = begun.elapsed();
    observer.wait_for_log("ready", PATIENCE).unwrap();
    // After: it goes on as before.
    wait::pace(wait::now() + Duration::from_secs(1));
    let deeds = traffic.finish();
    // All that is to be told is told when nothing more comes, whatever is still waiting.
    let told = wait::until("every deed", PATIENCE, || {
        Ok(ledger::check(&deeds, &stage.lines()).untold.is_empty().then_some(()))
    });
    peak = peak.max(observer.peak_memory().unwrap());
    let status = observer.stop(PATIENCE).unwrap();
    assert!(status.success(), "{}", observer.stderr());
    let log = observer.stderr();
    frames_gone += announced(&log);
    assert_sound(&stage.state);
    Traffic::start(&stage.cable, PACE, 0xc0_0000).finish();

    let verdict = ledger::check(&deeds, &stage.lines());
    let untold = verdict.untold.len() as u64;
    report(
        "crash",
        &format!(
            "{life} kills in {:.0} s ({ready} of observers that were ready), {} exchanges, {} events, {} repeats, \
             lost = {untold}, announced as lost: {frames_gone} frames, peak memory {}, seed {seed}",
            took.as_secs_f64(),
            deeds.len(),
            verdict.events,
            verdict.repeats,
            mebibytes(peak)
        ),
    );
    assert!(verdict.faults.is_empty(), "{} faults:\n{}", verdict.faults.len(), verdict.faults.join("\n"));
    // What was in memory alone when it died is announced. An exchange without its events has lost a frame at least.
    assert!(untold <= frames_gone, "{told:?}: untold and not announced as lost: {:?}", verdict.untold);
}
