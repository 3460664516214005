//! `nsupdate.sh` and BIND.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use observer_tests::client::message4::option;
use observer_tests::client::message6::{self, Ia, Item6};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::Script;
use observer_tests::scripts::named::Named;
use observer_tests::traffic::{Options4, Station, Traffic};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 101);

struct Bench {
    named: Named,
    script: Script,
    scratch: Scratch,
}

impl Bench {
    fn new() -> Self {
        let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
        let named = Named::start(&namespace, &scratch.directory("named").unwrap()).unwrap();
        let script = Script::install(&namespace, scratch.path(), "nsupdate", &named.configuration()).unwrap();
        Self { named, script, scratch }
    }

    /// Replays what `story` does, and checks which names there are then; then the same again, as an event may come again.
    #[track_caller]
    fn told(&self, more: &[&str], expected: &[&str], story: impl Fn(&mut Traffic)) {
        let file = self.scratch.path().join("told.pcap");
        let mut traffic = Traffic::starting(1_800_000_000.0);
        story(&mut traffic);
        traffic.write(&file).unwrap();
        for time in ["first", "second"] {
            self.script.replay(&file, more).unwrap();
            let expected: BTreeSet<String> = expected.iter().map(|&record| record.to_owned()).collect();
            assert_eq!(self.named.names().unwrap(), expected, "the {time} time");
        }
    }
}

fn name(text: &str) -> Options4 {
    vec![(option::HOST_NAME, text.as_bytes().to_vec())]
}

const NOTHING: &[&str] = &[];
const ALPHA: &[&str] = &[
    "alpha.example.com.",
    "alpha.example.com. A 192.0.2.100",
    "100.2.0.192.in-addr.arpa. PTR alpha.example.com.",
];

/// Leaves the test where something is missing.
macro_rules! tools {
    () => {
        require!(
            Need::Root,
            Need::Program("named"),
            Need::Program("nsupdate"),
            Need::Program("dig"),
            Need::Program("tsig-keygen"),
            Need::Program("sha256sum")
        );
    };
}

#[test]
fn a_lease_has_a_name_as_long_as_it_lasts() {
    tools!();
    let bench = Bench::new();
    let none = Options4::new();
    let bind = |traffic: &mut Traffic| traffic.bind4(Station(1), ADDRESS, &none, &name("alpha")).unwrap();
    bench.told(&[], ALPHA, bind);
    bench.told(&[], ALPHA, |traffic| {
        bind(traffic);
        bind(traffic);
    });
    bench.told(&[], NOTHING, |traffic| {
        bind(traffic);
        traffic.release4(Station(1), ADDRESS, &none).unwrap();
    });
    bench.told(&["--settle", "7200"], NOTHING, bind);
    bench.told(&[], NOTHING, |traffic| {
        bind(traffic);
        traffic.decline4(Station(1), ADDRESS, &none).unwrap();
    });
}

