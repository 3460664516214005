//! The loaded programs, and their attachment to one interface.

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aya::Ebpf;
use aya::programs::links::{FdLink, LinkError, LinkOrder, PinnedLink};
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode};
use dhcp_observer_ebpf::{Direction, programs};
use nix::libc;

use super::check::CaptureError;
use super::clsact;
use super::interfaces::{Framing, Link};
use super::live::Attach;
use super::pin::left::{LeftLink, LeftLinks};
use super::pin::name::{Held, LinkName};
use super::promiscuous::Promiscuous;
use crate::frame::Interface;

/// How an interface came to be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Traffic control links, first in their chains.
    Tcx,
    /// Traffic control filters on a clsact qdisc, at this priority. A priority above 1 means that someone else's
    /// filter of another kind has the first place and may hide frames from us.
    Clsact {
        /// The lower, the earlier.
        priority: u16,
    },
    /// XDP in the network driver for what arrives; what leaves goes by one of the other roads.
    XdpDriver,
    /// XDP in the kernel's generic code for what arrives, where the driver has none.
    XdpGeneric,
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcx => f.write_str("TCX"),
            Self::Clsact { priority: 1 } => f.write_str("clsact"),
            Self::Clsact { priority } => {
                write!(f, "clsact at priority {priority}, behind another's filter which may hide frames")
            }
            Self::XdpDriver => f.write_str("XDP"),
            Self::XdpGeneric => f.write_str("generic XDP"),
        }
    }
}

/// The programs, accepted by the kernel.
pub struct Programs {
    ebpf: Ebpf,
    pub attach: Attach,
    pub promiscuous: bool,
    /// Where links are pinned, where they are.
    pins: Option<PathBuf>,
    /// Links of the observer before this one, to go on with.
    pub left: LeftLinks,
}

impl Programs {
    /// Has the kernel check every program that could be needed, so that none is refused later, when an interface
    /// comes back and perhaps the privilege is gone.
    pub fn load(
        ebpf: Ebpf,
        attach: Attach,
        promiscuous: bool,
        pins: Option<PathBuf>,
        left: LeftLinks,
    ) -> Result<Self, CaptureError> {
        let mut programs = Self { ebpf, attach, promiscuous, pins, left };
        for program in programs::FILTERS {
            let refused = |source| CaptureError::Program { program, source: Box::new(source) };
            programs.classifier(program)?.load().map_err(refused)?;
        }
        if attach == Attach::Xdp {
            let refused = |source| CaptureError::Program { program: programs::XDP, source: Box::new(source) };
            programs.xdp()?.load().map_err(refused)?;
        }
        Ok(programs)
    }

    /// Attaches to both directions of an interface, after removing what a killed observer left on it.
    pub fn attach(&mut self, link: &Link) -> Result<Attachment, CaptureError> {
        let framing = link.framing().ok_or_else(|| CaptureError::LinkLayer {
            interface: link.name.clone(),
            hardware_type: link.hardware_type,
        })?;
        let (arriving, leaving) = match framing {
            Framing::Ethernet => (programs::IN, programs::OUT),
            Framing::RawIp => (programs::RAW_IN, programs::RAW_OUT),
        };
        let attach = self.attach;
        let keep_filters = self.left.keep_only(link.index, |left| is_usable(left, attach, framing));
        let swept =
            if keep_filters { 0 } else { clsact::sweep(link.index).map_err(CaptureError::Netlink)? };
        // From here on the attachment undoes what was done when a later step fails.
        let mut attachment = Attachment {
            interface: Arc::new(Interface { index: Some(link.index), name: link.name.clone() }),
            index: link.index,
            road: Road::Tcx,
            swept,
            links: Vec::new(),
            taken_over: 0,
            made_qdisc: false,
            has_filters: false,
            _promiscuous: None,
        };
        attachment.road = self.attach_tc(&mut attachment, leaving, TcAttachType::Egress)?;
        // Generic XDP gives an interface without a link layer a made-up header; traffic control does not.
        if self.attach == Attach::Xdp && framing == Framing::Ethernet {
            attachment.road = self.attach_xdp(&mut attachment)?;
        } else {
            attachment.road = self.attach_tc(&mut attachment, arriving, TcAttachType::Ingress)?;
        }
        if self.promiscuous {
            let refused = |source| CaptureError::Promiscuous { interface: link.name.clone(), source };
            attachment._promiscuous = Some(Promiscuous::on(link.index).map_err(refused)?);
        }
        Ok(attachment)
    }

