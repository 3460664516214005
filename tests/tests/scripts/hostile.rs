//! A thousand host names that want to be something else, through the observer's parser into every shipped script.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use observer_tests::client::message4::option;
use observer_tests::client::message6::{self, Ia, Item6, Kind};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::replay_invocations;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::Script;
use observer_tests::scripts::hostile::{Cage, as_hooks_get_it, names};
use observer_tests::scripts::http::{HttpServer, Request};
use observer_tests::scripts::named::{Named, ZONES};
use observer_tests::scripts::netbox::Netbox;
use observer_tests::traffic::{Options4, Station, Traffic};
use observer_tests::wait;
use serde_json::Value;

use crate::nft::{elements, sets};
use crate::routes::routes;

/// So many names.
const COUNT: usize = 1_000;

/// A capture in which client number n gets the address 10.0.n with name n in option 12 of the answer, and a place to look
/// for what names should not have done.
struct Bench {
    scratch: Scratch,
    capture: PathBuf,
    cage: Cage,
    names: Vec<Vec<u8>>,
}

fn address(number: usize) -> Ipv4Addr {
    let [.., high, low] = (number as u32).to_be_bytes();
    Ipv4Addr::new(10, 0, high, low)
}

fn hwaddr(number: usize) -> String {
    let [.., high, low] = (number as u32).to_be_bytes();
    format!("02:00:5e:00:{high:02x}:{low:02x}")
}

impl Bench {
    fn new() -> Self {
        let scratch = Scratch::new().unwrap();
        let (capture, names) = (scratch.path().join("names.pcap"), names(COUNT));
        let mut traffic = Traffic::starting(wait::unix_now() - 60.0);
        for (number, name) in names.iter().enumerate() {
            let answered = vec![(option::HOST_NAME, name.clone())];
            let station = Station(number as u16);
            traffic.bind4(station, address(number), &Options4::new(), &answered).unwrap();
        }
        traffic.write(&capture).unwrap();
        let cage = Cage::new(scratch.path()).unwrap();
        Self { scratch, capture, cage, names }
    }

    /// Replays the capture into a script; then nothing must have been executed, and no file made but these.
    fn run(&mut self, namespace: &Namespace, name: &str, configuration: &str, files: &[&str]) -> Vec<u8> {
        let configuration = format!("{}{configuration}", self.cage.configuration());
        let script = Script::install(namespace, self.scratch.path(), name, &configuration).unwrap();
        self.cage.close().unwrap();
        let said = script.replay(&self.capture, &[]).unwrap();
        self.cage.check(files).unwrap();
        said
    }

    /// What hooks get, by hardware address.
    fn hostnames(&self) -> BTreeMap<String, Vec<u8>> {
        let names = self.names.iter().enumerate();
        names.map(|(number, name)| (hwaddr(number), as_hooks_get_it(name))).collect()
    }
}

/// What a name may become in the DNS: of its first label, letters, digits and hyphens, not at the ends.
fn label(name: &[u8]) -> Option<String> {
    let first = name.split(|&octet| octet == b'.').next().unwrap_or_default();
    let kept: Vec<u8> =
        first.iter().copied().filter(|octet| octet.is_ascii_alphanumeric() || *octet == b'-').collect();
    let label = String::from_utf8(kept).unwrap();
    let label = label.trim_matches('-');
    (!label.is_empty() && label.len() <= 63).then(|| label.to_owned())
}

#[test]
fn names_are_what_was_sent_and_nothing_else() {
    let bench = Bench::new();
    let calls = replay_invocations(&bench.capture, &[]).unwrap();
    assert_eq!(calls.len(), COUNT);
    let expected = bench.hostnames();
    for call in calls {
        let hostname = call.get("LEASES4_AT0_HOSTNAME").unwrap();
        let sent = &expected[call.get("LEASES4_AT0_HWADDR").unwrap()];
        assert_eq!(hostname, String::from_utf8_lossy(sent), "{sent:?}");
    }
}

