//! The same line again and again: a few of it, then how many more there were.
//!
//! A hook that fails a thousand times a second would fill the disk and hide everything else. So of the lines that one
//! place in the program writes, [`BURST`] pass in each [`WINDOW`]; the rest are counted. What was asked for in detail
//! (debug and trace) always passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Level, Subscriber, callsite};
use tracing_subscriber::layer::{Context, Filter};

use crate::clock;

/// Lines of one place that pass in each window.
pub const BURST: u64 = 20;
/// The length of a window, in seconds.
pub const WINDOW: u64 = 10;

/// Places in the program that are told apart. Two that meet here share what passes.
const PLACES: usize = 512;

/// What was left out.
#[derive(Clone, Debug)]
pub struct Repeats(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    /// For each place the number of the window in the upper half, and how many lines came in it in the lower.
    places: Vec<AtomicU64>,
    left_out: AtomicU64,
}

impl Default for Repeats {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Counts { places, left_out: AtomicU64::new(0) }))
    }
}

impl Repeats {
    /// How many lines were left out since the program began.
    pub fn left_out(&self) -> u64 {
        self.0.left_out.load(Ordering::Relaxed)
    }

    /// Whether one more line of this place passes in this window. Log lines come from several threads; a count that is off
    /// by one does no harm.
    fn passes(&self, place: u64, window: u64) -> bool {
        let Some(place) = usize::try_from(place).ok().and_then(|place| self.0.places.get(place % PLACES))
        else {
            return true;
        };
        let before = place.load(Ordering::Relaxed);
        let came = if before >> 32 == window & 0xffff_ffff { before & 0xffff_ffff } else { 0 };
        if came >= BURST {
            self.0.left_out.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        place.store(window << 32 | (came + 1), Ordering::Relaxed);
        true
    }

    /// The filter for a layer of lines.
    pub(super) fn filter<S: Subscriber>(&self) -> impl Filter<S> + use<S> {
        Limited(self.clone())
    }
}

struct Limited(Repeats);

impl<S> Filter<S> for Limited {
    fn enabled(&self, _metadata: &tracing::Metadata<'_>, _context: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _context: &Context<'_, S>) -> bool {
        *event.metadata().level() > Level::INFO || {
            let Self(repeats) = self;
            repeats.passes(place(&event.metadata().callsite()), clock::boot_seconds() / WINDOW)
        }
    }
}

/// A number for a place in the program.
fn place(callsite: &callsite::Identifier) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    callsite.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_in_each_window_and_the_rest_is_counted() {
        let repeats = Repeats::default();
        let passed = |window| (0..100).filter(|_| repeats.passes(7, window)).count() as u64;
        assert_eq!(passed(1), BURST);
        assert!(repeats.passes(8, 1), "another place has a burst of its own");
        assert_eq!(passed(2), BURST);
        assert_eq!(repeats.left_out(), 2 * (100 - BURST));
    }
}
