//! The UDP payload of a frame and everything around it that later stages want to know.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::frame::{Direction, Interface, MetadataTag};
use crate::time::Timestamp;

/// A 48-bit hardware address, first octet on the wire first.
pub type MacAddress = [u8; 6];

/// One UDP datagram to or from a DHCP port.
#[derive(Clone, Debug)]
pub struct Datagram<'a> {
    /// When the frame passed; of a fragmented datagram, the frame that completed it.
    pub at: Timestamp,
    /// Where it passed.
    pub interface: Arc<Interface>,
    /// Which way it went.
    pub direction: Direction,
    /// The VLAN tags, outermost first.
    pub vlans: VlanTags,
    /// The sender's hardware address, where the link has one; of a fragmented datagram, as its first fragment has it.
    pub source_mac: Option<MacAddress>,
    /// The receiver's hardware address, where the capture has it (cooked captures do not).
    pub destination_mac: Option<MacAddress>,
    /// The sender's IP address and UDP port.
    pub source: SocketAddr,
    /// The receiver's IP address and UDP port.
    pub destination: SocketAddr,
    /// The UDP payload; borrowed from the frame unless it was put together from fragments.
    pub payload: Cow<'a, [u8]>,
    /// Whether the payload ends before the UDP header says that it does.
    pub truncated: bool,
    /// Whether it came in fragments.
    pub reassembled: bool,
}

/// An IEEE 802.1Q or 802.1ad tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VlanTag {
    /// The tag's EtherType: 0x8100, 0x88a8 or 0x9100.
    pub ethertype: u16,
    /// The tag control information: priority, drop eligible indicator and VLAN identifier.
    pub tci: u16,
}

impl VlanTag {
    /// The VLAN identifier, 0 to 4095.
    pub const fn id(self) -> u16 {
        self.tci & 0x0fff
    }

    /// The priority code point, 0 to 7.
    pub const fn priority(self) -> u8 {
        (self.tci >> 13) as u8
    }

    /// Whether the tag carries only a priority and names no VLAN: identifier 0.
    pub const fn is_priority_only(self) -> bool {
        self.id() == 0
    }
}

impl From<MetadataTag> for VlanTag {
    fn from(tag: MetadataTag) -> Self {
        Self { ethertype: tag.ethertype, tci: tag.tci }
    }
}

/// Up to four VLAN tags, outermost first.
#[derive(Clone, Copy, Default)]
pub struct VlanTags {
    tags: [VlanTag; Self::CAPACITY],
    count: u8,
}

impl VlanTags {
    /// The most tags that a frame may have.
    pub const CAPACITY: usize = 4;

    /// Adds a tag inside all others; `false` when there is no room.
    #[must_use]
    pub fn push(&mut self, tag: VlanTag) -> bool {
        match self.tags.get_mut(usize::from(self.count)) {
            Some(slot) => {
                *slot = tag;
                self.count += 1;
                true
            }
            None => false,
        }
    }

    /// All tags, priority tags too.
    pub fn as_slice(&self) -> &[VlanTag] {
        self.tags.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// The identifiers of the VLANs that the frame is in, outermost first: priority tags name none.
    pub fn ids(&self) -> impl Iterator<Item = u16> {
        self.as_slice().iter().filter(|tag| !tag.is_priority_only()).map(|tag| tag.id())
    }

    /// Whether there is no tag.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number of tags, priority tags too.
    pub const fn len(&self) -> usize {
        self.count as usize
    }
}

impl PartialEq for VlanTags {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for VlanTags {}

impl Hash for VlanTags {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for VlanTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl fmt::Display for VlanTags {
    /// The VLAN identifiers joined by full stops, outermost first, as interfaces are named: `100.7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, id) in self.ids().enumerate() {
            if position > 0 {
                f.write_str(".")?;
            }
            write!(f, "{id}")?;
        }
        Ok(())
    }
}
