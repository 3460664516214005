//! Live observation: one task that owns the capture, the driver and the hooks, and does in turn what is ready.

mod gap;
mod passage;
mod reload;
mod restore;
mod separate;
mod status;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::unistd::Uid;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::capabilities;
use crate::capture::check;
use crate::capture::counters::Counters;
use crate::capture::live::{Capture, CaptureError, Change, Options as CaptureOptions, Readiness};
use crate::capture::pin::{self, others::Other};
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::config::file::Config;
use crate::control::{Doors, Question};
use crate::deliver::Delivery;
use crate::drive::Driver;
use crate::logging::Repeats;
use crate::render;
use crate::seed;
use crate::store::{self, Archive};
use crate::supervise;
use crate::time::Timestamp;
use crate::tracker::{LeaseChange, LeaseCursor, LeaseEvent};

pub use reload::Reload;
pub use separate::Separate;

/// Frames that are taken from the ring before anything else gets its turn.
const BUDGET: usize = 1_024;
/// How often losses are looked for.
const CHECK: Duration = Duration::from_secs(1);
/// How often the store is told the time where nothing else is to be stored: what an observer that was killed seems to have
/// been away longer than it was, where nothing was pinned. A gap that is too long marks an event too many, and none too few, so
/// more writing than this would be for little.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long deadlines wait at least while the store has no room.
const NO_ROOM: Duration = Duration::from_millis(10);
/// Places of the tables of leases that are looked at in one turn when all leases are to be stored again.
const WALK: u32 = 4_096;

/// The parts of a running observer.
struct Daemon {
    /// What holds now.
    config: Config,
    capture: Capture,
    driver: Driver,
    delivery: Delivery,
    clock: Clock,
    /// When it began.
    started: Timestamp,
    /// Losses that were already reported.
    reported: Losses,
    /// How far all leases were stored again, where that is wanted.
    walk: Option<LeaseCursor>,
    /// When the store was told the time.
    noted: Timestamp,
    /// Who was not answered.
    doors: Doors,
    /// Which lines of the log were left out.
    repeats: Repeats,
}

