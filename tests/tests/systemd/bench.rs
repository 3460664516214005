//! A machine with the unit and a hook, beside a server and a client.

use std::fs;
use std::path::Path;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::v4::Client4;
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::Cable;
use observer_tests::need::{self, Need};
use observer_tests::observer::programs_by_links;
use observer_tests::scratch::Scratch;
use observer_tests::service::write_script;
use observer_tests::systemd::{Machine, NEEDS};
use observer_tests::wait;
use serde_json::Value;

/// How long anything may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(40);
pub const UNIT: &str = "dhcp-observer.service";
pub const CONFIG: &str = "/etc/dhcp-observer/config.toml";
/// What an operator adds whose hooks write somewhere: here beside the hook, in the directory that the test can see. What is
/// started again is so at once.
const WRITABLE: (&str, &str) = (
    "systemd/system/dhcp-observer.service.d/hooks.conf",
    "[Service]\nReadWritePaths=/mnt\nRestartSec=100ms\n",
);
pub const DUMP: &str = "[[hook]]\nname = \"dump\"\ncommand = \"/mnt/hook\"\n";

/// A file that is shipped for systemd.
pub fn shipped(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub fn config(hooks: &str) -> String {
    format!("[[interface]]\nname = \"s0\"\n{hooks}")
}

pub fn cannot() -> bool {
    need::missing(&NEEDS).is_some() || need::missing(&[Need::Program("kea-dhcp4")]).is_some()
}

/// A machine with the unit beside a server, and a client at the other end of the cable.
pub struct Bench {
    pub machine: Machine,
    pub hook: DumpHook,
    pub kea: Kea,
    pub cable: Cable,
    _scratch: Scratch,
}

impl Bench {
    /// With these hooks, and these files below `/etc`.
    pub fn new(hooks: &str, files: &[(&str, &str)]) -> Self {
        let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
        let server = &cable.server;
        let directory = scratch.directory("kea").unwrap();
        let plain = Config::plain(Family::V4).unwrap();
        let kea = Kea::start(&server.namespace, &directory, plain, Path::new("/bin/true")).unwrap();
        let (unit, user, config) = (shipped(UNIT), shipped("dhcp-observer.sysusers.conf"), config(hooks));
        let own = [
            ("systemd/system/dhcp-observer.service", &*unit),
            ("sysusers.d/dhcp-observer.conf", &user),
            ("dhcp-observer/config.toml", &config),
            WRITABLE,
        ];
        let directory = scratch.directory("machine").unwrap();
        fs::create_dir(directory.join("shared")).unwrap();
        // The unit's first call may come as soon as it is started.
        let hook = DumpHook::install(&directory.join("shared")).unwrap();
        let machine = Machine::boot(&server.namespace, &directory, &[&own, files].concat()).unwrap();
        machine.run(&["systemd-sysusers"]).unwrap();
        Self { machine, hook, kea, cable, _scratch: scratch }
    }

    pub fn systemctl(&self, words: &[&str]) {
        let words = [&["systemctl"], words, &[UNIT]].concat();
        self.machine.run(&words).unwrap_or_else(|error| panic!("{error:#}\n{}", self.journal()));
    }

    pub fn journal(&self) -> String {
        self.machine.journal(UNIT)
    }

    /// What it wrote to the journal, with all fields, as far as `journalctl` with these words finds it.
    pub fn records(&self, words: &[&str]) -> Vec<Value> {
        let words = [&["journalctl", "--output=json", "--identifier=dhcp-observer"], words].concat();
        let lines = self.machine.run(&words).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn property(&self, name: &str) -> String {
        self.machine.property(UNIT, name).unwrap()
    }

    /// Waits until a property is as wanted.
    #[track_caller]
    pub fn wait_for(&self, name: &str, wanted: impl Fn(&str) -> bool) -> String {
        let look = || Ok(Some(self.machine.property(UNIT, name)?).filter(|value| wanted(value)));
        wait::until(&format!("{name} as wanted"), SOON, look)
            .unwrap_or_else(|error| panic!("{error:#}: {}\n{}", self.property(name), self.journal()))
    }

    #[track_caller]
    pub fn wait_for_journal(&self, text: &str) {
        let look = || Ok(self.journal().contains(text).then_some(()));
        wait::until(&format!("{text:?} in the journal"), SOON, look)
            .unwrap_or_else(|error| panic!("{error:#}: {}", self.journal()));
    }

    pub fn client(&self, number: u8) -> Client4 {
        Client4::new(&self.cable, number).unwrap()
    }

    /// Waits for a call of the dumping hook about an address.
    #[track_caller]
    pub fn call(&self, hook_point: &str, address: &str) -> Call {
        let wanted = |call: &Call| {
            call.hook() == hook_point && call.any(&["LEASE4_ADDRESS", "LEASES4_AT0_ADDRESS"]) == Some(address)
        };
        self.hook
            .wait_for_call(&format!("{hook_point} of {address}"), SOON, wanted)
            .unwrap_or_else(|error| panic!("{error:#}\n{}", self.journal()))
    }

    /// Waits until a file of the shared directory is there, and gives what is in it.
    #[track_caller]
    pub fn told(&self, name: &str) -> String {
        let path = self.machine.shared().join(name);
        wait::until(name, SOON, || Ok(fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))))
            .unwrap_or_else(|error| panic!("{error:#}\n{}", self.journal()))
    }

    pub fn status(&self) -> Value {
        let told = self.machine.run(&["dhcp-observer", "status", "--json"]);
        serde_json::from_str(&told.unwrap_or_else(|error| panic!("{error:#}\n{}", self.journal()))).unwrap()
    }

    /// How many pins there are, of any observer. Directories are none.
    pub fn pins(&self) -> usize {
        let found = self.machine.run(&["find", "/sys/fs/bpf", "-path", "*/dhcp-observer/*", "-type", "f"]);
        found.unwrap().lines().count()
    }

    /// How many of the observer's programs are attached by TCX.
    pub fn programs(&self) -> usize {
        programs_by_links(&self.cable.server).unwrap()
    }
}

/// A hook that runs a shell script; its table needs nothing else. The script's directory is the shared one.
pub fn shell_hook(bench: &Bench, name: &str, script: &str, more: &str) -> String {
    write_script(&bench.machine.shared(), name, &format!("#!/bin/sh\n{script}\n")).unwrap();
    format!("[[hook]]\nname = {name:?}\ncommand = \"/mnt/{name}\"\nindependent = true\n{more}\n")
}

/// A value of a file of `/proc/PID/status`, in hexadecimal.
pub fn set(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
    u64::from_str_radix(value.trim(), 16).unwrap()
}
