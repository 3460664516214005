//! Who a client is: hardware address, client identifier, DUID.

use std::fmt;

use crate::octets::Octets;

/// A hardware address with its ARP hardware type, at most 20 octets long (Kea's limit; `chaddr` itself holds 16).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HardwareAddress {
    htype: u16,
    length: u8,
    octets: [u8; Self::MAX],
}

impl HardwareAddress {
    /// The longest address that is kept, in octets.
    pub const MAX: usize = 20;
    /// The hardware type of Ethernet.
    pub const ETHERNET: u16 = 1;

    /// An address of `length` octets: what `octets` lacks is zero, what is too much is cut off, as Kea does with `chaddr`.
    pub fn new(htype: u16, octets: &[u8], length: usize) -> Self {
        let length = length.min(Self::MAX);
        let mut kept = [0; Self::MAX];
        for (to, from) in kept.iter_mut().zip(octets).take(length) {
            *to = *from;
        }
        Self { htype, length: u8::try_from(length).unwrap_or(0), octets: kept }
    }

    /// An Ethernet address.
    pub fn ethernet(octets: [u8; 6]) -> Self {
        Self::new(Self::ETHERNET, &octets, 6)
    }

    /// The address of no octets that Kea leaves behind in a declined DHCPv4 lease.
    pub fn empty() -> Self {
        Self::new(Self::ETHERNET, &[], 0)
    }

    /// The ARP hardware type.
    pub fn htype(&self) -> u16 {
        self.htype
    }

    /// The octets of the address.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Whether the address has no octets.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Debug for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.htype, ColonHex(self.octets()))
    }
}

/// Octets as people write hardware addresses: lower-case hexadecimal, two digits an octet, colons between.
pub struct ColonHex<'a>(pub &'a [u8]);

impl fmt::Display for ColonHex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02x}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// An opaque identifier as it came over the wire: a client identifier (option 61) or a DUID.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Identifier(Octets);

impl Identifier {
    /// From the whole payload of the option.
    pub fn new(octets: &[u8]) -> Self {
        Self(octets.into())
    }

    /// The payload.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ColonHex(&self.0))
    }
}

/// The client identifier of DHCPv4 option 61 (RFC 2132 section 9.14).
pub type ClientId = Identifier;
/// The DHCP unique identifier of DHCPv6 (RFC 8415 section 11).
pub type Duid = Identifier;

/// The hardware address inside a DUID-LLT or DUID-LL (RFC 8415 sections 11.2 and 11.4), if it is one.
pub fn hardware_address_in_duid(duid: &[u8]) -> Option<HardwareAddress> {
    let (skip, htype) = match duid {
        [0, 1, high, low, _, _, _, _, ..] => (8, u16::from_be_bytes([*high, *low])),
        [0, 3, high, low, ..] => (4, u16::from_be_bytes([*high, *low])),
        _ => return None,
    };
    let octets = duid.get(skip..).filter(|octets| !octets.is_empty())?;
    Some(HardwareAddress::new(htype, octets, octets.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_cut_or_padded_to_its_length() {
        assert_eq!(HardwareAddress::new(1, &[1, 2, 3], 2).octets(), [1, 2]);
        assert_eq!(HardwareAddress::new(1, &[1, 2], 4).octets(), [1, 2, 0, 0]);
        assert_eq!(HardwareAddress::new(1, &[9; 40], 40).octets().len(), 20);
        assert!(HardwareAddress::empty().is_empty());
    }

    #[test]
    fn only_link_layer_duids_hold_an_address() {
        let address = Some(HardwareAddress::ethernet([2, 0, 0, 0, 0, 9]));
        assert_eq!(hardware_address_in_duid(&[0, 3, 0, 1, 2, 0, 0, 0, 0, 9]), address);
        assert_eq!(hardware_address_in_duid(&[0, 1, 0, 1, 7, 7, 7, 7, 2, 0, 0, 0, 0, 9]), address);
        for other in [&[][..], &[0, 3, 0, 1], &[0, 1, 0, 1, 7, 7, 7], &[0, 2, 0, 0, 0, 9, 1, 2]] {
            assert_eq!(hardware_address_in_duid(other), None, "{other:?}");
        }
    }
}
