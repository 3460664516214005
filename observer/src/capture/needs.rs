//! What a running capture must still be allowed, when everything has been opened.
//!
//! Attaching by a link (TCX, XDP), moving it, pinning it and reading maps need no capability once the programs are loaded:
//! a descriptor, or the right to write in a directory, is enough. Tried on Linux 6.18 without any.

use super::check;
use super::live::Attach;

/// The first kernel with TCX links, as `KernelVersion::code` has it.
const TCX: u32 = 6 << 16 | 6 << 8;
/// The first kernel that lets maps be read by their descriptors also where `kernel.unprivileged_bpf_disabled` is set.
const MAPS_BY_DESCRIPTOR: u32 = 5 << 16 | 19 << 8;

/// What bears on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) attach: Attach,
    /// Whether an interface was given filters on a clsact qdisc; `None` when there is no interface yet.
    pub(super) filters: Option<bool>,
    pub(super) promiscuous: bool,
    pub(super) pinned: bool,
    pub(super) root: bool,
    /// The kernel's version; 0 when it is not known.
    pub(super) kernel: u32,
}

/// A bit for each capability, by its number.
pub(super) fn capabilities(situation: Situation) -> u64 {
    let Situation { attach, filters, promiscuous, pinned, root, kernel } = situation;
    let clsact = attach == Attach::Clsact || filters.unwrap_or(kernel < TCX);
    [
        // Filters come and go by netlink.
        (clsact, check::NET_ADMIN),
        // Packet sockets.
        (promiscuous, check::NET_RAW),
        (kernel < MAPS_BY_DESCRIPTOR, check::BPF),
        // A bpffs is usually closed to everybody but root.
        (pinned && !root, check::DAC_OVERRIDE),
    ]
    .into_iter()
    .filter(|(needed, _)| *needed)
    .fold(0, |set, (_, capability)| set | 1 << capability.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Situation = Situation {
        attach: Attach::Tc,
        filters: Some(false),
        promiscuous: false,
        pinned: true,
        root: true,
        kernel: 6 << 16 | 18 << 8,
    };

    #[test]
    fn links_need_nothing_and_filters_what_netlink_asks() {
        const BPF: u64 = 1 << 39;
        const NET_ADMIN: u64 = 1 << 12;
        const NET_RAW: u64 = 1 << 13;
        const DAC_OVERRIDE: u64 = 1 << 1;
        let bookworm = Situation { filters: Some(true), kernel: 6 << 16 | 1 << 8, ..NEW };
        for (situation, expected) in [
            (NEW, 0),
            (Situation { attach: Attach::Xdp, ..NEW }, 0),
            (Situation { filters: None, ..NEW }, 0),
            (Situation { attach: Attach::Clsact, filters: None, ..NEW }, NET_ADMIN),
            (bookworm, NET_ADMIN),
            (Situation { filters: None, ..bookworm }, NET_ADMIN),
            (Situation { kernel: 5 << 16 | 15 << 8, ..bookworm }, NET_ADMIN | BPF),
            // Somebody has brought TCX to an older kernel.
            (Situation { filters: Some(false), ..bookworm }, 0),
            (Situation { promiscuous: true, ..NEW }, NET_RAW),
            (Situation { root: false, ..NEW }, DAC_OVERRIDE),
            (Situation { root: false, pinned: false, ..NEW }, 0),
        ] {
            assert_eq!(capabilities(situation), expected, "{situation:?}");
        }
    }
}
