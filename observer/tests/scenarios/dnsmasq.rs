//! dnsmasq's script: what it is called for, and with what. The expectations are those of dnsmasq 2.90.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dhcp_observer::config::ServerConfig;
use dhcp_observer::dialect::dnsmasq::{Dnsmasq, Options};
use dhcp_observer::dialect::{Call, DEFAULT_LIMIT, Dialect, Loss};
use dhcp_observer::frame::Interface;
use dhcp_observer::replay::{self, replay};
use dhcp_observer::seed::Seed;
use dhcp_observer::tracker::{Answers, Limits, network};
use serde_json::Value;

use crate::listener::{Listener, arguments, variable};
use crate::wire4::{self, Client};
use crate::wire6;

fn plain() -> Dnsmasq {
    Dnsmasq::new(Options::default(), DEFAULT_LIMIT)
}

fn with(options: Options) -> Listener {
    Listener::new(Dnsmasq::new(options, DEFAULT_LIMIT))
}

fn listener() -> Listener {
    Listener::new(plain())
}

/// The calls since the last look: the arguments, and the old name in brackets.
fn told(hook: &mut Listener) -> Vec<String> {
    let calls = std::mem::take(&mut hook.calls);
    let line = |call: &Call| {
        let old = variable(call, "DNSMASQ_OLD_HOSTNAME");
        let old = if old == "-" { String::new() } else { format!(" [{old}]") };
        arguments(call).join(" ") + &old
    };
    calls.iter().map(line).collect()
}

fn lease(hook: &mut Listener, client: &Client, address: &str) {
    let discover = client.discover();
    hook.asks(&discover).answers(&discover.offer(address));
    let select = client.select(address);
    hook.asks(&select).answers(&select.ack(address));
}

fn renew(hook: &mut Listener, client: &Client, address: &str) {
    let renew = client.renew(address);
    hook.asks(&renew).answers(&renew.ack(address));
}

const ONE: &str = "02:aa:00:00:00:01 192.0.2.7";

#[test]
fn the_recording_of_dnsmasq_comes_out_variable_by_variable() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/dnsmasq4");
    // What the wire does not tell: `--domain`, the tags, `--log-dhcp`.
    let options = Options {
        domain: Some("example.org".into()),
        tags: Some("s0".into()),
        log_dhcp: true,
        ..Options::default()
    };
    let mut dialect = Dnsmasq::new(options, DEFAULT_LIMIT);
    let replayed = replay::Options {
        limits: Limits::default(),
        interface: Interface { index: Some(2), name: "s0".into() },
        answers: Answers::Both,
        network: network::Options::default(),
        seed: Seed::default(),
        tells_heard: dialect.wants_heard(),
        settle: Duration::ZERO,
    };
    let mut calls = Vec::new();
    replay(&directory.join("capture.pcap"), Arc::new(ServerConfig::default()), &replayed, |event| {
        dialect.handle_event(&event, true);
        calls.extend(std::iter::from_fn(|| dialect.poll_call()));
    })
    .unwrap();
    let recorded = std::fs::read_to_string(directory.join("invocations.jsonl")).unwrap();
    let recorded: Vec<Value> = recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(calls.len(), recorded.len());
    for (call, recorded) in calls.iter().zip(&recorded) {
        let expected: Vec<_> =
            recorded["argv"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(arguments(call), expected);
        let own: BTreeMap<_, _> = call
            .invocation
            .variables()
            .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
            .filter(|(name, _)| name.starts_with("DNSMASQ_"))
            .collect();
        let expected: BTreeMap<_, _> = recorded["env"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.into(), value.as_str().unwrap().into()))
            .collect();
        assert_eq!(own, expected);
    }
}

#[test]
fn a_lease_is_added_and_deleted_and_a_plain_renewal_is_not_told() {
    let (mut hook, client) = (listener(), wire4::client(1).with(12, b"labhost"));
    lease(&mut hook, &client, "192.0.2.7");
    assert_eq!(told(&mut hook), [format!("add {ONE} labhost")]);
    hook.at(60);
    renew(&mut hook, &client, "192.0.2.7");
    assert!(told(&mut hook).is_empty());
    // The name is the lease's own by now, and needs no telling to be known.
    renew(&mut hook, &wire4::client(1), "192.0.2.7");
    assert!(told(&mut hook).is_empty());
    hook.at(3_659);
    assert!(told(&mut hook).is_empty());
    hook.at(3_660);
    assert_eq!(told(&mut hook), [format!("del {ONE} labhost")]);
}

