//! What passed, by kind: messages by type, faults by reason, events by hook point.

use crate::dhcpv4;
use crate::dialect::kea::hook_point;
use crate::tally::Tally;
use crate::tracker::{LeaseEvent, Observed};

/// Counts by kind since the driver was made.
#[derive(Clone, Debug, Default)]
pub struct Census {
    messages4: Tally<&'static str>,
    messages6: Tally<&'static str>,
    malformed4: Tally<&'static str>,
    malformed6: Tally<&'static str>,
    hook_points: Tally<&'static str>,
    events: Tally<&'static str>,
}

/// The name of a DHCPv4 message without a type.
const BOOTP: &str = "BOOTP";

impl Census {
    pub(super) fn message(&mut self, observed: &Observed) {
        match observed {
            Observed::V4(observed) => {
                let message = &observed.message;
                self.messages4.count(message.message_type.map_or(BOOTP, dhcpv4::MessageType::name));
                message.malformed.iter().for_each(|malformed| self.malformed4.count(malformed.fault.name()));
            }
            Observed::V6(observed) => {
                let message = &observed.message;
                self.messages6.count(message.message_type.name());
                message.malformed.iter().for_each(|malformed| self.malformed6.count(malformed.fault.name()));
            }
        }
    }

    pub(super) fn event(&mut self, event: &LeaseEvent) {
        // What was only heard is no event to anybody but some dialects.
        if let Some(hook_point) = hook_point(&event.occurrence) {
            self.hook_points.count(hook_point);
            self.events.count(event.event.name());
        }
    }

    /// Each table with its name.
    pub fn tables(&self) -> [(&'static str, &Tally<&'static str>); 6] {
        [
            ("messages4", &self.messages4),
            ("messages6", &self.messages6),
            ("malformed4", &self.malformed4),
            ("malformed6", &self.malformed6),
            ("hook_points", &self.hook_points),
            ("events", &self.events),
        ]
    }
}
