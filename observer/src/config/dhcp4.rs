//! The DHCPv4 half: subnets by address.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::prefix::PrefixTable;
use super::reservation::{Reservations, Reserved4};
use super::timers::{CacheRule, DECLINE_PROBATION_PERIOD, ExpiredLeases, VALID_LIFETIME};
use crate::time::Lifetime;

/// What is known of the DHCPv4 server. Build one with [`Default`] and [`Dhcp4::with_subnets`].
#[derive(Clone, Debug)]
pub struct Dhcp4 {
    /// Whether a configuration was given; without one nothing is known of subnets, and the rest is Kea's default.
    pub configured: bool,
    /// `decline-probation-period`: seconds for which a declined address is not given out.
    pub decline_probation_period: u32,
    /// `expired-leases-processing`.
    pub expired_leases: ExpiredLeases,
    /// The global `match-client-id`, for addresses outside every subnet.
    pub match_client_id: bool,
    /// The global `cache-threshold` and `cache-max-age`, for addresses outside every subnet.
    pub cache: CacheRule,
    /// The global `reservations`.
    pub reservations: Reservations<Reserved4>,
    subnets: Vec<Subnet4>,
    by_prefix: PrefixTable<usize>,
}

/// A DHCPv4 subnet, everything inherited from its shared network and the global scope filled in.
#[derive(Clone, Debug)]
pub struct Subnet4 {
    /// `id`, or the number that Kea gives to a subnet without one.
    pub id: u32,
    /// The address before the slash of `subnet`, as written: host bits stay, as in Kea's SUBNET4_PREFIX.
    pub prefix: Ipv4Addr,
    /// The number behind the slash of `subnet`.
    pub prefix_len: u8,
    /// The name of the shared network that it is part of.
    pub shared_network: Option<Arc<str>>,
    /// `match-client-id`: whether clients are told apart by option 61.
    pub match_client_id: bool,
    /// `store-extended-info`: whether option 82 is part of the lease, and a change of it a change of the lease.
    pub store_extended_info: bool,
    /// `ddns-replace-client-name`: whether the server makes up a name also for a client that brings one.
    pub replaces_client_name: bool,
    /// `valid-lifetime`: the lifetime that a client gets which asks for none.
    pub valid_lifetime: Lifetime,
    /// `cache-threshold` and `cache-max-age`.
    pub cache: CacheRule,
    /// `reservations`.
    pub reservations: Reservations<Reserved4>,
}

impl Subnet4 {
    /// A subnet in no shared network, with Kea's default for everything else.
    pub fn new(id: u32, prefix: Ipv4Addr, prefix_len: u8) -> Self {
        Self {
            id,
            prefix,
            prefix_len,
            shared_network: None,
            match_client_id: true,
            store_extended_info: false,
            replaces_client_name: false,
            valid_lifetime: VALID_LIFETIME,
            cache: CacheRule::default(),
            reservations: Reservations::default(),
        }
    }

    /// `192.0.2.0/24`: what Kea calls the subnet's name (SUBNET4_NAME).
    pub fn name(&self) -> String {
        format!("{}/{}", self.prefix, self.prefix_len)
    }
}

impl Default for Dhcp4 {
    fn default() -> Self {
        Self {
            configured: false,
            decline_probation_period: DECLINE_PROBATION_PERIOD,
            expired_leases: ExpiredLeases::default(),
            match_client_id: true,
            cache: CacheRule::default(),
            reservations: Reservations::default(),
            subnets: Vec::new(),
            by_prefix: PrefixTable::default(),
        }
    }
}

impl Dhcp4 {
    /// The same with these subnets, in place of those it had.
    pub fn with_subnets(mut self, mut subnets: Vec<Subnet4>) -> Self {
        // Kea walks its subnets in the order of their ids, so of two equal prefixes the lower id is found first.
        subnets.sort_by_key(|subnet| subnet.id);
        self.by_prefix = PrefixTable::new(
            subnets.iter().enumerate().map(|(index, subnet)| (subnet.prefix, subnet.prefix_len, index)),
        );
        self.subnets = subnets;
        self
    }

    /// Every subnet, those of shared networks included, in the order of their ids.
    pub fn subnets(&self) -> &[Subnet4] {
        &self.subnets
    }

