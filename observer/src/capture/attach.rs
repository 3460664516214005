//! The loaded programs, and their attachment to one interface.

use std::error::Error;
use std::sync::Arc;

use aya::Ebpf;
use aya::programs::links::LinkOrder;
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode};
use dhcp_observer_ebpf::programs;
use nix::libc;

use super::check::CaptureError;
use super::clsact;
use super::interfaces::{Framing, Link};
use super::live::Attach;
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

/// The programs, accepted by the kernel.
pub struct Programs {
    ebpf: Ebpf,
    attach: Attach,
    promiscuous: bool,
}

impl Programs {
    /// Has the kernel check every program that could be needed, so that none is refused later, when an interface
    /// comes back and perhaps the privilege is gone.
    pub fn load(ebpf: Ebpf, attach: Attach, promiscuous: bool) -> Result<Self, CaptureError> {
        let mut programs = Self { ebpf, attach, promiscuous };
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
        let swept = clsact::sweep(link.index).map_err(CaptureError::Netlink)?;
        // From here on the attachment undoes what was done when a later step fails.
        let mut attachment = Attachment {
            interface: Arc::new(Interface { index: Some(link.index), name: link.name.clone() }),
            index: link.index,
            road: Road::Tcx,
            swept,
            links: Vec::new(),
            made_qdisc: false,
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
        let result = self.attach_clsact(attachment, program, direction);
        result.map(|priority| Road::Clsact { priority }).map_err(|failure| failure.at(attachment, road))
    }

    fn attach_tcx(
        &mut self,
        attachment: &mut Attachment,
        program: &'static str,
        direction: TcAttachType,
    ) -> Result<(), Failure> {
        let classifier = self.classifier(program)?;
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = classifier.attach_with_options(&attachment.interface.name, direction, options)?;
        attachment.links.push(Attached::Tc(classifier.take_link(id)?));
        Ok(())
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
        attachment.links.push(Attached::Tc(classifier.take_link(id)?));
        Ok(priority)
    }

    fn attach_xdp(&mut self, attachment: &mut Attachment) -> Result<Road, CaptureError> {
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
        attachment.links.push(Attached::Xdp(program.take_link(id)?));
        Ok(())
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
    made_qdisc: bool,
    _promiscuous: Option<Promiscuous>,
}

/// A link of either kind. Both detach when they are dropped.
enum Attached {
    Tc(#[expect(dead_code, reason = "held for its drop")] SchedClassifierLink),
    Xdp(#[expect(dead_code, reason = "held for its drop")] XdpLink),
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.links.clear();
        if self.made_qdisc {
            // This fails when the interface is gone, and then so is the qdisc.
            let _ = clsact::remove_qdisc_if_empty(self.index);
        }
    }
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
