//! pcapng: sections of blocks, some of which carry packets.

use std::io::Read;

use pcap_parser::Block;

use super::error::{self, PcapError};
use super::interface::Described;
use super::{Current, Format, LONGEST, Reader, is_section_header, u32_at};
use crate::frame::Direction;
use crate::time::Timestamp;

/// More interfaces than this in one section and the file is lying.
const MOST_INTERFACES: usize = 65_536;

const INTERFACE_DESCRIPTION: u32 = 1;
/// The obsolete Packet Block, which `pcap_parser` leaves unknown.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// The option of a packet block that tells the direction among other things.
const FLAGS: u16 = 2;

impl<R: Read> Reader<R> {
    /// Reads blocks until one carries a packet.
    pub(super) fn advance_pcapng(&mut self) -> Result<bool, PcapError> {
        loop {
            if !self.have(8)? {
                return Ok(false);
            }
            if is_section_header(self.input.bytes()) {
                self.begin_section()?;
                continue;
            }
            let Format::PcapNg { big_endian, .. } = self.format else { return Ok(false) };
            let kind = u32_at(self.input.bytes(), 0, big_endian);
            let length = u32_at(self.input.bytes(), 4, big_endian);
            self.check_length(length)?;
            match kind {
                INTERFACE_DESCRIPTION | PACKET | SIMPLE_PACKET | ENHANCED_PACKET => {
                    if u64::from(length) > LONGEST {
                        return Err(
                            self.corrupt(format!("a block of {length} octets, where {LONGEST} are the most"))
                        );
                    }
                    self.have(length as usize)?;
                    if self.take_block(length as usize, big_endian)? {
                        return Ok(true);
                    }
                }
                _ => {
                    let offset = self.input.offset();
                    let needed = u64::from(length);
                    let present = self.input.skip(needed).map_err(|error| self.unreadable(error))?;
                    if present < needed {
                        return Err(PcapError::Truncated {
                            records: self.counts.records,
                            offset,
                            needed,
                            present,
                        });
                    }
                    self.counts.other_blocks += 1;
                }
            }
        }
    }

    fn begin_section(&mut self) -> Result<(), PcapError> {
        self.have(12)?;
        let Some(now_big) = byte_order(self.input.bytes()) else {
            return Err(self.not_ours("a section header without its byte-order magic"));
        };
        let length = u32_at(self.input.bytes(), 4, now_big);
        self.check_length(length)?;
        if u64::from(length) > LONGEST {
            return Err(self.corrupt(format!("a section header of {length} octets")));
        }
        self.have(length as usize)?;
        let block = self.input.bytes().get(..length as usize).unwrap_or_default();
        let version = match pcap_parser::parse_sectionheaderblock(block) {
            Ok((_, header)) => (header.major_version, header.minor_version),
            Err(_) => return Err(self.not_ours("an unreadable section header")),
        };
        if version.0 != 1 {
            return Err(self.corrupt(format!(
                "a section of pcapng version {}.{}; only 1 is known",
                version.0, version.1
            )));
        }
        self.input.consume(length as usize);
        self.by_index.clear();
        if let Format::PcapNg { big_endian, interfaces } = &mut self.format {
            *big_endian = now_big;
            interfaces.clear();
        }
        Ok(())
    }

    /// Reads the block at the beginning of the window, which holds all of it; `true` when it carries a packet.
    fn take_block(&mut self, length: usize, big_endian: bool) -> Result<bool, PcapError> {
        let Format::PcapNg { interfaces, .. } = &mut self.format else { return Ok(false) };
        let block = self.input.bytes().get(..length).unwrap_or_default();
        let parse = if big_endian { pcap_parser::parse_block_be } else { pcap_parser::parse_block_le };
        // The whole block is there, so "incomplete" means that a length inside it points past its end.
        let Ok((_, parsed)) = parse(block) else {
            return Err(self.corrupt("a block whose inner lengths do not fit".to_owned()));
        };
        let (number, high, low, wire_length, bytes, flags) = match &parsed {
            Block::InterfaceDescription(description) => {
                if interfaces.len() >= MOST_INTERFACES {
                    return Err(self.corrupt(format!("more than {MOST_INTERFACES} interfaces")));
                }
                interfaces.push(Described::from_block(description, big_endian));
                self.input.consume(length);
                return Ok(false);
            }
            Block::EnhancedPacket(packet) => {
                let flags = packet.options.iter().find(|option| option.code.0 == FLAGS);
                let flags = flags.and_then(|option| option.as_bytes().ok());
                let flags =
                    flags.filter(|value| value.len() == 4).map_or(0, |value| u32_at(value, 0, big_endian));
                let bytes = 28..28 + packet.data.len().min(packet.caplen as usize);
                (packet.if_id as usize, packet.ts_high, packet.ts_low, packet.origlen, bytes, flags)
            }
            Block::SimplePacket(packet) => {
                let snap = interfaces.first().map_or(0, |interface| interface.snap_length);
                let limit = if snap == 0 { packet.origlen } else { snap.min(packet.origlen) };
                (0, 0, 0, packet.origlen, 12..12 + packet.data.len().min(limit as usize), 0)
            }
            Block::Unknown(_) if length >= 32 => {
                // Its interface is a u16 followed by a count of drops; the rest is laid out as in an enhanced one.
                let number = u32_at(block, 8, big_endian);
                let number = if big_endian { number >> 16 } else { number & 0xffff };
                let [high, low, captured, wire] = [12, 16, 20, 24].map(|at| u32_at(block, at, big_endian));
                if captured as usize > length - 32 {
                    return Err(self.corrupt("a block whose inner lengths do not fit".to_owned()));
                }
                (number as usize, high, low, wire, 28..28 + captured as usize, 0)
            }
            _ => return Err(self.corrupt("a packet block shorter than its header".to_owned())),
        };
        let Some(interface) = interfaces.get(number) else {
            return Err(
                self.corrupt(format!("a packet on interface {number}, which the section does not describe"))
            );
        };
        self.current = Current {
            length,
            // A simple packet block has no time stamp at all; an offset of the interface must not become one.
            at: if matches!(parsed, Block::SimplePacket(_)) {
                Timestamp::EPOCH
            } else {
                interface.moment(high, low)
            },
            direction: match flags & 3 {
                1 => Direction::In,
                2 => Direction::Out,
                _ => Direction::Unknown,
            },
            link_type: interface.link_type,
            wire_length: bytes.len().max(wire_length as usize),
            bytes,
            number,
            by_index: false,
        };
        Ok(true)
    }

    fn check_length(&self, length: u32) -> Result<(), PcapError> {
        if length < 12 || !length.is_multiple_of(4) {
            return Err(self.corrupt(format!("a block that says it is {length} octets long")));
        }
        Ok(())
    }

    /// A broken section header is a corrupt file, unless it is the first thing in it: then it is another kind of file.
    #[cold]
    fn not_ours(&self, what: &str) -> PcapError {
        match self.input.offset() {
            0 => PcapError::NotACapture { looks_like: error::looks_like(self.input.bytes()) },
            _ => self.corrupt(what.to_owned()),
        }
    }
}

/// Whether the section header at the beginning of `bytes` is big-endian.
fn byte_order(bytes: &[u8]) -> Option<bool> {
    match bytes.get(8..12)? {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(true),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(false),
        _ => None,
    }
}
