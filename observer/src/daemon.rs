//! Live observation: one task that owns the capture, the driver and the hooks, and does in turn what is ready.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::capture::counters::Counters;
use crate::capture::live::{Capture, Change, Options as CaptureOptions, Readiness};
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::deliver::Delivery;
use crate::drive::Driver;
use crate::render;
use crate::seed;
use crate::time::Timestamp;
use crate::tracker::{Answers, Limits, network};

/// Frames that are taken from the ring before anything else gets its turn.
const BUDGET: usize = 1_024;
/// How often losses are looked for.
const CHECK: Duration = Duration::from_secs(1);

/// What to observe.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where and how frames are captured.
    pub capture: CaptureOptions,
    /// Whose answers make leases.
    pub answers: Answers,
    /// Events that are not about leases.
    pub network: network::Options,
    /// What is known of the server.
    pub config: Arc<ServerConfig>,
    /// Lease files of the server, from which the leases of before the start are learned.
    pub seed: Vec<PathBuf>,
}

/// The parts of a running observer.
struct Daemon {
    capture: Capture,
    driver: Driver,
    delivery: Delivery,
    clock: Clock,
    /// Losses that were already reported.
    reported: Losses,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Losses {
    frames: u64,
    overtaken: u64,
    hooks: u64,
    over_limit: u64,
    network: u64,
}

/// Observes until `stop` says so, then detaches, lets queued and running hooks end, and tells the totals. A second word
/// from `stop` does not wait for hooks.
///
/// `open_delivery` makes the receiving end of the events once the capture is attached and its clock is known.
///
/// # Errors
///
/// When the capture cannot be attached, the hook cannot be run, a lease file cannot be read, or standard output cannot be
/// written.
pub async fn run(
    options: Options,
    mut stop: mpsc::Receiver<()>,
    open_delivery: impl FnOnce(Clock) -> Result<Delivery>,
) -> Result<()> {
    // What is wrong with a file is said before anything is attached.
    seed::check(&options.seed)?;
    let capture = Capture::open(&options.capture)?;
    let clock = capture.clock();
    let delivery = open_delivery(clock)?;
    let mut driver = Driver::new(options.config, options.answers, Limits::default());
    driver.set_network_events(options.network);
    driver.tell_heard(delivery.wants_heard());
    let mut daemon = Daemon { capture, driver, delivery, clock, reported: Losses::default() };
    // No frame is older than this.
    let start = clock.now();
    daemon.links()?;
    let outcome = match daemon.seed(&options.seed, start, &mut stop).await {
        Ok(true) => {
            info!("ready: observing {}", options.capture.interfaces.join(", "));
            daemon.observe(&mut stop).await
        }
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    daemon.finish(&mut stop).await;
    outcome
}

impl Daemon {
    /// Learns the leases that the server gave before. The files are read with the capture already attached: a change that
    /// falls between the two is told twice, as a lease that is known and granted, rather than never.
    ///
    /// Says whether to go on.
    async fn seed(
        &mut self,
        files: &[PathBuf],
        start: Timestamp,
        stop: &mut mpsc::Receiver<()>,
    ) -> Result<bool> {
        if files.is_empty() {
            return Ok(true);
        }
        let seed = seed::read_all(files)?;
        render::skipped_lines(&seed.skipped).for_each(|line| warn!("{line}"));
        info!("seeded: {} DHCPv4 and {} DHCPv6 leases", seed.leases4.len(), seed.leases6.len());
        self.driver.seed(seed.leases4, seed.leases6);
        // A file may be old, and all its leases over: that must not overrun the queue.
        while let Some(due) = self.driver.poll_timeout().filter(|due| *due <= start) {
            self.pass_time(due)?;
            let Some(hooks) = self.delivery.hooks() else { continue };
            while hooks.queued() > 0 {
                tokio::select! {
                    biased;
                    _ = stop.recv() => return Ok(false),
                    _progress = hooks.drain() => {}
                }
            }
        }
        Ok(true)
    }

    /// Lets every deadline at or before `now` happen.
    fn pass_time(&mut self, now: Timestamp) -> Result<()> {
        let Self { driver, delivery, .. } = self;
        let mut written = Ok(());
        driver.handle_time(now, |event| {
            if written.is_ok() {
                written = delivery.handle_event(&event);
            }
        });
        written.and_then(|()| delivery.handle_timeout(now))?;
        Ok(delivery.flush()?)
    }

    async fn observe(&mut self, stop: &mut mpsc::Receiver<()>) -> Result<()> {
        let mut check = tokio::time::interval(CHECK);
        check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.next_deadline().map(|due| due.since(self.clock.now()));
            tokio::select! {
                biased;
                _ = stop.recv() => return Ok(()),
                readiness = self.capture.ready() => {
                    if readiness.context("cannot wait for frames")? == Readiness::Links {
                        self.links()?;
                    }
                }
                _progress = self.delivery.progress() => {}
                _ = check.tick() => self.report_losses(),
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {}
            }
            self.turn()?;
        }
    }

    /// When something is due in the tracker, in a dialect or for a hook.
    fn next_deadline(&mut self) -> Option<Timestamp> {
        let hooks = self.delivery.hooks().and_then(|hooks| hooks.poll_timeout());
        [self.driver.poll_timeout(), self.delivery.poll_timeout(), hooks].into_iter().flatten().min()
    }

    /// Frames first; only when the ring is empty is it known that nothing from before "now" is still to come.
    fn turn(&mut self) -> Result<()> {
        let now = self.clock.now();
        let Self { capture, driver, delivery, .. } = self;
        let mut written = Ok(());
        let mut deliver = |event| {
            if written.is_ok() {
                written = delivery.handle_event(&event);
            }
        };
        let drained = capture.drain(BUDGET, |frame| driver.handle_frame(frame, &mut deliver));
        let is_empty = drained < BUDGET;
        if is_empty {
            driver.handle_time(now, &mut deliver);
        }
        written?;
        if is_empty {
            delivery.handle_timeout(now)?;
        }
        delivery.flush()?;
        if let Some(hooks) = self.delivery.hooks() {
            // A hook whose end has not been heard of would count as hanging.
            while hooks.try_progress().is_some() {}
            hooks.handle_timeout(now);
        }
        Ok(())
    }

    /// Delivers what was still waiting for something that will not be seen any more.
    fn last_words(&mut self) -> Result<()> {
        let Self { driver, delivery, .. } = self;
        let mut written = Ok(());
        driver.finish(|event| {
            if written.is_ok() {
                written = delivery.handle_event(&event);
            }
        });
        written?;
        Ok(delivery.flush()?)
    }

    fn links(&mut self) -> Result<()> {
        for change in self.capture.changes()? {
            match change {
                Change::Attached { .. } => info!("{change}"),
                Change::Gone { .. } => warn!("{change}"),
                Change::Failed { .. } => error!("{change}"),
            }
        }
        self.driver.set_taps(self.capture.attached().count());
        Ok(())
    }

    /// What is lost is said at once and loudly, then once a second while it goes on.
    fn report_losses(&mut self) {
        let hooks = self.delivery.hooks().map(|hooks| hooks.counters().dropped).unwrap_or_default();
        let Counters { lost: frames, overtaken, .. } = self.kernel_counters().unwrap_or_default();
        let over_limit = self.driver.counters().leases_over_limit;
        let network = self.driver.network_counters().left_out;
        let losses = Losses { frames, overtaken, hooks, over_limit, network };
        let before = std::mem::replace(&mut self.reported, losses);
        if frames > before.frames {
            error!(
                "{} DHCP frames lost, {frames} in all: the ring buffer was full; leases may be wrong. Give it more room \
                 with --ring-size",
                frames - before.frames
            );
        }
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

    fn kernel_counters(&self) -> Option<Counters> {
        match self.capture.counters() {
            Ok(counters) => Some(counters),
            Err(error) => {
                warn!("the counters of the eBPF programs cannot be read: {error}");
                None
            }
        }
    }

    /// Detaches, handles what was captured until then, lets hooks end, tells the totals.
    async fn finish(mut self, stop: &mut mpsc::Receiver<()>) {
        self.capture.detach();
        if let Err(error) = self.turn().and_then(|()| self.last_words()) {
            error!("{error:#}");
        }
        self.report_losses();
        let counters = self.kernel_counters();
        if let Some(hooks) = self.delivery.hooks()
            && !hooks.is_idle()
        {
            info!("detached; waiting for {} running and {} queued hooks", hooks.running(), hooks.queued());
            tokio::select! {
                () = async { while hooks.drain().await.is_some() {} } => {}
                _ = stop.recv() => {
                    error!("{} hooks were not waited for", hooks.unfinished().count());
                }
            }
        }
        eprintln!("{}", render::totals(&self.driver));
        if let Some(counters) = counters {
            eprintln!("{}", render::kernel_totals(&counters));
        }
        if let Some(hooks) = self.delivery.hooks() {
            eprintln!("{}", render::hook_totals(&hooks.counters()));
        }
    }
}
