//! Our variables in the reference.

use crate::dialect::reference::{Row, rows};
use crate::dialect::variable::Source;

use super::exchange::EXCHANGE4;
use super::network;
use super::relays::AGENT_NAMES;

const EXCHANGES: &str = "all but expire and recover";

fn row(name: &str, hook_points: &'static str, source: Source, meaning: &'static str) -> Row {
    Row { name: name.to_owned(), hook_points, source, optional: true, meaning }
}

/// Every variable of ours, in the order in which a hook gets them.
pub(in crate::dialect) fn reference() -> Vec<Row> {
    let always = |name: &str, meaning: &'static str| Row {
        name: name.to_owned(),
        hook_points: "all",
        source: Source::Tracked,
        optional: false,
        meaning,
    };
    let mut all = vec![
        always(
            "OBSERVER_EVENT",
            "`commit`, `renew`, `rebind`, `release`, `decline`, `expire` or `recover`; with `--network-events` also `unanswered`, \
             `foreign-server`, `nak`, `pool-exhausted`, `conflict` or `gap`",
        ),
        always(
            "OBSERVER_CERTAINTY",
            "`observed`; `inferred`: the question behind the answer was not seen; `estimated`: no frame said so, it follows \
             from what the server did next or from its known rules",
        ),
        row("OBSERVER_INFERRED", "all", Source::Tracked, "`1` when inferred"),
        row("OBSERVER_ESTIMATED", "all", Source::Tracked, "`1` when estimated"),
        row("OBSERVER_INTERFACE", "all", Source::Observed, "interface on which the client was last heard of"),
        row(
            "OBSERVER_VLAN",
            "all",
            Source::Observed,
            "VLAN identifiers of the frame, outermost first, dots between",
        ),
        row("OBSERVER_VLAN_PRIORITY", "all", Source::Observed, "their priorities, the same way"),
    ];
    all.extend(rows(EXCHANGES, "", EXCHANGE4));
    all.push(row(
        "OBSERVER_ANSWER_OPTION_<n>",
        EXCHANGES,
        Source::Observed,
        "each option of the answer, `0x` and hexadecimal; the first of its code in DHCPv6",
    ));
    let four = "all of DHCPv4";
    all.push(row(
        "OBSERVER_RELAY",
        four,
        Source::Tracked,
        "giaddr; of a direct renewal or an end, the relay last heard of",
    ));
    all.push(row(
        "OBSERVER_AGENT_<n>",
        four,
        Source::Tracked,
        "each sub-option of option 82, `0x` and hexadecimal",
    ));
    for (code, name) in AGENT_NAMES {
        let meaning = match code {
            5 | 11 => "the sub-option by its name, an address",
            _ => "the sub-option by its name, `0x` and hexadecimal",
        };
        all.push(row(&format!("OBSERVER_AGENT_{name}"), four, Source::Tracked, meaning));
    }
    all.push(row(
        "OBSERVER_AGENT_<name>_TEXT",
        four,
        Source::Tracked,
        "the same as text, where all of it is printable ASCII",
    ));
    let six = "all of DHCPv6 but expire and recover";
    all.push(row("OBSERVER_RELAYS", six, Source::Observed, "how many relays carried the question"));
    for (word, meaning) in [
        ("LINK", "link-address of a relay; 0 is the one nearest to the client"),
        ("PEER", "peer-address: whom that relay had the message from"),
        ("HOPS", "hop-count"),
        ("INTERFACE_ID", "option 18, `0x` and hexadecimal"),
        ("REMOTE_ID", "option 37 with the enterprise number, `0x` and hexadecimal"),
        ("SUBSCRIBER_ID", "option 38, `0x` and hexadecimal"),
        ("CLIENT_HWADDR", "option 79, the client's link-layer address"),
    ] {
        all.push(row(&format!("OBSERVER_RELAY<i>_{word}"), six, Source::Observed, meaning));
    }
    let lists = "committed: `OBSERVER_AT<i>_…`, `OBSERVER_DELETED_AT<i>_…`; the others: `OBSERVER_…`";
    for (word, source, meaning) in [
        ("EXPIRES", Source::Tracked, "when the lease ends, Unix seconds, or `never`"),
        ("ROUTE_PREFIX", Source::Observed, "IA_PD: the delegated prefix with its length"),
        ("ROUTE_NEXT_HOP", Source::Observed, "IA_PD: the client's link-local address"),
        ("ROUTE_HWADDR", Source::Observed, "IA_PD: the client's hardware address"),
        (
            "ROUTE_RELAY",
            Source::Observed,
            "IA_PD: the relay from which the question came, where there is one",
        ),
        ("ROUTE_INTERFACE", Source::Observed, "IA_PD: the interface towards client or relay"),
        (
            "OLD_LEASE4_…, OLD_LEASE6_…",
            Source::Tracked,
            "the old value of what changed in the client's record; always of CLTT",
        ),
        (
            "CHANGED",
            Source::Tracked,
            "names of the values that changed (CLTT aside), blanks between; empty if none did",
        ),
    ] {
        all.push(row(&format!("OBSERVER_[AT<i>_]{word}"), lists, source, meaning));
    }
    all.extend(network::reference());
    all.push(row(
        "OBSERVER_REPLAY",
        "committed",
        Source::Tracked,
        "`1` when nothing happened: the lease lives, and the hook has `replay_on_start`",
    ));
    all.push(row(
        "OBSERVER_LATE",
        "all",
        Source::Tracked,
        "`1` when it happened before this observer was started",
    ));
    all.push(row(
        "OBSERVER_GAP",
        "all",
        Source::Tracked,
        "`1` when frames were missed that may have made it otherwise: the lease ended, but a renewal may not have been seen",
    ));
    all.push(always(
        "OBSERVER_EVENT_ID",
        "the number of the event, ever increasing; the same for all hooks and for repeats",
    ));
    all.push(always("OBSERVER_ATTEMPT", "`1`, or more when the hook is started again"));
    all
}
