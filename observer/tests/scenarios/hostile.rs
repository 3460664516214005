//! Nothing that passes on the wire makes the observer grow, stall or fall.

use std::sync::Arc;

use dhcp_observer::config::ServerConfig;
use dhcp_observer::dialect::invocation::Invocation;
use dhcp_observer::frame::{Direction, Interface};
use dhcp_observer::tracker::{Answers, Limits};

use crate::story::{Packet, Story};
use crate::wire4::{self, client};
use crate::wire6;

/// The kernel refuses a longer argument or environment string (`MAX_ARG_STRLEN`), and with it the whole call.
const MAX_STRING: usize = 131_072;

fn nth(number: u32) -> (wire4::Client, String) {
    let [_, a, b, c] = number.to_be_bytes();
    (client(1).chaddr(&[2, 0xaa, 0, a, b, c]), format!("10.{a}.{b}.{c}"))
}

#[test]
fn a_flood_of_leases_stops_at_the_limit_and_is_counted() {
    let limits = Limits { leases: 100, exchanges: 10 };
    let mut story = Story::tapping(ServerConfig::default(), Answers::Out, limits);
    story.at(0);
    for number in 0..1_000 {
        let (client, address) = nth(number);
        story.dora(&client, &address).expect(["commit: leases4_committed(1,0)"]);
    }
    let counters = story.counters();
    assert_eq!((counters.leases4, counters.leases_over_limit), (100, 900));
    // Whoever was there first is still known.
    let (first, address) = nth(0);
    story.at(9).acked(&first.renew(&address), &address);
    story.expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
}

#[test]
fn a_flood_of_questions_makes_room_for_itself_only() {
    let limits = Limits { leases: 100, exchanges: 10 };
    let mut story = Story::tapping(ServerConfig::default(), Answers::Out, limits);
    story.at(0);
    for number in 0..1_000 {
        story.asks(&nth(number).0.discover()).expect_nothing();
    }
    assert_eq!(story.counters().exchanges_evicted, 990);
    story
        .dora(&client(1), "192.0.2.100")
        .expect(["commit: leases4_committed(1,0)"])
        .has(0, &[("OBSERVER_INFERRED", "-")]);
}

#[test]
fn leases_cut_short_or_given_back_leave_no_deadlines_behind() {
    let (mut story, client) = (Story::new(), client(1));
    let other = wire4::client(2);
    for round in 0..5_000_u32 {
        story.at(i64::from(round) / 100);
        // Cut short a little more each time.
        let renew = client.renew("192.0.2.100");
        story.asks(&renew).answers(&renew.ack("192.0.2.100").lifetime(1_000_000 - 100 * round));
        // Given back and taken again.
        story.dora(&other, "192.0.2.101").asks(&other.release("192.0.2.101"));
        story.calls();
    }
    assert!(story.counters().deadlines < 2_000, "{}", story.counters().deadlines);
    // And the one that counts is still there.
    story.at(500_000).expect_nothing().at(500_100).expect_nothing().at(500_200);
    story.expect(["expire: lease4_expire"]);
}

#[test]
fn one_owner_of_very_many_leases_is_no_burden() {
    // Every message about this client has to look at what else it holds. Without a mask nobody knows what it left.
    let (mut story, client) = (Story::new(), client(1).client_id(&[1, 2, 3]));
    let six = wire6::client(2);
    let network = |number: u32| format!("2001:db8:0:{number:x}::1");
    let ia = |text: &str| vec![wire6::na(1, vec![wire6::address(text, 1, 9_999)])];
    story.at(0);
    for number in 0..2_000 {
        // Every other address, so that there is room to move.
        let address = nth(2 * number).1;
        let request = client.select(&address);
        story.asks(&request).answers(&request.ack(&address).without(1));
        story.replied(&six.request(ia(&network(number))), ia(&network(number)));
    }
    story.calls();
    assert_eq!((story.counters().leases4, story.counters().leases6), (2_000, 2_000));
    // Only the latest are looked at when it moves.
    let (last, first) = ("10.0.15.1", "10.0.0.1");
    story.acked(&client.reboot(last), last).expect(["commit: leases4_committed(1,1)"]);
    story.acked(&client.reboot(first), first).expect(["commit: leases4_committed(1,0)"]);
    story
        .replied(&six.renew(ia("2001:db8:0:7cf::2")), ia("2001:db8:0:7cf::2"))
        .expect(["commit: leases6_committed(1,1)"]);
    story
        .replied(&six.renew(ia("2001:db8::2")), ia("2001:db8::2"))
        .expect(["commit: leases6_committed(1,0)"]);
    // All are taken out of the lists again.
    story.at(20_000).calls();
    assert_eq!((story.counters().leases4, story.counters().leases6), (0, 0));
}

