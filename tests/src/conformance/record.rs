//! A scenario as a recording: what was on the wire, and how the real Kea called its script.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::capture::read_frames;
use crate::conformance::scenario::Scenario;
use crate::conformance::shows;
use crate::conformance::stage::Stage;
use crate::link::Cable;
use crate::process::Process;
use crate::wait;

/// How long tcpdump may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// The ports of DHCP, and the later fragments of its datagrams.
const FILTER: &str = "udp port 67 or udp port 68 or udp port 546 or udp port 547 or ip[6:2] & 0x1fff != 0 or ip6[6] == 44";
/// What stands in a recording for the path of the script that was called.
const SCRIPT: &str = "/var/log/kea-hook/hook";

/// Plays a scenario and writes `tests/golden/<name>`.
pub fn record(name: &str, scenario: &Scenario) -> Result<()> {
    ensure!(
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-'),
        "{name:?} is not the name of a recording: letters, digits and hyphens"
    );
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if directory.exists() {
        bail!("{} is there already", directory.display());
    }
    let spool = crate::scratch::Scratch::new()?;
    let capture = spool.path().join("capture.pcap");
    let mut tcpdump = None;
    let mut stage = Stage::set(scenario, |cable| {
        tcpdump = Some(start(cable, &capture, spool.path())?);
        Ok(())
    })?;
    (scenario.traffic)(&mut stage).context("the traffic failed")?;
    let config = std::fs::read_to_string(stage.kea_config().context("Kea is not running")?)?;
    let story = stage.strike()?;
    let mut tcpdump = tcpdump.context("tcpdump was not started")?;
    finish(&mut tcpdump, &capture)?;
    if let Some(complaint) = shows::complaint(scenario.shows, &story.real) {
        bail!("{complaint}");
    }

    std::fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    std::fs::copy(&capture, directory.join("capture.pcap")).context("capture.pcap")?;
    std::fs::write(directory.join("invocations.jsonl"), lines(story.real)).context("invocations.jsonl")?;
    std::fs::write(directory.join("kea.conf"), neutral(&config)?).context("kea.conf")?;
    let (test, frames) = (name.replace('-', "_"), read_frames(&capture)?.len());
    println!(
        "{}: {frames} frames\nTo have the tests replay it, add\n    \"{name}\",\nto KEA in tests/src/golden.rs \
         (and to its length), and\n    {test} = \"{name}\",\nto tests/tests/golden.rs at the same place; and a line to \
         the table in tests/golden/README.md.",
        directory.display()
    );
    Ok(())
}

fn start(cable: &Cable, file: &PathBuf, spool: &Path) -> Result<Process> {
    let mut command = cable.server.namespace.command("tcpdump");
    command.args(["-i", cable.server.name, "-U", "--immediate-mode", "-s", "0", "-Z", "root", "-w"]).arg(file);
    command.arg(FILTER);
    let mut tcpdump = Process::start("tcpdump", command, spool)?;
    tcpdump.wait_for_log("listening on", PATIENCE)?;
    Ok(tcpdump)
}

/// Ends tcpdump when it has written the last frame: Kea's answer to the fence at the end of every story.
fn finish(tcpdump: &mut Process, file: &Path) -> Result<()> {
    let mut before = None;
    wait::until("end of the capture", PATIENCE, || {
        // A file that is being written may end in the middle of a frame.
        let now = read_frames(file).ok().map(|frames| frames.len());
        let settled = now.is_some() && now == before;
        before = now;
        Ok(settled.then_some(()))
    })?;
    tcpdump.stop(PATIENCE)?;
    Ok(())
}

/// The calls as JSON lines, by time, their variables by name.
fn lines(mut calls: Vec<Call>) -> String {
    calls.sort_by(|a, b| a.at.total_cmp(&b.at));
    let line = |call: Call| {
        let mut variables = call.env;
        variables.sort();
        let env: Map<String, Value> = variables.into_iter().map(|(name, value)| (name, value.into())).collect();
        format!("{}\n", json!({ "t": call.at, "argv": call.argv, "env": env }))
    };
    calls.into_iter().map(line).collect()
}

/// The configuration without the temporary path of the script.
fn neutral(config: &str) -> Result<String> {
    let mut config: Value = serde_json::from_str(config)?;
    for family in ["Dhcp4", "Dhcp6"] {
        let libraries = config.pointer_mut(&format!("/{family}/hooks-libraries")).and_then(Value::as_array_mut);
        for library in libraries.into_iter().flatten() {
            if let Some(name) = library.pointer_mut("/parameters/name") {
                *name = SCRIPT.into();
            }
        }
    }
    Ok(serde_json::to_string_pretty(&config)? + "\n")
}
