//! Host names that want to be something else, through the observer's parser into every shipped script: a thousand in option
//! 12, and those that use a name get all forms of options 81 and 39 as well.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use observer_tests::client::message6::{self, Ia, Item6, Kind};
use observer_tests::link::Cable;
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::observer::replay_invocations;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::Script;
use observer_tests::scripts::hostile::{Cage, names};
use observer_tests::scripts::http::{HttpServer, Request};
use observer_tests::scripts::named::{Named, ZONES};
use observer_tests::scripts::netbox::Netbox;
use observer_tests::traffic::{Station, Traffic};
use observer_tests::wait;
use serde_json::Value;

use crate::bench::{Bench, Client};
use crate::nft::{elements, sets};
use crate::routes::routes;

/// How many names the prefixes have.
const COUNT: usize = 1_000;

fn names_are_what_was_sent(bench: &Bench) {
    let calls = replay_invocations(&bench.capture, &[]).unwrap();
    assert_eq!(calls.len(), bench.clients.len());
    let mut clients = bench.by_address();
    for call in calls {
        let get = |suffix| call.any(&[&format!("LEASES4_AT0_{suffix}"), &format!("LEASES6_AT0_{suffix}")]);
        let client = clients.remove(get("ADDRESS").unwrap()).unwrap();
        assert_eq!(get("HWADDR"), Some(&*client.hwaddr()));
        let sent = &client.name;
        assert_eq!(get("HOSTNAME").unwrap(), String::from_utf8_lossy(sent), "{}", sent.escape_ascii());
    }
}

#[test]
fn names_are_what_was_sent_and_nothing_else() {
    names_are_what_was_sent(&Bench::plain());
}

#[test]
fn qualified_names_are_what_was_sent_and_nothing_else() {
    names_are_what_was_sent(&Bench::qualified());
}

fn the_log_has_one_line_each_of(mut bench: Bench) {
    let said = bench.run(&Namespace::new().unwrap(), "log", "", &[]);
    assert!(said.iter().all(|&octet| octet == b'\n' || (0x20..0x7f).contains(&octet)));
    let lines: BTreeSet<String> = String::from_utf8(said).unwrap().lines().map(str::to_owned).collect();
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b" ._:/@+,;=()-".contains(&octet);
    let quoted = |octet: &u8| {
        if is_plain(*octet) { char::from(*octet).to_string() } else { format!("\\{octet:03o}") }
    };
    let line = |client: &Client| {
        let name: String = client.name.iter().map(quoted).collect();
        let name = if name.is_empty() { name } else { format!(" \"{name}\"") };
        let (family, address, owner) = (client.family(), client.address, client.owner());
        format!("leases{family}_committed: {address} given to {owner}{name}")
    };
    assert_eq!(lines.len(), bench.clients.len());
    assert_eq!(lines, bench.clients.iter().map(line).collect());
}

#[test]
fn the_log_has_one_line_each() {
    require!(Need::Root);
    the_log_has_one_line_each_of(Bench::plain());
}

#[test]
fn the_log_has_one_line_each_of_qualified_names() {
    require!(Need::Root);
    the_log_has_one_line_each_of(Bench::qualified());
}

fn json_says_the_same(mut bench: Bench) {
    let namespace = Namespace::new().unwrap();
    let server = HttpServer::start(&namespace, Vec::new(), |requests: &mut Vec<Request>, request| {
        requests.push(request.clone());
        (200, "{}".to_owned())
    })
    .unwrap();
    bench.run(&namespace, "webhook", &format!("WEBHOOK_URL={}\n", server.url()), &[]);
    let requests = server.stop().unwrap();
    assert_eq!(requests.len(), bench.clients.len());
    let mut expected = bench.by_address();
    for request in requests {
        assert_eq!((&*request.method, &*request.target), ("POST", "/"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let client = expected.remove(body["given"][0]["address"].as_str().unwrap()).unwrap();
        let sent = String::from_utf8_lossy(&client.name).into_owned();
        let variables = body["variables"].as_object().unwrap();
        let variable = |name: &str| &variables[&format!("LEASES{}_AT0_{name}", client.family())];
        assert_eq!(*variable("HWADDR"), *client.hwaddr());
        assert_eq!(*variable("HOSTNAME"), *sent);
        assert_eq!(body["given"][0]["hostname"], *sent);
        let members: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["hook_point", "event_id", "attempt", "taken", "given", "variables"]);
    }
    assert!(expected.is_empty());
}

#[test]
fn json_says_the_same_name() {
    require!(Need::Root, Need::Program("curl"));
    json_says_the_same(Bench::plain());
}

#[test]
fn json_says_the_same_qualified_name() {
    require!(Need::Root, Need::Program("curl"));
    json_says_the_same(Bench::qualified());
}

/// The name under which an address is found.
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]).rev();
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa."
        }
    }
}

