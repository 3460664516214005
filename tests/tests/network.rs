//! What the network says beside leases, with real servers: an empty pool, a rogue, a refusal, a fight, and none at all.

use std::path::Path;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::message4::{Kind, Message4};
use observer_tests::client::message6::Ia;
use observer_tests::client::v4::Client4;
use observer_tests::client::v6::Client6;
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::{Cable, End, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::Observer;
use observer_tests::process::Process;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use serde_json::json;

/// How long a server may take to start, and a hook to be called.
const SOON: Duration = Duration::from_secs(20);
/// Seconds after which a question is unanswered: where one shall be, and where none shall be even on a slow machine.
const AFTER: &str = "1";
const NEVER: &str = "600";

/// The observer with a hook, beside a server or none.
struct Bench {
    observer: Observer,
    hook: DumpHook,
    cable: Cable,
    _kea: Option<Kea>,
    scratch: Scratch,
}

impl Bench {
    fn new(cable: Cable, config: Option<Config>, after: &str) -> Self {
        let scratch = Scratch::new().unwrap();
        let (a, b) = (scratch.directory("kea").unwrap(), scratch.directory("observer").unwrap());
        let hook = DumpHook::install(&b).unwrap();
        let server = &cable.server;
        let kea =
            config.map(|config| Kea::start(&server.namespace, &a, config, Path::new("/bin/true")).unwrap());
        let options = ["--network-events", "all", "--unanswered-after", after];
        let observer = Observer::start(&server.namespace, &b, server.name, hook.script(), &options).unwrap();
        Self { observer, hook, cable, _kea: kea, scratch }
    }

    /// Waits for the call at this hook point.
    #[track_caller]
    fn call(&self, hook_point: &str) -> Call {
        self.hook.wait_for_call(hook_point, SOON, |call| call.hook() == hook_point).unwrap()
    }

    /// Ends the observer and gives the hook points of the network, in order.
    fn finish(self) -> Vec<String> {
        self.observer.stop().unwrap();
        let calls = self.hook.calls().unwrap();
        calls.iter().map(|call| call.hook().to_owned()).filter(|hook| hook.starts_with("observer_")).collect()
    }
}

#[track_caller]
fn check(call: &Call, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(call.get(name), Some(*value), "{name}: {call:?}");
    }
}

fn discover(client: &mut Client4) -> Message4 {
    let query = client.query(Kind::Discover);
    client.send(&query, None).unwrap();
    query
}

/// The configuration of the recordings with a single address to give.
fn one_address() -> Config {
    let pools =
        json!([{ "id": 7, "subnet": "192.0.2.0/24", "pools": [{ "pool": "192.0.2.100 - 192.0.2.100" }] }]);
    Config::plain(Family::V4).unwrap().set("subnet4", pools)
}

#[test]
fn questions_to_no_server_are_unanswered() {
    require!(Need::Root);
    let bench = Bench::new(Cable::as_recorded().unwrap(), None, AFTER);
    let mut client = Client4::new(&bench.cable, 1).unwrap();
    let query = discover(&mut client);
    client.send(&query, None).unwrap();
    let call = bench.call("observer_unanswered");
    check(
        &call,
        &[("OBSERVER_ASKED", "2"), ("QUERY4_TYPE", "DHCPDISCOVER"), ("OBSERVER_EVENT", "unanswered")],
    );
    let mut six = Client6::new(&bench.cable, 2, vec![Ia::addresses(1)]).unwrap();
    let query = six.query(observer_tests::client::message6::Kind::Solicit, false);
    six.send(&query).unwrap();
    let is_six = |call: &Call| call.get("QUERY6_TYPE") == Some("SOLICIT");
    bench.hook.wait_for_call("unanswered SOLICIT", SOON, is_six).unwrap();
    assert_eq!(bench.finish(), ["observer_unanswered"; 2]);
}

#[test]
fn kea_with_an_empty_pool_keeps_silent_to_newcomers() {
    require!(Need::Root, Need::Program("kea-dhcp4"));
    let bench = Bench::new(Cable::as_recorded().unwrap(), Some(one_address()), AFTER);
    let mut holder = Client4::new(&bench.cable, 1).unwrap();
    assert_eq!(holder.bind().unwrap().yiaddr.to_string(), "192.0.2.100");
    for number in 2..5 {
        discover(&mut Client4::new(&bench.cable, number).unwrap());
    }
    assert!(holder.renew().unwrap().is(Kind::Ack));
    let call = bench.call("observer_pool_exhausted");
    check(
        &call,
        &[("OBSERVER_CLIENTS", "3"), ("OBSERVER_CERTAINTY", "estimated"), ("QUERY4_IFACE_NAME", "s0")],
    );
    let mut seen = bench.finish();
    seen.sort();
    assert_eq!(
        seen,
        ["observer_pool_exhausted", "observer_unanswered", "observer_unanswered", "observer_unanswered"]
    );
}