    /// The subnet with this id.
    pub fn subnet(&self, id: u32) -> Option<&Subnet4> {
        let index = self.subnets.binary_search_by_key(&id, |subnet| subnet.id).ok()?;
        self.subnets.get(index)
    }

    /// The subnet whose prefix contains `address`: the longest prefix, then the lowest id.
    pub fn subnet_of(&self, address: Ipv4Addr) -> Option<&Subnet4> {
        self.by_prefix.containing(address, 32).find_map(|&index| self.subnets.get(index))
    }

    /// Whether two addresses are in one subnet or in one shared network.
    ///
    /// `None` when either is in no configured subnet: then nobody can tell.
    pub fn same_network(&self, a: Ipv4Addr, b: Ipv4Addr) -> Option<bool> {
        let (a, b) = (self.subnet_of(a)?, self.subnet_of(b)?);
        Some(a.id == b.id || (a.shared_network.is_some() && a.shared_network == b.shared_network))
    }

    /// Whether Kea 2.2 keeps the stored lease when its owner, changing nothing, asks for `address` again, `age`
    /// seconds after it was granted for `valid`.
    ///
    /// An infinite DHCPv4 lease is always kept, whatever the cache parameters say.
    pub fn reuses_lease(&self, address: Ipv4Addr, valid: Lifetime, age: u32) -> bool {
        let rule = self.subnet_of(address).map_or(self.cache, |subnet| subnet.cache);
        valid == Lifetime::Infinite || rule.allows(valid, age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(id: u32, prefix: [u8; 4], prefix_len: u8, shared_network: Option<&str>) -> Subnet4 {
        Subnet4 {
            shared_network: shared_network.map(Into::into),
            ..Subnet4::new(id, prefix.into(), prefix_len)
        }
    }

    fn sample() -> Dhcp4 {
        Dhcp4::default().with_subnets(vec![
            subnet(9, [192, 0, 2, 0], 24, None),
            subnet(3, [10, 0, 0, 0], 8, None),
            subnet(4, [10, 1, 0, 1], 16, Some("floor")),
            subnet(7, [10, 2, 0, 0], 16, Some("floor")),
            subnet(5, [10, 1, 0, 2], 16, Some("roof")),
        ])
    }

    #[test]
    fn an_address_belongs_to_the_longest_prefix_and_then_to_the_lowest_id() {
        for (address, id) in [
            ([192, 0, 2, 255], Some(9)),
            ([10, 3, 0, 1], Some(3)),
            ([10, 1, 9, 9], Some(4)),
            ([11, 0, 0, 0], None),
        ] {
            assert_eq!(sample().subnet_of(address.into()).map(|subnet| subnet.id), id, "{address:?}");
        }
        assert_eq!(sample().subnet(4).map(Subnet4::name).as_deref(), Some("10.1.0.1/16"));
        assert!(sample().subnet(1).is_none());
        assert_eq!(sample().subnets().len(), 5);
    }

    #[test]
    fn one_network_is_one_subnet_or_one_shared_network() {
        for (a, b, expected) in [
            ([192, 0, 2, 1], [192, 0, 2, 2], Some(true)),
            ([192, 0, 2, 1], [10, 3, 0, 1], Some(false)),
            ([10, 1, 0, 5], [10, 2, 0, 5], Some(true)),
            ([10, 3, 0, 5], [10, 2, 0, 5], Some(false)),
            ([10, 3, 0, 5], [11, 0, 0, 5], None),
            ([11, 0, 0, 5], [11, 0, 0, 5], None),
        ] {
            assert_eq!(sample().same_network(a.into(), b.into()), expected, "{a:?} {b:?}");
        }
        assert_eq!(Dhcp4::default().same_network([10, 0, 0, 1].into(), [10, 0, 0, 1].into()), None);
    }

    #[test]
    fn an_infinite_lease_is_kept_and_a_finite_one_only_by_rule() {
        let mut config = sample();
        let (inside, outside) = ([10, 3, 0, 1].into(), [11, 0, 0, 1].into());
        assert!(config.reuses_lease(inside, Lifetime::Infinite, 5));
        assert!(!config.reuses_lease(inside, Lifetime::Seconds(600), 5));
        config.cache.max_age = Some(10);
        assert!(config.reuses_lease(outside, Lifetime::Seconds(600), 5));
        assert!(!config.reuses_lease(inside, Lifetime::Seconds(600), 5), "a subnet has its own rule");
    }
}
