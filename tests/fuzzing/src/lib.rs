//! What holds whatever the bytes are. Each module is the body of one fuzz target: it takes any bytes at all, and panics
//! when something does not hold.
//!
//! `tests/fuzz` hands these functions to cargo-fuzz; `tests/corpora.rs` here replays the corpora through the very same
//! ones on stable Rust; `src/bin/seeds.rs` makes the first corpora from captures.

pub mod bytes;
pub mod dhcpv4;
pub mod dhcpv6;
pub mod dissect;
pub mod kea_config;
pub mod lease_file;
pub mod model;
pub mod pcap;
pub mod rendered;
pub mod tracker;

/// The body of a fuzz target.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also the name of its corpus.
pub const TARGETS: [(&str, Target); 7] = [
    ("dissect", dissect::run),
    ("dhcpv4", dhcpv4::run),
    ("dhcpv6", dhcpv6::run),
    ("tracker", tracker::run),
    ("kea_config", kea_config::run),
    ("lease_file", lease_file::run),
    ("pcap", pcap::run),
];
