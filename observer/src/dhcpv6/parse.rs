//! The framing walk: relay envelopes, header, options.

use std::net::Ipv6Addr;

use super::identity_association::{IaKind, IdentityAssociation};
use super::options::{OptionsIter, Span, code};
use super::{Fault, Malformed, Message, MessageType, Relay};

/// How many relay messages may be nested: HOP_COUNT_LIMIT of RFC 3315, which is the more generous (RFC 8415 has 8).
pub const MAX_RELAYS: usize = 32;
/// msg-type, hop-count, link-address, peer-address (RFC 8415 section 9).
const RELAY_HEADER: usize = 34;
/// msg-type, transaction-id (RFC 8415 section 8).
const HEADER: usize = 4;

/// Reads a UDP payload. Total: whatever the bytes are, there is a message, and [`Message::malformed`] says what was wrong.
pub fn parse(payload: &[u8]) -> Message {
    let mut message = Message {
        bytes: payload.into(),
        relays: Vec::new(),
        message_type: MessageType(0),
        transaction_id: 0,
        options: Span::default(),
        malformed: Vec::new(),
    };
    let mut span = Span { start: 0, end: payload.len() };
    loop {
        let level = payload.get(span.start..span.end).unwrap_or_default();
        let message_type = MessageType(level.first().copied().unwrap_or(0));
        if !matches!(message_type, MessageType::RELAY_FORWARD | MessageType::RELAY_REPLY) {
            innermost(&mut message, level, span);
            return message;
        }
        if message.relays.len() >= MAX_RELAYS {
            message.malformed.push(Malformed { offset: span.start, fault: Fault::TooManyRelays });
            return message;
        }
        let Some((header, body)) = level.split_first_chunk::<RELAY_HEADER>() else {
            message.malformed.push(Malformed { offset: span.start, fault: Fault::ShortHeader });
            return message;
        };
        let options = Span { start: span.start + RELAY_HEADER, end: span.end };
        message.relays.push(Relay {
            message_type,
            hop_count: header.get(1).copied().unwrap_or(0),
            link_address: address(header.get(2..18)),
            peer_address: address(header.get(18..34)),
            options,
        });
        let mut walk = OptionsIter::new(body);
        let relayed = walk.find(|(code, _)| *code == code::RELAY_MESSAGE);
        let Some((_, relayed)) = relayed else {
            let fault = if walk.rest().is_empty() { Fault::NoRelayedMessage } else { Fault::OptionOverrun };
            message.malformed.push(Malformed { offset: span.end - walk.rest().len(), fault });
            return message;
        };
        let end = span.end - walk.rest().len();
        span = Span { start: end - relayed.len(), end };
    }
}

fn innermost(message: &mut Message, level: &[u8], span: Span) {
    let Some((header, body)) = level.split_first_chunk::<HEADER>() else {
        message.malformed.push(Malformed { offset: span.start, fault: Fault::ShortHeader });
        return;
    };
    let [message_type, a, b, c] = *header;
    message.message_type = MessageType(message_type);
    message.transaction_id = u32::from_be_bytes([0, a, b, c]);
    message.options = Span { start: span.start + HEADER, end: span.end };
    let mut walk = OptionsIter::new(body);
    let mut offset = message.options.start;
    for (code, payload) in walk.by_ref() {
        check(code, payload, offset, &mut message.malformed);
        offset += 4 + payload.len();
    }
    if !walk.rest().is_empty() {
        message.malformed.push(Malformed { offset, fault: Fault::OptionOverrun });
    }
}

/// Names what is wrong inside an identity association, so that leaving it out later is not silent.
fn check(code: u16, payload: &[u8], offset: usize, malformed: &mut Vec<Malformed>) {
    let kind = match code {
        code::IA_NA => IaKind::NonTemporary,
        code::IA_TA => IaKind::Temporary,
        code::IA_PD => IaKind::PrefixDelegation,
        _ => return,
    };
    let Some(association) = IdentityAssociation::read(kind, payload) else {
        malformed.push(Malformed { offset, fault: Fault::ShortOption(code) });
        return;
    };
    let mut walk = association.options();
    for (code, payload) in walk.by_ref() {
        let fixed = match code {
            code::IAADDR => 24,
            code::IAPREFIX => 25,
            _ => 0,
        };
        if payload.len() < fixed {
            malformed.push(Malformed { offset, fault: Fault::ShortOption(code) });
        }
    }
    if !walk.rest().is_empty() {
        malformed.push(Malformed { offset, fault: Fault::OptionOverrun });
    }
}

