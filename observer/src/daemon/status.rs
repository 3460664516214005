//! What a running observer says of itself, and to whom.

use tokio::sync::mpsc;
use tracing::{error, info};

use super::Daemon;
use crate::config::file::{Config, Socket};
use crate::control::server::Control;
use crate::control::{DEFAULT_PATH, Doors, Question, scrape};
use crate::status::{Interface, Status, Store};
use crate::store::DATABASE;

/// Questions that wait for the event loop.
const QUESTIONS: usize = 16;

/// Opens what the configuration names and answers there from now on; what comes out are the questions, and the counts of
/// those who are not answered.
///
/// # Errors
///
/// When a socket that was asked for by name, or the address of the metrics, cannot be had.
pub(super) fn serve(config: &Config) -> anyhow::Result<(mpsc::Receiver<Question>, Doors)> {
    let doors = Doors::default();
    let (sender, questions) = mpsc::channel(QUESTIONS);
    let group = config.control.group;
    let control = match &config.control.socket {
        Socket::None => None,
        Socket::At(path) => Some(Control::bind(path, group)?),
        // Several observers may run; the first one has the usual place.
        Socket::Default => Control::bind(DEFAULT_PATH.as_ref(), group)
            .inspect_err(|error| info!("no control socket: {error:#}"))
            .ok(),
    };
    if let Some(control) = control {
        let (sender, door) = (sender.clone(), doors.control.clone());
        tokio::spawn(async move {
            if let Err(error) = control.serve(sender, door).await {
                error!("the control socket is not served any more: {error}");
            }
        });
    }
    if let Some(address) = config.control.metrics {
        let listener = scrape::bind(address)?;
        info!("metrics at http://{}/metrics", listener.local_addr()?);
        let door = doors.metrics.clone();
        tokio::spawn(async move {
            if let Err(error) = scrape::serve(listener, sender, door).await {
                error!("metrics are not served any more: {error}");
            }
        });
    }
    Ok((questions, doors))
}

/// Waits for the next question; for ever, when nobody can ask.
pub(super) async fn next(questions: &mut mpsc::Receiver<Question>) -> Question {
    match questions.recv().await {
        Some(question) => question,
        None => std::future::pending().await,
    }
}

impl Daemon {
    /// Whom it did not answer, and what it did not say, with names.
    pub(super) fn unserved(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        self.doors.named().into_iter().chain([("log_left_out", self.repeats.left_out())])
    }

    /// Everything that is known at this moment.
    pub(super) fn status(&mut self) -> Status {
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started.as_seconds_f64(),
            now: self.clock.now().as_seconds_f64(),
            interfaces: self
                .capture
                .roads()
                .map(|(interface, road)| Interface {
                    name: interface.name.clone(),
                    index: interface.index,
                    road: road.to_string(),
                })
                .collect(),
            ..Status::default()
        };
        if let Ok(counters) = self.capture.counters() {
            status.add_all("kernel", counters.named());
        }
        let totals = self.driver.totals();
        status.add_all("frames", [("handled", totals.handled)]);
        status.add_all("frames", self.driver.skipped());
        for (group, tally) in self.driver.census().tables() {
            status.add_all(group, tally.iter());
        }
        for (name, count) in self.driver.counts() {
            match name {
                // These are what there is now; the counts by type and hook point say the rest.
                "leases4" | "leases6" => status.set(name, count),
                "messages4" | "messages6" | "events" => {}
                _ if name.starts_with("network_") => status.add("network", name, count),
                _ => status.add("tracker", name, count),
            }
        }
        status.add_all("tracker", self.delivery.over_limit());
        status.add_all("observer", self.unserved());
        status.set("deadlines", self.driver.counters().deadlines);
        if let Some(hooks) = self.delivery.hooks() {
            status.add_all("hooks", hooks.counters().named());
            status.set("hooks_queued", hooks.queued() as u64);
            status.set("hooks_running", hooks.running() as u64);
            status.hooks = hooks.status();
        }
        if let (Some(keep), Some(directory)) = (self.delivery.keep(), &self.config.store.directory) {
            let counters = keep.counters();
            status.store = Some(Store {
                path: directory.join(DATABASE).display().to_string(),
                degraded: counters.degraded > counters.recovered,
                outbox: counters.open,
                dead: counters.dead,
                counts: counters.named().map(|(name, count)| (name.to_owned(), count)).into(),
                commits: counters.commits,
            });
        }
        status
    }
}
