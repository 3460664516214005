//! A real systemd as the first process of a machine of its own: namespaces and an empty root over this machine's `/usr`.
//!
//! It has the network namespace of whoever asks, its own processes, mounts, cgroup, `/run`, `/etc`, `/dev` and bpffs, and of
//! units only those that it is given, the journal and the usual targets. Of this machine it can write one directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::need::Need;
use crate::netns::Namespace;
use crate::observer::binary;
use crate::process::Process;
use crate::wait;

/// What a test needs of the machine to boot another one.
pub const NEEDS: [Need; 5] = [
    Need::Root,
    Need::File(SYSTEMD),
    Need::Program("unshare"),
    Need::Program("nsenter"),
    Need::Program("systemctl"),
];
/// Where a machine finds the directory that it shares with the test.
pub const SHARED: &str = "/mnt";
/// How long it may take to boot or to end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// What it has of this machine's units, where they are there.
const UNITS: [&str; 15] = [
    "basic.target",
    "final.target",
    "local-fs.target",
    "multi-user.target",
    "network.target",
    "paths.target",
    "shutdown.target",
    "slices.target",
    "sockets.target",
    "sysinit.target",
    "systemd-journald-dev-log.socket",
    "systemd-journald.service",
    "systemd-journald.socket",
    "timers.target",
    "umount.target",
];
/// Enters a cgroup of its own, then new namespaces: `sh -c … sh MOUNT-POINT CGROUP BOOT ARGUMENT…`.
const ENTER: &str = r#"
set -eu
mount -t cgroup2 cgroup2 "$1"
mkdir "$1/$2"
echo 0 >"$1/$2/cgroup.procs"
umount "$1"
shift 2
exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child --propagation private sh "$@"
"#;
/// Removes the cgroup once nobody is in it: `sh -c … sh MOUNT-POINT CGROUP`.
const LEAVE: &str = r#"
set -eu
mount -t cgroup2 cgroup2 "$1"
[ ! -d "$1/$2" ] || find "$1/$2" -depth -type d -exec rmdir {} +
"#;

/// A booted machine with the observer at `/usr/sbin/dhcp-observer`. It ends, with all its processes, when dropped.
#[derive(Debug)]
pub struct Machine {
    process: Process,
    /// Its systemd, as this machine counts processes.
    pid: u32,
    directory: PathBuf,
    cgroup: String,
}

impl Machine {
    /// Boots one in a network namespace, with these files below its `/etc`. Its own files are in `directory`, of which
    /// [`Machine::shared`] is at [`SHARED`].
    pub fn boot(namespace: &Namespace, directory: &Path, files: &[(&str, &str)]) -> Result<Self> {
        let [root, usr, etc, shared] = ["root", "usr", "etc", "shared"].map(|name| directory.join(name));
        for path in [&root, &shared, &usr.join("sbin"), &etc.join("systemd/system")] {
            fs::create_dir_all(path).with_context(|| path.display().to_string())?;
        }
        let program = usr.join("sbin/dhcp-observer");
        let built = binary()?;
        // A link where both are on one file system.
        fs::hard_link(&built, &program)
            .or_else(|_| fs::copy(&built, &program).map(drop))
            .with_context(|| format!("{} as {}", built.display(), program.display()))?;
        for name in UNITS {
            let from = Path::new("/usr/lib/systemd/system").join(name);
            if from.exists() {
                fs::copy(&from, etc.join("systemd/system").join(name)).context(name)?;
            }
        }
        // As it is linked where it is installed.
        let wants = etc.join("systemd/system/sysinit.target.wants");
        fs::create_dir(&wants).with_context(|| wants.display().to_string())?;
        symlink("../systemd-journald.service", wants.join("systemd-journald.service")).context("symlink")?;
        for (name, text) in files {
            write(&etc.join(name), text)?;
        }
        let boot = directory.join("boot.sh");
        fs::write(&boot, include_str!("systemd/boot.sh")).with_context(|| boot.display().to_string())?;

        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cgroup =
            format!("observer-tests-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut command = namespace.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]);
        command.arg(&root).arg(&cgroup).args([&boot, &root, &usr, &etc, &shared]);
        let process = Process::start("systemd", command, directory)?;
        let mut machine = Self { process, pid: 0, directory: directory.to_owned(), cgroup };
        machine.wait_until_booted()?;
        Ok(machine)
    }

    /// Waits until systemd is there and has started what it was told to.
    fn wait_until_booted(&mut self) -> Result<()> {
        let children = format!("/proc/{0}/task/{0}/children", self.process.pid());
        self.pid = wait::until("first process of the machine", PATIENCE, || {
            ensure!(self.process.is_running()?, "the machine ended: {}", self.process.stderr());
            let children = fs::read_to_string(&children).unwrap_or_default();
            let first = children.split_whitespace().next().and_then(|pid| pid.parse::<u32>().ok());
            // Until it is systemd, its root is still this machine's.
            let is_systemd = |pid: &u32| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "systemd")
            };
            Ok(first.filter(is_systemd))
        })?;
        wait::until("machine that has booted", PATIENCE, || {
            ensure!(self.process.is_running()?, "the machine ended: {}", self.process.stderr());
            let output = self.command("systemctl").arg("is-system-running").output()?;
            let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Ok(["running", "degraded"].contains(&told.as_str()).then_some(()))
        })
    }

    /// A command that will run in the machine, as its root.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string()]);
        command.args(["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--wd=/", "--"]);
        command.arg(program).env_clear().env("PATH", "/usr/sbin:/usr/bin").env("LC_ALL", "C.UTF-8");
        command.env("SYSTEMD_PAGER", "").env("SYSTEMD_COLORS", "0").env("TZ", "UTC");
        command
    }

    /// Runs a command in the machine, which must succeed, and gives what it wrote to its standard output.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.output(words)?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}: {told}{complaint}", words.join(" "), output.status);
        Ok(told)
    }

    /// Runs a command in the machine, which is killed when it takes too long.
    pub fn output(&self, words: &[&str]) -> Result<Output> {
        let mut command = self.command("timeout");
        command.args(["--signal=KILL", "120"]).args(words);
        command.output().with_context(|| words.join(" "))
    }

    /// One property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        let words = ["systemctl", "show", "--value", "--timestamp=us+utc", "--property", name, unit];
        Ok(self.run(&words)?.trim().to_owned())
    }

    /// What a unit wrote to the journal, and what systemd wrote about it, one message a line.
    pub fn journal(&self, unit: &str) -> String {
        self.run(&["journalctl", "--output=cat", "--unit", unit]).unwrap_or_else(|error| format!("{error:#}"))
    }

    /// Where a file of the machine is found from outside.
    pub fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join("root").join(path.trim_start_matches('/'))
    }

    /// Writes a file of the machine, and the directories above it.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        write(&self.path(path), text)
    }

    /// The directory that it shares with the test.
    pub fn shared(&self) -> PathBuf {
        self.directory.join("shared")
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().context("a file without a directory")?;
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    fs::write(path, text).with_context(|| path.display().to_string())
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With unshare the first process of the machine dies, and with that one all others.
        let _ = self.process.signal(Signal::SIGKILL);
        let _ = self.process.wait(PATIENCE);
        let left = wait::until("end of the machine", PATIENCE, || {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-c", LEAVE, "sh"]);
            let output = command.arg(self.directory.join("root")).arg(&self.cgroup).output()?;
            Ok(output.status.success().then_some(()))
        });
        if let Err(error) = left {
            eprintln!("cgroup {} is left: {error:#}", self.cgroup);
        }
    }
}