#[test]
fn a_client_that_names_its_address_is_told_of_again() {
    let (mut hook, client) = (listener(), wire4::client(1));
    lease(&mut hook, &client, "192.0.2.7");
    let reboot = client.reboot("192.0.2.7");
    hook.asks(&reboot).answers(&reboot.ack("192.0.2.7"));
    lease(&mut hook, &client, "192.0.2.7");
    assert_eq!(told(&mut hook), [format!("add {ONE}"), format!("old {ONE}"), format!("old {ONE}")]);
}

#[test]
fn renewals_are_told_where_the_configuration_wants_it_and_say_that_the_data_is_missing() {
    let options = Options { script_on_renewal: true, ..Options::default() };
    let (mut hook, client) = (with(options), wire4::client(1).with(60, b"udhcp 1.35"));
    lease(&mut hook, &client, "192.0.2.7");
    assert_eq!(variable(&hook.calls[0], "DNSMASQ_VENDOR_CLASS"), "udhcp 1.35");
    assert_eq!(variable(&hook.calls[0], "DNSMASQ_DATA_MISSING"), "-");
    hook.at(60);
    renew(&mut hook, &client, "192.0.2.7");
    assert_eq!(variable(&hook.calls[1], "DNSMASQ_VENDOR_CLASS"), "-");
    assert_eq!(variable(&hook.calls[1], "DNSMASQ_DATA_MISSING"), "1");
    assert_eq!(variable(&hook.calls[1], "DNSMASQ_TIME_REMAINING"), "3600");
    assert_eq!(told(&mut hook), [format!("add {ONE}"), format!("old {ONE}")]);
    // Within the same second nothing is otherwise.
    renew(&mut hook, &client, "192.0.2.7");
    assert!(told(&mut hook).is_empty());
}

#[test]
fn a_new_name_is_told_in_two_calls() {
    let mut hook = listener();
    lease(&mut hook, &wire4::client(1).with(12, b"before"), "192.0.2.7");
    told(&mut hook);
    lease(&mut hook, &wire4::client(1).with(12, b"after"), "192.0.2.7");
    assert_eq!(told(&mut hook), [format!("old {ONE} [before]"), format!("old {ONE} after")]);
    // Also where it is a renewal that tells it; capitals alone are no other name.
    renew(&mut hook, &wire4::client(1).with(12, b"later"), "192.0.2.7");
    renew(&mut hook, &wire4::client(1).with(12, b"LATER"), "192.0.2.7");
    assert_eq!(told(&mut hook), [format!("old {ONE} [after]"), format!("old {ONE} later")]);
}

#[test]
fn a_name_belongs_to_the_client_that_was_given_it_last() {
    let mut hook = listener();
    lease(&mut hook, &wire4::client(1).with(12, b"labhost"), "192.0.2.7");
    lease(&mut hook, &wire4::client(2).with(12, b"LabHost"), "192.0.2.8");
    assert_eq!(
        told(&mut hook),
        [
            format!("add {ONE} labhost"),
            format!("old {ONE} [labhost]"),
            "add 02:aa:00:00:00:02 192.0.2.8 LabHost".into(),
            format!("old {ONE}")
        ]
    );
    // Where neither lease is new, first the names that were lost, and of two leases the younger first.
    lease(&mut hook, &wire4::client(1).with(12, b"other"), "192.0.2.7");
    told(&mut hook);
    lease(&mut hook, &wire4::client(1).with(12, b"labhost"), "192.0.2.7");
    let two = "old 02:aa:00:00:00:02 192.0.2.8";
    assert_eq!(
        told(&mut hook),
        [format!("{two} [LabHost]"), format!("old {ONE} [other]"), two.into(), format!("old {ONE} labhost")]
    );
}

