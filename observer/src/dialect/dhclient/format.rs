//! How the value of an option becomes text: the types of dhcp-options(5), laid out as dhclient lays them out for its script.
//!
//! What is done with values that do not fit their type was taken from the real program's own calls (see
//! `tests/golden/dhclient4-options`): what is missing makes the value `<error>`, what is too much is left out.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::dialect::text;

use super::names;

/// What stands for a value that is too short for its type.
const ERROR: &[u8] = b"<error>";

/// One field of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Flag,
    U8,
    U16,
    U32,
    I32,
    Ipv4,
    Ipv6,
    /// A DHCPv6 status code, by its name.
    Status,
    /// Text to the end.
    Text,
    /// Text to the end if the whole value is printable, else colon hex.
    HexOrText,
    /// Domain names to the end.
    Names,
    /// One domain name.
    Name,
}

/// What comes again until the value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Nothing,
    Everything,
    LastField,
}

/// The format of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    fields: &'static [Field],
    repeat: Repeat,
}

const fn once(fields: &'static [Field]) -> Format {
    Format { fields, repeat: Repeat::Nothing }
}

const fn list(fields: &'static [Field]) -> Format {
    Format { fields, repeat: Repeat::Everything }
}

pub(super) const NOTHING: Format = once(&[]);
pub(super) const FLAG: Format = once(&[Field::Flag]);
pub(super) const U8: Format = once(&[Field::U8]);
pub(super) const U8_LIST: Format = list(&[Field::U8]);
pub(super) const THREE_U8: Format = once(&[Field::U8, Field::U8, Field::U8]);
pub(super) const U16: Format = once(&[Field::U16]);
pub(super) const U16_LIST: Format = list(&[Field::U16]);
pub(super) const U32: Format = once(&[Field::U32]);
pub(super) const I32: Format = once(&[Field::I32]);
pub(super) const IPV4: Format = once(&[Field::Ipv4]);
pub(super) const IPV4_LIST: Format = list(&[Field::Ipv4]);
pub(super) const IPV4_PAIRS: Format = list(&[Field::Ipv4, Field::Ipv4]);
pub(super) const IPV6: Format = once(&[Field::Ipv6]);
pub(super) const IPV6_LIST: Format = list(&[Field::Ipv6]);
pub(super) const TEXT: Format = once(&[Field::Text]);
pub(super) const HEX_OR_TEXT: Format = once(&[Field::HexOrText]);
pub(super) const NAME: Format = once(&[Field::Name]);
pub(super) const NAMES: Format = once(&[Field::Names]);
pub(super) const STATUS: Format = once(&[Field::Status, Field::Text]);
pub(super) const U8_REST: Format = once(&[Field::U8, Field::HexOrText]);
pub(super) const IPV6_REST: Format = once(&[Field::Ipv6, Field::HexOrText]);
pub(super) const FLAG_TEXT: Format = once(&[Field::Flag, Field::Text]);
pub(super) const FLAG_IPV4_LIST: Format =
    Format { fields: &[Field::Flag, Field::Ipv4], repeat: Repeat::LastField };
pub(super) const PORT_PARAMETERS: Format = once(&[Field::U8, Field::U8, Field::U16]);
pub(super) const SELECTION4: Format = once(&[Field::U8, Field::Ipv4, Field::Ipv4, Field::Names]);
pub(super) const SELECTION6: Format = once(&[Field::Ipv6, Field::U8, Field::Names]);
pub(super) const SIX_RD: Format =
    Format { fields: &[Field::U8, Field::U8, Field::Ipv6, Field::Ipv4], repeat: Repeat::LastField };

/// RFC 8415 section 21.13 and RFC 5007 section 4.1.3, as dhclient spells them.
const STATUS_NAMES: [&str; 12] = [
    "success",
    "UnspecFail",
    "NoAddrsAvail",
    "NoBinding",
    "NotOnLink",
    "UseMulticast",
    "NoPrefixAvail",
    "UnknownQueryType",
    "MalformedQuery",
    "NotConfigured",
    "NotAllowed",
    "QueryTerminated",
];

impl Field {
    /// Octets that the field needs at least.
    fn size(self, as_text: bool) -> usize {
        match self {
            Self::Flag | Self::U8 => 1,
            Self::U16 | Self::Status => 2,
            Self::U32 | Self::I32 | Self::Ipv4 => 4,
            Self::Ipv6 => 16,
            Self::HexOrText => usize::from(!as_text),
            Self::Text | Self::Names | Self::Name => 0,
        }
    }
}

