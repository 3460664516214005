//! Frames from a capture file: pcap and pcapng, whatever their byte order and resolution.
//!
//! The reader streams: it holds one record at a time, however long the file. It passes time stamps on as they are,
//! backwards too; clamping them is the driver's business. A file that is damaged in the middle yields every record
//! before the damage, then one error, then the end.

mod error;
mod input;
mod interface;
mod sections;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use pcap_parser::{LegacyPcapBlock, PcapHeader};

use crate::frame::{Direction, Frame, Interface, LinkType};
use crate::time::Timestamp;

pub use error::PcapError;
use input::Input;
use interface::{ByIndex, Described, link_type};

/// The longest record or block that is taken into memory. No frame is near it: it bounds what a lying length costs.
const LONGEST: u64 = 16 * 1024 * 1024;
/// The snap length that capture programs never exceed (libpcap's MAXIMUM_SNAPLEN).
const SNAP_LENGTH: u32 = 262_144;

/// One record of a capture file: a frame and what the file says about it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When the frame passed; the epoch when the file does not say (simple packet blocks).
    pub at: Timestamp,
    /// Which way it went, by the flags of the packet block or the packet type of a cooked capture.
    pub direction: Direction,
    /// How its bytes begin, or the number of a link type that is not supported.
    pub link_type: Result<LinkType, u32>,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// How long the frame was on the wire.
    pub wire_length: usize,
    /// Where it was seen: the name is the file's, the index is known only from an SLL2 header.
    pub file_interface: &'a Arc<Interface>,
}

impl<'a> Record<'a> {
    /// The record as every source yields it, or the number of its unsupported link type.
    ///
    /// `interface` replaces the one that the file names, where the caller knows better.
    pub fn frame(&self, interface: Option<&'a Arc<Interface>>) -> Result<Frame<'a>, u32> {
        Ok(Frame {
            at: self.at,
            interface: interface.unwrap_or(self.file_interface),
            direction: self.direction,
            link_type: self.link_type?,
            metadata_tag: None,
            bytes: self.bytes,
            wire_length: self.wire_length,
        })
    }
}

/// What has been read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records handed out.
    pub records: u64,
    /// Blocks of a pcapng file that carry no packet and were skipped: statistics, names, secrets, unknown ones.
    pub other_blocks: u64,
    /// Records whose link type is not supported (a part of `records`).
    pub unsupported_link: u64,
}

/// Reads a capture file record by record.
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<R>,
    format: Format,
    by_index: ByIndex,
    current: Current,
    counts: Counts,
    ended: bool,
}

#[derive(Debug)]
enum Format {
    Pcap { header: PcapHeader, longest: u32, interface: Arc<Interface> },
    PcapNg { big_endian: bool, interfaces: Vec<Described> },
}

/// The record that was handed out last, as a place in the window; it is left behind before the next one is read.
#[derive(Debug)]
struct Current {
    /// Octets of the whole record or block.
    length: usize,
    at: Timestamp,
    direction: Direction,
    link_type: Result<LinkType, u32>,
    bytes: Range<usize>,
    wire_length: usize,
    /// Which interface of the section; 0 in a pcap file.
    number: usize,
    /// Whether the interface is the one that [`ByIndex`] selected.
    by_index: bool,
}