#[test]
fn the_ends_of_a_lease() {
    let client = wire4::client(1).with(12, b"labhost");
    let del = [format!("del {ONE} labhost")];
    let leased = || {
        let mut hook = listener();
        lease(&mut hook, &client, "192.0.2.7");
        told(&mut hook);
        hook
    };
    let mut hook = leased();
    hook.asks(&client.release("192.0.2.7"));
    assert_eq!(variable(&hook.calls[0], "DNSMASQ_DATA_MISSING"), "1");
    assert_eq!(variable(&hook.calls[0], "DNSMASQ_TIME_REMAINING"), "-");
    assert_eq!(told(&mut hook), del);
    let mut hook = leased();
    hook.asks(&client.decline("192.0.2.7"));
    assert_eq!(told(&mut hook), del);
    // dnsmasq has no script for a refusal.
    let mut hook = leased();
    let renew = client.renew("192.0.2.7");
    hook.asks(&renew).answers(&renew.nak());
    assert!(told(&mut hook).is_empty());
    let mut hook = leased();
    lease(&mut hook, &client, "192.0.2.8");
    assert_eq!(told(&mut hook), [del[0].clone(), "add 02:aa:00:00:00:01 192.0.2.8 labhost".into()]);
    let mut hook = leased();
    lease(&mut hook, &wire4::client(2), "192.0.2.7");
    assert_eq!(told(&mut hook), [del[0].clone(), "add 02:aa:00:00:00:02 192.0.2.7".into()]);
}

#[test]
fn what_a_client_says_of_itself_is_told_once() {
    let mut hook = with(Options { tags: Some("s0 known".into()), ..Options::default() });
    let client = wire4::client(1)
        .client_id(&[1, 2, 0xaa])
        .with(12, b"lab host!")
        .with(55, &[1, 3, 161])
        .with(60, b"MSFT=5.0")
        .with(77, &[3, b'o', b'n', b'e', 2, b't', b'w'])
        .with(125, &[0, 0, 0x0d, 0xe9, 8, 1, 3, b'O', b'U', b'I', 2, 1, b'9'])
        .with(161, b"https://mud.example/x?a=b");
    let discover = client.discover().relayed("192.0.2.254", b"\x01\x04port\x02\x02rt\x06\x03sub");
    hook.asks(&discover).answers(&discover.offer("192.0.2.7"));
    let select = client.select("192.0.2.7").relayed("192.0.2.254", b"\x01\x04port\x02\x02rt\x06\x03sub");
    hook.asks(&select).answers(&select.ack("192.0.2.7"));
    for (name, value) in [
        ("DNSMASQ_CLIENT_ID", "01:02:aa"),
        ("DNSMASQ_INTERFACE", "vs"),
        ("DNSMASQ_LEASE_EXPIRES", "1700003600"),
        ("DNSMASQ_VENDOR_CLASS", "MSFT"),
        ("DNSMASQ_SUPPLIED_HOSTNAME", "lab host!"),
        ("DNSMASQ_CPEWAN_OUI", "OUI"),
        ("DNSMASQ_CPEWAN_SERIAL", "9"),
        ("DNSMASQ_CPEWAN_CLASS", "-"),
        ("DNSMASQ_REQUESTED_OPTIONS", "1,3,161"),
        ("DNSMASQ_MUD_URL", "https://mud.example/x?a"),
        ("DNSMASQ_TAGS", "s0 known"),
        ("DNSMASQ_RELAY_ADDRESS", "192.0.2.254"),
        ("DNSMASQ_USER_CLASS0", "one"),
        ("DNSMASQ_USER_CLASS1", "tw"),
        ("DNSMASQ_USER_CLASS2", "-"),
        ("DNSMASQ_DATA_MISSING", "-"),
        ("DNSMASQ_DOMAIN", "-"),
        ("DNSMASQ_LOG_DHCP", "-"),
    ] {
        assert_eq!(variable(&hook.calls[0], name), value, "{name}");
    }
    // A name that DNS cannot have is none.
    assert_eq!(told(&mut hook), [format!("add {ONE}")]);
    hook.asks(&client.release("192.0.2.7"));
    for (name, value) in [
        ("DNSMASQ_CLIENT_ID", "01:02:aa"),
        ("DNSMASQ_RELAY_ADDRESS", "192.0.2.254"),
        ("DNSMASQ_VENDOR_CLASS", "-"),
        ("DNSMASQ_TAGS", "-"),
    ] {
        assert_eq!(variable(&hook.calls[0], name), value, "{name}");
    }
}

#[test]
fn an_infinite_lease_expires_at_zero() {
    let (mut hook, client) = (listener(), wire4::client(1));
    let select = client.select("192.0.2.7");
    hook.asks(&select).answers(&select.ack("192.0.2.7").lifetime(u32::MAX));
    assert_eq!(variable(&hook.calls[0], "DNSMASQ_LEASE_EXPIRES"), "0");
}

