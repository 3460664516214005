//! Live capture: the programs attached to interfaces, and what they put in the ring buffer as [`Frame`]s.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aya::EbpfLoader;
use aya::maps::{Map, MapData, PerCpuArray, RingBuf};
use aya::util::KernelVersion;
use aya_log::EbpfLogger;
use dhcp_observer_ebpf::{COUNTER_COUNT, OBJECT, RING_BYTES, globals, maps};
use log::{LevelFilter, Log};
use nix::unistd::geteuid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub use super::attach::Road;
use super::attach::{Attachment, Programs};
use super::check;
pub use super::check::CaptureError;
pub use super::counters::Counters;
use super::gap::{Gap, GapReason};
use super::interfaces::{self, Link, Watch};
use super::needs::{self, Situation};
use super::pin::left::Left;
use super::pin::others::Other;
use super::pin::state::State;
use super::pin::{self, Found, PinError, Shelf};
use super::reader::Reader;
use super::rewind::{self, Meter, Rewound};
use crate::clock::Clock;
use crate::frame::{Frame, Interface, RingPlace};
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
    /// Where what must outlive this process is pinned. `None` when nothing must.
    pub pins: Option<pin::Options>,
    /// Up to where what the observer before this one has read is stored, where somebody knows. What it read beyond that is
    /// read again.
    pub stored: Option<RingPlace>,
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
            pins: None,
            stored: None,
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
        /// In how many directions the links or filters of the observer before this one go on.
        taken_over: usize,
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
    /// What is captured while the observer does not run is kept for it.
    Pinned {
        /// In which directory.
        directory: PathBuf,
    },
    /// Nothing can be pinned: frames that come while the observer does not run are not seen.
    Unpinned {
        /// Why.
        error: PinError,
    },
    /// What the observer before this one had read and not stored is read again.
    Rewound {
        /// How much of the ring that is.
        octets: u64,
    },
    /// What lay among the pins of an earlier observer and was none was removed: its user may have laid it out there.
    Removed {
        /// One of it.
        first: PathBuf,
        /// How much.
        count: usize,
    },
    /// Another instance was left in this network namespace by an observer that does not run.
    Other(Other),
    /// The wall clock was set while no observer ran. The frames of that time get the stamps that the clock has now.
    ClockSet {
        /// By how many seconds; negative is back.
        seconds: i64,
    },
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Attached { interface, road, swept, taken_over } => {
                write!(f, "{} is observed ({road})", interface.name)?;
                if *swept > 0 {
                    write!(f, "; {swept} filters of an observer that was killed were removed")?;
                }
                if *taken_over > 0 {
                    f.write_str(", taken over from the observer before")?;
                }
                Ok(())
            }
            Self::Gone { interface } => write!(f, "{} went away, waiting for it", interface.name),
            Self::Failed { interface, error } => write!(f, "{interface} cannot be observed: {error}"),
            Self::Pinned { directory } => write!(f, "capture is pinned in {}", directory.display()),
            Self::Unpinned { error } => {
                write!(f, "what comes while the observer does not run will not be seen: {error}")
            }
            Self::Rewound { octets } => write!(
                f,
                "{octets} octets of the ring are read again: the observer before this one had not stored what they came to"
            ),
            // Names in there are somebody else's words.
            Self::Removed { first, count } => write!(
                f,
                "{count} entries that are no pinned objects, and may lead elsewhere, were removed from the pins: {first:?} \
                 first"
            ),
            Self::Other(Other::Adopted { path }) => write!(
                f,
                "{} was left by the observer before this one: what it captured is read, and its links are taken over",
                path.display()
            ),
            Self::Other(Other::Abandoned { path, command }) => write!(
                f,
                "{} was left by an observer that does not run, and nobody reads what is captured for it: {command} removes it",
                path.display()
            ),
            Self::ClockSet { seconds } => write!(
                f,
                "the wall clock was set by {seconds} s while no observer ran: frames of that time get the stamps of the \
                 clock as it is now"
            ),
        }
    }
}

