//! Kea's lease cache: the answer shows what is left of a lease that is not touched.

use dhcp_observer::config::Subnet4;

use crate::config::{subnet4, subnet6, threshold};
use crate::story::{Story, unix};
use crate::wire4::client;
use crate::wire6;

const A: &str = "192.0.2.100";

fn cached(subnet: &mut Subnet4) {
    subnet.cache = threshold(0.25);
}

#[test]
fn a_cached_renewal_commits_nothing_and_leaves_the_record() {
    let (mut story, client) = (Story::with(subnet4(cached)), client(1));
    story.at(0).given(&client, A);
    let renew = client.renew(A);
    story.at(900).asks(&renew).answers(&renew.ack(A).lifetime(2_700));
    let calls = story.expect(["renew: lease4_renew", "renew: leases4_committed(0,0)"]);
    // The hook sees a lease renewed in full.
    calls.has(0, &[("LEASE4_CLTT", &unix(900)), ("LEASE4_VALID_LIFETIME", "3600")]);
    story
        .at(3_599)
        .expect_nothing()
        .at(3_600)
        .expect(["expire: lease4_expire"])
        .has(0, &[("LEASE4_CLTT", &unix(0))]);
}

#[test]
fn an_offer_out_of_the_cache_shows_a_full_lease_to_the_hook() {
    let (mut story, client) = (Story::with(subnet4(cached)), client(1));
    story.at(0).given(&client, A);
    let discover = client.discover();
    story.at(600).asks(&discover).answers(&discover.offer(A).lifetime(3_000));
    story
        .expect(["renew: lease4_renew"])
        .has(0, &[("LEASE4_VALID_LIFETIME", "3600"), ("LEASE4_CLTT", &unix(600))]);
}

#[test]
fn what_changes_something_or_comes_late_is_written() {
    for (at, lifetime, name, committed) in [
        // Older than a quarter of the lease.
        (901, 2_699, "", 1),
        // The answer gives the whole time again.
        (600, 3_600, "", 1),
        // Another name.
        (600, 3_000, "nemo", 1),
        (600, 3_000, "", 0),
        // A second between the server's clock and ours.
        (600, 3_001, "", 0),
        (600, 2_999, "", 0),
        (600, 3_002, "", 1),
    ] {
        let (mut story, client) = (Story::with(subnet4(cached)), client(1));
        story.at(0).given(&client, A);
        let renew = client.renew(A);
        let mut answer = renew.ack(A).lifetime(lifetime);
        if !name.is_empty() {
            answer = answer.with(12, name.as_bytes());
        }
        story.at(at).asks(&renew).answers(&answer);
        story.expect(["renew: lease4_renew", &format!("renew: leases4_committed({committed},0)")]);
    }
}

#[test]
fn without_a_configured_cache_a_shorter_lease_is_just_shorter() {
    let (mut story, client) = (Story::with(subnet4(|_| {})), client(1));
    story.at(0).given(&client, A);
    let renew = client.renew(A);
    story.at(600).asks(&renew).answers(&renew.ack(A).lifetime(3_000));
    story
        .expect(["renew: lease4_renew", "renew: leases4_committed(1,0)"])
        .has(0, &[("LEASE4_VALID_LIFETIME", "3000")]);
}

#[test]
fn an_endless_lease_is_always_cached() {
    let (mut story, client) = (Story::with(subnet4(|_| {})), client(1));
    for at in [0, 600] {
        let renew = client.renew(A);
        story.at(at).asks(&renew).answers(&renew.ack(A).lifetime(u32::MAX));
    }
    story.expect(["commit: leases4_committed(1,0)", "renew: lease4_renew", "renew: leases4_committed(0,0)"]);
}

#[test]
fn cached_associations_are_left_out_and_the_others_are_not() {
    let (mut story, client) =
        (Story::with(subnet6(|subnet| subnet.cache = threshold(0.25))), wire6::client(1));
    let leases = |na: (u32, u32), pd: (u32, u32)| {
        vec![
            wire6::na(1, vec![wire6::address("2001:db8:1::5", na.0, na.1)]),
            wire6::pd(2, vec![wire6::prefix("2001:db8:f000::", 56, pd.0, pd.1)]),
        ]
    };
    let full = || leases((3_000, 4_000), (3_000, 4_000));
    story.at(0).replied(&client.request(full()), full()).expect(["commit: leases6_committed(2,0)"]);
    story.at(500).replied(&client.renew(full()), leases((2_500, 3_500), (3_000, 4_000)));
    let calls = story.expect(["renew: lease6_renew", "renew: lease6_renew", "renew: leases6_committed(1,0)"]);
    calls.has(
        0,
        &[
            ("LEASE6_VALID_LIFETIME", "4000"),
            ("LEASE6_PREFERRED_LIFETIME", "3000"),
            ("LEASE6_CLTT", &unix(500)),
        ],
    );
    calls.has(2, &[("LEASES6_AT0_TYPE", "IA_PD"), ("LEASES6_AT0_CLTT", &unix(500))]);
    // A Request is answered out of the cache too.
    story.at(600).replied(&client.request(full()), leases((2_400, 3_400), (2_900, 3_900)));
    story.expect(["renew: leases6_committed(0,0)"]);
    story
        .at(4_000)
        .expect(["expire: lease6_expire"])
        .has(0, &[("LEASE6_TYPE", "IA_NA"), ("LEASE6_CLTT", &unix(0))]);
    story
        .at(4_500)
        .expect(["expire: lease6_expire"])
        .has(0, &[("LEASE6_TYPE", "IA_PD"), ("LEASE6_CLTT", &unix(500))]);
}
