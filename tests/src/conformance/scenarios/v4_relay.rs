//! TODO
use crate::conformance::scenario::Scenario;
pub(super) const SCENARIOS: &[Scenario] = &[];