#[test]
fn kea_with_an_empty_pool_says_so_in_dhcpv6() {
    require!(Need::Root, Need::Program("kea-dhcp6"));
    let subnet = json!([{
        "id": 1, "subnet": "2001:db8:1::/64", "interface": "s0",
        "pools": [{ "pool": "2001:db8:1::1000-2001:db8:1::1000" }],
    }]);
    let config = Config::plain(Family::V6).unwrap().set("subnet6", subnet);
    let bench = Bench::new(Cable::as_recorded().unwrap(), Some(config), NEVER);
    Client6::new(&bench.cable, 1, vec![Ia::addresses(1)]).unwrap().bind().unwrap();
    Client6::new(&bench.cable, 2, vec![Ia::addresses(1)]).unwrap().solicit().unwrap();
    let call = bench.call("observer_pool_exhausted");
    check(
        &call,
        &[
            ("OBSERVER_STATUS", "NoAddrsAvail"),
            ("QUERY6_TYPE", "SOLICIT"),
            ("OBSERVER_CERTAINTY", "observed"),
        ],
    );
    assert!(call.get("OBSERVER_REASON").is_some_and(|reason| !reason.is_empty()), "{call:?}");
    assert_eq!(bench.finish(), ["observer_pool_exhausted"]);
}

#[test]
fn kea_refuses_and_is_declined() {
    require!(Need::Root, Need::Program("kea-dhcp4"));
    let config = Config::plain(Family::V4).unwrap().set("decline-probation-period", 3);
    let bench = Bench::new(Cable::as_recorded().unwrap(), Some(config), NEVER);
    let mut client = Client4::new(&bench.cable, 1).unwrap();
    assert!(client.init_reboot("203.0.113.9".parse().unwrap()).unwrap().is(Kind::Nak));
    let call = bench.call("observer_nak");
    check(
        &call,
        &[
            ("OBSERVER_ADDRESS", "203.0.113.9"),
            ("OBSERVER_SERVER_ID", "192.0.2.1"),
            ("QUERY4_TYPE", "DHCPREQUEST"),
        ],
    );
    let address = client.bind().unwrap().yiaddr.to_string();
    client.decline().unwrap();
    let call = bench.call("observer_conflict");
    check(
        &call,
        &[("OBSERVER_ADDRESS", &address), ("OBSERVER_CONFLICT", "decline"), ("OBSERVER_DECLINES", "1")],
    );
    assert_eq!(bench.finish(), ["observer_nak", "observer_conflict"]);
}

/// The server, a rogue and the clients at three ports of a switch: the cable, the rogue's side, and the switch, without
/// which there is no cable.
fn switched() -> (Cable, Namespace, Namespace) {
    let [server, rogue, client, switch] = [(); 4].map(|()| Namespace::new().unwrap());
    let port = |name| End {
        name,
        link_local: false,
        mac: [2, 0, 0, 0, 1, name.as_bytes()[1]],
        ..End::recorded_client()
    };
    switch.ip(&["link", "add", "sw", "type", "bridge"]).unwrap();
    switch.ip(&["link", "set", "sw", "up"]).unwrap();
    let rogues = End {
        name: "r0",
        mac: [2, 0x66, 0, 0, 0, 1],
        addresses: vec!["192.0.2.66/24"],
        ..End::recorded_client()
    };
    let plug = |side: &Namespace, end: &End, name| {
        let (near, _port) = veth(side, end, &switch, &port(name)).unwrap();
        switch.ip(&["link", "set", name, "master", "sw"]).unwrap();
        near
    };
    let cable = Cable {
        server: plug(&server, &End::recorded_server(), "p1"),
        client: plug(&client, &End::recorded_client(), "p2"),
    };
    plug(&rogue, &rogues, "p3");
    (cable, rogue, switch)
}

#[test]
fn a_rogue_dnsmasq_beside_kea_is_a_foreign_server() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("dnsmasq"));
    let (cable, rogue, _switch) = switched();
    let bench = Bench::new(cable, Some(Config::plain(Family::V4).unwrap()), NEVER);
    let mut command = rogue.command("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--log-facility=-",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
    ]);
    command.args(["--port=0", "--no-ping", "--interface=r0", "--bind-interfaces", "--leasefile-ro"]);
    command.args(["--dhcp-range=192.0.2.200,192.0.2.209,600"]);
    let mut dnsmasq = Process::start("dnsmasq", command, bench.scratch.path()).unwrap();
    dnsmasq.wait_for_log("DHCP, IP range", SOON).unwrap();

    let mut client = Client4::new(&bench.cable, 1).unwrap();
    // Only a broadcast passes the observed port of the switch.
    client.flags = 0x8000;
    discover(&mut client);
    let call = bench.call("observer_foreign_server");
    check(
        &call,
        &[
            ("OBSERVER_SERVER_ID", "192.0.2.66"),
            ("OBSERVER_SERVER_HWADDR", "02:66:00:00:00:01"),
            ("OBSERVER_ANSWER_DIRECTION", "in"),
            ("QUERY4_TYPE", "DHCPDISCOVER"),
        ],
    );
    assert!(
        call.get("OBSERVER_ADDRESS").is_some_and(|address| address.starts_with("192.0.2.20")),
        "{call:?}"
    );
    discover(&mut client);
    assert_eq!(bench.finish(), ["observer_foreign_server"]);
}
