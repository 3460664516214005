//! Time as a value: a point on the wall clock and the length of a lease.
//!
//! Nothing here reads a clock; [`crate::clock`] is the one door to "now".

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time: signed nanoseconds since the Unix epoch.
///
/// An `Instant` cannot be made from a capture file and a `SystemTime` cannot be compared with a boot-time stamp,
/// so every stage from [`crate::dissect`] to the hook scheduler takes this type as an argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch, also the value before anything was seen.
    pub const EPOCH: Self = Self(0);
    /// The latest representable moment (the year 2262).
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds since the Unix epoch, saturating at the representable range.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down: what `time(2)` would have said at this moment.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// This moment with the fraction of its second cut off.
    pub const fn whole_second(self) -> Self {
        Self::from_seconds(self.unix_seconds())
    }

    /// Seconds with their fraction, for people and JSON. Exact to about a microsecond.
    pub fn as_seconds_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    /// Unix seconds with nanoseconds, as `tcpdump -tt` prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.unix_seconds(), self.0.rem_euclid(1_000_000_000))
    }
}

/// The length of a lease in seconds, where 0xffffffff on the wire means forever (RFC 2131 section 3.3, RFC 8415 section 7.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifetime {
    /// A number of seconds below 0xffffffff.
    Seconds(u32),
    /// Never ends.
    Infinite,
}

impl Lifetime {
    /// From the 32-bit field of an option.
    pub const fn from_wire(seconds: u32) -> Self {
        match seconds {
            u32::MAX => Self::Infinite,
            seconds => Self::Seconds(seconds),
        }
    }

    /// The 32-bit field: infinite is 4294967295, which is also how Kea prints it.
    pub const fn to_wire(self) -> u32 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Infinite => u32::MAX,
        }
    }

    /// The moment at which a lease taken at `start` ends, if it ever does.
    pub fn end(self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Seconds(seconds) => Some(start + Duration::from_secs(u64::from(seconds))),
            Self::Infinite => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_down_on_both_sides_of_the_epoch() {
        for (nanos, seconds) in [(0, 0), (999_999_999, 0), (1_000_000_000, 1), (-1, -1), (-1_000_000_000, -1)]
        {
            assert_eq!(Timestamp::from_nanos(nanos).unix_seconds(), seconds, "{nanos}");
        }
    }

    #[test]
    fn an_infinite_lifetime_has_no_end() {
        assert_eq!(Lifetime::from_wire(u32::MAX).end(Timestamp::EPOCH), None);
        assert_eq!(Lifetime::from_wire(5).end(Timestamp::from_seconds(7)), Some(Timestamp::from_seconds(12)));
    }
}
