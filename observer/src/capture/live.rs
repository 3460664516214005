//! Live capture: the programs attached to interfaces, and what they put in the ring buffer as [`Frame`]s.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use aya::EbpfLoader;
use aya::maps::{Map, MapData, PerCpuArray, RingBuf};
use aya_log::EbpfLogger;
use dhcp_observer_ebpf::{COUNTER_COUNT, OBJECT, RING_BYTES, Record, globals, maps};
use log::{LevelFilter, Log};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub use super::attach::Road;
use super::attach::{Attachment, Programs};
use super::check;
pub use super::check::CaptureError;
pub use super::counters::Counters;
use super::interfaces::{self, Link, Watch};
use crate::clock::Clock;
use crate::frame::{Direction, Frame, Interface, LinkType, MetadataTag};
use crate::time::Timestamp;

/// By which hooks frames are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// Traffic control in both directions: TCX links where the kernel has them (6.6), a clsact qdisc elsewhere.
    #[default]
    Tc,
    /// Traffic control by a clsact qdisc even where the kernel has TCX.
    Clsact,
    /// XDP for what arrives, traffic control for what leaves: XDP never sees the server's answers.
    Xdp,
}

/// What to capture and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The names of the interfaces.
    pub interfaces: Vec<String>,
    /// The hooks.
    pub attach: Attach,
    /// The size of the ring buffer in octets, rounded up to what the kernel takes: a power of two, whole pages.
    pub ring_bytes: u32,
    /// Whether the interfaces are to receive frames for other machines too, as at a mirror port.
    pub promiscuous: bool,
    /// What the eBPF programs themselves write to the log (target `dhcp_observer_ebpf`). Each line costs time in the
    /// kernel.
    pub ebpf_log: LevelFilter,
    /// Whether an interface that does not exist yet is waited for instead of being an error.
    pub wait: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            attach: Attach::default(),
            ring_bytes: RING_BYTES,
            promiscuous: false,
            ebpf_log: LevelFilter::Off,
            wait: false,
        }
    }
}

/// What [`Capture::ready`] waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// There may be frames: call [`Capture::drain`].
    Frames,
    /// An interface may have come or gone: call [`Capture::changes`].
    Links,
}

/// News of an observed interface, for the log.
#[derive(Debug)]
pub enum Change {
    /// It is observed from now on.
    Attached {
        /// The interface.
        interface: Arc<Interface>,
        /// How it is observed.
        road: Road,
        /// How many filters of a killed observer were removed first.
        swept: usize,
    },
    /// It was removed or renamed, and is observed again when it is back.
    Gone {
        /// What it was.
        interface: Arc<Interface>,
    },
    /// It is there and cannot be observed. That is tried again whenever any interface changes, and told once.
    Failed {
        /// Its name.
        interface: String,
        /// Why.
        error: CaptureError,
    },
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Attached { interface, road, swept } => {
                write!(f, "{} is observed (", interface.name)?;
                match road {
                    Road::Tcx => f.write_str("TCX")?,
                    Road::Clsact { priority: 1 } => f.write_str("clsact")?,
                    Road::Clsact { priority } => {
                        write!(
                            f,
                            "clsact at priority {priority}, behind another's filter which may hide frames"
                        )?;
                    }
                    Road::XdpDriver => f.write_str("XDP")?,
                    Road::XdpGeneric => f.write_str("generic XDP")?,
                }
                f.write_str(")")?;
                if *swept > 0 {
                    write!(f, "; {swept} filters of an observer that was killed were removed")?;
                }
                Ok(())
            }
            Self::Gone { interface } => write!(f, "{} went away, waiting for it", interface.name),
            Self::Failed { interface, error } => write!(f, "{interface} cannot be observed: {error}"),
        }
    }
}

/// A running capture. Dropping it detaches everything.
pub struct Capture {
    // The ring and the programs hold each other's maps; the order of the fields is the order of the drop: nothing new
    // comes in before the ring goes.
    slots: Vec<Slot>,
    programs: Programs,
    ring: RingBuf<MapData>,
    counters: PerCpuArray<MapData, [u64; COUNTER_COUNT]>,
    logger: Option<EbpfLogger<&'static dyn Log>>,
    watch: Watch,
    waits: Option<Waits>,
    /// Whether the ring may hold frames without the kernel saying so again: it was left before it was empty.
    frames_pending: bool,
    /// Whether the watch was readable and has not been read.
    links_pending: bool,
    news: Vec<Change>,
    origins: Origins,
    clock: Clock,
    latest: Timestamp,
    clamped: u64,
    malformed: u64,
}

