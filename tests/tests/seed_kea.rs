//! An observer that starts in the middle of life beside a real Kea: with Kea's own lease file for a seed, its story goes on
//! as Kea's does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::message4::Kind;
use observer_tests::client::message6::Ia;
use observer_tests::client::v4::Client4;
use observer_tests::client::v6::Client6;
use observer_tests::compare::{Rules, compare};
use observer_tests::hook::DumpHook;
use observer_tests::kea::{Config, Family, Kea};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::observer::{Observer, binary};
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::wait;
use serde_json::json;

/// Long enough for an observer to start on a slow machine while the leases run.
const LIFETIME: u32 = 20;
/// A lease or a probation of that length, Kea's reclaim timer of 1 s, and a slow machine.
const EXPIRY: Duration = Duration::from_secs(40);
/// How long a hook may take to be started.
const SOON: Duration = Duration::from_secs(10);

/// Kea with leases on disk, and no observer yet.
struct Bench {
    kea: Kea,
    real: DumpHook,
    leases: PathBuf,
    cable: Cable,
    scratch: Scratch,
}

fn persistent(family: Family, leases: &Path, lifetime: u32) -> Config {
    let database = json!({ "type": "memfile", "persist": true, "name": leases });
    let config = Config::plain(family).unwrap().set("lease-database", database);
    let config = config.set("valid-lifetime", lifetime).set("decline-probation-period", lifetime);
    match family {
        Family::V4 => config.set("renew-timer", 2).set("rebind-timer", 3),
        Family::V6 => config.set("preferred-lifetime", 4).set("renew-timer", 2).set("rebind-timer", 3),
    }
}

impl Bench {
    fn new(family: Family, lifetime: u32) -> Self {
        // Built before any lease runs.
        binary().unwrap();
        let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
        let leases = scratch.path().join("leases.csv");
        let directory = scratch.directory("kea").unwrap();
        let real = DumpHook::install(&directory).unwrap();
        let config = persistent(family, &leases, lifetime);
        let kea = Kea::start(&cable.server.namespace, &directory, config, real.script()).unwrap();
        Self { kea, real, leases, cable, scratch }
    }

    /// An observer that knows what Kea has written down, and its hook.
    fn observer(&self) -> (Observer, DumpHook) {
        let directory = self.scratch.directory("observer").unwrap();
        let hook = DumpHook::install(&directory).unwrap();
        let options =
            ["--kea-config", self.kea.config().to_str().unwrap(), "--seed", self.leases.to_str().unwrap()];
        let server = &self.cable.server;
        let observer = Observer::start(&server.namespace, &directory, server.name, hook.script(), &options);
        (observer.unwrap(), hook)
    }

    fn real_call(&self, hook: &str, address: &str) {
        let wanted = |call: &Call| {
            call.hook() == hook && call.any(&["LEASE4_ADDRESS", "LEASE6_ADDRESS"]) == Some(address)
        };
        self.real.wait_for_call(&format!("{hook} of {address}"), EXPIRY, wanted).unwrap();
    }

    /// What Kea called after its first `before` calls is what the observer called, down to the order of the variables.
    fn compare(mut self, before: usize, observer: Observer, observed: &DumpHook) {
        self.kea.stop().unwrap();
        same_story(|| self.real.calls().unwrap().split_off(before), observed);
        observer.stop().unwrap();
    }
}

fn same_story(real: impl Fn() -> Vec<Call>, observed: &DumpHook) {
    let rules = Rules { variable_order: true, ..Rules::default() };
    let report = || compare(&real(), &observed.calls().unwrap(), &rules);
    // When this gives up, the comparison after it says more.
    let _ = wait::until("same story", SOON, || Ok(report().ok()));
    report().unwrap_or_else(|report| panic!("Kea's calls are expected:\n{report}"));
    assert!(!real().is_empty());
}

