//! Which fragmented datagrams are DHCP: only the first fragment has the ports, so it is remembered for the others.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use dhcp_observer_ebpf::{Counter, Direction, FRAGMENT_LIFETIME, FRAGMENT_LIMIT};

use crate::emit;

/// What all fragments of a datagram have in common, and where they were seen: a bridge and its port each see the
/// whole datagram, and each must take its own fragments.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Datagram {
    source: [u8; 16],
    destination: [u8; 16],
    identification: u32,
    interface_index: u32,
    version: u32,
    direction: u32,
}

impl Datagram {
    /// Of IPv4. The protocol is UDP for every datagram that is looked up here.
    #[inline(always)]
    pub fn v4(
        source: [u8; 4],
        destination: [u8; 4],
        identification: u16,
        interface_index: u32,
        direction: Direction,
    ) -> Self {
        let wide = |[a, b, c, d]: [u8; 4]| [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Self {
            source: wide(source),
            destination: wide(destination),
            identification: u32::from(identification),
            interface_index,
            version: 4,
            direction: direction as u32,
        }
    }

    /// Of IPv6, from its fixed header.
    #[inline(always)]
    pub fn v6(header: &[u8; 40], identification: u32, interface_index: u32, direction: Direction) -> Self {
        let mut source = [0; 16];
        let mut destination = [0; 16];
        source.copy_from_slice(&header[8..24]);
        destination.copy_from_slice(&header[24..40]);
        Self { source, destination, identification, interface_index, version: 6, direction: direction as u32 }
    }
}

/// DHCP datagrams of which the first fragment was seen, and when (CLOCK_BOOTTIME, nanoseconds).
#[map]
static FRAGMENTS: LruHashMap<Datagram, u64> = LruHashMap::with_max_entries(FRAGMENT_LIMIT, 0);

/// Datagrams of which a later fragment was seen and the first was not, and when. Most of these are not DHCP and
/// are never asked for again; they have a map of their own so that they cannot push out what matters.
#[map]
static EARLY: LruHashMap<Datagram, u64> = LruHashMap::with_max_entries(FRAGMENT_LIMIT, 0);

/// Remembers a DHCP datagram by its first fragment, and counts it when a later one has already gone by.
#[inline(always)]
pub fn remember(datagram: &Datagram) {
    let now = boot_nanos();
    if is_fresh(&EARLY, datagram, now) {
        emit::count(Counter::Overtaken);
        // A retransmission of the first fragment must not count the same loss again.
        let _ = EARLY.remove(datagram);
    }
    // With the map full the kernel gives up the entry that was used longest ago, so this only fails under
    // contention; the later fragments are then passed by, and counted by whoever misses them in reassembly.
    let _ = FRAGMENTS.insert(datagram, now, 0);
}

/// Whether a later fragment belongs to a DHCP datagram. One that does not is noted, in case it came too early.
#[inline(always)]
pub fn is_remembered(datagram: &Datagram) -> bool {
    let now = boot_nanos();
    let remembered = is_fresh(&FRAGMENTS, datagram, now);
    if !remembered {
        let _ = EARLY.insert(datagram, now, 0);
    }
    remembered
}

#[inline(always)]
fn is_fresh(map: &LruHashMap<Datagram, u64>, datagram: &Datagram, now: u64) -> bool {
    // SAFETY: the value is a u64, which the kernel replaces as a whole; the element stays readable until the program
    // ends.
    unsafe { map.get(datagram) }.is_some_and(|seen| now.wrapping_sub(*seen) < FRAGMENT_LIFETIME)
}

#[inline(always)]
fn boot_nanos() -> u64 {
    // SAFETY: takes no arguments and touches no memory.
    unsafe { bpf_ktime_get_boot_ns() }
}
