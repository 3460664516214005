//! A real program inside a namespace.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// A running program, killed by its process id when dropped. Its log is printed when the test fails.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` with its output going to files in `directory`.
    pub fn start(name: &str, mut command: Command, directory: &Path) -> Result<Self> {
        let (stdout, stderr) = (directory.join(format!("{name}.out")), directory.join(format!("{name}.err")));
        let file =
            |path: &Path| File::create(path).with_context(|| format!("cannot make {}", path.display()));
        command.stdin(Stdio::null()).stdout(file(&stdout)?).stderr(file(&stderr)?);
        let child = command.spawn().with_context(|| format!("cannot start {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, stdout, stderr })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it ever had, in octets: `VmHWM` of proc(5).
    pub fn peak_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")).map(str::trim);
        Ok(kibibytes.with_context(|| format!("no VmHWM in {path}"))?.parse::<u64>()? * 1024)
    }

    /// What it has written to its standard output.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to its standard error.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until it has written `text` to either of its outputs; fails at once when it ends before that.
    pub fn wait_for_log(&mut self, text: &str, within: Duration) -> Result<()> {
        let what = format!("{text:?} in the log of {}", self.name);
        wait::until(&what, within, || {
            // The status comes first: what an ended program wrote is complete.
            let ended = self.child.try_wait()?;
            if self.stdout().contains(text) || self.stderr().contains(text) {
                return Ok(Some(()));
            }
            match ended {
                Some(status) => bail!("{} ended ({status}): {}", self.name, self.stderr().trim()),
                None => Ok(None),
            }
        })
        .with_context(|| format!("log of {}:\n{}{}", self.name, self.stdout(), self.stderr()))
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("end of {}", self.name);
        wait::until(&what, within, || Ok(self.child.try_wait()?))
    }

    /// Asks it to end with SIGTERM and waits until it has.
    pub fn stop(&mut self, within: Duration) -> Result<ExitStatus> {
        if self.is_running()? {
            self.signal(Signal::SIGTERM)?;
        }
        self.wait(within)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {} stdout\n{}", self.name, tail(&self.stdout()));
            eprintln!("--- {} stderr\n{}---", self.name, tail(&self.stderr()));
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The last lines of a log, as many as somebody reads.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(80)..].iter().map(|line| format!("{line}\n")).collect()
}
