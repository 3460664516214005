//! Kea, an observer that comes and goes with one state directory, and a hook that can be held.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use observer_tests::client::v4::Client4;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::{Observer, binary};
use observer_tests::scratch::Scratch;
use observer_tests::wait;
use serde_json::Value;

/// How long a hook may take to be started.
pub const SOON: Duration = Duration::from_secs(30);
/// What the tests need of the machine.
pub const NEEDS: [Need; 2] = [Need::Root, Need::Program("kea-dhcp4")];

/// A call as the hook wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub word: String,
    pub address: String,
    pub event: u64,
    pub attempt: u32,
    /// OBSERVER_LATE, OBSERVER_GAP, OBSERVER_REPLAY.
    pub marks: String,
}

pub struct Bench {
    pub cable: Cable,
    pub scratch: Scratch,
    hook: PathBuf,
    log: PathBuf,
    hold: PathBuf,
    fail: PathBuf,
    _kea: Kea,
    lives: usize,
}

impl Bench {
    /// With leases of so many seconds, if that matters.
    pub fn new(lifetime: Option<u32>) -> Self {
        let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
        let mut config = Config::plain(Family::V4).unwrap();
        if let Some(seconds) = lifetime {
            config = config
                .set("min-valid-lifetime", 1)
                .set("renew-timer", 1)
                .set("rebind-timer", 2)
                .set("valid-lifetime", seconds);
        }
        let directory = scratch.directory("kea").unwrap();
        let kea = Kea::start(&cable.server.namespace, &directory, config, Path::new("/bin/true")).unwrap();
        let [hook, log, hold, fail] =
            ["hook.sh", "log", "hold", "fail"].map(|name| scratch.path().join(name));
        let script = format!(
            "#!/bin/sh\n\
             echo \"$1 ${{LEASE4_ADDRESS:-${{LEASES4_AT0_ADDRESS:-none}}}} $OBSERVER_EVENT_ID $OBSERVER_ATTEMPT \
             ${{OBSERVER_LATE:-0}}${{OBSERVER_GAP:-0}}${{OBSERVER_REPLAY:-0}}\" >>{}\n\
             while [ -e {} ]; do /bin/sleep 0.05; done\n[ ! -e {} ]\n",
            log.display(),
            hold.display(),
            fail.display(),
        );
        fs::write(&hook, script).unwrap();
        fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { cable, scratch, hook, log, hold, fail, _kea: kea, lives: 0 }
    }

    /// The hook's program.
    pub fn hook(&self) -> &Path {
        &self.hook
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.scratch.path().join("state")
    }

    /// Starts an observer on the state directory, with a log of its own.
    pub fn observe(&mut self, options: &[&str]) -> Observer {
        let state = self.state();
        self.observe_at(&state, options)
    }

    /// The same on another one.
    pub fn observe_at(&mut self, state: &Path, options: &[&str]) -> Observer {
        self.lives += 1;
        let directory = self.scratch.directory(&format!("life{}", self.lives)).unwrap();
        let server = &self.cable.server;
        let options = [&["--state-dir", state.to_str().unwrap()], options].concat();
        Observer::start(&server.namespace, &directory, server.name, &self.hook, &options).unwrap()
    }

    pub fn client(&self, number: u8) -> Client4 {
        Client4::new(&self.cable, number).unwrap()
    }

    /// Hooks do not end from now on, or again.
    pub fn hold(&self, holds: bool) {
        mark(&self.hold, holds);
    }

    /// Hooks fail from now on, or no more.
    pub fn fail(&self, fails: bool) {
        mark(&self.fail, fails);
    }

    /// What the hook was told so far.
    pub fn told(&self) -> Vec<Told> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let told = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [word, address, event, attempt, marks] = words[..] else { panic!("{line:?}") };
            Told {
                word: word.to_owned(),
                address: address.to_owned(),
                event: event.parse().unwrap(),
                attempt: attempt.parse().unwrap(),
                marks: marks.to_owned(),
            }
        };
        text.lines().map(told).collect()
    }

    /// Waits until the hook was told so much.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Told> {
        wait::until(&format!("{count} calls"), SOON, || Ok((self.told().len() >= count).then_some(())))
            .unwrap_or_else(|error| panic!("{error:#}: {:#?}", self.told()));
        self.told()
    }

    /// Runs `dhcp-observer events` with these arguments.
    pub fn events(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary().unwrap());
        command.arg("events").args(arguments).arg("--state-dir").arg(self.state());
        command.output().unwrap()
    }

    /// What `dhcp-observer events --json` shows.
    pub fn listed(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.events(&[&["--json"], arguments].concat());
        let (stdout, stderr) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(output.status.success(), "{stderr}");
        String::from_utf8(stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until so many calls are in this state.
    #[track_caller]
    pub fn wait_for_state(&self, state: &str, count: usize) {
        let in_state = || self.listed(&[]).into_iter().filter(|call| call["state"] == state).count();
        wait::until(&format!("{count} calls that are {state}"), SOON, || {
            Ok((in_state() == count).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}: {:#?}", self.listed(&[])));
    }
}

impl Drop for Bench {
    /// A hook that is held would outlive the test.
    fn drop(&mut self) {
        self.hold(false);
    }
}

fn mark(path: &Path, set: bool) {
    if set {
        fs::write(path, "").unwrap();
    } else {
        let _ = fs::remove_file(path);
    }
}

/// Words and addresses alone.
pub fn story(told: &[Told]) -> Vec<(&str, &str)> {
    told.iter().map(|told| (told.word.as_str(), told.address.as_str())).collect()
}
