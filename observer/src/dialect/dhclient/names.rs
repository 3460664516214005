//! Domain names in option values.

/// The longest name on the wire, in octets (RFC 1035 section 2.3.4).
const LONGEST: usize = 255;
/// The longest label.
const LABEL: usize = 63;

/// One name without compression, each label with a dot behind it; `None` when it does not end.
pub(super) fn plain(mut octets: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    loop {
        let (&length, rest) = octets.split_first()?;
        if length == 0 {
            return Some(name);
        }
        if usize::from(length) > LABEL {
            return None;
        }
        let (label, behind) = rest.split_at_checked(usize::from(length))?;
        name.extend_from_slice(label);
        name.push(b'.');
        if name.len() > LONGEST {
            return None;
        }
        octets = behind;
    }
}

/// Appends the names from `start` to the end of the value, spaces between. Names can point back into the value (RFC 1035
/// section 4.1.4). A name that cannot be read ends the list.
pub(super) fn write_list(value: &[u8], start: usize, out: &mut Vec<u8>) {
    let mut at = start;
    while at < value.len() {
        if at > 0 {
            out.push(b' ');
        }
        match compressed(value, at) {
            Some((name, behind)) => {
                out.extend_from_slice(&name);
                at = behind;
            }
            None => return,
        }
    }
}

/// One name that may point back, as a resolver writes it, and where it ends.
fn compressed(value: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let mut name = Vec::new();
    let (mut at, mut end, mut length_on_wire) = (start, None, 1);
    loop {
        let length = *value.get(at)?;
        match length {
            0 => {
                // dhclient writes the root as two dots.
                name.extend_from_slice(if name.is_empty() { b".." } else { b"" });
                return Some((name, end.unwrap_or(at + 1)));
            }
            0xc0.. => {
                let low = *value.get(at + 1)?;
                let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                end = end.or(Some(at + 2));
                // Only backwards, so that it comes to an end.
                if target >= at {
                    return None;
                }
                at = target;
            }
            1..=63 => {
                let label = value.get(at + 1..at + 1 + usize::from(length))?;
                length_on_wire += label.len() + 1;
                if length_on_wire > LONGEST {
                    return None;
                }
                label.iter().for_each(|&octet| push_octet(octet, &mut name));
                name.push(b'.');
                at += 1 + usize::from(length);
            }
            _ => return None,
        }
    }
}

fn push_octet(octet: u8, name: &mut Vec<u8>) {
    match octet {
        b'"' | b'.' | b';' | b'\\' | b'@' | b'$' => name.extend_from_slice(&[b'\\', octet]),
        0x21..=0x7e => name.push(octet),
        _ => {
            let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
            name.push(b'\\');
            name.extend_from_slice(&digits);
        }
    }
}

/// One name without compression, dots between its labels; one without its root label is a partial name. The root alone is a
/// dot. `None` when a label runs past the end.
pub(super) fn joined(mut octets: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    while let Some((&length, rest)) = octets.split_first() {
        if length == 0 {
            if name.is_empty() {
                name.push(b'.');
            }
            break;
        }
        if usize::from(length) > LABEL || name.len() > LONGEST {
            return None;
        }
        let (label, behind) = rest.split_at_checked(usize::from(length))?;
        if !name.is_empty() {
            name.push(b'.');
        }
        name.extend_from_slice(label);
        octets = behind;
    }
    Some(name)
}
