//! `QUERY4_*`, `SUBNET4_*`, `PKT4_*`.

use crate::dhcpv4::{Message, Options, agent_sub_option, code, normalise_agent_information};
use crate::dialect::text;
use crate::dialect::variable::{Source, Variable};
use crate::identity::HardwareAddress;
use crate::tracker::{Exchange4, SubnetName};

use super::query::{of_either, of_query};

/// The question or, where only the answer was seen, what an answer repeats of it.
fn repeated(exchange: &Exchange4) -> Option<&Message> {
    exchange.either().map(|observed| &observed.message)
}

/// The options of what repeats the question's relay agent information, if there is any.
fn relayed(exchange: &Exchange4) -> Option<&Options> {
    repeated(exchange)
        .map(|message| &message.options)
        .filter(|options| options.contains(code::RELAY_AGENT_INFORMATION))
}

fn sub_option(exchange: &Exchange4, wanted: u8, out: &mut Vec<u8>) -> bool {
    let pieces = relayed(exchange).map(|options| options.pieces(code::RELAY_AGENT_INFORMATION));
    match pieces.and_then(|pieces| agent_sub_option(pieces, wanted)) {
        Some(payload) => {
            text::upper_hex(out, &payload);
            true
        }
        None => false,
    }
}

/// Kea's raw socket takes both addresses from the frame and calls their type Ethernet.
fn frame_address(out: &mut Vec<u8>, octets: Option<[u8; 6]>) {
    text::hardware(out, octets.map(HardwareAddress::ethernet).as_ref());
}

fn frame_address_type(out: &mut Vec<u8>, octets: Option<[u8; 6]>) {
    text::hardware_type(out, octets.map(HardwareAddress::ethernet).as_ref());
}

/// The question.
pub(super) const QUERY4: &[Variable<Exchange4>] = &[
    Variable::always(
        "QUERY4_TYPE",
        Source::Observed,
        "message type of the question, such as `DHCPREQUEST`",
        |exchange, out| {
            of_query(exchange, |query| {
                // Kea's BOOTP library makes a request of what has no type.
                let name =
                    query.message.message_type.map_or("DHCPREQUEST", |message_type| message_type.name());
                out.extend_from_slice(name.as_bytes());
            });
        },
    ),
    Variable::always("QUERY4_TXID", Source::Observed, "xid, decimal", |exchange, out| {
        of_either(exchange, |observed| text::number(out, observed.message.xid));
    }),
    Variable::always("QUERY4_LOCAL_ADDR", Source::Observed, "IP destination", |exchange, out| {
        of_query(exchange, |query| text::ip(out, query.destination.ip()));
    }),
    Variable::always("QUERY4_LOCAL_PORT", Source::Observed, "UDP destination port", |exchange, out| {
        of_query(exchange, |query| text::number(out, query.destination.port()));
    }),
    Variable::always("QUERY4_REMOTE_ADDR", Source::Observed, "IP source", |exchange, out| {
        of_query(exchange, |query| text::ip(out, query.source.ip()));
    }),
    Variable::always("QUERY4_REMOTE_PORT", Source::Observed, "UDP source port", |exchange, out| {
        of_query(exchange, |query| text::number(out, query.source.port()));
    }),
    Variable::always("QUERY4_IFACE_INDEX", Source::Observed, "index of the interface", |exchange, out| {
        of_either(exchange, |observed| {
            if let Some(index) = observed.interface.index {
                text::number(out, index);
            }
        });
    }),
    Variable::always("QUERY4_IFACE_NAME", Source::Observed, "name of the interface", |exchange, out| {
        of_either(exchange, |observed| out.extend_from_slice(observed.interface.name.as_bytes()));
    }),
    Variable::always("QUERY4_HOPS", Source::Observed, "relay hops", |exchange, out| {
        of_query(exchange, |query| text::number(out, query.message.hops));
    }),
    Variable::always("QUERY4_SECS", Source::Observed, "seconds since the client began", |exchange, out| {
        of_query(exchange, |query| text::number(out, query.message.secs));
    }),
    Variable::always(
        "QUERY4_FLAGS",
        Source::Observed,
        "flags, 32768 is the broadcast bit",
        |exchange, out| {
            of_either(exchange, |observed| text::number(out, observed.message.flags));
        },
    ),
    Variable::always("QUERY4_CIADDR", Source::Observed, "ciaddr", |exchange, out| {
        of_query(exchange, |query| text::ipv4(out, query.message.ciaddr));
    }),
    Variable::always("QUERY4_SIADDR", Source::Observed, "siaddr of the question", |exchange, out| {
        of_query(exchange, |query| text::ipv4(out, query.message.siaddr));
    }),
    Variable::always("QUERY4_YIADDR", Source::Observed, "yiaddr of the question", |exchange, out| {
        of_query(exchange, |query| text::ipv4(out, query.message.yiaddr));
    }),
    Variable::always("QUERY4_GIADDR", Source::Observed, "giaddr, the relay", |exchange, out| {
        of_either(exchange, |observed| text::ipv4(out, observed.message.giaddr));
    }),
    Variable::always(
        "QUERY4_RELAYED",
        Source::Observed,
        "`true` if giaddr names a relay",
        |exchange, out| {
            of_either(exchange, |observed| text::boolean(out, observed.message.is_relayed()));
        },
    ),
    Variable::always("QUERY4_HWADDR", Source::Observed, "chaddr", |exchange, out| {
        of_either(exchange, |observed| text::hardware(out, Some(&observed.message.chaddr)));
    }),
    Variable::always("QUERY4_HWADDR_TYPE", Source::Observed, "htype", |exchange, out| {
        of_either(exchange, |observed| text::hardware_type(out, Some(&observed.message.chaddr)));
    }),
    Variable::always("QUERY4_LOCAL_HWADDR", Source::Observed, "destination of the frame", |exchange, out| {
        of_query(exchange, |query| frame_address(out, query.destination_mac));
    }),
    Variable::always(
        "QUERY4_LOCAL_HWADDR_TYPE",
        Source::Observed,
        "`1`, or empty where the link has no addresses",
        |exchange, out| {
            of_query(exchange, |query| frame_address_type(out, query.destination_mac));
        },
    ),
    Variable::always(
        "QUERY4_REMOTE_HWADDR",
        Source::Observed,
        "source of the frame: the client or its relay",
        |exchange, out| {
            of_query(exchange, |query| frame_address(out, query.source_mac));
        },
    ),
    Variable::always(
        "QUERY4_REMOTE_HWADDR_TYPE",
        Source::Observed,
        "`1`, or empty where the link has no addresses",
        |exchange, out| {
            of_query(exchange, |query| frame_address_type(out, query.source_mac));
        },
    ),
    Variable::sometimes(
        "QUERY4_OPTION_82",
        Source::Observed,
        "relay agent information, `0x` and hexadecimal, sub-options by code",
        |exchange, out| {
            relayed(exchange).is_some_and(|options| {
                text::upper_hex(
                    out,
                    &normalise_agent_information(options.pieces(code::RELAY_AGENT_INFORMATION)),
                );
                true
            })
        },
    ),
    Variable::sometimes(
        "QUERY4_OPTION_82_SUB_OPTION_1",
        Source::Observed,
        "circuit-id, `0x` and hexadecimal",
        |exchange, out| sub_option(exchange, 1, out),
    ),
    Variable::sometimes(
        "QUERY4_OPTION_82_SUB_OPTION_2",
        Source::Observed,
        "remote-id, `0x` and hexadecimal",
        |exchange, out| sub_option(exchange, 2, out),
    ),
];