#[test]
fn no_variable_grows_too_long_to_start_a_hook() {
    let long = |octets| vec![b'('; octets];
    let check = |calls: &[Invocation]| {
        assert!(!calls.is_empty());
        for string in calls.iter().flat_map(|call| call.environment.iter()) {
            assert!(string.to_bytes_with_nul().len() <= MAX_STRING, "{:?}", &string.to_bytes()[..40]);
        }
    };
    for code in [12, 61, 81, 82] {
        let (mut story, client) = (Story::new(), client(1).with(code, &long(60_000)));
        let request = client.select("192.0.2.100");
        let answer = request.ack("192.0.2.100");
        let answer = if code == 12 || code == 81 { answer.with(code, &long(60_000)) } else { answer };
        // As large as they are, they come whole out of the fragments; here their payload is put together directly.
        story.at(0).whole(&request, Direction::In).whole(&answer, Direction::Out);
        story.at(1).whole(&request, Direction::In).whole(&answer, Direction::Out);
        check(&story.calls().0);
    }
    let (mut story, client) = (Story::new(), wire6::client(1));
    let ia = || vec![wire6::na(1, vec![wire6::address("2001:db8::1", 1, 2)])];
    let request = client.request(ia());
    let answer =
        request.reply(ia()).with((39, [&[1][..], &[&[63][..], &long(63)].concat().repeat(900)].concat()));
    story.at(0).whole(&request, Direction::In).whole(&answer, Direction::Out);
    check(&story.calls().0);
    let long = wire6::client(1).duid(&long(60_000));
    let request = long.request(ia());
    story.whole(&request, Direction::In).whole(&request.reply(ia()), Direction::Out).expect_nothing();
}

#[test]
fn a_frame_cut_or_bent_anywhere_is_survived() {
    let interface = Arc::new(Interface { index: None, name: String::new() });
    let client = client(1)
        .client_id(&[1, 2])
        .with(12, b"name")
        .with(81, b"\x04\x00\x00\x05HostA")
        .with(82, b"\x01\x01x");
    let request = client.select("192.0.2.100");
    let ia = || {
        vec![
            wire6::na(1, vec![wire6::address("2001:db8::1", 1, 2)]),
            wire6::pd(2, vec![wire6::prefix("2001:db8::", 56, 1, 2)]),
        ]
    };
    let six = wire6::client(1)
        .request(ia())
        .with(wire6::fqdn(&["a", "b"]))
        .relayed("2001:db8::9", vec![(79, vec![0, 1, 2])]);
    let frames = [request.frame(), request.ack("192.0.2.100").frame(), six.frame(), six.reply(ia()).frame()];
    let mut story = Story::tapping(ServerConfig::default(), Answers::Both, Limits::default());
    for (millis, frame) in (0..).zip(&frames) {
        story.at_millis(millis);
        for at in 0..frame.len() {
            story.pass_bytes(&interface, &frame[..at], Direction::In);
            for octet in [0, 1, 0x7f, 0xff] {
                let mut bent = frame.clone();
                bent[at] = octet;
                story.pass_bytes(&interface, &bent, Direction::In);
            }
        }
        story.calls();
    }
    story.at(1_000_000_000).calls();
    assert_eq!(story.deadline().is_some(), story.counters().deadlines > 0);
}

#[test]
fn thousands_of_associations_in_one_message_are_looked_at_once_each() {
    let (mut story, client) = (Story::new(), wire6::client(1));
    let count = 2_500;
    let named = || (0..count).map(|iaid| wire6::na(iaid, vec![])).collect::<Vec<_>>();
    let refused = || (0..count).map(|iaid| wire6::na(iaid, vec![wire6::status(3)])).collect::<Vec<_>>();
    let one = || vec![wire6::na(count, vec![wire6::address("2001:db8::1", 1, 9_999)])];
    story.at(0).replied(&client.request(one()), one()).expect(["commit: leases6_committed(1,0)"]);
    for _ in 0..20 {
        let release = client.release([named(), vec![]].concat());
        story.whole(&release, Direction::In).whole(&release.reply(refused()), Direction::Out);
        story.expect(["commit: leases6_committed(0,0)"]);
    }
    let release = client.release([named(), one()].concat());
    story.whole(&release, Direction::In).whole(&release.reply(refused()), Direction::Out);
    story.expect(["release: lease6_release", "release: leases6_committed(0,1)"]);
}

/// What a hook is started with really starts one.
fn starts(call: &Invocation) {
    use std::os::unix::ffi::OsStrExt;
    let text = |bytes| std::ffi::OsStr::from_bytes(bytes);
    let mut program = std::process::Command::new("/bin/true");
    program.env_clear().envs(call.variables().map(|(name, value)| (text(name), text(value))));
    assert!(program.status().unwrap().success());
    // A pointer to each string counts as well.
    let octets: usize = call.environment.iter().map(|string| string.to_bytes_with_nul().len() + 8).sum();
    assert!(octets < 1_000_000, "{octets} octets are too near the two million that a kernel takes");
}

