//! dnsmasq's own script beside the observer in dnsmasq's dialect: the same calls, variable by variable.
//!
//! A lease of dnsmasq lasts two minutes at least, so the end of its time is not waited for here; the scenarios on a virtual
//! clock show it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::message6::Ia;
use observer_tests::client::v4::Client4;
use observer_tests::client::v6::Client6;
use observer_tests::hook::DumpHook;
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::Observer;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::servers::Lifetimes;
use observer_tests::servers::dnsmasq::Dnsmasq;

const PATIENCE: Duration = Duration::from_secs(30);

/// What only the server's configuration tells.
const CONFIGURED: [&str; 3] = ["DNSMASQ_TAGS", "DNSMASQ_DOMAIN", "DNSMASQ_LOG_DHCP"];

/// dnsmasq and the observer on one interface, a hook each.
struct Stage {
    cable: Cable,
    _scratch: Scratch,
    _server: observer_tests::service::Service,
    observer: Option<Observer>,
    real: DumpHook,
    observed: DumpHook,
}

impl Stage {
    fn set(more: &[&'static str]) -> Self {
        let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
        let (a, b) = (scratch.directory("dnsmasq").unwrap(), scratch.directory("observer").unwrap());
        let (real, observed) = (DumpHook::install(&a).unwrap(), DumpHook::install(&b).unwrap());
        let script = format!("--dhcp-script={}", real.script().display());
        let mut options = more.to_vec();
        options.push(String::leak(script));
        let server = Dnsmasq { more: options, ..Dnsmasq::new(Lifetimes::LONG) };
        let server = server.start(&cable.server.namespace, &a).unwrap();
        let (namespace, name) = (&cable.server.namespace, cable.server.name);
        let observer =
            Observer::start(namespace, &b, name, observed.script(), &["--dialect", "dnsmasq"]).unwrap();
        Self { cable, _scratch: scratch, _server: server, observer: Some(observer), real, observed }
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

    /// Both told the same, call by call.
    fn judge(mut self, expected: &[&str]) {
        self.calls(expected.len());
        let ended = self.observer.take().unwrap().stop().unwrap();
        let (real, observed) = (self.real.calls().unwrap(), self.observed.calls().unwrap());
        let words = |calls: &[Call]| calls.iter().map(|call| call.argv.join(" ")).collect::<Vec<_>>();
        let short = |calls: &[Call]| calls.iter().map(|call| call.hook().to_owned()).collect::<Vec<_>>();
        assert_eq!(words(&real), words(&observed), "{}", ended.stderr);
        assert_eq!(short(&real), expected);
        let mut report = String::new();
        for (real, observed) in real.iter().zip(&observed) {
            let (real, observed) = (variables(real), variables(observed));
            let names = real.keys().chain(observed.keys().filter(|name| !real.contains_key(*name)));
            for name in names {
                if !same(name, real.get(name), observed.get(name)) {
                    let (real, observed) = (real.get(name), observed.get(name));
                    report += &format!("{name}: dnsmasq {real:?}, observer {observed:?}\n");
                }
            }
        }
        assert!(report.is_empty(), "{report}\n{:#?}", words(&real));
    }
}

fn variables(call: &Call) -> BTreeMap<&str, &str> {
    let all = call.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    all.filter(|(name, _)| name.starts_with("DNSMASQ_") && !CONFIGURED.contains(name)).collect()
}

fn same(name: &str, real: Option<&&str>, observed: Option<&&str>) -> bool {
    let number = |text: Option<&&str>| text.and_then(|text| text.parse::<i64>().ok());
    match (name, number(real), number(observed)) {
        // dnsmasq looks at its clock before the frame of its answer is stamped, and once more when it calls the script.
        ("DNSMASQ_LEASE_EXPIRES" | "DNSMASQ_TIME_REMAINING", Some(real), Some(observed)) => {
            (real - observed).abs() <= 1
        }
        _ => real == observed,
    }
}

#[test]
fn leases_of_dhcpv4() {
    require!(Need::Root, Need::Program("dnsmasq"));
    let stage = Stage::set(&["--dhcp-host=02:00:00:00:00:09,192.0.2.150,reserved"]);
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
    // The name goes to another client.
    let mut thief = stage.v4(3).host_name("otherhost");
    thief.bind().unwrap();
    stage.calls(6);
    client.release().unwrap();
    stage.calls(7);
    thief.decline().unwrap();
    stage.calls(8);
    // A name that is none, and one of the configuration's own.
    let mut odd = stage.v4(4).host_name("_odd$name=1");
    odd.bind().unwrap();
    stage.calls(9);
    stage.v4(9).host_name("own").option(55, [12, 1, 3]).bind().unwrap();
    stage.judge(&["add", "old", "old", "old", "old", "add", "del", "del", "add", "add"]);
}

#[test]
fn what_clients_and_relays_say_in_dhcpv4() {
    require!(Need::Root, Need::Program("dnsmasq"));
    let stage = Stage::set(&[]);
    let says = |client: Client4| {
        client
            .host_name("labhost")
            .option(55, [1, 3, 6, 15, 161])
            .option(60, *b"udhcp 1.35=x")
            .option(77, *b"\x03one\x02tw")
            .option(125, *b"\x00\x00\x0d\xe9\x0e\x01\x06ABCDEF\x02\x04S=N1")
            .option(161, *b"https://mud.example/one")
    };
    let mut direct = says(stage.v4(2));
    direct.bind().unwrap();
    stage.calls(1);
    // dhclient does not count its user class.
    let mut uncounted = stage.v4(3).option(77, *b"one string");
    uncounted.bind().unwrap();
    stage.calls(2);
    let mut behind =
        says(stage.v4(4)).through("198.51.100.1", Some(b"\x01\x06port 7\x02\x04\x00\x01\x02\xff\x06\x03sub"));
    behind.bind().unwrap();
    stage.calls(4);
    behind.release().unwrap();
    stage.judge(&["add", "add", "old", "add", "del"]);
}

#[test]
fn renewals_where_the_configuration_wants_them() {
    require!(Need::Root, Need::Program("dnsmasq"));
    let stage = Stage::set(&[]);
    let mut client = stage.v4(2);
    client.bind().unwrap();
    stage.calls(1);
    client.inform(Ipv4Addr::new(192, 0, 2, 77)).unwrap();
    client.renew().unwrap();
    client.rebind().unwrap();
    client.release().unwrap();
    stage.judge(&["add", "del"]);
}

#[test]
fn leases_of_dhcpv6() {
    require!(Need::Root, Need::Program("dnsmasq"));
    let stage = Stage::set(&[]);
    let fqdn = b"\x01\x07labhost\x07example\x00";
    let mut client = stage
        .v6(2, vec![Ia::addresses(7)])
        .option(39, fqdn)
        .option(6, &[0, 23, 0, 24, 0, 112])
        .option(15, b"\x00\x03one\x00\x02tw")
        .option(16, b"\x00\x00\x01\x37\x00\x08MSFT 5.0\x00\x02ab")
        .option(112, b"https://mud.example/six");
    client.bind().unwrap();
    stage.calls(1);
    client.renew().unwrap();
    client.rebind().unwrap();
    client.confirm().unwrap();
    client.bind().unwrap();
    stage.calls(2);
    client.release().unwrap();
    stage.calls(3);
    let mut other = stage.v6(3, vec![Ia::addresses(8)]);
    other.bind().unwrap();
    stage.calls(4);
    other.decline().unwrap();
    stage.calls(5);
    stage.judge(&["add", "old", "del", "add", "del"]);
}
