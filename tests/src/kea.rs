//! Debian's Kea with its `run_script` library in a namespace.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::descendants::Descendants;
use crate::golden::Recording;
use crate::netns::Namespace;
use crate::process::Process;

/// How long Kea may take to open its sockets, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `kea-dhcp4`.
    V4,
    /// `kea-dhcp6`.
    V6,
}

impl Family {
    fn key(self) -> &'static str {
        match self {
            Self::V4 => "Dhcp4",
            Self::V6 => "Dhcp6",
        }
    }

    /// The name of the server's program.
    pub fn program(self) -> &'static str {
        match self {
            Self::V4 => "kea-dhcp4",
            Self::V6 => "kea-dhcp6",
        }
    }

    fn started(self) -> &'static str {
        match self {
            Self::V4 => "DHCP4_STARTED",
            Self::V6 => "DHCP6_STARTED",
        }
    }
}

/// A configuration for Kea: that of a recording, with what a test changes in it.
///
/// The recordings have the reclaim timer at 1 s, leases in memory only, and no control socket.
#[derive(Clone, Debug)]
pub struct Config {
    family: Family,
    parameters: Value,
    libraries: Vec<Value>,
    runs_script: bool,
}

impl Config {
    /// The configuration of a recording.
    pub fn recorded(recording: &Recording) -> Result<Self> {
        let file = recording.kea_config();
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let mut json: Value = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        let family = if json.get("Dhcp4").is_some() { Family::V4 } else { Family::V6 };
        let parameters = json.get_mut(family.key()).map(Value::take).context("neither Dhcp4 nor Dhcp6")?;
        let mut config = Self { family, parameters, libraries: Vec::new(), runs_script: true };
        // The script is the caller's; whatever else was loaded is loaded again, from where this machine has it.
        let recorded = config.parameters["hooks-libraries"].as_array().cloned().unwrap_or_default();
        let names = recorded.iter().filter_map(|library| library["library"].as_str()?.rsplit('/').next());
        for name in names.filter(|name| *name != "libdhcp_run_script.so") {
            config = config.library(name)?;
        }
        Ok(config)
    }

    /// The configuration of the recordings for four-step exchanges, valid and preferred lifetimes of 600 and 300 s.
    pub fn plain(family: Family) -> Result<Self> {
        Self::recorded(&Recording::named(match family {
            Family::V4 => "kea-v4-dora",
            Family::V6 => "kea-v6-sarr",
        }))
    }

    /// Sets a global parameter, such as `valid-lifetime`.
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters[name] = value.into();
        self
    }

    /// Leases of this many seconds, whose clients renew and rebind after so many. What DHCPv4 clients ask for makes no
    /// difference.
    pub fn lasting(self, valid: u32, renew: u32, rebind: u32) -> Self {
        let config = self.set("valid-lifetime", valid).set("renew-timer", renew).set("rebind-timer", rebind);
        match config.family {
            Family::V4 => config.set("min-valid-lifetime", valid),
            Family::V6 => config,
        }
    }

    /// Sets what a JSON pointer names below the family's object, such as `/subnet4/0/pools`. The object (or list, with
    /// `-` for a new element) that holds it must exist.
    pub fn at(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (holder, name) = pointer.rsplit_once('/').expect("a JSON pointer begins with a slash");
        match self.parameters.pointer_mut(holder) {
            Some(Value::Object(object)) => drop(object.insert(name.to_owned(), value.into())),
            Some(Value::Array(list)) if name == "-" => list.push(value.into()),
            Some(Value::Array(list)) => list[name.parse::<usize>().expect("an index")] = value.into(),
            _ => panic!("nothing at {holder} in the configuration"),
        }
        self
    }

    /// Has Kea keep its leases in a file beside its configuration.
    pub fn persistent(self) -> Self {
        self.at(
            "/lease-database",
            json!({ "type": "memfile", "persist": true, "name": "leases.csv", "lfc-interval": 0 }),
        )
    }

    /// Opens Kea's control channel, for [`Kea::statistic`].
    pub fn controlled(mut self) -> Self {
        self.parameters["control-socket"] = json!({ "socket-type": "unix", "socket-name": "control" });
        self
    }

    /// Loads another of Kea's hook libraries, such as `libdhcp_bootp.so`.
    pub fn library(mut self, name: &str) -> Result<Self> {
        self.libraries.push(json!({ "library": library(name)? }));
        Ok(self)
    }

    /// Has Kea call no script, so that it answers as fast as it can.
    pub fn without_script(mut self) -> Self {
        self.runs_script = false;
        self
    }

    /// Which of the two servers this is for.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Gives the DHCPv6 server this DUID-LLT, so that queries recorded with another server find this one.
    pub fn server_duid(self, duid: &[u8]) -> Result<Self> {
        let number = |from: usize, to: usize| -> Result<u64> {
            let octets = duid.get(from..to).context("not a DUID-LLT")?;
            Ok(octets.iter().fold(0, |value, &octet| value << 8 | u64::from(octet)))
        };
        anyhow::ensure!(number(0, 2)? == 1, "not a DUID-LLT");
        let hardware: String = duid[8..].iter().map(|octet| format!("{octet:02X}")).collect();
        let id = json!({ "type": "LLT", "htype": number(2, 4)?, "time": number(4, 8)?, "identifier": hardware, "persist": false });
        Ok(self.set("server-id", id))
    }

    /// The configuration as Kea reads it, with `script` as the hook.
    fn render(mut self, script: &Path) -> Result<String> {
        let mut libraries = self.libraries;
        if self.runs_script {
            let parameters = json!({ "name": script, "sync": false });
            libraries.push(json!({ "library": library("libdhcp_run_script.so")?, "parameters": parameters }));
        }
        self.parameters["hooks-libraries"] = libraries.into();
        self.parameters["loggers"] = json!([{
            "name": self.family.program(), "severity": "INFO", "output_options": [{ "output": "stdout" }],
        }]);
        Ok(serde_json::to_string_pretty(&json!({ self.family.key(): self.parameters }))?)
    }
}

