//! What a running observer may still do, and that this is enough for its work.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aya::maps::MapInfo;
use aya::programs::links::{FdLink, PinnedLink};
use nix::sys::signal::Signal;
use observer_tests::golden::Recording;
use observer_tests::hook::DumpHook;
use observer_tests::inject::{AnswersFrom, replay_paced};
use observer_tests::link::{Cable, End, veth};
use observer_tests::need::Need;
use observer_tests::observer::{Observer, binary, programs_by_links};
use observer_tests::process::Process;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::wait;

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(40);
/// linux/capability.h.
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
/// Users without an entry.
const STRANGER: u32 = 65_533;
const OWN: u32 = 65_531;

/// A line of a status file of `/proc`.
fn line<'a>(status: &'a str, name: &str) -> &'a str {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| *found == name).map(|(_, value)| value.trim()).unwrap()
}

fn set(status: &str, name: &str) -> u64 {
    u64::from_str_radix(line(status, name), 16).unwrap()
}

/// The status of each thread of a process, by its name.
fn threads(pid: u32) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    statuses.map(|status| (line(&status, "Name").to_owned(), status)).collect()
}

/// A table of a hook that writes what it may do to `directory`/`name`, which is open to all, and then does `more`.
fn looking_hook(directory: &Path, name: &str, more: &str, keys: &str) -> String {
    let script = directory.join(format!("{name}.sh"));
    let told = directory.join("told").join(name);
    // Calls run side by side.
    let text = format!("cat /proc/self/status >{told:?}.$$ && mv {told:?}.$$ {told:?}\n{more}\n");
    fs::write(&script, text).unwrap();
    format!("[[hook]]\nname = {name:?}\ncommand = [\"/bin/sh\", {script:?}]\n{keys}\n")
}

