//! dnsmasq's own script beside the observer in dnsmasq's dialect: the same calls, argument by argument and variable by
//! variable, with scripted and with real clients.

use std::net::Ipv4Addr;
use std::sync::mpsc::Sender;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::message6::Ia;
use observer_tests::client::v4::Client4;
use observer_tests::client::v6::{Client6, Relay6};
use observer_tests::clients::any::Client;
use observer_tests::clients::{dhclient, dhcpcd};
use observer_tests::dnsmasq;
use observer_tests::fidelity::Fidelity;
use observer_tests::hook::DumpHook;
use observer_tests::link::{Cable, End, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::Observer;
use observer_tests::parallel::{self, Case};
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::servers::Lifetimes;
use observer_tests::servers::dnsmasq::{Dnsmasq, SHORTEST};
use observer_tests::service::{Service, write};
use observer_tests::wait;

const PATIENCE: Duration = Duration::from_secs(40);
/// How long after the last of dnsmasq's calls ours may come.
const SOON: Duration = Duration::from_secs(20);

/// dnsmasq and the observer on one interface, a hook each.
struct Stage {
    cable: Cable,
    scratch: Scratch,
    _server: Service,
    observer: Option<Observer>,
    real: DumpHook,
    observed: DumpHook,
}

impl Stage {
    /// `more` are further options of dnsmasq, `keys` those of our hook that say the same.
    fn set(more: &[&'static str], keys: &str) -> Self {
        let scratch = Scratch::new().unwrap();
        let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let client = End { link_local: true, ..End::recorded_client() };
        let (server, client) = veth(&near, &End::recorded_server(), &far, &client).unwrap();
        let cable = Cable { server, client };
        // What is behind a relay is reached by way of the client's end.
        near.ip(&["route", "add", "198.51.100.0/24", "dev", "s0"]).unwrap();
        cable.server.neighbour("198.51.100.1", cable.client.mac).unwrap();
        let (a, b) = (scratch.directory("dnsmasq").unwrap(), scratch.directory("observer").unwrap());
        let (real, observed) = (DumpHook::install(&a).unwrap(), DumpHook::install(&b).unwrap());
        let script = format!("--dhcp-script={}", real.script().display());
        let mut options = vec!["--domain=example.org"];
        options.extend(more);
        options.push(String::leak(script));
        let server = Dnsmasq { more: options, ..Dnsmasq::new(Lifetimes::LONG) };
        let server = server.start(&near, &a).unwrap();
        let file = format!(
            "[[interface]]\nname = \"s0\"\n[[hook]]\nname = \"dnsmasq\"\ncommand = {:?}\ndialect = \"dnsmasq\"\n\
             allow_writable = true\ndomain = \"example.org\"\nlog_dhcp = true\n{keys}\n",
            observed.script()
        );
        let file = write(&b, "config.toml", &file).unwrap();
        let observer = Some(Observer::start_with(&near, &b, "s0", &["--config", &file]).unwrap());
        Self { cable, scratch, _server: server, observer, real, observed }
    }

    fn v4(&self, number: u8) -> Client4 {
        Client4::new(&self.cable, number).unwrap()
    }

    fn v6(&self, number: u8, associations: Vec<Ia>) -> Client6 {
        Client6::new(&self.cable, number, associations).unwrap()
    }

    /// Waits until dnsmasq's script has been called this often.
    fn calls(&self, count: usize) {
        self.real.wait_for(count, PATIENCE).unwrap();
    }

    /// Waits until dnsmasq's script has been called so often with this action.
    fn told(&self, action: &str, times: usize, within: Duration) {
        let count = |calls: Vec<Call>| calls.iter().filter(|call| call.hook() == action).count();
        let enough = || Ok((count(self.real.calls()?) >= times).then_some(()));
        wait::until(&format!("{times} times {action}"), within, enough).unwrap();
    }

    /// Both told the same, call by call; the actions were these where they are known.
    fn judge(mut self, what: &str, expected: &[&str]) -> Fidelity {
        self.calls(expected.len());
        let real = self.real.calls().unwrap();
        // When too few come, the comparison says which are missing.
        let _ = self.observed.wait_for(real.len(), SOON);
        self.observer.take().unwrap().stop().unwrap();
        let (real, observed) = (self.real.calls().unwrap(), self.observed.calls().unwrap());
        let actions: Vec<_> = real.iter().map(Call::hook).collect();
        assert!(expected.is_empty() || actions == expected, "{what}: dnsmasq said {actions:?}");
        dnsmasq::compare(what, &real, &observed)
    }
}

fn leases4() -> Fidelity {
    let stage = Stage::set(&["--dhcp-host=02:aa:bb:00:00:09,192.0.2.150,reserved"], "");
    let mut client = stage.v4(2).host_name("labhost").identified(&[1, 2, 0, 0, 0, 0, 2]);
    client.bind().unwrap();
    stage.calls(1);
    client.renew().unwrap();
    client.init_reboot(client.address().unwrap()).unwrap();
    stage.calls(2);
    // Another name: two calls.
    client.options.retain(|(code, _)| *code != 12);
    let mut client = client.host_name("OtherHost.example.net");
    client.bind().unwrap();
    stage.calls(4);
    client.rebind().unwrap();
    // The name goes to another client, and from there to a third one whose lease is not new.
    let mut thief = stage.v4(3).host_name("otherhost");
    thief.bind().unwrap();
    stage.calls(7);
    client.bind().unwrap();
    stage.calls(10);
    client.release().unwrap();
    stage.calls(11);
    thief.decline().unwrap();
    stage.calls(12);
    // A name that is none.
    let mut odd = stage.v4(4).host_name("_odd$name=1");
    odd.bind().unwrap();
    stage.calls(13);
    // One by option 81, in wire format, beside another by option 12.
    let mut qualified = stage.v4(5).host_name("plain").option(81, *b"\x04\0\0\x09qualified\x07example\0");
    qualified.bind().unwrap();
    stage.calls(14);
    // The configuration's name for it, which it asks for.
    stage.v4(9).host_name("own").option(55, [12, 1, 3]).bind().unwrap();
    stage.judge(
        "leases of DHCPv4",
        &[
            "add", "old", "old", "old", "old", "add", "old", "old", "old", "old", "del", "del", "add", "add",
            "add",
        ],
    )
}

fn says4() -> Fidelity {
    let stage = Stage::set(&[], "");
    let says = |client: Client4| {
        client
            .host_name("labhost")
            .option(55, [1, 3, 6, 15, 161])
            .option(60, *b"udhcp 1.35=x")
            .option(77, *b"\x03one\x02tw")
            .option(125, *b"\x00\x00\x0d\xe9\x0e\x01\x06ABCDEF\x02\x04S=N1")
            .option(161, *b"https://mud.example/one")
    };
    says(stage.v4(2)).bind().unwrap();
    stage.calls(1);
    // dhclient does not count its user class.
    stage.v4(3).option(77, *b"one string").bind().unwrap();
    stage.calls(2);
    let agent = b"\x01\x06port 7\x02\x04\xfe\x01\x02\xff\x06\x03sub";
    let mut behind = says(stage.v4(4)).through("198.51.100.1", Some(agent));
    behind.bind().unwrap();
    stage.calls(5);
    // Octets of all kinds, NUL first.
    let agent = b"\x01\x04\x00\x01\x02\xff\x02\x06a\x00b=c\n";
    let mut odd = stage.v4(5).option(60, *b"a\0b").option(77, *b"\x00").through("198.51.100.1", Some(agent));
    odd.bind().unwrap();
    stage.calls(6);
    behind.release().unwrap();
    stage.calls(7);
    // Another kind of hardware.
    let mut token = stage.v4(6);
    token.hardware = (6, 6);
    token.flags = 0x8000;
    token.bind().unwrap();
    stage.judge("what clients and relays say", &["add", "add", "old", "add", "old", "add", "del", "add"])
}

fn renewals() -> Fidelity {
    let stage = Stage::set(&[], "");
    let mut client = stage.v4(2);
    client.bind().unwrap();
    stage.calls(1);
    // Its kernel must know where the answer goes.
    stage.cable.server.neighbour("192.0.2.77", client.mac()).unwrap();
    client.inform(Ipv4Addr::new(192, 0, 2, 77)).unwrap();
    client.renew().unwrap();
    client.rebind().unwrap();
    client.release().unwrap();
    stage.judge("renewals", &["add", "del"])
}

/// A renewal is told when the end of the lease is another one, to the second.
fn a_second_later() {
    wait::pace(wait::now() + Duration::from_millis(1_500));
}

fn renewals_told() -> Fidelity {
    let stage = Stage::set(&["--script-on-renewal"], "script_on_renewal = true");
    let mut client = stage.v4(2).host_name("labhost").option(60, *b"udhcp 1.35");
    client.bind().unwrap();
    let mut six = stage.v6(3, vec![Ia::addresses(7)]);
    six.bind().unwrap();
    stage.calls(2);
    a_second_later();
    client.renew().unwrap();
    stage.calls(3);
    six.renew().unwrap();
    stage.calls(4);
    a_second_later();
    client.rebind().unwrap();
    stage.calls(5);
    six.rebind().unwrap();
    stage.calls(6);
    client.release().unwrap();
    stage.calls(7);
    six.release().unwrap();
    stage.judge("renewals that are told", &["add", "add", "old", "old", "old", "old", "del", "del"])
}

fn leases6() -> Fidelity {
    let stage = Stage::set(&[], "");
    let fqdn = b"\x01\x07labhost\x07example\x00";
    let mut client = stage
        .v6(2, vec![Ia::addresses(7)])
        .option(39, fqdn)
        .option(15, b"\x00\x03one\x00\x02tw")
        .option(16, b"\x00\x00\x01\x37\x00\x08MSFT 5.0\x00\x02ab")
        .option(6, &[0, 23, 0, 24, 0, 112])
        .option(112, b"https://mud.example/six");
    client.bind().unwrap();
    stage.calls(1);
    client.renew().unwrap();
    client.rebind().unwrap();
    client.confirm().unwrap();
    client.bind().unwrap();
    stage.calls(2);
    // Classes whose first octets, taken for a length, lead on.
    let mut classes = stage
        .v6(4, vec![Ia::addresses(9)])
        .option(15, b"\x00\x06\x00\x02tiny\x00\x05three")
        .option(16, b"\x00\x00\x01\x37\x00\x05\x00\x03abcde")
        .option(6, &[0, 23]);
    classes.bind().unwrap();
    stage.calls(3);
    client.release().unwrap();
    stage.calls(4);
    let mut other = stage.v6(3, vec![Ia::addresses(8)]);
    other.bind().unwrap();
    stage.calls(5);
    other.decline().unwrap();
    stage.judge("leases of DHCPv6", &["add", "old", "add", "del", "add", "del"])
}

fn more6() -> Fidelity {
    let stage = Stage::set(&[], "");
    // A name of DHCPv6 goes to another client.
    let named = |client: Client6| client.option(39, b"\x01\x07labhost\x00");
    named(stage.v6(2, vec![Ia::addresses(1)])).bind().unwrap();
    stage.calls(1);
    named(stage.v6(3, vec![Ia::addresses(2)])).bind().unwrap();
    stage.calls(4);
    // Two addresses in one message, of one name.
    named(stage.v6(4, vec![Ia::addresses(1), Ia::addresses(2)])).bind().unwrap();
    stage.told("add", 4, PATIENCE);
    // Behind a relay that tells the hardware address, and behind one that does not.
    let link = |number: u8| format!("2001:db8:2::{number}").parse().unwrap();
    let relay = |options: Vec<(u16, Vec<u8>)>| Relay6 {
        address: "2001:db8:1::2".parse().unwrap(),
        link: link(1),
        options,
    };
    let told = vec![(18, b"eth7".to_vec()), (79, vec![0, 1, 2, 0xaa, 0xbb, 0, 0, 5])];
    let mut behind = stage.v6(5, vec![Ia::addresses(3)]).through(vec![relay(told)]).unwrap();
    behind.bind().unwrap();
    stage.told("add", 5, PATIENCE);
    let mut silent = stage.v6(6, vec![Ia::addresses(4)]).through(vec![relay(vec![])]).unwrap();
    silent.bind().unwrap();
    stage.told("add", 6, PATIENCE);
    silent.release().unwrap();
    stage.told("del", 1, PATIENCE);
    behind.release().unwrap();
    stage.told("del", 2, PATIENCE);
    stage.judge("names and relays of DHCPv6", &[])
}

/// A lease of dnsmasq lasts two minutes at least.
fn expiry() -> Fidelity {
    let stage = Stage::set(&[], "");
    stage.v4(2).host_name("labhost").identified(b"\xff1234").bind().unwrap();
    stage.calls(1);
    a_second_later();
    stage.v6(3, vec![Ia::addresses(7)]).bind().unwrap();
    stage.calls(2);
    stage.told("del", 2, Duration::from_secs(u64::from(SHORTEST)) + PATIENCE);
    stage.judge("the end of leases", &["add", "add", "del", "del"])
}

fn real_client(what: &str, client: Client, releases: bool) -> Fidelity {
    let stage = Stage::set(&[], "");
    let directory = stage.scratch.directory("client").unwrap();
    let mut client = client.start(&stage.cable.client.namespace, &directory, "Far-Host").unwrap();
    stage.told("add", 1, PATIENCE);
    // What releases dhclient's lease is another process, which reads the file that the first one writes.
    let leases = directory.join("dhclient.leases");
    let is_written = || {
        let text = std::fs::read_to_string(&leases).unwrap_or_default();
        Ok((!leases.exists() || text.contains("lease {") || text.contains("ia-")).then_some(()))
    };
    wait::until("dhclient's lease in its file", PATIENCE, is_written).unwrap();
    if releases {
        client.settle().unwrap();
        client.renew().unwrap();
        client.settle().unwrap();
        client.release().unwrap();
        stage.told("del", 1, PATIENCE);
    }
    client.vanish().ok();
    stage.judge(what, &[])
}

fn case(
    name: &'static str,
    results: &Sender<Fidelity>,
    run: impl FnOnce() -> Fidelity + Send + 'static,
) -> Case {
    let results = results.clone();
    let work = move || {
        let fidelity = run();
        println!("{name}: {fidelity}");
        results.send(fidelity).unwrap();
    };
    (name, Box::new(work))
}

#[test]
fn all_that_the_wire_can_tell_is_equal() {
    require!(
        Need::Root,
        Need::Program("dnsmasq"),
        Need::Program("dhclient"),
        Need::Program("dhcpcd"),
        Need::Program("udhcpc"),
        Need::Program("dhcp6c"),
    );
    let (send, results) = std::sync::mpsc::channel();
    let client = |name: &'static str, client: Client, releases: bool| {
        case(name, &send, move || real_client(name, client, releases))
    };
    let cases = vec![
        case("leases4", &send, leases4),
        case("says4", &send, says4),
        case("renewals", &send, renewals),
        case("renewals_told", &send, renewals_told),
        case("leases6", &send, leases6),
        case("more6", &send, more6),
        case("expiry", &send, expiry),
        client("udhcpc", Client::Udhcpc, true),
        client("dhclient4", Client::Dhclient(dhclient::Wants::V4), true),
        client("dhcpcd4", Client::Dhcpcd(dhcpcd::Wants::V4), true),
        client("dhclient6", Client::Dhclient(dhclient::Wants::Address6), true),
        // Its release of a temporary address names none.
        client("dhclient6_temporary", Client::Dhclient(dhclient::Wants::Temporary6), false),
        client("dhcpcd6", Client::Dhcpcd(dhcpcd::Wants::Address6), true),
        client("dhcp6c", Client::WideDhcp6c(false), true),
    ];
    parallel::all(cases);
    drop(send);
    let mut all = Fidelity::default();
    results.iter().for_each(|fidelity| all.add(fidelity));
    println!("dnsmasq: {all}");
    assert!(all.differences.is_empty(), "{all}");
    // The whole, not what DHCP_OBSERVER_CASE picked.
    assert!(std::env::var_os("DHCP_OBSERVER_CASE").is_some() || all.calls >= 65, "{all}");
}
