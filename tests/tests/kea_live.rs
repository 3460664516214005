//! The observer beside a real Kea: both call a dumping hook, and the two dumps are the same story.

use std::time::Duration;

use observer_tests::client::message4::Kind;
use observer_tests::client::message6::{self, Ia};
use observer_tests::client::v4::{Client4, Relay4};
use observer_tests::client::v6::{Client6, Relay6};
use observer_tests::compare::{Rules, compare};
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::Observer;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::wait;

/// A lease of 5 s, Kea's reclaim timer of 1 s, and a slow machine.
const EXPIRY: Duration = Duration::from_secs(15);
/// How long a hook may take to be started.
const SOON: Duration = Duration::from_secs(10);

/// Kea and the observer on one interface, with a hook each.
struct Bench {
    observer: Option<Observer>,
    kea: Kea,
    observed: DumpHook,
    real: DumpHook,
    cable: Cable,
    _scratch: Scratch,
}

impl Bench {
    fn new(config: Config) -> Self {
        let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
        let (a, b) = (scratch.directory("kea").unwrap(), scratch.directory("observer").unwrap());
        let (real, observed) = (DumpHook::install(&a).unwrap(), DumpHook::install(&b).unwrap());
        let server = &cable.server;
        let kea = Kea::start(&server.namespace, &a, config, real.script()).unwrap();
        let options = ["--kea-config", kea.config().to_str().unwrap()];
        let observer =
            Observer::start(&server.namespace, &b, server.name, observed.script(), &options).unwrap();
        Self { observer: Some(observer), kea, observed, real, cable, _scratch: scratch }
    }

    /// Waits until Kea has called its hook at this hook point for this address.
    fn real_call(&self, hook: &str, address: &str) {
        let wanted = |call: &observer_tests::call::Call| {
            call.hook() == hook && call.any(&["LEASE4_ADDRESS", "LEASE6_ADDRESS"]) == Some(address)
        };
        self.real.wait_for_call(&format!("{hook} of {address}"), EXPIRY, wanted).unwrap();
    }

    /// Both stories are the same, down to the order of the variables; only an expiry is earlier with us than with
    /// Kea's timer.
    fn compare(mut self) {
        // Kea is stopped first: the observer has seen all that caused a call. Hooks of either may still be writing.
        self.kea.stop().unwrap();
        let rules = Rules { variable_order: true, ..Rules::default() };
        let report =
            |bench: &Self| compare(&bench.real.calls().unwrap(), &bench.observed.calls().unwrap(), &rules);
        // When this gives up, the comparison after it says more.
        let _ = wait::until("same story", SOON, || Ok(report(&self).ok()));
        self.observer.take().unwrap().stop().unwrap();
        report(&self).unwrap_or_else(|report| panic!("Kea's calls are expected:\n{report}"));
    }
}

fn short_lived(family: Family) -> Config {
    let config = Config::plain(family).unwrap().set("decline-probation-period", 3).set("valid-lifetime", 5);
    match family {
        Family::V4 => config.set("renew-timer", 2).set("rebind-timer", 3),
        Family::V6 => config.set("preferred-lifetime", 4).set("renew-timer", 2).set("rebind-timer", 3),
    }
}

#[test]
fn v4_renew_release_and_expiry() {
    require!(Need::Root, Need::Program("kea-dhcp4"));
    let bench = Bench::new(short_lived(Family::V4));

    // .100 is renewed and released at once, so that .101 and .102 are the ones that run out.
    let mut leaver = Client4::new(&bench.cable, 1).unwrap().host_name("Leaver");
    leaver.client_id = Some([&[1][..], &leaver.mac()].concat());
    let first = leaver.bind().unwrap().yiaddr;
    let mut stayer = Client4::new(&bench.cable, 2).unwrap();
    stayer.flags = 0x8000;
    let second = stayer.bind().unwrap().yiaddr;
    assert!(leaver.renew().unwrap().is(Kind::Ack));
    assert!(leaver.rebind().unwrap().is(Kind::Ack));
    leaver.release().unwrap();
    bench.real_call("lease4_release", &first.to_string());
    bench.real_call("lease4_expire", &second.to_string());
    // Kea keeps the record that it reclaimed, and offers it again.
    stayer.bind().unwrap();
    stayer.release().unwrap();
    bench.real_call("lease4_release", &second.to_string());
    bench.compare();
}

