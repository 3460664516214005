//! What every source of frames yields, be it the ring buffer or a capture file.

use std::sync::Arc;

use crate::time::Timestamp;

/// The network interface on which a frame was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    /// The kernel's interface index; `None` when a capture file is read and nobody said.
    pub index: Option<u32>,
    /// The interface's name, empty when nobody said.
    pub name: String,
}

/// Which way a frame crossed its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It arrived.
    In,
    /// It left.
    Out,
    /// The capture file does not say.
    Unknown,
}

/// What the first octet of a frame's bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// An Ethernet header (LINKTYPE_ETHERNET, 1).
    Ethernet,
    /// Linux "cooked" capture, version 1 (LINKTYPE_LINUX_SLL, 113).
    LinuxSll,
    /// Linux "cooked" capture, version 2 (LINKTYPE_LINUX_SLL2, 276).
    LinuxSll2,
    /// An IPv4 or IPv6 header (LINKTYPE_RAW, 101; also 228 and 229).
    RawIp,
}

/// An 802.1Q or 802.1ad tag that the kernel or the network card took out of the bytes and kept beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetadataTag {
    /// The tag's EtherType: 0x8100 or 0x88a8.
    pub ethertype: u16,
    /// The tag control information: priority, drop eligible indicator and VLAN identifier.
    pub tci: u16,
}

/// One frame as a source saw it.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// When it passed.
    pub at: Timestamp,
    /// Where it passed.
    pub interface: &'a Arc<Interface>,
    /// Which way it went.
    pub direction: Direction,
    /// How its bytes begin.
    pub link_type: LinkType,
    /// The outermost VLAN tag where it was taken out of the bytes.
    pub metadata_tag: Option<MetadataTag>,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// How long the frame was on the wire, in octets; more than `bytes.len()` when the capture cut it short.
    pub wire_length: usize,
}

/// A place in the ring between kernel and observer, behind which the next frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingPlace {
    /// The kernel's number of the ring, which no other map has while the machine runs.
    pub ring: u32,
    /// Octets since the ring was made.
    pub octets: u64,
}
