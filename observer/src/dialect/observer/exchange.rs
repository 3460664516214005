//! The frames of an exchange: where they passed, whose server answered, what the client said of itself, what it was told.

use crate::dhcpv4::code as code4;
use crate::dhcpv6::code as code6;
use crate::dialect::invocation::Strings;
use crate::dialect::text;
use crate::dialect::variable::{Source, Variable, write_all, write_one};
use crate::dissect::VlanTag;
use crate::frame::Direction;
use crate::identity::HardwareAddress;
use crate::tracker::{Exchange4, Exchange6, ObservedMessage, Place};

fn direction<M>(observed: Option<&ObservedMessage<M>>, out: &mut Vec<u8>) -> bool {
    let Some(observed) = observed else { return false };
    out.extend_from_slice(match observed.direction {
        Direction::In => b"in",
        Direction::Out => b"out",
        Direction::Unknown => b"unknown",
    });
    true
}

fn server_address<M>(answer: Option<&ObservedMessage<M>>, out: &mut Vec<u8>) -> bool {
    answer.is_some_and(|answer| {
        text::ip(out, answer.source.ip());
        true
    })
}

fn server_hwaddr<M>(answer: Option<&ObservedMessage<M>>, out: &mut Vec<u8>) -> bool {
    answer.and_then(|answer| answer.source_mac).is_some_and(|octets| {
        text::hardware(out, Some(&HardwareAddress::ethernet(octets)));
        true
    })
}

/// Appends decimal numbers with commas between; false when there are none.
fn numbers(out: &mut Vec<u8>, numbers: impl Iterator<Item = u16>) -> bool {
    let mut any = false;
    for number in numbers {
        if any {
            out.push(b',');
        }
        text::number(out, number);
        any = true;
    }
    any
}

fn query_option4(exchange: &Exchange4, code: u8, write: impl FnOnce(&[u8])) -> bool {
    match exchange.query.as_deref().and_then(|query| query.message.options.get(code)) {
        Some(payload) => {
            write(&payload);
            true
        }
        None => false,
    }
}

/// A DHCPv4 exchange.
pub(super) const EXCHANGE4: &[Variable<Exchange4>] = &[
    Variable::sometimes(
        "OBSERVER_QUERY_DIRECTION",
        Source::Observed,
        "which way the question crossed the interface: `in`, `out` or `unknown`",
        |exchange, out| direction(exchange.query.as_deref(), out),
    ),
    Variable::sometimes(
        "OBSERVER_ANSWER_DIRECTION",
        Source::Observed,
        "which way the answer crossed the interface",
        |exchange, out| direction(exchange.answer.as_deref(), out),
    ),
    Variable::sometimes(
        "OBSERVER_SERVER_ID",
        Source::Observed,
        "option 54 of the answer, or the server's DUID in DHCPv6",
        |exchange, out| {
            let server = exchange.answer.as_deref().or(exchange.query.as_deref());
            server.and_then(|observed| observed.message.server_id()).is_some_and(|address| {
                text::ipv4(out, address);
                true
            })
        },
    ),
    Variable::sometimes(
        "OBSERVER_SERVER_ADDRESS",
        Source::Observed,
        "IP source of the answer",
        |exchange, out| server_address(exchange.answer.as_deref(), out),
    ),
    Variable::sometimes(
        "OBSERVER_SERVER_HWADDR",
        Source::Observed,
        "frame source of the answer",
        |exchange, out| server_hwaddr(exchange.answer.as_deref(), out),
    ),
    Variable::sometimes(
        "OBSERVER_VENDOR_CLASS",
        Source::Observed,
        "option 60 as it came; in DHCPv6 option 16, `0x` and hexadecimal",
        |exchange, out| {
            query_option4(exchange, code4::VENDOR_CLASS, |payload| out.extend_from_slice(payload))
        },
    ),
    Variable::sometimes(
        "OBSERVER_USER_CLASS",
        Source::Observed,
        "option 77, in DHCPv6 option 15, `0x` and hexadecimal",
        |exchange, out| query_option4(exchange, code4::USER_CLASS, |payload| text::upper_hex(out, payload)),
    ),
    Variable::sometimes(
        "OBSERVER_REQUESTED_OPTIONS",
        Source::Observed,
        "codes of the options that the client asked for, decimal, commas between",
        |exchange, out| {
            let query = exchange.query.as_deref();
            let list = query.and_then(|query| query.message.options.get(code4::PARAMETER_REQUEST_LIST));
            list.is_some_and(|codes| numbers(out, codes.iter().map(|&code| u16::from(code))))
        },
    ),
];

fn query_option6(exchange: &Exchange6, code: u16, out: &mut Vec<u8>) -> bool {
    exchange.query.as_deref().and_then(|query| query.message.option(code)).is_some_and(|payload| {
        text::upper_hex(out, payload);
        true
    })
}