/// What the rest of the system tells a running observer.
#[derive(Debug)]
pub struct Signals {
    /// To end; a second word does not wait for hooks.
    pub stop: mpsc::Receiver<()>,
    /// To read the configuration again.
    pub reload: mpsc::Receiver<()>,
    /// Whether the process that starts hooks has ended; whoever says so has given two words to end.
    pub orphaned: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Losses {
    overtaken: u64,
    hooks: u64,
    over_limit: u64,
    network: u64,
}

/// Observes until told to stop, then detaches, lets queued and running hooks end, and tells the totals.
///
/// `separate` says as whom, where not as whoever has started us. `open_delivery` makes the receiving end of the events once
/// the capture is attached and its clock is known; `reload` is what is done about a word to read the configuration again,
/// and `repeats` knows what the log left out.
///
/// # Errors
///
/// When the capture cannot be attached, the hooks cannot be run, a lease file cannot be read, or standard output cannot be
/// written.
pub async fn run(
    config: Config,
    server: Arc<ServerConfig>,
    mut signals: Signals,
    mut reload: Reload<'_>,
    repeats: Repeats,
    separate: Option<Separate>,
    open_delivery: impl FnOnce(Clock) -> Result<Delivery>,
) -> Result<()> {
    // What is wrong with a file is said before anything is attached.
    seed::check(&config.server.seed)?;
    let mut archive = match config.store.options() {
        Some(options) => {
            // Before a warning about the directory that is for the same reason.
            check::privilege()?;
            let _as_user = separate.as_ref().map(|separate| separate.store(&options)).transpose()?;
            let is_usual = options.directory == Path::new(store::DEFAULT_DIRECTORY);
            match Archive::open(options, Clock::new().now()) {
                Ok(archive) => Some(archive),
                // Nobody asked for this place by name.
                Err(error) if is_usual => {
                    warn!("{error}; nothing that is kept outlives this process");
                    None
                }
                Err(error) => return Err(error.into()),
            }
        }
        None => None,
    };
    let stored = archive.as_mut().and_then(|archive| archive.restored().read_up_to);
    let owner = separate.as_ref().map(Separate::owner);
    let mut capture = Capture::open(&CaptureOptions { stored, ..capture_options(&config, owner)? })?;
    let clock = capture.clock();
    let delivery = open_delivery(clock)?;
    let mut driver = Driver::new(server, config.capture.answers, config.limits.into());
    driver.set_fragment_limit(config.limits.fragments);
    driver.set_network_events(config.network);
    driver.tell_heard(delivery.wants_heard());
    let (mut questions, doors) = status::serve(&config)?;
    // No frame is older than this: those that were captured while no observer ran are handled with their own times.
    let start = capture.oldest().unwrap_or_else(|| clock.now());
    let (started, reported, walk) = (clock.now(), Losses::default(), None);
    let mut daemon = Daemon {
        config,
        capture,
        driver,
        delivery,
        clock,
        started,
        reported,
        walk,
        noted: start,
        doors,
        repeats,
    };
    daemon.delivery.set_start(started);
    if daemon.config.store.hold_after_gap {
        daemon.delivery.hold_ends();
    }
    daemon.links()?;
    // Its files are for root, and what the store makes from here on is its user's.
    let seed = seed::read_all(&daemon.config.server.seed)?;
    let as_user = separate.as_ref().map(Separate::files).transpose()?;
    let begun = daemon.begin(archive, seed, start, &mut signals.stop).await;
    drop(as_user);
    // Everything is open, and no frame has been looked at yet.
    let needs = daemon.capture.needs();
    let given_up = match separate {
        // The pins last: root opens nothing there any more.
        Some(separate) => daemon
            .capture
            .hand_over()
            .context("the pins cannot be given away")
            .and_then(|()| separate.drop_privileges(needs)),
        None => capabilities::give_up_all_but(needs).context("privileges cannot be given up"),
    };
    if let Err(error) = given_up {
        daemon.capture.take_back();
        // And none will be. Those that an earlier observer's programs have taken are the next one's.
        if daemon.capture.is_continued() {
            daemon.capture.keep();
        }
        daemon.capture.detach();
        return Err(error);
    }
    let outcome = match begun {
        Ok(true) => {
            let observing = format!("observing {}", daemon.config.interface_names());
            info!("ready: {observing}");
            supervise::ready(&observing);
            daemon.observe(&mut signals, &mut reload, &mut questions).await
        }
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    supervise::stopping();
    if signals.orphaned.load(Ordering::Relaxed) {
        // As after any other death: the next one misses nothing.
        daemon.capture.keep();
    }
    daemon.finish(&mut signals.stop).await;
    if signals.orphaned.load(Ordering::Relaxed) {
        bail!(
            "the process that starts hooks has ended: calls that it did not make are made after the next start"
        );
    }
    outcome
}

/// The next tick; none where nothing ticks.
async fn tick(interval: Option<&mut tokio::time::Interval>) -> Option<()> {
    interval?.tick().await;
    Some(())
}

/// What of the configuration the capture is told when it is opened.
fn capture_options(config: &Config, owner: Option<Uid>) -> Result<CaptureOptions, CaptureError> {
    let is_waited_for = config.interfaces.iter().any(|interface| interface.wait);
    if is_waited_for {
        // The capture waits for all or for none.
        for interface in config.interfaces.iter().filter(|interface| !interface.wait) {
            if nix::net::if_::if_nametoindex(interface.name.as_str()).is_err() {
                return Err(CaptureError::NoSuchInterface { interface: interface.name.clone() });
            }
        }
    }
    Ok(CaptureOptions {
        interfaces: config.interfaces.iter().map(|interface| interface.name.clone()).collect(),
        attach: config.capture.attach,
        ring_bytes: config.limits.ring_size,
        promiscuous: config.capture.promiscuous,
        ebpf_log: config.capture.ebpf_log,
        wait: is_waited_for,
        pins: config.pins.options().map(|pins| pin::Options { owner, ..pins }),
        stored: None,
    })
}

impl Daemon {
    /// Lets every deadline at or before `now` happen, each by itself as far as the store is concerned.
    fn pass_time(&mut self, now: Timestamp) -> Result<()> {
        self.deadlines(now)?;
        self.delivery.handle_timeout(now)?;
        self.commit();
        Ok(self.delivery.flush()?)
    }

    /// Has the tracker do everything that is due at `now`.
    fn deadlines(&mut self, now: Timestamp) -> Result<()> {
        let Self { driver, delivery, .. } = self;
        deadlines(driver, delivery, now)?;
        step(driver, delivery, |driver, sink| driver.handle_time(now, sink))
    }

    /// What was changed outside of a frame is one change.
    fn commit(&mut self) {
        commit(&mut self.driver, &mut self.delivery);
    }

    async fn observe(
        &mut self,
        signals: &mut Signals,
        reload: &mut Reload<'_>,
        questions: &mut mpsc::Receiver<Question>,
    ) -> Result<()> {
        let mut watchdog = supervise::watchdog().map(tokio::time::interval);
        let mut check = tokio::time::interval(CHECK);
        check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let has_room = self.delivery.has_room();
            let least = if has_room { Duration::ZERO } else { NO_ROOM };
            let due = self.next_deadline().map(|due| due.since(self.clock.now()).max(least));
            // What is rare comes first: in a flood there are always frames, and hooks have their turn after each lot.
            tokio::select! {
                biased;
                _ = signals.stop.recv() => return Ok(()),
                Some(()) = signals.reload.recv() => self.reload(reload)?,
                _ = check.tick() => {
                    self.report_losses();
                    self.tell_gaps()?;
                    self.heartbeat();
                }
                Some(()) = tick(watchdog.as_mut()) => supervise::alive(),
                Question { reply } = status::next(questions) => {
                    // Whoever asked may have gone.
                    let _ = reply.send(self.status());
                }
                readiness = self.capture.ready(), if has_room => {
                    if readiness.context("cannot wait for frames")? == Readiness::Links {
                        self.links()?;
                    }
                }
                () = self.delivery.progress() => {}
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {}
            }
            let drained = if self.delivery.has_room() {
                self.turn()?
            } else {
                self.delivery.handle_hooks(self.clock.now());
                0
            };
            self.store_again();
            if drained == BUDGET {
                // In a flood nothing above ever waits, and signals and questions are other tasks of this thread.
                tokio::task::yield_now().await;
            }
        }
    }

    /// When something is due in the tracker, in a dialect or for a hook.
    fn next_deadline(&mut self) -> Option<Timestamp> {
        let hooks = self.delivery.hooks().and_then(|hooks| hooks.poll_timeout());
        [self.driver.poll_timeout(), self.delivery.poll_timeout(), hooks].into_iter().flatten().min()
    }

    /// Frames first; only when the ring is empty is it known that nothing from before "now" is still to come. Says how many
    /// frames there were.
    fn turn(&mut self) -> Result<usize> {
        let now = self.clock.now();
        let Self { capture, driver, delivery, .. } = self;
        let mut written = Ok(());
        let drained = capture.drain_placed(BUDGET, |frame, behind| {
            if written.is_ok() {
                written = deadlines(driver, delivery, frame.at).and_then(|()| {
                    // What comes of the frame is stored together with the word that it was read.
                    delivery.set_read_up_to(behind);
                    step(driver, delivery, |driver, sink| driver.handle_frame(frame, sink))
                });
            }
        });
        written?;
        if drained < BUDGET {
            self.pass_time(now)?;
        }
        self.delivery.flush()?;
        self.delivery.handle_hooks(now);
        Ok(drained)
    }

    /// Tells the store the time now and then: the ring is empty, so nothing from before is still to come.
    fn heartbeat(&mut self) {
        // From which ring it is filled the store is to know before the first frame: the next observer may go by another name.
        self.delivery.set_read_up_to(self.capture.place());
        self.commit();
        let now = self.clock.now();
        if now.since(self.noted) >= HEARTBEAT && self.delivery.has_room() {
            self.noted = now;
            self.delivery.note_time(now);
        }
    }

    /// Stores all leases again, a part in each turn, where the database has lost them.
    fn store_again(&mut self) {
        if self.delivery.take_wants_leases() {
            self.walk = Some(LeaseCursor::default());
        }
        while self.delivery.has_room()
            && let Some(cursor) = self.walk
        {
            let tracker = self.driver.tracker();
            let (leases, next) = tracker.leases_from(cursor, WALK);
            let mut leases: Vec<_> = leases.collect();
            if next.is_none() {
                leases.extend(tracker.servers4().map(LeaseChange::Server4));
            }
            self.walk = next;
            self.delivery.append_leases(leases, next.is_none());
        }
    }

    /// Delivers what was still waiting for something that will not be seen any more.
    fn last_words(&mut self) -> Result<()> {
        step(&mut self.driver, &mut self.delivery, |driver, sink| driver.finish(sink))?;
        Ok(self.delivery.flush()?)
    }

    fn links(&mut self) -> Result<()> {
        for change in self.capture.changes()? {
            match change {
                Change::Attached { .. }
                | Change::Pinned { .. }
                | Change::Rewound { .. }
                | Change::Other(Other::Adopted { .. }) => info!("{change}"),
                Change::Gone { .. }
                | Change::Unpinned { .. }
                | Change::ClockSet { .. }
                | Change::Removed { .. }
                | Change::Other(Other::Abandoned { .. }) => warn!("{change}"),
                Change::Failed { .. } => error!("{change}"),
            }
        }
        self.driver.set_taps(self.capture.attached().count());
        Ok(())
    }

    /// What is lost is said at once and loudly, then once a second while it goes on.
    fn report_losses(&mut self) {
        let hooks = self.delivery.hooks().map(|hooks| hooks.counters());
        let hooks = hooks.map(|counters| counters.dropped + counters.dropped_subject).unwrap_or_default();
        let Counters { overtaken, .. } = self.look_at_counters().unwrap_or_default();
        let of_hooks: u64 = self.delivery.over_limit().iter().map(|(_, count)| count).sum();
        let over_limit = self.driver.counters().leases_over_limit + of_hooks;
        let network = self.driver.network_counters().left_out;
        let losses = Losses { overtaken, hooks, over_limit, network };
        let before = std::mem::replace(&mut self.reported, losses);
        if overtaken > before.overtaken {
            error!(
                "{} fragmented DHCP datagrams lost, {overtaken} in all: a later fragment came before the first; leases may \
                 be wrong",
                overtaken - before.overtaken
            );
        }
        if hooks > before.hooks {
            error!(
                "{} hooks dropped, {hooks} in all: too many wait. Make the script faster, or raise --max-hooks or \
                 --max-queue",
                hooks - before.hooks
            );
        }
        if over_limit > before.over_limit {
            error!(
                "{} leases not remembered, {over_limit} in all: the table is full; their renewals and ends will be missed",
                over_limit - before.over_limit
            );
        }
        if network > before.network {
            error!(
                "{} network events left out, {network} in all: too many of a kind in a minute",
                network - before.network
            );
        }
    }

    /// Looks at the counters of the eBPF programs, and says what they tell of lost frames.
    fn look_at_counters(&mut self) -> Option<Counters> {
        let counters = self.capture.look();
        counters.inspect_err(|error| warn!("the counters of the eBPF programs cannot be used: {error}")).ok()
    }

    /// Detaches, handles what was captured until then, lets hooks end, tells the totals. With `--keep` frames still come:
    /// they are the next observer's.
    async fn finish(mut self, stop: &mut mpsc::Receiver<()>) {
        let kept = self.capture.detach();
        let rest = loop {
            match self.turn() {
                Ok(BUDGET) if !kept => {}
                Ok(_) => break self.last_words(),
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = rest {
            error!("{error:#}");
        }
        self.report_losses();
        if let Err(error) = self.tell_gaps() {
            error!("{error:#}");
        }
        let counters = self.capture.counters().ok();
        if !kept {
            self.capture.unpin();
        }
        let is_stored = self.delivery.pending() == 0;
        if let Some(hooks) = self.delivery.hooks()
            && !(hooks.is_idle() && is_stored)
        {
            info!("detached; waiting for {} running and {} queued hooks", hooks.running(), hooks.queued());
            let was_stopped = tokio::select! {
                () = async { while self.delivery.drain().await {} } => false,
                _ = stop.recv() => true,
            };
            if was_stopped && let Some(hooks) = self.delivery.hooks() {
                error!("{} hooks were not waited for", hooks.unfinished().count());
            }
        }
        self.delivery.note_time(self.clock.now());
        let stored = self.delivery.close();
        eprintln!("{}", render::totals(&self.driver, &self.delivery.over_limit()));
        if let Some(counters) = counters {
            eprintln!("{}", render::kernel_totals(&counters));
        }
        if let Some(hooks) = self.delivery.hooks() {
            eprintln!("{}", render::hook_totals(&hooks.counters()));
        }
        if let Some(counters) = stored {
            eprintln!("{}", render::store_totals(&counters));
        }
        eprint!("{}", render::losses(&self.delivery.losses()));
        eprint!("{}", render::unserved(self.unserved()));
    }
}

/// Has the driver do one thing, and what came of it told and stored as one.
fn step(
    driver: &mut Driver,
    delivery: &mut Delivery,
    act: impl FnOnce(&mut Driver, &mut dyn FnMut(LeaseEvent)),
) -> Result<()> {
    let mut written = Ok(());
    act(driver, &mut |event| {
        if written.is_ok() {
            written = delivery.handle_event(&event);
        }
    });
    commit(driver, delivery);
    Ok(written?)
}

/// Where there is a store: lets what is due at `now` happen one after the other, so that each is a change by itself.
fn deadlines(driver: &mut Driver, delivery: &mut Delivery, now: Timestamp) -> Result<()> {
    while delivery.keeps()
        && let Some(due) = driver.poll_timeout().filter(|due| *due <= now)
    {
        let due = due.max(driver.now());
        step(driver, delivery, |driver, sink| driver.handle_time(due, sink))?;
    }
    Ok(())
}

fn commit(driver: &mut Driver, delivery: &mut Delivery) {
    if delivery.keeps() {
        let latest = driver.now();
        delivery.commit(std::iter::from_fn(|| driver.poll_change()), latest);
    }
}
