//! What a pcapng file says about an interface, and the interfaces that frames are attributed to.

use std::collections::HashMap;
use std::sync::Arc;

use pcap_parser::{InterfaceDescriptionBlock, OptionCode};

use crate::frame::{Interface, LinkType};
use crate::time::Timestamp;

/// How ticks of a pcapng time stamp become nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    /// A tick is so many nanoseconds.
    Nanoseconds(u64),
    /// So many ticks make a nanosecond.
    PerNanosecond(u128),
    /// Two to this power ticks make a second.
    PowerOfTwo(u8),
}

impl Tick {
    /// From the option `if_tsresol`.
    fn from_option(resolution: u8) -> Self {
        let exponent = resolution & 0x7f;
        if resolution & 0x80 != 0 {
            return Self::PowerOfTwo(exponent);
        }
        match exponent.checked_sub(9) {
            None | Some(0) => Self::Nanoseconds(10_u64.pow(u32::from(9 - exponent))),
            Some(finer) => Self::PerNanosecond(10_u128.checked_pow(u32::from(finer)).unwrap_or(u128::MAX)),
        }
    }

    /// `ticks` of this size in nanoseconds, rounded down.
    #[inline]
    fn nanoseconds(self, ticks: u64) -> i128 {
        let wide = u128::from(ticks);
        let nanos = match self {
            Self::Nanoseconds(size) => wide * u128::from(size),
            Self::PerNanosecond(ticks) => wide / ticks,
            // Below 2^64 ticks times 10^9 there are at most 94 bits, and the exponent is at most 127.
            Self::PowerOfTwo(exponent) => (wide * 1_000_000_000) >> exponent,
        };
        i128::try_from(nanos).unwrap_or(i128::MAX)
    }
}

/// An interface of a capture file: its link type, its clock and its name.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) link_type: Result<LinkType, u32>,
    /// The most octets of a frame that were captured; 0 means no limit.
    pub(super) snap_length: u32,
    pub(super) interface: Arc<Interface>,
    tick: Tick,
    offset_seconds: i64,
}

impl Described {
    /// What an interface description block says.
    ///
    /// The options are read here because `pcap_parser` 0.17 refuses every resolution that is a power of two and reads
    /// a big-endian `if_tsoffset` as little-endian.
    pub(super) fn from_block(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        let option = |code| block.options.iter().find(|option| option.code == code)?.as_bytes().ok();
        let name =
            option(OptionCode::IfName).map(|name| name.split(|&octet| octet == 0).next().unwrap_or_default());
        let resolution = option(OptionCode::IfTsresol).and_then(|value| value.first().copied()).unwrap_or(6);
        let offset = option(OptionCode::IfTsoffset).and_then(|value| <[u8; 8]>::try_from(value).ok());
        Self {
            link_type: link_type(u32::try_from(block.linktype.0).unwrap_or(u32::MAX)),
            snap_length: block.snaplen,
            interface: Arc::new(Interface {
                index: None,
                name: String::from_utf8_lossy(name.unwrap_or_default()).into_owned(),
            }),
            tick: Tick::from_option(resolution),
            offset_seconds: offset.map_or(0, |octets| {
                if big_endian { i64::from_be_bytes(octets) } else { i64::from_le_bytes(octets) }
            }),
        }
    }

    /// The moment of a pcapng time stamp.
    #[inline]
    pub(super) fn moment(&self, high: u32, low: u32) -> Timestamp {
        let ticks = u64::from(high) << 32 | u64::from(low);
        let nanos =
            self.tick.nanoseconds(ticks).saturating_add(i128::from(self.offset_seconds) * 1_000_000_000);
        let clamped = nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp::from_nanos(i64::try_from(clamped).unwrap_or(i64::MAX))
    }
}

/// The link types that can be dissected, by their numbers on <https://www.tcpdump.org/linktypes.html>.
pub(super) fn link_type(number: u32) -> Result<LinkType, u32> {
    match number {
        1 => Ok(LinkType::Ethernet),
        113 => Ok(LinkType::LinuxSll),
        276 => Ok(LinkType::LinuxSll2),
        // 12 and 14 are DLT_RAW of the BSDs, which old programs wrote into files unchanged.
        12 | 14 | 101 | 228 | 229 => Ok(LinkType::RawIp),
        other => Err(other),
    }
}

/// Frames of an SLL2 capture name the interface by its index, so one interface of the file becomes several.
#[derive(Debug, Default)]
pub(super) struct ByIndex {
    known: HashMap<(usize, u32), Arc<Interface>>,
    last: Option<((usize, u32), Arc<Interface>)>,
}

impl ByIndex {
    /// More interfaces than a host has; past that the file is lying and its frames go to the file's own interface.
    const LIMIT: usize = 4096;

    /// Makes the kernel's interface `index`, seen on interface `number` of the file, the one that [`Self::last`] tells.
    pub(super) fn select(&mut self, number: usize, index: u32, file_interface: &Arc<Interface>) {
        let key = (number, index);
        if self.last.as_ref().is_some_and(|(last, _)| *last == key) {
            return;
        }
        let interface = if let Some(known) = self.known.get(&key) {
            Arc::clone(known)
        } else if self.known.len() < Self::LIMIT {
            let new = Arc::new(Interface { index: Some(index), name: file_interface.name.clone() });
            self.known.insert(key, Arc::clone(&new));
            new
        } else {
            Arc::clone(file_interface)
        };
        self.last = Some((key, interface));
    }

    /// The interface that was selected last.
    pub(super) fn last(&self) -> Option<&Arc<Interface>> {
        self.last.as_ref().map(|(_, interface)| interface)
    }

    /// Forgets the numbers, which a new section of the file gives out again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resolution_becomes_nanoseconds() {
        for (resolution, ticks, nanoseconds) in [
            (0, 7, 7_000_000_000),
            (3, 7, 7_000_000),
            (6, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
            (9, 5, 5),
            (12, 5_999, 5),
            (127, u64::MAX, 0),
            (0x80, 3, 3_000_000_000),
            (0x80 | 10, 1536, 1_500_000_000),
            (0x80 | 20, 1 << 19, 500_000_000),
            (0x80 | 127, u64::MAX, 0),
            (0, u64::MAX, i128::from(u64::MAX) * 1_000_000_000),
        ] {
            assert_eq!(
                Tick::from_option(resolution).nanoseconds(ticks),
                nanoseconds,
                "resolution {resolution:#x}"
            );
        }
    }
}
