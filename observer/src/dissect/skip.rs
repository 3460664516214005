//! Why a frame is not a DHCP datagram: a closed list, so that totals balance.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident = $name:literal,)+) => {
        /// Why a frame did not become a datagram.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Skip {
            $($(#[doc = $doc])+ $reason,)+
        }

        impl Skip {
            /// Every reason, in the order in which a frame meets them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$reason),+];

            /// The reason's stable name, for counters and messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// The link type of the capture is not one that we know.
    UnsupportedLink = "unsupported-link",
    /// The capture ends before the headers do.
    TruncatedHeaders = "truncated-headers",
    /// More VLAN tags than a frame may have.
    TooManyTags = "too-many-tags",
    /// ARP.
    Arp = "arp",
    /// Neither IPv4 nor IPv6.
    NotIp = "not-ip",
    /// An IP header that contradicts itself or the protocol that announced it.
    BadIpHeader = "bad-ip-header",
    /// More extension headers than anyone sends.
    TooManyExtensions = "too-many-extensions",
    /// IP, but not UDP.
    NotUdp = "not-udp",
    /// UDP between other ports than those of DHCP.
    OtherPort = "other-port",
    /// A UDP header that says it is shorter than itself.
    BadUdpLength = "bad-udp-length",
    /// A fragment that waits for the rest of its datagram.
    FragmentPending = "fragment-pending",
    /// A fragment that was there before, octet for octet.
    FragmentRepeated = "fragment-repeated",
    /// A fragment that overlaps another or contradicts the datagram's end, or that follows such a one (RFC 5722).
    FragmentOverlap = "fragment-overlap",
    /// A fragment that cannot be one: empty, not a multiple of 8 octets, or past 65,535 octets; or one too many.
    FragmentInvalid = "fragment-invalid",
    /// A fragment that the capture cut short, so that its datagram can never be whole.
    FragmentTruncated = "fragment-truncated",
    /// A fragment that alone needs more memory than all fragments may take.
    FragmentNoRoom = "fragment-no-room",
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many frames were skipped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkipCounts([u64; Skip::ALL.len()]);

impl SkipCounts {
    /// Counts one frame.
    pub fn count(&mut self, reason: Skip) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter += 1;
        }
    }

    /// The frames skipped for this reason.
    pub fn of(&self, reason: Skip) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// The frames skipped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Skip, u64)> {
        Skip::ALL.into_iter().zip(self.0)
    }
}
