//! The arguments and variables of `--dhcp-script`, in dnsmasq's own order.

use std::net::Ipv6Addr;

use crate::dhcpv4::{agent_sub_option, code as code4};
use crate::dhcpv6::{self, IaKind, code as code6};
use crate::dialect::Call;
use crate::dialect::happening::{Exchange, Happening, interface, own_event};
use crate::dialect::invocation::{Invocation, Strings};
use crate::dialect::lease::Lease;
use crate::dialect::observer;
use crate::dialect::text;
use crate::dialect::variable::write_one;
use crate::identity::{HardwareAddress, Identifier};
use crate::time::Timestamp;
use crate::tracker::{Exchange4, Exchange6};

use super::{Action, Options, name};

/// What a service manager gives dnsmasq, and dnsmasq passes on: the default of systemd.exec(5).
pub(in crate::dialect) const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The enterprise number of the Broadband Forum, whose devices say who they are in option 125 (TR-069).
const BROADBAND_FORUM: u32 = 3_561;

/// One call.
pub(super) struct Told<'a> {
    pub(super) action: Action,
    pub(super) happening: Happening<'a>,
    pub(super) lease: &'a Lease,
    pub(super) before: Option<Lease>,
    /// The name that the lease has just lost.
    pub(super) old_name: Option<&'a [u8]>,
    /// Whether the question is told too; it is left out, and said to be missing, where dnsmasq does not keep it.
    pub(super) has_data: bool,
    pub(super) server_duid: Option<&'a Identifier>,
}

pub(super) fn call(told: Told<'_>, options: &Options) -> Call {
    let name = if told.old_name.is_some() { b"" } else { hostname(told.lease) };
    let mut arguments = Strings::with_capacity(4, 64);
    arguments.push(told.action.name().as_bytes());
    arguments.push_with(|out| client(out, told.lease));
    arguments.push_with(|out| match told.lease {
        Lease::V4(lease) => text::ipv4(out, lease.address),
        Lease::V6(lease) => text::ipv6(out, lease.address),
    });
    if !name.is_empty() {
        arguments.push(name);
    }
    let mut environment = Strings::with_capacity(48, 1_536);
    write(&mut environment, &told, options);
    let Told { action, happening, lease, before, .. } = told;
    let event = own_event(happening, lease, before);
    observer::write(&mut environment, &event);
    Call {
        word: action.name(),
        event: happening.event,
        subjects: vec![lease.key().subject()],
        changes: event.changes_anything(),
        invocation: Invocation { at: happening.at, arguments, environment },
    }
}

/// The name that dnsmasq knows the host by.
pub(super) fn hostname(lease: &Lease) -> &[u8] {
    match lease {
        Lease::V4(lease) => &lease.hostname,
        Lease::V6(lease) => &lease.hostname,
    }
}

/// The second argument: the hardware address, behind its type where that is not Ethernet; the DUID of DHCPv6.
fn client(out: &mut Vec<u8>, lease: &Lease) {
    match lease {
        Lease::V4(lease) => mac(out, &lease.hwaddr),
        Lease::V6(lease) => text::colon_hex(out, lease.duid.octets()),
    }
}

fn mac(out: &mut Vec<u8>, address: &HardwareAddress) {
    if address.htype() != HardwareAddress::ETHERNET || address.is_empty() {
        let [high, low] = address.htype().to_be_bytes();
        let octets = [high, low];
        text::colon_hex(out, if high == 0 { octets.get(1..).unwrap_or_default() } else { &octets });
        out.push(b'-');
    }
    text::colon_hex(out, address.octets());
}

