//! The program under test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use nix::sys::signal::Signal;

use crate::call::{Call, parse_calls};
use crate::link::Link;
use crate::netns::Namespace;
use crate::process::Process;
use crate::wait;

/// How long the observer may take to attach, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The observer's binary: `DHCP_OBSERVER_BIN`, else the one that cargo builds for this profile.
///
/// Cargo builds no binary of another package for a test, so it is asked to, once per test program: a binary left over
/// from an earlier build would test something else than what is in the tree.
pub fn binary() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BINARY.get_or_init(|| locate().map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

/// The user that every observer of a test is to have: `DHCP_OBSERVER_TEST_USER=65531 cargo test …` tries everything that works as
/// root with a user of the observer's own.
pub fn every_user() -> Option<OsString> {
    std::env::var_os("DHCP_OBSERVER_TEST_USER")
}

fn locate() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("DHCP_OBSERVER_BIN") {
        return Ok(given.into());
    }
    // A program of this package (conformance) was built together with the observer, which stands beside it.
    let own = std::env::current_exe().context("current_exe")?;
    let beside = own.with_file_name("dhcp-observer");
    if beside.is_file() {
        return Ok(beside);
    }
    // target/<profile>/deps/<test>, or target/<triple>/<profile>/deps/<test>.
    let profile = own.ancestors().nth(2).context("the test program is not in a cargo target directory")?;
    let target = profile.parent().context("the test program is not in a cargo target directory")?;
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--quiet",
        "--package",
        "dhcp-observer",
        "--bin",
        "dhcp-observer",
        "--profile",
        name,
    ]);
    build.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = build.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo build: {}", String::from_utf8_lossy(&output.stderr));
    let binary = profile.join("dhcp-observer");
    ensure!(binary.is_file(), "cargo built no {}", binary.display());
    Ok(binary)
}

/// An observer that is attached to an interface.
#[derive(Debug)]
pub struct Observer {
    process: Process,
    /// What removes its pins.
    detach: Command,
}

/// What an observer left behind.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Observer {
    /// Attaches one to `interface` with `script` as its hook, and waits until it says that it is ready.
    pub fn start(
        namespace: &Namespace,
        directory: &Path,
        interface: &str,
        script: &Path,
        more: &[&str],
    ) -> Result<Self> {
        let script = script.to_str().context("a path that is not UTF-8")?;
        let arguments = [&["--iface", interface, "--script", script], more].concat();
        Self::start_with(namespace, directory, interface, &arguments)
    }

    /// Starts one with these arguments, by which it begins with `interface`, and waits until it says that it is ready.
    pub fn start_with(
        namespace: &Namespace,
        directory: &Path,
        interface: &str,
        arguments: &[&str],
    ) -> Result<Self> {
        Self::start_under(namespace, directory, interface, arguments, &[])
    }

    /// The same with these variables in its environment.
    pub fn start_under(
        namespace: &Namespace,
        directory: &Path,
        interface: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let binary = binary()?;
        let mut command = namespace.command(binary.to_str().context("a path that is not UTF-8")?);
        command.args(arguments).envs(environment.iter().copied()).current_dir(directory);
        // Tests run side by side, and the usual directories are for one: whoever wants one says which.
        if !arguments.iter().any(|argument| ["--state-dir", "--invocations"].contains(argument)) {
            command.arg("--no-state");
        }
        if let Some(user) = every_user()
            && !arguments.contains(&"--user")
        {
            command.arg("--user").arg(user);
        }
        if !arguments.contains(&"--control") {
            command.args(["--control", "none"]);
        }
        let mut process = Process::start("observer", command, directory)?;
        let mut detach = namespace.command(binary.to_str().context("a path that is not UTF-8")?);
        detach.arg("detach");
        // By the name that it was given, else by its interfaces.
        let pairs = |option| arguments.windows(2).filter(move |pair| pair.first() == Some(&option));
        let of_file = ["--iface", interface];
        let of_arguments: Vec<_> = pairs("--iface").flatten().copied().collect();
        match pairs("--instance").next() {
            Some(instance) => detach.args(instance),
            None if of_arguments.is_empty() => detach.args(of_file),
            None => detach.args(of_arguments),
        };
        let ready = process.wait_for_log("ready", PATIENCE);
        let observer = Self { process, detach };
        ready.map(|()| observer)
    }

    /// Waits until its log has this text so many times.
    pub fn wait_for_log(&mut self, text: &str, times: usize) -> Result<()> {
        let what = format!("{times} times {text:?} in the observer's log");
        wait::until(&what, PATIENCE, || {
            ensure!(self.process.is_running()?, "the observer ended: {}", self.process.stderr());
            Ok((self.process.stderr().matches(text).count() >= times).then_some(()))
        })
        .with_context(|| self.process.stderr())
    }

    /// Its process, whose first thread is the event loop.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has written to its log so far.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// The most memory that it ever had, in octets.
    pub fn peak_memory(&self) -> Result<u64> {
        self.process.peak_memory()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Kills it, as the kernel does when it needs memory, and gives back its log.
    pub fn kill(mut self) -> Result<String> {
        self.process.signal(Signal::SIGKILL)?;
        self.process.wait(PATIENCE)?;
        Ok(self.process.stderr())
    }

    /// Waits for its end, which comes by itself, and gives back its log.
    pub fn wait_for_end(mut self) -> Result<(ExitStatus, String)> {
        let status = self.process.wait(PATIENCE)?;
        Ok((status, self.process.stderr()))
    }

    /// Ends it with SIGTERM, after which it must have let its hooks end and must have exited with status 0.
    pub fn stop(mut self) -> Result<Ended> {
        let status = self.process.stop(PATIENCE)?;
        let ended = Ended { status, stdout: self.process.stdout(), stderr: self.process.stderr() };
        ensure!(status.success(), "the observer ended with {status}: {}", ended.stderr);
        Ok(ended)
    }
}