/// A running capture. Dropping it detaches everything.
pub struct Capture {
    // The ring and the programs hold each other's maps; the order of the fields is the order of the drop: nothing new
    // comes in before the ring goes, and what is pinned goes last.
    slots: Vec<Slot>,
    programs: Programs,
    /// Rings of earlier versions, read before our own.
    backlogs: Vec<Backlog>,
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
    reader: Reader,
    malformed: u64,
    gaps: Vec<Gap>,
    /// How many lost frames were told of.
    lost_told: u64,
    /// When the counters were last looked at.
    looked_at: Timestamp,
    shelf: Option<Shelf>,
    /// Tells places in the ring, where it is pinned.
    meter: Option<Meter>,
}

/// What an observer of another version left.
struct Backlog {
    ring: RingBuf<MapData>,
    /// Tells places in it.
    meter: Option<Meter>,
    directory: PathBuf,
    /// Records that we cannot read.
    refused: u64,
    /// When it was last known to be read.
    from: Timestamp,
    /// Whether the counters were looked at since it was found: a program that ran on another CPU when the links changed
    /// has ended by then.
    settled: bool,
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

        // One that is named twice is observed once.
        let mut names: Vec<String> = Vec::new();
        for name in &options.interfaces {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let mut news = Vec::new();
        let version = pin::name::version(OBJECT, ring_size(options.ring_bytes), options.attach);
        let shelf = |pins| Shelf::open(pins, &names, options.attach, &version, options.stored);
        let (mut shelf, Found { left, links: links_left, others, removed }) =
            match options.pins.as_ref().map(shelf) {
                None => (None, Found::default()),
                Some(Ok((shelf, found))) => (Some(shelf), found),
                Some(Err(error)) => {
                    news.push(Change::Unpinned { error });
                    (None, Found::default())
                }
            };
        let count = removed.len();
        news.extend(removed.into_iter().next().map(|first| Change::Removed { first, count }));
        let mut loaded = load(options, shelf.as_ref().map(Shelf::directory));
        if let (Err(error), Some(refused)) = (&loaded, shelf.take_if(|_| loaded.is_err())) {
            // A kernel or a security module may refuse pins alone.
            let (path, message) = (refused.shown().to_owned(), error.to_string());
            news.push(Change::Unpinned { error: PinError::Object { path, message } });
            drop(refused);
            loaded = load(options, None);
        }
        let mut ebpf = loaded?;
        let logger = if options.ebpf_log == LevelFilter::Off {
            None
        } else {
            let logger = EbpfLogger::init(&mut ebpf);
            Some(logger.map_err(|error| map_error(maps::LOG_RING, &error))?)
        };
        let pin = shelf.as_ref().map(|shelf| shelf.directory().join(maps::RING));
        let rewound = match (&pin, options.stored) {
            (Some(pin), Some(stored)) => rewind::rewind(pin, stored),
            _ => Ok(Rewound::NotNeeded),
        };
        // Before this the ring has no reader.
        let ring = take_map(&mut ebpf, maps::RING, RingBuf::try_from)?;
        let counters = take_map(&mut ebpf, maps::COUNTERS, PerCpuArray::try_from)?;

        let mut reader = Reader::new(Clock::new());
        for (index, name) in links_left.interfaces() {
            reader.origins.add(&Arc::new(Interface { index: Some(index), name: name.to_owned() }));
        }
        let pins = shelf.as_ref().map(|shelf| shelf.directory().to_owned());
        let slot = |name: String| Slot { name, attachment: None, failed: None };
        let mut capture = Self {
            slots: names.into_iter().map(slot).collect(),
            programs: Programs::load(ebpf, options.attach, options.promiscuous, pins.clone(), links_left)?,
            backlogs: Vec::new(),
            ring,
            counters,
            logger,
            watch,
            waits: None,
            frames_pending: true,
            links_pending: false,
            news,
            looked_at: reader.clock.now(),
            reader,
            malformed: 0,
            gaps: Vec::new(),
            lost_told: 0,
            meter: pin.and_then(|pin| Meter::open(&pin).ok()),
            shelf,
        };
        capture.rescan(&links, &[]);
        // At the start a failure is the caller's to know, not the log's.
        let failure = capture.news.iter().position(|change| matches!(change, Change::Failed { .. }));
        if let Some(Change::Failed { error, .. }) = failure.map(|place| capture.news.swap_remove(place)) {
            return Err(error);
        }
        capture.programs.left.remove_rest();
        let shown = capture.shelf.as_ref().map(|shelf| shelf.shown().to_owned());
        capture.news.extend(shown.map(|directory| Change::Pinned { directory }));
        capture.news.extend(others.into_iter().map(Change::Other));
        capture.take_over(left, options.promiscuous);
        capture.note_rewound(rewound.unwrap_or(Rewound::Overwritten), capture.looked_at);
        if let Some(shelf) = &mut capture.shelf {
            shelf.begin();
        }
        capture.look()?;
        Ok(capture)
    }

