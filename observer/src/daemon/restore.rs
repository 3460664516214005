//! The start: what an earlier life has left, and what the server's lease files say.

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::Daemon;
use crate::deliver::Keep;
use crate::render;
use crate::seed;
use crate::store::Archive;
use crate::time::Timestamp;

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
        start: Timestamp,
        stop: &mut mpsc::Receiver<()>,
    ) -> Result<bool> {
        let has_archive = archive.is_some();
        if let Some(archive) = archive {
            self.restore(archive)?;
        }
        let has_seeds = self.seed()?;
        if !has_archive && !has_seeds {
            return Ok(true);
        }
        self.commit();
        self.catch_up(start, stop).await
    }

    /// Leases, what hooks remember, and the calls that are not over: these go ahead of everything new.
    fn restore(&mut self, mut archive: Archive) -> Result<()> {
        let restored = std::mem::take(archive.restored());
        let (mut count4, mut count6) = (0_u64, 0_u64);
        archive.leases4(|leases| {
            self.driver.seed(leases.inspect(|_| count4 += 1), []);
        });
        archive.leases6(|leases| {
            self.driver.seed([], leases.inspect(|_| count6 += 1));
        });
        if let Some(latest) = restored.latest {
            self.driver.resume(latest, restored.servers4);
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
        self.delivery.set_keep(Keep::new(store, memories), restored.next_event);
        self.driver.record_changes(true);
        self.delivery.handle_stored(calls);
        Ok(())
    }

    /// Learns the leases that the server gave before. The files are read with the capture already attached: a change that
    /// falls between the two is told twice, as a lease that is known and granted, rather than never.
    ///
    /// Of a lease that is known already the newer word counts, and the store's if both are of the same second: it knows
    /// more. Says whether there are files.
    fn seed(&mut self) -> Result<bool> {
        let files = &self.config.server.seed;
        if files.is_empty() {
            return Ok(false);
        }
        let mut seed = seed::read_all(files)?;
        render::skipped_lines(&seed.skipped).for_each(|line| warn!("{line}"));
        info!("seeded: {} DHCPv4 and {} DHCPv6 leases", seed.leases4.len(), seed.leases6.len());
        let tracker = self.driver.tracker();
        seed.leases4
            .retain(|lease| tracker.lease4(lease.address).is_none_or(|known| known.cltt < lease.cltt));
        seed.leases6.retain(|lease| {
            tracker.lease6(lease.kind, lease.address).is_none_or(|known| known.cltt < lease.cltt)
        });
        self.driver.seed(seed.leases4, seed.leases6);
        Ok(true)
    }

    /// Lets happen what was due before `start`, not faster than hooks and store can take it: millions of leases may have
    /// ended. Says whether to go on.
    async fn catch_up(&mut self, start: Timestamp, stop: &mut mpsc::Receiver<()>) -> Result<bool> {
        while let Some(due) = self.driver.poll_timeout().filter(|due| *due <= start) {
            self.pass_time(due)?;
            while self.is_behind() {
                tokio::select! {
                    biased;
                    _ = stop.recv() => return Ok(false),
                    goes_on = self.delivery.drain() => if !goes_on { break },
                }
            }
        }
        Ok(true)
    }

    fn is_behind(&mut self) -> bool {
        self.delivery.pending() > AHEAD || self.delivery.hooks().is_some_and(|hooks| !hooks.has_room())
    }
}
