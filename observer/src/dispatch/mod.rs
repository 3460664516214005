//! From one lease event to the calls of every configured hook, in the order of the configuration.
//!
//! ```text
//! LeaseEvent ──▶ for each hook: filter ──▶ dialect ──▶ word, on_change ──▶ Dispatched { calls in order }
//! ```
//!
//! [`Dispatch`] is a pure state machine. It owns the dialect of every hook, and is used by the live daemon and by replay
//! alike, so that both tell the same story: before an event every deadline of a dialect at or before it fires, and a
//! deadline's calls carry the deadline, not the moment of waking up.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::indexing_slicing))]

mod words;

use std::collections::VecDeque;

use crate::dialect::{Call, Dialect, Memory};
use crate::time::Timestamp;
use crate::tracker::LeaseEvent;

pub use words::Words;

/// One configured hook, as far as it is about what the hook is told.
#[derive(Debug)]
pub struct Route {
    /// The hook's name.
    pub name: String,
    /// In whose words it is told.
    pub dialect: Box<dyn Dialect>,
    /// Which calls it wants.
    pub words: Words,
    /// Whether calls that change nothing, such as those of plain renewals, are left out.
    pub on_change: bool,
}

impl Route {
    /// A hook that wants everything that the dialect has to say.
    pub fn new(name: impl Into<String>, dialect: Box<dyn Dialect>) -> Self {
        Self { name: name.into(), dialect, words: Words::default(), on_change: false }
    }

    fn wants(&self, call: &Call) -> bool {
        self.words.want(call) && (call.changes || !self.on_change)
    }
}

/// What came of one event, or of one deadline of a dialect.
#[derive(Debug)]
pub struct Dispatched {
    /// When it happened.
    pub at: Timestamp,
    /// Whom it concerns: the place of the hook in the configuration, and its call. In the order of the configuration, and
    /// for each hook in the order of its dialect. Never empty.
    pub calls: Vec<(usize, Call)>,
}

/// From events to calls.
#[derive(Debug, Default)]
pub struct Dispatch {
    routes: Vec<Route>,
    dispatched: VecDeque<Dispatched>,
    memories: VecDeque<(usize, Memory)>,
}

impl Dispatch {
    /// For these hooks, in this order.
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes, ..Self::default() }
    }

    /// The hooks in their order.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Whether a dialect follows the client, and wants to be told messages for which no server calls a hook.
    pub fn wants_heard(&self) -> bool {
        self.routes.iter().any(|route| route.dialect.wants_heard())
    }

    /// Takes in one event, after the deadlines at or before it. May change what the polls answer.
    pub fn handle_event(&mut self, event: &LeaseEvent) {
        self.handle_timeout(event.at);
        let mut calls = Vec::new();
        for (hook, route) in self.routes.iter_mut().enumerate() {
            route.dialect.handle_event(event, true);
            Self::drain(hook, route, &mut calls, &mut self.memories);
        }
        self.tell(event.at, calls);
    }

    /// Lets every deadline of a dialect at or before `now` happen, in the order of the deadlines. May change what the
    /// polls answer.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now) {
            let mut calls = Vec::new();
            for (hook, route) in self.routes.iter_mut().enumerate() {
                if route.dialect.poll_timeout().is_some_and(|own| own <= due) {
                    route.dialect.handle_timeout(due);
                    Self::drain(hook, route, &mut calls, &mut self.memories);
                }
            }
            self.tell(due, calls);
        }
    }

    /// The next moment at which [`Dispatch::handle_timeout`] should be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.routes.iter().filter_map(|route| route.dialect.poll_timeout()).min()
    }

    /// The calls of the next event that has any. Call until `None` after each of the two verbs above.
    pub fn poll_dispatched(&mut self) -> Option<Dispatched> {
        self.dispatched.pop_front()
    }

    /// The next thing that a hook's dialect wants to know again after a restart: the place of the hook, and what.
    pub fn poll_memory(&mut self) -> Option<(usize, Memory)> {
        self.memories.pop_front()
    }

    /// Gives a hook back what its dialect has remembered, ahead of every event.
    pub fn recall(&mut self, hook: usize, key: &[u8], value: &[u8]) {
        if let Some(route) = self.routes.get_mut(hook) {
            route.dialect.recall(key, value);
        }
    }

    fn drain(
        hook: usize,
        route: &mut Route,
        calls: &mut Vec<(usize, Call)>,
        memories: &mut VecDeque<(usize, Memory)>,
    ) {
        while let Some(call) = route.dialect.poll_call() {
            if route.wants(&call) {
                calls.push((hook, call));
            }
        }
        while let Some(memory) = route.dialect.poll_memory() {
            memories.push_back((hook, memory));
        }
    }

    fn tell(&mut self, at: Timestamp, calls: Vec<(usize, Call)>) {
        if !calls.is_empty() {
            self.dispatched.push_back(Dispatched { at, calls });
        }
    }
}

#[cfg(test)]
mod tests;
