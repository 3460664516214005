//! `netbox.sh` and the part of NetBox's API that it uses.

use std::net::Ipv4Addr;
use std::path::Path;

use observer_tests::client::message4::option;
use observer_tests::client::message6::{Ia, Item6, Kind};
use observer_tests::need::Need;
use observer_tests::netns::Namespace;
use observer_tests::require;
use observer_tests::scratch::Scratch;
use observer_tests::scripts::Script;
use observer_tests::scripts::netbox::{Netbox, TOKEN};
use observer_tests::traffic::{Options4, Station, Traffic};

/// The configuration for this server, with its token in a file.
pub fn configuration(directory: &Path, url: &str) -> String {
    let token = directory.join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    format!("NETBOX_URL={url}\nNETBOX_TOKEN_FILE={}\nNETBOX_DOMAIN=example.com\n", token.display())
}

#[test]
fn objects_follow_the_leases() {
    require!(Need::Root, Need::Program("curl"), Need::Program("jq"));
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let server = Netbox::start(&namespace, "192.0.2.9/24").unwrap();
    let text = configuration(scratch.path(), &server.url());
    let script = Script::install(&namespace, scratch.path(), "netbox", &text).unwrap();
    let file = scratch.path().join("told.pcap");
    let own = |last| Ipv4Addr::new(192, 0, 2, last);
    let (none, name) = (Options4::new(), |text: &str| vec![(option::HOST_NAME, text.as_bytes().to_vec())]);
    let prefix = |text: &str| {
        let item = Item6 { address: text.parse().unwrap(), prefix_length: 56, preferred: 1800, valid: 3600 };
        [Ia { items: vec![item], ..Ia::prefixes(1) }]
    };
    let mut traffic = Traffic::starting(1_800_000_000.0);
    traffic.bind4(Station(1), own(1), &none, &name("one")).unwrap();
    traffic.bind4(Station(2), own(2), &none, &name("Two's Phone")).unwrap();
    traffic.bind4(Station(9), own(9), &none, &name("thief")).unwrap();
    traffic.exchange6(Kind::Request, Station(3), &prefix("2001:db8:8000::"), &Vec::new(), None).unwrap();
    traffic.exchange6(Kind::Request, Station(4), &prefix("2001:db8:8000:100::"), &Vec::new(), None).unwrap();
    traffic.pass(5.0);
    // A renewal with another name, one that goes, one that moves, one that is handed on.
    traffic.bind4(Station(1), own(1), &none, &name("uno")).unwrap();
    traffic.release4(Station(2), own(2), &none).unwrap();
    traffic.release4(Station(9), own(9), &none).unwrap();
    traffic.exchange6(Kind::Release, Station(4), &prefix("2001:db8:8000:100::"), &Vec::new(), None).unwrap();
    traffic.pass(5.0);
    traffic.bind4(Station(5), own(2), &none, &name("three")).unwrap();
    traffic.write(&file).unwrap();
    let said = script.replay(&file, &[]).unwrap();
    assert!(String::from_utf8_lossy(&said).contains("192.0.2.9/32 is somebody else's in NetBox"));
    script.replay(&file, &[]).unwrap();
    let netbox = server.stop().unwrap();
    assert_eq!(
        netbox.list("ip-addresses", "address"),
        [
            "192.0.2.1/32 uno.example.com DHCP client 02:00:5e:00:00:01",
            "192.0.2.2/32 three.example.com DHCP client 02:00:5e:00:00:05",
            "192.0.2.9/24  the printer",
        ]
    );
    assert_eq!(
        netbox.list("prefixes", "prefix"),
        ["2001:db8:8000::/56  DHCP client 00:03:00:01:02:00:5e:00:00:03"]
    );
    for ((kind, _), object) in
        netbox.objects.iter().filter(|(_, object)| object["description"] != "the printer")
    {
        assert_eq!(object["status"], if kind == "prefixes" { "active" } else { "dhcp" });
        assert_eq!(object["tags"][0]["slug"], "dhcp-observer");
    }
}

#[test]
fn what_is_not_ours_is_not_deleted_and_a_wrong_token_is_a_failure() {
    require!(Need::Root, Need::Program("curl"), Need::Program("jq"));
    let (scratch, namespace) = (Scratch::new().unwrap(), Namespace::new().unwrap());
    let server = Netbox::start(&namespace, "192.0.2.9/24").unwrap();
    let text = configuration(scratch.path(), &server.url());
    let script = Script::install(&namespace, scratch.path(), "netbox", &text).unwrap();
    let lease = |address: &'static str, hwaddr: &'static str| {
        [("LEASE4_ADDRESS", address), ("LEASE4_HWADDR", hwaddr), ("LEASE4_STATE", "default")]
    };
    let committed = [
        ("LEASES4_SIZE", "1"),
        ("LEASES4_AT0_ADDRESS", "192.0.2.1"),
        ("LEASES4_AT0_HWADDR", "02:00:00:00:00:01"),
        ("LEASES4_AT0_STATE", "default"),
    ];
    script.succeed("leases4_committed", &committed).unwrap();
    script.succeed("lease4_expire", &lease("192.0.2.9", "02:00:00:00:00:01")).unwrap();
    // The expiry of who had the address before comes late.
    script.succeed("lease4_expire", &lease("192.0.2.1", "02:00:00:00:00:02")).unwrap();
    std::fs::write(scratch.path().join("token"), "wrong").unwrap();
    let output = script.call("lease4_expire", &lease("192.0.2.1", "02:00:00:00:00:01")).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("403"));
    std::fs::write(scratch.path().join("token"), "x\nHost: evil\n").unwrap();
    let output = script.call("lease4_expire", &lease("192.0.2.1", "02:00:00:00:00:01")).unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("one token and nothing else"));
    assert_eq!(server.stop().unwrap().changes, ["POST ip-addresses/"]);
}
