//! Capture files as lists of frames.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{LegacyPcapReader, PcapBlockOwned, PcapError};

/// One captured Ethernet frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// When it passed, in seconds since the Unix epoch.
    pub at: f64,
    /// Its bytes, from the Ethernet header on.
    pub bytes: Vec<u8>,
}

/// The frames of a classic pcap file of link type Ethernet.
pub fn read_frames(path: &Path) -> Result<Vec<Frame>> {
    let name = || path.display().to_string();
    let file = File::open(path).with_context(name)?;
    let mut reader = LegacyPcapReader::new(1 << 16, file)
        .map_err(|error| anyhow::anyhow!("{}: not a classic pcap file: {error:?}", path.display()))?;
    let (mut frames, mut fraction) = (Vec::new(), 1e-6);
    loop {
        match reader.next() {
            Ok((consumed, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) if header.network.0 != 1 => {
                        bail!("{}: link type {} is not Ethernet", name(), header.network.0)
                    }
                    PcapBlockOwned::LegacyHeader(header) => {
                        fraction = if header.is_nanosecond_precision() { 1e-9 } else { 1e-6 };
                    }
                    PcapBlockOwned::Legacy(block) => frames.push(Frame {
                        at: f64::from(block.ts_sec) + f64::from(block.ts_usec) * fraction,
                        bytes: block.data.to_vec(),
                    }),
                    PcapBlockOwned::NG(_) => bail!("{}: a pcapng block in a classic pcap file", name()),
                }
                reader.consume(consumed);
            }
            Err(PcapError::Eof) => return Ok(frames),
            Err(PcapError::Incomplete(_)) => {
                reader.refill().map_err(|error| anyhow::anyhow!("{}: {error:?}", path.display()))?;
            }
            Err(error) => bail!("{}: {error:?}", name()),
        }
    }
}

/// Writes a classic pcap file of link type Ethernet.
pub fn write_frames(path: &Path, frames: &[Frame]) -> Result<()> {
    let mut bytes = Vec::new();
    // Magic number for microseconds, version 2.4, no time zone, the longest frame, Ethernet.
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 1 << 18, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for Frame { at, bytes: frame } in frames {
        let (seconds, microseconds) = (at.trunc() as u32, (at.fract() * 1e6) as u32);
        let length = u32::try_from(frame.len())?;
        for word in [seconds, microseconds, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}
