//! Whoever was turned away at the control socket or the metrics, or had to wait: counted, by why.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a connection was not served, or not at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unserved {
    /// The peer may not ask.
    Refused,
    /// As many others as may were being served: it had to wait.
    Full,
    /// It was cut off, because it took too long to ask, or to take the answer.
    TooSlow,
    /// It did not ask for anything that there is.
    BadRequest,
}

/// What was counted at one door.
#[derive(Debug, Default)]
struct Counts {
    refused: AtomicU64,
    full: AtomicU64,
    too_slow: AtomicU64,
    bad_request: AtomicU64,
}

/// One place to ask at. The copies count together: each connection is a task of its own.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<Counts>);

impl Door {
    fn of(&self, why: Unserved) -> &AtomicU64 {
        let Self(counts) = self;
        match why {
            Unserved::Refused => &counts.refused,
            Unserved::Full => &counts.full,
            Unserved::TooSlow => &counts.too_slow,
            Unserved::BadRequest => &counts.bad_request,
        }
    }

    pub(super) fn count(&self, why: Unserved) {
        self.of(why).fetch_add(1, Ordering::Relaxed);
    }

    fn counted(&self, why: Unserved) -> u64 {
        self.of(why).load(Ordering::Relaxed)
    }

    /// A place among those that are served at once, when there is one; `None` when there never will be.
    pub(super) async fn enter(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Some(place);
        }
        self.count(Unserved::Full);
        Arc::clone(places).acquire_owned().await.ok()
    }
}

/// All places to ask at.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    /// The control socket.
    pub control: Door,
    /// The metrics, where everybody may ask.
    pub metrics: Door,
}

impl Doors {
    /// Each count with its name.
    pub fn named(&self) -> [(&'static str, u64); 7] {
        let Self { control, metrics } = self;
        [
            ("control_refused", control.counted(Unserved::Refused)),
            ("control_full", control.counted(Unserved::Full)),
            ("control_too_slow", control.counted(Unserved::TooSlow)),
            ("control_bad_request", control.counted(Unserved::BadRequest)),
            ("metrics_full", metrics.counted(Unserved::Full)),
            ("metrics_too_slow", metrics.counted(Unserved::TooSlow)),
            ("metrics_bad_request", metrics.counted(Unserved::BadRequest)),
        ]
    }
}