impl Format {
    /// Appends the text of a payload. False where there is none: an empty option, or text of nothing but NUL octets.
    pub(super) fn write(&self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let payload = self.without_trailing_nuls(payload);
        if payload.is_empty() || self.fields.is_empty() {
            return false;
        }
        let as_text = is_text(payload);
        let least: usize = self.fields.iter().map(|field| field.size(as_text)).sum();
        if least > payload.len() {
            out.extend_from_slice(ERROR);
            return true;
        }
        let mut rest = payload;
        for (index, field) in self.fields.iter().enumerate() {
            let hexadecimal = *field == Field::HexOrText && !as_text;
            if index > 0 && !rest.is_empty() && !hexadecimal {
                out.push(b' ');
            }
            rest = write_field(*field, payload, rest, as_text, out);
        }
        let again: &[Field] = match self.repeat {
            Repeat::Nothing => &[],
            Repeat::Everything => self.fields,
            Repeat::LastField => self.fields.last().map(std::slice::from_ref).unwrap_or_default(),
        };
        let size: usize = again.iter().map(|field| field.size(as_text)).sum();
        while size > 0 && rest.len() >= size {
            for field in again {
                out.push(b' ');
                rest = write_field(*field, payload, rest, as_text, out);
            }
        }
        true
    }

    /// Servers count the NUL at the end of a text or not; dhclient leaves it out.
    fn without_trailing_nuls<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        if !self.fields.contains(&Field::Text) {
            return payload;
        }
        let least: usize = self.fields.iter().map(|field| field.size(true)).sum();
        let end = payload.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        payload.get(..end.max(least).min(payload.len())).unwrap_or_default()
    }
}

/// Whether every octet is printable ASCII, but for a NUL at the end.
fn is_text(payload: &[u8]) -> bool {
    let text = payload.strip_suffix(&[0]).unwrap_or(payload);
    text.iter().all(|octet| matches!(octet, 0x20..=0x7e))
}

/// Appends one field and gives what is behind it. The caller has made sure that there is enough.
fn write_field<'a>(field: Field, whole: &[u8], rest: &'a [u8], as_text: bool, out: &mut Vec<u8>) -> &'a [u8] {
    let (octets, behind) = rest.split_at_checked(field.size(as_text)).unwrap_or((rest, &[]));
    let number = || octets.iter().fold(0_u32, |number, &octet| number << 8 | u32::from(octet));
    match field {
        Field::Flag => text::boolean(out, number() != 0),
        Field::U8 | Field::U16 | Field::U32 => text::number(out, number()),
        Field::I32 => text::number(out, number().cast_signed()),
        Field::Ipv4 => text::ipv4(out, Ipv4Addr::from(number())),
        Field::Ipv6 => {
            if let Ok(octets) = <[u8; 16]>::try_from(octets) {
                text::ipv6(out, Ipv6Addr::from(octets));
            }
        }
        Field::Status => {
            let name = usize::try_from(number()).ok().and_then(|number| STATUS_NAMES.get(number));
            match name {
                Some(name) => out.extend_from_slice(name.as_bytes()),
                None => text::number(out, number()),
            }
        }
        Field::HexOrText if !as_text => {
            write_hex(rest, out);
            return &[];
        }
        Field::Text | Field::HexOrText => {
            escape(rest, out);
            return &[];
        }
        Field::Name => {
            match names::plain(rest) {
                Some(name) => escape(&name, out),
                None => out.extend_from_slice(ERROR),
            }
            return &[];
        }
        Field::Names => {
            names::write_list(whole, whole.len() - rest.len(), out);
            return &[];
        }
    }
    behind
}

/// Hexadecimal octets without leading zeros, colons between.
pub(super) fn write_hex(octets: &[u8], out: &mut Vec<u8>) {
    for (index, octet) in octets.iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        let [high, low] = [octet >> 4, octet & 0x0f].map(|digit| char::from_digit(digit.into(), 16));
        for digit in [high.filter(|digit| *digit != '0'), low].into_iter().flatten() {
            out.push(u8::try_from(digit).unwrap_or(b'?'));
        }
    }
}

/// Text as a shell script can have it between double quotes: what the shell would take for its own has a backslash in
/// front, other octets are three octal digits. A NUL octet at the end is left out.
fn escape(octets: &[u8], out: &mut Vec<u8>) {
    let octets = octets.strip_suffix(&[0]).unwrap_or(octets);
    for &octet in octets {
        match octet {
            b'"' | b'\'' | b'$' | b'`' | b'\\' | b'|' | b'&' => out.extend_from_slice(&[b'\\', octet]),
            0x20..=0x7e => out.push(octet),
            _ => {
                let [a, b, c] = [octet >> 6, octet >> 3 & 7, octet & 7].map(|digit| b'0' + digit);
                out.extend_from_slice(&[b'\\', a, b, c]);
            }
        }
    }
}