fn write(environment: &mut Strings, told: &Told<'_>, options: &Options) {
    environment.push(PATH.as_bytes());
    let mut set = |name: &str, value: &dyn Fn(&mut Vec<u8>)| write_one(environment, name, |out| value(out));
    match told.lease {
        Lease::V6(lease) => {
            set("DNSMASQ_IAID", &|out| {
                if lease.kind == IaKind::Temporary {
                    out.push(b'T');
                }
                text::number(out, lease.iaid);
            });
            if let Some(duid) = told.server_duid {
                set("DNSMASQ_SERVER_DUID", &|out| text::colon_hex(out, duid.octets()));
            }
            if let Some(address) = lease.hwaddr.as_ref().filter(|address| !address.is_empty()) {
                set("DNSMASQ_MAC", &|out| mac(out, address));
            }
        }
        Lease::V4(lease) => {
            if let Some(id) = &lease.client_id {
                set("DNSMASQ_CLIENT_ID", &|out| text::colon_hex(out, id.octets()));
            }
        }
    }
    let interface = interface(told.happening, told.lease);
    if !interface.is_empty() {
        set("DNSMASQ_INTERFACE", &|out| out.extend_from_slice(interface.as_bytes()));
    }
    let end = told.lease.end();
    set("DNSMASQ_LEASE_EXPIRES", &|out| text::number(out, end.map_or(0, Timestamp::unix_seconds)));
    let is_named = told.old_name.is_some() || !hostname(told.lease).is_empty();
    if let Some(domain) = options.domain.as_deref().filter(|_| is_named) {
        set("DNSMASQ_DOMAIN", &|out| out.extend_from_slice(domain.as_bytes()));
    }
    if told.has_data {
        match told.happening.exchange {
            Exchange::V4(exchange) => data4(environment, exchange),
            Exchange::V6(exchange) => data6(environment, exchange),
            Exchange::None => {}
        }
        if let Some(tags) = &options.tags {
            supplied(environment, "DNSMASQ_TAGS", tags.as_bytes());
        }
    } else {
        write_one(environment, "DNSMASQ_DATA_MISSING", |out| out.push(b'1'));
    }
    match (told.lease, told.happening.exchange) {
        (Lease::V4(lease), _) => {
            if let Some(relay) = &lease.relay {
                write_one(environment, "DNSMASQ_RELAY_ADDRESS", |out| text::ipv4(out, relay.address));
            }
        }
        (Lease::V6(_), Exchange::V6(exchange)) if told.has_data => {
            if let Some(link) = link_address(exchange) {
                write_one(environment, "DNSMASQ_RELAY_ADDRESS", |out| text::ipv6(out, link));
            }
        }
        (Lease::V6(_), _) => {}
    }
    if told.has_data {
        match told.happening.exchange {
            Exchange::V4(exchange) => user_classes4(environment, exchange),
            Exchange::V6(exchange) => user_classes6(environment, exchange),
            Exchange::None => {}
        }
    }
    let remaining = end.map(|end| end.whole_second().since(told.happening.at.whole_second()).as_secs());
    if let Some(remaining) = remaining.filter(|left| *left > 0 && told.action != Action::Del) {
        write_one(environment, "DNSMASQ_TIME_REMAINING", |out| text::number(out, remaining));
    }
    if let Some(old_name) = told.old_name {
        write_one(environment, "DNSMASQ_OLD_HOSTNAME", |out| out.extend_from_slice(old_name));
    }
    if options.log_dhcp {
        write_one(environment, "DNSMASQ_LOG_DHCP", |out| out.push(b'1'));
    }
}

/// A value from the client. dnsmasq ends it at a NUL octet and at the first `=`, and leaves out an empty one.
fn supplied(environment: &mut Strings, name: &str, value: &[u8]) {
    let end = value.iter().position(|&octet| octet == 0).unwrap_or(value.len());
    let value = value.get(..end).unwrap_or_default();
    if value.is_empty() {
        return;
    }
    let end = value.iter().position(|&octet| octet == b'=').unwrap_or(value.len());
    write_one(environment, name, |out| out.extend_from_slice(value.get(..end).unwrap_or_default()));
}

fn numbers(codes: impl Iterator<Item = u16>) -> Vec<u8> {
    let mut list = Vec::new();
    for code in codes {
        text::number(&mut list, code);
        list.push(b',');
    }
    list.pop();
    list
}

fn data4(environment: &mut Strings, exchange: &Exchange4) {
    let Some(query) = exchange.query.as_deref().map(|query| &query.message) else { return };
    let option = |code| query.options.get(code).unwrap_or_default();
    supplied(environment, "DNSMASQ_VENDOR_CLASS", &option(code4::VENDOR_CLASS));
    supplied(environment, "DNSMASQ_SUPPLIED_HOSTNAME", &option(code4::HOST_NAME));
    let vendors = option(code4::VENDOR_IDENTIFYING);
    let device = broadband_device(&vendors);
    for (code, name) in [(1, "DNSMASQ_CPEWAN_OUI"), (2, "DNSMASQ_CPEWAN_SERIAL"), (3, "DNSMASQ_CPEWAN_CLASS")]
    {
        supplied(environment, name, &agent_sub_option(device.iter().copied(), code).unwrap_or_default());
    }
    let agent = || query.options.pieces(code4::RELAY_AGENT_INFORMATION);
    for (code, name) in [(1, "DNSMASQ_CIRCUIT_ID"), (6, "DNSMASQ_SUBSCRIBER_ID"), (2, "DNSMASQ_REMOTE_ID")] {
        supplied(environment, name, &agent_sub_option(agent(), code).unwrap_or_default());
    }
    let requested = option(code4::PARAMETER_REQUEST_LIST);
    supplied(
        environment,
        "DNSMASQ_REQUESTED_OPTIONS",
        &numbers(requested.iter().map(|&code| u16::from(code))),
    );
    supplied(environment, "DNSMASQ_MUD_URL", &option(code4::MUD_URL));
}