/// A DHCPv6 exchange; the same names, with what DHCPv6 has for it.
const EXCHANGE6: &[Variable<Exchange6>] = &[
    Variable::sometimes("OBSERVER_QUERY_DIRECTION", Source::Observed, "", |exchange, out| {
        direction(exchange.query.as_deref(), out)
    }),
    Variable::sometimes("OBSERVER_ANSWER_DIRECTION", Source::Observed, "", |exchange, out| {
        direction(exchange.answer.as_deref(), out)
    }),
    Variable::sometimes("OBSERVER_SERVER_ID", Source::Observed, "", |exchange, out| {
        let server = exchange.answer.as_deref().or(exchange.query.as_deref());
        server.and_then(|observed| observed.message.server_duid()).is_some_and(|duid| {
            text::colon_hex(out, duid);
            true
        })
    }),
    Variable::sometimes("OBSERVER_SERVER_ADDRESS", Source::Observed, "", |exchange, out| {
        server_address(exchange.answer.as_deref(), out)
    }),
    Variable::sometimes("OBSERVER_SERVER_HWADDR", Source::Observed, "", |exchange, out| {
        server_hwaddr(exchange.answer.as_deref(), out)
    }),
    Variable::sometimes("OBSERVER_VENDOR_CLASS", Source::Observed, "", |exchange, out| {
        query_option6(exchange, code6::VENDOR_CLASS, out)
    }),
    Variable::sometimes("OBSERVER_USER_CLASS", Source::Observed, "", |exchange, out| {
        query_option6(exchange, code6::USER_CLASS, out)
    }),
    Variable::sometimes("OBSERVER_REQUESTED_OPTIONS", Source::Observed, "", |exchange, out| {
        let list = exchange.query.as_deref().and_then(|query| query.message.option(code6::OPTION_REQUEST));
        list.is_some_and(|codes| {
            numbers(out, codes.as_chunks::<2>().0.iter().map(|code| u16::from_be_bytes(*code)))
        })
    }),
];

pub(super) fn write4(environment: &mut Strings, exchange: &Exchange4) {
    if let Some(observed) = exchange.either() {
        write_place_of(environment, observed);
    }
    write_all(environment, "", EXCHANGE4, exchange);
    let Some(answer) = exchange.answer.as_deref() else { return };
    for code in answer.message.options.codes() {
        if let Some(payload) = answer.message.options.get(code) {
            write_answer_option(environment, u16::from(code), &payload);
        }
    }
}

pub(super) fn write6(environment: &mut Strings, exchange: &Exchange6) {
    if let Some(observed) = exchange.either() {
        write_place_of(environment, observed);
    }
    write_all(environment, "", EXCHANGE6, exchange);
    let Some(answer) = exchange.answer.as_deref() else { return };
    // An option can come more than once, as identity associations do; the second would hide the first.
    let mut seen = Vec::new();
    for (code, payload) in answer.message.options() {
        if !seen.contains(&code) {
            seen.push(code);
            write_answer_option(environment, code, payload);
        }
    }
}

fn write_answer_option(environment: &mut Strings, code: u16, payload: &[u8]) {
    environment.push_variable("OBSERVER_ANSWER_OPTION_", itoa::Buffer::new().format(code), |out| {
        text::upper_hex(out, payload);
        true
    });
}

/// Where a lease was last heard of, for events without a frame.
pub(super) fn write_place(environment: &mut Strings, place: &Place) {
    if let Some(interface) = &place.interface {
        write_one(environment, "OBSERVER_INTERFACE", |out| out.extend_from_slice(interface.name.as_bytes()));
    }
    write_vlans(environment, place.vlans.as_slice());
}

fn write_place_of<M>(environment: &mut Strings, observed: &ObservedMessage<M>) {
    write_one(environment, "OBSERVER_INTERFACE", |out| {
        out.extend_from_slice(observed.interface.name.as_bytes())
    });
    write_vlans(environment, observed.vlans.as_slice());
}

fn write_vlans(environment: &mut Strings, tags: &[VlanTag]) {
    if !tags.is_empty() {
        write_dotted(environment, "OBSERVER_VLAN", tags.iter().map(|tag| tag.id()));
        write_dotted(environment, "OBSERVER_VLAN_PRIORITY", tags.iter().map(|tag| u16::from(tag.priority())));
    }
}

/// Numbers with dots between, as interfaces in VLANs are named.
fn write_dotted(environment: &mut Strings, name: &str, numbers: impl Iterator<Item = u16>) {
    write_one(environment, name, |out| {
        for (index, number) in numbers.enumerate() {
            if index > 0 {
                out.push(b'.');
            }
            text::number(out, number);
        }
    });
}
