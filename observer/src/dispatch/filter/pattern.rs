//! Patterns for option values: text or hexadecimal, with `*` for whatever.

use std::fmt;
use std::str::FromStr;

/// A pattern for octets. `*` in it stands for any octets, none included; everything else for itself. `0x` and an even
/// number of hexadecimal digits are octets that no keyboard has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// What is between the asterisks. One piece means that there are none.
    pieces: Vec<Vec<u8>>,
}

impl Pattern {
    /// Whether the whole of a value fits.
    pub fn fits(&self, value: &[u8]) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else {
            return self.pieces.first().is_some_and(|piece| piece == value);
        };
        let Some(mut rest) =
            value.strip_prefix(first.as_slice()).and_then(|rest| rest.strip_suffix(last.as_slice()))
        else {
            return false;
        };
        // The earliest place of each piece leaves the most for those behind it.
        middle.iter().all(|piece| match memchr::memmem::find(rest, piece) {
            Some(at) => {
                rest = rest.get(at + piece.len()..).unwrap_or_default();
                true
            }
            None => false,
        })
    }
}

/// The octets of a piece of a hexadecimal pattern.
fn octets(digits: &str) -> Option<Vec<u8>> {
    if digits.len() % 2 == 1 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pieces = match text.strip_prefix("0x") {
            Some(digits) => digits
                .split('*')
                .map(octets)
                .collect::<Option<_>>()
                .ok_or("no pairs of hexadecimal digits")?,
            None if text.is_empty() => return Err("nothing"),
            None => text.split('*').map(|piece| piece.as_bytes().to_vec()).collect(),
        };
        Ok(Self { text: text.to_owned(), pieces })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asterisks_stand_for_anything() {
        for (pattern, value, expected) in [
            ("MSFT 5.0", "MSFT 5.0", true),
            ("MSFT 5.0", "MSFT 5.01", false),
            ("MSFT*", "MSFT 5.0", true),
            ("MSFT*", "MSF", false),
            ("*phone", "Cisco phone", true),
            ("*phone", "phones", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("*ab*ab*", "xabab", true),
            ("*ab*ab*", "xaba", false),
            ("0x4d53*", "MSFT", true),
            ("0x4D53", "MS", true),
            ("0x*54", "MSFT", true),
            ("0x", "", true),
        ] {
            let found = pattern.parse::<Pattern>().unwrap().fits(value.as_bytes());
            assert_eq!(found, expected, "{pattern} {value}");
        }
        assert!("0x00ff".parse::<Pattern>().unwrap().fits(&[0, 0xff]));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "0x123", "0xzz", "0x1*23", "0x+1"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