#[test]
fn v4_relay_nak_inform_and_decline() {
    require!(Need::Root, Need::Program("kea-dhcp4"));
    let bench = Bench::new(short_lived(Family::V4).set("valid-lifetime", 600));

    let mut relayed = Client4::new(&bench.cable, 3).unwrap().host_name("far");
    let agent = Some(vec![2, 3, 0xde, 0xad, 1, 1, 4, b'e', b't', b'h', b'3', 151, 2, 0, 42]);
    relayed.relay = Some(Relay4 { giaddr: "198.51.100.1".parse().unwrap(), agent });
    relayed.bind().unwrap();
    relayed.rebind().unwrap();
    relayed.renew().unwrap();

    let mut client = Client4::new(&bench.cable, 4).unwrap();
    client.inform("192.0.2.9".parse().unwrap()).unwrap();
    assert!(client.init_reboot("192.0.2.150".parse().unwrap()).unwrap().is(Kind::Nak));
    let refused = client.bind().unwrap().yiaddr;
    assert!(client.init_reboot(refused).unwrap().is(Kind::Ack));
    client.decline().unwrap();
    bench.real_call("lease4_decline", &refused.to_string());
    client.bind().unwrap();
    bench.real_call("lease4_recover", &refused.to_string());
    relayed.release().unwrap();
    bench.real_call("lease4_release", "198.51.100.100");
    bench.compare();
}

#[test]
fn v6_renew_release_and_expiry() {
    require!(Need::Root, Need::Program("kea-dhcp6"));
    let bench = Bench::new(short_lived(Family::V6));

    let both = |iaid| vec![Ia::addresses(iaid), Ia::prefixes(iaid + 0x0100_0000)];
    let mut leaver = Client6::new(&bench.cable, 1, both(1)).unwrap();
    leaver.bind().unwrap();
    let mut stayer = Client6::new(&bench.cable, 2, both(2)).unwrap();
    stayer.rapid_commit().unwrap();
    let kept: Vec<String> = stayer.associations.iter().map(|ia| ia.items[0].address.to_string()).collect();
    leaver.renew().unwrap();
    leaver.rebind().unwrap();
    leaver.confirm().unwrap();
    leaver.information_request().unwrap();
    let first = leaver.associations[0].items[0].address;
    leaver.release().unwrap();
    bench.real_call("lease6_release", &first.to_string());
    kept.iter().for_each(|address| bench.real_call("lease6_expire", address));
    bench.compare();
}

#[test]
fn v6_relays_and_decline() {
    require!(Need::Root, Need::Program("kea-dhcp6"));
    let bench = Bench::new(short_lived(Family::V6).set("valid-lifetime", 600).set("preferred-lifetime", 300));

    let relay = |address: &str, link: &str, id: &[u8]| Relay6 {
        address: address.parse().unwrap(),
        link: link.parse().unwrap(),
        options: vec![(message6::option::INTERFACE_ID, id.to_vec())],
    };
    let relays = vec![relay("fe80::7", "2001:db8:2::1", b"port 7"), relay("2001:db8:1::2", "::", b"uplink")];
    let relayed = Client6::new(&bench.cable, 3, vec![Ia::addresses(3), Ia::prefixes(4)]).unwrap();
    let mut relayed = relayed.through(relays).unwrap();
    // A partial name with the S flag, RFC 4704 section 4.
    relayed.options = vec![(message6::option::FQDN, b"\x01\x04HoSt".to_vec())];
    relayed.bind().unwrap();
    relayed.renew().unwrap();
    relayed.release().unwrap();

    let mut client = Client6::new(&bench.cable, 4, vec![Ia::addresses(5), Ia::addresses(6)]).unwrap();
    client.bind().unwrap();
    let refused: Vec<String> = client.associations.iter().map(|ia| ia.items[0].address.to_string()).collect();
    client.decline().unwrap();
    refused.iter().for_each(|address| bench.real_call("lease6_recover", address));
    bench.compare();
}
