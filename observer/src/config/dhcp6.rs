//! The DHCPv6 half: subnets by address and by delegated prefix.

use std::net::Ipv6Addr;
use std::sync::Arc;

use super::prefix::PrefixTable;
use super::reservation::{Reservations, Reserved6};
use super::timers::{CacheRule, DECLINE_PROBATION_PERIOD, ExpiredLeases, VALID_LIFETIME};
use crate::time::Lifetime;

/// From where Kea takes the hardware address of a DHCPv6 client (an entry of `mac-sources`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MacSource {
    /// `any`: each of the others in turn until one answers.
    Any,
    /// `raw`: the frame itself, which Kea's DHCPv6 sockets never see.
    Raw,
    /// `duid`: the link-layer address inside a DUID-LL or DUID-LLT.
    Duid,
    /// `ipv6-link-local`: the EUI-64 identifier of the client's link-local address.
    Ipv6LinkLocal,
    /// `client-link-addr-option` or `rfc6939`: the option in which a relay reports the client's address.
    ClientLinkAddrOption,
    /// `remote-id` or `rfc4649`: the relay's remote-id option.
    RemoteId,
    /// `subscriber-id` or `rfc4580`: the relay's subscriber-id option, from which Kea extracts nothing yet.
    SubscriberId,
    /// `docsis-cmts`: the cable modem's address that the CMTS adds while relaying.
    DocsisCmts,
    /// `docsis-modem`: the device-id option of a cable modem.
    DocsisModem,
}

/// What is known of the DHCPv6 server. Build one with [`Default`] and [`Dhcp6::with_subnets`].
#[derive(Clone, Debug)]
pub struct Dhcp6 {
    /// Whether a configuration was given; without one nothing is known of subnets, and the rest is Kea's default.
    pub configured: bool,
    /// `decline-probation-period`: seconds for which a declined address is not given out.
    pub decline_probation_period: u32,
    /// `expired-leases-processing`.
    pub expired_leases: ExpiredLeases,
    /// `mac-sources`, in the order in which they are tried; never empty.
    pub mac_sources: Vec<MacSource>,
    /// The global `cache-threshold` and `cache-max-age`, for addresses outside every subnet.
    pub cache: CacheRule,
    /// The global `reservations`.
    pub reservations: Reservations<Reserved6>,
    subnets: Vec<Subnet6>,
    by_prefix: PrefixTable<usize>,
    by_delegation: PrefixTable<Delegation>,
}

/// A range from which prefixes of one length are delegated.
#[derive(Clone, Copy, Debug)]
struct Delegation {
    delegated_len: u8,
    subnet: usize,
}

/// An entry of `pd-pools`: prefixes to delegate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PdPool {
    /// `prefix`, as written.
    pub prefix: Ipv6Addr,
    /// `prefix-len`.
    pub prefix_len: u8,
    /// `delegated-len`: the length of the prefixes that clients get.
    pub delegated_len: u8,
    /// `excluded-prefix` and `excluded-prefix-len`: the part of a delegated prefix that stays with the delegating
    /// router (RFC 6603). Leases are made of the whole delegated prefix all the same.
    pub excluded: Option<(Ipv6Addr, u8)>,
}

/// A DHCPv6 subnet, everything inherited from its shared network and the global scope filled in.
#[derive(Clone, Debug)]
pub struct Subnet6 {
    /// `id`, or the number that Kea gives to a subnet without one.
    pub id: u32,
    /// The address before the slash of `subnet`, as written: host bits stay.
    pub prefix: Ipv6Addr,
    /// The number behind the slash of `subnet`.
    pub prefix_len: u8,
    /// The name of the shared network that it is part of.
    pub shared_network: Option<Arc<str>>,
    /// `store-extended-info`: whether the relays' options are part of the lease.
    pub store_extended_info: bool,
    /// `ddns-replace-client-name`: whether the server makes up a name also for a client that brings one.
    pub replaces_client_name: bool,
    /// `valid-lifetime`: the lifetime that a client gets which asks for none.
    pub valid_lifetime: Lifetime,
    /// `cache-threshold` and `cache-max-age`.
    pub cache: CacheRule,
    /// `pd-pools`.
    pub pd_pools: Vec<PdPool>,
    /// `reservations`.
    pub reservations: Reservations<Reserved6>,
}

