//! Configurations of the server for scripts that need one.

use dhcp_observer::config::{CacheRule, Dhcp4, Dhcp6, ExpiredLeases, PdPool, ServerConfig, Subnet4, Subnet6};

use crate::wire4::ip;

/// 192.0.2.0/24 as subnet 7, changed by `change`.
pub fn subnet4(change: impl FnOnce(&mut Subnet4)) -> ServerConfig {
    let mut subnet = Subnet4::new(7, ip("192.0.2.0"), 24);
    change(&mut subnet);
    subnets4(vec![subnet])
}

pub fn subnets4(subnets: Vec<Subnet4>) -> ServerConfig {
    let mut dhcp4 = Dhcp4::default().with_subnets(subnets);
    dhcp4.configured = true;
    ServerConfig { dhcp4, ..ServerConfig::default() }
}

/// 2001:db8:1::/64 as subnet 8, which delegates out of 2001:db8:f000::/36, changed by `change`.
pub fn subnet6(change: impl FnOnce(&mut Subnet6)) -> ServerConfig {
    let mut subnet = Subnet6::new(8, "2001:db8:1::".parse().unwrap(), 64);
    subnet.pd_pools.push(PdPool {
        prefix: "2001:db8:f000::".parse().unwrap(),
        prefix_len: 36,
        delegated_len: 56,
        excluded: None,
    });
    change(&mut subnet);
    let mut dhcp6 = Dhcp6::default().with_subnets(vec![subnet]);
    dhcp6.configured = true;
    ServerConfig { dhcp6, ..ServerConfig::default() }
}

/// Both families with these timers.
pub fn timers(change: impl Fn(&mut ExpiredLeases)) -> ServerConfig {
    let mut config = ServerConfig::default();
    change(&mut config.dhcp4.expired_leases);
    change(&mut config.dhcp6.expired_leases);
    config
}

/// Kea never looks for expired leases by itself.
pub fn no_reclaim_timer() -> ServerConfig {
    timers(|timers| timers.reclaim_timer_wait_time = 0)
}

pub fn threshold(share: f64) -> CacheRule {
    CacheRule { threshold: Some(share), max_age: None }
}

/// The same, and the server is known to be Kea.
pub fn known_kea6(mut config: ServerConfig) -> ServerConfig {
    config.dhcp6.configured = true;
    config
}
