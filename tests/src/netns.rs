//! A network namespace of a test's own.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use crate::need::find_program;

/// A network namespace that nothing but this value names.
///
/// It has no entry in `/run/netns`: a file descriptor keeps it alive, so there is no name that two runs could fight
/// for, and the kernel removes it with everything inside even if the test is killed. To look around in one while a
/// test runs: `nsenter --net=/proc/PID/fd/N`, where [`Namespace::path`] says PID and N.
#[derive(Clone, Debug)]
pub struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// Makes one, with its loopback interface up and without duplicate address detection or router solicitations.
    pub fn new() -> Result<Self> {
        let file = on_own_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("unshare(CLONE_NEWNET)")?;
            File::open("/proc/thread-self/ns/net").context("/proc/thread-self/ns/net")
        })?;
        let namespace = Self { file: Arc::new(file) };
        namespace.ip(&["link", "set", "lo", "up"])?;
        for (key, value) in [("accept_dad", "0"), ("dad_transmits", "0"), ("router_solicitations", "0")] {
            namespace.sysctl(&format!("ipv6/conf/default/{key}"), value)?;
        }
        Ok(namespace)
    }

    /// A path by which other programs can open it while this process lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Runs `work` on a thread of its own inside the namespace. A panic goes through to the caller.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_own_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET).context("setns")?;
            work()
        })
    }

    /// A command that will run inside the namespace, found also in the directories for system programs.
    ///
    /// Its process dies with the thread that starts it, so a test that is killed leaves no server behind.
    pub fn command(&self, program: &str) -> Command {
        let found = find_program(program).unwrap_or_else(|| program.into());
        let mut command = Command::new(found);
        let file = Arc::clone(&self.file);
        let enter = move || {
            setns(&file, CloneFlags::CLONE_NEWNET)?;
            set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes two system calls and neither allocates nor locks.
        unsafe { command.pre_exec(enter) };
        command
    }

    /// Runs `ip` with these arguments inside the namespace and returns what it printed.
    pub fn ip(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command("ip").args(arguments).output().context("cannot start ip")?;
        if !output.status.success() {
            bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Sets a key below `/proc/sys/net`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{key}");
        self.run(|| std::fs::write(&path, value).with_context(|| format!("cannot write {value} to {path}")))
    }
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::need::Need;
    use crate::require;

    #[test]
    fn a_namespace_goes_when_its_test_panics() {
        require!(Need::Root);
        let (tell, told) = std::sync::mpsc::channel();
        let test = std::thread::spawn(move || {
            let namespace = Namespace::new().unwrap();
            tell.send(Arc::downgrade(&namespace.file)).unwrap();
            namespace.run(|| -> Result<()> { panic!("inside") })
        });
        let panic = test.join().unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"inside"), "the panic of the closure comes through");
        assert!(told.recv().unwrap().upgrade().is_none(), "somebody still holds the namespace");
    }
}