impl Subnet6 {
    /// A subnet in no shared network and without pools, with Kea's default for everything else.
    pub fn new(id: u32, prefix: Ipv6Addr, prefix_len: u8) -> Self {
        Self {
            id,
            prefix,
            prefix_len,
            shared_network: None,
            store_extended_info: false,
            replaces_client_name: false,
            valid_lifetime: VALID_LIFETIME,
            cache: CacheRule::default(),
            pd_pools: Vec::new(),
            reservations: Reservations::default(),
        }
    }

    /// `2001:db8:1::/64`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.prefix, self.prefix_len)
    }

    /// What it delegates. A reserved prefix is a range of one.
    fn delegations(&self, subnet: usize) -> impl Iterator<Item = (Ipv6Addr, u8, Delegation)> {
        let reserved = self.reservations.iter().flat_map(|(_, reserved)| &reserved.prefixes);
        reserved
            .map(|&(prefix, length)| (prefix, length, length))
            .chain(self.pd_pools.iter().map(|pool| (pool.prefix, pool.prefix_len, pool.delegated_len)))
            .map(move |(prefix, length, delegated_len)| {
                (prefix, length, Delegation { delegated_len, subnet })
            })
    }
}

impl Default for Dhcp6 {
    fn default() -> Self {
        Self {
            configured: false,
            decline_probation_period: DECLINE_PROBATION_PERIOD,
            expired_leases: ExpiredLeases::default(),
            mac_sources: vec![MacSource::Any],
            cache: CacheRule::default(),
            reservations: Reservations::default(),
            subnets: Vec::new(),
            by_prefix: PrefixTable::default(),
            by_delegation: PrefixTable::default(),
        }
    }
}

impl Dhcp6 {
    /// The same with these subnets, in place of those it had.
    pub fn with_subnets(mut self, mut subnets: Vec<Subnet6>) -> Self {
        // Kea walks its subnets in the order of their ids, so of two equal prefixes the lower id is found first.
        subnets.sort_by_key(|subnet| subnet.id);
        self.by_prefix = PrefixTable::new(
            subnets.iter().enumerate().map(|(index, subnet)| (subnet.prefix, subnet.prefix_len, index)),
        );
        self.by_delegation = PrefixTable::new(
            subnets.iter().enumerate().flat_map(|(index, subnet)| subnet.delegations(index)),
        );
        self.subnets = subnets;
        self
    }

    /// Every subnet, those of shared networks included, in the order of their ids.
    pub fn subnets(&self) -> &[Subnet6] {
        &self.subnets
    }

    /// Whether any subnet keeps what relays say with the lease.
    pub fn stores_extended_info(&self) -> bool {
        self.subnets.iter().any(|subnet| subnet.store_extended_info)
    }

    /// The subnet with this id.
    pub fn subnet(&self, id: u32) -> Option<&Subnet6> {
        let index = self.subnets.binary_search_by_key(&id, |subnet| subnet.id).ok()?;
        self.subnets.get(index)
    }

    /// The subnet whose prefix contains `address`: the longest prefix, then the lowest id.
    pub fn subnet_of_address(&self, address: Ipv6Addr) -> Option<&Subnet6> {
        self.by_prefix.containing(address, 128).find_map(|&index| self.subnets.get(index))
    }

    /// The subnet that delegates `prefix`/`prefix_len`, by its reservations and its `pd-pools`.
    ///
    /// A delegated prefix lies outside its subnet's own prefix, so only these tell. A range that delegates just this
    /// length is preferred over one that contains the prefix but delegates another length (the pool may have been
    /// changed since the lease was made); then the longest, then the lowest id.
    pub fn subnet_of_prefix(&self, prefix: Ipv6Addr, prefix_len: u8) -> Option<&Subnet6> {
        let ranges = || self.by_delegation.containing(prefix, prefix_len);
        let range = ranges().find(|range| range.delegated_len == prefix_len).or_else(|| ranges().next())?;
        self.subnets.get(range.subnet)
    }

    /// Whether two addresses are in one subnet or in one shared network.
    ///
    /// `None` when either is in no configured subnet: then nobody can tell.
    pub fn same_network(&self, a: Ipv6Addr, b: Ipv6Addr) -> Option<bool> {
        let (a, b) = (self.subnet_of_address(a)?, self.subnet_of_address(b)?);
        Some(a.id == b.id || (a.shared_network.is_some() && a.shared_network == b.shared_network))
    }