    fn attach_tc(
        &mut self,
        attachment: &mut Attachment,
        program: &'static str,
        direction: TcAttachType,
    ) -> Result<Road, CaptureError> {
        if self.attach != Attach::Clsact {
            let road = if direction == TcAttachType::Ingress { "TCX ingress" } else { "TCX egress" };
            match self.attach_tcx(attachment, program, direction) {
                Ok(()) => return Ok(Road::Tcx),
                // Older kernels do not know the kind of link: the other road is theirs. This is tried rather than
                // read off the version because distributions backport.
                Err(Failure::Aya(error)) if os_error(&error) == Some(libc::EINVAL) => {}
                Err(failure) => return Err(failure.at(attachment, road)),
            }
        }
        let road = if direction == TcAttachType::Ingress { "clsact ingress" } else { "clsact egress" };
        attachment.has_filters = true;
        let result = self.attach_clsact(attachment, program, direction);
        result.map(|priority| Road::Clsact { priority }).map_err(|failure| failure.at(attachment, road))
    }

    fn attach_tcx(
        &mut self,
        attachment: &mut Attachment,
        program: &'static str,
        direction: TcAttachType,
    ) -> Result<(), Failure> {
        let way = way(direction);
        if let Some(left) = self.left.take(attachment.index, way, &[Held::Tcx]) {
            let classifier = self.classifier(program)?;
            let link = take_over(&left, |link| {
                let id = classifier.attach_to_link(link.try_into()?)?;
                Ok(classifier.take_link(id)?.try_into()?)
            });
            if let Some(link) = link {
                return self.go_on(attachment, &left, AnyLink::Fd(link));
            }
        }
        let classifier = self.classifier(program)?;
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = classifier.attach_with_options(&attachment.interface.name, direction, options)?;
        let link = classifier.take_link(id)?;
        self.hold(attachment, way, Held::Tcx, link)
    }

    fn attach_clsact(
        &mut self,
        attachment: &mut Attachment,
        program: &'static str,
        direction: TcAttachType,
    ) -> Result<u16, Failure> {
        match clsact::add(&attachment.interface.name) {
            Ok(made) => attachment.made_qdisc |= made,
            Err(error) if tc_os_error(&error) == Some(libc::ENOENT) => {
                return Err(Failure::Capture(CaptureError::Kernel(
                    "both TCX (since 6.6) and the clsact qdisc (CONFIG_NET_SCH_INGRESS)",
                )));
            }
            Err(error) => return Err(Failure::Aya(error.into())),
        }
        let way = way(direction);
        if let Some(left) = self.left.take(attachment.index, way, &[Held::Clsact]) {
            if let Some((link, priority)) = self.take_over_filter(attachment, program, direction)? {
                self.go_on(attachment, &left, AnyLink::Filter(link))?;
                return Ok(priority);
            }
            let _ = fs::remove_file(&left.path);
            let (_, on_our_qdisc) =
                clsact::sweep_direction(attachment.index, direction).map_err(CaptureError::Netlink)?;
            attachment.made_qdisc |= on_our_qdisc;
        }
        let handle = clsact::handle(attachment.made_qdisc);
        let classifier = self.classifier(program)?;
        // All filters of one priority are of one kind, and within it the newest comes first. So priority 1 is the
        // first place unless a filter of another kind has it.
        let mut priority = 1;
        let id = loop {
            let options = TcAttachOptions::Netlink(NlOptions { priority, handle, classid: None::<TcHandle> });
            match classifier.attach_with_options(&attachment.interface.name, direction, options) {
                Ok(id) => break id,
                Err(error) if priority < LAST_PRIORITY && os_error(&error) == Some(libc::EINVAL) => {
                    priority += 1
                }
                Err(error) => return Err(error.into()),
            }
        };
        let link = classifier.take_link(id)?;
        self.hold(attachment, way, Held::Clsact, link)?;
        Ok(priority)
    }