#[test]
fn the_log_has_one_line_each() {
    require!(Need::Root);
    let mut bench = Bench::new();
    let said = bench.run(&Namespace::new().unwrap(), "log", "", &[]);
    assert!(said.iter().all(|&octet| octet == b'\n' || (0x20..0x7f).contains(&octet)));
    let lines: BTreeSet<String> = String::from_utf8(said).unwrap().lines().map(str::to_owned).collect();
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b" ._:/@+,;=()-".contains(&octet);
    let expected: BTreeSet<String> = bench
        .names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let name: String = as_hooks_get_it(name)
                .into_iter()
                .map(
                    |octet| {
                        if plain(octet) { char::from(octet).to_string() } else { format!("\\{octet:03o}") }
                    },
                )
                .collect();
            let name = if name.is_empty() { name } else { format!(" \"{name}\"") };
            format!("leases4_committed: {} given to {}{name}", address(number), hwaddr(number))
        })
        .collect();
    assert_eq!(lines.len(), COUNT);
    assert_eq!(lines, expected);
}

#[test]
fn json_says_the_same_name() {
    require!(Need::Root, Need::Program("curl"));
    let mut bench = Bench::new();
    let namespace = Namespace::new().unwrap();
    let server = HttpServer::start(&namespace, Vec::new(), |requests: &mut Vec<Request>, request| {
        requests.push(request.clone());
        (200, "{}".to_owned())
    })
    .unwrap();
    bench.run(&namespace, "webhook", &format!("WEBHOOK_URL={}\n", server.url()), &[]);
    let requests = server.stop().unwrap();
    assert_eq!(requests.len(), COUNT);
    let mut expected = bench.hostnames();
    for request in requests {
        assert_eq!((&*request.method, &*request.target), ("POST", "/"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let variables = body["variables"].as_object().unwrap();
        let sent = expected.remove(variables["LEASES4_AT0_HWADDR"].as_str().unwrap()).unwrap();
        let sent = String::from_utf8_lossy(&sent).into_owned();
        assert_eq!(variables["LEASES4_AT0_HOSTNAME"], *sent);
        assert_eq!(body["given"][0]["hostname"], *sent);
        let members: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["hook_point", "event_id", "attempt", "taken", "given", "variables"]);
    }
    assert!(expected.is_empty());
}

#[test]
fn the_zone_has_only_names_of_clients() {
    require!(Need::Root, Need::Program("named"), Need::Program("nsupdate"), Need::Program("dig"));
    let mut bench = Bench::new();
    let namespace = Namespace::new().unwrap();
    let named = Named::start(&namespace, &bench.scratch.directory("named").unwrap()).unwrap();
    bench.run(&namespace, "nsupdate", &format!("{}DNS_TTL=60\n", named.configuration()), &[]);
    // Each name is one client's, whichever came first; each client that has one has a PTR with it.
    let mut wanted: BTreeMap<String, BTreeSet<Ipv4Addr>> = BTreeMap::new();
    for (number, name) in bench.names.iter().enumerate() {
        if let Some(label) = label(&as_hooks_get_it(name)).filter(|label| label != "www") {
            wanted.entry(format!("{label}.example.com.")).or_default().insert(address(number));
        }
    }
    let mut found = BTreeMap::new();
    for record in named.records(ZONES[0]).unwrap() {
        let words: Vec<&str> = record.split(' ').collect();
        match words[..] {
            [name, "A", address] => {
                let address: Ipv4Addr = address.parse().unwrap();
                assert!(wanted[name].contains(&address), "{record}");
                assert_eq!(found.insert(name.to_owned(), address), None, "{record}");
            }
            [name, "DHCID", ..] => assert!(wanted.contains_key(name), "{record}"),
            _ => panic!("{record} was never meant to be there"),
        }
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    let reverse: BTreeSet<String> = found
        .iter()
        .map(|(name, address)| {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa. PTR {name}")
        })
        .collect();
    assert_eq!(named.records(ZONES[2]).unwrap(), reverse);
    for zone in [ZONES[1], ZONES[3]] {
        assert!(named.records(zone).unwrap().is_empty());
    }
}

#[test]
fn netbox_has_only_the_leases() {
    require!(Need::Root, Need::Program("curl"), Need::Program("jq"));
    let mut bench = Bench::new();
    let namespace = Namespace::new().unwrap();
    let server = Netbox::start(&namespace, "192.0.2.9/24").unwrap();
    let configuration = crate::netbox::configuration(bench.scratch.path(), &server.url());
    bench.run(&namespace, "netbox", &configuration, &[]);
    let mut netbox = server.stop().unwrap();
    assert_eq!(netbox.changes, vec!["POST ip-addresses/"; COUNT]);
    netbox.objects.retain(|_, object| object["description"] != "the printer");
    let mut expected: Vec<String> = bench
        .names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let name = label(&as_hooks_get_it(name)).map_or_else(String::new, |label| label + ".example.com");
            format!("{}/32 {name} DHCP client {}", address(number), hwaddr(number))
        })
        .collect();
    expected.sort();
    assert_eq!(netbox.list("ip-addresses", "address"), expected);
}

