//! Networks by prefix, for the `subnet` of a filter.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network: an address and how many of its bits count. The others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// The bits of an address from the most significant one, and how many there are.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// The first `length` of the 128.
fn first(bits: u128, length: u8) -> u128 {
    bits & u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0)
}

impl Prefix {
    /// Whether an address is in it; of a delegated prefix its first address, and its length.
    pub fn contains(&self, address: IpAddr, length: u8) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && length >= self.length
            && first(bits(address).0, self.length) == bits(self.address).0
    }
}

impl FromStr for Prefix {
    type Err = &'static str;

    /// `192.0.2.0/24`, or an address alone. Bits behind the length are refused: they are a slip of the pen.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, length) =
            text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| "no address")?;
        let (bits, most) = bits(address);
        let length = match length {
            Some(length) => length.parse().ok().filter(|length| *length <= most).ok_or("no prefix length")?,
            None => most,
        };
        if first(bits, length) == bits {
            Ok(Self { address, length })
        } else {
            Err("bits behind the prefix length")
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_prefixes_are_inside_or_not() {
        for (prefix, address, length, expected) in [
            ("192.0.2.0/24", "192.0.2.255", 32, true),
            ("192.0.2.0/24", "192.0.3.0", 32, false),
            ("192.0.2.7", "192.0.2.7", 32, true),
            ("192.0.2.7", "192.0.2.6", 32, false),
            ("0.0.0.0/0", "203.0.113.1", 32, true),
            ("0.0.0.0/0", "2001:db8::1", 128, false),
            ("2001:db8::/32", "2001:db8:8000::", 56, true),
            ("2001:db8::/48", "2001:db8::", 40, false),
            ("::/0", "2001:db8::1", 128, true),
            ("::/0", "192.0.2.1", 32, false),
        ] {
            let found = prefix.parse::<Prefix>().unwrap().contains(address.parse().unwrap(), length);
            assert_eq!(found, expected, "{prefix} {address}/{length}");
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in [
            "",
            "192.0.2.0/33",
            "192.0.2.1/24",
            "192.0.2.0/",
            "2001:db8::/129",
            "x/8",
            "192.0.2.0/-1",
            "1.2.3/8",
        ] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }
}
