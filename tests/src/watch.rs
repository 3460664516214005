//! The observer on a server's interface with a dumping hook, and tcpdump beside it as a witness.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::call::Call;
use crate::capture::{Frame, read_frames};
use crate::hook::DumpHook;
use crate::link::Link;
use crate::observer::{Observer, replay_invocations};
use crate::process::Process;
use crate::wait;

/// How long programs may take to start and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// An observed interface.
#[derive(Debug)]
pub struct Watch {
    observer: Observer,
    hook: DumpHook,
    witness: Process,
    capture: PathBuf,
    interface: (&'static str, u32),
    options: Vec<String>,
}

/// What was seen on it.
#[derive(Debug)]
pub struct Seen {
    /// The calls that the hook received.
    pub calls: Vec<Call>,
    /// The calls that a replay of the witness' capture prints, for as long after the last frame as was asked for.
    pub replayed: Vec<Call>,
    /// The frames that the witness captured.
    pub frames: Vec<Frame>,
}

impl Watch {
    /// Starts both on `link`. `options` are given to the observer and to the replay.
    pub fn start(link: &Link, directory: &Path, options: &[&str]) -> Result<Self> {
        let directory = directory.join("observer");
        std::fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
        let capture = directory.join("witness.pcap");
        let mut command = link.namespace.command("tcpdump");
        command
            .args(["-i", link.name, "-U", "--immediate-mode", "-s", "0", "-Z", "root", "-w"])
            .arg(&capture);
        // By protocol and not by port, so that fragments are seen too.
        command.arg("udp or ip6");
        let mut witness = Process::start("witness", command, &directory)?;
        witness.wait_for_log("listening on", PATIENCE)?;
        let hook = DumpHook::install(&directory)?;
        let more = [options, &["--ring-size", "262144"]].concat();
        let observer = Observer::start(&link.namespace, &directory, link.name, hook.script(), &more)?;
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Ok(Self { observer, hook, witness, capture, interface: (link.name, link.index), options })
    }

    /// The calls so far.
    pub fn calls(&self) -> Result<Vec<Call>> {
        self.hook.calls()
    }

    /// Waits until the `count`th call whose `OBSERVER_EVENT` is `event` and which names a lease.
    pub fn wait_for(&self, event: &str, count: usize, within: Duration) -> Result<()> {
        let wanted = |calls: &[Call]| calls.iter().filter(|call| is_end_of(call, event)).count() >= count;
        wait::until(&format!("event {event} number {count}"), within, || {
            Ok(wanted(&self.calls()?).then_some(()))
        })
        .with_context(|| {
            let calls = self.calls().unwrap_or_default();
            let told = calls.iter().map(|call| format!("{} {:?}", call.hook(), call.get("OBSERVER_EVENT")));
            format!("there were {:?}", told.collect::<Vec<_>>())
        })
    }

    /// Waits until as many leases have had an event of this name: a client may ask for each by itself.
    pub fn wait_for_leases(&self, event: &str, count: usize, within: Duration) -> Result<()> {
        self.wait_for(event, 1, within)?;
        wait::until(&format!("event {event} of {count} leases"), within, || {
            let calls = self.calls()?;
            let committed = calls.iter().filter(|call| is_end_of(call, event));
            let addresses: BTreeSet<&str> = committed
                .flat_map(|call| &call.env)
                .filter(|(name, _)| name.ends_with("_ADDRESS") && name.contains("LEASE"))
                .map(|(_, address)| address.as_str())
                .collect();
            Ok((addresses.len() >= count).then_some(()))
        })
    }

    /// The frames so far.
    pub fn frames(&self) -> Result<Vec<Frame>> {
        read_frames(&self.capture)
    }

    /// Ends both, and replays what the witness saw, with `settle` seconds after the last frame.
    pub fn finish(mut self, settle: u32) -> Result<Seen> {
        self.observer.stop()?;
        self.witness.signal(Signal::SIGINT)?;
        self.witness.wait(PATIENCE)?;
        let (name, index) = (self.interface.0, self.interface.1.to_string());
        let settle = settle.to_string();
        let mut options = vec!["--iface-name", name, "--iface-index", &index, "--settle", &settle];
        options.extend(self.options.iter().map(String::as_str));
        let replayed = replay_invocations(&self.capture, &options)?;
        Ok(Seen { calls: self.hook.calls()?, replayed, frames: read_frames(&self.capture)? })
    }
}

/// Whether a call is the last one of an event of this name.
fn is_end_of(call: &Call, event: &str) -> bool {
    let size = |name: &str| call.get(name).is_some_and(|size| size != "0");
    let names_one = ["LEASES4_SIZE", "LEASES6_SIZE", "DELETED_LEASES4_SIZE", "DELETED_LEASES6_SIZE"]
        .into_iter()
        .any(size);
    call.get("OBSERVER_EVENT") == Some(event)
        && (names_one || call.hook().ends_with("_expire") || call.hook().ends_with("_recover"))
}