/// The sub-options of the Broadband Forum in option 125, which have the form of those of option 82.
fn broadband_device(payload: &[u8]) -> Option<&[u8]> {
    let mut rest = payload;
    while let Some((number, tail)) = rest.split_first_chunk::<4>() {
        let (length, tail) = tail.split_first()?;
        let (options, next) = tail.split_at_checked(usize::from(*length))?;
        if u32::from_be_bytes(*number) == BROADBAND_FORUM {
            return Some(options);
        }
        rest = next;
    }
    None
}

/// Option 77: counted strings (RFC 3004), or one string from clients that do not count, such as dhclient. A NUL octet ends
/// one class and begins the next.
fn user_classes4(environment: &mut Strings, exchange: &Exchange4) {
    let Some(payload) =
        exchange.query.as_deref().and_then(|query| query.message.options.get(code4::USER_CLASS))
    else {
        return;
    };
    let classes = counted(&payload).unwrap_or_else(|| vec![&payload]);
    let pieces = classes.into_iter().flat_map(|class| class.split(|&octet| octet == 0));
    for (index, class) in pieces.enumerate() {
        supplied(environment, &format!("DNSMASQ_USER_CLASS{index}"), class);
    }
}

/// Strings behind their lengths; `None` when the lengths do not add up.
fn counted(payload: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut classes, mut rest) = (Vec::new(), payload);
    while let Some((length, tail)) = rest.split_first() {
        let (class, next) = tail.split_at_checked(usize::from(*length))?;
        classes.push(class);
        rest = next;
    }
    Some(classes)
}

/// The classes of options 15 and 16 of DHCPv6 as dnsmasq takes them: it reads each as if a code stood before its length, so
/// that the length is in truth the first two octets of the text, and what it takes for the text ends only at a NUL octet,
/// maybe that of the next option's code. `skip` octets stand before the first class.
fn misread(message: &dhcpv6::Message, code: u16, skip: usize) -> Vec<&[u8]> {
    let mut classes = Vec::new();
    let Some((length, octets)) = message.onwards(code).filter(|(length, _)| *length >= skip + 2) else {
        return classes;
    };
    let mut at = skip;
    while let Some([_, _, high, low, text @ ..]) = octets.get(at..) {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        classes.push(text.get(..size).unwrap_or(text));
        let next = at + 4 + size;
        if next >= length {
            break;
        }
        at = next;
    }
    classes
}

fn data6(environment: &mut Strings, exchange: &Exchange6) {
    let Some(query) = exchange.query.as_deref().map(|query| &query.message) else { return };
    let option = |code| query.option(code).unwrap_or_default();
    if let Some((enterprise, _)) = option(code6::VENDOR_CLASS).split_first_chunk::<4>() {
        write_one(environment, "DNSMASQ_VENDOR_CLASS_ID", |out| {
            text::number(out, u32::from_be_bytes(*enterprise));
        });
        for (index, class) in misread(query, code6::VENDOR_CLASS, 4).into_iter().enumerate() {
            supplied(environment, &format!("DNSMASQ_VENDOR_CLASS{index}"), class);
        }
    }
    supplied(environment, "DNSMASQ_SUPPLIED_HOSTNAME", &name::supplied6(exchange).unwrap_or_default());
    let codes = option(code6::OPTION_REQUEST).as_chunks::<2>().0;
    supplied(
        environment,
        "DNSMASQ_REQUESTED_OPTIONS",
        &numbers(codes.iter().map(|code| u16::from_be_bytes(*code))),
    );
    supplied(environment, "DNSMASQ_MUD_URL", option(code6::MUD_URL));
}

fn user_classes6(environment: &mut Strings, exchange: &Exchange6) {
    let Some(query) = exchange.query.as_deref().map(|query| &query.message) else { return };
    for (index, class) in misread(query, code6::USER_CLASS, 0).into_iter().enumerate() {
        supplied(environment, &format!("DNSMASQ_USER_CLASS{index}"), class);
    }
}

/// The link-address of the relay that is nearest to the client.
fn link_address(exchange: &Exchange6) -> Option<Ipv6Addr> {
    exchange.query.as_deref()?.message.relays.last().map(|relay| relay.link_address)
}
