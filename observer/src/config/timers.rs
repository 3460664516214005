//! Timers and the lease cache, with Kea's defaults.

use super::KeaVersion;
use crate::time::Lifetime;

/// How long a declined address stays on probation when `decline-probation-period` is not set, in seconds.
pub(super) const DECLINE_PROBATION_PERIOD: u32 = 86_400;

/// The valid lifetime when `valid-lifetime` is not set.
pub(super) const VALID_LIFETIME: Lifetime = Lifetime::Seconds(7_200);

/// Kea's `expired-leases-processing`: when expired leases are found and when their records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiredLeases {
    /// `reclaim-timer-wait-time`, seconds between two searches for expired leases; 0 means that there is no search.
    pub reclaim_timer_wait_time: u32,
    /// `flush-reclaimed-timer-wait-time`, seconds between two removals of records that were held long enough;
    /// 0 means that a record goes the moment it is reclaimed.
    pub flush_reclaimed_timer_wait_time: u32,
    /// `hold-reclaimed-time`, seconds for which the record of a reclaimed lease is kept.
    pub hold_reclaimed_time: u32,
    /// `max-reclaim-leases`, the most leases that one search reclaims; 0 means all.
    pub max_reclaim_leases: u32,
    /// `max-reclaim-time`, the most milliseconds that one search takes; 0 means no limit.
    pub max_reclaim_time: u32,
    /// `unwarned-reclaim-cycles`, after how many searches that reached a limit Kea complains in its log.
    pub unwarned_reclaim_cycles: u32,
}

impl Default for ExpiredLeases {
    fn default() -> Self {
        Self {
            reclaim_timer_wait_time: 10,
            flush_reclaimed_timer_wait_time: 25,
            hold_reclaimed_time: 3_600,
            max_reclaim_leases: 100,
            max_reclaim_time: 250,
            unwarned_reclaim_cycles: 5,
        }
    }
}

/// Kea's lease cache: when a renewal that changes nothing leaves the stored lease as it is.
///
/// The default is what Kea 2.2 does when neither parameter is set: no finite lease is ever reused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CacheRule {
    /// `cache-threshold`, the share of the valid lifetime (above 0, below 1) until which a lease is reused.
    pub threshold: Option<f64>,
    /// `cache-max-age`, the age in seconds until which a lease is reused; 0 forbids it.
    pub max_age: Option<u32>,
}

impl CacheRule {
    /// What this Kea does when neither parameter is set.
    pub fn of(version: KeaVersion) -> Self {
        Self { threshold: version.default_cache_threshold(), max_age: None }
    }

    /// Whether a lease granted for `valid` that is `age` seconds old would be reused by a renewal that changes nothing.
    ///
    /// When both limits are set, both must hold. The limits include their last second. Kea takes the threshold's
    /// share of the lifetime it is about to grant, which a renewal that changes nothing leaves equal to the one it
    /// granted before.
    pub fn allows(self, valid: Lifetime, age: u32) -> bool {
        let valid = valid.to_wire();
        if age >= valid {
            return false;
        }
        let by_age = match self.max_age {
            Some(limit) if limit == 0 || age > limit => return false,
            limit => limit.is_some(),
        };
        match self.threshold {
            // Kea stores the product in 32 bits, so its fraction is cut off; zero means that there is no cache.
            Some(share) => {
                let limit = (f64::from(valid) * share) as u32;
                limit > 0 && age <= limit
            }
            None => by_age,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_rule_is_that_of_kea() {
        let (hour, infinite) = (Lifetime::Seconds(3_600), Lifetime::Infinite);
        for (threshold, max_age, valid, age, reused) in [
            (None, None, hour, 0, false),
            (None, None, infinite, 0, false),
            (Some(0.25), None, hour, 0, true),
            (Some(0.25), None, hour, 900, true),
            (Some(0.25), None, hour, 901, false),
            (Some(0.25), None, Lifetime::Seconds(3), 0, false),
            (Some(0.25), None, Lifetime::Seconds(7), 1, true),
            (Some(0.25), None, Lifetime::Seconds(7), 2, false),
            (None, Some(60), hour, 60, true),
            (None, Some(60), hour, 61, false),
            (None, Some(0), hour, 0, false),
            (Some(0.5), Some(0), hour, 0, false),
            (Some(0.5), Some(60), hour, 60, true),
            (Some(0.5), Some(60), hour, 61, false),
            (Some(0.01), Some(60), hour, 36, true),
            (Some(0.01), Some(60), hour, 37, false),
            (None, Some(u32::MAX), hour, 3_599, true),
            (None, Some(u32::MAX), hour, 3_600, false),
            (Some(0.5), None, infinite, 1 << 31, false),
            (Some(0.5), None, infinite, (1 << 31) - 1, true),
        ] {
            let rule = CacheRule { threshold, max_age };
            assert_eq!(rule.allows(valid, age), reused, "{rule:?} {valid:?} {age}");
        }
    }
}