/// Works with these flags, during which the event loop has `expected` and nothing else: attached, again when the interface
/// comes back, another interface after a reload, hooks as root and as somebody else, a hook that hangs; then cleans up.
fn work(flags: &[&str], expected: u64, own: Option<u32>) {
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let told = scratch.directory("told").unwrap();
    fs::set_permissions(&told, fs::Permissions::from_mode(0o1777)).unwrap();
    let dump = DumpHook::install(&scratch.directory("dump").unwrap()).unwrap();
    let hooks = [
        format!("[[hook]]\nname = \"dump\"\ncommand = {:?}\n", dump.script()),
        looking_hook(scratch.path(), "root", "", "independent = true"),
        looking_hook(scratch.path(), "other", "", &format!("independent = true\nuser = {STRANGER}")),
        looking_hook(
            scratch.path(),
            "hanging",
            "exec sleep 1000",
            &format!(
                "independent = true\nuser = {STRANGER}\ntimeout = \"200ms\"\nevents = [\"leases4_committed\"]"
            ),
        ),
    ]
    .concat();
    let file = scratch.path().join("c.toml");
    fs::write(&file, format!("[[interface]]\nname = \"s0\"\n{hooks}")).unwrap();
    let state = scratch.path().join("state");
    let control = scratch.path().join("control");
    let [user, of] = own.map(|own| ["--user".to_owned(), own.to_string()]).unwrap_or_default();
    let as_user: &[&str] = if own.is_some() { &[&user, &of] } else { &[] };
    let places = [
        ["--config", file.to_str().unwrap()],
        ["--state-dir", state.to_str().unwrap()],
        ["--control", control.to_str().unwrap()],
    ];
    let words = [places.as_flattened(), flags, as_user].concat();
    let Cable { server, client } = cable;
    let mut observer = Observer::start_with(&server.namespace, scratch.path(), "s0", &words).unwrap();

    let mut seen: Vec<String> = Vec::new();
    let status = fs::read_to_string(format!("/proc/{}/status", observer.pid())).unwrap();
    assert_eq!(line(&status, "Name"), "dhcp-observer");
    for name in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(set(&status, name), expected, "{flags:?}: {status}");
    }
    assert_eq!((set(&status, "CapInh"), set(&status, "CapAmb")), (0, 0), "{status}");
    assert_eq!(line(&status, "NoNewPrivs"), "1");
    assert_eq!(line(&status, "Seccomp"), if own.is_some() { "2" } else { "0" });
    let identities = |status: &str| ["Uid", "Gid"].map(|name| line(status, name).to_owned());
    let own = own.map(|own| vec![own.to_string(); 4].join("\t"));
    if let Some(own) = &own {
        assert_eq!(identities(&status), [own.clone(), own.clone()], "{status}");
        assert_eq!(line(&status, "Groups"), of);
    }

    // A thread that has only just begun has not given up anything yet.
    wait::until("threads that have given up everything", SOON, || {
        let threads = threads(observer.pid());
        // What these keep is for hooks, and for what is configured.
        let is_for_hooks =
            |name: &str| own.is_none() && ["hook", "hook foreman", "configuration"].contains(&name);
        seen = threads.iter().map(|(name, _)| name.clone()).collect();
        let privileged = |(name, status): &(String, String)| {
            let is_other = own.as_ref().is_some_and(|own| identities(status) != [own.clone(), own.clone()]);
            !is_for_hooks(name) && (set(status, "CapPrm") & !expected != 0 || is_other)
        };
        Ok((!threads.iter().any(privileged)).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {seen:?}"));
    assert!(seen.iter().any(|name| name == "store"), "{seen:?}");

    let frames = Recording::named("kea-v4-dora").frames().unwrap();
    replay_paced(&frames, 10.0, &client, &server, AnswersFrom::Observed).unwrap();
    let calls = dump.wait_for(3, SOON).unwrap_or_else(|error| panic!("{error:#}\n{}", observer.log())).len();
    let status_of = |name: &str| {
        wait::until(name, SOON, || Ok(fs::read_to_string(told.join(name)).ok()))
            .unwrap_or_else(|error| panic!("{error:#}\n{}", observer.log()))
    };
    let ours = fs::read_to_string("/proc/thread-self/status").unwrap();
    let root = status_of("root");
    assert_eq!((set(&root, "CapEff"), set(&root, "CapBnd")), (set(&ours, "CapEff"), set(&ours, "CapBnd")));
    assert_eq!(line(&root, "NoNewPrivs"), line(&ours, "NoNewPrivs"));
    let other = status_of("other");
    assert_eq!(line(&other, "Uid").split_whitespace().next(), Some("65533"));
    assert_eq!((set(&other, "CapEff"), set(&other, "CapBnd")), (0, 0));
    assert_eq!(line(&other, "NoNewPrivs"), "1");

    // The interface goes and comes back.
    server.namespace.ip(&["link", "del", "s0"]).unwrap();
    observer.wait_for_log("s0 went away", 1).unwrap();
    let (near, far) = (server.namespace.clone(), client.namespace.clone());
    let (server, client) = veth(&near, &End::recorded_server(), &far, &End::recorded_client()).unwrap();
    observer.wait_for_log("s0 is observed (", 2).unwrap();
    replay_paced(&frames, 10.0, &client, &server, AnswersFrom::Observed).unwrap();
    dump.wait_for(calls + 1, SOON).unwrap_or_else(|error| panic!("{error:#}\n{}", observer.log()));

    // Another one is asked for.
    near.ip(&["link", "add", "s1", "type", "veth", "peer", "name", "s2"]).unwrap();
    fs::write(&file, format!("[[interface]]\nname = \"s0\"\n[[interface]]\nname = \"s1\"\n{hooks}")).unwrap();
    observer.signal(Signal::SIGHUP).unwrap();
    observer.wait_for_log("s1 is observed (", 1).unwrap();

    let pins = observer.log();
    let pins = pins.split_once("capture is pinned in ").unwrap().1.lines().next().unwrap().trim().to_owned();
    assert!(Path::new(&pins).exists(), "{pins}");
    // This waits for the hook that hangs, which is a stranger's process.
    let ended = observer.stop().unwrap();
    assert!(ended.count("hooks", "timed_out") >= 3, "{}", ended.stderr);
    assert!(!ended.stderr.contains("could not be signalled"), "{}", ended.stderr);
    assert_eq!(ended.count("kernel", "lost"), 0, "{}", ended.stderr);
    let instance = Path::new(&pins).parent().unwrap();
    assert!(!instance.exists(), "{} is left: {}", instance.display(), ended.stderr);
    assert!(!control.exists(), "{}", ended.stderr);
    if own.is_some() {
        for entry in fs::read_dir(&state).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().uid(), OWN, "{entry:?}");
        }
    }
    let mut tc = near.command("tc");
    let left = tc.args(["qdisc", "show", "clsact", "dev", "s0"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&left.stdout).contains("clsact"), "{left:?}");
}