    /// Gives the filter of the observer before this one our program, in one step of the kernel.
    fn take_over_filter(
        &mut self,
        attachment: &mut Attachment,
        program: &'static str,
        direction: TcAttachType,
    ) -> Result<Option<(SchedClassifierLink, u16)>, Failure> {
        let found = clsact::find(attachment.index, direction, program).map_err(CaptureError::Netlink)?;
        let Some(clsact::Found { priority, handle, on_our_qdisc }) = found else { return Ok(None) };
        let name = &attachment.interface.name;
        let classifier = self.classifier(program)?;
        let Ok(filter) = SchedClassifierLink::attached(name, direction, priority, handle, None) else {
            return Ok(None);
        };
        let Ok(id) = classifier.attach_to_link(filter) else { return Ok(None) };
        attachment.made_qdisc |= on_our_qdisc;
        Ok(Some((classifier.take_link(id)?, priority)))
    }

    fn attach_xdp(&mut self, attachment: &mut Attachment) -> Result<Road, CaptureError> {
        if let Some(left) =
            self.left.take(attachment.index, Direction::In, &[Held::XdpDriver, Held::XdpGeneric])
        {
            let program = self.xdp()?;
            let link = take_over(&left, |link| {
                let id = program.attach_to_link(link.try_into()?)?;
                Ok(program.take_link(id)?.try_into()?)
            });
            if let Some(link) = link {
                let road = if left.name.held == Held::XdpDriver { Road::XdpDriver } else { Road::XdpGeneric };
                self.go_on(attachment, &left, AnyLink::Fd(link))
                    .map_err(|failure| failure.at(attachment, "XDP"))?;
                return Ok(road);
            }
        }
        let driver = self.attach_xdp_mode(attachment, XdpMode::Driver);
        match driver {
            Ok(()) => return Ok(Road::XdpDriver),
            Err(error) if is_taken(&error) => {
                return Err(CaptureError::XdpBusy { interface: attachment.interface.name.clone() });
            }
            // Most drivers have no XDP, and those that have may refuse it at this MTU.
            Err(_) => {}
        }
        match self.attach_xdp_mode(attachment, XdpMode::Skb) {
            Ok(()) => Ok(Road::XdpGeneric),
            Err(error) if is_taken(&error) => {
                Err(CaptureError::XdpBusy { interface: attachment.interface.name.clone() })
            }
            Err(failure) => Err(failure.at(attachment, "XDP")),
        }
    }

    fn attach_xdp_mode(&mut self, attachment: &mut Attachment, mode: XdpMode) -> Result<(), Failure> {
        let program = self.xdp()?;
        let id = program.attach_to_if_index(attachment.index, mode)?;
        let link = program.take_link(id)?;
        let held = if mode == XdpMode::Driver { Held::XdpDriver } else { Held::XdpGeneric };
        self.hold(attachment, Direction::In, held, link)
    }

    /// Keeps a new link, pinned where links are. What is pinned for a filter is only a mark that it is there.
    fn hold(
        &self,
        attachment: &mut Attachment,
        direction: Direction,
        held: Held,
        link: impl Into<AnyLink>,
    ) -> Result<(), Failure> {
        let link = link.into();
        let Some(pin) = self.pin(attachment, direction, held) else {
            attachment.links.push(Attached { link, pin: None });
            return Ok(());
        };
        let link = match link {
            AnyLink::Filter(filter) if held == Held::Clsact => {
                let any = self.ebpf.maps().next().map(|(_, map)| map.pin(&pin));
                any.transpose().map_err(|error| unpinnable(&pin, &error))?;
                AnyLink::Filter(filter)
            }
            link => AnyLink::Fd(link.into_fd()?.pin(&pin).map_err(|error| unpinnable(&pin, &error))?.into()),
        };
        attachment.links.push(Attached { link, pin: Some(pin) });
        Ok(())
    }

