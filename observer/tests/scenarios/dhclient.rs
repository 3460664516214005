//! The dhclient dialect: what it remembers over a restart, what it says outside of a filter, and where it ends.

use std::time::Duration;

use dhcp_observer::dialect::dhclient::{Dhclient, Limits, Settings};
use dhcp_observer::dialect::{Call, DialectName, Options, make};
use dhcp_observer::time::Timestamp;

use crate::listener::{Listener, variable};
use crate::story::START;
use crate::wire4::{self, Client};
use crate::wire6;

const DAY: i64 = 86_400;

fn listener() -> Listener {
    Listener::new(Dhclient::default())
}

fn limited(leases: usize, searches: usize) -> Dhclient {
    Dhclient::new(Settings::default(), Limits { leases, searches })
}

fn with_search_timeout(seconds: u64) -> Options {
    Options { search_timeout: Some(Duration::from_secs(seconds)), ..Options::default() }
}

/// The calls since the last look: when, the reason, the new address and the old one.
#[track_caller]
fn expect<const N: usize>(hook: &mut Listener, expected: [&str; N]) -> Vec<Call> {
    let calls = std::mem::take(&mut hook.calls);
    let line = |call: &Call| {
        let at = call.invocation.at.since(Timestamp::from_seconds(START)).as_secs();
        let mut line = format!("{at} {}", variable(call, "reason"));
        assert_eq!(variable(call, "reason"), call.word);
        for prefix in ["new", "old", "cur"] {
            for name in ["ip_address", "ip6_address", "ip6_prefix"] {
                let value = variable(call, &format!("{prefix}_{name}"));
                if value != "-" {
                    line += &format!(" {prefix}={value}");
                }
            }
        }
        line
    };
    assert_eq!(calls.iter().map(line).collect::<Vec<_>>(), expected);
    calls
}

fn acked(hook: &mut Listener, query: &wire4::Dhcp4, address: &str) {
    hook.asks(query).answers(&query.ack(address));
}

fn dora(hook: &mut Listener, client: &Client, address: &str) {
    let discover = client.discover();
    hook.asks(&discover).answers(&discover.offer(address));
    acked(hook, &client.select(address), address);
}

/// A lease of an hour at the start, whose calls are of no interest.
fn bound(client: &Client) -> Listener {
    let mut hook = listener();
    dora(&mut hook, client, "192.0.2.7");
    expect(&mut hook, ["0 PREINIT", "0 BOUND new=192.0.2.7"]);
    hook
}

/// Everything that begins with this, without it.
fn values(call: &Call, prefix: &str) -> Vec<(String, String)> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let all = call.invocation.variables().map(|(name, value)| (text(name), text(value)));
    let mut found: Vec<_> =
        all.filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value))).collect();
    found.sort();
    found
}

fn lost(hook: &Listener, name: &str) -> u64 {
    hook.dialect.losses().into_iter().find(|loss| loss.name == name).unwrap().count
}

// Memory.

#[test]
fn after_a_restart_a_renewal_says_what_was_before() {
    let client = wire4::client(1).with(12, b"far").with(55, &[1, 3, 6]);
    let mut hook = listener();
    dora(&mut hook, &client, "192.0.2.7");
    let before = expect(&mut hook, ["0 PREINIT", "0 BOUND new=192.0.2.7"]);
    let given = values(&before[1], "new_");
    assert!(given.len() > 5, "{given:?}");
    hook.restart(Dhclient::default(), true).at(1_800);
    expect(&mut hook, []);
    acked(&mut hook, &client.renew("192.0.2.7"), "192.0.2.7");
    let renewed = expect(&mut hook, ["1800 RENEW new=192.0.2.7 old=192.0.2.7"]);
    assert_eq!(values(&renewed[0], "old_"), given);
    assert_eq!(variable(&renewed[0], "requested_routers"), "1");
    assert_eq!(variable(&renewed[0], "interface"), "vs");
    // It is the same without the restart.
    let mut other = listener();
    dora(&mut other, &client, "192.0.2.7");
    other.calls.clear();
    acked(other.at(1_800), &client.renew("192.0.2.7"), "192.0.2.7");
    assert_eq!(values(&other.calls[0], ""), values(&renewed[0], ""));
}