#[test]
fn sets_have_addresses_only() {
    require!(Need::Root, Need::Program("nft"));
    let mut bench = Bench::new();
    let namespace = sets();
    bench.run(&namespace, "nft-set", "", &[]);
    let found: BTreeSet<String> = elements(&namespace, "leased4").into_keys().collect();
    let expected: BTreeSet<String> = (0..COUNT).map(|number| address(number).to_string()).collect();
    assert_eq!(found, expected);
}

#[test]
fn devices_are_remembered_by_addresses_only() {
    require!(Need::Root, Need::Program("flock"));
    let mut bench = Bench::new();
    let namespace = Namespace::new().unwrap();
    let file = bench.scratch.path().join("devices");
    let configuration = format!(
        "DEVICE_FILE={}\nDEVICE_MAIL=root\nDEVICE_SENDMAIL=own_mailer\nDEVICE_COMMAND=true\nown_mailer() {{ cat; }}\n",
        file.display()
    );
    let said = bench.run(&namespace, "new-device", &configuration, &["devices", "devices.lock"]);
    let said = String::from_utf8(said).unwrap();
    // The line, and the same line by mail.
    let lines = said.lines().filter(|line| line.starts_with("new device ")).count();
    assert_eq!(lines, 2 * COUNT);
    let mut known: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    known.sort();
    for (number, line) in known.iter().enumerate() {
        let begin = format!("{} 4 {} - ", hwaddr(number), address(number));
        assert!(line.starts_with(&begin), "{line:?} is not {begin:?}");
    }
    assert_eq!(known.len(), COUNT);
}

#[test]
fn the_template_says_addresses_only() {
    require!(Need::Root);
    let mut bench = Bench::new();
    let said = bench.run(&Namespace::new().unwrap(), "template", "", &[]);
    let lines: BTreeSet<String> = String::from_utf8(said).unwrap().lines().map(str::to_owned).collect();
    let expected = |number| format!("given: {} to {}", address(number), hwaddr(number));
    assert_eq!(lines, (0..COUNT).map(expected).collect());
}

/// DHCPv6 has names in labels, which the observer escapes as master files do.
#[test]
fn delegated_prefixes_are_routed_whatever_the_client_is_called() {
    require!(Need::Root);
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let namespace = &cable.server.namespace;
    let capture = scratch.path().join("names6.pcap");
    let mut traffic = Traffic::starting(wait::unix_now() - 60.0);
    let prefix = |number: usize| Ipv6Addr::new(0x2001, 0xdb8, 0x8000, number as u16, 0, 0, 0, 0);
    for (number, name) in names(COUNT).iter().enumerate() {
        let item = Item6 { address: prefix(number), prefix_length: 64, preferred: 1800, valid: 3600 };
        let mut wire = vec![0];
        for part in name.chunks(63) {
            wire.push(part.len() as u8);
            wire.extend(part);
        }
        wire.push(0);
        let associations = [Ia { items: vec![item], ..Ia::prefixes(1) }];
        let fqdn = vec![(message6::option::FQDN, wire)];
        traffic.exchange6(Kind::Request, Station(number as u16), &associations, &fqdn, None).unwrap();
    }
    traffic.write(&capture).unwrap();
    let mut cage = Cage::new(scratch.path()).unwrap();
    let script = Script::install(namespace, scratch.path(), "pd-routes", &cage.configuration()).unwrap();
    let log = Script::install(namespace, scratch.path(), "log", &cage.configuration()).unwrap();
    cage.close().unwrap();
    script.replay(&capture, &["--iface-name", "s0"]).unwrap();
    let expected: BTreeSet<String> = (0..COUNT)
        .map(|number| {
            let next_hop = Station(number as u16).link_local();
            format!("{}/64 via {next_hop} dev s0", prefix(number))
        })
        .collect();
    assert_eq!(routes(namespace).into_iter().collect::<BTreeSet<_>>(), expected);
    let said = String::from_utf8(log.replay(&capture, &[]).unwrap()).unwrap();
    assert_eq!(
        said.lines().filter(|line| line.starts_with("leases6_committed: 2001:db8:8000:")).count(),
        COUNT
    );
    assert_eq!(said.lines().count(), COUNT);
    cage.check(&[]).unwrap();
}