    /// Says what became of setting a ring back, which was last known to be read at `from`.
    fn note_rewound(&mut self, rewound: Rewound, from: Timestamp) {
        match rewound {
            Rewound::NotNeeded | Rewound::Forward(_) => {}
            Rewound::Back(octets) => self.news.push(Change::Rewound { octets }),
            Rewound::Overwritten => {
                let until = self.reader.clock.now();
                self.gaps.push(Gap { from, until, frames_lost: None, reason: GapReason::NotStored });
            }
        }
    }

    /// Goes on where the observer before this one ended: its rings are to be read first, and what it could not see is
    /// told.
    fn take_over(&mut self, left: Vec<Left>, promiscuous: bool) {
        if left.is_empty() {
            return;
        }
        let states = left.iter().filter_map(|left| left.state);
        let looked_at = states.map(|state| state.looked_at).max().unwrap_or_default();
        let from = self.reader.clock.at_boot_nanos(looked_at);
        let until = self.reader.clock.now();
        let gap = |frames_lost, reason| Gap { from, until, frames_lost, reason };
        for left in left {
            let counters = left.counters();
            let Left { directory, is_ours, state, ring, rewound, .. } = left;
            self.note_rewound(rewound, from);
            let state = state.unwrap_or_default();
            let step = (self.reader.clock.offset() - state.wall_offset) / 1_000_000_000;
            if looked_at != 0 && state.looked_at == looked_at && step != 0 {
                self.news.push(Change::ClockSet { seconds: step });
            }
            if is_ours {
                // What was lost since is told by the first look at the counters.
                self.lost_told = state.lost_told;
                self.looked_at = self.reader.clock.at_boot_nanos(state.looked_at);
                continue;
            }
            match counters.map(|counters| counters.lost) {
                Some(lost) if lost > state.lost_told => {
                    let reason = GapReason::RingFull { in_all: lost };
                    self.gaps.push(gap(Some(lost - state.lost_told), reason));
                }
                Some(_) => {}
                None => self.gaps.push(gap(None, GapReason::OtherVersion)),
            }
            match ring {
                Some(ring) => {
                    let meter = Meter::open(&directory.join(maps::RING)).ok();
                    self.backlogs.push(Backlog { ring, meter, directory, refused: 0, from, settled: false });
                }
                None => self.gaps.push(gap(None, GapReason::OtherVersion)),
            }
        }
        for attachment in self.slots.iter().filter_map(|slot| slot.attachment.as_ref()) {
            if !attachment.is_taken_over() {
                let interface = attachment.interface.name.clone();
                self.gaps.push(gap(None, GapReason::NotAttached { interface }));
            }
        }
        if promiscuous {
            self.gaps.push(gap(None, GapReason::NotPromiscuous));
        }
    }

    /// The clock that stamps are made with. Deadlines must be compared with this one's "now".
    pub const fn clock(&self) -> Clock {
        self.reader.clock
    }

