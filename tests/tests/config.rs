//! The configuration file: what `check` says of it, several hooks side by side, and other ones while traffic passes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;
use observer_tests::call::{Call, parse_calls};
use observer_tests::golden::Recording;
use observer_tests::hook::DumpHook;
use observer_tests::inject::{AnswersFrom, replay_paced};
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::{Cable, End, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::{Observer, binary, replay};
use observer_tests::process::Process;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::wait;

/// How long hooks may take on a busy machine.
const SOON: Duration = Duration::from_secs(40);

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

fn check(file: &Path) -> Output {
    Command::new(binary().unwrap()).args(["check", "--config"]).arg(file).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

#[test]
fn check_tells_what_would_run() {
    let scratch = Scratch::new().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/config.example.toml");
    let output = check(Path::new(example));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], "interfaces: eth0");
    for (line, words) in [
        (lines[1], ["hook 1: \"log\"", "dialect kea", "exec", "subnet 0.0.0.0/0"]),
        (lines[2], ["hook 2: \"inventory\"", "stream", "/usr/bin/cat", "independent"]),
        (lines[3], ["hook 3: \"accounting\"", "batches of 100", "/usr/bin/true", "nice 10"]),
    ] {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    let output = check(&scratch.path().join("none.toml"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("none.toml: "), "{}", text(&output.stderr));
}

#[test]
fn check_tells_all_problems_at_once() {
    let scratch = Scratch::new().unwrap();
    let file = write(
        scratch.path(),
        "bad.toml",
        "[[interface]]\nname = \"eth0\"\n[[hook]]\nname = \"a\"\ncommand = \"/nonexistent\"\ntimeuot = 1\nuser = \"no-such-user\"\n",
    );
    let output = check(&file);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    for (line, words) in lines.iter().zip([
        ["bad.toml:5:11: ", "/nonexistent", "not found"],
        ["bad.toml:6:1: ", "timeuot", "did you mean \"timeout\"?"],
        ["bad.toml:7:8: ", "no-such-user", "there is no user"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    // The same file is refused for the same reasons before anything is attached.
    let live = Command::new(binary().unwrap()).arg("--config").arg(&file).output().unwrap();
    assert_eq!((live.status.code(), text(&live.stderr)), (Some(1), told));
}

#[test]
fn a_script_beside_the_hooks_of_a_file_is_a_usage_error() {
    let scratch = Scratch::new().unwrap();
    let hooks = "[[interface]]\nname = \"eth0\"\n[[hook]]\nname = \"a\"\ncommand = \"/bin/true\"\n";
    let file = write(scratch.path(), "c.toml", hooks);
    let mut command = Command::new(binary().unwrap());
    let output = command.arg("--config").arg(&file).args(["--script", "/bin/true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(
        told.lines().count() == 1 && told.contains("--script") && told.contains("hooks of its own"),
        "{told}"
    );
}

/// A hook that is told of some clients only remembers their leases, for as long as there is room. Of the seven leases of
/// this recording all but the first are more than that.
#[test]
fn what_a_filter_had_no_room_for_is_told_at_the_end() {
    let scratch = Scratch::new().unwrap();
    let file = write(
        scratch.path(),
        "narrow.toml",
        "[limits]\nleases = 1\n[[hook]]\nname = \"a\"\ncommand = \"/bin/true\"\n\
         filter = { circuit_id = \"*\" }\n",
    );
    let capture = Recording::named("kea-v6-relay").capture();
    let output = replay(&capture, &["--config", file.to_str().unwrap(), "--invocations"]).unwrap();
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let tracker = told.lines().find(|line| line.starts_with("tracker: ")).unwrap();
    assert!(tracker.ends_with(" filters_over_limit=6"), "{told}");
}

/// A `[[hook]]` that dumps its calls, in a directory of its own.
struct Dump {
    hook: DumpHook,
    table: String,
}

impl Dump {
    fn new(scratch: &Scratch, name: &str, more: &str) -> Self {
        let hook = DumpHook::install(&scratch.directory(name).unwrap()).unwrap();
        let table = format!("[[hook]]\nname = {name:?}\ncommand = {:?}\n{more}\n", hook.script());
        Self { hook, table }
    }
}

/// What a call says that does not depend on when it is made.
fn story(call: &Call) -> (Vec<String>, Vec<String>) {
    let told = [
        "reason",
        "OBSERVER_EVENT",
        "LEASE4_ADDRESS",
        "LEASES4_AT0_ADDRESS",
        "new_ip_address",
        "old_ip_address",
    ];
    let mut words = call.argv.clone();
    words.extend(told.iter().filter_map(|name| Some(format!("{name}={}", call.get(name)?))));
    // What is given with the process only, and what every hook of the file is given.
    let added = ["OBSERVER_EVENT_ID", "OBSERVER_ATTEMPT", "PATH"];
    let mut names: Vec<_> = call
        .env
        .iter()
        .map(|(name, _)| name.clone())
        .filter(|name| !added.contains(&name.as_str()))
        .collect();
    names.sort();
    (words, names)
}

#[test]
fn live_and_replay_tell_every_hook_the_same() {
    require!(Need::Root, Need::Program("tc"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let recording = Recording::named("kea-v4-renew");
    let dumps = [
        Dump::new(&scratch, "kea", "dialect = \"kea\""),
        Dump::new(&scratch, "changes", "on_change = true"),
        Dump::new(&scratch, "releases", "events = [\"release\", \"lease4_expire\"]"),
        Dump::new(&scratch, "elsewhere", "[hook.filter]\nsubnet = \"203.0.113.0/24\""),
        Dump::new(&scratch, "dhclient", "dialect = \"dhclient\""),
        Dump::new(&scratch, "eventhook", "dialect = \"eventhook\""),
    ];
    let hooks: String = dumps.iter().map(|dump| dump.table.as_str()).collect();
    let file = write(scratch.path(), "c.toml", &format!("[[interface]]\nname = \"s0\"\n{hooks}"));
    let file = file.to_str().unwrap();
    let config = recording.kea_config();
    let kea = ["--kea-config", config.to_str().unwrap()];

    let more = ["--config", file, "--iface-name", "s0", "--iface-index", "2", "--invocations"];
    let replayed = replay(&recording.capture(), &[&more[..], &kea].concat()).unwrap();
    assert!(replayed.status.success(), "{}", text(&replayed.stderr));
    let replayed = text(&replayed.stdout);
    let of = |name: &str| {
        let lines: Vec<_> =
            replayed.lines().filter(|line| line.contains(&format!("\"hook\":{name:?}"))).collect();
        parse_calls(&format!("{}\n", lines.join("\n"))).unwrap()
    };

    let server = &cable.server;
    let more = [&["--config", file][..], &kea].concat();
    let observer = Observer::start_with(&server.namespace, scratch.path(), "s0", &more).unwrap();
    replay_paced(&recording.frames().unwrap(), 1.0, &cable.client, server, AnswersFrom::Observed).unwrap();
    for dump in &dumps {
        // When too few calls come, the comparison says which are missing.
        let name = dump.hook.script().parent().unwrap().file_name().unwrap().to_str().unwrap();
        let _ = dump.hook.wait_for(of(name).len(), SOON);
    }
    observer.stop().unwrap();

    let mut counts = Vec::new();
    for dump in &dumps {
        let name = dump.hook.script().parent().unwrap().file_name().unwrap().to_str().unwrap();
        let stories = |calls: &[Call]| {
            let mut stories: Vec<_> = calls.iter().map(story).collect();
            // Hooks about different leases run side by side.
            stories.sort();
            stories
        };
        let (expected, found) = (stories(&of(name)), stories(&dump.hook.calls().unwrap()));
        assert_eq!(found, expected, "{name}");
        counts.push((name.to_owned(), found.len()));
    }
    let count = |wanted: &str| counts.iter().find(|(name, _)| name == wanted).unwrap().1;
    assert!(count("kea") > count("changes") && count("changes") > 0, "{counts:?}");
    assert!(count("dhclient") > 0 && count("eventhook") > 0, "{counts:?}");
    assert_eq!(count("elsewhere"), 0, "{counts:?}");
}

#[test]
fn hooks_that_hang_fail_and_stream_keep_their_order_and_their_independence() {
    require!(Need::Root, Need::Program("tc"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let log = scratch.path().join("log");
    let script = |name: &str, body: &str| {
        let file = write(scratch.path(), name, &body.replace("LOG", log.to_str().unwrap()));
        format!("[\"/bin/sh\", {file:?}]")
    };
    let hang = script(
        "hang.sh",
        "trap '' TERM\necho \"hang $LEASES4_AT0_ADDRESS\" >>LOG\nwhile :; do sleep 1; done\n",
    );
    let fail = script("fail.sh", "echo \"fail $LEASE4_ADDRESS $OBSERVER_ATTEMPT $2\" >>LOG\nexit 1\n");
    let stream = script("stream.sh", "while read -r line; do echo \"stream $line\" >>LOG; echo; done\n");
    let last = script("last.sh", "echo \"last $LEASES4_AT0_ADDRESS\" >>LOG\n");
    let file = write(
        scratch.path(),
        "c.toml",
        &format!(
            "[[interface]]\nname = \"s0\"\n\
             [[hook]]\nname = \"hang\"\ncommand = {hang}\ntimeout = \"4s\"\nkill_delay = \"1s\"\n\
             [[hook]]\nname = \"fail\"\ncommand = {fail}\ndialect = \"eventhook\"\nretries = 2\nretry_delay = \"100ms\"\n\
             [[hook]]\nname = \"stream\"\ncommand = {stream}\ndialect = \"dhclient\"\nmode = \"stream\"\nindependent = true\n\
             events = [\"BOUND\"]\n\
             [[hook]]\nname = \"last\"\ncommand = {last}\n"
        ),
    );
    let observer = Observer::start_with(
        &cable.server.namespace,
        scratch.path(),
        "s0",
        &["--config", file.to_str().unwrap()],
    )
    .unwrap();
    let frames = Recording::named("kea-v4-dora").frames().unwrap();
    replay_paced(&frames, 10.0, &cable.client, &cable.server, AnswersFrom::Observed).unwrap();
    let lines =
        || fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let clients = 3;
    wait::until("the last hook of each client", SOON, || {
        Ok((lines().iter().filter(|line| line.starts_with("last ")).count() == clients).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {:#?}\n{}", lines(), observer.log()));
    let ended = observer.stop().unwrap();

    let lines = lines();
    println!("{}\n{}", lines.join("\n"), ended.stderr);
    let place = |what: &str| {
        lines
            .iter()
            .position(|line| line.starts_with(what))
            .unwrap_or_else(|| panic!("no {what:?} in {lines:#?}"))
    };
    let first_last = place("last ");
    let streamed: Vec<_> = lines.iter().enumerate().filter(|(_, line)| line.starts_with("stream ")).collect();
    assert_eq!(streamed.len(), clients, "{lines:#?}");
    assert!(
        streamed.iter().all(|(place, _)| *place < first_last),
        "the stream waited for others: {lines:#?}"
    );
    let addresses: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("hang ")).collect();
    assert_eq!(addresses.len(), clients);
    for address in addresses {
        // A hook starts an event when the earlier ones have ended it: by force, or by giving up.
        let attempts = [1, 2, 3].map(|attempt| place(&format!("fail {address} {attempt} BOUND")));
        let (hang, last) = (place(&format!("hang {address}")), place(&format!("last {address}")));
        assert!(hang < attempts[0] && attempts.is_sorted() && attempts[2] < last, "{address}: {lines:#?}");
        assert!(streamed.iter().any(|(_, line)| line.contains(address)), "{address}: {lines:#?}");
    }
    assert_eq!(ended.count("hooks", "timed_out"), 3, "{}", ended.stderr);
    assert_eq!(ended.count("hooks", "killed"), 3, "{}", ended.stderr);
    assert_eq!(ended.count("hooks", "gave_up"), 3, "{}", ended.stderr);
    assert_eq!(ended.count("hooks", "retried"), 6, "{}", ended.stderr);
}

/// Exchanges a second, and for how many seconds.
const RATE: u64 = 100;
const SECONDS: u64 = 10;

#[test]
fn a_reload_during_traffic_loses_nothing() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("perfdhcp"), Need::Program("tc"));
    let scratch = Scratch::new().unwrap();
    let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let mut server = End::recorded_server();
    server.addresses.push("10.0.0.1/16");
    let client = End { link_local: true, addresses: vec!["10.0.0.2/16"], ..End::recorded_client() };
    let (server, client) = veth(&near, &server, &far, &client).unwrap();
    let config = Config::plain(Family::V4).unwrap().without_script().controlled();
    let config = config
        .at("/subnet4/0/subnet", "10.0.0.0/16")
        .at("/subnet4/0/pools/0/pool", "10.0.16.0 - 10.0.255.254");
    let directory = scratch.directory("server").unwrap();
    let unused = DumpHook::install(&directory).unwrap();
    let mut kea = Kea::start(&server.namespace, &directory, config, unused.script()).unwrap();

    let [steady, changing, added, bound] =
        [("steady", ""), ("changing", ""), ("added", ""), ("bound", "dialect = \"eventhook\"")]
            .map(|(name, more)| Dump::new(&scratch, name, more));
    let file = scratch.path().join("c.toml");
    let configure = |hooks: &[String], rest: &str| {
        fs::write(&file, format!("[[interface]]\nname = \"s0\"\n{}{rest}", hooks.concat())).unwrap();
    };
    let with = |dump: &Dump, more: &str| format!("{}{more}\n", dump.table);
    configure(&[with(&steady, ""), with(&changing, ""), with(&bound, "")], "");
    let more = ["--config", file.to_str().unwrap()];
    let mut observer = Observer::start_with(&server.namespace, scratch.path(), "s0", &more).unwrap();

    let (rate, count) = (RATE.to_string(), (RATE * SECONDS).to_string());
    let mut command = client.namespace.command("perfdhcp");
    command.args([
        "-4",
        "-l",
        client.name,
        "-r",
        &rate,
        "-n",
        &count,
        "-R",
        &count,
        "-W",
        "2000000",
        "192.0.2.1",
    ]);
    let mut perfdhcp = Process::start("perfdhcp", command, scratch.path()).unwrap();

    // Each goes on to the next as soon as the hooks of the one before were at work.
    let mut reloads = 0;
    let mut reload = |observer: &mut Observer, hooks: &[String], rest: &str| {
        let before = steady.hook.calls().unwrap().len();
        steady.hook.wait_for(before + 60, SOON).unwrap();
        configure(hooks, rest);
        observer.signal(Signal::SIGHUP).unwrap();
        reloads += 1;
        observer.wait_for_log("reloaded", reloads).unwrap();
    };
    // Another one in front, another order, another rule for one, other limits.
    let hooks = [with(&added, ""), with(&changing, "retries = 1"), with(&steady, ""), with(&bound, "")];
    reload(&mut observer, &hooks, "[limits]\nmax_hooks = 8\n[log]\nlevel = \"info\"\n");
    // A bad file.
    let bad = [with(&steady, ""), with(&changing, "timeuot = 3")];
    reload(&mut observer, &bad, "");
    observer.wait_for_log("not reloaded", 1).unwrap();
    observer.wait_for_log("did you mean \"timeout\"?", 1).unwrap();
    // Without the one that was added, then as in the beginning.
    let hooks = [with(&steady, ""), with(&changing, "max_parallel = 4"), with(&bound, "timeout = 30")];
    reload(&mut observer, &hooks, "");
    reload(&mut observer, &[with(&steady, ""), with(&changing, ""), with(&bound, "")], "");

    perfdhcp.wait(Duration::from_secs(4 * SECONDS + 30)).unwrap();
    let answered = usize::try_from(kea.statistic("pkt4-ack-sent").unwrap()).unwrap();
    kea.stop().unwrap();
    let ended = observer.stop().unwrap();
    println!("{answered} answers, {} reloads\n{}", reloads, ended.stderr);
    assert!(answered as u64 * 10 >= RATE * SECONDS * 9, "the server did not keep the rate");
    for dump in [&steady, &changing, &bound] {
        let calls = dump.hook.calls().unwrap();
        assert_eq!(calls.len(), answered, "{}", dump.hook.script().display());
        // Each event once: the number is the same for all hooks, and no other event's.
        let mut ids: Vec<_> =
            calls.iter().map(|call| call.get("OBSERVER_EVENT_ID").unwrap().to_owned()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), answered);
    }
    // It was there for a while: from the first reload to the one that took it away.
    let some = added.hook.calls().unwrap().len();
    assert!(some >= 60 && some < answered, "{some} of {answered}");
    assert_eq!(ended.count("kernel", "lost"), 0);
    assert_eq!(ended.count("hooks", "dropped"), 0);
    assert_eq!(ended.stderr.matches("s0 is observed").count(), 1, "attached again: {}", ended.stderr);
}

#[test]
fn interfaces_come_and_go_with_a_reload() {
    require!(Need::Root, Need::Program("tc"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let end = |name, last| End {
        name,
        mac: [2, 0, 0, 0, 0, last],
        addresses: Vec::new(),
        mtu: 1500,
        link_local: false,
    };
    let (near, far) = (&cable.server.namespace, &cable.client.namespace);
    let (second, _peer) = veth(near, &end("s1", 3), far, &end("c1", 4)).unwrap();
    let file = scratch.path().join("c.toml");
    let configure = |names: &[&str]| {
        let tables: String = names.iter().map(|name| format!("[[interface]]\nname = {name:?}\n")).collect();
        fs::write(&file, format!("{tables}[[hook]]\nname = \"a\"\ncommand = \"/bin/true\"\n")).unwrap();
    };
    configure(&["s0"]);
    let more = ["--config", file.to_str().unwrap()];
    let mut observer = Observer::start_with(&cable.server.namespace, scratch.path(), "s0", &more).unwrap();
    configure(&["s0", second.name]);
    observer.signal(Signal::SIGHUP).unwrap();
    observer.wait_for_log("s1 is observed", 1).unwrap();
    configure(&[second.name]);
    observer.signal(Signal::SIGHUP).unwrap();
    observer.wait_for_log("s0 is no longer observed", 1).unwrap();
    configure(&["s0", second.name]);
    observer.signal(Signal::SIGHUP).unwrap();
    observer.wait_for_log("s0 is observed", 2).unwrap();
    observer.wait_for_log("reloaded", 3).unwrap();
    let ended = observer.stop().unwrap();
    assert_eq!(ended.stderr.matches("s1 is observed").count(), 1, "{}", ended.stderr);
}

#[test]
fn without_a_file_there_is_nothing_to_reload() {
    require!(Need::Root, Need::Program("tc"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let hook = DumpHook::install(scratch.path()).unwrap();
    let server = &cable.server;
    let mut observer =
        Observer::start(&server.namespace, scratch.path(), server.name, hook.script(), &[]).unwrap();
    observer.signal(Signal::SIGHUP).unwrap();
    observer.wait_for_log("reloaded", 1).unwrap();
    let frames = Recording::named("kea-v4-dora").frames().unwrap();
    replay_paced(&frames, 10.0, &cable.client, server, AnswersFrom::Observed).unwrap();
    hook.wait_for(3, SOON).unwrap();
    observer.stop().unwrap();
}
