//! `QUERY6_*`, `PKT6_IA_*`.

use crate::dhcpv6::code;
use crate::dialect::text;
use crate::dialect::variable::{Source, Variable};
use crate::tracker::{Exchange6, IaReference};

use super::query::{of_either, of_query};

/// The question.
pub(super) const QUERY6: &[Variable<Exchange6>] = &[
    Variable::always(
        "QUERY6_TYPE",
        Source::Observed,
        "message type of the innermost message, such as `REQUEST`",
        |exchange, out| {
            of_query(exchange, |query| out.extend_from_slice(query.message.message_type.name().as_bytes()));
        },
    ),
    Variable::always(
        "QUERY6_TXID",
        Source::Observed,
        "transaction-id of the innermost message, decimal",
        |exchange, out| {
            of_either(exchange, |observed| text::number(out, observed.message.transaction_id));
        },
    ),
    Variable::always(
        "QUERY6_LOCAL_ADDR",
        Source::Observed,
        "IPv6 destination of the outer packet",
        |exchange, out| {
            of_query(exchange, |query| text::ip(out, query.destination.ip()));
        },
    ),
    Variable::always("QUERY6_LOCAL_PORT", Source::Constant, "always `0`", |_, out| out.push(b'0')),
    Variable::always(
        "QUERY6_REMOTE_ADDR",
        Source::Observed,
        "IPv6 source of the outer packet",
        |exchange, out| {
            of_query(exchange, |query| text::ip(out, query.source.ip()));
        },
    ),
    Variable::always("QUERY6_REMOTE_PORT", Source::Observed, "UDP source port", |exchange, out| {
        of_query(exchange, |query| text::number(out, query.source.port()));
    }),
    Variable::always("QUERY6_IFACE_INDEX", Source::Observed, "index of the interface", |exchange, out| {
        of_either(exchange, |observed| {
            if let Some(index) = observed.interface.index {
                text::number(out, index);
            }
        });
    }),
    Variable::always("QUERY6_IFACE_NAME", Source::Observed, "name of the interface", |exchange, out| {
        of_either(exchange, |observed| out.extend_from_slice(observed.interface.name.as_bytes()));
    }),
    Variable::always("QUERY6_REMOTE_HWADDR", Source::Constant, "always empty", |_, _| {}),
    Variable::always("QUERY6_REMOTE_HWADDR_TYPE", Source::Constant, "always empty", |_, _| {}),
    Variable::always("QUERY6_PROTO", Source::Constant, "always `UDP`", |_, out| {
        out.extend_from_slice(b"UDP")
    }),
    Variable::always("QUERY6_CLIENT_ID", Source::Observed, "the client's DUID", |exchange, out| {
        of_either(exchange, |observed| {
            text::colon_hex(out, observed.message.client_duid().unwrap_or_default())
        });
    }),
];

fn relay_option(exchange: &Exchange6, code: u16, out: &mut Vec<u8>) -> bool {
    match exchange.either().and_then(|observed| observed.message.relay_option(code)) {
        Some(payload) => {
            text::upper_hex(out, payload);
            true
        }
        None => false,
    }
}

/// What the relay nearest to the client said of it, for Kea 3.0 and later.
pub(super) const QUERY6_RELAY: &[Variable<Exchange6>] = &[
    Variable::sometimes(
        "QUERY6_OPTION_18",
        Source::Observed,
        "interface-id of the relay, `0x` and hexadecimal (3.0)",
        |exchange, out| relay_option(exchange, code::INTERFACE_ID, out),
    ),
    Variable::sometimes(
        "QUERY6_OPTION_37",
        Source::Observed,
        "remote-id of the relay, `0x` and hexadecimal (3.0)",
        |exchange, out| relay_option(exchange, code::REMOTE_ID, out),
    ),
    Variable::sometimes(
        "QUERY6_OPTION_38",
        Source::Observed,
        "subscriber-id of the relay, `0x` and hexadecimal (3.0)",
        |exchange, out| relay_option(exchange, code::SUBSCRIBER_ID, out),
    ),
];

/// The identity association that is extended. Kea calls the hook before it fills in the times.
pub(super) const PKT6_IA: &[Variable<IaReference>] = &[
    Variable::always(
        "PKT6_IA_IAID",
        Source::Observed,
        "identity association identifier, decimal",
        |ia, out| {
            text::number(out, ia.iaid);
        },
    ),
    Variable::always(
        "PKT6_IA_IA_TYPE",
        Source::Observed,
        "option code: `3` for IA_NA, `25` for IA_PD",
        |ia, out| {
            text::number(out, ia.kind.code());
        },
    ),
    Variable::always("PKT6_IA_IA_T1", Source::Constant, "always `0`", |_, out| out.push(b'0')),
    Variable::always("PKT6_IA_IA_T2", Source::Constant, "always `0`", |_, out| out.push(b'0')),
];
