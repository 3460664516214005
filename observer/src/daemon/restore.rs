//! The start: what an earlier life has left, and what the server's lease files say.

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::passage::{self, Last};
use super::{Daemon, WALK};
use crate::capture::gap::{Gap, GapReason};
use crate::deliver::Keep;
use crate::render;
use crate::seed::Seed;
use crate::store::Archive;
use crate::time::Timestamp;
use crate::tracker::{
    Event, Exchange, Lease4, Lease6, LeaseChange, LeaseCursor, LeaseEvent, LeaseState, Occurrence,
};

/// Changes that may wait for the store while the deadlines of the time away are gone through.
const AHEAD: usize = 1_024;

impl Daemon {
    /// Takes up what there is to know from before, and lets happen what was due meanwhile. Says whether to go on.
    ///
    /// # Errors
    ///
    /// When a lease file cannot be read, the store has no thread, or standard output cannot be written.
    pub(super) async fn begin(
        &mut self,
        archive: Option<Archive>,
        seed: Seed,
        start: Timestamp,
        stop: &mut mpsc::Receiver<()>,
    ) -> Result<bool> {
        let has_archive = archive.is_some();
        let mut gaps = self.capture.take_gaps();
        if let Some(archive) = archive {
            let is_lost = gaps.iter().any(|gap| gap.reason == GapReason::NotStored);
            let latest = self.restore(archive, self.capture.is_continued() && !is_lost)?;
            if let Some(from) = latest.filter(|_| gaps.is_empty() && !self.capture.is_continued()) {
                let until = self.clock.now();
                gaps.push(Gap { from, until, frames_lost: None, reason: GapReason::NotRunning });
            }
        }
        let has_seeds = self.seed(seed);
        for gap in &gaps {
            self.tell_gap(gap)?;
        }
        if !has_archive && !has_seeds {
            return Ok(true);
        }
        self.commit();
        Ok(self.catch_up(start, stop).await? && self.announce(stop).await?)
    }

    /// Leases, what hooks remember, and the calls that are not over: these go ahead of everything new. Gives the last moment
    /// of the earlier life. `reads_again` says that all frames which it had read and not stored are read again.
    fn restore(&mut self, mut archive: Archive, reads_again: bool) -> Result<Option<Timestamp>> {
        let restored = std::mem::take(archive.restored());
        let last = restored
            .latest
            .map(|latest| Last { latest, wall_offset: restored.wall_offset.filter(|_| !restored.rebooted) });
        let by = last.map_or(0, |last| passage::shift(last, self.clock.now(), self.clock.offset()));
        if by != 0 {
            warn!(
                "the wall clock was set by {} s since the last observer: its leases are moved by as much",
                by / 1_000_000_000
            );
        }
        let (mut count4, mut count6) = (0_u64, 0_u64);
        archive.leases4(|leases| {
            let moved =
                |lease: Lease4| Lease4 { cltt: passage::moved(lease.cltt, by).whole_second(), ..lease };
            self.driver.seed(leases.inspect(|_| count4 += 1).map(moved), []);
        });
        archive.leases6(|leases| {
            let moved =
                |lease: Lease6| Lease6 { cltt: passage::moved(lease.cltt, by).whole_second(), ..lease };
            self.driver.seed([], leases.inspect(|_| count6 += 1).map(moved));
        });
        let latest = restored.latest.map(|latest| passage::moved(latest, by));
        if let Some(latest) = latest {
            self.driver.resume(latest, restored.servers4);
        }
        for (from, until) in restored.gaps {
            self.delivery.recall_gap(passage::moved(from, by), passage::moved(until, by));
        }
        let memories: Vec<_> = archive.memories(|memories| memories.collect());
        if let Some(moved) = &restored.moved_aside {
            error!("the database was damaged and is now {}; a new one is begun", moved.display());
        }
        if restored.incomplete {
            warn!("not all that was known before could be stored: leases may be missing");
        }
        let calls = restored.calls;
        if count4 + count6 > 0 || !calls.is_empty() {
            info!(
                "restored: {count4} DHCPv4 and {count6} DHCPv6 leases, {} calls of hooks that were not over",
                calls.len()
            );
        }
        let store = archive.start(self.clock).context("no thread for the store")?;
        let mut keep = Keep::new(store, memories);
        if by != 0 {
            // Dialects with deadlines of their own would have them all at once, or never: they begin anew.
            keep.forget_memories();
        }
        let reads_again = reads_again && restored.read_up_to.is_some();
        let next_event = match latest {
            // Frames make the same events out of the same state, under the same numbers. Those of others are used up.
            Some(latest) if !restored.clean && !reads_again => {
                passage::unused_number(restored.next_event, latest, self.clock.now())
            }
            _ => restored.next_event,
        };
        self.delivery.set_keep(keep, next_event);
        self.driver.record_changes(true);
        self.delivery.handle_stored(calls);
        Ok(latest)
    }

