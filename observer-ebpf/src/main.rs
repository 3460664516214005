//! The eBPF programs: one entry point per hook and direction.
//!
//! Every program ends with "carry on" whatever it found: `TC_ACT_UNSPEC`, which is also TCX_NEXT, lets the next
//! program of the chain decide, where `TC_ACT_OK` would end other people's chains; `XDP_PASS` is the only XDP verdict
//! that leaves the frame alone. No program writes to a frame or calls a helper that could.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    missing_docs,
    reason = "the program macros wrap each documented function in an exported one that is not"
)]

mod emit;
mod filter;
mod fragments;
mod packet;

use aya_ebpf::bindings::xdp_action::XDP_PASS;
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use dhcp_observer_ebpf::{Counter, Direction};

use filter::{Finding, Start};
use packet::Packet;

const TC_CARRY_ON: i32 = aya_ebpf::bindings::TC_ACT_UNSPEC;

/// TC, frames that arrive.
#[classifier]
pub fn dhcp_observer_in(context: TcContext) -> i32 {
    observe(&context, Start::Ethernet, Direction::In);
    TC_CARRY_ON
}

/// TC, frames that leave.
#[classifier]
pub fn dhcp_observer_out(context: TcContext) -> i32 {
    observe(&context, Start::Ethernet, Direction::Out);
    TC_CARRY_ON
}

/// TC, packets that arrive on an interface without a link-layer header.
#[classifier]
pub fn dhcp_observer_raw_in(context: TcContext) -> i32 {
    observe(&context, Start::Ip, Direction::In);
    TC_CARRY_ON
}

/// TC, packets that leave by an interface without a link-layer header.
#[classifier]
pub fn dhcp_observer_raw_out(context: TcContext) -> i32 {
    observe(&context, Start::Ip, Direction::Out);
    TC_CARRY_ON
}

/// XDP, frames that arrive. `frags` lets it stay on interfaces whose MTU makes a frame span several buffers.
#[xdp(frags)]
pub fn dhcp_observer_xdp(context: XdpContext) -> u32 {
    observe(&context, Start::Ethernet, Direction::In);
    XDP_PASS
}

/// Does nothing, so that what the others cost can be measured beside it.
#[classifier]
pub fn dhcp_observer_empty(_context: TcContext) -> i32 {
    TC_CARRY_ON
}

/// What every program does. Counting each frame is what makes "seen" mean "the hook is alive" on a link without DHCP;
/// its cost, with the glance's, is within the noise of a test run over an empty program.
#[inline(always)]
fn observe<P: Packet>(packet: &P, start: Start, direction: Direction) {
    emit::count(Counter::Seen);
    match filter::examine(packet, start, direction) {
        Finding::PassBy => {}
        Finding::Unreadable => emit::count(Counter::Unreadable),
        Finding::Take(kind) => emit::take(packet, start, direction, kind),
    }
}

/// The licence in the words that the kernel understands. It gives GPL-only helpers to programs under it; today none of
/// ours needs one.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_information: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program that can reach this, so no code path may panic.
    loop {}
}