    /// Keeps a link that was taken over, and moves its pin to where ours are.
    fn go_on(&self, attachment: &mut Attachment, left: &LeftLink, link: AnyLink) -> Result<(), Failure> {
        let pin = self.pin(attachment, left.name.direction, left.name.held);
        if let Some(pin) = &pin
            && *pin != left.path
        {
            fs::rename(&left.path, pin).map_err(|error| unpinnable(pin, &error))?;
        }
        attachment.links.push(Attached { link, pin });
        attachment.taken_over += 1;
        Ok(())
    }

    fn pin(&self, attachment: &Attachment, direction: Direction, held: Held) -> Option<PathBuf> {
        let interface = attachment.interface.name.clone();
        let name = LinkName { direction, index: attachment.index, held, interface };
        self.pins.as_ref().map(|directory| directory.join(name.to_string()))
    }

    fn classifier(&mut self, name: &'static str) -> Result<&mut SchedClassifier, CaptureError> {
        let program = self.ebpf.program_mut(name).and_then(|program| program.try_into().ok());
        program.ok_or_else(|| CaptureError::Object(format!("it has no classifier {name}")))
    }

    fn xdp(&mut self) -> Result<&mut Xdp, CaptureError> {
        let program = self.ebpf.program_mut(programs::XDP).and_then(|program| program.try_into().ok());
        program.ok_or_else(|| CaptureError::Object(format!("it has no XDP program {}", programs::XDP)))
    }
}

/// How far back a filter is put when others of another kind have the first places.
const LAST_PRIORITY: u16 = 8;

/// Our programs on one interface. Dropping it takes them off again, and with them the qdisc if we made it.
pub struct Attachment {
    /// What frames are said to come from.
    pub interface: Arc<Interface>,
    /// The interface's index.
    pub index: u32,
    /// How it is observed.
    pub road: Road,
    /// How many filters of a killed observer were removed first.
    pub swept: usize,
    links: Vec<Attached>,
    taken_over: usize,
    made_qdisc: bool,
    has_filters: bool,
    _promiscuous: Option<Promiscuous>,
}

/// A program on one direction of an interface. It comes off when this is dropped.
struct Attached {
    link: AnyLink,
    /// Where it is pinned, or the mark of a filter is.
    pin: Option<PathBuf>,
}

/// A link of any kind. All detach when they are dropped, but for one that is pinned.
enum AnyLink {
    Filter(SchedClassifierLink),
    Xdp(XdpLink),
    Fd(FdLink),
}

impl From<SchedClassifierLink> for AnyLink {
    fn from(link: SchedClassifierLink) -> Self {
        Self::Filter(link)
    }
}

impl From<XdpLink> for AnyLink {
    fn from(link: XdpLink) -> Self {
        Self::Xdp(link)
    }
}

impl AnyLink {
    /// As what can be pinned. The kernels that have a kind of link have all its kinds.
    fn into_fd(self) -> Result<FdLink, Failure> {
        let link = match self {
            Self::Filter(link) => link.try_into(),
            Self::Xdp(link) => link.try_into(),
            Self::Fd(link) => Ok(link),
        };
        link.map_err(|_| {
            Failure::Capture(CaptureError::Kernel("links of this kind that can be pinned: use --no-pin"))
        })
    }
}

impl Attachment {
    /// In how many directions the link or filter of the observer before this one goes on.
    pub const fn taken_over(&self) -> usize {
        self.taken_over
    }

    /// Whether it holds filters on a clsact qdisc in any direction.
    pub const fn has_filters(&self) -> bool {
        self.has_filters
    }

    /// Whether it was observed without a break since the observer before this one.
    pub const fn is_taken_over(&self) -> bool {
        self.taken_over == self.links.len()
    }

