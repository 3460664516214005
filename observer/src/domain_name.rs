//! Domain names inside DHCP options, as text in the form that Kea keeps in a lease.

/// Reads a name in DNS wire format (RFC 1035 section 3.1, without compression) and writes it as text with a dot after every
/// label. A name without its root label, a partial name, gets the dot as well: Kea qualifies it so. The root alone is a dot.
///
/// Octets that would confuse a reader are escaped as in master files (RFC 1035 section 5.1). Returns `None` when a label
/// runs past the end or is not a plain label.
pub fn from_wire(mut octets: &[u8]) -> Option<String> {
    if octets == [0] {
        return Some(".".to_owned());
    }
    let mut text = String::with_capacity(octets.len() + 1);
    while let Some((&length, rest)) = octets.split_first() {
        if length == 0 {
            break;
        }
        if length > 63 {
            return None;
        }
        let label = rest.get(..usize::from(length))?;
        for &octet in label {
            push_octet(&mut text, octet);
        }
        text.push('.');
        octets = rest.get(usize::from(length)..)?;
    }
    Some(text)
}

/// The same, cleaned as Kea cleans what a client calls itself: octets other than `A-Z a-z 0-9 . -` are left out.
pub fn clean_from_wire(mut octets: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(octets.len() + 1);
    while let Some((&length, rest)) = octets.split_first() {
        if length == 0 {
            break;
        }
        if length > 63 {
            return None;
        }
        let label = clean(rest.get(..usize::from(length))?);
        if !label.is_empty() {
            text.push_str(&label);
            text.push('.');
        }
        octets = rest.get(usize::from(length)..)?;
    }
    Some(text)
}

/// Text with nothing in it but `a-z 0-9 . -`: Kea's default `hostname-char-set`, with nothing in place of the rest.
pub fn clean(text: &[u8]) -> String {
    let kept = text.iter().filter(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-'));
    kept.map(|octet| char::from(octet.to_ascii_lowercase())).collect()
}

fn push_octet(text: &mut String, octet: u8) {
    match octet {
        b'"' | b'(' | b')' | b'.' | b';' | b'\\' | b'@' | b'$' => {
            text.push('\\');
            text.push(char::from(octet));
        }
        0x21..=0x7e => text.push(char::from(octet)),
        _ => {
            text.push('\\');
            for digit in [octet / 100, octet / 10 % 10, octet % 10] {
                text.push(char::from(b'0' + digit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dotted() {
        for (wire, text) in [
            (&b"\x04Beta\x07Example\x03org\x00"[..], Some("Beta.Example.org.")),
            (b"\x05HostA", Some("HostA.")),
            (b"", Some("")),
            (b"\x00", Some(".")),
            (b"\x03a.b\x01 \x00", Some("a\\.b.\\032.")),
            (b"\x05ab", None),
            (b"\xc0\x0c", None),
        ] {
            assert_eq!(from_wire(wire).as_deref(), text, "{wire:?}");
        }
    }
}