#[test]
fn after_a_restart_a_lease_expires_at_its_own_time() {
    let client = wire4::client(1);
    let mut hook = bound(&client);
    hook.at(100).restart(Dhclient::default(), true).at(3_599);
    expect(&mut hook, []);
    let expired = expect(hook.at(3_700), ["3600 EXPIRE old=192.0.2.7"]);
    assert_eq!(variable(&expired[0], "interface"), "vs");
    assert_eq!(variable(&expired[0], "OBSERVER_CLIENT_HWADDR"), "02:aa:00:00:00:01");

    // Nobody watched when it was over.
    let mut hook = bound(&client);
    hook.stamp(20_000).restart(Dhclient::default(), false);
    expect(hook.at(20_000), ["3600 EXPIRE old=192.0.2.7"]);
    // Once only.
    hook.restart(Dhclient::default(), false);
    expect(hook.at(30_000), []);
}

#[test]
fn after_a_restart_the_lease_before_is_known_for_a_day() {
    let client = wire4::client(1);
    let mut hook = bound(&client);
    hook.at(10).asks(&client.release("192.0.2.7"));
    expect(&mut hook, ["10 RELEASE old=192.0.2.7"]);
    hook.restart(Dhclient::default(), true);
    dora(hook.at(1_000), &client, "192.0.2.8");
    expect(&mut hook, ["1000 PREINIT", "1000 BOUND new=192.0.2.8 old=192.0.2.7"]);

    let mut hook = bound(&client);
    hook.at(10).asks(&client.release("192.0.2.7"));
    expect(&mut hook, ["10 RELEASE old=192.0.2.7"]);
    assert_eq!(hook.memory.len(), 1);
    hook.restart(Dhclient::default(), true).at(10 + DAY);
    assert!(hook.memory.is_empty(), "{:?}", hook.memory);
    dora(&mut hook, &client, "192.0.2.8");
    expect(&mut hook, ["86410 PREINIT", "86410 BOUND new=192.0.2.8"]);
}

#[test]
fn after_a_restart_a_client_without_an_answer_still_has_its_lease() {
    let client = wire4::client(1);
    let mut hook = bound(&client);
    hook.restart(Dhclient::default(), true).at(500).asks(&client.reboot("192.0.2.7"));
    expect(&mut hook, ["500 PREINIT"]);
    expect(hook.at(600), ["560 TIMEOUT new=192.0.2.7"]);
}

#[test]
fn after_a_restart_v6_leases_are_deprecated_and_expire_at_their_own_time() {
    let client = wire6::client(1);
    let inside = || {
        vec![
            wire6::na(1, vec![wire6::address("2001:db8::7", 300, 600)]),
            wire6::pd(2, vec![wire6::prefix("2001:db8:7::", 48, 400, 700)]),
        ]
    };
    let mut hook = listener();
    let solicit = client.solicit(vec![wire6::na(1, vec![]), wire6::pd(2, vec![])]);
    hook.asks(&solicit).answers(&solicit.advertise(inside()));
    let request = client.request(inside());
    hook.asks(&request).answers(&request.reply(inside()));
    let bound = expect(&mut hook, ["0 PREINIT6", "0 BOUND6 new=2001:db8::7", "0 BOUND6 new=2001:db8:7::/48"]);
    let given = values(&bound[1], "new_");
    hook.at(100).restart(Dhclient::default(), true);
    let deprecated = expect(hook.at(350), ["300 DEPREF6 cur=2001:db8::7"]);
    assert_eq!(values(&deprecated[0], "cur_"), given);
    hook.restart(Dhclient::default(), true);
    expect(hook.at(650), ["400 DEPREF6 cur=2001:db8:7::/48", "600 EXPIRE6 old=2001:db8::7"]);
    hook.stamp(5_000).restart(Dhclient::default(), false);
    expect(hook.at(5_000), ["700 EXPIRE6 old=2001:db8:7::/48"]);
    hook.restart(Dhclient::default(), false).at(700 + DAY);
    expect(&mut hook, []);
    assert!(hook.memory.is_empty(), "{:?}", hook.memory);
}

