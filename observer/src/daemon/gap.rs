//! Times in which frames were missed.

use anyhow::Result;
use tracing::error;

use super::Daemon;
use crate::capture::gap::Gap;
use crate::store;
use crate::tracker::network::{Finding, Frames, Kind, Sighting};
use crate::tracker::{Event, Exchange, LeaseEvent, Occurrence};

impl Daemon {
    /// Says what was missed: in the log, to the store, and to hooks that want to know.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub(super) fn tell_gaps(&mut self) -> Result<()> {
        for gap in self.capture.take_gaps() {
            self.tell_gap(&gap)?;
        }
        Ok(())
    }

    pub(super) fn tell_gap(&mut self, gap: &Gap) -> Result<()> {
        error!("{gap}");
        let Gap { from, until, frames_lost, reason } = gap;
        self.delivery.note_gap(store::Gap { from: *from, until: *until, why: gap.to_string() });
        if self.config.network.kinds.has(Kind::Gap) {
            let finding =
                Finding::Gap { from: *from, until: *until, lost: *frames_lost, reason: reason.name() };
            let frames = Frames::V4(Exchange { query: None, answer: None });
            let sighting = Sighting { finding, frames, left_out: 0 };
            self.delivery.handle_event(&LeaseEvent {
                at: *until,
                event: Event::Network(Kind::Gap),
                estimated: false,
                occurrence: Occurrence::Network(Box::new(sighting)),
                before4: Vec::new(),
                before6: Vec::new(),
            })?;
        }
        self.commit();
        Ok(())
    }
}
