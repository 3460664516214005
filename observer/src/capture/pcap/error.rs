//! What can be wrong with a capture file.

use std::io;
use std::path::PathBuf;

/// Why a capture file, or the rest of one, cannot be read. Every message is one whole line with its cause in it.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    /// The file could not be opened.
    #[error("cannot open {}: {error}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The operating system failed in the middle of the file.
    #[error("cannot read past octet {offset}, after {records} records: {error}")]
    Read {
        /// How many records were read before.
        records: u64,
        /// Where in the file the unreadable record begins.
        offset: u64,
        /// What the operating system said.
        error: io::Error,
    },
    /// It is some other kind of file.
    #[error("not a capture file (pcap or pcapng): it looks like {looks_like}")]
    NotACapture {
        /// What it is instead, as far as its first octets tell.
        looks_like: &'static str,
    },
    /// The file ends inside a record or block.
    #[error(
        "cut short after {records} records: what begins at octet {offset} needs {needed} octets and has {present}"
    )]
    Truncated {
        /// How many records were complete.
        records: u64,
        /// Where in the file the incomplete one begins.
        offset: u64,
        /// How long it says it is, as far as it can be known.
        needed: u64,
        /// How much of it is there.
        present: u64,
    },
    /// A record or block contradicts itself.
    #[error("corrupt after {records} records, at octet {offset}: {what}")]
    Corrupt {
        /// How many records were read before.
        records: u64,
        /// Where in the file the corrupt record or block begins.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// A guess at what a file is that is no capture file.
pub(super) fn looks_like(start: &[u8]) -> &'static str {
    const KNOWN: [(&[u8], &str); 18] = [
        (b"\x1f\x8b", "gzip; decompress it first (zcat FILE | dhcp-observer replay -)"),
        (b"\x28\xb5\x2f\xfd", "zstd; decompress it first (zstdcat FILE | dhcp-observer replay -)"),
        (b"\xfd7zXZ\0", "xz; decompress it first (xzcat FILE | dhcp-observer replay -)"),
        (b"BZh", "bzip2; decompress it first (bzcat FILE | dhcp-observer replay -)"),
        (b"\x04\x22\x4d\x18", "lz4; decompress it first (lz4cat FILE | dhcp-observer replay -)"),
        (b"PK\x03\x04", "a zip archive; unpack it first"),
        (b"snoop\0\0\0", "a Solaris snoop file; convert it first (editcap -F pcap)"),
        (b"GMBU", "a Microsoft Network Monitor file; convert it first (editcap -F pcap)"),
        (b"RTSS", "a Microsoft Network Monitor file; convert it first (editcap -F pcap)"),
        (
            b"\xa1\xb2\xcd\x34",
            "a big-endian file of the old \"modified\" pcap form; convert it first (editcap -F pcap)",
        ),
        (b"\xa1\xb2\x34\xcd", "a variant of pcap that is not supported; convert it first (editcap -F pcap)"),
        (b"\x0a\x0d\x0d\x0a", "pcapng with an unreadable section header"),
        (b"\xd4\xc3\xb2\xa1", "pcap, but shorter than its header"),
        (b"\xa1\xb2\xc3\xd4", "pcap, but shorter than its header"),
        (b"\x4d\x3c\xb2\xa1", "pcap, but shorter than its header"),
        (b"\xa1\xb2\x3c\x4d", "pcap, but shorter than its header"),
        (b"\x34\xcd\xb2\xa1", "pcap, but shorter than its header"),
        (b"\x7fELF", "a program"),
    ];
    if start.is_empty() {
        return "an empty file";
    }
    if let Some((_, name)) = KNOWN.iter().find(|(magic, _)| start.starts_with(magic)) {
        return name;
    }
    let text = |octet: &u8| matches!(octet, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    match start {
        [b'{' | b'[', rest @ ..] if rest.iter().all(text) => "JSON",
        _ if start.iter().all(text) => "text",
        _ if start.iter().all(|&octet| octet == 0) => "nothing but zeros",
        _ => "something else (its first octets are no known magic number)",
    }
}
