//! A DHCPv4 payload of any kind: it is a message, and everything that can be asked of it has an answer.

use dhcp_observer::dhcpv4::{self, Options};

/// One UDP payload.
pub fn run(payload: &[u8]) {
    let message = dhcpv4::parse(payload);
    assert!(message.malformed.iter().all(|malformed| malformed.offset <= payload.len().max(236)));
    let mut codes = 0;
    for code in message.options.codes() {
        codes += 1;
        assert!(message.options.contains(code));
        let whole = message.options.get(code).expect("it is there");
        assert_eq!(message.options.pieces(code).flatten().count(), whole.len(), "option {code}");
    }
    assert!(codes <= Options::MAX.min(255));
    assert!(message.options.footprint() <= 2 * payload.len() + 8 * Options::MAX + 256);
    assert_eq!(message.options.get(53).is_some_and(|kind| kind.len() == 1), message.message_type.is_some());
    assert!(message.chaddr.octets().len() <= 20);
    let client_id = message.client_id();
    assert!(client_id.is_none_or(|client_id| (1..=255).contains(&client_id.len())));
    for (name, longest) in [(message.hostname(), 4 * 255), (message.own_hostname(), 2 * payload.len() + 1)] {
        assert!(name.is_none_or(|name| name.len() <= longest));
    }
    let four_octets = |code| message.options.get(code).is_some_and(|octets| octets.len() == 4);
    assert_eq!(message.requested_address().is_some(), four_octets(50));
    assert_eq!(message.lease_time().is_some(), four_octets(51));
    assert_eq!(message.server_id().is_some(), four_octets(54));
    assert_eq!(message.subnet_mask().is_some(), four_octets(1));
    let _ = (message.is_readable(), message.has_lawful_client_id(), message.is_relayed());
    let _ = (message.request_kind(true), message.request_kind(false));
    let agent = || message.options.pieces(82);
    let normal = dhcpv4::normalise_agent_information(agent());
    assert!(normal.len() <= 2 * payload.len() + 2);
    let all = dhcpv4::agent_sub_options(agent());
    for code in 0..=u8::MAX {
        assert_eq!(dhcpv4::agent_sub_option(agent(), code).as_ref(), all.get(&code), "sub-option {code}");
    }
}
