//! How things stand with a running observer: by the control socket, for Prometheus, for systemd, and who may ask.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;
use observer_tests::golden::Recording;
use observer_tests::hook::DumpHook;
use observer_tests::inject::{AnswersFrom, replay_paced};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::{Observer, binary};
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::wait;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(40);
/// Nobody on Debian, and a group that is no one's.
const NOBODY: u32 = 65_534;
const ASKERS: u32 = 54_321;

fn ask(socket: &Path, more: &[&str], uid: u32, gid: u32) -> Output {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
    command.arg(binary_for_all()).arg("status").arg("--control").arg(socket).args(more).output().unwrap()
}

/// The binary where every user may run it.
fn binary_for_all() -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("dhcp-observer-for-all-{}", std::process::id()));
    if !path.exists() {
        fs::copy(binary().unwrap(), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    path
}

/// The answer of `--metrics 127.0.0.1:9167` to this line.
fn scrape(namespace: &Namespace, line: &str) -> String {
    let scraped = namespace.run(|| {
        let mut stream = TcpStream::connect("127.0.0.1:9167")?;
        write!(stream, "{line}\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut scraped = String::new();
        stream.read_to_string(&mut scraped)?;
        Ok(scraped)
    });
    scraped.unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[test]
fn a_running_observer_says_how_things_stand_to_those_who_may_ask() {
    require!(Need::Root, Need::Program("setpriv"));
    let (cable, scratch) = (Cable::as_recorded().unwrap(), Scratch::new().unwrap());
    let hook = DumpHook::install(scratch.path()).unwrap();
    let server = &cable.server;
    server.namespace.ip(&["link", "set", "lo", "up"]).unwrap();
    // The directory is open to all, so that it is the socket that keeps others out.
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = scratch.path().join("control");
    let state = scratch.path().join("state");
    let more = [
        ["--control", socket.to_str().unwrap()],
        ["--control-group", "54321"],
        ["--metrics", "127.0.0.1:9167"],
        ["--state-dir", state.to_str().unwrap()],
    ]
    .concat();
    let observer = Observer::start(&server.namespace, scratch.path(), "s0", hook.script(), &more).unwrap();
    let found = fs::metadata(&socket).unwrap();
    assert_eq!((found.mode() & 0o777, found.uid(), found.gid()), (0o660, 0, ASKERS));

    let recording = Recording::named("kea-v4-dora");
    replay_paced(&recording.frames().unwrap(), 10.0, &cable.client, server, AnswersFrom::Observed).unwrap();
    hook.wait_for(3, SOON).unwrap();
    let json = || -> Value {
        let output = ask(&socket, &["--json"], 0, 0);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let status = wait::until("three hooks that have ended", SOON, || {
        let status = json();
        Ok((status["hooks"][0]["counts"]["succeeded"] == 3).then_some(status))
    })
    .unwrap();
    assert_eq!(status["counts"]["messages4"]["DHCPDISCOVER"], 3);
    assert_eq!(status["counts"]["messages4"]["DHCPACK"], 3);
    assert_eq!(status["counts"]["hook_points"]["leases4_committed"], 3);
    assert_eq!(status["counts"]["kernel"]["lost"], 0);
    assert_eq!(status["counts"]["kernel"]["taken_v4"], status["counts"]["frames"]["handled"]);
    assert_eq!(status["gauges"]["leases4"], 3);
    assert_eq!(status["interfaces"][0]["name"], "s0");
    assert!(status["hooks"][0]["durations"]["sum"].as_f64().unwrap() > 0.0, "{status:#}");
    let store = &status["store"];
    let commits = &store["commits"];
    let buckets = commits["buckets"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap());
    let committed: u64 = buckets.sum();
    assert!(committed > 0 && commits["sum"].as_f64().unwrap() > 0.0, "{store:#}");
    assert_eq!(store["counts"]["commits"], committed, "each commit is in one bucket: {store:#}");

    // A member of the group sees the same as a table; anybody else is told why not.
    let output = ask(&socket, &[], NOBODY, ASKERS);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    for shown in ["hook_points: leases4_committed=3", " commit_p50<=", " commit_p99<="] {
        assert!(table.contains(shown), "no {shown:?} in\n{table}");
    }
    let output = ask(&socket, &[], NOBODY, NOBODY);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("only root and the socket's group may ask"),
        "{}",
        text(&output.stderr)
    );
    // Were the file open to all, the kernel's word on who asks would still hold.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let output = ask(&socket, &[], NOBODY, NOBODY);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("user 65534 is neither root nor in the group"),
        "{}",
        text(&output.stderr)
    );

    let scraped = scrape(&server.namespace, "GET /metrics HTTP/1.1");
    for line in [
        "dhcp_observer_hook_points_total{hook_point=\"leases4_committed\"} 3",
        "dhcp_observer_hook_calls_total{hook=\"script\",what=\"succeeded\"} 3",
        "dhcp_observer_hook_duration_seconds_count{hook=\"script\"} 3",
        "dhcp_observer_leases4 3.0",
        "dhcp_observer_observer_total{what=\"control_refused\"} 1",
    ] {
        assert!(scraped.lines().any(|found| found == line), "no {line:?} in\n{scraped}");
    }
    histogram_adds_up(&scraped, "dhcp_observer_store_commit_seconds", committed);
    observer.stop().unwrap();
    assert!(!socket.exists());
    let _ = fs::remove_file(binary_for_all());
}

/// Whether a histogram without labels has at least so many observations, and buckets of which each holds those before it.
#[track_caller]
fn histogram_adds_up(scraped: &str, name: &str, at_least: u64) {
    let typed = format!("# TYPE {name} histogram");
    assert!(scraped.lines().any(|line| line == typed), "no {typed:?} in\n{scraped}");
    let value = |sample: &str| -> f64 {
        let found = scraped.lines().find_map(|line| line.strip_prefix(&format!("{name}{sample} ")));
        found.unwrap_or_else(|| panic!("no {name}{sample} in\n{scraped}")).parse().unwrap()
    };
    let buckets = scraped.lines().filter_map(|line| line.strip_prefix(&format!("{name}_bucket{{le=\"")));
    let buckets: Vec<(String, f64)> = buckets
        .map(|rest| {
            let (bound, count) = rest.split_once("\"} ").unwrap();
            (bound.to_owned(), count.parse().unwrap())
        })
        .collect();
    assert!(buckets.len() > 2 && buckets.is_sorted_by(|a, b| a.1 <= b.1), "{buckets:?}");
    let bounds = buckets.iter().map(|(bound, _)| bound.trim_start_matches('+').parse::<f64>().unwrap());
    assert!(bounds.is_sorted_by(|a, b| a < b), "{buckets:?}");
    let (last, all) = buckets.last().unwrap();
    assert_eq!((last.as_str(), *all), ("+Inf", value("_count")));
    assert!(*all >= at_least as f64 && value("_sum") > 0.0, "{scraped}");
}

#[test]
fn who_is_not_answered_and_what_is_not_said_is_counted() {
    require!(Need::Root);
    let (cable, scratch) = (Cable::as_recorded().unwrap(), Scratch::new().unwrap());
    let server = &cable.server;
    server.namespace.ip(&["link", "set", "lo", "up"]).unwrap();
    let socket = scratch.path().join("control");
    let more = ["--control", socket.to_str().unwrap(), "--metrics", "127.0.0.1:9167"];
    // A hook that fails is a line of the log each time.
    let fails = Path::new("/bin/false");
    let observer = Observer::start(&server.namespace, scratch.path(), "s0", fails, &more).unwrap();
    let status = || -> Value {
        let mut command = Command::new(binary().unwrap());
        let output = command.args(["status", "--json", "--control"]).arg(&socket).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let count = |name: &str| status()["counts"]["observer"][name].as_u64().unwrap();

    let recording = Recording::named("kea-v4-dora").frames().unwrap();
    for _ in 0..8 {
        replay_paced(&recording, 100.0, &cable.client, server, AnswersFrom::Observed).unwrap();
    }
    let status = wait::until("hooks that have all failed", SOON, || {
        let status = status();
        let (frames, gauges) = (&status["counts"]["frames"]["handled"], &status["gauges"]);
        let is_over =
            *frames == 8 * recording.len() && gauges["hooks_queued"] == 0 && gauges["hooks_running"] == 0;
        Ok(is_over.then_some(status))
    })
    .unwrap();
    // They may have come in several windows of the log, in each of which twenty of its lines pass.
    let failed = status["counts"]["hooks"]["non_zero"].as_u64().unwrap();
    let left_out = status["counts"]["observer"]["log_left_out"].as_u64().unwrap();
    let shown = observer.log().matches("exited with status 1").count() as u64;
    assert!(left_out > 0 && left_out + shown == failed, "{left_out} and {shown} of {failed}");

    // As many as may be served at once say nothing: the next one has to wait until they are cut off.
    let mut silent: Vec<_> = (0..16).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    assert_eq!(count("control_full"), 1);
    wait::until("sixteen that were cut off", SOON, || Ok((count("control_too_slow") == 16).then_some(())))
        .unwrap();
    for stream in &mut silent {
        // Nothing was answered.
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
    let mut odd = UnixStream::connect(&socket).unwrap();
    odd.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    let mut said = String::new();
    odd.read_to_string(&mut said).unwrap();
    assert!(said.contains("no question"), "{said}");
    assert_eq!(count("control_bad_request"), 1);

    let connect = || server.namespace.run(|| Ok(TcpStream::connect("127.0.0.1:9167")?)).unwrap();
    let silent: Vec<_> = (0..8).map(|_| connect()).collect();
    let scraped = scrape(&server.namespace, "GET /metrics HTTP/1.1");
    for line in [
        format!("dhcp_observer_observer_total{{what=\"log_left_out\"}} {left_out}"),
        "dhcp_observer_observer_total{what=\"control_full\"} 1".to_owned(),
        "dhcp_observer_observer_total{what=\"metrics_full\"} 1".to_owned(),
    ] {
        assert!(scraped.lines().any(|found| found == line), "no {line:?} in\n{scraped}");
    }
    assert!(scrape(&server.namespace, "GET / HTTP/1.1").contains(" 404 "));
    assert!(scrape(&server.namespace, "no HTTP at all").contains(" 400 "));
    wait::until("eight that said nothing and two that said something else", SOON, || {
        Ok(((count("metrics_too_slow"), count("metrics_bad_request")) == (8, 2)).then_some(()))
    })
    .unwrap();
    drop(silent);
    let ended = observer.stop().unwrap();
    for (name, expected) in [
        ("control_full", 1),
        ("control_too_slow", 16),
        ("control_bad_request", 1),
        ("metrics_full", 1),
        ("metrics_too_slow", 8),
        ("metrics_bad_request", 2),
        ("log_left_out", left_out),
    ] {
        assert_eq!(ended.count("observer", name), expected, "{name}: {}", ended.stderr);
    }
}

#[test]
fn systemd_is_told_of_readiness_reload_life_and_stop() {
    require!(Need::Root);
    let (cable, scratch) = (Cable::as_recorded().unwrap(), Scratch::new().unwrap());
    let path = scratch.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(SOON)).unwrap();
    let hear = |wanted: &str| {
        let mut octets = [0; 4_096];
        loop {
            let length = systemd.recv(&mut octets).unwrap_or_else(|error| panic!("no {wanted}: {error}"));
            let said = text(&octets[..length]);
            if said.contains(wanted) {
                return said;
            }
        }
    };
    let mut command = cable.server.namespace.command(binary().unwrap().to_str().unwrap());
    command.args(["--iface", "s0", "--script", "/bin/true", "--no-pin", "--no-state", "--control", "none"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000").current_dir(scratch.path());
    // The watchdog is this process's own, whatever it is called later.
    let mut observer = command.process_group(0).spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(observer.id()).unwrap());
    let ready = hear("READY=1");
    assert!(ready.contains("STATUS=observing s0"), "{ready}");
    hear("WATCHDOG=1");
    nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
    hear("READY=1");
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    hear("STOPPING=1");
    assert!(observer.wait().unwrap().success());
}
