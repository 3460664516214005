//! Beside every server, what real clients cannot be brought to do on command: decline, be refused, reboot, ask again while
//! bound, ask for nothing. The scripted client waits for each answer, so the whole story is known to the letter.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use observer_tests::call::Call;
use observer_tests::client::message4::Kind;
use observer_tests::client::message6::{self, Ia};
use observer_tests::client::v4::Client4;
use observer_tests::client::v6::Client6;
use observer_tests::link::{Cable, mac_text};
use observer_tests::need::Need;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::servers::Lifetimes;
use observer_tests::servers::any::Server;
use observer_tests::servers::dnsmasq::Dnsmasq;
use observer_tests::servers::isc_dhcpd4::IscDhcpd4;
use observer_tests::story::balance;
use observer_tests::wait;
use observer_tests::watch::Watch;

/// How long a hook may take to be started.
const SOON: Duration = Duration::from_secs(20);

/// Each call as one line: hook point, event, what was asked, and the leases by the names that `names` has for addresses.
fn told(calls: &[Call], names: &BTreeMap<String, &str>) -> Vec<String> {
    let line = |call: &Call| {
        let mut words =
            vec![call.hook().to_owned(), call.get("OBSERVER_EVENT").unwrap_or_default().to_owned()];
        words.extend(call.any(&["QUERY4_TYPE", "QUERY6_TYPE"]).map(str::to_owned));
        for (name, value) in &call.env {
            if let Some(prefix) = name.strip_suffix("ADDRESS").filter(|prefix| prefix.contains("LEASE")) {
                let lease = names.get(value).map_or(value.as_str(), |name| name);
                let state = call.get(&format!("{prefix}STATE")).unwrap_or_default();
                let sign = if prefix.starts_with("DELETED") { "-" } else { "" };
                words.push(format!("{sign}{lease}/{state}"));
            }
        }
        words.join(" ")
    };
    calls.iter().map(line).collect()
}

fn assert_told(calls: &[Call], names: &BTreeMap<String, &str>, expected: &[&str]) {
    let found = told(calls, names);
    assert_eq!(found, expected, "\nfound:\n{}\nexpected:\n{}\n", found.join("\n"), expected.join("\n"));
}

