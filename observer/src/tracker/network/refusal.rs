//! What servers refuse, and in which words.

use std::net::IpAddr;

use crate::dhcpv4;
use crate::dhcpv6::{IaKind, Message, MessageType, code};
use crate::octets::Octets;
use crate::tracker::{Exchange4, Exchange6};

use super::sighting::Finding;

/// Status codes of RFC 8415 section 21.13.
pub(super) mod status {
    pub(in crate::tracker::network) const NO_ADDRS_AVAIL: u16 = 2;
    pub(in crate::tracker::network) const NO_BINDING: u16 = 3;
    pub(in crate::tracker::network) const NOT_ON_LINK: u16 = 4;
    pub(in crate::tracker::network) const NO_PREFIX_AVAIL: u16 = 6;
}

/// The name of a status code that is told.
pub(crate) fn status_name(code: u16) -> &'static str {
    match code {
        status::NO_ADDRS_AVAIL => "NoAddrsAvail",
        status::NO_BINDING => "NoBinding",
        status::NOT_ON_LINK => "NotOnLink",
        status::NO_PREFIX_AVAIL => "NoPrefixAvail",
        _ => "",
    }
}

/// A status code option.
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) reason: Option<Octets>,
    /// The identity association that it is in.
    association: Option<(IaKind, u32)>,
}

fn read(payload: &[u8], association: Option<(IaKind, u32)>) -> Option<Status> {
    let (code, reason) = payload.split_first_chunk::<2>()?;
    let reason = Some(reason).filter(|reason| !reason.is_empty()).map(Octets::from);
    Some(Status { code: u16::from_be_bytes(*code), reason, association })
}

/// The status codes of an answer: its own, then those of its identity associations.
pub(super) fn statuses(message: &Message) -> impl Iterator<Item = Status> {
    let own = message.option(code::STATUS_CODE).and_then(|payload| read(payload, None));
    own.into_iter().chain(message.identity_associations().filter_map(|ia| {
        let (_, payload) = ia.options().find(|(code, _)| *code == code::STATUS_CODE)?;
        read(payload, Some((ia.kind, ia.iaid)))
    }))
}

/// A DHCPNAK.
pub(super) fn nak4(exchange: &Exchange4) -> Finding {
    let asked = exchange.query.as_deref().map(|query| &query.message);
    let address = asked.and_then(|message| {
        message.requested_address().or(Some(message.ciaddr).filter(|address| !address.is_unspecified()))
    });
    let answer = exchange.answer.as_deref().map(|answer| &answer.message);
    let reason = answer.and_then(|message| message.options.get(dhcpv4::code::MESSAGE));
    Finding::Nak {
        address: address.map(IpAddr::V4),
        status: None,
        reason: reason.map(|reason| Octets::from(&*reason)),
    }
}

/// A Reply that says NotOnLink or NoBinding to a client that wanted to have or keep an address.
pub(super) fn nak6(exchange: &Exchange6) -> Option<Finding> {
    let answer = exchange.answer.as_deref().map(|answer| &answer.message)?;
    let asked = exchange.query.as_deref().map(|query| &query.message);
    let gives_back =
        |message: &&Message| matches!(message.message_type, MessageType::RELEASE | MessageType::DECLINE);
    if answer.message_type != MessageType::REPLY || asked.filter(gives_back).is_some() {
        return None;
    }
    let refusal =
        statuses(answer).find(|found| matches!(found.code, status::NO_BINDING | status::NOT_ON_LINK))?;
    let address = asked.and_then(|message| {
        let is_it = |association| refusal.association.is_none_or(|refused| refused == association);
        let mut associations = message.identity_associations().filter(|ia| is_it((ia.kind, ia.iaid)));
        associations.find_map(|ia| ia.leases().next())
    });
    Some(Finding::Nak {
        address: address.map(|lease| lease.address.into()),
        status: Some(refusal.code),
        reason: refusal.reason,
    })
}
