//! How much time has passed since an earlier life, where the wall clock cannot be trusted.

use std::time::Duration;

use crate::time::Timestamp;

/// Steps of the wall clock below this are as good as none: leases count in seconds.
const STEP: Duration = Duration::from_secs(5);
/// Nobody is away for longer than this and still wants the leases of before; a clock that says so is wrong.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);

/// How many events there are in a second at the most: several times what can be told.
const EVENTS_A_SECOND: u64 = 100_000;

/// The number of the next event where an earlier life may have told events that it could not store, and that are not read again:
/// `next` is what the store would go on with, and `latest` the moment of what was stored last. No number is given to two events.
pub(super) fn unused_number(next: u64, latest: Timestamp, now: Timestamp) -> u64 {
    next.saturating_add(now.since(latest).as_secs().saturating_add(1).saturating_mul(EVENTS_A_SECOND))
}

/// What an earlier life knew of the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    /// The moment of the last frame or deadline.
    pub(super) latest: Timestamp,
    /// How far its wall clock was from the time since boot, in nanoseconds; `None` where the machine was booted since.
    pub(super) wall_offset: Option<i64>,
}

/// By how many nanoseconds moments of the earlier life are to be moved so that they fit the present clock.
///
/// Within one boot the time since boot tells how much has passed, and whatever the wall clock has moved beyond that is a
/// step. After a boot there is only the wall clock: when it is before the last moment, or absurdly far behind it, nobody
/// knows how long it was, and leases go on as if no time had passed, rather than all end or never.
pub(super) fn shift(last: Last, now: Timestamp, wall_offset: i64) -> i64 {
    let step = match last.wall_offset {
        Some(before) => wall_offset.saturating_sub(before),
        None => {
            let away = now.as_nanos().saturating_sub(last.latest.as_nanos());
            let longest = i64::try_from(LONGEST.as_nanos()).unwrap_or(i64::MAX);
            if (0..=longest).contains(&away) { 0 } else { away }
        }
    };
    if Duration::from_nanos(step.unsigned_abs()) < STEP { 0 } else { step }
}

/// The moment that many nanoseconds later.
pub(super) fn moved(at: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_nanos(at.as_nanos().saturating_add(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;
    const YEAR: i64 = 365 * 24 * 3_600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// What becomes of a lease of an hour that had half an hour left: how many seconds are left now.
    fn left(last: i64, offset: Option<i64>, now: i64, offset_now: i64) -> i64 {
        let end = at(last + 1_800);
        let last = Last { latest: at(last), wall_offset: offset.map(|offset| offset * S) };
        let by = shift(last, at(now), offset_now * S);
        (moved(end, by).as_nanos() - at(now).as_nanos()) / S
    }

    #[test]
    fn a_clock_that_was_left_alone_is_believed() {
        assert_eq!(left(1_000_000, Some(5), 1_000_600, 5), 1_200, "the same boot");
        assert_eq!(left(1_000_000, None, 1_000_600, 99), 1_200, "another boot");
        assert_eq!(left(1_000_000, None, 1_000_000 + 30 * 86_400, 99), 1_800 - 30 * 86_400, "a month off");
        assert_eq!(left(1_000_000, Some(5), 1_000_602, 7), 1_198, "a second or two is no step");
    }

    #[test]
    fn within_one_boot_a_step_neither_ends_nor_freezes_leases() {
        // Ten minutes went by, and meanwhile the clock was set by a year, forwards or back.
        for step in [YEAR, -YEAR, 3_600, -3_600, 60 * YEAR] {
            assert_eq!(left(70 * YEAR, Some(5), 70 * YEAR + 600 + step, 5 + step), 1_200, "{step}");
        }
    }

    #[test]
    fn after_a_boot_a_clock_that_cannot_be_right_is_taken_for_no_time_at_all() {
        assert_eq!(left(50 * YEAR, None, 12, 0), 1_800, "the clock of a machine without one, in 1970");
        assert_eq!(left(50 * YEAR, None, 50 * YEAR - 60, 0), 1_800, "a minute back");
        assert_eq!(left(50 * YEAR, None, 80 * YEAR, 0), 1_800, "thirty years ahead");
        // And when that clock is set at last, the next start sees a step within one boot.
        assert_eq!(left(12, Some(0), 50 * YEAR + 600, 50 * YEAR + 588), 1_800);
    }
}