/// The subnet, where the configuration names it.
pub(super) const SUBNET4: &[Variable<Option<SubnetName>>] = &[
    Variable::always("SUBNET4_ID", Source::Configured, "the subnet's identifier", |subnet, out| {
        if let Some(subnet) = subnet {
            text::number(out, subnet.id);
        }
    }),
    Variable::always(
        "SUBNET4_NAME",
        Source::Configured,
        "prefix and length, such as `192.0.2.0/24`",
        |subnet, out| {
            if let Some(subnet) = subnet {
                text::ipv4(out, subnet.prefix);
                out.push(b'/');
                text::number(out, subnet.prefix_len);
            }
        },
    ),
    Variable::always("SUBNET4_PREFIX", Source::Configured, "prefix", |subnet, out| {
        if let Some(subnet) = subnet {
            text::ipv4(out, subnet.prefix);
        }
    }),
    Variable::always("SUBNET4_PREFIX_LEN", Source::Configured, "prefix length", |subnet, out| {
        if let Some(subnet) = subnet {
            text::number(out, subnet.prefix_len);
        }
    }),
];

/// The client as the question has it and, where the configuration tells, the subnet, which decides whether the client's
/// identifier is heeded.
pub(super) struct Client4<'a> {
    pub(super) exchange: &'a Exchange4,
    pub(super) subnet: Option<SubnetName>,
}

/// The client of `lease4_renew`.
pub(super) const fn pkt4<'a>() -> [Variable<Client4<'a>>; 3] {
    [
        Variable::always(
            "PKT4_CLIENT_ID",
            Source::Observed,
            "option 61; empty if none or not heeded (`match-client-id`)",
            |client, out| {
                let heeded = client.subnet.is_none_or(|subnet| subnet.match_client_id);
                if let Some(client_id) =
                    repeated(client.exchange).filter(|_| heeded).and_then(Message::client_id)
                {
                    text::colon_hex(out, &client_id);
                }
            },
        ),
        Variable::always("PKT4_HWADDR", Source::Observed, "chaddr", |client, out| {
            of_either(client.exchange, |observed| text::hardware(out, Some(&observed.message.chaddr)));
        }),
        Variable::always("PKT4_HWADDR_TYPE", Source::Observed, "htype", |client, out| {
            of_either(client.exchange, |observed| text::hardware_type(out, Some(&observed.message.chaddr)));
        }),
    ]
}