impl Reader<File> {
    /// Opens a capture file.
    pub fn open(path: &Path) -> Result<Self, PcapError> {
        let open = |error| PcapError::Open { path: path.to_owned(), error };
        let file = File::open(path).map_err(open)?;
        // A directory can be opened, and says what it is only when it is read.
        if file.metadata().map_err(open)?.is_dir() {
            return Err(open(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        Self::new(file)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the beginning of a capture from any stream; it needs no buffer of its own.
    pub fn new(reader: R) -> Result<Self, PcapError> {
        let mut input = Input::new(reader);
        let read = |error| PcapError::Read { records: 0, offset: 0, error };
        input.fill(24).map_err(read)?;
        let format = match pcap_parser::parse_pcap_header(input.bytes()) {
            Ok((_, header)) => {
                input.consume(header.size());
                // A header that claims no or an absurd snap length must not turn a corrupt length into a huge read.
                let longest = header.snaplen.clamp(SNAP_LENGTH, LONGEST as u32);
                let interface = Arc::new(Interface { index: None, name: String::new() });
                Format::Pcap { header, longest, interface }
            }
            // The section header is read like every other block: it is the first one.
            Err(_) if is_section_header(input.bytes()) => {
                Format::PcapNg { big_endian: false, interfaces: Vec::new() }
            }
            Err(_) => return Err(PcapError::NotACapture { looks_like: error::looks_like(input.bytes()) }),
        };
        let current = Current {
            length: 0,
            at: Timestamp::EPOCH,
            direction: Direction::Unknown,
            link_type: Err(0),
            bytes: 0..0,
            wire_length: 0,
            number: 0,
            by_index: false,
        };
        Ok(Self {
            input,
            format,
            by_index: ByIndex::default(),
            current,
            counts: Counts::default(),
            ended: false,
        })
    }

    /// The next record, or `None` at the end of the file. After an error there is only the end.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, PcapError> {
        match self.advance() {
            Ok(true) => Ok(self.record()),
            Ok(false) => {
                self.ended = true;
                Ok(None)
            }
            Err(error) => {
                self.ended = true;
                Err(error)
            }
        }
    }

    /// What has been read so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether records of different interfaces can still come: false only for a pcap file that is no SLL2 capture.
    pub fn several_taps(&self) -> bool {
        match &self.format {
            Format::Pcap { header, .. } => link_type(network(header)) == Ok(LinkType::LinuxSll2),
            Format::PcapNg { .. } => true,
        }
    }

    fn record(&self) -> Option<Record<'_>> {
        let current = &self.current;
        let interface = match &self.format {
            _ if current.by_index => self.by_index.last()?,
            Format::Pcap { interface, .. } => interface,
            Format::PcapNg { interfaces, .. } => &interfaces.get(current.number)?.interface,
        };
        Some(Record {
            at: current.at,
            direction: current.direction,
            link_type: current.link_type,
            bytes: self.input.bytes().get(current.bytes.clone())?,
            wire_length: current.wire_length,
            file_interface: interface,
        })
    }

    /// Makes the next record the current one; `false` at the end of the file.
    fn advance(&mut self) -> Result<bool, PcapError> {
        if self.ended {
            return Ok(false);
        }
        self.input.consume(self.current.length);
        self.current.length = 0;
        let found = match self.format {
            Format::Pcap { .. } => self.advance_pcap()?,
            Format::PcapNg { .. } => self.advance_pcapng()?,
        };
        if found {
            self.look_into_cooked_header();
            self.counts.records += 1;
            self.counts.unsupported_link += u64::from(self.current.link_type.is_err());
        }
        Ok(found)
    }

    fn advance_pcap(&mut self) -> Result<bool, PcapError> {
        let Format::Pcap { header, longest, .. } = &self.format else { return Ok(false) };
        let big_endian = header.is_bigendian();
        let prefix: usize = if header.is_modified_format() { 24 } else { 16 };
        let nanoseconds_per_fraction = if header.is_nanosecond_precision() { 1 } else { 1000 };
        let (longest, link_type) = (*longest, link_type(network(header)));
        if !self.have(prefix)? {
            return Ok(false);
        }
        let captured = u32_at(self.input.bytes(), 8, big_endian);
        if captured > longest {
            return Err(self.corrupt(format!("a frame of {captured} octets, where {longest} are the most")));
        }
        self.have(prefix + captured as usize)?;
        let parsed = match (prefix, big_endian) {
            (24, _) => pcap_parser::parse_pcap_frame_modified(self.input.bytes()),
            (_, true) => pcap_parser::parse_pcap_frame_be(self.input.bytes()),
            (_, false) => pcap_parser::parse_pcap_frame(self.input.bytes()),
        };
        let Ok((_, LegacyPcapBlock { ts_sec, ts_usec, origlen, data, .. })) = parsed else {
            return Err(self.corrupt("an unreadable record".to_owned()));
        };
        let nanos = i64::from(ts_sec) * 1_000_000_000 + i64::from(ts_usec) * nanoseconds_per_fraction;
        self.current = Current {
            length: prefix + data.len(),
            at: Timestamp::from_nanos(nanos),
            direction: Direction::Unknown,
            link_type,
            bytes: prefix..prefix + data.len(),
            wire_length: data.len().max(origlen as usize),
            number: 0,
            by_index: false,
        };
        Ok(true)
    }

    /// Takes from a cooked header what belongs to the record: the direction, and in SLL2 the kernel's interface.
    fn look_into_cooked_header(&mut self) {
        let bytes = self.input.bytes().get(self.current.bytes.clone()).unwrap_or_default();
        let (packet_type, index) = match (self.current.link_type, bytes) {
            (Ok(LinkType::LinuxSll), [_, packet_type, ..]) => (*packet_type, None),
            (Ok(LinkType::LinuxSll2), [_, _, _, _, a, b, c, d, _, _, packet_type, ..]) => {
                (*packet_type, Some(u32::from_be_bytes([*a, *b, *c, *d])))
            }
            _ => return,
        };
        if self.current.direction == Direction::Unknown {
            self.current.direction = if packet_type == 4 { Direction::Out } else { Direction::In };
        }
        if let Some(index) = index {
            let number = self.current.number;
            let file_interface = match &self.format {
                Format::Pcap { interface, .. } => Some(interface),
                Format::PcapNg { interfaces, .. } => {
                    interfaces.get(number).map(|described| &described.interface)
                }
            };
            if let Some(file_interface) = file_interface {
                self.by_index.select(number, index, file_interface);
                self.current.by_index = true;
            }
        }
    }

    /// Brings `count` octets of the current record into the window; `false` at a clean end of the file.
    #[inline]
    fn have(&mut self, count: usize) -> Result<bool, PcapError> {
        match self.input.fill(count) {
            Ok(true) => Ok(true),
            Ok(false) if self.input.bytes().is_empty() => Ok(false),
            Ok(false) => Err(PcapError::Truncated {
                records: self.counts.records,
                offset: self.input.offset(),
                needed: count as u64,
                present: self.input.bytes().len() as u64,
            }),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    #[cold]
    fn unreadable(&self, error: io::Error) -> PcapError {
        PcapError::Read { records: self.counts.records, offset: self.input.offset(), error }
    }

    #[cold]
    fn corrupt(&self, what: String) -> PcapError {
        PcapError::Corrupt { records: self.counts.records, offset: self.input.offset(), what }
    }
}

/// The link type of a pcap file; the upper six bits of the field tell about the frame check sequence.
fn network(header: &PcapHeader) -> u32 {
    header.network.0.cast_unsigned() & 0x03ff_ffff
}

fn is_section_header(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
}

#[inline]
fn u32_at(bytes: &[u8], at: usize, big_endian: bool) -> u32 {
    let octets = bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    if big_endian { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) }
}
