//! `reservations`, of the global scope and of subnets.

use std::net::Ipv6Addr;

use crate::config::json::{Field, Map};
use crate::config::place::ConfigError;
use crate::config::reservation::{Identifier, IdentifierKind, Reservations, Reserved4, Reserved6};

const KINDS4: [(&str, IdentifierKind); 5] = [
    ("hw-address", IdentifierKind::HwAddress),
    ("duid", IdentifierKind::Duid),
    ("circuit-id", IdentifierKind::CircuitId),
    ("client-id", IdentifierKind::ClientId),
    ("flex-id", IdentifierKind::FlexId),
];

const KINDS6: [(&str, IdentifierKind); 3] = [
    ("hw-address", IdentifierKind::HwAddress),
    ("duid", IdentifierKind::Duid),
    ("flex-id", IdentifierKind::FlexId),
];

/// The DHCPv4 reservations of a scope.
pub(super) fn read4(scope: &Map) -> Result<Reservations<Reserved4>, ConfigError> {
    let read = |field: Field<'_>| {
        let map = field.map()?;
        let address = map
            .get("ip-address")
            .map(|field| field.text()?.parse().map_err(|_| field.expected("an IPv4 address")));
        let reserved = Reserved4 { address: address.transpose()?, hostname: hostname(map)? };
        Ok((identifier(map, &KINDS4)?, reserved))
    };
    scope.elements("reservations")?.into_iter().map(read).collect()
}

/// The DHCPv6 reservations of a scope.
pub(super) fn read6(scope: &Map) -> Result<Reservations<Reserved6>, ConfigError> {
    let read = |field: Field<'_>| {
        let map = field.map()?;
        let addresses = map
            .elements("ip-addresses")?
            .into_iter()
            .map(|field| field.text()?.parse().map_err(|_| field.expected("an IPv6 address")));
        let prefixes = map.elements("prefixes")?.into_iter().map(prefix);
        let reserved = Reserved6 {
            addresses: addresses.collect::<Result<_, ConfigError>>()?,
            prefixes: prefixes.collect::<Result<_, _>>()?,
            hostname: hostname(map)?,
        };
        Ok((identifier(map, &KINDS6)?, reserved))
    };
    scope.elements("reservations")?.into_iter().map(read).collect()
}

/// An empty name reserves nothing.
fn hostname(map: &Map) -> Result<Option<String>, ConfigError> {
    let text = map.get("hostname").map(Field::text).transpose()?;
    Ok(text.filter(|text| !text.is_empty()).map(Into::into))
}

fn prefix(field: Field<'_>) -> Result<(Ipv6Addr, u8), ConfigError> {
    let text = field.text()?;
    let parsed = text.split_once('/').and_then(|(prefix, length)| {
        let length = length.parse().ok().filter(|&length| length <= 128)?;
        Some((prefix.parse().ok()?, length))
    });
    parsed.ok_or_else(|| field.expected("an IPv6 prefix such as 2001:db8:1::/48"))
}

/// The one identifier of a reservation.
fn identifier(map: &Map, kinds: &[(&str, IdentifierKind)]) -> Result<Identifier, ConfigError> {
    let names = || kinds.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut given = kinds.iter().filter_map(|&(name, kind)| Some((map.get(name)?, kind)));
    let Some((field, kind)) = given.next() else {
        return Err(map
            .place()
            .wrong(format!("found a reservation without an identifier, expected {}", names())));
    };
    if let Some((second, _)) = given.next() {
        return Err(second.expected(format!("only one of {}", names())));
    }
    let value = octets(field.text()?);
    let expected = "octets in hexadecimal (01:02:0a, 0x01020a or 01020a) or a text in single quotes";
    Ok(Identifier { kind, value: value.ok_or_else(|| field.expected(expected))? })
}

/// The octets of an identifier in any of Kea's spellings: text in single quotes, or hexadecimal with colons or spaces
/// between octets of one or two digits, or without anything between, when a first digit on its own is an octet.
fn octets(text: &str) -> Option<Vec<u8>> {
    if let Some(quoted) = text.trim().strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return (!quoted.is_empty()).then(|| quoted.into());
    }
    if let Some(separator) = [':', ' '].into_iter().find(|&separator| text.contains(separator)) {
        return text.split(separator).map(octet).collect();
    }
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let (odd, pairs) = digits.split_at_checked(digits.len() % 2)?;
    let octets: Option<Vec<u8>> = std::iter::once(odd)
        .filter(|odd| !odd.is_empty())
        .chain(pairs.chunks(2))
        .map(|digits| octet(std::str::from_utf8(digits).ok()?))
        .collect();
    octets.filter(|octets| !octets.is_empty())
}

fn octet(digits: &str) -> Option<u8> {
    let is_hex = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kea-dhcp4 -t` of Kea 2.2.0 takes and refuses the same.
    #[test]
    fn an_identifier_has_many_spellings() {
        for (text, octets_of_it) in [
            ("01:02:0a", Some(vec![1, 2, 10])),
            ("1:2:A", Some(vec![1, 2, 10])),
            ("01 02 0a", Some(vec![1, 2, 10])),
            ("0x01020a", Some(vec![1, 2, 10])),
            ("0x102", Some(vec![1, 2])),
            ("102", Some(vec![1, 2])),
            ("7", Some(vec![7])),
            ("'abc'", Some(b"abc".to_vec())),
            (" 'a:b' ", Some(b"a:b".to_vec())),
            ("", None),
            ("0X102", None),
            ("1 ", None),
            (" 01", None),
            ("01:", None),
            ("''", None),
            ("'", None),
            ("0x", None),
            ("01::02", None),
            ("123:02", None),
            ("01-02", None),
            ("+1", None),
            ("0x+1", None),
            ("ä", None),
            ("aä", None),
        ] {
            assert_eq!(octets(text), octets_of_it, "{text:?}");
        }
    }
}
