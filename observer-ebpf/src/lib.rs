//! The contract between the eBPF programs and user space, and the built programs themselves.
//!
//! This crate has no dependencies on either side. It is the only place that knows how a ring-buffer record is laid
//! out, what the counters are called and which names the loader must use. On the host it also carries [`OBJECT`], the
//! committed result of `cargo xtask ebpf`, so that a plain `cargo build` needs neither clang nor a nightly compiler.
#![no_std]

mod counter;
mod record;

pub use counter::{COUNTER_COUNT, Counter};
pub use record::{Direction, Header, Hook, Kind, Record, RecordError, VlanTag};

/// The longest piece of a frame that is copied to user space, in octets: a jumbo frame of 9,000 octets with its
/// headers and tags. A longer frame (a GSO super-packet, say) is cut to this length and counted as truncated.
pub const FRAME_LIMIT: usize = 9_216;

/// The size of the ring buffer unless user space asks for another, in octets. About 10,000 ordinary DHCP frames.
pub const RING_BYTES: u32 = 4 * 1024 * 1024;

/// How many fragmented DHCP datagrams can be followed at once.
pub const FRAGMENT_LIMIT: u32 = 4_096;

/// For how long, in nanoseconds, a later fragment belongs to the first fragment of the same identification: the
/// reassembly time of RFC 8200 section 4.5, and more than Linux gives an IPv4 datagram. After it, the identification
/// may have been used again by a datagram that has nothing to do with DHCP.
pub const FRAGMENT_LIFETIME: u64 = 60_000_000_000;

/// The names of the maps, as the loader asks for them.
pub mod maps {
    /// The ring buffer of [`Record`](super::Record)s.
    pub const RING: &str = "RING";
    /// The per-CPU array whose only element is `[u64; COUNTER_COUNT]`, indexed by [`Counter`](super::Counter).
    pub const COUNTERS: &str = "COUNTERS";
    /// The log lines of aya-log.
    pub const LOG_RING: &str = "AYA_LOGS";
}

/// The names of the programs. A clsact filter carries its program's name, which is how the filters that a killed
/// observer left behind are recognised as ours.
pub mod programs {
    /// TC, frames that arrive, with an Ethernet header.
    pub const IN: &str = "dhcp_observer_in";
    /// TC, frames that leave, with an Ethernet header.
    pub const OUT: &str = "dhcp_observer_out";
    /// TC, packets that arrive on an interface without a link-layer header (tun, WireGuard, PPP).
    pub const RAW_IN: &str = "dhcp_observer_raw_in";
    /// TC, packets that leave by an interface without a link-layer header.
    pub const RAW_OUT: &str = "dhcp_observer_raw_out";
    /// XDP, frames that arrive, with an Ethernet header.
    pub const XDP: &str = "dhcp_observer_xdp";
    /// TC, does nothing: what the others' cost is measured against.
    pub const EMPTY: &str = "dhcp_observer_empty";
    /// Every program that may be attached to an interface through a clsact qdisc.
    pub const FILTERS: [&str; 4] = [IN, OUT, RAW_IN, RAW_OUT];
}

/// The names of the globals that user space may set before loading.
pub mod globals {
    /// A `u8`: 0 is silent, 1 to 5 are error, warn, info, debug and trace.
    pub const LOG_LEVEL: &str = "AYA_LOG_LEVEL";
}

/// The eBPF object, aligned so that its ELF structures can be read in place.
///
/// The file is the committed `dhcp-observer.bpf.o` of this package, or the one that the environment variable
/// `DHCP_OBSERVER_EBPF_OBJECT` named when this crate was compiled, by which CI tests an object fresh from source.
#[cfg(not(target_arch = "bpf"))]
pub static OBJECT: &[u8] = {
    #[repr(C, align(64))]
    struct Aligned<Bytes: ?Sized>(Bytes);
    static ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("DHCP_OBSERVER_EBPF_OBJECT")));
    &ALIGNED.0
};