    /// Whether Kea 2.2 keeps the stored lease when its owner, changing nothing, asks for it again, `age` seconds after
    /// it was granted for `valid` and `preferred`. `subnet` is where the lease is, `None` for none that is known.
    ///
    /// Other than in DHCPv4 an infinite lease follows the rule like every other.
    pub fn reuses_lease(
        &self,
        subnet: Option<&Subnet6>,
        valid: Lifetime,
        preferred: Lifetime,
        age: u32,
    ) -> bool {
        let rule = subnet.map_or(self.cache, |subnet| subnet.cache);
        let preferred_allows = match preferred {
            Lifetime::Infinite | Lifetime::Seconds(0) => true,
            Lifetime::Seconds(seconds) => seconds > age,
        };
        preferred_allows && rule.allows(valid, age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reservation::{Identifier, IdentifierKind};

    fn address(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn pool(prefix: &str, prefix_len: u8, delegated_len: u8) -> PdPool {
        PdPool { prefix: address(prefix), prefix_len, delegated_len, excluded: None }
    }

    fn sample() -> Dhcp6 {
        let identifier = Identifier { kind: IdentifierKind::Duid, value: vec![1] };
        let reserved =
            Reserved6 { prefixes: vec![(address("2001:db8:8000:100::"), 56)], ..Default::default() };
        Dhcp6::default().with_subnets(vec![
            Subnet6 {
                pd_pools: vec![pool("2001:db8:8000::", 40, 56), pool("2001:db8:7000::", 36, 48)],
                shared_network: Some("floor".into()),
                ..Subnet6::new(17, address("2001:db8:1::"), 64)
            },
            Subnet6 {
                pd_pools: vec![pool("2001:db8:9000::", 40, 60)],
                reservations: [(identifier, reserved)].into_iter().collect(),
                shared_network: Some("floor".into()),
                ..Subnet6::new(18, address("2001:db8:2::"), 64)
            },
            Subnet6 {
                pd_pools: vec![pool("2001:db8:9000::", 40, 56)],
                ..Subnet6::new(19, address("2001:db8::"), 32)
            },
        ])
    }

    #[test]
    fn an_address_belongs_to_the_longest_prefix() {
        for (text, id) in [
            ("2001:db8:1::1", Some(17)),
            ("2001:db8:2:0:1::", Some(18)),
            ("2001:db8:2:1::", Some(19)),
            ("2001:db9::", None),
        ] {
            assert_eq!(sample().subnet_of_address(address(text)).map(|subnet| subnet.id), id, "{text}");
        }
        assert_eq!(sample().subnet(18).map(Subnet6::name).as_deref(), Some("2001:db8:2::/64"));
    }

    #[test]
    fn a_prefix_belongs_to_the_subnet_that_delegates_it() {
        for (text, len, id) in [
            ("2001:db8:8000:200::", 56, Some(17)),
            ("2001:db8:8000:100::", 56, Some(18)),
            ("2001:db8:7abc::", 48, Some(17)),
            ("2001:db8:9000:10::", 60, Some(18)),
            ("2001:db8:9000:100::", 56, Some(19)),
            ("2001:db8:8000::", 64, Some(17)),
            ("2001:db8:8000::", 32, None),
            ("2001:db8:1::", 64, None),
        ] {
            let found = sample().subnet_of_prefix(address(text), len).map(|subnet| subnet.id);
            assert_eq!(found, id, "{text}/{len}");
        }
    }

    #[test]
    fn one_network_is_one_subnet_or_one_shared_network() {
        for (a, b, expected) in [
            ("2001:db8:1::1", "2001:db8:1::2", Some(true)),
            ("2001:db8:1::1", "2001:db8:2::2", Some(true)),
            ("2001:db8:1::1", "2001:db8:3::2", Some(false)),
            ("2001:db8:1::1", "2001:db9::2", None),
        ] {
            assert_eq!(sample().same_network(address(a), address(b)), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_lease_is_kept_by_rule_while_it_is_preferred() {
        let config = Dhcp6 { cache: CacheRule { threshold: None, max_age: Some(100) }, ..Default::default() };
        for (valid, preferred, age, kept) in [
            (Lifetime::Seconds(600), Lifetime::Seconds(50), 49, true),
            (Lifetime::Seconds(600), Lifetime::Seconds(50), 50, false),
            (Lifetime::Seconds(600), Lifetime::Seconds(0), 50, true),
            (Lifetime::Infinite, Lifetime::Infinite, 100, true),
            (Lifetime::Infinite, Lifetime::Infinite, 101, false),
        ] {
            let found = config.reuses_lease(None, valid, preferred, age);
            assert_eq!(found, kept, "{valid:?} {preferred:?} {age}");
        }
        assert!(!Dhcp6::default().reuses_lease(None, Lifetime::Infinite, Lifetime::Infinite, 1));
    }
}