#[test]
fn by_links_nothing_is_needed() {
    require!(Need::Root, Need::Program("tc"));
    work(&[], 0, None);
}

#[test]
fn a_user_of_its_own_needs_nothing_by_links() {
    require!(Need::Root, Need::Program("tc"));
    work(&[], 0, Some(OWN));
}

#[test]
fn a_user_of_its_own_needs_nothing_by_xdp() {
    require!(Need::Root, Need::Program("tc"));
    work(&["--attach", "xdp"], 0, Some(OWN));
}

#[test]
fn a_user_of_its_own_keeps_for_filters_what_they_need() {
    require!(Need::Root, Need::Program("tc"));
    work(&["--attach", "clsact"], NET_ADMIN, Some(OWN));
}

#[test]
fn by_xdp_nothing_is_needed() {
    require!(Need::Root, Need::Program("tc"));
    work(&["--attach", "xdp"], 0, None);
}

#[test]
fn by_filters_the_right_to_configure_the_network_is_needed() {
    require!(Need::Root, Need::Program("tc"));
    work(&["--attach", "clsact"], NET_ADMIN, None);
}

#[test]
fn in_promiscuous_mode_packet_sockets_are_needed() {
    require!(Need::Root, Need::Program("tc"));
    work(&["--promisc"], NET_RAW, None);
}

/// An observer with a user of its own and a store, whose hook notes its calls and then does `more`.
struct Separate {
    scratch: Scratch,
    cable: Cable,
    words: Vec<String>,
}

