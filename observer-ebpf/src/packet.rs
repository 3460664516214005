//! One way to read a packet, be it a socket buffer or an XDP buffer.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::{bpf_skb_load_bytes, bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::programs::{TcContext, XdpContext};
use dhcp_observer_ebpf::{Hook, VlanTag};

/// A packet as a program sees it.
pub trait Packet: EbpfContext {
    /// Which hook hands out this kind of packet.
    const HOOK: Hook;

    /// Where the part that can be read directly begins.
    fn data(&self) -> usize;

    /// Where the part that can be read directly ends. The packet itself may go on: a non-linear socket buffer
    /// keeps the rest in pages.
    fn data_end(&self) -> usize;

    /// The whole length in octets. It is 64 bits wide as the kernel returns it: cut to 32, it would be a value of which
    /// the verifier does not know that the upper half is zero.
    fn length(&self) -> u64;

    /// The index of the interface that it crosses.
    fn interface_index(&self) -> u32;

    /// The VLAN tag that is kept beside the bytes.
    fn vlan(&self) -> Option<VlanTag>;

    /// Copies `length` octets at `offset` to `destination`, wherever in the packet they lie; false when the packet
    /// ends before.
    ///
    /// # Safety
    ///
    /// `destination` must be valid for `length` octets.
    unsafe fn copy(&self, offset: u32, destination: *mut u8, length: u32) -> bool;

    /// Reads `N` octets at `offset`, wherever in the packet they lie.
    #[inline(always)]
    fn read<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        let mut octets = [0; N];
        // SAFETY: the destination is an array of exactly that length.
        unsafe { self.copy(offset, octets.as_mut_ptr(), N as u32) }.then_some(octets)
    }
}

impl Packet for TcContext {
    const HOOK: Hook = Hook::Tc;

    #[inline(always)]
    fn data(&self) -> usize {
        TcContext::data(self)
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        TcContext::data_end(self)
    }

    #[inline(always)]
    fn length(&self) -> u64 {
        u64::from(self.len())
    }

    #[inline(always)]
    fn interface_index(&self) -> u32 {
        // SAFETY: the kernel hands every classifier a valid context.
        unsafe { (*self.skb.skb).ifindex }
    }

    #[inline(always)]
    fn vlan(&self) -> Option<VlanTag> {
        // SAFETY: as above.
        let buffer = unsafe { &*self.skb.skb };
        if buffer.vlan_present == 0 {
            return None;
        }
        // The protocol is kept in network order, the tag control information in host order.
        Some(VlanTag { ethertype: u16::from_be(buffer.vlan_proto as u16), tci: buffer.vlan_tci as u16 })
    }

    #[inline(always)]
    unsafe fn copy(&self, offset: u32, destination: *mut u8, length: u32) -> bool {
        // SAFETY: the caller vouches for the destination, the kernel for the context.
        unsafe { bpf_skb_load_bytes(self.as_ptr().cast_const(), offset, destination.cast(), length) == 0 }
    }
}

impl Packet for XdpContext {
    const HOOK: Hook = Hook::Xdp;

    #[inline(always)]
    fn data(&self) -> usize {
        XdpContext::data(self)
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        XdpContext::data_end(self)
    }

    #[inline(always)]
    fn length(&self) -> u64 {
        // SAFETY: the kernel hands every XDP program a valid context.
        unsafe { bpf_xdp_get_buff_len(self.ctx) }
    }

    #[inline(always)]
    fn interface_index(&self) -> u32 {
        self.ingress_ifindex() as u32
    }

    #[inline(always)]
    fn vlan(&self) -> Option<VlanTag> {
        // A tag that the network card took out is only told by a kfunc (kernel 6.8, few drivers): an observer that
        // needs the tags of such a card uses TC.
        None
    }

    #[inline(always)]
    unsafe fn copy(&self, offset: u32, destination: *mut u8, length: u32) -> bool {
        // SAFETY: the caller vouches for the destination, the kernel for the context.
        unsafe { bpf_xdp_load_bytes(self.ctx, offset, destination.cast(), length) == 0 }
    }
}