/// One interface that was asked for, by name, whatever index it has at the moment.
struct Slot {
    name: String,
    attachment: Option<Attachment>,
    /// The index of the interface for which a failure was told already.
    failed: Option<u32>,
}

/// The descriptors that [`Capture::ready`] sleeps on, registered with the runtime that first called it. Each is a
/// duplicate, so that the things themselves can be used mutably meanwhile.
struct Waits {
    ring: AsyncFd<OwnedFd>,
    links: AsyncFd<OwnedFd>,
    log: Option<AsyncFd<OwnedFd>>,
}

impl Capture {
    /// Loads the programs and attaches them to the interfaces. Needs the privilege, and no runtime yet.
    ///
    /// # Errors
    ///
    /// One line that names the thing and what to do. When it fails, nothing stays attached.
    pub fn open(options: &Options) -> Result<Self, CaptureError> {
        if options.interfaces.is_empty() {
            return Err(CaptureError::NoInterface);
        }
        // The watch is opened before the interfaces are listed, so that nothing can happen in between unheard.
        let watch = Watch::open().map_err(CaptureError::Netlink)?;
        let links = interfaces::list().map_err(CaptureError::Netlink)?;
        if !options.wait {
            for interface in &options.interfaces {
                if !links.iter().any(|link| link.name == *interface) {
                    return Err(CaptureError::NoSuchInterface { interface: interface.clone() });
                }
            }
        }
        check::prerequisites(options.attach, options.promiscuous)?;

        let level = options.ebpf_log as u8;
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(maps::RING, ring_size(options.ring_bytes))
            // A ring of log lines costs memory even where nothing is logged.
            .map_max_entries(maps::LOG_RING, if level == 0 { ring_size(1) } else { 1 << 17 })
            .override_global(globals::LOG_LEVEL, &level, true)
            .load(OBJECT)
            .map_err(|error| CaptureError::Object(error.to_string()))?;
        let logger = if level == 0 {
            None
        } else {
            let logger = EbpfLogger::init(&mut ebpf);
            Some(logger.map_err(|error| map_error(maps::LOG_RING, &error))?)
        };
        let ring = take_map(&mut ebpf, maps::RING, RingBuf::try_from)?;
        let counters = take_map(&mut ebpf, maps::COUNTERS, PerCpuArray::try_from)?;

        // One that is named twice is observed once.
        let mut names: Vec<&String> = Vec::new();
        for name in &options.interfaces {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let slot = |name: &String| Slot { name: name.clone(), attachment: None, failed: None };
        let mut capture = Self {
            slots: names.into_iter().map(slot).collect(),
            programs: Programs::load(ebpf, options.attach, options.promiscuous)?,
            ring,
            counters,
            logger,
            watch,
            waits: None,
            frames_pending: true,
            links_pending: false,
            news: Vec::new(),
            origins: Origins::default(),
            clock: Clock::new(),
            latest: Timestamp::from_nanos(i64::MIN),
            clamped: 0,
            malformed: 0,
        };
        capture.rescan(&links, &[]);
        // At the start a failure is the caller's to know, not the log's.
        let failure = capture.news.iter().position(|change| matches!(change, Change::Failed { .. }));
        match failure.map(|place| capture.news.swap_remove(place)) {
            Some(Change::Failed { error, .. }) => Err(error),
            _ => Ok(capture),
        }
    }

    /// The clock that stamps are made with. Deadlines must be compared with this one's "now".
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Waits until there may be frames or an interface may have changed.
    ///
    /// Cancel safe: what made it ready is still there at the next call. Frames that [`Self::drain`] left in the ring
    /// make it ready at once.
    ///
    /// # Errors
    ///
    /// When the runtime cannot wait for the descriptors.
    pub async fn ready(&mut self) -> io::Result<Readiness> {
        loop {
            if self.links_pending {
                return Ok(Readiness::Links);
            }
            let waits = match &mut self.waits {
                Some(waits) => waits,
                none => none.insert(Waits {
                    ring: wait_for(self.ring.as_fd())?,
                    links: wait_for(self.watch.as_fd())?,
                    log: self.logger.as_ref().map(|logger| wait_for(logger.as_fd())).transpose()?,
                }),
            };
            // Readiness is cleared before the descriptor is read, so that what arrives between the two is told again.
            tokio::select! {
                biased;
                ready = waits.links.readable() => {
                    ready?.clear_ready();
                    self.links_pending = true;
                }
                ready = readable(waits.log.as_ref()) => {
                    ready?;
                    if let Some(logger) = &mut self.logger {
                        logger.flush();
                    }
                }
                () = std::future::ready(()), if self.frames_pending => return Ok(Readiness::Frames),
                ready = waits.ring.readable(), if !self.frames_pending => {
                    ready?.clear_ready();
                    self.frames_pending = true;
                }
            }
        }
    }

    /// Hands out at most `budget` frames in the order of the ring, and says how many that were. Fewer than `budget`
    /// means that the ring was empty.
    pub fn drain(&mut self, budget: usize, mut sink: impl FnMut(&Frame<'_>)) -> usize {
        let mut drained = 0;
        while drained < budget {
            let Some(item) = self.ring.next() else {
                self.frames_pending = false;
                return drained;
            };
            drained += 1;
            let Ok(record) = Record::read(&item) else {
                self.malformed += 1;
                continue;
            };
            let stamp = self.clock.at_boot_nanos(record.boot_nanos);
            if stamp < self.latest {
                self.clamped += 1;
            }
            self.latest = self.latest.max(stamp);
            sink(&Frame {
                at: self.latest,
                interface: self.origins.of(record.interface_index),
                direction: match record.direction {
                    dhcp_observer_ebpf::Direction::In => Direction::In,
                    dhcp_observer_ebpf::Direction::Out => Direction::Out,
                },
                link_type: if record.raw_ip { LinkType::RawIp } else { LinkType::Ethernet },
                metadata_tag: record.vlan.map(|tag| MetadataTag { ethertype: tag.ethertype, tci: tag.tci }),
                bytes: record.bytes,
                wire_length: record.wire_length as usize,
            });
        }
        self.frames_pending = true;
        drained
    }

    /// What was counted since the capture was opened.
    ///
    /// # Errors
    ///
    /// When the kernel does not let the counters be read.
    pub fn counters(&self) -> Result<Counters, CaptureError> {
        let cpus = self.counters.get(&0, 0).map_err(|error| map_error(maps::COUNTERS, &error))?;
        Ok(Counters { clamped: self.clamped, malformed: self.malformed, ..Counters::sum(cpus.iter()) })
    }

    /// Attaches to interfaces that came, gives up those that went, and tells what was done since the last call. The
    /// first call tells what [`Self::open`] did.
    ///
    /// # Errors
    ///
    /// [`CaptureError::Netlink`] when the interfaces cannot be listed.
    pub fn changes(&mut self) -> Result<Vec<Change>, CaptureError> {
        self.links_pending = false;
        let gone = self.watch.gone().map_err(CaptureError::Netlink)?;
        let links = interfaces::list().map_err(CaptureError::Netlink)?;
        self.rescan(&links, &gone);
        Ok(std::mem::take(&mut self.news))
    }

    /// Observes these interfaces from now on: detaches from those that are not among them, which it gives back, and attaches
    /// to new ones at the next [`Self::changes`]. What those that stay have is left alone. One that does not exist is
    /// waited for.
    pub fn set_interfaces(&mut self, names: Vec<String>) -> Vec<Arc<Interface>> {
        let (kept, gone) =
            std::mem::take(&mut self.slots).into_iter().partition(|slot| names.contains(&slot.name));
        self.slots = kept;
        for name in names {
            if !self.slots.iter().any(|slot| slot.name == name) {
                self.slots.push(Slot { name, attachment: None, failed: None });
            }
        }
        gone.iter().filter_map(|slot: &Slot| Some(Arc::clone(&slot.attachment.as_ref()?.interface))).collect()
    }

    /// Detaches from every interface. What is in the ring can still be drained, and the counters read.
    pub fn detach(&mut self) {
        self.slots.clear();
    }

    /// The interfaces that are observed at the moment.
    pub fn attached(&self) -> impl Iterator<Item = &Arc<Interface>> {
        self.slots.iter().filter_map(|slot| slot.attachment.as_ref()).map(|attachment| &attachment.interface)
    }

    fn rescan(&mut self, links: &[Link], gone: &[u32]) {
        for slot in &mut self.slots {
            let link = links.iter().find(|link| link.name == slot.name);
            if let Some(attachment) = &slot.attachment {
                let same = link.is_some_and(|link| link.index == attachment.index);
                if same && !gone.contains(&attachment.index) {
                    continue;
                }
                self.news.push(Change::Gone { interface: Arc::clone(&attachment.interface) });
                slot.attachment = None;
            }
            let Some(link) = link else {
                slot.failed = None;
                continue;
            };
            match self.programs.attach(link) {
                Ok(attachment) => {
                    slot.failed = None;
                    self.origins.add(&attachment.interface);
                    self.news.push(Change::Attached {
                        interface: Arc::clone(&attachment.interface),
                        road: attachment.road,
                        swept: attachment.swept,
                    });
                    slot.attachment = Some(attachment);
                }
                Err(error) if slot.failed != Some(link.index) => {
                    slot.failed = Some(link.index);
                    self.news.push(Change::Failed { interface: link.name.clone(), error });
                }
                Err(_) => {}
            }
        }
    }
}

/// Which interface an index in a record means, also for a frame that is read after its interface went away.
#[derive(Default)]
struct Origins {
    /// The newest last.
    known: VecDeque<Arc<Interface>>,
}

impl Origins {
    /// How many are remembered: those observed and some that went. An interface that comes and goes for years must
    /// not fill the memory.
    const LIMIT: usize = 256;

    fn add(&mut self, interface: &Arc<Interface>) {
        self.known.retain(|known| known.index != interface.index);
        if self.known.len() == Self::LIMIT {
            self.known.pop_front();
        }
        self.known.push_back(Arc::clone(interface));
    }

    fn of(&mut self, index: u32) -> &Arc<Interface> {
        let place = self.known.iter().position(|known| known.index == Some(index));
        let place = place.unwrap_or_else(|| {
            // Only an interface that was pushed out can be unknown; its frames are worth more than its name.
            self.add(&Arc::new(Interface { index: Some(index), name: String::new() }));
            self.known.len() - 1
        });
        &self.known[place]
    }
}

fn wait_for(descriptor: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    let descriptor = descriptor.try_clone_to_owned()?;
    // SAFETY: an owned descriptor stays open, and the same, for as long as the `AsyncFd` owns it.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}

/// Waits for a descriptor that may not be there, and clears its readiness.
async fn readable(descriptor: Option<&AsyncFd<OwnedFd>>) -> io::Result<()> {
    match descriptor {
        Some(descriptor) => descriptor.readable().await.map(|mut ready| ready.clear_ready()),
        None => std::future::pending().await,
    }
}

/// A size that the kernel takes for a ring: a power of two and whole pages (of 64 KiB at most, on some machines).
fn ring_size(octets: u32) -> u32 {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| u32::try_from(page).ok()).unwrap_or(4096);
    octets.max(page).checked_next_power_of_two().unwrap_or(1 << 31)
}

fn take_map<T, E: std::fmt::Display>(
    ebpf: &mut aya::Ebpf,
    name: &'static str,
    make: impl FnOnce(Map) -> Result<T, E>,
) -> Result<T, CaptureError> {
    let map = ebpf.take_map(name).ok_or_else(|| CaptureError::Object(format!("it has no map {name}")))?;
    make(map).map_err(|error| map_error(name, &error))
}

fn map_error(map: &'static str, error: &dyn std::fmt::Display) -> CaptureError {
    CaptureError::Map { map, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_a_power_of_two_of_at_least_a_page() {
        let page = ring_size(0);
        assert!(page >= 4096 && page.is_power_of_two());
        assert_eq!(ring_size(RING_BYTES), RING_BYTES);
        assert_eq!(ring_size(RING_BYTES + 1), 2 * RING_BYTES);
        assert_eq!(ring_size(u32::MAX), 1 << 31);
    }

    #[test]
    fn an_interface_is_known_after_it_went_until_many_others_came() {
        let mut origins = Origins::default();
        let named =
            |index: u32, name: &str| Arc::new(Interface { index: Some(index), name: name.to_owned() });
        origins.add(&named(7, "eth0"));
        origins.add(&named(8, "eth0"));
        assert_eq!(origins.of(7).name, "eth0");
        assert_eq!(**origins.of(9), Interface { index: Some(9), name: String::new() });
        origins.add(&named(7, "renamed"));
        assert_eq!(origins.of(7).name, "renamed");
        for index in 100..100 + Origins::LIMIT as u32 {
            origins.add(&named(index, "veth"));
        }
        assert_eq!(origins.of(8).name, "");
        assert_eq!(origins.known.len(), Origins::LIMIT);
    }
}