impl Separate {
    fn new(more: &str) -> Self {
        let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let script = scratch.path().join("hook.sh");
        let told = scratch.path().join("told");
        let note = "echo $OBSERVER_EVENT_ID $OBSERVER_ATTEMPT $1 $$";
        fs::write(&script, format!("#!/bin/sh\n{note} >>{told:?}\n{more}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
        let words = ["--iface", "s0", "--script", &path("hook.sh"), "--state-dir", &path("state")];
        let words = words.map(str::to_owned).to_vec();
        Self { scratch, cable, words }
    }

    fn start(&self, more: &[&str]) -> Observer {
        let words: Vec<&str> = self.words.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Observer::start_with(&self.cable.server.namespace, self.scratch.path(), "s0", &words).unwrap()
    }

    fn replay(&self) {
        let frames = Recording::named("kea-v4-dora").frames().unwrap();
        replay_paced(&frames, 10.0, &self.cable.client, &self.cable.server, AnswersFrom::Observed).unwrap();
    }

    /// The calls so far, once there are so many: event, attempt, hook point, process.
    fn told(&self, count: usize) -> Vec<Vec<String>> {
        let path = self.scratch.path().join("told");
        wait::until(&format!("{count} calls"), SOON, || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let calls: Vec<Vec<_>> =
                text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect();
            Ok((calls.len() >= count).then_some(calls))
        })
        .unwrap()
    }
}

/// The spawner of an observer.
fn spawner_of(observer: &Observer) -> u32 {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", observer.pid())).unwrap();
    let [spawner] = children.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{children:?}") };
    spawner.parse().unwrap()
}

fn kill(process: u32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

#[test]
fn an_observer_without_its_spawner_ends_and_the_next_one_makes_its_calls() {
    require!(Need::Root);
    let bench = Separate::new("[ $OBSERVER_ATTEMPT != 1 ] || exec sleep 1000");
    let observer = bench.start(&["--user", "65531"]);
    bench.replay();
    let first = bench.told(3);
    kill(spawner_of(&observer));
    let (status, log) = observer.wait_for_end().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("the process that starts hooks has ended"), "{log}");
    // What it had started goes on without it, as after the death of any observer.
    for call in &first {
        let sleeper: u32 = call[3].parse().unwrap();
        assert!(Path::new(&format!("/proc/{sleeper}")).exists());
        kill(sleeper);
    }
    let next = bench.start(&["--user", "65531"]);
    let all = bench.told(6);
    for call in &first {
        let again = |other: &&Vec<String>| other[0] == call[0] && other[1] == "2";
        assert_eq!(all.iter().filter(again).count(), 1, "{all:?}");
    }
    // Nothing was missed meanwhile.
    assert!(!next.log().contains("lost"), "{}", next.log());
    next.stop().unwrap();
}

#[test]
fn under_another_name_it_goes_on_with_what_it_has_left() {
    require!(Need::Root);
    let bench = Separate::new("");
    let user = ["--user", "65531"];
    let first = bench.start(&user);
    bench.replay();
    bench.told(3);
    first.kill().unwrap();
    bench.replay();
    let mut second = bench.start(&["--user", "65531", "--instance", "other"]);
    wait::until("a renewal of when nobody was there", SOON, || {
        Ok(bench.told(3).iter().any(|call| call[2] == "lease4_renew").then_some(()))
    })
    .unwrap();
    second.wait_for_log("was left by the observer before this one", 1).unwrap();
    assert!(!second.log().contains("lost"), "{}", second.log());
    second.stop().unwrap();
    let mut detach = bench.cable.server.namespace.command(binary().unwrap().to_str().unwrap());
    let output = detach.args(["detach", "--iface", "s0"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(told, "nothing of ours is pinned or attached\n");
}

#[test]
fn an_observer_that_waits_for_hooks_does_not_wait_without_its_spawner() {
    require!(Need::Root);
    let bench = Separate::new("exec sleep 1000");
    let mut observer = bench.start(&["--user", "65531"]);
    bench.replay();
    let calls = bench.told(3);
    let spawner = spawner_of(&observer);
    observer.signal(Signal::SIGTERM).unwrap();
    observer.wait_for_log("waiting for", 1).unwrap();
    kill(spawner);
    let (status, log) = observer.wait_for_end().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("the process that starts hooks has ended"), "{log}");
    calls.iter().for_each(|call| kill(call[3].parse().unwrap()));
}

#[test]
fn a_spawner_without_its_observer_ends_and_leaves_hooks_alone() {
    require!(Need::Root);
    let bench = Separate::new("exec sleep 1000");
    let observer = bench.start(&["--user", "65531"]);
    bench.replay();
    let sleeper: u32 = bench.told(1)[0][3].parse().unwrap();
    let spawner = spawner_of(&observer);
    // A terminal tells both; only the observer heeds it.
    let to = nix::unistd::Pid::from_raw(spawner.try_into().unwrap());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        nix::sys::signal::kill(to, signal).unwrap();
    }
    assert_eq!(spawner_of(&observer), spawner);
    observer.kill().unwrap();
    wait::until("the end of the spawner", SOON, || {
        Ok((!Path::new(&format!("/proc/{spawner}")).exists()).then_some(()))
    })
    .unwrap();
    assert!(Path::new(&format!("/proc/{sleeper}")).exists());
    kill(sleeper);
    let mut detach = bench.cable.server.namespace.command(binary().unwrap().to_str().unwrap());
    assert!(detach.args(["detach", "--iface", "s0"]).status().unwrap().success());
}

/// Whoever took the observer over may have laid out the state directory for root.
#[test]
fn root_looks_at_the_state_of_another_user_with_his_rights() {
    require!(Need::Root);
    let bench = Separate::new("");
    let observer = bench.start(&["--user", "65531"]);
    bench.replay();
    bench.told(3);
    let state = bench.scratch.path().join("state");
    let events = || {
        let mut command = Command::new(binary().unwrap());
        let output = command.arg("events").arg("--state-dir").arg(&state).output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.success(), stdout, stderr)
    };
    let (is_good, shown, told) = events();
    assert!(is_good && shown.contains("leases4_committed"), "{shown}{told}");
    observer.stop().unwrap();
    assert!(events().0);
    for entry in fs::read_dir(&state).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), OWN, "{entry:?}");
    }

    // Another database that only root can read.
    let other = bench.scratch.path().join("other.db");
    fs::rename(state.join("observer.db"), &other).unwrap();
    chown(&other, Some(0), Some(0)).unwrap();
    std::os::unix::fs::symlink(&other, state.join("observer.db")).unwrap();
    let (is_good, shown, told) = events();
    assert!(!is_good && shown.is_empty(), "{shown}");
    assert!(told.contains("observer.db"), "{told}");
    let words = bench.words.iter().map(String::as_str).chain(["--user", "65531", "--control", "none"]);
    let mut refused = bench.cable.server.namespace.command(binary().unwrap().to_str().unwrap());
    let mut child = Process::start(
        "refused",
        {
            refused.args(words);
            refused
        },
        bench.scratch.path(),
    )
    .unwrap();
    // It goes on without, since it cannot write there.
    child.wait_for_log("ready", SOON).unwrap();
    assert!(child.stderr().contains("observer.db"), "{}", child.stderr());
    assert!(child.stop(SOON).unwrap().success());
    assert_eq!(fs::metadata(&other).unwrap().uid(), 0);
}

