//! What the programs count.

/// One counter of the per-CPU array.
///
/// A DHCP frame that a program recognised is in exactly one of the `Taken` counters or in `Lost`, so the sum of
/// those is what passed by the interface, and what user space received is the sum without `Lost`.
#[repr(usize)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Frames that a program looked at, whatever they were.
    Seen,
    /// Whole DHCPv4 datagrams that were put in the ring buffer.
    TakenV4,
    /// Whole DHCPv6 datagrams that were put in the ring buffer.
    TakenV6,
    /// Fragments of DHCPv4 datagrams that were put in the ring buffer.
    TakenV4Fragment,
    /// Fragments of DHCPv6 datagrams that were put in the ring buffer.
    TakenV6Fragment,
    /// DHCP frames for which the ring buffer had no room.
    Lost,
    /// Of the frames taken, those longer than [`FRAME_LIMIT`](crate::FRAME_LIMIT) and cut to it.
    Truncated,
    /// First fragments of DHCP datagrams of which a later fragment came before the first and so was passed by: such
    /// a datagram cannot be put together.
    Overtaken,
    /// Frames that said they carry IP but ended before the ports, or could not be read.
    Unreadable,
}

/// How many counters there are.
pub const COUNTER_COUNT: usize = Counter::ALL.len();

impl Counter {
    /// Every counter in the order of its index.
    pub const ALL: [Self; 9] = [
        Self::Seen,
        Self::TakenV4,
        Self::TakenV6,
        Self::TakenV4Fragment,
        Self::TakenV6Fragment,
        Self::Lost,
        Self::Truncated,
        Self::Overtaken,
        Self::Unreadable,
    ];

    /// Its place in the array.
    #[inline(always)]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name for people and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::TakenV4 => "taken_v4",
            Self::TakenV6 => "taken_v6",
            Self::TakenV4Fragment => "taken_v4_fragment",
            Self::TakenV6Fragment => "taken_v6_fragment",
            Self::Lost => "lost",
            Self::Truncated => "truncated",
            Self::Overtaken => "overtaken",
            Self::Unreadable => "unreadable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_in_the_order_of_the_indexes() {
        for (place, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter.index(), place, "{}", counter.name());
        }
    }
}