#[test]
fn a_name_moves_with_its_client_and_goes_when_it_is_changed() {
    tools!();
    let bench = Bench::new();
    let none = Options4::new();
    // Beside Kea, a client that is given another address has lost the one before.
    let kea = bench.scratch.path().join("kea.conf");
    std::fs::write(&kea, r#"{"Dhcp4": {"subnet4": [{"id": 1, "subnet": "192.0.2.0/24"}]}}"#).unwrap();
    let kea = kea.to_str().unwrap();
    let moved = &[
        "alpha.example.com.",
        "alpha.example.com. A 192.0.2.101",
        "101.2.0.192.in-addr.arpa. PTR alpha.example.com.",
    ];
    bench.told(&["--kea-config", kea], moved, |traffic| {
        traffic.bind4(Station(1), ADDRESS, &none, &name("alpha")).unwrap();
        traffic.pass(1.0);
        traffic.bind4(Station(1), OTHER, &none, &name("alpha")).unwrap();
    });
    let renamed = &[
        "beta.example.com.",
        "beta.example.com. A 192.0.2.101",
        "101.2.0.192.in-addr.arpa. PTR beta.example.com.",
    ];
    bench.told(&[], renamed, |traffic| {
        traffic.bind4(Station(1), OTHER, &none, &name("alpha")).unwrap();
        traffic.pass(1.0);
        traffic.bind4(Station(1), OTHER, &none, &name("beta")).unwrap();
    });
    // A client that no longer says its name has none.
    bench.told(&[], NOTHING, |traffic| {
        traffic.bind4(Station(1), OTHER, &none, &name("beta")).unwrap();
        traffic.pass(1.0);
        traffic.bind4(Station(1), OTHER, &none, &none).unwrap();
    });
}

#[test]
fn a_name_of_somebody_else_is_left_alone() {
    tools!();
    let bench = Bench::new();
    let none = Options4::new();
    let file = bench.scratch.path().join("thieves.pcap");
    // Calls about different leases run side by side: whose name it is must be settled before.
    bench.told(&[], ALPHA, |traffic| {
        traffic.bind4(Station(1), ADDRESS, &none, &name("alpha")).unwrap();
    });
    let mut traffic = Traffic::starting(1_800_000_000.0);
    // Another client wants the same name, and one wants a name that was there before; both leave again.
    for (number, last, wanted) in [(2, 102, "alpha"), (3, 103, "www"), (4, 104, "www.example.com")] {
        let address = Ipv4Addr::new(192, 0, 2, last);
        traffic.pass(5.0);
        traffic.bind4(Station(number), address, &none, &name(wanted)).unwrap();
        traffic.release4(Station(number), address, &none).unwrap();
    }
    traffic.write(&file).unwrap();
    let said = String::from_utf8(bench.script.replay(&file, &[]).unwrap()).unwrap();
    let expected: BTreeSet<String> = ALPHA.iter().map(|&record| record.to_owned()).collect();
    assert_eq!(bench.named.names().unwrap(), expected);
    assert!(
        said.contains("alpha.example.com is not the name of 192.0.2.102: somebody else has it"),
        "{said}"
    );
    let www = bench.script.call("none", &[] as &[(&str, &str)]).unwrap();
    assert!(www.status.success(), "a hook point that is not known is no error");
}

#[test]
fn both_families_share_a_name_by_the_clients_duid() {
    tools!();
    let bench = Bench::new();
    let station = Station(1);
    // RFC 4361: 255, four octets of IAID, the DUID.
    let client_id = [&[255, 0, 0, 0, 7], &station.duid()[..]].concat();
    let asked = vec![(option::CLIENT_ID, client_id)];
    let item = |last: u16| Item6 {
        address: [0x2001, 0xdb8, 1, 0, 0, 0, 0, last].into(),
        prefix_length: 128,
        preferred: 1800,
        valid: 3600,
    };
    let ia = [Ia { items: vec![item(0x1000)], ..Ia::addresses(7) }];
    let fqdn = vec![(message6::option::FQDN, b"\0\x05alpha\x07example\x03com\0".to_vec())];
    let reverse6 =
        "0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR alpha.example.com.";
    let both = [ALPHA, &["alpha.example.com. AAAA 2001:db8:1::1000", reverse6]].concat();
    let bind = |traffic: &mut Traffic| {
        traffic.bind4(station, ADDRESS, &asked, &name("alpha")).unwrap();
        traffic.pass(5.0);
        traffic.exchange6(message6::Kind::Request, station, &ia, &fqdn, None).unwrap();
    };
    bench.told(&[], &both, bind);
    // What is left after one has gone is the other's.
    bench.told(&[], &["alpha.example.com.", both[3], reverse6], |traffic| {
        bind(traffic);
        traffic.pass(5.0);
        traffic.release4(station, ADDRESS, &asked).unwrap();
    });
    bench.told(&[], NOTHING, |traffic| {
        bind(traffic);
        traffic.release4(station, ADDRESS, &asked).unwrap();
        traffic.pass(5.0);
        traffic.exchange6(message6::Kind::Release, station, &ia, &Vec::new(), None).unwrap();
    });
}

#[test]
fn the_digests_are_those_of_rfc_4701() {
    tools!();
    let bench = Bench::new();
    // Section 3.6: by hardware address, by client identifier, by DUID.
    let lease = |address: &'static str, name: &'static str| {
        [
            ("LEASES4_SIZE", "1"),
            ("LEASES4_AT0_ADDRESS", address),
            ("LEASES4_AT0_HOSTNAME", name),
            ("LEASES4_AT0_HWADDR", "01:02:03:04:05:06"),
            ("LEASES4_AT0_HWADDR_TYPE", "1"),
            ("LEASES4_AT0_VALID_LIFETIME", "3600"),
        ]
        .to_vec()
    };
    bench.script.succeed("leases4_committed", &lease("192.0.2.2", "client")).unwrap();
    let mut chi = lease("192.0.2.3", "chi");
    chi.push(("LEASES4_AT0_CLIENT_ID", "01:07:08:09:0a:0b:0c"));
    bench.script.succeed("leases4_committed", &chi).unwrap();
    let chi6 = [
        ("LEASES6_SIZE", "1"),
        ("LEASES6_AT0_ADDRESS", "2001:db8::1"),
        ("LEASES6_AT0_HOSTNAME", "chi6.example.com."),
        ("LEASES6_AT0_DUID", "00:01:00:06:41:2d:f1:66:01:02:03:04:05:06"),
        ("LEASES6_AT0_TYPE", "IA_NA"),
        ("LEASES6_AT0_PREFIX_LEN", "128"),
        ("LEASES6_AT0_VALID_LIFETIME", "3600"),
    ];
    bench.script.succeed("leases6_committed", &chi6).unwrap();
    let records = bench.named.records("example.com").unwrap();
    for expected in [
        "client.example.com. DHCID AAABxLmlskllE0MVjd57zHcWmEH3pCQ6VytcKD//7es/deY=",
        "chi.example.com. DHCID AAEBOSD+XR3Os/0LozeXVqcNc7FwCfQdWL3b/NaiUDlW2No=",
        "chi6.example.com. DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
    ] {
        assert!(records.contains(expected), "{expected} is not in {records:?}");
    }
}

#[test]
fn a_server_that_refuses_is_a_failure() {
    tools!();
    let bench = Bench::new();
    let text = std::fs::read_to_string(bench.named.key()).unwrap();
    std::fs::write(bench.named.key(), text.replace("secret \"", "secret \"AAAA")).unwrap();
    let lease = [
        ("LEASES4_SIZE", "1"),
        ("LEASES4_AT0_ADDRESS", "192.0.2.2"),
        ("LEASES4_AT0_HOSTNAME", "client"),
        ("LEASES4_AT0_HWADDR", "01:02:03:04:05:06"),
        ("LEASES4_AT0_VALID_LIFETIME", "3600"),
    ];
    let output = bench.script.call("leases4_committed", &lease).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("client.example.com") && stderr.contains("BADSIG"), "{stderr}");
}
