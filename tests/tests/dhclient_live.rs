//! The dhclient dialect beside a real Kea, and a real dhclient whose own script writes down how it is called: the two tell
//! the same story, variable by variable.

use std::path::Path;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::clients::dhclient::{Dhclient, Wants};
use observer_tests::clients::{INTERFACE, RunningClient};
use observer_tests::dhclient;
use observer_tests::fidelity::Fidelity;
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::{End, Link, veth};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::Observer;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::wait;

/// The longest lease here, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const NAME: &str = "Far-Host";

/// Kea, the observer, a client; and what its script and the observer's hook were told.
struct Bench {
    scratch: Scratch,
    server: Link,
    client: Link,
    config: Config,
    wants: Wants,
    kea: Option<Kea>,
    real: DumpHook,
    observed: DumpHook,
    observer: Observer,
}

impl Bench {
    fn new(config: Config, wants: Wants) -> Self {
        let scratch = Scratch::new().unwrap();
        let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let client = End { link_local: true, ..End::recorded_client() };
        let (server, client) = veth(&near, &End::recorded_server(), &far, &client).unwrap();
        let [real, observed] =
            ["real", "observed"].map(|name| DumpHook::install(&scratch.directory(name).unwrap()).unwrap());
        for name in ["kea", "client"] {
            scratch.directory(name).unwrap();
        }
        let more = ["--dialect", "dhclient"];
        let observer =
            Observer::start(&server.namespace, scratch.path(), server.name, observed.script(), &more)
                .unwrap();
        let config = config.without_script().persistent();
        let mut bench = Self { scratch, server, client, config, wants, kea: None, real, observed, observer };
        bench.start_server();
        bench
    }

    fn start_server(&mut self) {
        let directory = self.scratch.path().join("kea");
        let script = Path::new("/bin/true");
        self.kea = Some(Kea::start(&self.server.namespace, &directory, self.config.clone(), script).unwrap());
    }

    fn stop_server(&mut self) {
        self.kea.take().unwrap().stop().unwrap();
    }

    fn start_client(&self) -> Dhclient {
        let directory = self.scratch.path().join("client");
        Dhclient::start_dumping(&self.client.namespace, &directory, self.wants, NAME, &self.real).unwrap()
    }

    /// Waits until both were told of this so many times.
    fn told(&self, reason: &str, times: usize) {
        for hook in [&self.real, &self.observed] {
            let is_enough = || {
                let calls = hook.calls()?;
                let told = calls.iter().filter(|call| call.get("reason") == Some(reason)).count();
                Ok((told >= times).then_some(()))
            };
            wait::until(&format!("{times} times {reason}"), PATIENCE, is_enough)
                .unwrap_or_else(|error| panic!("{error:#}: {:#?}\n{}", self.words(), self.observer.log()));
        }
    }

    /// How often the client was told of this.
    fn count(&self, reason: &str) -> usize {
        self.real.calls().unwrap().iter().filter(|call| call.get("reason") == Some(reason)).count()
    }

    /// Waits until both were told of this again, of each lease: not while the client's script is in the middle of it.
    fn told_again(&self, reason: &str, leases: usize) {
        self.told(reason, (self.count(reason) / leases + 1) * leases);
    }

    fn words(&self) -> [Vec<String>; 2] {
        let words = |hook: &DumpHook| {
            let calls = hook.calls().unwrap();
            calls.iter().map(|call| call.get("reason").unwrap_or("?").to_owned()).collect()
        };
        [words(&self.real), words(&self.observed)]
    }

