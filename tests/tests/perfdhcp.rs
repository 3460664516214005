//! The balance at a rate: as many events as exchanges that were completed, none lost, none invented. The server's own
//! count of its answers says how many there were, and perfdhcp's how many came back.
//!
//! Kea runs without a hook, so that it keeps the rate; the observer stores every event and then starts a compiled hook for
//! it. For longer than 10 s: `cargo xtask soak balance`.

use std::time::Duration;

use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::{Cable, End, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::Observer;
use observer_tests::perfdhcp::exchanges;
use observer_tests::process::Process;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::soak::{mebibytes, number, report};

/// Exchanges a second.
const RATE: u64 = 300;
/// For how many seconds, in the short form.
const SECONDS: u64 = 10;

/// One address for every exchange.
fn roomy(family: Family) -> Config {
    let config = Config::plain(family).unwrap().without_script().controlled();
    match family {
        Family::V4 => config
            .at("/subnet4/0/subnet", "10.0.0.0/16")
            .at("/subnet4/0/pools/0/pool", "10.0.16.0 - 10.0.255.254"),
        Family::V6 => config.at("/subnet6/0/pools/0/pool", "2001:db8:1::1:0 - 2001:db8:1::1:ffff"),
    }
}

/// Runs perfdhcp past an observer. What it reports of this kind of exchange, the calls of the observer's hook for which
/// it counts as one, and what the observer says of itself at its end.
fn balance(family: Family, arguments: &[&str], kind: &str, statistic: &str) {
    let scratch = Scratch::new().unwrap();
    let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let mut server = End::recorded_server();
    server.addresses.push("10.0.0.1/16");
    let client = End { link_local: true, addresses: vec!["10.0.0.2/16"], ..End::recorded_client() };
    let (server, client) = veth(&near, &server, &far, &client).unwrap();
    let cable = Cable { server, client };
    let (a, b) = (scratch.directory("kea").unwrap(), scratch.directory("observer").unwrap());
    let hook = DumpHook::install(&b).unwrap();
    let server = &cable.server;
    let mut kea = Kea::start(&server.namespace, &a, roomy(family), hook.script()).unwrap();
    let state = b.join("state");
    let known = ["--kea-config", kea.config().to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
    let observer = Observer::start(&server.namespace, &b, server.name, hook.script(), &known).unwrap();

    let seconds = number("PERFDHCP_SECONDS", SECONDS);
    let (rate, count) = (RATE.to_string(), (RATE * seconds).to_string());
    let mut command = cable.client.namespace.command("perfdhcp");
    command
        .args(["-l", cable.client.name, "-r", &rate, "-n", &count, "-R", &count, "-W", "2000000"])
        .args(arguments);
    let mut perfdhcp = Process::start("perfdhcp", command, scratch.path()).unwrap();
    perfdhcp.wait(Duration::from_secs(4 * seconds + 30)).unwrap();
    let text = perfdhcp.stdout();
    // What Kea still had to answer was answered when it has ended, and the observer has seen all of it.
    let answered = kea.statistic(statistic).unwrap();
    kea.stop().unwrap();
    let peak = observer.peak_memory().unwrap();
    let ended = observer.stop().unwrap();

    let counted = exchanges(&text, kind).unwrap();
    println!("{kind}: {counted:?}\n{}", ended.stderr);
    let calls = hook.calls().unwrap();
    let committed = calls
        .iter()
        .filter(|call| call.hook().ends_with("s4_committed") || call.hook().ends_with("s6_committed"));
    let completed: u64 = committed.count().try_into().unwrap();
    assert_eq!(counted.orphans, 0, "answers came that nobody waited for: {text}");
    assert_eq!(completed, answered, "lost or invented: the server has given that many leases");
    // An answer that came too late for perfdhcp, or did not fit into its socket, is given all the same.
    assert!((counted.received..=counted.sent).contains(&completed), "{counted:?}, and {completed} events");
    assert!((completed - counted.received) * 100 <= completed, "perfdhcp missed more than 1 %: {text}");
    assert_eq!(calls.len() as u64, completed, "a new client causes one call");
    assert!(completed * 10 >= RATE * seconds * 9, "the server did not keep the rate: {text}");
    let kernel =
        ended.stderr.lines().find(|line| line.starts_with("kernel:")).expect("the kernel's counters");
    assert!(kernel.contains("lost=0"), "{kernel}");
    let hooks = ended.stderr.lines().find(|line| line.starts_with("hooks:")).expect("the hooks' counters");
    assert!(hooks.contains(&format!("started={completed} succeeded={completed}")), "{hooks}");
    report(
        &format!("balance {kind}"),
        &format!(
            "{answered} leases given in {seconds} s, {completed} events, each stored and told once, lost = 0; peak \
             memory {}",
            mebibytes(peak)
        ),
    );
}

#[test]
fn dhcpv4() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("perfdhcp"), Need::Program("tc"));
    balance(Family::V4, &["-4", "192.0.2.1"], "REQUEST-ACK", "pkt4-ack-sent");
}

#[test]
fn dhcpv6() {
    require!(Need::Root, Need::Program("kea-dhcp6"), Need::Program("perfdhcp"), Need::Program("tc"));
    balance(Family::V6, &["-6", "all"], "REQUEST-REPLY", "pkt6-reply-sent");
}
