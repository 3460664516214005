//! Octets and numbers as lease files write them.

use std::str::FromStr;

/// Octets in hexadecimal with colons between them, one or two digits each. No text is no octets.
pub(super) fn from_colon_hex(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let octet = |digits: &[u8]| {
        let is_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
        std::str::from_utf8(digits)
            .ok()
            .filter(|_| is_hex)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    text.split(|&byte| byte == b':').map(octet).collect()
}

/// A value in its usual spelling: an address, a number.
pub(super) fn parsed<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colon_hex_is_one_or_two_digits_an_octet() {
        for (text, octets) in [
            ("", Some(&[][..])),
            ("02:0:fF", Some(&[2, 0, 255])),
            ("00", Some(&[0])),
            ("2:", None),
            ("+1", None),
            ("100", None),
            ("g", None),
        ] {
            assert_eq!(from_colon_hex(text.as_bytes()).as_deref(), octets, "{text}");
        }
    }
}
