//! What the sandbox allows and what it does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use nix::sys::signal::Signal;
use observer_tests::need::Need;
use observer_tests::process::Process;
use observer_tests::service::write_script;
use observer_tests::{require, wait};

use crate::bench::{Bench, CONFIG, DUMP, SOON, UNIT, cannot, config, set, shell_hook, shipped};

/// What the sandbox is there for. Nothing of it may end the script by a signal.
const REFUSED: &str = "cd /mnt
try() { \"$@\" 2>/dev/null; status=$?; [ $status -gt 0 ] && [ $status -lt 128 ] && echo \"$what\" >>list; }
what=etc; try touch /etc/here
what=configuration; try touch /etc/dhcp-observer/here
what=usr; try touch /usr/here
what=module; try modprobe dummy
what=mount; try mount -t tmpfs tmpfs /mnt
what=swap; try swapoff /mnt/none
what=time; try date --set=2020-01-01
mv list refusals";

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
    assert_eq!(refused, "etc\nconfiguration\nusr\nmodule\nmount\nswap\ntime\n", "{}", bench.journal());

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
    assert_eq!((bench.pins(), bench.programs()), (0, 0), "{}", bench.journal());

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
    // What the README says; other versions count other things.
    let version = bench.machine.run(&["systemctl", "--version"]).unwrap();
    let limit = if version.starts_with("systemd 252 ") { 3.6 } else { 4.5 };
    assert!(score <= limit, "{table}");
}