#[test]
fn what_nobody_understands_is_passed_over() {
    let mut hook = bound(&wire4::client(1));
    let (key, value) = hook.memory.clone().into_iter().next().unwrap();
    let mut dialect = Dhclient::default();
    for (key, value) in [
        (&key[..], &value[..value.len() - 1]),
        (&key[..], b""),
        (b"", &value[..]),
        (b"\x05what", &value[..]),
        (b"\x06what", &value[..]),
    ] {
        dhcp_observer::dialect::Dialect::recall(&mut dialect, key, value);
    }
    assert_eq!(dialect.counters().leases, 0);
    hook.memory.clear();
    hook.restart(dialect, false);
    expect(hook.at(4_000), []);
}

// Filters.

#[test]
fn outside_the_filter_nothing_begins() {
    let (mut hook, client) = (listener(), wire4::client(1));
    hook.wanted = false;
    dora(&mut hook, &client, "192.0.2.7");
    acked(hook.at(1_800), &client.renew("192.0.2.7"), "192.0.2.7");
    hook.at(1_900).asks(&client.release("192.0.2.7")).at(2_000).asks(&wire4::client(2).discover());
    expect(hook.at(10_000), []);
    assert!(hook.memory.is_empty());
    let six = wire6::client(1);
    let inside = || vec![wire6::na(1, vec![wire6::address("2001:db8::7", 300, 600)])];
    let request = six.request(inside());
    hook.asks(&six.solicit(inside())).asks(&request).answers(&request.reply(inside()));
    expect(hook.at(20_000), []);
    assert!(hook.memory.is_empty());
}

#[test]
fn outside_the_filter_what_was_begun_is_ended() {
    let client = wire4::client(1);
    // By release, by refusal, by its time, by another client's taking it.
    let mut hook = bound(&client);
    hook.wanted = false;
    acked(hook.at(1_800), &client.renew("192.0.2.7"), "192.0.2.7");
    expect(&mut hook, []);
    hook.at(2_000).asks(&client.release("192.0.2.7"));
    expect(&mut hook, ["2000 RELEASE old=192.0.2.7"]);
    expect(hook.at(9_000), []);

    let mut hook = bound(&client);
    hook.wanted = false;
    let renew = client.renew("192.0.2.7");
    hook.at(1_800).asks(&renew).answers(&renew.nak());
    expect(&mut hook, ["1800 EXPIRE old=192.0.2.7"]);

    let mut hook = bound(&client);
    hook.wanted = false;
    // The restart does not make it another one.
    hook.restart(Dhclient::default(), true);
    expect(hook.at(9_000), ["3600 EXPIRE old=192.0.2.7"]);

    let mut hook = bound(&client);
    hook.wanted = false;
    dora(hook.at(60), &wire4::client(2), "192.0.2.7");
    expect(&mut hook, ["60 EXPIRE old=192.0.2.7"]);
}

#[test]
fn back_in_the_filter_the_lease_goes_on() {
    let client = wire4::client(1);
    let mut hook = bound(&client);
    hook.wanted = false;
    acked(hook.at(1_800), &client.renew("192.0.2.7"), "192.0.2.7");
    hook.wanted = true;
    acked(hook.at(3_600), &client.renew("192.0.2.7"), "192.0.2.7");
    let renewed = expect(&mut hook, ["3600 RENEW new=192.0.2.7 old=192.0.2.7"]);
    // What was before is what the client had before.
    assert_eq!(variable(&renewed[0], "old_expiry"), crate::story::unix(1_800 + 3_600));
    // One that the hook was never told of begins in the middle.
    let mut hook = listener();
    hook.wanted = false;
    dora(&mut hook, &client, "192.0.2.7");
    hook.wanted = true;
    acked(hook.at(1_800), &client.renew("192.0.2.7"), "192.0.2.7");
    expect(&mut hook, ["1800 RENEW new=192.0.2.7"]);
    expect(hook.at(9_000), ["5400 EXPIRE old=192.0.2.7"]);
}

