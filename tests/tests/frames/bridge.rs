//! A server on a bridge: its frames pass the bridge and its port, and are told once.

use observer_tests::client::message6::Ia;
use observer_tests::client::v4::Client4;
use observer_tests::client::v6::Client6;
use observer_tests::compare::{Rules, compare};
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::{Cable, End, Link, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::Observer;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::wait;
use serde_json::json;

use crate::stage::{LIFE, SOON, lives};

/// `br0`, on which the server lives, with the port `s0` towards the clients.
fn bridged() -> Cable {
    let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    near.ip(&["link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge"]).unwrap();
    for address in ["192.0.2.1/24", "2001:db8:1::1/64"] {
        near.ip(&["address", "add", address, "dev", "br0"]).unwrap();
    }
    let port =
        End { mac: [2, 0, 0, 0, 0, 9], addresses: vec![], link_local: false, ..End::recorded_server() };
    let (_, client) = veth(&near, &port, &far, &End::recorded_client()).unwrap();
    near.ip(&["link", "set", "s0", "master", "br0"]).unwrap();
    near.ip(&["link", "set", "br0", "up"]).unwrap();
    let is_up = || Ok(near.ip(&["link", "show", "br0"])?.contains("LOWER_UP").then_some(()));
    wait::until("carrier on br0", SOON, is_up).unwrap();
    let index = near.run(|| Ok(nix::net::if_::if_nametoindex("br0")?)).unwrap();
    let server = Link { namespace: near, name: "br0", mac: [2, 0, 0, 0, 0, 1], index };
    Cable { server, client }
}

/// Three observers of one server, on the bridge, on the port, and on both.
struct Observers {
    cable: Cable,
    kea: Kea,
    real: DumpHook,
    observers: Vec<(&'static str, Observer, DumpHook)>,
    _scratch: Scratch,
}

impl Observers {
    fn of(config: Config) -> Self {
        let (scratch, cable) = (Scratch::new().unwrap(), bridged());
        let server = &cable.server;
        let directory = scratch.directory("kea").unwrap();
        let real = DumpHook::install(&directory).unwrap();
        let kea = Kea::start(&server.namespace, &directory, config, real.script()).unwrap();
        let watch = |(name, interface, more): (&'static str, &str, &[&str])| {
            let directory = scratch.directory(name).unwrap();
            let hook = DumpHook::install(&directory).unwrap();
            let options = [&["--kea-config", kea.config().to_str().unwrap()], more].concat();
            let observer =
                Observer::start(&server.namespace, &directory, interface, hook.script(), &options).unwrap();
            (name, observer, hook)
        };
        let places: [(_, _, &[&str]); 3] =
            [("bridge", "br0", &[]), ("port", "s0", &[]), ("both", "br0", &["--iface", "s0"])];
        let observers = places.map(watch).into();
        Self { cable, kea, real, observers, _scratch: scratch }
    }

    /// What Kea told its hook is what each observer told.
    fn compare(mut self, life: [&str; 5]) {
        self.real.wait_for(life.len(), SOON).unwrap();
        self.kea.stop().unwrap();
        let real = self.real.calls().unwrap();
        for (name, observer, hook) in self.observers {
            let _ = hook.wait_for(real.len(), SOON);
            let ended = observer.stop().unwrap();
            let mut calls = hook.calls().unwrap();
            // Kea's own scripts overtake each other; ours do not.
            let lives: Vec<_> = lives(&calls).into_values().collect();
            assert_eq!(lives, [life.to_vec()], "{name}");
            for (variable, value) in calls.iter_mut().flat_map(|call| &mut call.env) {
                // Where the frame passed first: Kea only ever sees the bridge.
                let bridge = self.cable.server.index.to_string();
                match variable.as_str() {
                    "QUERY4_IFACE_NAME" | "QUERY6_IFACE_NAME" => {
                        assert_eq!(value, if name == "bridge" { "br0" } else { "s0" }, "{name}");
                        *value = "br0".to_owned();
                    }
                    "QUERY4_IFACE_INDEX" | "QUERY6_IFACE_INDEX" => *value = bridge,
                    _ => {}
                }
            }
            let rules = Rules { variable_order: true, ..Rules::default() };
            compare(&real, &calls, &rules).unwrap_or_else(|report| panic!("{name}:\n{report}"));
            let doubles = ended.count("totals", "duplicate");
            let handled = ended.count("totals", "handled");
            assert_eq!(doubles, if name == "both" { handled } else { 0 }, "{name}: {}", ended.stderr);
        }
    }
}

#[test]
fn v4_of_a_server_on_a_bridge() {
    require!(Need::Root, Need::Program("kea-dhcp4"));
    let interfaces = json!({ "interfaces": ["br0"], "dhcp-socket-type": "raw" });
    let config = Config::plain(Family::V4).unwrap().set("interfaces-config", interfaces);
    let observers = Observers::of(config);
    let mut client = Client4::new(&observers.cable, 1).unwrap();
    client.bind().unwrap();
    client.renew().unwrap();
    client.release().unwrap();
    observers.compare(LIFE);
}

#[test]
fn v6_of_a_server_on_a_bridge() {
    require!(Need::Root, Need::Program("kea-dhcp6"));
    let config = Config::plain(Family::V6).unwrap();
    let config = config.set("interfaces-config", json!({ "interfaces": ["br0"] })).set(
        "subnet6",
        json!([{
            "id": 17, "subnet": "2001:db8:1::/64", "interface": "br0",
            "pools": [{ "pool": "2001:db8:1::1000 - 2001:db8:1::1fff" }],
        }]),
    );
    let observers = Observers::of(config);
    let mut client = Client6::new(&observers.cable, 1, vec![Ia::addresses(1)]).unwrap();
    client.bind().unwrap();
    client.renew().unwrap();
    client.release().unwrap();
    observers.compare(LIFE.map(|hook_point| match hook_point {
        "leases4_committed" => "leases6_committed",
        "lease4_renew" => "lease6_renew",
        _ => "lease6_release",
    }));
}
