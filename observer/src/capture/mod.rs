//! Where frames come from: the kernel's interfaces or a capture file. Effects live here; what a frame means does not.

pub mod check;
pub mod counters;
pub mod gap;
pub mod live;
pub mod pcap;
pub mod pin;

mod attach;
mod clsact;
mod interfaces;
mod needs;
pub(crate) mod netlink;
mod promiscuous;
mod reader;
mod rewind;
