//! Longest-prefix match over IPv4 and IPv6 prefixes.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An address as 128 bits that begin with its most significant one, so that one table serves both families.
pub(super) trait Bits: Copy {
    /// The bits, left-aligned.
    fn bits(self) -> u128;
}

impl Bits for Ipv4Addr {
    fn bits(self) -> u128 {
        u128::from(self.to_bits()) << 96
    }
}

impl Bits for Ipv6Addr {
    fn bits(self) -> u128 {
        self.to_bits()
    }
}

/// The first `length` bits of `bits`, the rest zero.
fn network(bits: u128, length: u8) -> u128 {
    match 128_u32.saturating_sub(u32::from(length)) {
        128 => 0,
        host_bits => bits & (u128::MAX << host_bits),
    }
}

/// Prefixes, each with a value, asked for those that contain an address.
///
/// One sorted list for each prefix length in use: a question costs one binary search for each of the few lengths that
/// a site has, however many subnets there are.
#[derive(Clone, Debug)]
pub(super) struct PrefixTable<V> {
    longest_first: Vec<(u8, Vec<(u128, V)>)>,
}

impl<V> Default for PrefixTable<V> {
    fn default() -> Self {
        Self { longest_first: Vec::new() }
    }
}

impl<V> PrefixTable<V> {
    /// A table of `(address, prefix length, value)`. Bits of the address behind the prefix do not matter.
    pub(super) fn new<A: Bits>(prefixes: impl IntoIterator<Item = (A, u8, V)>) -> Self {
        let mut by_length = std::collections::BTreeMap::<u8, Vec<(u128, V)>>::new();
        for (address, length, value) in prefixes {
            by_length.entry(length).or_default().push((network(address.bits(), length), value));
        }
        for entries in by_length.values_mut() {
            // Stable: of equal prefixes the one that came first stays first.
            entries.sort_by_key(|&(network, _)| network);
        }
        Self { longest_first: by_length.into_iter().rev().collect() }
    }

    /// Every prefix that contains the first `length` bits of `address`: longest first, equal ones in the order given.
    pub(super) fn containing<A: Bits>(&self, address: A, length: u8) -> impl Iterator<Item = &V> {
        let bits = address.bits();
        self.longest_first.iter().filter(move |(own, _)| *own <= length).flat_map(move |(own, entries)| {
            let wanted = network(bits, *own);
            let first = entries.partition_point(|&(network, _)| network < wanted);
            entries
                .iter()
                .skip(first)
                .take_while(move |&&(network, _)| network == wanted)
                .map(|(_, value)| value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_comes_first_and_equals_keep_their_order() {
        let prefixes = [
            ("0.0.0.0", 0, "default"),
            ("192.0.2.0", 24, "first"),
            ("192.0.2.9", 24, "second"),
            ("192.0.0.0", 16, "wide"),
            ("192.0.2.128", 25, "narrow"),
            ("192.0.2.7", 32, "host"),
        ];
        let table =
            PrefixTable::new(prefixes.map(|(a, len, name)| (a.parse::<Ipv4Addr>().unwrap(), len, name)));
        for (address, expected) in [
            ("192.0.2.7", vec!["host", "first", "second", "wide", "default"]),
            ("192.0.2.200", vec!["narrow", "first", "second", "wide", "default"]),
            ("192.0.3.0", vec!["wide", "default"]),
            ("255.255.255.255", vec!["default"]),
            ("0.0.0.0", vec!["default"]),
        ] {
            let found: Vec<_> = table.containing(address.parse::<Ipv4Addr>().unwrap(), 32).copied().collect();
            assert_eq!(found, expected, "{address}");
        }
        let found: Vec<_> = table.containing(Ipv4Addr::new(192, 0, 2, 0), 24).copied().collect();
        assert_eq!(found, ["first", "second", "wide", "default"], "a /24 is not inside a /25");
    }

    #[test]
    fn an_empty_table_contains_nothing() {
        assert_eq!(PrefixTable::<()>::default().containing(Ipv6Addr::LOCALHOST, 128).count(), 0);
    }

    #[test]
    fn many_subnets_are_found_each_by_its_own_addresses() {
        let table = PrefixTable::new((0..65_536_u32).map(|n| (Ipv4Addr::from_bits(n << 16), 16, n)));
        for n in [0, 1, 255, 4_711, 65_535] {
            assert_eq!(table.containing(Ipv4Addr::from_bits(n << 16 | 77), 32).next(), Some(&n));
        }
    }
}