#[test]
fn a_search_that_the_hook_was_told_of_ends_in_any_case() {
    let mut hook = listener();
    hook.asks(&wire4::client(1).discover());
    expect(&mut hook, ["0 PREINIT"]);
    hook.wanted = false;
    expect(hook.at(100), ["60 FAIL"]);
    // And one that it was not told of has no end.
    hook.asks(&wire4::client(2).discover());
    hook.wanted = true;
    expect(hook.at(200), []);
}

// What a client does.

#[test]
fn a_rebind_before_its_time_is_a_client_that_begins_anew() {
    let client = wire6::client(1);
    // T2 is 22 s.
    let inside = || vec![wire6::pd(2, vec![wire6::prefix("2001:db8:7::", 48, 400, 700)])];
    let mut hook = listener();
    let answered = |hook: &mut Listener, query: &wire6::Dhcp6| {
        hook.asks(query).answers(&query.reply(inside()));
    };
    hook.asks(&client.solicit(inside()));
    answered(&mut hook, &client.request(inside()));
    expect(&mut hook, ["0 PREINIT6", "0 BOUND6 new=2001:db8:7::/48"]);
    let rebind = client.rebind(inside());
    hook.at(5).asks(&rebind).at(6);
    answered(&mut hook, &rebind);
    expect(&mut hook, ["5 PREINIT6", "6 REBIND6 new=2001:db8:7::/48 old=2001:db8:7::/48"]);
    // At its time it only asks more servers.
    hook.at(17).asks(&client.renew(inside()));
    let rebind = client.rebind(inside());
    hook.at(27).asks(&rebind).at(38);
    answered(&mut hook, &rebind);
    expect(&mut hook, ["38 REBIND6 new=2001:db8:7::/48 old=2001:db8:7::/48"]);
}

// Limits.

#[test]
fn a_lease_over_the_limit_is_told_but_not_remembered() {
    let mut hook = Listener::new(limited(1, 10));
    dora(&mut hook, &wire4::client(1), "192.0.2.7");
    dora(&mut hook, &wire4::client(2), "192.0.2.8");
    expect(&mut hook, ["0 PREINIT", "0 BOUND new=192.0.2.7", "0 PREINIT", "0 BOUND new=192.0.2.8"]);
    assert_eq!(lost(&hook, "leases_over_limit"), 1);
    acked(hook.at(60), &wire4::client(2).renew("192.0.2.8"), "192.0.2.8");
    expect(&mut hook, ["60 RENEW new=192.0.2.8"]);
    assert_eq!((lost(&hook, "leases_over_limit"), hook.memory.len()), (2, 1));
    expect(hook.at(9_000), ["3600 EXPIRE old=192.0.2.7"]);
    // What is over has its place for a day.
    dora(&mut hook, &wire4::client(2), "192.0.2.8");
    assert_eq!(lost(&hook, "leases_over_limit"), 3);
    hook.at(3_600 + DAY).calls.clear();
    dora(&mut hook, &wire4::client(2), "192.0.2.8");
    assert_eq!((lost(&hook, "leases_over_limit"), hook.memory.len()), (3, 1));
}

#[test]
fn v6_leases_over_the_limit_are_told_but_not_remembered() {
    let mut hook = Listener::new(limited(1, 10));
    let inside = || {
        let address = |text| wire6::address(text, 600, 600);
        vec![wire6::na(1, vec![address("2001:db8::7")]), wire6::na(2, vec![address("2001:db8::8")])]
    };
    let client = wire6::client(1);
    hook.asks(&client.solicit(inside()));
    let request = client.request(inside());
    hook.asks(&request).answers(&request.reply(inside()));
    expect(&mut hook, ["0 PREINIT6", "0 BOUND6 new=2001:db8::7", "0 BOUND6 new=2001:db8::8"]);
    assert_eq!(lost(&hook, "leases_over_limit"), 1);
    expect(hook.at(700), ["600 EXPIRE6 old=2001:db8::7"]);
}

