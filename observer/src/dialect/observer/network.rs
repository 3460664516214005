//! What the network said beside leases.

use crate::dialect::reference::{Row, rows};
use crate::dialect::text;
use crate::dialect::variable::{Source, Variable};
use crate::octets::Octets;
use crate::tracker::network::{Finding, Rival, ServerId, Sighting, status_name};

fn status(sighting: &Sighting) -> Option<u16> {
    match &sighting.finding {
        Finding::Nak { status, .. } | Finding::PoolExhausted { status, .. } => *status,
        _ => None,
    }
}

fn reason(sighting: &Sighting) -> Option<&Octets> {
    match &sighting.finding {
        Finding::Nak { reason, .. } | Finding::PoolExhausted { reason, .. } => reason.as_ref(),
        _ => None,
    }
}

fn rival(sighting: &Sighting) -> Option<&Rival> {
    match &sighting.finding {
        Finding::Declined { rival, .. } => rival.as_ref(),
        Finding::Claimed { rival, .. } => Some(rival),
        _ => None,
    }
}

/// Writes the value where there is one.
fn some<V>(value: Option<V>, write: impl FnOnce(V)) -> bool {
    value.map(write).is_some()
}

/// The variables of a sighting; each is there where its kind has it.
pub(super) const SIGHTING: &[Variable<Sighting>] = &[
    Variable::sometimes(
        "OBSERVER_ADDRESS",
        Source::Observed,
        "foreign_server: what that server gives; nak: what the client had asked for; conflict: the address",
        |sighting, out| {
            let address = match &sighting.finding {
                Finding::ForeignServer { address, .. } | Finding::Nak { address, .. } => *address,
                Finding::Declined { address, .. } | Finding::Claimed { address, .. } => Some(*address),
                Finding::Unanswered { .. } | Finding::PoolExhausted { .. } | Finding::Gap { .. } => None,
            };
            some(address, |address| text::ip(out, address))
        },
    ),
    Variable::sometimes(
        "OBSERVER_ASKED",
        Source::Tracked,
        "unanswered: how many times the client has asked",
        |sighting, out| match &sighting.finding {
            Finding::Unanswered { asked, .. } => some(Some(*asked), |asked| text::number(out, asked)),
            _ => false,
        },
    ),
    Variable::sometimes(
        "OBSERVER_SINCE",
        Source::Tracked,
        "unanswered: when it asked first, Unix seconds",
        |sighting, out| match &sighting.finding {
            Finding::Unanswered { since, .. } => {
                some(Some(since), |since| text::number(out, since.unix_seconds()))
            }
            _ => false,
        },
    ),
    Variable::sometimes(
        "OBSERVER_FIRST_SERVER_ID",
        Source::Tracked,
        "foreign_server with `--answers both`: the server that had answered the same question before",
        |sighting, out| match &sighting.finding {
            Finding::ForeignServer { first, .. } => some(first.as_ref(), |first| match first {
                ServerId::V4(address) => text::ipv4(out, *address),
                ServerId::V6(duid) => text::colon_hex(out, duid.octets()),
            }),
            _ => false,
        },
    ),
    Variable::sometimes(
        "OBSERVER_STATUS",
        Source::Observed,
        "DHCPv6: `NotOnLink` or `NoBinding` (nak), `NoAddrsAvail` or `NoPrefixAvail` (pool_exhausted)",
        |sighting, out| some(status(sighting), |code| out.extend_from_slice(status_name(code).as_bytes())),
    ),
    Variable::sometimes(
        "OBSERVER_REASON",
        Source::Observed,
        "nak, pool_exhausted: the server's words, option 56 or those of the status code",
        |sighting, out| some(reason(sighting), |reason| out.extend_from_slice(reason)),
    ),
    Variable::sometimes(
        "OBSERVER_CLIENTS",
        Source::Tracked,
        "pool_exhausted of DHCPv4: how many clients search there in vain, 64 at most",
        |sighting, out| match &sighting.finding {
            Finding::PoolExhausted { clients, .. } => some(*clients, |clients| text::number(out, clients)),
            _ => false,
        },
    ),
    Variable::sometimes(
        "OBSERVER_CONFLICT",
        Source::Observed,
        "conflict: `decline`, or `claim` where two clients want the address",
        |sighting, out| {
            let word = match &sighting.finding {
                Finding::Declined { .. } => Some("decline"),
                Finding::Claimed { .. } => Some("claim"),
                _ => None,
            };
            some(word, |word| out.extend_from_slice(word.as_bytes()))
        },
    ),
    Variable::sometimes(
        "OBSERVER_DECLINES",
        Source::Tracked,
        "conflict by decline: how many times the address was declined, at most a day apart",
        |sighting, out| match &sighting.finding {
            Finding::Declined { declines, .. } => {
                some(Some(*declines), |declines| text::number(out, declines))
            }
            _ => false,
        },
    ),
    Variable::sometimes(
        "OBSERVER_RIVAL_HWADDR",
        Source::Tracked,
        "conflict: hardware address of the other client: who had the address before, has it, or claims it too",
        |sighting, out| {
            some(rival(sighting).and_then(|rival| rival.hwaddr.as_ref()), |address| {
                text::hardware(out, Some(address))
            })
        },
    ),
    Variable::sometimes(
        "OBSERVER_RIVAL_CLIENT_ID",
        Source::Tracked,
        "conflict: the other client's identifier or DUID",
        |sighting, out| {
            let identifier = rival(sighting).and_then(|rival| rival.identifier.as_ref());
            some(identifier, |identifier| text::colon_hex(out, identifier.octets()))
        },
    ),
    Variable::sometimes(
        "OBSERVER_GAP_FROM",
        Source::Tracked,
        "gap: no frame from before this was missed, Unix seconds",
        |sighting, out| match &sighting.finding {
            Finding::Gap { from, .. } => some(Some(from), |from| text::number(out, from.unix_seconds())),
            _ => false,
        },
    ),
    Variable::sometimes(
        "OBSERVER_GAP_UNTIL",
        Source::Tracked,
        "gap: no frame from after this was missed, Unix seconds",
        |sighting, out| match &sighting.finding {
            // The whole second that is over by then.
            Finding::Gap { until, .. } => {
                some(Some(until), |until| text::number(out, until.unix_seconds() + 1))
            }
            _ => false,
        },
    ),
    Variable::sometimes(
        "OBSERVER_GAP_LOST",
        Source::Tracked,
        "gap: how many DHCP frames were missed, where that is known",
        |sighting, out| match &sighting.finding {
            Finding::Gap { lost, .. } => some(*lost, |lost| text::number(out, lost)),
            _ => false,
        },
    ),
    Variable::sometimes(
        "OBSERVER_GAP_REASON",
        Source::Tracked,
        "gap: `ring-full`, `not-attached`, `not-running`, `other-version` or `not-promiscuous`",
        |sighting, out| match &sighting.finding {
            Finding::Gap { reason, .. } => {
                some(Some(reason), |reason| out.extend_from_slice(reason.as_bytes()))
            }
            _ => false,
        },
    ),
    Variable::sometimes(
        "OBSERVER_LEFT_OUT",
        Source::Tracked,
        "how many such events were left out since the one before: of this foreign server, or because there were more than \
         600 in a minute",
        |sighting, out| {
            some(Some(sighting.left_out).filter(|count| *count > 0), |count| text::number(out, count))
        },
    ),
];

/// The same for the reference.
pub(super) fn reference() -> Vec<Row> {
    rows("`--network-events`", "", SIGHTING)
}