#[test]
fn dhcpv6_is_told_by_duid_and_prefixes_are_not_told() {
    let (mut hook, client) = (listener(), wire6::client(1));
    let give = || {
        vec![
            wire6::na(7, vec![wire6::address("2001:db8:1::7", 50, 100)]),
            wire6::pd(2, vec![wire6::prefix("2001:db8:f000::", 56, 50, 100)]),
        ]
    };
    let says = [
        wire6::fqdn(&["labhost", "example"]),
        (6, vec![0, 23, 0, 24]),
        // dnsmasq takes the first two octets of a class for its length: two of the first, five after its end.
        (15, [&[0, 6, 0, 2][..], b"tiny", &[0, 5], b"three"].concat()),
        (16, [&[0, 0, 1, 55, 0, 8][..], b"MSFT 5.0"].concat()),
    ];
    let request = says.iter().fold(client.request(give()), |request, option| request.with(option.clone()));
    hook.asks(&request).answers(&request.reply(give()));
    let duid = "00:03:00:01:02:aa:00:00:00:01";
    for (name, value) in [
        ("DNSMASQ_IAID", "7"),
        ("DNSMASQ_SERVER_DUID", "00:03:00:01:02:bb:00:00:00:01"),
        ("DNSMASQ_CLIENT_ID", "-"),
        ("DNSMASQ_VENDOR_CLASS_ID", "311"),
        ("DNSMASQ_VENDOR_CLASS0", "FT 5.0"),
        ("DNSMASQ_USER_CLASS0", "ti"),
        ("DNSMASQ_USER_CLASS1", "three"),
        ("DNSMASQ_USER_CLASS2", "-"),
        ("DNSMASQ_REQUESTED_OPTIONS", "23,24"),
        ("DNSMASQ_SUPPLIED_HOSTNAME", "labhost"),
    ] {
        assert_eq!(variable(&hook.calls[0], name), value, "{name}");
    }
    assert_eq!(told(&mut hook), [format!("add {duid} 2001:db8:1::7 labhost")]);
    let renew = client.renew(give());
    hook.at(50).asks(&renew).answers(&renew.reply(give()));
    assert!(told(&mut hook).is_empty());
    hook.at(150);
    assert_eq!(variable(&hook.calls[0], "DNSMASQ_SERVER_DUID"), "00:03:00:01:02:bb:00:00:00:01");
    assert_eq!(told(&mut hook), [format!("del {duid} 2001:db8:1::7 labhost")]);
}

#[test]
fn a_restart_forgets_nothing_and_a_start_that_replays_says_old() {
    let (mut hook, client) = (listener(), wire4::client(1).client_id(&[1, 2]).with(12, b"labhost"));
    lease(&mut hook, &client, "192.0.2.7");
    assert_eq!(told(&mut hook), [format!("add {ONE} labhost")]);
    hook.restart(plain(), true).announce();
    assert_eq!(variable(&hook.calls[0], "DNSMASQ_DATA_MISSING"), "1");
    assert_eq!(variable(&hook.calls[0], "DNSMASQ_CLIENT_ID"), "01:02");
    assert_eq!(told(&mut hook), [format!("old {ONE} labhost")]);
    // Names are known again too.
    lease(&mut hook, &wire4::client(2).with(12, b"labhost"), "192.0.2.8");
    assert_eq!(told(&mut hook)[0], format!("old {ONE} [labhost]"));
    hook.asks(&client.release("192.0.2.7"));
    assert_eq!(told(&mut hook), [format!("del {ONE}")]);
    // A hook that has not heard of a lease before hears of it as old: the lease is not new.
    hook.memory.clear();
    hook.restart(plain(), true).announce();
    assert_eq!(told(&mut hook), ["old 02:aa:00:00:00:02 192.0.2.8 labhost"]);
}

#[test]
fn what_is_not_wanted_begins_nothing_and_a_lease_over_the_limit_is_never_spoken_of() {
    let mut hook = Listener::new(Dnsmasq::new(Options::default(), 1));
    hook.wanted = false;
    lease(&mut hook, &wire4::client(1), "192.0.2.7");
    assert!(told(&mut hook).is_empty());
    hook.wanted = true;
    lease(&mut hook, &wire4::client(1), "192.0.2.7");
    lease(&mut hook, &wire4::client(2), "192.0.2.8");
    hook.asks(&wire4::client(2).release("192.0.2.8"));
    assert_eq!(told(&mut hook), [format!("add {ONE}")]);
    assert_eq!(hook.dialect.losses(), [Loss::over_limit("leases_over_limit", 1)]);
    hook.wanted = false;
    hook.asks(&wire4::client(1).release("192.0.2.7"));
    assert_eq!(told(&mut hook), [format!("del {ONE}")]);
}
