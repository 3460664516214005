//! The one door to "now".

use nix::time::{ClockId, clock_gettime};

use crate::time::Timestamp;

fn read(clock: ClockId) -> i64 {
    // Neither clock can fail on a Linux that has eBPF: CLOCK_REALTIME always, CLOCK_BOOTTIME since 2.6.39.
    clock_gettime(clock).map(|spec| spec.tv_sec() * 1_000_000_000 + spec.tv_nsec()).unwrap_or_default()
}

/// Whole seconds since the machine started: enough to tell one stretch of time from the next.
pub fn boot_seconds() -> u64 {
    u64::try_from(read(ClockId::CLOCK_BOOTTIME)).unwrap_or_default() / 1_000_000_000
}

/// Turns stamps of CLOCK_BOOTTIME, which no one can step, into [`Timestamp`]s by the offset taken when it was made.
///
/// The offset is never taken again, so a step of the wall clock neither fires all deadlines at once nor freezes them.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset: i64,
}

impl Clock {
    /// Takes the offset between the wall clock and CLOCK_BOOTTIME as it is now.
    #[expect(clippy::new_without_default, reason = "making one reads two clocks; a default should not")]
    pub fn new() -> Self {
        // The reading of the wall clock is bracketed so that a pause between two reads does not become an error.
        let before = read(ClockId::CLOCK_BOOTTIME);
        let wall = read(ClockId::CLOCK_REALTIME);
        let after = read(ClockId::CLOCK_BOOTTIME);
        Self { offset: wall - before.midpoint(after) }
    }

    /// The moment now.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(read(ClockId::CLOCK_BOOTTIME).saturating_add(self.offset))
    }

    /// The wall clock's distance from CLOCK_BOOTTIME when this was made, in nanoseconds.
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// A moment as CLOCK_BOOTTIME has it, in nanoseconds: the reverse of [`Self::at_boot_nanos`].
    pub fn boot_nanos(&self, at: Timestamp) -> u64 {
        u64::try_from(at.as_nanos().saturating_sub(self.offset)).unwrap_or_default()
    }

    /// The moment of a stamp that the kernel took from CLOCK_BOOTTIME (`bpf_ktime_get_boot_ns`), in nanoseconds.
    pub fn at_boot_nanos(&self, nanos: u64) -> Timestamp {
        Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX).saturating_add(self.offset))
    }
}
