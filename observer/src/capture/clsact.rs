//! The clsact queueing discipline, on which filters hang where the kernel has no TCX (before 6.6).
//!
//! Unlike a TCX link, a clsact filter outlives the process that made it. So filters of ours are recognised by their
//! names, and whether the qdisc itself is ours by the handle that we gave the filter: both can be read back by the
//! next observer when this one was killed. It follows that two observers cannot share an interface by this road, as
//! the second would remove the filters of the first.

use std::io;

use aya::programs::TcAttachType;
use aya::programs::tc::{self, TcError, TcHandle};
use dhcp_observer_ebpf::programs;
use nix::libc;

use super::netlink::{self, Request};

/// The handle of a filter that hangs on a qdisc which someone else made.
const ON_THEIR_QDISC: TcHandle = TcHandle::new(0xd4c9, 1);
/// The handle of a filter that hangs on a qdisc which we made, and which goes with our last filter.
const ON_OUR_QDISC: TcHandle = TcHandle::new(0xd4c9, 2);

const QDISC_HANDLE: u32 = 0xffff_0000;
const QDISC_PARENT: u32 = 0xffff_fff1;
const DIRECTIONS: [TcAttachType; 2] = [TcAttachType::Ingress, TcAttachType::Egress];

/// Makes sure that an interface has the qdisc. True when it had none.
pub fn add(interface: &str) -> Result<bool, TcError> {
    match tc::qdisc_add_clsact(interface) {
        Ok(()) => Ok(true),
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The handle for a filter of ours.
pub const fn handle(we_made_the_qdisc: bool) -> TcHandle {
    if we_made_the_qdisc { ON_OUR_QDISC } else { ON_THEIR_QDISC }
}

/// A filter of ours that another process made.
pub struct Found {
    /// Its priority.
    pub priority: u16,
    /// Its handle.
    pub handle: TcHandle,
    /// Whether the qdisc is ours too.
    pub on_our_qdisc: bool,
}

/// Finds the filter of ours that runs this program in one direction. `None` unless there is one and no other of ours.
pub fn find(index: u32, direction: TcAttachType, program: &str) -> io::Result<Option<Found>> {
    let mut ours = filters(index, direction)?;
    ours.retain(Filter::is_ours);
    Ok(match ours.as_slice() {
        [filter] if filter.name == program => Some(Found {
            priority: (filter.info >> 16) as u16,
            handle: filter.handle.into(),
            on_our_qdisc: filter.handle == u32::from(ON_OUR_QDISC),
        }),
        _ => None,
    })
}

/// Removes what an observer that was killed left on an interface. Gives back how many filters that were.
pub fn sweep(index: u32) -> io::Result<usize> {
    let mut removed = 0;
    let mut ours = false;
    for direction in DIRECTIONS {
        let (count, on_our_qdisc) = sweep_direction(index, direction)?;
        removed += count;
        ours |= on_our_qdisc;
    }
    if ours {
        remove_qdisc_if_empty(index)?;
    }
    Ok(removed)
}

/// Removes our filters of one direction, but not the qdisc. Gives back how many there were, and whether the qdisc is
/// ours.
pub fn sweep_direction(index: u32, direction: TcAttachType) -> io::Result<(usize, bool)> {
    let mut ours = filters(index, direction)?;
    ours.retain(Filter::is_ours);
    for filter in &ours {
        remove(index, direction, filter)?;
    }
    Ok((ours.len(), ours.iter().any(|filter| filter.handle == u32::from(ON_OUR_QDISC))))
}

/// Removes the qdisc unless someone's filter hangs on it.
pub fn remove_qdisc_if_empty(index: u32) -> io::Result<()> {
    for direction in DIRECTIONS {
        if !filters(index, direction)?.is_empty() {
            return Ok(());
        }
    }
    netlink::request(libc::RTM_DELQDISC, Request::Change, &message(index, QDISC_HANDLE, QDISC_PARENT, 0))
        .map(drop)
}

/// A filter of any kind and owner.
struct Filter {
    handle: u32,
    /// Priority and protocol, as the kernel wants them back.
    info: u32,
    /// Empty for a filter that is not an eBPF program.
    name: String,
}

impl Filter {
    fn is_ours(&self) -> bool {
        programs::FILTERS.contains(&self.name.as_str())
    }
}

fn filters(index: u32, direction: TcAttachType) -> io::Result<Vec<Filter>> {
    let answer =
        netlink::request(libc::RTM_GETTFILTER, Request::Dump, &message(index, 0, parent(direction), 0))?;
    Ok(answer.iter().filter_map(|message| read(&message.payload)).collect())
}

fn remove(index: u32, direction: TcAttachType, filter: &Filter) -> io::Result<()> {
    let payload = message(index, filter.handle, parent(direction), filter.info);
    netlink::request(libc::RTM_DELTFILTER, Request::Change, &payload).map(drop)
}

const fn parent(direction: TcAttachType) -> u32 {
    match direction {
        TcAttachType::Ingress => 0xffff_fff2,
        TcAttachType::Egress => 0xffff_fff3,
        TcAttachType::Custom(parent) => parent,
    }
}

/// The octets of a `tcmsg`: family, padding, index, handle, parent, info.
const HEADER: usize = 20;

fn message(index: u32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, index, handle, parent, info].iter().flat_map(|field| field.to_ne_bytes()).collect()
}

fn read(payload: &[u8]) -> Option<Filter> {
    let (header, attributes) = payload.split_at_checked(HEADER)?;
    let options = netlink::attributes(attributes).find(|(kind, _)| *kind == libc::TCA_OPTIONS);
    let name = options.and_then(|(_, options)| {
        netlink::attributes(options)
            .find_map(|(kind, value)| (kind == TCA_BPF_NAME).then(|| netlink::text(value)))
    });
    Some(Filter {
        handle: netlink::native_u32(header, 8)?,
        info: netlink::native_u32(header, 16)?,
        name: name.unwrap_or_default(),
    })
}

/// Of linux/pkt_cls.h. Another kind of filter may have another attribute of this number, whose value is not one of
/// our names.
const TCA_BPF_NAME: u16 = 7;
