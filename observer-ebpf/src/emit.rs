//! What the programs give to user space: counters, records and log lines.

use aya_ebpf::helpers::{bpf_ktime_get_boot_ns, bpf_ringbuf_output};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_log_ebpf::{debug, warn};
use dhcp_observer_ebpf::{COUNTER_COUNT, Counter, Direction, FRAME_LIMIT, Header, Kind, RING_BYTES};

use crate::filter::Start;
use crate::packet::Packet;

#[map]
static RING: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

#[map]
static COUNTERS: PerCpuArray<[u64; COUNTER_COUNT]> = PerCpuArray::with_max_entries(1, 0);

/// A record under construction. It is too large for the stack, and the ring buffer can only reserve a length that
/// the verifier knows; so each CPU builds its records here and hands them over in their true length.
#[repr(C)]
struct Scratch {
    header: Header,
    bytes: [u8; FRAME_LIMIT],
}

#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// Counts one. Each CPU has its own array and a program is not interrupted by another on the same CPU, so a plain
/// addition is enough.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: the pointer is to this CPU's element, and the index is within the array by construction.
        unsafe { (*counters.cast::<u64>().add(counter.index())) += 1 }
    }
}

/// The length that is captured of a packet of `length` octets: at least one and at most [`FRAME_LIMIT`].
///
/// It is written in the machine's own words because the verifier must see the bounds on the very register that goes
/// to the helpers. The compiler is free to compare a copy, and turns "at least one" into "not zero", from which
/// kernels before 6.8 learn nothing. An empty packet, which cannot be here, makes the copy fail.
#[inline(always)]
fn limit(length: u64) -> u64 {
    let mut limited = length;
    // SAFETY: the instructions touch nothing but the register that they are given.
    unsafe {
        core::arch::asm!(
            "if {length} <= {most} goto +1",
            "{length} = {most}",
            "if {length} >= 1 goto +1",
            "{length} = 1",
            length = inout(reg) limited,
            most = const FRAME_LIMIT,
            options(pure, nomem, nostack),
        );
    }
    limited
}

/// Copies a packet to the ring buffer, or counts why not.
#[inline(always)]
pub fn take<P: Packet>(packet: &P, start: Start, direction: Direction, kind: Kind) {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return };
    let wire_length = packet.length();
    let captured_length = limit(wire_length);
    // SAFETY: the element is this CPU's own, and the length was just limited to the size of `bytes`.
    let copied = unsafe { packet.copy(0, (&raw mut (*scratch).bytes).cast(), captured_length as u32) };
    if !copied {
        count(Counter::Unreadable);
        return;
    }
    // SAFETY: takes no arguments and touches no memory.
    let boot_nanos = unsafe { bpf_ktime_get_boot_ns() };
    let header = Header::new(
        boot_nanos,
        packet.interface_index(),
        wire_length as u32,
        captured_length as u32,
        packet.vlan(),
        direction,
        P::HOOK,
        kind,
        start == Start::Ip,
    );
    // SAFETY: as above.
    unsafe { (&raw mut (*scratch).header).write(header) };
    let record_length = size_of::<Header>() as u64 + captured_length;
    // SAFETY: the record is within the element: its header and at most FRAME_LIMIT octets.
    let result =
        unsafe { bpf_ringbuf_output((&raw const RING).cast_mut().cast(), scratch.cast(), record_length, 0) };
    if result < 0 {
        count(Counter::Lost);
        warn!(
            packet,
            "interface {}: a frame of {} octets was lost, the ring buffer is full",
            packet.interface_index(),
            wire_length
        );
        return;
    }
    count(match kind {
        Kind::V4 => Counter::TakenV4,
        Kind::V6 => Counter::TakenV6,
        Kind::V4Fragment => Counter::TakenV4Fragment,
        Kind::V6Fragment => Counter::TakenV6Fragment,
    });
    if captured_length < wire_length {
        count(Counter::Truncated);
    }
    debug!(packet, "interface {}: took a frame of {} octets", packet.interface_index(), wire_length);
}