/// One of Kea's hook libraries, whose directory is named after the architecture.
fn library(name: &str) -> Result<PathBuf> {
    let directories = std::fs::read_dir("/usr/lib").context("/usr/lib")?.flatten();
    let candidates = directories.map(|entry| entry.path().join("kea/hooks").join(name));
    candidates.into_iter().find(|file| file.is_file()).with_context(|| format!("no {name} below /usr/lib"))
}

/// A running server.
#[derive(Debug)]
pub struct Kea {
    process: Process,
    scripts: Descendants,
    config: PathBuf,
}

impl Kea {
    /// Starts the server and waits until its sockets are open. Its files are in `directory`.
    pub fn start(namespace: &Namespace, directory: &Path, config: Config, script: &Path) -> Result<Self> {
        let (family, file) = (config.family, directory.join("kea.conf"));
        std::fs::write(&file, config.render(script)?).with_context(|| file.display().to_string())?;
        let mut command = namespace.command(family.program());
        command.arg("-c").arg(&file).current_dir(directory);
        command.env("KEA_PIDFILE_DIR", directory).env("KEA_LOCKFILE_DIR", directory);
        let scripts = Descendants::follow(&mut command)?;
        let mut process = Process::start(family.program(), command, directory)?;
        process.wait_for_log(family.started(), PATIENCE)?;
        Ok(Self { process, scripts, config: file })
    }

    /// The configuration file that it runs with.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Ends it in order.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.process.stop(PATIENCE)?;
        anyhow::ensure!(status.success(), "Kea ended with {status}");
        Ok(())
    }

    /// Waits until every script that it started has ended, once it has itself.
    pub fn wait_for_scripts(&mut self) -> Result<()> {
        self.scripts.wait(PATIENCE)
    }

    /// The present value of one of its statistics, such as `pkt4-ack-sent`; the configuration must be
    /// [`Config::controlled`].
    pub fn statistic(&self, name: &str) -> Result<u64> {
        let socket = self.config.with_file_name("control");
        let mut channel = UnixStream::connect(&socket).with_context(|| socket.display().to_string())?;
        let command = json!({ "command": "statistic-get", "arguments": { "name": name } });
        channel.write_all(command.to_string().as_bytes())?;
        let mut answer = String::new();
        channel.read_to_string(&mut answer)?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| answer.clone())?;
        let value = answer.pointer(&format!("/arguments/{name}/0/0")).and_then(Value::as_u64);
        value.with_context(|| format!("no statistic {name}: {answer}"))
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        self.process.stdout()
    }
}
