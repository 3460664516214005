//! How long things took: a histogram with fixed bounds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The upper bounds of the buckets, in seconds. What takes longer is in the last bucket, which has none.
pub const BOUNDS: [f64; 16] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0];

/// A histogram of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// How many fell into each bucket of [`BOUNDS`], and into the one beyond the last.
    buckets: [u64; BOUNDS.len() + 1],
    /// All durations together, in seconds.
    sum: f64,
}

impl Durations {
    /// One more.
    pub fn record(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let place = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket += 1;
        }
        self.sum += seconds;
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All of them together, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The buckets: upper bound in seconds, and how many fell into this one.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.buckets)
    }

    /// An upper bound for this share of them (0.5 is the median), in seconds; `None` when there were none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.count() as f64 * share).ceil().max(1.0);
        let mut seen = 0;
        self.buckets()
            .find(|(_, count)| {
                seen += count;
                seen > 0 && seen as f64 >= wanted
            })
            .map(|(bound, _)| bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_bucket_of_the_bound_above_it() {
        let mut durations = Durations::default();
        assert_eq!(durations.quantile(0.5), None);
        for millis in [1, 2, 3, 700, 90_000] {
            durations.record(Duration::from_millis(millis));
        }
        let filled: Vec<_> = durations.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 1), (0.002, 1), (0.005, 1), (1.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(durations.count(), 5);
        assert!((durations.sum() - 90.706).abs() < 1e-9);
        assert_eq!((durations.quantile(0.5), durations.quantile(0.8)), (Some(0.005), Some(1.0)));
    }
}
