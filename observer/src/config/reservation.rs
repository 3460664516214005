//! Host reservations: what the configuration promises to a client that it knows.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Which property of a client a reservation goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentifierKind {
    /// `hw-address`: the hardware address without its type.
    HwAddress,
    /// `duid`: the DUID, in DHCPv4 that inside a client identifier (RFC 4361).
    Duid,
    /// `circuit-id`: sub-option 1 of option 82 (DHCPv4 only).
    CircuitId,
    /// `client-id`: the whole payload of option 61 (DHCPv4 only).
    ClientId,
    /// `flex-id`: whatever the flex-id hook library computes, which the wire alone does not tell.
    FlexId,
}

/// By what a reservation recognises its client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// What the value is.
    pub kind: IdentifierKind,
    /// The octets, never empty.
    pub value: Vec<u8>,
}

/// What is reserved for a DHCPv4 client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved4 {
    /// `ip-address`.
    pub address: Option<Ipv4Addr>,
    /// `hostname`, as written; Kea shows it in lower case.
    pub hostname: Option<String>,
}

/// What is reserved for a DHCPv6 client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved6 {
    /// `ip-addresses`.
    pub addresses: Vec<Ipv6Addr>,
    /// `prefixes`, each with its length.
    pub prefixes: Vec<(Ipv6Addr, u8)>,
    /// `hostname`, as written; Kea shows it in lower case.
    pub hostname: Option<String>,
}

/// The reservations of one subnet, or the global ones, by identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservations<R> {
    sorted: Vec<(Identifier, R)>,
}

impl<R> Default for Reservations<R> {
    fn default() -> Self {
        Self { sorted: Vec::new() }
    }
}

impl<R> FromIterator<(Identifier, R)> for Reservations<R> {
    fn from_iter<I: IntoIterator<Item = (Identifier, R)>>(reservations: I) -> Self {
        let mut sorted: Vec<_> = reservations.into_iter().collect();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self { sorted }
    }
}

impl<R> Reservations<R> {
    /// What is reserved for the client with this identifier; the first in the file where several have it.
    pub fn get(&self, kind: IdentifierKind, value: &[u8]) -> Option<&R> {
        let first = self.sorted.partition_point(|(own, _)| (own.kind, own.value.as_slice()) < (kind, value));
        let (own, reserved) = self.sorted.get(first)?;
        (own.kind == kind && own.value == value).then_some(reserved)
    }

    /// Every reservation, in the order of the identifiers.
    pub fn iter(&self) -> impl Iterator<Item = (&Identifier, &R)> {
        self.sorted.iter().map(|(identifier, reserved)| (identifier, reserved))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_found_by_kind_and_value() {
        let entry = |kind, value: &[u8], what| (Identifier { kind, value: value.to_vec() }, what);
        let all: Reservations<_> = [
            entry(IdentifierKind::ClientId, &[1], "client"),
            entry(IdentifierKind::HwAddress, &[2], "later address"),
            entry(IdentifierKind::HwAddress, &[1], "address"),
            entry(IdentifierKind::HwAddress, &[1], "the same again"),
        ]
        .into_iter()
        .collect();
        assert_eq!(all.len(), 4);
        assert_eq!(all.get(IdentifierKind::HwAddress, &[1]), Some(&"address"));
        assert_eq!(all.get(IdentifierKind::HwAddress, &[2]), Some(&"later address"));
        assert_eq!(all.get(IdentifierKind::ClientId, &[1]), Some(&"client"));
        assert_eq!(all.get(IdentifierKind::Duid, &[1]), None);
        assert_eq!(all.get(IdentifierKind::HwAddress, &[]), None);
        assert_eq!(all.get(IdentifierKind::FlexId, &[9]), None);
    }
}
