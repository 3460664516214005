//! Whose lease it is, and what it is called.

use dhcp_observer::config::Subnet4;

use crate::config::subnet4;
use crate::story::Story;
use crate::wire4::{Client, client};

const A: &str = "192.0.2.100";

/// Whether the server takes the second client for the owner of the first one's lease: then a RELEASE of it succeeds.
fn is_same(first: &Client, second: &Client, change: impl FnOnce(&mut Subnet4)) -> bool {
    let mut story = Story::with(subnet4(change));
    story.at(0).given(first, A);
    story.at(1).asks(&second.release(A));
    story.calls().0.len() == 2
}

#[test]
fn client_identifiers_decide_and_where_one_is_missing_hardware_addresses_do() {
    let ids = [&[1, 9][..], &[1, 8]];
    for (first, second, same) in [
        (client(1).client_id(ids[0]), client(1).client_id(ids[0]), true),
        (client(1).client_id(ids[0]), client(2).client_id(ids[0]), true),
        (client(1).client_id(ids[0]), client(1).client_id(ids[1]), false),
        (client(1).client_id(ids[0]), client(1), true),
        (client(1).client_id(ids[0]), client(2), false),
        (client(1), client(1).client_id(ids[0]), true),
        (client(1), client(2).client_id(ids[0]), false),
        (client(1), client(1), true),
        (client(1), client(2), false),
    ] {
        assert_eq!(is_same(&first, &second, |_| {}), same, "{:?} {:?}", first.options, second.options);
    }
}

#[test]
fn a_server_that_does_not_heed_client_identifiers_does_not_keep_them() {
    let heedless = |subnet: &mut Subnet4| subnet.match_client_id = false;
    let (one, two) = (client(1).client_id(&[1, 9]), client(1).client_id(&[1, 8]));
    let mut story = Story::with(subnet4(heedless));
    story.at(0).dora(&one, A);
    story.expect(["commit: leases4_committed(1,0)"]).has(0, &[("LEASES4_AT0_CLIENT_ID", "")]);
    // Another identifier, the same hardware address: the same client.
    story.at(1).acked(&two.renew(A), A);
    let calls = story.expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
    calls.has(0, &[("PKT4_CLIENT_ID", ""), ("LEASE4_CLIENT_ID", ""), ("QUERY4_HWADDR", "02:aa:00:00:00:01")]);
    // Releases do not ask the configuration; the record has no identifier, so the hardware address decides.
    assert!(is_same(&one, &two, heedless));
    assert!(!is_same(&one, &client(2).client_id(&[1, 9]), heedless));
}

#[test]
fn a_renewal_may_come_with_another_hardware_address_and_leaves_it_in_the_lease() {
    let (mut story, one, two) = (Story::new(), client(1).client_id(&[1, 9]), client(2).client_id(&[1, 9]));
    story.at(0).given(&one, A);
    let calls =
        story.at(5).acked(&two.renew(A), A).expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"]);
    calls.has(0, &[("LEASE4_HWADDR", "02:aa:00:00:00:02"), ("PKT4_CLIENT_ID", "01:09")]);
    // The first card alone is nobody that the server knows.
    story.at(6).asks(&client(1).release(A)).expect(["commit: leases4_committed(0,0)"]);
}

#[test]
fn the_host_name_is_that_of_the_answer() {
    // Beside Kea, as its configuration tells: there the answer alone counts.
    let (mut story, client) = (Story::with(subnet4(|_| {})), client(1).with(12, b"MyHost"));
    for (at, options, expected) in [
        (0, vec![], ""),
        (1, vec![(12, &b"MyHost"[..])], "myhost"),
        // A client's own trailing dot survives, and none is added.
        (2, vec![(12, b"aa.Four.example.com.")], "aa.four.example.com."),
        (3, vec![(81, b"\x04\x00\x00\x05HostA\x07Example\x03com\x00")], "hosta.example.com."),
        (4, vec![(81, b"\x04\x00\x00\x05HostA"), (12, b"other")], "hosta."),
        (5, vec![(81, b"\x01\xff\xffHostB.example.com.")], "hostb.example.com."),
        // A renewal whose answer has no name clears it.
        (6, vec![], ""),
    ] {
        let request = client.renew(A);
        let answer = options.iter().fold(request.ack(A), |answer, (code, name)| answer.with(*code, name));
        story.at(at).asks(&request).answers(&answer);
        let calls = story.calls();
        let last = calls.0.len() - 1;
        calls.has(last, &[("LEASES4_AT0_HOSTNAME", expected)]);
        if last == 1 {
            calls.has(0, &[("LEASE4_HOSTNAME", expected)]);
        }
    }
}

#[test]
fn a_name_that_the_server_makes_up_is_made_after_the_renewal() {
    let (mut story, client) = (Story::new(), client(1).with(12, b"anything"));
    for at in [0, 1] {
        let request = client.renew(A);
        story.at(at).asks(&request).answers(&request.ack(A).with(12, b"myhost-192-0-2-100.lan.test"));
    }
    let calls = story.expect([
        "commit: leases4_committed(1,0)",
        "renew: lease4_renew",
        "renew: leases4_committed(1,0)",
    ]);
    calls.has(0, &[("LEASES4_AT0_HOSTNAME", "myhost-192-0-2-100.lan.test")]);
    calls.has(1, &[("LEASE4_HOSTNAME", "")]);
    calls.has(2, &[("LEASES4_AT0_HOSTNAME", "myhost-192-0-2-100.lan.test")]);
    story
        .at(4_000)
        .expect(["expire: lease4_expire"])
        .has(0, &[("LEASE4_HOSTNAME", "myhost-192-0-2-100.lan.test")]);
}

#[test]
fn a_name_that_only_looks_made_up_is_the_clients_own() {
    let (mut story, client) = (Story::new(), client(1).with(12, b"host-192-0-2-100"));
    for at in [0, 1] {
        let request = client.renew(A);
        story.at(at).asks(&request).answers(&request.ack(A).with(12, b"host-192-0-2-100"));
    }
    story.calls().has(1, &[("LEASE4_HOSTNAME", "host-192-0-2-100")]);
}