#[test]
fn a_message_with_thousands_of_leases_starts_a_hook_all_the_same() {
    let (mut story, client) = (Story::new(), wire6::client(1).duid(&[0xff; 130]));
    let name = wire6::fqdn(&["(".repeat(63).as_str(); 3]);
    let given = |part: u32| {
        let address = |host| wire6::address(&format!("2001:db8::{part:x}:{host:x}"), 1, 9_999);
        vec![wire6::na(1, (0..2_000).map(address).collect())]
    };
    let all = |story: &mut Story| {
        let calls = story.calls().0;
        calls.iter().for_each(starts);
        calls
    };
    let request = client.request(vec![]);
    let answer = request.reply(given(1)).with(name.clone());
    story.at(0).whole(&request, Direction::In).whole(&answer, Direction::Out);
    assert_eq!(all(&mut story).len(), 1);
    assert_eq!((story.counters().leases6, story.counters().leases_left_out), (128, 1_872));

    // Renewed, moved and given back.
    let renew = client.renew(given(1));
    story.at(1).whole(&renew, Direction::In).whole(&renew.reply(given(1)).with(name), Direction::Out);
    assert_eq!(all(&mut story).len(), 129);
    let renew = client.renew(given(1));
    story.at(2).whole(&renew, Direction::In).whole(&renew.reply(given(2)), Direction::Out);
    all(&mut story);
    assert_eq!(story.counters().leases6, 128, "the old ones are gone");
    let decline = client.decline(given(2));
    story.at(3).whole(&decline, Direction::In).whole(&decline.reply(vec![]), Direction::Out);
    assert_eq!(all(&mut story).len(), 129);
    assert_eq!(
        story.counters().leases_left_out,
        3 * 1_872,
        "of what is declined nothing was a lease but these"
    );
}

#[test]
fn who_holds_thousands_of_leases_gives_them_back_in_portions() {
    let (mut story, client) = (Story::new(), wire6::client(1));
    let one = |iaid| wire6::na(iaid, vec![wire6::address(&format!("2001:db8::{iaid:x}"), 1, 9_999)]);
    for iaid in 0..300 {
        story.at(0).replied(&client.request(vec![]), vec![one(iaid)]);
    }
    story.calls();
    let release = client.release((0..300).map(one).collect());
    story.at(1).whole(&release, Direction::In).whole(&release.reply(vec![]), Direction::Out);
    let calls = story.calls();
    calls.0.iter().for_each(starts);
    calls.has(128, &[("DELETED_LEASES6_SIZE", "128"), ("OBSERVER_EVENT", "release")]);
    // The rest is not forgotten: it ends in its own time.
    assert_eq!((calls.0.len(), story.counters().leases6, story.counters().leases_left_out), (129, 172, 172));
    story.at(20_000);
    assert_eq!(story.calls().0.len(), 172);
}

#[test]
fn an_address_that_is_twice_in_a_reply_is_one_lease() {
    let (mut story, client) = (Story::new(), wire6::client(1));
    let one = |iaid| wire6::na(iaid, vec![wire6::address("2001:db8::1", 1, 9_999)]);
    let twice = || vec![one(1), one(2)];
    story.at(0).replied(&client.request(twice()), twice()).expect(["commit: leases6_committed(1,0)"]);
    assert_eq!((story.counters().leases6, story.counters().leases_repeated), (1, 1));
}

#[test]
fn an_association_that_is_twice_in_a_reply_is_read_once() {
    // Found by fuzzing: the second one took away what the first had given, and both were told in one call.
    let (mut story, client) = (Story::new(), wire6::client(1));
    let one = |host| wire6::na(1, vec![wire6::address(&format!("2001:db8::{host}"), 1, 9_999)]);
    let (first, last) = (vec![one(1)], vec![one(1), one(2)]);
    story.at(0).replied(&client.request(vec![]), last);
    story.expect(["commit: leases6_committed(1,0)"]).has(0, &[("LEASES6_AT0_ADDRESS", "2001:db8::1")]);
    story.at(9).replied(&client.renew(vec![]), first);
    story.expect(["renew: lease6_renew", "renew: leases6_committed(1,0)"]);
    assert_eq!((story.counters().leases6, story.counters().leases_repeated), (1, 1));
}

#[test]
fn forged_servers_do_not_keep_the_real_one_from_being_learned() {
    let mut story = Story::tapping(ServerConfig::default(), Answers::Both, Limits::default());
    let (victim, other) = (client(1), client(2));
    let forged = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        client(9).discover().offer("192.0.2.200").set(54, &[10, a, b, c])
    };
    story.at(0);
    (0..5_000).for_each(|number| drop(story.answers(&forged(number)).calls()));
    story.given(&victim, "192.0.2.100");
    // Heard again and again in the flood, it is not forgotten.
    for number in 5_000..8_000 {
        if number % 500 == 0 {
            story.given(&other, "192.0.2.101");
            story.asks(&other.release("192.0.2.101")).calls();
        }
        story.answers(&forged(number)).expect_nothing();
    }
    story.asks(&victim.release("192.0.2.100"));
    story.expect(["release: lease4_release", "release: leases4_committed(0,1)"]);
    assert_eq!((story.counters().foreign_queries, story.counters().servers_forgotten), (0, 8_001 - 1_024));
}
