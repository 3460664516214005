//! Live observation: one task that owns the capture, the driver and the hooks, and does in turn what is ready.

mod reload;
mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::capabilities;
use crate::capture::counters::Counters;
use crate::capture::live::{Capture, CaptureError, Change, Options as CaptureOptions, Readiness};
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::config::file::Config;
use crate::control::Question;
use crate::deliver::Delivery;
use crate::drive::Driver;
use crate::render;
use crate::seed;
use crate::supervise;
use crate::time::Timestamp;

pub use reload::Reload;

/// Frames that are taken from the ring before anything else gets its turn.
const BUDGET: usize = 1_024;
/// How often losses are looked for.
const CHECK: Duration = Duration::from_secs(1);

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
}

/// What the rest of the system tells a running observer.
#[derive(Debug)]
pub struct Signals {
    /// To end; a second word does not wait for hooks.
    pub stop: mpsc::Receiver<()>,
    /// To read the configuration again.
    pub reload: mpsc::Receiver<()>,
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
/// `open_delivery` makes the receiving end of the events once the capture is attached and its clock is known; `reload`
/// is what is done about a word to read the configuration again.
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
    open_delivery: impl FnOnce(Clock) -> Result<Delivery>,
) -> Result<()> {
    // What is wrong with a file is said before anything is attached.
    seed::check(&config.server.seed)?;
    let mut capture = Capture::open(&capture_options(&config)?)?;
    let clock = capture.clock();
    let delivery = open_delivery(clock)?;
    let mut driver = Driver::new(server, config.capture.answers, config.limits.into());
    driver.set_fragment_limit(config.limits.fragments);
    driver.set_network_events(config.network);
    driver.tell_heard(delivery.wants_heard());
    let mut questions = status::serve(&config)?;
    // No frame is older than this: those that were captured while no observer ran are handled with their own times.
    let start = capture.oldest().unwrap_or_else(|| clock.now());
    let started = clock.now();
    let mut daemon =
        Daemon { config, capture, driver, delivery, clock, started, reported: Losses::default() };
    daemon.links()?;
    for gap in daemon.capture.take_gaps() {
        error!("{gap}");
    }
    let seeds = daemon.config.server.seed.clone();
    let outcome = match daemon.seed(&seeds, start, &mut signals.stop).await {
        Ok(true) => {
            // Everything is open, and no frame has been looked at yet.
            capabilities::give_up_all_but(daemon.capture.needs()).context("privileges cannot be given up")?;
            let names: Vec<_> =
                daemon.config.interfaces.iter().map(|interface| interface.name.as_str()).collect();
            info!("ready: observing {}", names.join(", "));
            supervise::ready(&format!("observing {}", names.join(", ")));
            daemon.observe(&mut signals, &mut reload, &mut questions).await
        }
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    supervise::stopping();
    daemon.finish(&mut signals.stop).await;
    outcome
}

/// The next tick; none where nothing ticks.
async fn tick(interval: Option<&mut tokio::time::Interval>) -> Option<()> {
    interval?.tick().await;
    Some(())
}

/// What of the configuration the capture is told when it is opened.
fn capture_options(config: &Config) -> Result<CaptureOptions, CaptureError> {
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
        pins: config.pins.clone(),
    })
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
                    progress = hooks.drain() => if progress.is_none() { break },
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
            let due = self.next_deadline().map(|due| due.since(self.clock.now()));
            tokio::select! {
                biased;
                _ = signals.stop.recv() => return Ok(()),
                Some(()) = signals.reload.recv() => self.reload(reload)?,
                readiness = self.capture.ready() => {
                    if readiness.context("cannot wait for frames")? == Readiness::Links {
                        self.links()?;
                    }
                }
                _progress = self.delivery.progress() => {}
                _ = check.tick() => self.report_losses(),
                Some(()) = tick(watchdog.as_mut()) => supervise::alive(),
                Question { reply } = status::next(questions) => {
                    // Whoever asked may have gone.
                    let _ = reply.send(self.status());
                }
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

    /// Frames first; only when the ring is empty is it known that nothing from before "now" is still to come. Says how many
    /// frames there were.
    fn turn(&mut self) -> Result<usize> {
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
        Ok(drained)
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
                Change::Attached { .. } | Change::Pinned { .. } => info!("{change}"),
                Change::Gone { .. } | Change::Unpinned { .. } | Change::ClockSet { .. } => warn!("{change}"),
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
        let over_limit = self.driver.counters().leases_over_limit;
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
        for gap in self.capture.take_gaps() {
            error!("{gap}");
        }
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
        let counters = self.capture.counters().ok();
        if !kept {
            self.capture.unpin();
        }
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
