//! What calls say of how they came about: told late, across a time in which frames were missed, or told again at a start.

use std::collections::VecDeque;
use std::time::Duration;

use crate::dialect::Call;
use crate::time::Timestamp;
use crate::tracker::{LeaseEvent, Occurrence};

/// How many times in which frames were missed are remembered.
const GAPS: usize = 100;
/// How long after such a time an answer may still be one to a question that was missed.
const EXCHANGE: Duration = Duration::from_secs(10);

/// What is known of the time in which events happen.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// When this life began: what happened before is told late.
    start: Option<Timestamp>,
    gaps: VecDeque<(Timestamp, Timestamp)>,
}

impl Marks {
    pub(super) fn set_start(&mut self, start: Timestamp) {
        self.start = Some(start);
    }

    pub(super) fn add_gap(&mut self, from: Timestamp, until: Timestamp) {
        if self.gaps.len() == GAPS {
            self.gaps.pop_front();
        }
        self.gaps.push_back((from, until));
    }

    /// Appends the variables to the calls of an event or, without one, of a dialect's own deadline.
    pub(super) fn write(&self, at: Timestamp, event: Option<&LeaseEvent>, calls: &mut [(usize, Call)]) {
        let late = self.start.is_some_and(|start| at < start);
        let gap = self.is_across_a_gap(at, event);
        for (name, _) in
            [(&b"OBSERVER_LATE=1"[..], late), (b"OBSERVER_GAP=1", gap)].iter().filter(|(_, is)| *is)
        {
            calls.iter_mut().for_each(|(_, call)| call.invocation.environment.push(name));
        }
    }

    /// Whether something that would have made it otherwise may have been missed.
    fn is_across_a_gap(&self, at: Timestamp, event: Option<&LeaseEvent>) -> bool {
        let last_sign = event.and_then(|event| match &event.occurrence {
            Occurrence::Expire4 { lease, .. } | Occurrence::Recover4 { lease } => Some(lease.cltt),
            Occurrence::Expire6 { lease, .. } | Occurrence::Recover6 { lease } => Some(lease.cltt),
            _ => None,
        });
        let is_inferred = event.is_some_and(|event| event.is_inferred());
        self.gaps.iter().any(|&(from, until)| match (event, last_sign) {
            // It was last heard of before frames came again, and ended after they were missed.
            (Some(_), Some(sign)) => sign <= until && from <= at,
            (Some(_), None) => is_inferred && from <= at && at <= until + EXCHANGE,
            (None, _) => from <= at && at <= until,
        })
    }
}

/// Marks calls that tell again what there is.
pub(super) fn write_replay(calls: &mut [(usize, Call)]) {
    calls.iter_mut().for_each(|(_, call)| call.invocation.environment.push(b"OBSERVER_REPLAY=1"));
}
