//! Options inside options: dhclient takes some of them apart as well, and names what it finds after the outer option.

use super::format::{FLAG, Format, HEX_OR_TEXT, IPV4, IPV4_LIST, TEXT, U8};
use super::names;
use super::values::Values;

/// IANA's number of ISC among the enterprises.
const ISC: u32 = 2_495;

/// The sub-options of option 63 (RFC 2242).
const NWIP: [(u8, &str, &Format); 7] = [
    (5, "nsq_broadcast", &FLAG),
    (6, "preferred_dss", &IPV4_LIST),
    (7, "nearest_nwip_server", &IPV4_LIST),
    (8, "autoretries", &U8),
    (9, "autoretry_secs", &U8),
    (10, "nwip_1_1", &FLAG),
    (11, "primary_dss", &IPV4),
];

/// The variables behind a DHCPv4 option.
pub(super) fn write4(code: u8, payload: &[u8], values: &mut Values) {
    match code {
        63 => nwip(payload, values),
        81 => {
            // Flags and two result codes (RFC 4702 section 2).
            if let [flags, rcode1, rcode2, name @ ..] = payload {
                fqdn(*flags, flags & 4 != 0, name, values);
                for (variable, rcode) in [("fqdn_rcode1", rcode1), ("fqdn_rcode2", rcode2)] {
                    values.set(variable, |out| U8.write(&[*rcode], out));
                }
            }
        }
        // One octet of length for each enterprise (RFC 3925 sections 3 and 4).
        124 => enterprises("vendor_class", payload, values),
        125 => enterprises("vendor", payload, values),
        _ => {}
    }
}

/// The variables behind a DHCPv6 option.
pub(super) fn write6(code: u16, payload: &[u8], values: &mut Values) {
    match (code, payload) {
        (17, [a, b, c, d, rest @ ..]) => {
            enterprise("vsio", u32::from_be_bytes([*a, *b, *c, *d]), rest, values);
        }
        (39, [flags, name @ ..]) => {
            // No name is the root.
            let name = if name.is_empty() { &[0] } else { name };
            fqdn(*flags, true, name, values);
        }
        _ => {}
    }
}

fn nwip(mut payload: &[u8], values: &mut Values) {
    while let [code, length, rest @ ..] = payload {
        let Some((value, behind)) = rest.split_at_checked(usize::from(*length)) else { return };
        if let Some((_, name, format)) = NWIP.iter().find(|(known, ..)| known == code) {
            values.set(&format!("nwip_{name}"), |out| format.write(value, out));
        }
        payload = behind;
    }
}

fn enterprises(name: &str, mut payload: &[u8], values: &mut Values) {
    while let [a, b, c, d, length, rest @ ..] = payload {
        let Some((value, behind)) = rest.split_at_checked(usize::from(*length)) else { return };
        enterprise(name, u32::from_be_bytes([*a, *b, *c, *d]), value, values);
        payload = behind;
    }
}

fn enterprise(name: &str, number: u32, value: &[u8], values: &mut Values) {
    let variable = match number {
        ISC => format!("{name}_isc"),
        number => format!("{name}_unknown_{number}"),
    };
    values.set(&variable, |out| HEX_OR_TEXT.write(value, out));
}

/// A client's full name (RFC 4702, RFC 4704): what the server does with it, the name, and its two parts.
fn fqdn(flags: u8, encoded: bool, name: &[u8], values: &mut Values) {
    for (variable, is_so) in [
        ("fqdn_server_update", flags & 1 != 0),
        ("fqdn_no_client_update", flags & 2 != 0),
        ("fqdn_encoded", encoded),
    ] {
        values.set(variable, |out| FLAG.write(&[u8::from(is_so)], out));
    }
    let Some(name) = (if encoded { names::joined(name) } else { Some(name.to_vec()) }) else { return };
    let dot = name.iter().position(|octet| *octet == b'.').unwrap_or(name.len());
    let (host, domain) = name.split_at_checked(dot).unwrap_or_default();
    // Only a name in labels keeps the dot in front of its domain.
    let domain = if encoded { domain } else { domain.strip_prefix(b".").unwrap_or(domain) };
    for (variable, text) in [("fqdn_hostname", host), ("fqdn_domainname", domain), ("fqdn_fqdn", &name)] {
        values.set(variable, |out| TEXT.write(text, out));
    }
}