#[test]
fn v4_goes_on_as_kea_does() {
    require!(Need::Root, Need::Program("kea-dhcp4"));
    let bench = Bench::new(Family::V4, LIFETIME);
    let mut renewer = Client4::new(&bench.cable, 1).unwrap().host_name("Renewer");
    renewer.client_id = Some([&[1][..], &renewer.mac()].concat());
    let renewed = renewer.bind().unwrap().yiaddr.to_string();
    let mut leaver = Client4::new(&bench.cable, 2).unwrap();
    let left = leaver.bind().unwrap().yiaddr.to_string();
    let mut stayer = Client4::new(&bench.cable, 3).unwrap().host_name("comma,name");
    let stayed = stayer.bind().unwrap().yiaddr.to_string();
    let mut decliner = Client4::new(&bench.cable, 4).unwrap();
    let declined = decliner.bind().unwrap().yiaddr.to_string();
    decliner.decline().unwrap();
    // Four grants; a decline and what it committed.
    bench.real.wait_for(6, SOON).unwrap();

    let (observer, observed) = bench.observer();
    assert!(renewer.renew().unwrap().is(Kind::Ack));
    leaver.release().unwrap();
    bench.real_call("lease4_renew", &renewed);
    bench.real_call("lease4_release", &left);
    bench.real_call("lease4_expire", &stayed);
    bench.real_call("lease4_recover", &declined);
    bench.real_call("lease4_expire", &renewed);
    bench.compare(6, observer, &observed);
}

#[test]
fn v6_goes_on_as_kea_does() {
    require!(Need::Root, Need::Program("kea-dhcp6"));
    let bench = Bench::new(Family::V6, LIFETIME);
    let client = |number: u8| {
        let iaid = u32::from(number);
        let associations = vec![Ia::addresses(iaid), Ia::prefixes(iaid + 0x0100_0000)];
        let mut client = Client6::new(&bench.cable, number, associations).unwrap();
        client.bind().unwrap();
        let held: Vec<String> =
            client.associations.iter().map(|ia| ia.items[0].address.to_string()).collect();
        (client, held)
    };
    let (mut renewer, renewed) = client(1);
    let (mut leaver, left) = client(2);
    let (_stayer, stayed) = client(3);
    let (mut decliner, declined) = client(4);
    decliner.decline().unwrap();
    bench.real.wait_for(6, SOON).unwrap();

    let (observer, observed) = bench.observer();
    renewer.renew().unwrap();
    leaver.release().unwrap();
    left.iter().for_each(|address| bench.real_call("lease6_release", address));
    stayed.iter().for_each(|address| bench.real_call("lease6_expire", address));
    bench.real_call("lease6_recover", &declined[0]);
    renewed.iter().for_each(|address| bench.real_call("lease6_expire", address));
    bench.compare(6, observer, &observed);
}

/// Leases that ran out while neither was there: Kea reports them when it starts again, the observer when it starts.
fn overdue(family: Family, bind: impl Fn(&Cable)) {
    let lifetime = 5;
    let mut bench = Bench::new(family, lifetime);
    bind(&bench.cable);
    bench.kea.stop().unwrap();
    let over = wait::unix_now() + f64::from(lifetime) + 1.0;
    wait::until("end of the lease", EXPIRY, || Ok((wait::unix_now() > over).then_some(()))).unwrap();

    let (observer, observed) = bench.observer();
    let directory = bench.scratch.directory("again").unwrap();
    let again = DumpHook::install(&directory).unwrap();
    let config = persistent(family, &bench.leases, lifetime);
    let mut kea = Kea::start(&bench.cable.server.namespace, &directory, config, again.script()).unwrap();
    again.wait_for(1, SOON).unwrap();
    same_story(|| again.calls().unwrap(), &observed);
    kea.stop().unwrap();
    observer.stop().unwrap();
}

#[test]
fn what_ran_out_in_the_meantime_is_told_as_kea_tells_it() {
    require!(Need::Root, Need::Program("kea-dhcp4"), Need::Program("kea-dhcp6"));
    overdue(Family::V4, |cable| {
        Client4::new(cable, 1).unwrap().host_name("late").bind().unwrap();
    });
    overdue(Family::V6, |cable| {
        Client6::new(cable, 1, vec![Ia::addresses(1)]).unwrap().bind().unwrap();
    });
}
