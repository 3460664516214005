//! What is said of a question of either family.

use crate::tracker::Exchange;

/// Writes something of the question; nothing when it was missed.
pub(super) fn of_query<O>(exchange: &Exchange<O>, write: impl FnOnce(&O)) {
    if let Some(query) = exchange.query.as_deref() {
        write(query);
    }
}

/// Writes something that an answer repeats.
pub(super) fn of_either<O>(exchange: &Exchange<O>, write: impl FnOnce(&O)) {
    if let Some(observed) = exchange.either() {
        write(observed);
    }
}