impl Drop for Observer {
    /// One that still runs is killed, and what it pinned goes with it: it would fill the machine's memory.
    fn drop(&mut self) {
        if let Ok(true) = self.process.is_running() {
            let _ = self.process.signal(Signal::SIGKILL);
            let _ = self.process.wait(PATIENCE);
            let _ = self.detach.output();
        }
    }
}

/// How many of the observer's programs are attached to an interface by TCX.
pub fn programs_by_links(link: &Link) -> Result<usize> {
    let count = |direction| {
        // There is nothing to ask below Linux 6.6.
        let (_, programs) = SchedClassifier::query_tcx(link.name, direction).unwrap_or_default();
        programs.iter().filter(|program| program.name().starts_with(b"dhcp_observer")).count()
    };
    link.namespace.run(|| Ok(count(TcAttachType::Ingress) + count(TcAttachType::Egress)))
}

/// Runs `dhcp-observer replay` on a file.
pub fn replay(file: &Path, more: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.arg("replay").arg(file).args(more);
    command.output().with_context(|| format!("cannot start {command:?}"))
}

/// The invocations that a replay prints.
pub fn replay_invocations(file: &Path, more: &[&str]) -> Result<Vec<Call>> {
    let output = replay(file, &[more, &["--invocations"]].concat())?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("replay of {} ended with {}: {stderr}", file.display(), output.status);
    }
    parse_calls(&stdout).with_context(|| format!("stderr was {stderr}"))
}

/// What the observer did with the frames it saw: `totals: frames=N handled=H skipped=S (reason=n, …)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames seen.
    pub frames: u64,
    /// Frames that carried a DHCP message.
    pub handled: u64,
    /// Frames that did not.
    pub skipped: u64,
    /// Why they did not, with a count each.
    pub reasons: Vec<(String, u64)>,
}

impl Ended {
    /// A number in one of its lines of totals: `kernel: … lost=3 …`; 0 when it is not mentioned.
    pub fn count(&self, line: &str, name: &str) -> u64 {
        let totals = self.stderr.lines().rev().find_map(|text| text.split_once(&format!("{line}: ")));
        let words = totals.map(|(_, rest)| rest).unwrap_or_default();
        words
            .split(|c: char| c.is_whitespace() || "(),".contains(c))
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
            .unwrap_or(0)
    }
}

impl Totals {
    /// Reads the line from what the observer wrote to its standard error.
    pub fn parse(stderr: &str) -> Result<Self> {
        let line =
            stderr.lines().find_map(|line| line.split_once("totals: ")).context("no line of totals")?.1;
        let (counts, reasons) = line.split_once('(').unwrap_or((line, ""));
        let mut totals = Self::default();
        for word in counts.split_whitespace() {
            match pair(word)? {
                ("frames", count) => totals.frames = count,
                ("handled", count) => totals.handled = count,
                ("skipped", count) => totals.skipped = count,
                (other, _) => bail!("unknown total {other:?}"),
            }
        }
        for word in
            reasons.trim_end().trim_end_matches(')').split(',').map(str::trim).filter(|word| !word.is_empty())
        {
            let (reason, count) = pair(word)?;
            totals.reasons.push((reason.to_owned(), count));
        }
        Ok(totals)
    }

    /// Checks that every frame was either handled or skipped for a reason that has a name.
    pub fn check(&self) -> Result<()> {
        let named: u64 = self.reasons.iter().map(|(_, count)| count).sum();
        ensure!(self.frames == self.handled + self.skipped, "frames are unaccounted for: {self:?}");
        ensure!(self.skipped == named, "frames were skipped without a reason: {self:?}");
        Ok(())
    }
}

fn pair(word: &str) -> Result<(&str, u64)> {
    let (name, count) = word.split_once('=').with_context(|| format!("{word:?} is not NAME=COUNT"))?;
    Ok((name, count.parse().with_context(|| format!("{word:?} has no count"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_and_checked() {
        let totals =
            Totals::parse("INFO x\ntotals: frames=5 handled=2 skipped=3 (not_dhcp=2, cut short=1)\n")
                .unwrap();
        assert_eq!((totals.frames, totals.handled, totals.skipped), (5, 2, 3));
        assert_eq!(totals.reasons, [("not_dhcp".to_owned(), 2), ("cut short".to_owned(), 1)]);
        totals.check().unwrap();
        Totals::parse("totals: frames=2 handled=2 skipped=0").unwrap().check().unwrap();
        for wrong in
            ["totals: frames=5 handled=2 skipped=2 (a=2)", "totals: frames=3 handled=0 skipped=3 (a=2)"]
        {
            assert!(Totals::parse(wrong).unwrap().check().is_err(), "{wrong}");
        }
        assert!(Totals::parse("nothing").is_err());
    }
}