    fn compare(self) -> Fidelity {
        let same = || Ok((self.real.calls()?.len() == self.observed.calls()?.len()).then_some(()));
        // When this gives up, the comparison after it says more.
        let _ = wait::until("as many calls on both sides", Duration::from_secs(10), same);
        // Each side has its own name for the cable's end.
        let renamed = |mut call: Call| {
            for (name, value) in &mut call.env {
                if name == "interface" {
                    assert_eq!(value, INTERFACE);
                    self.server.name.clone_into(value);
                }
            }
            call
        };
        let real: Vec<_> = self.real.calls().unwrap().into_iter().map(renamed).collect();
        let fidelity = dhclient::compare(&real, &self.observed.calls().unwrap());
        let ended = self.observer.stop().unwrap();
        println!("{fidelity}");
        assert!(!ended.stderr.contains("left out for hook"), "{}", ended.stderr);
        fidelity
    }
}

#[track_caller]
fn is_equal(fidelity: &Fidelity, words: &[&str]) {
    assert!(fidelity.differences.is_empty(), "{fidelity}");
    assert_eq!(fidelity.words.iter().map(String::as_str).collect::<Vec<_>>(), words, "{fidelity}");
}

#[test]
fn v4_bind_renew_rebind_reboot_release_bind_and_expire() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("dhclient"));
    let config = Config::plain(Family::V4).unwrap();
    let config = config.set("valid-lifetime", 24).set("renew-timer", 4).set("rebind-timer", 10);
    let mut bench = Bench::new(config, Wants::V4);
    let mut client = bench.start_client();
    bench.told("BOUND", 1);
    bench.told_again("RENEW", 1);
    bench.stop_server();
    // The REQUEST of the first binding went there too.
    client.wait_for_broadcasts(2, PATIENCE).unwrap();
    bench.start_server();
    let is_rebound = || Ok(bench.words()[1].contains(&"REBIND".to_owned()).then_some(()));
    // The client itself says RENEW.
    let _ = wait::until("a rebind or a renewal", Duration::from_secs(15), is_rebound);
    bench.told_again("RENEW", 1);
    client.vanish().unwrap();
    client = bench.start_client();
    bench.told("REBOOT", 1);
    bench.told_again("RENEW", 1);
    client.release().unwrap();
    bench.told("RELEASE", 1);
    client = bench.start_client();
    bench.told("BOUND", 2);
    bench.stop_server();
    bench.told("EXPIRE", 1);
    bench.told("PREINIT", 4);
    client.vanish().unwrap();
    is_equal(&bench.compare(), &["BOUND", "EXPIRE", "PREINIT", "REBOOT", "RELEASE", "RENEW"]);
}

#[test]
fn v6_bind_renew_rebind_confirm_release_bind_deprecation_and_expiry() {
    require!(Need::Root, Need::Program("kea-dhcp6"), Need::Program("dhclient"));
    let config = Config::plain(Family::V6).unwrap();
    let config = config.set("valid-lifetime", 44).set("preferred-lifetime", 38);
    let config = config.set("renew-timer", 4).set("rebind-timer", 8);
    let mut bench = Bench::new(config, Wants::AddressAndPrefix6);
    let mut client = bench.start_client();
    bench.told("BOUND6", 2);
    bench.told_again("RENEW6", 2);
    bench.stop_server();
    client.wait_for_log(&format!("Rebind on {INTERFACE}"), PATIENCE).unwrap();
    bench.start_server();
    bench.told("REBIND6", 2);
    bench.told_again("RENEW6", 2);
    client.vanish().unwrap();
    // With a prefix it confirms what it has by a Rebind.
    client = bench.start_client();
    bench.told("PREINIT6", 2);
    bench.told("REBIND6", 4);
    bench.told_again("RENEW6", 2);
    client.release().unwrap();
    bench.told("RELEASE6", 2);
    client = bench.start_client();
    bench.told("BOUND6", 4);
    bench.stop_server();
    bench.told("EXPIRE6", 2);
    client.vanish().unwrap();
    let words = ["BOUND6", "DEPREF6", "EXPIRE6", "PREINIT6", "REBIND6", "RELEASE6", "RENEW6"];
    is_equal(&bench.compare(), &words);
}