fn address(octets: Option<&[u8]>) -> Ipv6Addr {
    octets
        .and_then(|octets| octets.first_chunk::<16>())
        .map_or(Ipv6Addr::UNSPECIFIED, |octets| Ipv6Addr::from(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcpv6::IaLease;
    use crate::time::Lifetime;

    fn option(code: u16, payload: &[u8]) -> Vec<u8> {
        let mut option = code.to_be_bytes().to_vec();
        option.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        option.extend_from_slice(payload);
        option
    }

    fn relayed(hop: u8, inner: &[u8]) -> Vec<u8> {
        let mut message = vec![12, hop];
        message.extend_from_slice(&[0x20; 16]);
        message.extend_from_slice(&[0xfe; 16]);
        message.extend(option(18, &[hop]));
        message.extend(option(9, inner));
        message.extend(option(37, &[0, 0, 0, 9, hop]));
        message
    }

    fn request() -> Vec<u8> {
        let mut address = vec![0x20; 16];
        address.extend_from_slice(&300_u32.to_be_bytes());
        address.extend_from_slice(&u32::MAX.to_be_bytes());
        let mut prefix = [0, 0, 1, 44, 0, 0, 2, 88, 56].to_vec();
        prefix.extend_from_slice(&[0x20; 16]);
        let fixed = [0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2];
        let mut message = vec![3, 1, 2, 3];
        message.extend(option(1, &[0, 3, 0, 1, 9]));
        message.extend(option(25, &[&fixed[..], &option(26, &prefix)].concat()));
        message.extend(option(3, &[&fixed[..], &option(5, &address), &option(13, &[0, 2])].concat()));
        message
    }

    #[test]
    fn identity_associations_come_in_keas_order() {
        let message = parse(&request());
        assert_eq!((message.message_type, message.transaction_id), (MessageType::REQUEST, 0x010203));
        assert_eq!(message.client_duid(), Some(&[0, 3, 0, 1, 9][..]));
        let found: Vec<_> = message
            .identity_associations()
            .map(|ia| (ia.kind, ia.iaid, ia.t1, ia.t2, ia.status(), ia.leases().collect::<Vec<_>>()))
            .collect();
        let lease = |prefix_len, valid_lifetime| IaLease {
            address: Ipv6Addr::from([0x20; 16]),
            prefix_len,
            preferred_lifetime: Lifetime::Seconds(300),
            valid_lifetime,
        };
        assert_eq!(
            found,
            [
                (IaKind::NonTemporary, 7, 1, 2, 2, vec![lease(128, Lifetime::Infinite)]),
                (IaKind::PrefixDelegation, 7, 1, 2, 0, vec![lease(56, Lifetime::Seconds(600))]),
            ]
        );
        assert!(message.malformed.is_empty());
    }

    #[test]
    fn relays_are_unpacked_up_to_the_limit() {
        let mut wrapped = request();
        for hop in 0..u8::try_from(MAX_RELAYS).unwrap() {
            wrapped = relayed(hop, &wrapped);
        }
        let message = parse(&wrapped);
        assert_eq!((message.relays.len(), message.message_type), (MAX_RELAYS, MessageType::REQUEST));
        // The relay nearest to the client is the innermost one.
        assert_eq!(message.relay_option(18), Some(&[0][..]));
        assert_eq!(message.relays[0].hop_count, 31);
        assert!(message.malformed.is_empty());

        let message = parse(&relayed(32, &wrapped));
        assert_eq!(message.message_type, MessageType(0));
        assert_eq!(message.malformed[0].fault, Fault::TooManyRelays);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (bytes, fault) in [
            (vec![], Fault::ShortHeader),
            (vec![3, 0, 0], Fault::ShortHeader),
            (vec![12; 20], Fault::ShortHeader),
            (relayed(0, &[])[..34].to_vec(), Fault::NoRelayedMessage),
            (relayed(0, &request())[..80].to_vec(), Fault::OptionOverrun),
            ([&[3, 0, 0, 1][..], &option(3, &[0; 11])].concat(), Fault::ShortOption(3)),
            (
                [&[3, 0, 0, 1][..], &option(3, &[&[0; 12][..], &option(5, &[0; 23])].concat())].concat(),
                Fault::ShortOption(5),
            ),
            ([&request()[..], &[0, 1, 0]].concat(), Fault::OptionOverrun),
        ] {
            let faults: Vec<_> = parse(&bytes).malformed.iter().map(|malformed| malformed.fault).collect();
            assert_eq!(faults, [fault], "{bytes:?}");
        }
    }

    #[test]
    fn a_message_cut_anywhere_is_a_message() {
        let whole = relayed(1, &relayed(0, &request()));
        for length in 0..whole.len() {
            let message = parse(&whole[..length]);
            let _ = message.identity_associations().flat_map(|ia| ia.leases().collect::<Vec<_>>()).count();
        }
    }
}
