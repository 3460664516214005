//! What lies in the ring buffer: a header, then the bytes of the frame and nothing after them.

/// Changes whenever the layout of [`Header`] or the meaning of a field does, so that an object that was built apart
/// from its loader is refused record by record instead of being misread.
const CONTRACT: u32 = 1;

/// Which way a frame crossed its interface.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It arrived.
    In,
    /// It left.
    Out,
}

/// Where in the kernel a frame was copied.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Traffic control: after the outermost VLAN tag was moved to metadata on arrival.
    Tc,
    /// XDP: before the kernel touched the frame.
    Xdp,
}

/// What a program took a frame for.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole IPv4 datagram.
    V4,
    /// A whole IPv6 datagram.
    V6,
    /// The first or a later fragment of an IPv4 datagram.
    V4Fragment,
    /// The first or a later fragment of an IPv6 datagram.
    V6Fragment,
}

/// An 802.1Q or 802.1ad tag that the kernel keeps beside the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// The tag's EtherType in host order: 0x8100 or 0x88a8.
    pub ethertype: u16,
    /// The tag control information in host order.
    pub tci: u16,
}

/// What stands before the bytes of each frame, in the byte order of the machine.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// CLOCK_BOOTTIME when the program ran, in nanoseconds.
    boot_nanos: u64,
    contract: u32,
    interface_index: u32,
    wire_length: u32,
    captured_length: u32,
    /// Zero when no tag was kept beside the bytes: no VLAN protocol has this EtherType.
    vlan_ethertype: u16,
    vlan_tci: u16,
    direction: u8,
    hook: u8,
    kind: u8,
    raw_ip: u8,
}

impl Header {
    /// The header of a frame of `wire_length` octets that was copied at `boot_nanos` of CLOCK_BOOTTIME, of which
    /// `captured_length` octets follow.
    #[inline(always)]
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one field, written once, by the one caller in emit.rs"
    )]
    pub const fn new(
        boot_nanos: u64,
        interface_index: u32,
        wire_length: u32,
        captured_length: u32,
        vlan: Option<VlanTag>,
        direction: Direction,
        hook: Hook,
        kind: Kind,
        raw_ip: bool,
    ) -> Self {
        let (vlan_ethertype, vlan_tci) = match vlan {
            Some(VlanTag { ethertype, tci }) => (ethertype, tci),
            None => (0, 0),
        };
        Self {
            boot_nanos,
            contract: CONTRACT,
            interface_index,
            wire_length,
            captured_length,
            vlan_ethertype,
            vlan_tci,
            direction: direction as u8,
            hook: hook as u8,
            kind: kind as u8,
            raw_ip: raw_ip as u8,
        }
    }
}

/// One record of the ring buffer, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// CLOCK_BOOTTIME when the program ran, in nanoseconds.
    pub boot_nanos: u64,
    /// The kernel's index of the interface that the frame crossed.
    pub interface_index: u32,
    /// How long the frame was, in octets, not counting a tag in `vlan`.
    pub wire_length: u32,
    /// The outermost VLAN tag where it was kept beside the bytes.
    pub vlan: Option<VlanTag>,
    /// Which way the frame went.
    pub direction: Direction,
    /// Where it was copied.
    pub hook: Hook,
    /// What it was taken for.
    pub kind: Kind,
    /// Whether the bytes begin with an IP header instead of an Ethernet header.
    pub raw_ip: bool,
    /// The bytes, at most [`FRAME_LIMIT`](crate::FRAME_LIMIT) of them.
    pub bytes: &'a [u8],
}

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// It is shorter than a header.
    Short,
    /// Another version of the programs wrote it.
    Contract(u32),
    /// It holds another number of bytes than its header says.
    Length,
    /// A field has a value that no program writes.
    Value,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Short => f.write_str("the record is shorter than its header"),
            Self::Contract(found) => {
                write!(f, "the record has layout {found}, this program reads layout {CONTRACT}")
            }
            Self::Length => f.write_str("the record's length is not what its header says"),
            Self::Value => f.write_str("the record's header has a value out of range"),
        }
    }
}

impl core::error::Error for RecordError {}