fn the_zone_has_only_names_of(mut bench: Bench) {
    let namespace = Namespace::new().unwrap();
    let named = Named::start(&namespace, &bench.scratch.directory("named").unwrap()).unwrap();
    bench.run(&namespace, "nsupdate", &format!("{}DNS_TTL=60\n", named.configuration()), &[]);
    // Each name is one client's, whichever came first; each client that has one has a PTR with it.
    let mut wanted: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    for client in &bench.clients {
        if let Some(label) = client.label().filter(|label| label != "www") {
            wanted.entry(format!("{label}.example.com.")).or_default().insert(client.address);
        }
    }
    let mut found = BTreeMap::new();
    for record in named.records(ZONES[0]).unwrap() {
        let words: Vec<&str> = record.split(' ').collect();
        match words[..] {
            [name, kind @ ("A" | "AAAA"), address] => {
                let address: IpAddr = address.parse().unwrap();
                assert_eq!(address.is_ipv4(), kind == "A", "{record}");
                assert!(wanted[name].contains(&address), "{record}");
                assert_eq!(found.insert(name.to_owned(), address), None, "{record}");
            }
            [name, "DHCID", ..] => assert!(wanted.contains_key(name), "{record}"),
            _ => panic!("{record} was never meant to be there"),
        }
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for family in [4, 6] {
        let has = |client: &Client| client.address.is_ipv4() == (family == 4);
        let any = bench.clients.iter().any(has);
        assert_eq!(any, found.values().any(|address| address.is_ipv4() == (family == 4)), "{family}");
    }
    let pointers: BTreeSet<String> =
        found.iter().map(|(name, address)| format!("{} PTR {name}", reverse(*address))).collect();
    let (in4, in6): (BTreeSet<_>, BTreeSet<_>) =
        pointers.into_iter().partition(|pointer| pointer.contains(".in-addr.arpa."));
    assert_eq!((named.records(ZONES[2]).unwrap(), named.records(ZONES[3]).unwrap()), (in4, in6));
    assert!(named.records(ZONES[1]).unwrap().is_empty());
}

#[test]
fn the_zone_has_only_names_of_clients() {
    require!(Need::Root, Need::Program("named"), Need::Program("nsupdate"), Need::Program("dig"));
    the_zone_has_only_names_of(Bench::plain());
}

#[test]
fn the_zone_has_only_qualified_names_of_clients() {
    require!(Need::Root, Need::Program("named"), Need::Program("nsupdate"), Need::Program("dig"));
    the_zone_has_only_names_of(Bench::qualified());
}

fn netbox_has_only_the_leases_of(mut bench: Bench) {
    let namespace = Namespace::new().unwrap();
    let server = Netbox::start(&namespace, "192.0.2.9/24").unwrap();
    let configuration = crate::netbox::configuration(bench.scratch.path(), &server.url());
    bench.run(&namespace, "netbox", &configuration, &[]);
    let mut netbox = server.stop().unwrap();
    assert_eq!(netbox.changes, vec!["POST ip-addresses/"; bench.clients.len()]);
    netbox.objects.retain(|_, object| object["description"] != "the printer");
    let object = |client: &Client| {
        let name = client.label().map_or_else(String::new, |label| label + ".example.com");
        let length = if client.address.is_ipv4() { 32 } else { 128 };
        format!("{}/{length} {name} DHCP client {}", client.address, client.owner())
    };
    let mut expected: Vec<String> = bench.clients.iter().map(object).collect();
    expected.sort();
    assert_eq!(netbox.list("ip-addresses", "address"), expected);
}

#[test]
fn netbox_has_only_the_leases() {
    require!(Need::Root, Need::Program("curl"), Need::Program("jq"));
    netbox_has_only_the_leases_of(Bench::plain());
}

#[test]
fn netbox_has_only_the_leases_of_qualified_names() {
    require!(Need::Root, Need::Program("curl"), Need::Program("jq"));
    netbox_has_only_the_leases_of(Bench::qualified());
}

#[test]
fn sets_have_addresses_only() {
    require!(Need::Root, Need::Program("nft"));
    let mut bench = Bench::plain();
    let namespace = sets();
    bench.run(&namespace, "nft-set", "", &[]);
    let found: BTreeSet<String> = elements(&namespace, "leased4").into_keys().collect();
    let expected: BTreeSet<String> = bench.by_address().into_keys().collect();
    assert_eq!(found, expected);
}

#[test]
fn devices_are_remembered_by_addresses_only() {
    require!(Need::Root, Need::Program("flock"));
    let mut bench = Bench::plain();
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
    assert_eq!(lines, 2 * bench.clients.len());
    let mut known: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    known.sort();
    for (client, line) in bench.clients.iter().zip(&known) {
        let begin = format!("{} 4 {} - ", client.hwaddr(), client.address);
        assert!(line.starts_with(&begin), "{line:?} is not {begin:?}");
    }
    assert_eq!(known.len(), bench.clients.len());
}

#[test]
fn the_template_says_addresses_only() {
    require!(Need::Root);
    let mut bench = Bench::plain();
    let said = bench.run(&Namespace::new().unwrap(), "template", "", &[]);
    let lines: BTreeSet<String> = String::from_utf8(said).unwrap().lines().map(str::to_owned).collect();
    let line = |client: &Client| format!("given: {} to {}", client.address, client.hwaddr());
    assert_eq!(lines, bench.clients.iter().map(line).collect());
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
