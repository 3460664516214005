//! The event hook: what begins, extends and ends a lease in the eyes of its program.

use dhcp_observer::config::KeaVersion;
use dhcp_observer::dialect::eventhook::EventHook;
use dhcp_observer::dialect::{DEFAULT_LIMIT, Loss};

use crate::listener::{Listener, arguments, variable};
use crate::wire4::{self, Client, Dhcp4};
use crate::wire6;

fn event_hook() -> EventHook {
    EventHook::new(KeaVersion::default(), DEFAULT_LIMIT)
}

fn listener() -> Listener {
    Listener::new(event_hook())
}

impl Listener {
    fn acked(&mut self, query: &Dhcp4, address: &str) -> &mut Self {
        self.asks(query).answers(&query.ack(address))
    }

    fn dora(&mut self, client: &Client, address: &str) -> &mut Self {
        let discover = client.discover();
        self.asks(&discover).answers(&discover.offer(address)).acked(&client.select(address), address)
    }
}

#[test]
fn a_lease_is_bound_extended_and_expires_at_its_deadline() {
    let (mut hook, client) = (listener(), wire4::client(1));
    hook.dora(&client, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
    hook.at(1_800).acked(&client.renew("192.0.2.7"), "192.0.2.7").expect(["EXTEND 192.0.2.7"]);
    hook.at(1_900).acked(&client.rebind("192.0.2.7"), "192.0.2.7").expect(["EXTEND 192.0.2.7"]);
    hook.at(2_000).acked(&client.reboot("192.0.2.7"), "192.0.2.7").expect(["EXTEND 192.0.2.7"]);
    hook.at(2_100).dora(&client, "192.0.2.7").expect(["EXTEND 192.0.2.7"]);
    hook.at(2_100 + 3_599).expect([]);
    hook.at(2_100 + 3_600);
    assert_eq!(hook.calls[0].invocation.at, hook.now());
    hook.expect(["EXPIRE 192.0.2.7"]);
    hook.at(10_000).dora(&client, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
}

#[test]
fn the_arguments_are_the_interface_and_the_event_and_the_environment_is_keas() {
    let (mut hook, client) = (listener(), wire4::client(1).with(12, b"labhost"));
    hook.dora(&client, "192.0.2.7");
    let bound = hook.calls.remove(0);
    assert_eq!(arguments(&bound), ["vs", "BOUND"]);
    for (name, value) in [
        ("QUERY4_TYPE", "DHCPREQUEST"),
        ("QUERY4_HWADDR", "02:aa:00:00:00:01"),
        ("LEASE4_ADDRESS", "192.0.2.7"),
        ("LEASE4_HOSTNAME", "labhost"),
        ("LEASE4_VALID_LIFETIME", "3600"),
        ("OBSERVER_EVENT", "commit"),
        ("OBSERVER_INTERFACE", "vs"),
        ("OBSERVER_SERVER_ID", "192.0.2.1"),
        ("OBSERVER_DROP_REASON", "-"),
    ] {
        assert_eq!(variable(&bound, name), value, "{name}");
    }
    assert!(bound.changes);
    hook.at(60).acked(&client.renew("192.0.2.7"), "192.0.2.7");
    let extended = hook.calls.remove(0);
    assert_eq!((variable(&extended, "OBSERVER_EVENT"), extended.changes), ("renew".into(), false));
    hook.at(10_000);
    let expired = hook.calls.remove(0);
    assert_eq!(arguments(&expired), ["vs", "EXPIRE"]);
    assert_eq!(variable(&expired, "LEASE4_HWADDR"), "02:aa:00:00:00:01");
    assert_eq!(variable(&expired, "QUERY4_TYPE"), "-");
}

#[test]
fn a_first_sight_in_the_middle_of_a_lease_binds_it() {
    for query in [
        wire4::client(1).renew("192.0.2.7"),
        wire4::client(1).rebind("192.0.2.7"),
        wire4::client(1).reboot("192.0.2.7"),
    ] {
        listener().acked(&query, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
    }
    // The question itself may have been missed.
    listener().answers(&wire4::client(1).renew("192.0.2.7").ack("192.0.2.7")).expect(["BOUND 192.0.2.7"]);
}

#[test]
fn what_the_client_gives_back_is_released_and_all_else_that_ends_it_drops_it() {
    let client = wire4::client(1);
    let bound = || {
        let mut hook = listener();
        hook.dora(&client, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
        hook
    };
    let dropped = |hook: &mut Listener, reason: &str| {
        assert_eq!(variable(&hook.calls[0], "OBSERVER_DROP_REASON"), reason);
    };
    bound().asks(&client.release("192.0.2.7")).expect(["RELEASE 192.0.2.7"]).at(9_000).expect([]);

    let mut hook = bound();
    hook.asks(&client.decline("192.0.2.7"));
    dropped(&mut hook, "declined");
    hook.expect(["DROP 192.0.2.7"]).at(200_000).expect([]);

    let mut hook = bound();
    let renew = client.renew("192.0.2.7");
    hook.asks(&renew).answers(&renew.nak());
    dropped(&mut hook, "refused");
    hook.expect(["DROP 192.0.2.7"]).at(9_000).expect([]);

    let mut hook = bound();
    hook.dora(&client, "192.0.2.8");
    dropped(&mut hook, "moved");
    hook.expect(["DROP 192.0.2.7", "BOUND 192.0.2.8"]);

    let mut hook = bound();
    hook.dora(&wire4::client(2), "192.0.2.7");
    dropped(&mut hook, "taken");
    assert_eq!(variable(&hook.calls[0], "LEASE4_HWADDR"), "02:aa:00:00:00:01");
    assert_eq!(variable(&hook.calls[1], "LEASE4_HWADDR"), "02:aa:00:00:00:02");
    hook.expect(["DROP 192.0.2.7", "BOUND 192.0.2.7"]);

    let mut hook = bound();
    let (now, interface) = (hook.now(), hook.interface());
    let other = dhcp_observer::frame::Interface { index: Some(4), name: "other".into() };
    hook.dialect.stop(now, Some(&other));
    hook.drain();
    assert!(hook.calls.is_empty());
    hook.dialect.stop(now, Some(&interface));
    hook.drain();
    dropped(&mut hook, "stopped");
    hook.expect(["DROP 192.0.2.7"]).at(9_000).expect([]);
    // It is still there, and was never told to have gone as far as the next one is concerned.
    hook.acked(&client.renew("192.0.2.7"), "192.0.2.7").expect(["BOUND 192.0.2.7"]);
}

#[test]
fn a_refusal_of_another_address_ends_nothing() {
    let (mut hook, client) = (listener(), wire4::client(1));
    hook.dora(&client, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
    let elsewhere = client.reboot("198.51.100.9");
    hook.asks(&elsewhere).answers(&elsewhere.nak()).expect([]);
    let somebody = wire4::client(2).reboot("192.0.2.7");
    hook.asks(&somebody).answers(&somebody.nak()).expect([]);
}

#[test]
fn an_inform_that_is_answered_extends_the_lease_of_a_bound_client_only() {
    let (mut hook, client) = (listener(), wire4::client(1));
    let inform = client.inform("192.0.2.7");
    hook.asks(&inform).answers(&inform.ack_inform()).expect([]);
    hook.dora(&client, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
    hook.asks(&inform).expect([]).answers(&inform.ack_inform()).expect(["EXTEND 192.0.2.7"]);
    let other = wire4::client(2).inform("192.0.2.7");
    hook.asks(&other).answers(&other.ack_inform()).expect([]);
    // It does not make the lease any longer.
    hook.at(3_600).expect(["EXPIRE 192.0.2.7"]);
}

#[test]
fn an_answer_out_of_the_lease_cache_extends_the_lease_and_its_end_stays() {
    let config = crate::config::subnets4(vec![dhcp_observer::config::Subnet4 {
        cache: crate::config::threshold(0.5),
        ..dhcp_observer::config::Subnet4::new(1, wire4::ip("192.0.2.0"), 24)
    }]);
    let (mut hook, client) =
        (Listener::with(config, dhcp_observer::tracker::Limits::default(), event_hook()), wire4::client(1));
    hook.dora(&client, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
    let renew = client.renew("192.0.2.7");
    hook.at(600).asks(&renew).answers(&renew.ack("192.0.2.7").lifetime(3_000)).expect(["EXTEND 192.0.2.7"]);
    hook.at(3_599).expect([]).at(3_600).expect(["EXPIRE 192.0.2.7"]);
}

#[test]
fn each_address_and_prefix_of_dhcpv6_is_a_lease_of_its_own() {
    let (mut hook, client) = (listener(), wire6::client(1));
    let give = |valid| {
        vec![
            wire6::na(1, vec![wire6::address("2001:db8:1::7", valid / 2, valid)]),
            wire6::pd(2, vec![wire6::prefix("2001:db8:f000::", 56, valid, valid * 2)]),
        ]
    };
    let request = client.request(give(100));
    hook.asks(&request).answers(&request.reply(give(100)));
    assert_eq!(variable(&hook.calls[1], "LEASE6_PREFIX_LEN"), "56");
    assert_eq!(variable(&hook.calls[1], "QUERY6_TYPE"), "REQUEST");
    hook.expect(["BOUND 2001:db8:1::7", "BOUND prefix 2001:db8:f000::"]);
    let renew = client.renew(give(100));
    hook.at(50)
        .asks(&renew)
        .answers(&renew.reply(give(100)))
        .expect(["EXTEND 2001:db8:1::7", "EXTEND prefix 2001:db8:f000::"]);
    hook.at(150).expect(["EXPIRE 2001:db8:1::7"]);
    let release = client.release(vec![give(100).remove(1)]);
    hook.asks(&release).expect([]).answers(&release.reply(vec![])).expect(["RELEASE prefix 2001:db8:f000::"]);
    hook.at(9_000).expect([]);
}

#[test]
fn all_addresses_of_an_association_that_a_client_gives_back_are_released() {
    // Kea's own hook hears of the first alone.
    let (mut hook, client) = (listener(), wire6::client(1));
    let both = || {
        vec![wire6::na(
            1,
            vec![wire6::address("2001:db8:1::7", 50, 100), wire6::address("2001:db8:1::8", 50, 100)],
        )]
    };
    let request = client.request(both());
    hook.asks(&request).answers(&request.reply(both()));
    hook.expect(["BOUND 2001:db8:1::7", "BOUND 2001:db8:1::8"]);
    let release = client.release(both());
    hook.asks(&release).answers(&release.reply(vec![]));
    hook.expect(["RELEASE 2001:db8:1::7", "RELEASE 2001:db8:1::8"]);
}

#[test]
fn a_client_that_is_told_that_it_has_moved_drops_what_it_asked_about() {
    let (mut hook, client) = (listener(), wire6::client(1));
    let one = || vec![wire6::na(1, vec![wire6::address("2001:db8:1::7", 50, 100)])];
    let request = client.request(one());
    hook.asks(&request).answers(&request.reply(one())).expect(["BOUND 2001:db8:1::7"]);
    let confirm = client.confirm(one());
    hook.asks(&confirm).answers(&confirm.reply(vec![wire6::status(0)])).expect([]);
    let confirm = client.confirm(one());
    hook.asks(&confirm).answers(&confirm.reply(vec![wire6::status(4)])).expect(["DROP 2001:db8:1::7"]);
}

#[test]
fn what_is_not_wanted_is_ended_and_never_begun_or_extended() {
    let (mut hook, client) = (listener(), wire4::client(1));
    hook.wanted = false;
    hook.dora(&client, "192.0.2.7").expect([]);
    hook.wanted = true;
    hook.at(10).acked(&client.renew("192.0.2.7"), "192.0.2.7").expect(["BOUND 192.0.2.7"]);
    hook.wanted = false;
    hook.at(3_000).acked(&client.renew("192.0.2.7"), "192.0.2.7").expect([]);
    // Not at the old deadline: the lease lives.
    hook.at(6_599).expect([]).at(6_600).expect(["EXPIRE 192.0.2.7"]);
}

#[test]
fn a_restart_forgets_nothing() {
    for knows_leases in [true, false] {
        let (mut hook, client) = (listener(), wire4::client(1));
        hook.dora(&client, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
        hook.restart(event_hook(), knows_leases);
        hook.at(100).acked(&client.renew("192.0.2.7"), "192.0.2.7").expect(["EXTEND 192.0.2.7"]);
        hook.restart(event_hook(), knows_leases).asks(&client.release("192.0.2.7"));
        hook.expect(["RELEASE 192.0.2.7"]);
        assert!(hook.memory.is_empty());
        hook.restart(event_hook(), knows_leases).at(9_000).expect([]);

        // One that ran out meanwhile ends when time first passes, and at its own moment.
        hook.dora(&client, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
        let end = hook.now() + std::time::Duration::from_secs(3_600);
        hook.restart(event_hook(), knows_leases).at(50_000);
        assert_eq!(hook.calls[0].invocation.at, end);
        assert_eq!(arguments(&hook.calls[0]), ["vs", "EXPIRE"]);
        hook.expect(["EXPIRE 192.0.2.7"]);
    }
}

#[test]
fn a_lease_that_is_told_of_at_the_start_is_bound_once() {
    let (mut hook, client) = (listener(), wire4::client(1));
    hook.dora(&client, "192.0.2.7").expect(["BOUND 192.0.2.7"]);
    hook.restart(event_hook(), true).announce().expect([]);
    // A hook that is new hears of it now.
    hook.memory.clear();
    hook.restart(event_hook(), true).announce().expect(["BOUND 192.0.2.7"]);
    hook.at(3_600).expect(["EXPIRE 192.0.2.7"]);
}

#[test]
fn a_lease_over_the_limit_is_never_spoken_of() {
    let mut hook = Listener::new(EventHook::new(KeaVersion::default(), 1));
    let (one, two) = (wire4::client(1), wire4::client(2));
    hook.dora(&one, "192.0.2.7").dora(&two, "192.0.2.8").expect(["BOUND 192.0.2.7"]);
    hook.acked(&two.renew("192.0.2.8"), "192.0.2.8").asks(&two.release("192.0.2.8")).expect([]);
    assert_eq!(hook.dialect.losses(), [Loss::over_limit("leases_over_limit", 2)]);
    hook.asks(&one.release("192.0.2.7")).dora(&two, "192.0.2.8");
    hook.expect(["RELEASE 192.0.2.7", "BOUND 192.0.2.8"]);
}
