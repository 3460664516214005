//! A DHCPv6 payload of any kind: it is a message, and everything that can be asked of it has an answer.

use dhcp_observer::dhcpv6::{self, MAX_RELAYS, MessageType};

/// One UDP payload.
pub fn run(payload: &[u8]) {
    let message = dhcpv6::parse(payload);
    assert!(message.malformed.iter().all(|malformed| malformed.offset <= payload.len()));
    assert!(message.relays.len() <= MAX_RELAYS);
    assert!(message.transaction_id < 1 << 24);
    assert!(
        message.message_type == MessageType(0)
            || !matches!(message.message_type, MessageType::RELAY_FORWARD | MessageType::RELAY_REPLY)
    );
    assert!(message.options().map(|(_, value)| 4 + value.len()).sum::<usize>() <= payload.len());
    for (code, value) in message.options() {
        let first = message.option(code).expect("it is there");
        assert!(first.as_ptr() <= value.as_ptr(), "the first one counts");
    }
    for relay in &message.relays {
        assert!(message.relay_options(relay).count() <= payload.len() / 4);
    }
    for code in [9, 18, 37, 38, 79] {
        let nearest = message.nearest_relay_option(code);
        assert!(nearest.is_none() || message.relay_option(code) == nearest, "the nearest relay's counts");
    }
    assert_eq!(message.relay_information().is_some(), !message.relays.is_empty());
    for association in message.identity_associations() {
        let _ = (association.iaid, association.t1, association.t2, association.status());
        for lease in association.leases() {
            assert!(association.kind == dhcpv6::IaKind::PrefixDelegation || lease.prefix_len == 128);
        }
    }
    assert!(message.client_duid().is_none_or(|duid| (1..=130).contains(&duid.len())));
    for name in [message.hostname(), message.hostname_as_sent(), message.own_hostname()] {
        assert!(name.is_none_or(|name| name.len() <= 4 * payload.len()));
    }
    let _ = (message.server_duid(), message.has_rapid_commit(), message.registered_address());
    assert!(message.footprint() >= payload.len());
}
