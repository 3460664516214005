//! To be written.

pub mod pcap;