    /// Leaves everything attached that the next observer can find.
    pub fn leave(mut self) {
        for Attached { link, pin } in self.links.drain(..) {
            match (link, pin) {
                // A filter would be removed when its link is dropped.
                (AnyLink::Filter(link), Some(_)) => std::mem::forget(link),
                (link, _) => drop(link),
            }
        }
        self.made_qdisc = false;
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        for Attached { link, pin } in self.links.drain(..) {
            // A pin that cannot be removed is found by the next observer, or by `dhcp-observer detach`.
            let _ = pin.map(fs::remove_file);
            drop(link);
        }
        if self.made_qdisc {
            // This fails when the interface is gone, and then so is the qdisc.
            let _ = clsact::remove_qdisc_if_empty(self.index);
        }
    }
}

/// Whether a link that was left can go on when we attach in this way. What cannot must go before we attach.
fn is_usable(left: &LeftLink, attach: Attach, framing: Framing) -> bool {
    let xdp = attach == Attach::Xdp && framing == Framing::Ethernet && left.name.direction == Direction::In;
    match left.name.held {
        Held::XdpDriver | Held::XdpGeneric => xdp,
        Held::Tcx => !xdp && attach != Attach::Clsact,
        // The same wish had it attached by clsact, so it is the kernel that has nothing else.
        Held::Clsact => !xdp && (attach == Attach::Clsact || left.same_attach),
    }
}

/// Gives a link that was left our program. `None`, and the pin is gone, when it is no link to anything any more.
fn take_over(left: &LeftLink, update: impl FnOnce(FdLink) -> Result<FdLink, TakeOver>) -> Option<FdLink> {
    let link = PinnedLink::from_pin(&left.path).map_err(TakeOver::from);
    match link.and_then(|link| update(link.into())) {
        Ok(link) => Some(link),
        Err(_) => {
            let _ = fs::remove_file(&left.path);
            None
        }
    }
}

/// Why a link cannot be taken over. There is one answer to all of it, which is to attach anew.
struct TakeOver;

impl From<LinkError> for TakeOver {
    fn from(_: LinkError) -> Self {
        Self
    }
}

impl From<ProgramError> for TakeOver {
    fn from(_: ProgramError) -> Self {
        Self
    }
}

const fn way(direction: TcAttachType) -> Direction {
    match direction {
        TcAttachType::Ingress | TcAttachType::Custom(_) => Direction::In,
        TcAttachType::Egress => Direction::Out,
    }
}

fn unpinnable(pin: &Path, error: &dyn fmt::Display) -> Failure {
    Failure::Capture(CaptureError::Pin { path: pin.to_owned(), message: error.to_string() })
}

/// Why a step of attaching failed, before it is known how to say it.
enum Failure {
    Aya(ProgramError),
    Capture(CaptureError),
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        Self::Aya(error)
    }
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        Self::Capture(error)
    }
}

impl Failure {
    fn at(self, attachment: &Attachment, road: &'static str) -> CaptureError {
        let interface = attachment.interface.name.clone();
        match self {
            Self::Capture(error) => error,
            // It went away between being listed and being attached to.
            Self::Aya(error) if os_error(&error) == Some(libc::ENODEV) => {
                CaptureError::NoSuchInterface { interface }
            }
            Self::Aya(error) => CaptureError::Attach { interface, road, source: Box::new(error) },
        }
    }
}

fn is_taken(failure: &Failure) -> bool {
    let Failure::Aya(error) = failure else { return false };
    matches!(os_error(error), Some(libc::EBUSY | libc::EEXIST))
}

/// The kernel's error number at the bottom of aya's errors, which are nested differently on each road.
fn os_error(error: &ProgramError) -> Option<i32> {
    if let ProgramError::TcError(error) = error {
        return tc_os_error(error);
    }
    if let ProgramError::NetlinkError(error) = error {
        return error.raw_os_error();
    }
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return error.raw_os_error();
        }
        if let Some(error) = cause.downcast_ref::<aya::sys::SyscallError>() {
            return error.io_error.raw_os_error();
        }
        next = cause.source();
    }
    None
}

fn tc_os_error(error: &TcError) -> Option<i32> {
    match error {
        TcError::NetlinkError(error) => error.raw_os_error(),
        TcError::IoError(error) => error.raw_os_error(),
        TcError::NulError(_)
        | TcError::AlreadyAttached
        | TcError::InvalidTcxAttach(_)
        | TcError::InvalidLinkOperation => None,
    }
}
