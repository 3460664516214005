//! A client without an answer, as long as it looks for one.

use std::time::Duration;

use crate::time::Timestamp;

/// After so much silence a client that searches begins anew.
pub(in crate::dialect::dhclient) const SEARCH_KEPT: Duration = Duration::from_secs(600);
/// What a client still says within this time after it should have given up belongs to the search that is over: dhclient
/// looks at its watch only when it is about to ask again, every 15 s at the latest.
const REST: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Search {
    /// Whether the script was told of it.
    pub(super) told: bool,
    /// When it gives up; `None` once a server has answered, or it has given up.
    gives_up: Option<Timestamp>,
    /// When it has given up.
    gave_up: Option<Timestamp>,
    /// Whether it has come as far as DISCOVER, with which its patience begins anew.
    discovers: bool,
    /// When it asked last.
    pub(super) asked_last: Timestamp,
}

impl Search {
    pub(super) fn new(at: Timestamp, patience: Duration, discovers: bool, told: bool) -> Self {
        Self { told, gives_up: Some(at + patience), gave_up: None, discovers, asked_last: at }
    }

    /// The client asks once more.
    pub(super) fn go_on(&mut self, at: Timestamp, patience: Duration, discovers: bool) {
        self.asked_last = at;
        let is_next = discovers && !std::mem::replace(&mut self.discovers, discovers);
        let rests = self.gave_up.is_some_and(|gave_up| at < gave_up + REST);
        if is_next || self.gives_up.is_none() && !rests {
            self.gives_up = Some(at + patience);
        }
    }

    /// A server has made an offer: there is one.
    pub(super) fn is_offered(&mut self) {
        self.gives_up = None;
    }

    /// When the client gives up, if that is by now.
    pub(super) fn give_up(&mut self, now: Timestamp) -> Option<Timestamp> {
        let at = self.gives_up.take_if(|at| *at <= now)?;
        self.gave_up = Some(at);
        Some(at)
    }

    /// Whether nothing was heard of it for too long.
    pub(super) fn is_silent(&self, now: Timestamp) -> bool {
        self.asked_last + SEARCH_KEPT <= now
    }

    /// When something is to be done about it.
    pub(super) fn next(&self) -> Timestamp {
        let silent = self.asked_last + SEARCH_KEPT;
        self.gives_up.map_or(silent, |at| at.min(silent))
    }
}
