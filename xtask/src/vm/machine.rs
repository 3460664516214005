//! The machine itself: qemu, what it says on its serial line, and its end.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command;

/// How long a machine may take until `init` speaks. Emulated, it does after seven seconds.
const BOOT: Duration = Duration::from_secs(90);

/// The monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a machine runs on real time; this is the verb's one door to it"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Boots the kernel with the file system, prints what is said inside, and returns the verdict, `ok` or what failed.
pub fn run(kernel: &Path, initramfs: &Path, within: Duration) -> Result<String> {
    // KVM that can be opened may still not run a guest, as in a virtual machine that does not pass it on whole. Then
    // qemu ends, or nothing is ever heard of it.
    if File::options().read(true).write(true).open("/dev/kvm").is_ok()
        && let Some(machine) = Machine::boot("kvm", kernel, initramfs, within)?
    {
        return machine.verdict();
    }
    let machine = Machine::boot("tcg", kernel, initramfs, within)?;
    machine.context("the machine does not start")?.verdict()
}

/// A machine that runs. It is killed, by its process id, when dropped.
struct Machine {
    qemu: Child,
    lines: Receiver<String>,
    deadline: Instant,
}

impl Machine {
    /// Starts one and waits until `init` speaks; nothing if it never does.
    fn boot(accelerator: &str, kernel: &Path, initramfs: &Path, within: Duration) -> Result<Option<Self>> {
        let qemu = command::find("qemu-system-x86_64").context("there is no qemu-system-x86_64")?;
        let mut qemu = Command::new(qemu);
        qemu.args(["-accel", accelerator, "-cpu", "max", "-smp", "2", "-m", "2G"])
            .args(["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initramfs)
            // A panic ends the machine. Removing namespaces waits less for RCU.
            .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off rcupdate.rcu_expedited=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut qemu = qemu.spawn().context("cannot start qemu")?;
        let output = qemu.stdout.take().context("qemu has no output")?;
        let start = now();
        let mut machine = Self { qemu, lines: lines(output), deadline: start + BOOT };
        let mut before = Vec::new();
        while let Some(line) = machine.next_line()? {
            if line.contains("VM-KERNEL") {
                println!("{line} ({accelerator}, after {:.0} s)", start.elapsed().as_secs_f64());
                machine.deadline = start + within;
                return Ok(Some(machine));
            }
            before.push(line);
        }
        let errors =
            machine.qemu.stderr.take().map(|errors| std::io::read_to_string(errors).unwrap_or_default());
        println!("qemu -accel {accelerator} does not run it: {}", errors.unwrap_or_default().trim());
        if let Some(said) = before.last() {
            println!("its last words: {said}");
        }
        Ok(None)
    }

    /// Prints all lines to the one that tells the result, and returns that.
    fn verdict(mut self) -> Result<String> {
        while let Some(line) = self.next_line()? {
            println!("{line}");
            if let Some((_, verdict)) = line.split_once("VM-RESULT ") {
                return Ok(verdict.trim().to_owned());
            }
        }
        if now() >= self.deadline {
            bail!("the machine did not end in time and was killed");
        }
        bail!("the machine ended without a result");
    }

    /// The next line; none when qemu has ended, or is ended because the deadline has passed.
    fn next_line(&mut self) -> Result<Option<String>> {
        match self.lines.recv_timeout(self.deadline.saturating_duration_since(now())) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                self.qemu.kill().context("cannot kill qemu")?;
                Ok(None)
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// The lines of the serial line as they come, on a thread that ends with them.
fn lines(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