/// The same of live hooks: those of different leases run side by side, so that each lease is judged by itself, and every
/// call must be there once.
fn assert_told_by_lease(calls: &[Call], names: &BTreeMap<String, &str>, expected: &[&str]) {
    let found = told(calls, names);
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(found.clone()), sorted(expected.iter().map(|&line| line.to_owned()).collect()));
    for name in names.values() {
        let of_this = |line: &str| line.contains(&format!(" {name}/")) || line.contains(&format!("-{name}/"));
        let found: Vec<&str> = found.iter().map(String::as_str).filter(|line| of_this(line)).collect();
        let expected: Vec<&str> = expected.iter().copied().filter(|line| of_this(line)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// `nak` is what the server says to a client that comes with an address of another network.
fn v4(server: Server, nak: bool) {
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let directory = scratch.directory("server").unwrap();
    let _server = server.start(&cable.server.namespace, &directory, Lifetimes::LONG).unwrap();
    let watch = Watch::start(&cable.server, scratch.path(), &[]).unwrap();

    // Without a client identifier, and with a name that needs cleaning.
    let mut first = Client4::new(&cable, 1).unwrap().host_name("Odd Name_1!");
    let a = first.bind().unwrap().yiaddr;
    // The scripted client has no kernel that would answer an ARP request.
    cable.server.neighbour(&a.to_string(), first.mac()).unwrap();
    assert!(first.renew().unwrap().is(Kind::Ack));
    assert!(first.rebind().unwrap().is(Kind::Ack));
    assert!(first.init_reboot(a).unwrap().is(Kind::Ack));
    assert_eq!(first.bind().unwrap().yiaddr, a, "asked again while bound");
    first.inform(a).unwrap();
    if nak {
        assert!(first.init_reboot(Ipv4Addr::new(203, 0, 113, 9)).unwrap().is(Kind::Nak));
    }
    first.release().unwrap();

    // With a client identifier that is not its hardware address.
    let mut second = Client4::new(&cable, 2).unwrap();
    second.client_id = Some(b"\xff\x00\x00\x00\x02scripted".to_vec());
    let b = second.bind().unwrap().yiaddr;
    second.decline().unwrap();
    let c = second.bind().unwrap().yiaddr;
    assert_ne!(b, c, "a declined address comes again");
    cable.server.neighbour(&c.to_string(), second.mac()).unwrap();
    assert!(second.renew().unwrap().is(Kind::Ack));
    second.release().unwrap();

    let same = a == c;
    let names = BTreeMap::from([
        (a.to_string(), "A"),
        (b.to_string(), "B"),
        (c.to_string(), if same { "A" } else { "C" }),
    ]);
    let c = if same { "A" } else { "C" };
    let mut expected = vec![
        "leases4_committed commit DHCPREQUEST A/default".to_owned(),
        "lease4_renew renew DHCPREQUEST A/default".to_owned(),
        "leases4_committed renew DHCPREQUEST A/default".to_owned(),
        "lease4_renew rebind DHCPREQUEST A/default".to_owned(),
        "leases4_committed rebind DHCPREQUEST A/default".to_owned(),
        "lease4_renew renew DHCPREQUEST A/default".to_owned(),
        "leases4_committed renew DHCPREQUEST A/default".to_owned(),
        // As in Kea, an offer to a client with a lease is one of renewing it.
        "lease4_renew renew DHCPDISCOVER A/default".to_owned(),
        "lease4_renew renew DHCPREQUEST A/default".to_owned(),
        "leases4_committed renew DHCPREQUEST A/default".to_owned(),
    ];
    if nak {
        expected.push("leases4_committed commit DHCPREQUEST".to_owned());
    }
    expected.extend([
        "lease4_release release DHCPRELEASE A/default".to_owned(),
        "leases4_committed release DHCPRELEASE -A/default".to_owned(),
        "leases4_committed commit DHCPREQUEST B/default".to_owned(),
        "lease4_decline decline DHCPDECLINE B/default".to_owned(),
        "leases4_committed decline DHCPDECLINE B/declined".to_owned(),
        format!("leases4_committed commit DHCPREQUEST {c}/default"),
        format!("lease4_renew renew DHCPREQUEST {c}/default"),
        format!("leases4_committed renew DHCPREQUEST {c}/default"),
        format!("lease4_release release DHCPRELEASE {c}/default"),
        format!("leases4_committed release DHCPRELEASE -{c}/default"),
    ]);
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    watch.wait_for("release", 2, SOON).unwrap();
    let seen = watch.finish(0).unwrap();
    assert_told_by_lease(&seen.calls, &names, &expected);
    assert_told(&seen.replayed, &names, &expected);
    balance(&seen.calls, &seen.frames).unwrap();
    for call in &seen.calls {
        for prefix in ["LEASE4_", "LEASES4_AT0_", "DELETED_LEASES4_AT0_"] {
            let get = |suffix: &str| call.get(&format!("{prefix}{suffix}"));
            if get("STATE") != Some("default") {
                continue;
            }
            match get("HWADDR") {
                Some(mac) if mac == mac_text(first.mac()) => {
                    assert_eq!((get("HOSTNAME"), get("CLIENT_ID")), (Some("oddname1"), Some("")), "{call:?}");
                }
                _ => assert_eq!(
                    (get("HOSTNAME"), get("CLIENT_ID")),
                    (Some(""), Some("ff:00:00:00:02:73:63:72:69:70:74:65:64")),
                    "{call:?}"
                ),
            }
        }
    }
}

fn v6(server: Server, prefixes: bool, rapid: bool) {
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let directory = scratch.directory("server").unwrap();
    let _server = server.start(&cable.server.namespace, &directory, Lifetimes::LONG).unwrap();
    let watch = Watch::start(&cable.server, scratch.path(), &[]).unwrap();

    let mut associations = vec![Ia::addresses(1)];
    associations.extend(prefixes.then(|| Ia::prefixes(2)));
    let mut first = Client6::new(&cable, 1, associations).unwrap();
    // A partial name with the S flag, RFC 4704 section 4.
    first.options = vec![(message6::option::FQDN, b"\x01\x06Od_d N".to_vec())];
    first.bind().unwrap();
    let held: Vec<String> = first.associations.iter().map(|ia| ia.items[0].address.to_string()).collect();
    first.renew().unwrap();
    first.rebind().unwrap();
    first.confirm().unwrap();
    first.information_request().unwrap();
    first.release().unwrap();

    let mut second = Client6::new(&cable, 2, vec![Ia::addresses(5)]).unwrap();
    second.bind().unwrap();
    let refused = second.associations[0].items[0].address.to_string();
    second.decline().unwrap();
    let mut third = Client6::new(&cable, 3, vec![Ia::addresses(6)]).unwrap();
    if rapid {
        third.rapid_commit().unwrap();
    } else {
        third.bind().unwrap();
    }
    let last = third.associations[0].items[0].address.to_string();
    third.release().unwrap();

    let mut names = BTreeMap::from([(refused.clone(), "B"), (held[0].clone(), "A")]);
    names.extend(held.get(1).map(|prefix| (prefix.clone(), "P")));
    assert_ne!(refused, last, "a declined address comes again");
    let c = if last == held[0] { "A" } else { "C" };
    names.entry(last).or_insert("C");
    let (both, minus) =
        if prefixes { ("A/default P/default", "-A/default -P/default") } else { ("A/default", "-A/default") };
    let mut expected = vec![format!("leases6_committed commit REQUEST {both}")];
    for (hook, query) in [("renew", "RENEW"), ("rebind", "REBIND")] {
        let single = both.split(' ').map(|lease| format!("lease6_{hook} {hook} {query} {lease}"));
        expected.extend(single);
        expected.push(format!("leases6_committed {hook} {query} {both}"));
    }
    expected.extend(both.split(' ').map(|lease| format!("lease6_release release RELEASE {lease}")));
    expected.push(format!("leases6_committed release RELEASE {minus}"));
    expected.extend([
        "leases6_committed commit REQUEST B/default".to_owned(),
        "lease6_decline decline DECLINE B/default".to_owned(),
        "leases6_committed decline DECLINE B/declined".to_owned(),
        format!("leases6_committed commit {} {c}/default", if rapid { "SOLICIT" } else { "REQUEST" }),
        format!("lease6_release release RELEASE {c}/default"),
        format!("leases6_committed release RELEASE -{c}/default"),
    ]);
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    watch.wait_for("release", 2, SOON).unwrap();
    let seen = watch.finish(0).unwrap();
    assert_told_by_lease(&seen.calls, &names, &expected);
    assert_told(&seen.replayed, &names, &expected);
    balance(&seen.calls, &seen.frames).unwrap();
    let leases = ["LEASE6_", "LEASES6_AT0_", "DELETED_LEASES6_AT0_"];
    let duid: Vec<String> = first.duid.iter().map(|octet| format!("{octet:02x}")).collect();
    let of_first = seen.calls.iter().filter(|call| call.get("QUERY6_CLIENT_ID") == Some(&duid.join(":")));
    for (call, prefix) in of_first.flat_map(|call| leases.map(|prefix| (call, prefix))) {
        if let Some(name) = call.get(&format!("{prefix}HOSTNAME")) {
            assert!(name == "oddn." || server == Server::Kea6, "{name}: {call:?}");
        }
    }
}

/// dhcpd answers a renewal in the first quarter of a lease with what is left of it: an event like any other, and the lease
/// ends when it would have.
#[test]
fn dhcpd4_with_a_lease_cache() {
    require!(Need::Root, Need::Program("tcpdump"), Need::Program("dhcpd"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let lifetimes = Lifetimes { valid: 12, ..Lifetimes::SHORT };
    let server = IscDhcpd4 { cache_threshold: 25, ..IscDhcpd4::new(lifetimes) };
    let _server = server.start(&cable.server.namespace, &scratch.directory("server").unwrap()).unwrap();
    let watch = Watch::start(&cable.server, scratch.path(), &[]).unwrap();
    let mut client = Client4::new(&cable, 1).unwrap();
    let begun = wait::unix_now();
    let ack = client.bind().unwrap();
    assert_eq!(ack.lease_time(), Some(12));
    cable.server.neighbour(&ack.yiaddr.to_string(), client.mac()).unwrap();
    wait::pace(wait::now() + Duration::from_secs(2));
    let left = client.renew().unwrap().lease_time().unwrap();
    assert!((9..=11).contains(&left), "dhcpd did not answer out of its cache: {left}");
    watch.wait_for("expire", 1, SOON).unwrap();
    let seen = watch.finish(13).unwrap();
    let address = ack.yiaddr.to_string();
    let names = BTreeMap::from([(address, "A")]);
    let expected = [
        "leases4_committed commit DHCPREQUEST A/default",
        "lease4_renew renew DHCPREQUEST A/default",
        "leases4_committed renew DHCPREQUEST A/default",
        "lease4_expire expire A/default",
    ];
    assert_told(&seen.calls, &names, &expected);
    assert_told(&seen.replayed, &names, &expected);
    assert_eq!(seen.calls[2].get("LEASES4_AT0_VALID_LIFETIME"), Some(left.to_string().as_str()));
    let late = seen.calls[3].at - (begun + 12.0);
    assert!((-1.5..3.0).contains(&late), "the lease ended {late:.3} s after its time");
}

/// Rapid commit of DHCPv4 (RFC 4039): a lease by DISCOVER and ACK.
#[test]
fn dnsmasq4_with_rapid_commit() {
    require!(Need::Root, Need::Program("tcpdump"), Need::Program("dnsmasq"));
    let (scratch, cable) = (Scratch::new().unwrap(), Cable::as_recorded().unwrap());
    let server = Dnsmasq { more: vec!["--dhcp-rapid-commit"], ..Dnsmasq::new(Lifetimes::LONG) };
    let _server = server.start(&cable.server.namespace, &scratch.directory("server").unwrap()).unwrap();
    let watch = Watch::start(&cable.server, scratch.path(), &[]).unwrap();
    let mut client = Client4::new(&cable, 1).unwrap();
    let query = client.query(Kind::Discover).with(80, []);
    let ack = client.exchange(query, None, &[Kind::Ack]).unwrap();
    watch.wait_for("commit", 1, SOON).unwrap();
    let seen = watch.finish(121).unwrap();
    let address = ack.yiaddr.to_string();
    let names = BTreeMap::from([(address, "A")]);
    let expected = ["leases4_committed commit DHCPDISCOVER A/default", "lease4_expire expire A/default"];
    assert_told(&seen.calls, &names, &expected[..1]);
    assert_told(&seen.replayed, &names, &expected);
}

macro_rules! servers {
    ($($test:ident: $program:literal $run:expr;)+) => {
        $(#[test]
        fn $test() {
            require!(Need::Root, Need::Program("tcpdump"), Need::Program($program));
            $run;
        })+
    };
}

servers! {
    dhcpd4: "dhcpd" v4(Server::Dhcpd4, true);
    dnsmasq4: "dnsmasq" v4(Server::Dnsmasq, true);
    udhcpd: "udhcpd" v4(Server::Udhcpd, true);
    kea4: "kea-dhcp4" v4(Server::Kea4, true);
    dhcpd6: "dhcpd" v6(Server::Dhcpd6, true, false);
    dnsmasq6: "dnsmasq" v6(Server::Dnsmasq, false, true);
    kea6: "kea-dhcp6" v6(Server::Kea6, true, true);
}
