//! What a live capture has counted since it began.

use dhcp_observer_ebpf::{COUNTER_COUNT, Counter};

/// The counts of the kernel's programs, summed over all CPUs, and those of the reader.
///
/// `taken_*` and `lost` together are the DHCP frames that passed by the interfaces; each is in exactly one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that a program looked at, whatever they were.
    pub seen: u64,
    /// Whole DHCPv4 datagrams handed to user space.
    pub taken_v4: u64,
    /// Whole DHCPv6 datagrams handed to user space.
    pub taken_v6: u64,
    /// Fragments of DHCPv4 datagrams handed to user space.
    pub taken_v4_fragment: u64,
    /// Fragments of DHCPv6 datagrams handed to user space.
    pub taken_v6_fragment: u64,
    /// DHCP frames for which the ring buffer had no room: these are gone, and leases may be wrong because of it.
    pub lost: u64,
    /// Of the frames taken, those cut to [`dhcp_observer_ebpf::FRAME_LIMIT`] octets.
    pub truncated: u64,
    /// Fragmented DHCP datagrams of which a later fragment came before the first and so was passed by.
    pub overtaken: u64,
    /// Frames that said they carry IP but ended before the ports, or could not be read.
    pub unreadable: u64,
    /// Frames whose time stamp was before that of the frame handed out before them, and was moved up to it: two CPUs
    /// stamp before they queue for the ring buffer.
    pub clamped: u64,
    /// Records of the ring buffer that could not be read: the programs are of another version than this one.
    pub malformed: u64,
}

impl Counters {
    /// From the per-CPU values of the programs, in the order of [`Counter`].
    pub(super) fn sum<'a>(cpus: impl IntoIterator<Item = &'a [u64; COUNTER_COUNT]>) -> Self {
        let mut total = [0u64; COUNTER_COUNT];
        for counters in cpus {
            for (total, counter) in total.iter_mut().zip(counters) {
                *total = total.wrapping_add(*counter);
            }
        }
        let of = |counter: Counter| total.get(counter.index()).copied().unwrap_or_default();
        Self {
            seen: of(Counter::Seen),
            taken_v4: of(Counter::TakenV4),
            taken_v6: of(Counter::TakenV6),
            taken_v4_fragment: of(Counter::TakenV4Fragment),
            taken_v6_fragment: of(Counter::TakenV6Fragment),
            lost: of(Counter::Lost),
            truncated: of(Counter::Truncated),
            overtaken: of(Counter::Overtaken),
            unreadable: of(Counter::Unreadable),
            clamped: 0,
            malformed: 0,
        }
    }

    /// All frames handed to user space.
    pub const fn taken(&self) -> u64 {
        self.taken_v4 + self.taken_v6 + self.taken_v4_fragment + self.taken_v6_fragment
    }

    /// Each count with its name, for metrics.
    pub fn named(&self) -> [(&'static str, u64); COUNTER_COUNT + 2] {
        [
            (Counter::Seen.name(), self.seen),
            (Counter::TakenV4.name(), self.taken_v4),
            (Counter::TakenV6.name(), self.taken_v6),
            (Counter::TakenV4Fragment.name(), self.taken_v4_fragment),
            (Counter::TakenV6Fragment.name(), self.taken_v6_fragment),
            (Counter::Lost.name(), self.lost),
            (Counter::Truncated.name(), self.truncated),
            (Counter::Overtaken.name(), self.overtaken),
            (Counter::Unreadable.name(), self.unreadable),
            ("clamped", self.clamped),
            ("malformed", self.malformed),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_summed_into_the_field_of_its_name() {
        let mut first = [0; COUNTER_COUNT];
        let mut second = [0; COUNTER_COUNT];
        for (place, value) in (1..).zip(first.iter_mut().zip(second.iter_mut())) {
            *value.0 = place;
            *value.1 = place * 100;
        }
        let named = Counters::sum([&first, &second]).named();
        for (counter, (name, value)) in Counter::ALL.into_iter().zip(named) {
            assert_eq!(name, counter.name());
            assert_eq!(value, (counter.index() as u64 + 1) * 101, "{name}");
        }
    }
}