    /// Tells the hooks that have `replay_on_start` of the leases that live, not faster than they can take it. Says whether to
    /// go on.
    async fn announce(&mut self, stop: &mut mpsc::Receiver<()>) -> Result<bool> {
        let hooks: Vec<_> = self
            .config
            .hooks
            .iter()
            .enumerate()
            .filter_map(|(place, hook)| hook.replay_on_start.then_some(place))
            .collect();
        let mut walk = Some(LeaseCursor::default()).filter(|_| !hooks.is_empty());
        let now = self.clock.now();
        while let Some(cursor) = walk {
            let (leases, next) = self.driver.tracker().leases_from(cursor, WALK);
            walk = next;
            let events: Vec<_> = leases.filter_map(|lease| announcement(lease, now)).collect();
            for event in events {
                self.delivery.announce(&hooks, &event)?;
                self.commit();
                if !self.keep_up(stop).await {
                    return Ok(false);
                }
            }
        }
        self.delivery.flush()?;
        Ok(true)
    }

    /// Learns the leases that the server gave before. The files are read with the capture already attached: a change that
    /// falls between the two is told twice, as a lease that is known and granted, rather than never.
    ///
    /// Of a lease that is known already the newer word counts, and the store's if both are of the same second: it knows
    /// more. Says whether there are files.
    fn seed(&mut self, mut seed: Seed) -> bool {
        if self.config.server.seed.is_empty() {
            return false;
        }
        render::skipped_lines(&seed.skipped).for_each(|line| warn!("{line}"));
        info!("seeded: {} DHCPv4 and {} DHCPv6 leases", seed.leases4.len(), seed.leases6.len());
        let tracker = self.driver.tracker();
        seed.leases4
            .retain(|lease| tracker.lease4(lease.address).is_none_or(|known| known.cltt < lease.cltt));
        seed.leases6.retain(|lease| {
            tracker.lease6(lease.kind, lease.address).is_none_or(|known| known.cltt < lease.cltt)
        });
        self.driver.seed(seed.leases4, seed.leases6);
        true
    }

    /// Lets happen what was due before `start`, not faster than hooks and store can take it: millions of leases may have
    /// ended. Says whether to go on.
    async fn catch_up(&mut self, start: Timestamp, stop: &mut mpsc::Receiver<()>) -> Result<bool> {
        while let Some(due) = self.driver.poll_timeout().filter(|due| *due <= start) {
            self.pass_time(due)?;
            if !self.keep_up(stop).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits while hooks or the store are behind. Says whether to go on.
    async fn keep_up(&mut self, stop: &mut mpsc::Receiver<()>) -> bool {
        while self.is_behind() {
            tokio::select! {
                biased;
                _ = stop.recv() => return false,
                goes_on = self.delivery.drain() => if !goes_on { break },
            }
        }
        true
    }

    fn is_behind(&mut self) -> bool {
        self.delivery.pending() > AHEAD || self.delivery.hooks().is_some_and(|hooks| !hooks.has_room())
    }
}

/// A lease that lives as an exchange without a frame.
fn announcement(lease: LeaseChange, now: Timestamp) -> Option<LeaseEvent> {
    let is_alive =
        |state, end: Option<Timestamp>| state == LeaseState::Default && end.is_none_or(|end| end > now);
    let (mut before4, mut before6) = (Vec::new(), Vec::new());
    let occurrence = match lease {
        LeaseChange::Put4(lease) if is_alive(lease.state, lease.valid_lifetime.end(lease.cltt)) => {
            before4.push(None);
            let exchange = Exchange { query: None, answer: None };
            Occurrence::Committed4 { exchange, leases: vec![lease], deleted: Vec::new() }
        }
        LeaseChange::Put6(lease) if is_alive(lease.state, lease.valid_lifetime.end(lease.cltt)) => {
            before6.push(None);
            let exchange = Exchange { query: None, answer: None };
            Occurrence::Committed6 { exchange, leases: vec![lease], deleted: Vec::new() }
        }
        _ => return None,
    };
    Some(LeaseEvent { at: now, event: Event::Commit, estimated: false, occurrence, before4, before6 })
}
