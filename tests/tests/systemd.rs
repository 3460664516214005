//! The shipped unit under a real systemd: what it promises, and that its sandbox leaves hooks their work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use observer_tests::call::Call;
use observer_tests::client::message4::Kind;
use observer_tests::client::v4::Client4;
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::Cable;
use observer_tests::need::{self, Need};
use observer_tests::observer::programs_by_links;
use observer_tests::process::Process;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::service::write_script;
use observer_tests::systemd::{Machine, NEEDS};
use observer_tests::wait;
use serde_json::Value;

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(40);
const UNIT: &str = "dhcp-observer.service";
const CONFIG: &str = "/etc/dhcp-observer/config.toml";
/// What an operator adds whose hooks write somewhere: here beside the hook, in the directory that the test can see.
const WRITABLE: (&str, &str) =
    ("systemd/system/dhcp-observer.service.d/hooks.conf", "[Service]\nReadWritePaths=/mnt\n");
const DUMP: &str = "[[hook]]\nname = \"dump\"\ncommand = \"/mnt/hook\"\n";

/// What the sandbox is there for. Nothing of it may end the script by a signal.
const REFUSED: &str = "cd /mnt
try() { \"$@\" 2>/dev/null; status=$?; [ $status -gt 0 ] && [ $status -lt 128 ] && echo \"$what\" >>list; }
what=etc; try touch /etc/here
what=usr; try touch /usr/here
what=module; try modprobe dummy
what=mount; try mount -t tmpfs tmpfs /mnt
what=swap; try swapoff /mnt/none
what=time; try date --set=2020-01-01
mv list refusals";

/// A file that is shipped for systemd.
fn shipped(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn config(hooks: &str) -> String {
    format!("[[interface]]\nname = \"s0\"\n{hooks}")
}

fn cannot() -> bool {
    need::missing(&NEEDS).is_some() || need::missing(&[Need::Program("kea-dhcp4")]).is_some()
}

/// A machine with the unit beside a server, and a client at the other end of the cable.
struct Bench {
    machine: Machine,
    hook: DumpHook,
    _kea: Kea,
    cable: Cable,
    _scratch: Scratch,
}

impl Bench {
    /// With these hooks, and these files below `/etc`.
    fn new(hooks: &str, files: &[(&str, &str)]) -> Self {
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
        Self { machine, hook, _kea: kea, cable, _scratch: scratch }
    }

    fn systemctl(&self, words: &[&str]) {
        let words = [&["systemctl"], words, &[UNIT]].concat();
        self.machine.run(&words).unwrap_or_else(|error| panic!("{error:#}\n{}", self.journal()));
    }

    fn journal(&self) -> String {
        self.machine.journal(UNIT)
    }

    /// What it wrote to the journal, with all fields, as far as `journalctl` with these words finds it.
    fn records(&self, words: &[&str]) -> Vec<Value> {
        let words = [&["journalctl", "--output=json", "--identifier=dhcp-observer"], words].concat();
        let lines = self.machine.run(&words).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn property(&self, name: &str) -> String {
        self.machine.property(UNIT, name).unwrap()
    }

    /// Waits until a property is as wanted.
    #[track_caller]
    fn wait_for(&self, name: &str, wanted: impl Fn(&str) -> bool) -> String {
        let look = || Ok(Some(self.machine.property(UNIT, name)?).filter(|value| wanted(value)));
        wait::until(&format!("{name} as wanted"), SOON, look)
            .unwrap_or_else(|error| panic!("{error:#}: {}\n{}", self.property(name), self.journal()))
    }

    #[track_caller]
    fn wait_for_journal(&self, text: &str) {
        let look = || Ok(self.journal().contains(text).then_some(()));
        wait::until(&format!("{text:?} in the journal"), SOON, look)
            .unwrap_or_else(|error| panic!("{error:#}: {}", self.journal()));
    }

    fn client(&self, number: u8) -> Client4 {
        Client4::new(&self.cable, number).unwrap()
    }

    /// Waits for a call of the dumping hook about an address.
    #[track_caller]
    fn call(&self, hook_point: &str, address: &str) -> Call {
        let wanted = |call: &Call| {
            call.hook() == hook_point && call.any(&["LEASE4_ADDRESS", "LEASES4_AT0_ADDRESS"]) == Some(address)
        };
        self.hook
            .wait_for_call(&format!("{hook_point} of {address}"), SOON, wanted)
            .unwrap_or_else(|error| panic!("{error:#}\n{}", self.journal()))
    }

    /// Waits until a file of the shared directory is there, and gives what is in it.
    #[track_caller]
    fn told(&self, name: &str) -> String {
        let path = self.machine.shared().join(name);
        wait::until(name, SOON, || Ok(fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))))
            .unwrap_or_else(|error| panic!("{error:#}\n{}", self.journal()))
    }

    fn status(&self) -> Value {
        let told = self.machine.run(&["dhcp-observer", "status", "--json"]);
        serde_json::from_str(&told.unwrap_or_else(|error| panic!("{error:#}\n{}", self.journal()))).unwrap()
    }

    /// How many observers' pins there are.
    fn pins(&self) -> usize {
        let pins = self.machine.path("/sys/fs/bpf/dhcp-observer");
        fs::read_dir(pins).map(|entries| entries.count()).unwrap_or_default()
    }

    fn programs(&self) -> usize {
        programs_by_links(&self.cable.server).unwrap()
    }
}

#[test]
fn it_starts_reloads_and_stops() {
    require!(Need::Program("curl"), Need::Program("setpriv"));
    if cannot() {
        return;
    }
    let slow = "[[hook]]\nname = \"slow\"\ncommand = [\"/bin/sh\", \"-c\", \
                \"echo begun >/mnt/begun; sleep 2; echo ended >/mnt/ended\"]\nevents = [\"lease4_release\"]\n";
    let log = "[log]\nformat = \"journald\"\n[control]\ngroup = \"adm\"\nmetrics = \"127.0.0.1:9167\"\n";
    let bench = Bench::new(&format!("{DUMP}{log}"), &[]);
    bench.systemctl(&["enable", "--now"]);
    assert_eq!(bench.property("ActiveState"), "active");
    assert_eq!(bench.property("StatusText"), "observing s0");
    // systemd took it for started when everything was attached, and not before. Stamps are in microseconds, of the sender.
    bench.wait_for_journal("ready: ");
    let ready = bench.records(&["--grep=^ready: "]).remove(0);
    let ready = ready["_SOURCE_REALTIME_TIMESTAMP"].as_str().unwrap().parse::<u64>().unwrap();
    let active = bench.machine.run(&["date", "--date", &bench.property("ActiveEnterTimestamp"), "+%s%6N"]);
    let active = active.unwrap().trim().parse::<u64>().unwrap();
    assert!(ready <= active && active - ready < 60_000_000, "active at {active}, ready at {ready}");
    let journal = bench.journal();
    assert!(bench.pins() > 0 && bench.programs() == 2, "{journal}");

    let mut client = bench.client(1);
    let address = client.bind().unwrap().yiaddr.to_string();
    bench.call("leases4_committed", &address);
    let status = bench.status();
    assert_eq!(status["gauges"]["leases4"], 1, "{status:#}");
    assert_eq!(status["interfaces"][0]["name"], "s0");

    // What looks at frames has a user of its own and no rights.
    let status = bench.machine.path(&format!("/proc/{}/status", bench.property("MainPID")));
    let status = fs::read_to_string(status).unwrap();
    let user = bench.machine.run(&["id", "--user", "dhcp-observer"]).unwrap();
    let all_four = [user.trim(); 4].join("\t");
    assert!(user.trim() != "0" && status.contains(&format!("Uid:\t{all_four}\n")), "{user} {status}");
    assert_eq!((set(&status, "CapPrm"), set(&status, "CapBnd")), (0, 0), "{status}");
    // So does what it keeps, which root's commands read all the same.
    let owner = bench.machine.run(&["stat", "--format=%U %a", "/var/lib/dhcp-observer"]).unwrap();
    assert_eq!(owner, "dhcp-observer 700\n");
    let events = bench.machine.run(&["dhcp-observer", "events"]).unwrap();
    assert!(events.contains(&address), "{events}");
    let ask = |group: &str| {
        let words = ["setpriv", "--reuid=nobody", group, "--clear-groups", "dhcp-observer", "status"];
        bench.machine.output(&words).unwrap()
    };
    let (member, stranger) = (ask("--regid=adm"), ask("--regid=nogroup"));
    assert!(member.status.success() && !stranger.status.success(), "{member:?} {stranger:?}");
    let metrics =
        bench.machine.run(&["curl", "--silent", "--fail", "http://127.0.0.1:9167/metrics"]).unwrap();
    assert!(metrics.contains("dhcp_observer_leases"), "{metrics}");

    // A file that is wrong changes nothing, and it is said what is wrong with it.
    bench.machine.write(CONFIG, &config("[[hook]]\nname = \"x\"\n")).unwrap();
    let refused = bench.machine.output(&["systemctl", "reload", UNIT]).unwrap();
    assert!(!refused.status.success(), "{}", bench.journal());
    bench.wait_for_journal("config.toml:3");
    assert_eq!(bench.property("ActiveState"), "active");
    assert!(client.renew().unwrap().is(Kind::Ack));
    bench.call("lease4_renew", &address);

    bench.machine.write(CONFIG, &config(&format!("{DUMP}{slow}{log}"))).unwrap();
    let before = bench.property("MainPID");
    bench.systemctl(&["reload"]);
    bench.wait_for("ActiveState", |state| state == "active");
    wait::until("second hook", SOON, || {
        Ok((bench.status()["hooks"].as_array().map(Vec::len) == Some(2)).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {}", bench.journal()));
    assert_eq!(bench.property("MainPID"), before);

    // A hook that runs when it is stopped is let end.
    client.release().unwrap();
    bench.call("lease4_release", &address);
    bench.told("begun");
    bench.systemctl(&["stop"]);
    let journal = bench.journal();
    assert_eq!(bench.property("Result"), "success", "{journal}");
    assert_eq!((bench.property("ExecMainCode"), bench.property("ExecMainStatus")), ("1".into(), "0".into()));
    assert_eq!(bench.property("NRestarts"), "0");
    assert!(bench.machine.shared().join("ended").exists(), "{journal}");
    assert_eq!((bench.pins(), bench.programs()), (0, 0), "{journal}");
    assert!(!bench.machine.path("/run/dhcp-observer").exists());
    assert!(bench.machine.path("/var/lib/dhcp-observer/observer.db").exists());
}

#[test]
fn killed_it_is_started_again_and_nothing_is_lost() {
    require!(Need::Program("pgrep"));
    if cannot() {
        return;
    }
    let bench = Bench::new(DUMP, &[]);
    let script = "[ ! -e /mnt/attempted ] || exit 0\n\
                  echo $OBSERVER_ATTEMPT >>/mnt/attempts\n\
                  [ $OBSERVER_ATTEMPT = 2 ] || exec sleep 1000\n\
                  pgrep -x sleep >>/mnt/attempts\n\
                  mv /mnt/attempts /mnt/attempted";
    let filter = "events = [\"leases4_committed\"]\nfilter = { hwaddr = \"02:aa:bb:00:00:01\" }";
    let slow = shell_hook(&bench, "slow", script, filter);
    bench.machine.write(CONFIG, &config(&format!("{DUMP}{slow}"))).unwrap();
    bench.systemctl(&["start"]);
    let (mut one, mut two) = (bench.client(1), bench.client(2));
    let a = one.bind().unwrap().yiaddr.to_string();
    let first = bench.call("leases4_committed", &a);
    bench.told("attempts");
    bench.systemctl(&["kill", "--kill-whom=main", "--signal=KILL"]);
    bench.wait_for("SubState", |state| state == "auto-restart");
    // Nobody observes now, but the kernel.
    assert_eq!(bench.programs(), 2);
    let b = two.bind().unwrap().yiaddr.to_string();
    assert!(one.renew().unwrap().is(Kind::Ack));
    assert_eq!(bench.property("SubState"), "auto-restart", "that was too slow");
    bench.wait_for("ActiveState", |state| state == "active");
    assert_eq!(bench.property("NRestarts"), "1");
    bench.call("leases4_committed", &b);
    let renewed = bench.call("lease4_renew", &a);
    assert_eq!(renewed.get("OBSERVER_LATE"), Some("1"));
    // The hook that ran went with the observer, so it never runs twice at the same time.
    assert_eq!(bench.told("attempted"), "1\n2\n");
    assert_eq!(bench.status()["counts"]["kernel"]["lost"], 0, "{}", bench.journal());
    assert!(one.renew().unwrap().is(Kind::Ack));
    wait::until("second renewal", SOON, || {
        let calls = bench.hook.calls()?;
        Ok((calls.iter().filter(|call| call.hook() == "lease4_renew").count() == 2).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {}", bench.journal()));
    // What was told before is told once, unless its end was not stored.
    let of_first = |call: &&Call| call.get("OBSERVER_EVENT_ID") == first.get("OBSERVER_EVENT_ID");
    let calls = bench.hook.calls().unwrap();
    let attempts: Vec<_> =
        calls.iter().filter(of_first).map(|call| call.get("OBSERVER_ATTEMPT").unwrap()).collect();
    assert!(attempts == ["1"] || attempts == ["1", "2"], "{attempts:?}");
    bench.systemctl(&["stop"]);
    assert_eq!(bench.property("Result"), "success");
    assert_eq!((bench.pins(), bench.programs()), (0, 0));
}

#[test]
fn the_watchdog_is_content_until_it_stands_still() {
    if cannot() {
        return;
    }
    let short = ("systemd/system/dhcp-observer.service.d/watchdog.conf", "[Service]\nWatchdogSec=2s\n");
    let bench = Bench::new(DUMP, &[short]);
    bench.systemctl(&["start"]);
    let microseconds = |name: &str| bench.property(name).parse::<u64>().unwrap();
    let started = microseconds("ActiveEnterTimestampMonotonic");
    // Longer than twice its limit, by its own word.
    wait::until("word to the watchdog", SOON, || {
        let heard = microseconds("WatchdogTimestampMonotonic");
        Ok((heard >= started + 5_000_000).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {}", bench.journal()));
    assert_eq!((bench.property("NRestarts"), bench.property("ActiveState")), ("0".into(), "active".into()));

    bench.systemctl(&["kill", "--kill-whom=main", "--signal=STOP"]);
    bench.wait_for("NRestarts", |restarts| restarts == "1");
    bench.wait_for("ActiveState", |state| state == "active");
    let address = bench.client(1).bind().unwrap().yiaddr.to_string();
    bench.call("leases4_committed", &address);
}

#[test]
fn the_journal_knows_how_grave_a_line_is() {
    if cannot() {
        return;
    }
    for format in ["text", "journald"] {
        let log = format!("[log]\nformat = {format:?}\n");
        let bench = Bench::new(&format!("{DUMP}{log}"), &[]);
        bench.systemctl(&["start"]);
        bench.machine.write(CONFIG, &config("[[hook]]\nname = \"x\"\n")).unwrap();
        // Without the check of `systemctl reload`.
        bench.systemctl(&["kill", "--kill-whom=main", "--signal=HUP"]);
        bench.wait_for_journal("config.toml:3");
        let grave = bench.records(&["--priority=err"]);
        let text = |record: &Value| record["MESSAGE"].as_str().unwrap().to_owned();
        let grave: Vec<_> = grave.iter().map(text).collect();
        assert!(grave.len() == 2 && grave[0].contains("not reloaded"), "{format}: {grave:?}");
        let ready = bench.records(&["--priority=info..info", "--grep=ready: "]);
        assert_eq!(ready.len(), 1, "{format}: {}", bench.journal());
        // The journal has the time of each line.
        assert!(!text(&ready[0]).contains("20"), "{format}: {ready:?}");
        assert_eq!(ready[0]["_SYSTEMD_UNIT"], UNIT, "{format}: {ready:?}");
    }
}

/// An upgrade: what is pinned outlives a stop where the operator asks for it, and nothing that comes meanwhile is missed.
#[test]
fn asked_to_keep_it_leaves_the_capture_to_the_next() {
    if cannot() {
        return;
    }
    let keep = (
        "systemd/system/dhcp-observer.service.d/keep.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/dhcp-observer --user dhcp-observer --keep\n",
    );
    let bench = Bench::new(DUMP, &[keep]);
    bench.systemctl(&["start"]);
    bench.systemctl(&["stop"]);
    assert_eq!(bench.property("Result"), "success", "{}", bench.journal());
    assert!(bench.pins() > 0 && bench.programs() == 2, "{}", bench.journal());
    let address = bench.client(1).bind().unwrap().yiaddr.to_string();
    bench.systemctl(&["restart"]);
    assert_eq!(bench.call("leases4_committed", &address).get("OBSERVER_LATE"), Some("1"));
    bench.systemctl(&["stop"]);
    let told = bench.machine.run(&["dhcp-observer", "detach"]).unwrap();
    assert_eq!((bench.pins(), bench.programs()), (0, 0), "{told}");
}

/// What is wrong is said where an operator looks, by `systemctl start` and in the journal.
#[test]
fn it_does_not_start_with_what_cannot_be() {
    if cannot() {
        return;
    }
    let bench = Bench::new("[[hook]]\nname = \"x\"\n", &[]);
    let refused = |text: &str| {
        let output = bench.machine.output(&["systemctl", "start", UNIT]).unwrap();
        assert!(!output.status.success(), "{}", bench.journal());
        bench.wait_for_journal(text);
        assert_eq!(bench.property("Result"), "exit-code");
        bench.systemctl(&["stop"]);
        assert_eq!((bench.pins(), bench.programs()), (0, 0));
    };
    refused("config.toml:3");
    // An interface that is not there, and a right that the unit does not give.
    bench.machine.write(CONFIG, &format!("[[interface]]\nname = \"none0\"\n{DUMP}")).unwrap();
    refused("none0");
    // It is tried again until the interface has come.
    assert!(!bench.machine.output(&["systemctl", "start", UNIT]).unwrap().status.success());
    bench
        .cable
        .server
        .namespace
        .ip(&["link", "add", "none0", "type", "veth", "peer", "name", "none1"])
        .unwrap();
    bench.wait_for("ActiveState", |state| state == "active");
    bench.systemctl(&["stop"]);
    bench.machine.write(CONFIG, &config(&format!("{DUMP}[capture]\npromiscuous = true\n"))).unwrap();
    refused("CAP_NET_RAW");
    let more = "[Service]\nCapabilityBoundingSet=CAP_NET_RAW\n";
    bench.machine.write("/etc/systemd/system/dhcp-observer.service.d/promiscuous.conf", more).unwrap();
    bench.machine.run(&["systemctl", "daemon-reload"]).unwrap();
    bench.systemctl(&["start"]);
    bench.systemctl(&["stop"]);
}

/// A hook that runs a shell script; its table needs nothing else. The script's directory is the shared one.
fn shell_hook(bench: &Bench, name: &str, script: &str, more: &str) -> String {
    write_script(&bench.machine.shared(), name, &format!("#!/bin/sh\n{script}\n")).unwrap();
    format!("[[hook]]\nname = {name:?}\ncommand = \"/mnt/{name}\"\nindependent = true\n{more}\n")
}

/// A value of a file of `/proc/PID/status`, in hexadecimal.
fn set(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
    u64::from_str_radix(value.trim(), 16).unwrap()
}

/// What `tests/tests/scripts/` tests without a sandbox, and what somebody's own hook may do.
#[test]
fn hooks_can_do_their_work_in_the_sandbox() {
    require!(Need::Program("nft"), Need::Program("logger"), Need::Program("flock"), Need::Program("pkill"));
    if cannot() {
        return;
    }
    let bench = Bench::new(DUMP, &[("dhcp-observer/log.conf", "LOG_TO=syslog\nLOG_TAG=leases\n")]);
    let shared = bench.machine.shared();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    for name in ["lib.sh", "log.sh", "nft-set.sh", "new-device.sh"] {
        let text = fs::read_to_string(scripts.join(name)).unwrap();
        write_script(&shared, name, &text).unwrap();
    }
    let told = shared.join("told");
    fs::create_dir(&told).unwrap();
    fs::set_permissions(&told, fs::Permissions::from_mode(0o1777)).unwrap();
    let tell = "cat /proc/self/status >/mnt/told/$OBSERVER_EVENT_ID.$WHO";
    let hooks = [
        DUMP.to_owned(),
        shell_hook(&bench, "root", tell, "environment = { WHO = \"root\" }"),
        shell_hook(&bench, "other", tell, "user = \"nobody\"\nenvironment = { WHO = \"other\" }"),
        shell_hook(&bench, "refused", REFUSED, ""),
        shell_hook(&bench, "signal", "exec pkill -HUP -x some-daemon", ""),
        ["log", "nft-set", "new-device"]
            .map(|name| format!("[[hook]]\nname = {name:?}\ncommand = \"/mnt/{name}.sh\"\n"))
            .concat(),
    ];
    bench.machine.write(CONFIG, &config(&hooks.concat())).unwrap();
    let rules = "add table inet dhcp; add set inet dhcp leased4 { type ipv4_addr; flags timeout; }; \
                 add set inet dhcp leased6 { type ipv6_addr; flags timeout; }";
    bench.machine.run(&["nft", rules]).unwrap();
    // What a hook has to tell of a lease belongs to another user, and is found by its name.
    fs::copy("/bin/sleep", shared.join("some-daemon")).unwrap();
    let mut command = bench.machine.command("setpriv");
    command.args(["--reuid=nobody", "--clear-groups", "/mnt/some-daemon", "1000"]);
    let mut daemon = Process::start("daemon", command, &shared).unwrap();
    bench.systemctl(&["start"]);
    let address = bench.client(1).bind().unwrap().yiaddr.to_string();
    let call = bench.call("leases4_committed", &address);
    let event = call.get("OBSERVER_EVENT_ID").unwrap();

    // The unit's bounding set is all that a hook of root's has; one of another user has nothing.
    let root = bench.told(&format!("told/{event}.root"));
    assert_eq!(set(&root, "CapEff"), set(&root, "CapBnd"), "{root}");
    assert!(set(&root, "CapEff") != 0 && root.contains("Uid:\t0\t0\t0\t0\n"), "{root}");
    let other = bench.told(&format!("told/{event}.other"));
    assert_eq!((set(&other, "CapEff"), set(&other, "CapBnd")), (0, 0), "{other}");
    assert!(other.contains("NoNewPrivs:\t1"), "{other}");
    let ended = daemon.wait(SOON).unwrap_or_else(|error| panic!("{error:#}\n{}", bench.journal()));
    assert_eq!(ended.signal(), Some(Signal::SIGHUP as i32), "a hook's signal");
    let refused = bench.told("refusals");
    assert_eq!(refused, "etc\nusr\nmodule\nmount\nswap\ntime\n", "{}", bench.journal());

    wait::until("line in the journal", SOON, || {
        let lines = bench.machine.run(&["journalctl", "--output=cat", "--identifier=leases"])?;
        Ok(lines.contains(&address).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {}", bench.journal()));
    bench.wait_for_journal("new device 02:aa:bb:00:00:01");
    wait::until("three scripts that have ended well", SOON, || {
        let status = bench.status();
        let hooks = status["hooks"].as_array().unwrap();
        Ok(hooks.iter().all(|hook| hook["counts"]["succeeded"] == 1).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {:#}\n{}", bench.status(), bench.journal()));
    let devices = fs::read_to_string(bench.machine.path("/var/lib/dhcp-observer/devices")).unwrap();
    assert!(devices.contains(&address), "{devices}");
    let leased = bench.machine.run(&["nft", "list", "set", "inet", "dhcp", "leased4"]).unwrap();
    assert!(leased.contains(&address), "{leased}");
    bench.systemctl(&["stop"]);
}

/// Only with the drop-in that is shipped for them.
#[test]
fn isolated_hooks_need_their_drop_in() {
    if cannot() {
        return;
    }
    let bench = Bench::new(DUMP, &[]);
    let script = "ip -o link >/mnt/links; touch /etc/hidden && cp /proc/self/mounts /mnt/mounts";
    let isolated = shell_hook(&bench, "isolated", script, "isolated = true");
    bench.machine.write(CONFIG, &config(&isolated)).unwrap();
    let refused = bench.machine.output(&["systemctl", "start", UNIT]).unwrap();
    assert!(!refused.status.success(), "{}", bench.journal());
    bench.wait_for_journal("CAP_SYS_ADMIN is needed");
    bench.systemctl(&["stop"]);

    let drop_in = "/etc/systemd/system/dhcp-observer.service.d/isolated-hooks.conf";
    bench.machine.write(drop_in, &shipped("isolated-hooks.conf")).unwrap();
    bench.machine.run(&["systemctl", "daemon-reload"]).unwrap();
    bench.systemctl(&["start"]);
    bench.client(1).bind().unwrap();
    assert!(bench.told("mounts").contains("overlay /etc "), "{}", bench.journal());
    let links = bench.told("links");
    assert!(links.contains(" lo:") && !links.contains(" s0"), "{links}");
    assert!(!bench.machine.path("/etc/hidden").exists());
    bench.systemctl(&["stop"]);
    assert_eq!(bench.property("Result"), "success", "{}", bench.journal());
}

#[test]
fn its_exposure_is_as_good_as_it_was() {
    require!(Need::Program("systemd-analyze"));
    if cannot() {
        return;
    }
    let bench = Bench::new(DUMP, &[]);
    let table = bench.machine.run(&["systemd-analyze", "security", "--no-pager", UNIT]).unwrap();
    println!("{table}");
    let unit = format!("/etc/systemd/system/{UNIT}");
    let verified = bench.machine.output(&["systemd-analyze", "verify", &unit]).unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
    let words = table.split_once("Overall exposure level for ").unwrap().1;
    let score: f64 = words.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(score <= 3.6, "{table}");
}