#[test]
fn a_lease_file_that_only_root_can_read_is_learnt_from() {
    require!(Need::Root);
    let bench = Separate::new("");
    let file = bench.scratch.path().join("dnsmasq.leases");
    fs::write(&file, "9999999999 02:00:00:00:00:01 192.0.2.7 seeded *\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let observer = bench.start(&["--user", "65531", "--seed", file.to_str().unwrap()]);
    assert!(observer.log().contains("seeded: 1 DHCPv4"), "{}", observer.log());
    observer.stop().unwrap();
}

#[test]
fn state_and_pins_pass_to_another_user_and_back() {
    require!(Need::Root);
    let bench = Separate::new("");
    let owner = |name: &str| fs::metadata(bench.scratch.path().join(name)).unwrap().uid();
    let root = bench.start(&[]);
    bench.replay();
    let before = bench.told(3);
    root.stop().unwrap();
    assert_eq!((owner("state"), owner("state/observer.db")), (0, 0));

    // It has what root had, and leaves pins behind that root can go on with.
    let other = bench.start(&["--user", "65531", "--keep"]);
    assert_eq!((owner("state"), owner("state/observer.db")), (OWN, OWN));
    bench.replay();
    let after = bench.told(before.len() + 1);
    assert!(after.iter().any(|call| call[2] == "lease4_renew"), "the leases were not known: {after:?}");
    let ended = other.stop().unwrap();
    assert_eq!(ended.count("kernel", "lost"), 0);

    // The state is that user's now, and whoever wants it back says so.
    let words: Vec<&str> = bench.words.iter().map(String::as_str).collect();
    let mut refused = bench.cable.server.namespace.command(binary().unwrap().to_str().unwrap());
    let output = refused.args(&words).args(["--control", "none"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("it belongs to user 65531") && told.contains("--user"), "{told}");
    let shell = format!("chown -R 0:0 {:?}", bench.scratch.path().join("state"));
    assert!(Command::new("sh").args(["-c", &shell]).status().unwrap().success());
    let root = bench.start(&[]);
    assert!(root.log().contains("capture is pinned in"), "{}", root.log());
    let pinned = root.log();
    let pins = pinned.split_once("capture is pinned in ").unwrap().1.lines().next().unwrap().trim();
    assert_eq!(fs::metadata(pins).unwrap().uid(), 0);
    root.stop().unwrap();
    assert!(!Path::new(pins).exists());
}

/// What the pinned links of an observer lead to: the numbers of their programs.
fn programs(pins: &Path) -> Vec<u32> {
    let link = |path: PathBuf| FdLink::from(PinnedLink::from_pin(path).unwrap()).info().unwrap().program_id();
    links(pins).into_iter().map(|name| link(pins.join(name))).collect()
}

/// The names of the links that are pinned in a directory.
fn links(pins: &Path) -> Vec<String> {
    let names = fs::read_dir(pins).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> =
        names.filter(|name| name.starts_with("in-") || name.starts_with("out-")).collect();
    names.sort();
    names
}

fn map(pin: &Path) -> u32 {
    MapInfo::from_pin(pin).unwrap().id()
}

/// Where an observer says that it pins.
fn pins_of(observer: &Observer) -> PathBuf {
    let log = observer.log();
    let pins = log.split_once("capture is pinned in ").unwrap_or_else(|| panic!("{log}")).1;
    PathBuf::from(pins.lines().next().unwrap().trim())
}

/// Runs this as the observer's user, who stands in a directory that it could not walk to.
fn as_owner_of(directory: &Path, shell: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={OWN}"), format!("--regid={OWN}"), "--clear-groups".to_owned()]);
    command.args(["sh", "-c", shell]).current_dir(directory).stderr(std::process::Stdio::null());
    command
}

/// Whoever took over an observer can write to the directory of its pins, and bpffs has symbolic links.
#[test]
fn what_the_user_lays_out_among_the_pins_leads_nowhere() {
    require!(Need::Root, Need::Program("setpriv"));
    // The second goes on with what is pinned under another name.
    for (next, lingers) in [(&[][..], false), (&["--instance", "next"], false), (&[], true)] {
        let bench = Separate::new("");
        let server = &bench.cable.server;
        let first = bench.start(&["--user", "65531", "--keep"]);
        bench.replay();
        bench.told(3);
        let pins = pins_of(&first);
        first.stop().unwrap();

        let directory = bench.scratch.directory("other").unwrap();
        let dump = DumpHook::install(&directory).unwrap();
        let more = ["--instance", "other"];
        let other = Observer::start(&server.namespace, &directory, "s0", dump.script(), &more).unwrap();
        let others = pins_of(&other);
        let (of_other, state) = (programs(&others), map(&others.join("STATE1")));
        assert_eq!(of_other.len(), 2);

        let names = [links(&pins), vec!["STATE1".to_owned()]].concat();
        assert_eq!(names, [links(&others), vec!["STATE1".to_owned()]].concat());
        let traps: Vec<_> =
            names.iter().map(|name| format!("ln -sfn {:?} {name}", others.join(name))).collect();
        let trap = traps.join(" && ");
        assert!(as_owner_of(&pins, &trap).status().unwrap().success());
        // Whoever was there before goes on with it all the time.
        let again = format!("while :; do chmod 777 . ..; {trap}; done");
        let lingering = lingers.then(|| as_owner_of(&pins, &again).spawn().unwrap());

        let mut user = bench.start(&[&["--user", "65531"], next].concat());
        assert_eq!(programs(&others), of_other, "{next:?} {lingers}: {}", user.log());
        user.wait_for_log("removed from the pins", 1).unwrap();
        if let Some(mut lingering) = lingering {
            lingering.kill().unwrap();
            lingering.wait().unwrap();
        } else {
            let pins = pins_of(&user);
            assert_ne!(map(&pins.join("STATE1")), state, "{next:?}: {}", user.log());
            assert_eq!(links(&pins).len(), 2);
            for entry in fs::read_dir(&pins).unwrap() {
                assert!(entry.unwrap().file_type().unwrap().is_file(), "{next:?}");
            }
            for directory in [&*pins, pins.parent().unwrap()] {
                let found = fs::metadata(directory).unwrap();
                assert_eq!((found.uid(), found.mode() & 0o777), (OWN, 0o700), "{next:?}");
            }
        }
        assert_eq!(programs(&others), of_other, "{next:?} {lingers}: {}", user.log());
        assert_eq!(programs_by_links(server).unwrap(), 4, "{next:?} {lingers}: {}", user.log());
        let before = dump.calls().unwrap().len();
        bench.replay();
        dump.wait_for(before + 1, SOON).unwrap_or_else(|error| panic!("{error:#}\n{}", other.log()));
        user.stop().unwrap();
        assert_eq!(programs(&others), of_other, "{next:?} {lingers}");
        other.stop().unwrap();
        let mut detach = server.namespace.command(binary().unwrap().to_str().unwrap());
        assert!(detach.args(["detach", "--iface", "s0"]).status().unwrap().success());
        assert_eq!(programs_by_links(server).unwrap(), 0);
    }
}

#[test]
fn who_is_not_root_cannot_become_somebody_else() {
    require!(Need::Root, Need::Program("setpriv"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    chown(scratch.path(), Some(STRANGER), Some(STRANGER)).unwrap();
    let program = scratch.path().join("dhcp-observer");
    assert!(Command::new("cp").arg(binary().unwrap()).arg(&program).status().unwrap().success());
    // Nor may he who could: the C library's change of users would leave capabilities to some threads.
    let capabilities = "+bpf,+perfmon,+net_admin,+setuid,+setgid";
    let mut command = cable.server.namespace.command("setpriv");
    command.args([format!("--reuid={STRANGER}"), format!("--regid={STRANGER}"), "--clear-groups".to_owned()]);
    command.args(["--inh-caps", capabilities, "--ambient-caps", capabilities]).arg(&program);
    command.args(["--iface", "s0", "--no-pin", "--no-state", "--control", "none", "--script", "/bin/true"]);
    let output = command.args(["--user", "65531"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("cannot become user 65531: --user needs root"), "{told}");
}

#[test]
fn who_is_not_root_and_was_given_capabilities_gives_them_up_too() {
    require!(Need::Root, Need::Program("setpriv"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    chown(scratch.path(), Some(STRANGER), Some(STRANGER)).unwrap();
    let hook = DumpHook::install(scratch.path()).unwrap();
    let program = scratch.path().join("dhcp-observer");
    assert!(Command::new("cp").arg(binary().unwrap()).arg(&program).status().unwrap().success());
    let capabilities = "+bpf,+perfmon,+net_admin";
    let mut command = cable.server.namespace.command("setpriv");
    command.args([format!("--reuid={STRANGER}"), format!("--regid={STRANGER}"), "--clear-groups".to_owned()]);
    command.args(["--inh-caps", capabilities, "--ambient-caps", capabilities]).arg(&program);
    command.args(["--iface", "s0", "--no-pin", "--script"]).arg(hook.script()).current_dir(scratch.path());
    let mut observer = Process::start("observer", command, scratch.path()).unwrap();
    observer.wait_for_log("ready", SOON).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", observer.pid())).unwrap();
    for name in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(set(&status, name), 0, "{status}");
    }
    assert_eq!(line(&status, "NoNewPrivs"), "1");
    let frames = Recording::named("kea-v4-dora").frames().unwrap();
    replay_paced(&frames, 10.0, &cable.client, &cable.server, AnswersFrom::Observed).unwrap();
    hook.wait_for(3, SOON).unwrap_or_else(|error| panic!("{error:#}\n{}", observer.stderr()));
    assert!(observer.stop(SOON).unwrap().success(), "{}", observer.stderr());
}

#[test]
fn a_script_that_a_stranger_owns_is_refused_at_the_start() {
    require!(Need::Root);
    let scratch = Scratch::new().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let hook = DumpHook::install(scratch.path()).unwrap();
    chown(hook.script(), Some(STRANGER), None).unwrap();
    let mut command = Command::new(binary().unwrap());
    let output = command.args(["--iface", "lo", "--script"]).arg(hook.script()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in [hook.script().to_str().unwrap(), "belongs to user 65533", "--allow-writable"] {
        assert!(told.contains(part), "{told}");
    }
}