    /// The stamp of the oldest frame that waits to be read, where one waits: what was captured while no observer ran is
    /// older than this capture.
    pub fn oldest(&mut self) -> Option<Timestamp> {
        let Self { backlogs, ring, reader, .. } = self;
        let rings = backlogs.iter_mut().map(|backlog| &mut backlog.ring).chain([ring]);
        rings.filter_map(|ring| reader.next_stamp(ring)).min()
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
    /// means that the ring was empty. What an observer of another version left comes first.
    pub fn drain(&mut self, budget: usize, mut sink: impl FnMut(&Frame<'_>)) -> usize {
        self.drain_placed(budget, |frame, _| sink(frame))
    }

    /// The same with the place behind each frame, where the ring outlives us: what the next observer is to be told in
    /// [`Options::stored`].
    pub fn drain_placed(
        &mut self,
        budget: usize,
        mut sink: impl FnMut(&Frame<'_>, Option<RingPlace>),
    ) -> usize {
        let mut drained = 0;
        for Backlog { ring, meter, refused, .. } in &mut self.backlogs {
            drained += self.reader.read(ring, budget - drained, refused, |frame, octets| {
                sink(frame, meter.as_ref().map(|meter| meter.behind(octets)));
            });
        }
        let Self { ring, reader, malformed, meter, .. } = self;
        drained += reader.read(ring, budget - drained, malformed, |frame, octets| {
            sink(frame, meter.as_ref().map(|meter| meter.behind(octets)));
        });
        self.frames_pending = drained == budget;
        drained
    }

    /// Up to where our own ring is read, where it outlives us. `None` while what others have left is still to be read.
    pub fn place(&self) -> Option<RingPlace> {
        self.meter.as_ref().filter(|_| self.backlogs.is_empty()).map(Meter::place)
    }

    /// What was counted since the ring was made, which is before this process began when the ring was taken over.
    ///
    /// # Errors
    ///
    /// When the kernel does not let the counters be read.
    pub fn counters(&self) -> Result<Counters, CaptureError> {
        let cpus = self.counters.get(&0, 0).map_err(|error| map_error(maps::COUNTERS, &error))?;
        Ok(Counters { clamped: self.reader.clamped, malformed: self.malformed, ..Counters::sum(cpus.iter()) })
    }

    /// Looks at the counters: what was lost since the last look becomes a [`Gap`]. To be called about once a second, as
    /// the gap is as long as the time between two looks, and between reads of the whole ring.
    ///
    /// # Errors
    ///
    /// When the kernel does not let the counters be read, or the next observer's numbers be written.
    pub fn look(&mut self) -> Result<Counters, CaptureError> {
        // The clock first, so that what is lost between the two lies within the next gap.
        let until = self.reader.clock.now();
        let boot_nanos = self.reader.clock.boot_nanos(until);
        let counters = self.counters()?;
        if counters.lost > self.lost_told {
            self.gaps.push(Gap {
                from: self.looked_at,
                until: self.reader.clock.now(),
                frames_lost: Some(counters.lost - self.lost_told),
                reason: GapReason::RingFull { in_all: counters.lost },
            });
        }
        self.lost_told = counters.lost;
        self.looked_at = until;
        self.retire_backlogs(until);
        if let Some(shelf) = &mut self.shelf {
            let state = State {
                looked_at: boot_nanos,
                lost_told: self.lost_told,
                wall_offset: self.reader.clock.offset(),
            };
            shelf.remember(&state).map_err(|error| map_error("STATE", &error))?;
        }
        Ok(counters)
    }

    /// The gaps that were found since the last call.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.gaps)
    }

    /// Gives up old rings that have been read to their ends. The links have our programs, so nothing is written to an old
    /// ring any more.
    fn retire_backlogs(&mut self, now: Timestamp) {
        let Self { backlogs, gaps, .. } = self;
        backlogs.retain_mut(|Backlog { ring, directory, refused, from, settled, .. }| {
            if !std::mem::replace(settled, true) || ring.next().map(std::mem::forget).is_some() {
                return true;
            }
            if *refused > 0 {
                let (frames_lost, reason) = (Some(*refused), GapReason::OtherVersion);
                gaps.push(Gap { from: *from, until: now, frames_lost, reason });
            }
            // What cannot be removed is found, empty, by the next observer.
            let _ = std::fs::remove_dir_all(&*directory);
            // Where it was another instance's this is empty now; where it is ours it is not.
            let _ = directory.parent().map(std::fs::remove_dir);
            false
        });
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

    /// Has everything stay attached and pinned at the end, whatever the options say.
    pub fn keep(&mut self) {
        if let Some(shelf) = &mut self.shelf {
            shelf.keep();
        }
    }

    /// Detaches from every interface, or leaves everything attached and pinned for the next observer where the options
    /// say so. What is in the ring can still be drained, and the counters read. Says whether frames still come.
    pub fn detach(&mut self) -> bool {
        let keeps = self.shelf.as_ref().is_some_and(Shelf::keeps);
        for attachment in self.slots.drain(..).filter_map(|slot| slot.attachment) {
            if keeps {
                attachment.leave();
            }
        }
        keeps
    }

    /// Gives what is pinned to whose it is to be. Everything is open by now, and nothing may be opened there afterwards by
    /// who could open more than the new owner.
    ///
    /// # Errors
    ///
    /// When a directory cannot be given away.
    pub fn hand_over(&self) -> Result<(), PinError> {
        self.shelf.as_ref().map_or(Ok(()), Shelf::hand_over)
    }

    /// Takes it back, where we have not become the new owner after all.
    pub fn take_back(&self) {
        if let Some(shelf) = &self.shelf {
            shelf.take_back();
        }
    }

    /// Removes what is pinned. What is in the ring can still be drained, but not by another process.
    pub fn unpin(&mut self) {
        self.shelf = None;
    }

    /// The interfaces that are observed at the moment, and how.
    pub fn roads(&self) -> impl Iterator<Item = (&Arc<Interface>, Road)> {
        let attachments = self.slots.iter().filter_map(|slot| slot.attachment.as_ref());
        attachments.map(|attachment| (&attachment.interface, attachment.road))
    }

    /// Whether everything goes on where an earlier observer left it, so that nothing was missed between the two but what
    /// [`Capture::take_gaps`] says.
    pub fn is_continued(&self) -> bool {
        let mut attachments = self.slots.iter().filter_map(|slot| slot.attachment.as_ref()).peekable();
        attachments.peek().is_some() && attachments.all(|attachment| attachment.is_taken_over())
    }

    /// The interfaces that are observed at the moment.
    pub fn attached(&self) -> impl Iterator<Item = &Arc<Interface>> {
        self.slots.iter().filter_map(|slot| slot.attachment.as_ref()).map(|attachment| &attachment.interface)
    }

    /// The capabilities without which this capture could not go on: interfaces that come, frames, counters, detaching. A bit
    /// for each by its number. Everything else may be given up.
    pub fn needs(&self) -> u64 {
        let mut roads = self.slots.iter().filter_map(|slot| slot.attachment.as_ref()).peekable();
        let is_attached = roads.peek().is_some();
        let has_filters = roads.any(Attachment::has_filters);
        needs::capabilities(Situation {
            attach: self.programs.attach,
            filters: is_attached.then_some(has_filters),
            promiscuous: self.programs.promiscuous,
            pinned: self.shelf.is_some(),
            root: geteuid().is_root(),
            kernel: KernelVersion::current().map(|version| version.code()).unwrap_or_default(),
        })
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
                    self.reader.origins.add(&attachment.interface);
                    self.news.push(Change::Attached {
                        interface: Arc::clone(&attachment.interface),
                        road: attachment.road,
                        swept: attachment.swept,
                        taken_over: attachment.taken_over(),
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

/// Loads the object. Where there is a directory for pins, the maps that outlive us are taken from it or put there.
fn load(options: &Options, pins: Option<&Path>) -> Result<aya::Ebpf, CaptureError> {
    let level = options.ebpf_log as u8;
    let mut loader = EbpfLoader::new();
    loader
        .map_max_entries(maps::RING, ring_size(options.ring_bytes))
        // A ring of log lines costs memory even where nothing is logged.
        .map_max_entries(maps::LOG_RING, if level == 0 { ring_size(1) } else { 1 << 17 })
        .override_global(globals::LOG_LEVEL, &level, true);
    if let Some(directory) = pins {
        for name in pin::MAPS {
            loader.map_pin_path(name, directory.join(name));
        }
    }
    loader.load(OBJECT).map_err(|error| CaptureError::Object(error.to_string()))
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
}
