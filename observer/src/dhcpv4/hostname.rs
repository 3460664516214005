//! The host name of a lease, from option 81 (RFC 4702) or option 12.

use crate::domain_name;
use crate::octets::Octets;

use super::{Options, code};

/// The E bit of option 81: the name is in DNS wire format rather than ASCII (RFC 4702 section 2.1).
const WIRE_FORMAT: u8 = 0x04;
/// No name is longer, in octets on the wire (RFC 1035 section 2.3.4). An option in pieces could be.
const MAX_NAME: usize = 255;

/// The name as it is on the wire: one of option 81 ends in a dot, one of option 12 stays as it is.
///
/// An option 81 without a name is no name at all: Kea looks no further. Nor is one that is longer than names can be.
pub(super) fn hostname(options: &Options) -> Option<Octets> {
    if let Some(payload) = options.get(code::CLIENT_FQDN)
        && let [flags, _rcode1, _rcode2, name @ ..] = payload.as_ref()
    {
        if name.len() > MAX_NAME {
            return None;
        }
        return if flags & WIRE_FORMAT != 0 { domain_name::from_wire(name) } else { from_ascii(name) }
            .map(|text| text.into_bytes().into());
    }
    let payload = options.get(code::HOST_NAME).filter(|payload| payload.len() <= MAX_NAME)?;
    let name = payload.trim_ascii_end();
    let end = name.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
    Some(name.get(..end).unwrap_or_default().into())
}

/// Whether option 81, if it is there, is one that Kea reads; it drops a message with another one.
pub(super) fn is_readable(options: &Options) -> bool {
    match options.get(code::CLIENT_FQDN).as_deref() {
        None => true,
        Some([flags, _, _, name @ ..]) => flags & WIRE_FORMAT == 0 || domain_name::from_wire(name).is_some(),
        Some(_) => false,
    }
}

/// What a client calls itself, cleaned as Kea cleans it: only letters, digits, dots and hyphens, lower case; a name of
/// option 81 ends in a dot. An option 81 without a name leaves the word to option 12.
pub(super) fn own_hostname(options: &Options) -> Option<Octets> {
    let qualified = options.get(code::CLIENT_FQDN).and_then(|payload| {
        let [flags, _rcode1, _rcode2, name @ ..] = payload.as_ref() else { return None };
        if flags & WIRE_FORMAT != 0 {
            domain_name::clean_from_wire(name)
        } else {
            Some(domain_name::clean(name))
                .map(|name| if name.is_empty() || name.ends_with('.') { name } else { name + "." })
        }
    });
    let plain = || options.get(code::HOST_NAME).map(|payload| domain_name::clean(&payload));
    qualified.filter(|name| !name.is_empty()).or_else(plain).map(|name| name.into_bytes().into())
}

/// The deprecated ASCII form of option 81.
fn from_ascii(name: &[u8]) -> Option<String> {
    let mut text = String::from_utf8(name.to_vec()).ok()?;
    text.truncate(text.trim_end_matches('\0').len());
    if !text.is_empty() && !text.ends_with('.') {
        text.push('.');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_clients_call_themselves_is_cleaned() {
        for (options, expected) in [
            (&b""[..], None),
            (b"\x0c\x06MyHost", Some("myhost")),
            (b"\x0c\x0c a_B c;$(x)\0", Some("abcx")),
            (b"\x0c\x04!!!!", Some("")),
            (b"\x0c\x08a.Lan.de", Some("a.lan.de")),
            (b"\x0c\x06myhost\x51\x09\x04\x00\x00\x05HostA", Some("hosta.")),
            (b"\x0c\x06myhost\x51\x03\x01\x00\x00", Some("myhost")),
            (b"\x51\x06\x01\x00\x00a_B", Some("ab.")),
            (b"\x51\x0c\x04\x00\x00\x03a b\x03l`n\x00", Some("ab.ln.")),
        ] {
            let name = parse(&message(options)).own_hostname();
            assert_eq!(name.as_deref(), expected.map(str::as_bytes), "{options:?}");
        }
    }

    fn message(options: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; 236];
        payload.extend_from_slice(&[99, 130, 83, 99]);
        payload.extend_from_slice(options);
        payload.push(255);
        payload
    }

    fn name(options: &[u8]) -> Option<String> {
        parse(&message(options)).hostname().map(|name| String::from_utf8_lossy(&name).into_owned())
    }

    #[test]
    fn names_are_kept_as_kea_keeps_them() {
        for (options, expected) in [
            (&b""[..], None),
            (b"\x0c\x06MyHost", Some("myhost")),
            (b"\x0c\x06myhost\x51\x08\x04\x00\x00\x05HostA", None),
            (b"\x51\x09\x04\x00\x00\x05HostA", Some("hosta.")),
            (b"\x51\x0a\x04\x00\x00\x05HostA\x00\x0c\x01x", Some("hosta.")),
            (b"\x51\x06\x01\x00\x00a.B", Some("a.b.")),
            (b"\x51\x03\x01\x00\x00", Some("")),
            (b"\x0c\x04ab\x00\x00", Some("ab")),
        ] {
            assert_eq!(name(options).as_deref(), expected, "{options:?}");
        }
    }
}
