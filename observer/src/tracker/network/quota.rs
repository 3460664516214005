//! How many events of one kind come out in a minute, whatever passes on the wire.

use std::time::Duration;

use crate::time::Timestamp;

/// Events of one kind in [`MINUTE`]. So many scripts are still cheap; a flood of forged clients would start one for each.
const MAX: u32 = 600;
const MINUTE: Duration = Duration::from_secs(60);

/// The allowance of one kind of event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quota {
    since: Timestamp,
    told: u32,
    /// Left out since the last event that came out.
    left_out: u64,
}

impl Quota {
    /// Whether one more may come out now: how many were left out before it, if so.
    pub(super) fn admit(&mut self, at: Timestamp) -> Option<u64> {
        if at.since(self.since) >= MINUTE {
            (self.since, self.told) = (at, 0);
        }
        if self.told == MAX {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_off_and_the_next_minute_says_how_much() {
        let mut quota = Quota::default();
        let at = Timestamp::from_seconds(1_000);
        assert_eq!((0..10_000).filter(|_| quota.admit(at).is_some()).count(), 600);
        assert_eq!(quota.admit(at + MINUTE), Some(9_400));
        assert_eq!(quota.admit(at + MINUTE), Some(0));
    }
}