impl<'a> Record<'a> {
    /// Reads a record as it lies in the ring buffer.
    ///
    /// # Errors
    ///
    /// When the record was not written by the programs that this crate was built with.
    pub fn read(record: &'a [u8]) -> Result<Self, RecordError> {
        let (header, bytes) =
            record.split_first_chunk::<{ size_of::<Header>() }>().ok_or(RecordError::Short)?;
        let mut fields = Fields(header);
        let boot_nanos = u64::from_ne_bytes(fields.take()?);
        let contract = u32::from_ne_bytes(fields.take()?);
        if contract != CONTRACT {
            return Err(RecordError::Contract(contract));
        }
        let interface_index = u32::from_ne_bytes(fields.take()?);
        let wire_length = u32::from_ne_bytes(fields.take()?);
        let captured_length = u32::from_ne_bytes(fields.take()?);
        let ethertype = u16::from_ne_bytes(fields.take()?);
        let tci = u16::from_ne_bytes(fields.take()?);
        let [direction, hook, kind, raw_ip] = fields.take()?;
        if usize::try_from(captured_length) != Ok(bytes.len()) || captured_length > wire_length {
            return Err(RecordError::Length);
        }
        Ok(Self {
            boot_nanos,
            interface_index,
            wire_length,
            vlan: (ethertype != 0).then_some(VlanTag { ethertype, tci }),
            direction: match direction {
                0 => Direction::In,
                1 => Direction::Out,
                _ => return Err(RecordError::Value),
            },
            hook: match hook {
                0 => Hook::Tc,
                1 => Hook::Xdp,
                _ => return Err(RecordError::Value),
            },
            kind: match kind {
                0 => Kind::V4,
                1 => Kind::V6,
                2 => Kind::V4Fragment,
                3 => Kind::V6Fragment,
                _ => return Err(RecordError::Value),
            },
            raw_ip: match raw_ip {
                0 => false,
                1 => true,
                _ => return Err(RecordError::Value),
            },
            bytes,
        })
    }
}

/// The header's fields, taken off one after the other in the order in which `Header` declares them. That order has
/// no padding, which the assertion below makes sure of.
struct Fields<'a>(&'a [u8]);

const _: () = assert!(size_of::<Header>() == 8 + 4 * 4 + 2 * 2 + 4);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(RecordError::Short)?;
        self.0 = rest;
        Ok(*field)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn written(header: Header, bytes: &[u8]) -> Vec<u8> {
        // The programs hand the header's memory to the kernel as it is; its size is asserted to have no padding.
        // SAFETY: `Header` is `repr(C)`, has no padding, and every byte of it is initialised.
        let memory = unsafe {
            core::slice::from_raw_parts(core::ptr::from_ref(&header).cast::<u8>(), size_of::<Header>())
        };
        [memory, bytes].concat()
    }

    fn header(captured: u32) -> Header {
        let vlan = Some(VlanTag { ethertype: 0x88a8, tci: 0x2064 });
        Header::new(7, 3, 400, captured, vlan, Direction::Out, Hook::Xdp, Kind::V6Fragment, true)
    }

    #[test]
    fn what_a_program_writes_is_what_is_read() {
        let record = written(header(2), &[0xaa, 0xbb]);
        assert_eq!(
            Record::read(&record),
            Ok(Record {
                boot_nanos: 7,
                interface_index: 3,
                wire_length: 400,
                vlan: Some(VlanTag { ethertype: 0x88a8, tci: 0x2064 }),
                direction: Direction::Out,
                hook: Hook::Xdp,
                kind: Kind::V6Fragment,
                raw_ip: true,
                bytes: &[0xaa, 0xbb],
            })
        );
    }

    #[test]
    fn a_record_of_another_making_is_refused() {
        let good = written(header(2), &[0xaa, 0xbb]);
        for length in 0..size_of::<Header>() {
            assert_eq!(Record::read(&good[..length]), Err(RecordError::Short), "{length}");
        }
        assert_eq!(Record::read(&good[..good.len() - 1]), Err(RecordError::Length));
        assert_eq!(Record::read(&written(header(401), &[0; 401])), Err(RecordError::Length));
        for (place, error) in [
            (8, RecordError::Contract(u32::from_ne_bytes([99, 0, 0, 0]))),
            (28, RecordError::Value),
            (29, RecordError::Value),
            (30, RecordError::Value),
            (31, RecordError::Value),
        ] {
            let mut bad = good.clone();
            bad[place] = 99;
            assert_eq!(Record::read(&bad), Err(error), "octet {place}");
        }
    }
}