#[test]
fn the_oldest_search_makes_room() {
    let mut hook = Listener::new(limited(10, 2));
    for number in 1..=3 {
        hook.at(number.into()).asks(&wire4::client(number).discover());
    }
    expect(&mut hook, ["1 PREINIT", "2 PREINIT", "3 PREINIT"]);
    assert_eq!(lost(&hook, "searches_evicted"), 1);
    expect(hook.at(100), ["62 FAIL", "63 FAIL"]);

    let mut hook = Listener::new(limited(10, 2));
    for number in 1..=4 {
        hook.at(number.into()).asks(&wire6::client(number).solicit(vec![wire6::na(1, vec![])]));
    }
    expect(&mut hook, ["1 PREINIT6", "2 PREINIT6", "3 PREINIT6", "4 PREINIT6"]);
    assert_eq!(lost(&hook, "searches_evicted"), 2);
}

#[test]
fn what_is_remembered_over_the_limit_is_counted_at_the_start() {
    let mut hook = listener();
    dora(&mut hook, &wire4::client(1), "192.0.2.7");
    dora(&mut hook, &wire4::client(2), "192.0.2.8");
    let client = wire6::client(1);
    let inside = || {
        let address = |text| wire6::address(text, 600, 600);
        vec![wire6::na(1, vec![address("2001:db8::7")]), wire6::na(2, vec![address("2001:db8::8")])]
    };
    let request = client.request(inside());
    hook.asks(&request).answers(&request.reply(inside()));
    hook.calls.clear();
    hook.restart(limited(1, 10), true);
    assert_eq!(lost(&hook, "leases_over_limit"), 2);
    expect(hook.at(9_000), ["600 EXPIRE6 old=2001:db8::7", "3600 EXPIRE old=192.0.2.7"]);
}

#[test]
fn a_value_that_a_script_could_stumble_over_is_left_out_and_counted() {
    let (mut hook, client) = (listener(), wire4::client(1));
    let select = client.select("192.0.2.7");
    let ack = select.ack("192.0.2.7").set(12, b"a;reboot").set(15, b"good.example");
    hook.asks(&select).answers(&ack);
    let bound = expect(&mut hook, ["0 BOUND new=192.0.2.7"]);
    assert_eq!(variable(&bound[0], "new_host_name"), "-");
    assert_eq!(variable(&bound[0], "new_domain_name"), "good.example");
    assert_eq!(lost(&hook, "suspect_values"), 1);
}

// The option.

#[test]
fn how_long_a_client_searches_is_an_option() {
    let mut hook = listener();
    hook.dialect = make(DialectName::Dhclient, &with_search_timeout(10));
    hook.asks(&wire4::client(1).discover());
    expect(hook.at(9), ["0 PREINIT"]);
    expect(hook.at(20), ["10 FAIL"]);
    // A reload that says otherwise counts from the next search.
    hook.asks(&wire4::client(2).discover());
    hook.dialect.set_options(&with_search_timeout(5));
    hook.at(21).asks(&wire4::client(3).discover());
    expect(hook.at(60), ["20 PREINIT", "21 PREINIT", "26 FAIL", "30 FAIL"]);
    hook.dialect.set_options(&Options::default());
    hook.at(1_000).asks(&wire4::client(4).discover());
    expect(hook.at(1_100), ["1000 PREINIT", "1060 FAIL"]);
    hook.dialect = make(DialectName::Dhclient, &Options::default());
    hook.at(2_000).asks(&wire4::client(4).discover());
    expect(hook.at(2_100), ["2000 PREINIT", "2060 FAIL"]);
}
