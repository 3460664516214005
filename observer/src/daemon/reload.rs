//! Another configuration for a running observer: no lease, no event and no attachment is lost on the way.

use std::fmt;

use anyhow::Result;
use tracing::level_filters::LevelFilter;
use tracing::{error, info, warn};

use super::Daemon;
use crate::cli::MergeError;
use crate::config::file::{Config, Limits, Log};
use crate::supervise;

/// How the configuration is read again, and what is outside of the observer's own parts.
pub struct Reload<'a> {
    /// Reads it, with what the command line puts in its place.
    pub read: Box<dyn FnMut() -> Result<Config, MergeError> + 'a>,
    /// Has the log say so much from now on.
    pub set_level: Box<dyn Fn(LevelFilter) + 'a>,
}

impl fmt::Debug for Reload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

impl Daemon {
    /// Reads the configuration again. When something is wrong with it, all of that is said, and the old one goes on.
    ///
    /// # Errors
    ///
    /// When the interfaces cannot be listed.
    pub(super) fn reload(&mut self, reload: &mut Reload<'_>) -> Result<()> {
        supervise::reloading();
        let outcome = match (reload.read)() {
            Ok(config) => self.apply(config, reload),
            Err(problem) => {
                error!("not reloaded, the configuration of before goes on:");
                for line in problem.to_string().lines().filter(|line| !line.is_empty()) {
                    error!("{line}");
                }
                Ok(())
            }
        };
        supervise::ready(&format!("observing {}", self.config.interface_names()));
        outcome
    }

    fn apply(&mut self, mut new: Config, reload: &Reload<'_>) -> Result<()> {
        // The server that is imitated stays the same until the next start.
        let version = self.config.server.kea_version;
        new.hooks.iter_mut().for_each(|hook| hook.options.version = version);
        let routes = new.hooks.iter().map(|hook| hook.route()).collect();
        let specs = new.hooks.iter().filter_map(|hook| hook.spec.clone()).collect();
        if let Err(error) = self.delivery.replace(routes, specs, new.limits.into()) {
            error!("not reloaded, the configuration of before goes on: {error}");
            return Ok(());
        }
        (reload.set_level)(new.log.level);
        new.warnings.iter().for_each(|warning| warn!("{warning}"));
        let later = restart_only(&self.config, &new);
        if !later.is_empty() {
            warn!(
                "{} {} at the next start only",
                later.join(", "),
                if later.len() == 1 { "counts" } else { "count" }
            );
        }
        self.driver.tell_heard(self.delivery.wants_heard());
        if new.network != self.config.network {
            self.driver.set_network_events(new.network);
        }
        if new.interfaces != self.config.interfaces {
            let names = new.interfaces.iter().map(|interface| interface.name.clone());
            for gone in self.capture.set_interfaces(names.collect()) {
                info!("{} is no longer observed", gone.name);
            }
        }
        // What cannot change stays as it is, so that the next reload says it again.
        let Limits { leases, exchanges, fragments, ring_size, .. } = self.config.limits;
        self.config = Config {
            log: Log { format: self.config.log.format, ..new.log },
            capture: self.config.capture,
            pins: std::mem::take(&mut self.config.pins),
            control: self.config.control.clone(),
            server: std::mem::take(&mut self.config.server),
            store: std::mem::take(&mut self.config.store),
            daemon: std::mem::take(&mut self.config.daemon),
            limits: Limits { leases, exchanges, fragments, ring_size, ..new.limits },
            ..new
        };
        self.links()?;
        info!("reloaded: {}", names(&self.config));
        Ok(())
    }
}

/// The hooks in their order.
fn names(config: &Config) -> String {
    let names: Vec<_> = config.hooks.iter().map(|hook| format!("{:?}", hook.name)).collect();
    format!("{} {}: {}", names.len(), if names.len() == 1 { "hook" } else { "hooks" }, names.join(", "))
}

/// What differs and cannot be changed while observing.
fn restart_only(old: &Config, new: &Config) -> Vec<&'static str> {
    [
        ("capture", old.capture != new.capture),
        ("pins", old.pins != new.pins),
        ("server", old.server != new.server),
        ("store", old.store != new.store),
        ("daemon", old.daemon != new.daemon),
        ("control", old.control != new.control),
        ("log.format", old.log.format != new.log.format),
        ("limits.leases", old.limits.leases != new.limits.leases),
        ("limits.exchanges", old.limits.exchanges != new.limits.exchanges),
        ("limits.fragments", old.limits.fragments != new.limits.fragments),
        ("limits.ring_size", old.limits.ring_size != new.limits.ring_size),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}
