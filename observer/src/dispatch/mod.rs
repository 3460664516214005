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

pub mod filter;
mod marks;
mod words;

use std::collections::VecDeque;
use std::ffi::CStr;

use crate::dialect::{self, Call, Cause, Dialect, DialectName, Loss, Memory, Options, kea, vocabulary};
use crate::time::Timestamp;
use crate::tracker::{LeaseEvent, Limits};

pub use filter::Filter;
pub use words::Words;

use filter::Remembered;
use marks::Marks;

/// One configured hook, as far as it is about what the hook is told.
#[derive(Debug)]
pub struct Route {
    /// The hook's name; no two have the same.
    pub name: String,
    /// Which events it wants.
    pub filter: Filter,
    /// In whose words it is told.
    pub dialect_name: DialectName,
    /// What that dialect is told beforehand.
    pub options: Options,
    /// The state machine of that dialect.
    pub dialect: Box<dyn Dialect>,
    /// Which calls it wants.
    pub words: Words,
    /// Whether calls that change nothing, such as those of plain renewals, are left out.
    pub on_change: bool,
}

impl Route {
    /// A hook that wants everything that its dialect has to say.
    pub fn new(name: impl Into<String>, dialect_name: DialectName, options: Options) -> Self {
        let dialect = dialect::make(dialect_name, &options);
        Self::with_dialect(name, dialect_name, options, dialect)
    }

    fn with_dialect(
        name: impl Into<String>,
        dialect_name: DialectName,
        options: Options,
        dialect: Box<dyn Dialect>,
    ) -> Self {
        let (filter, words) = (Filter::default(), Words::default());
        Self { name: name.into(), filter, dialect_name, options, dialect, words, on_change: false }
    }

    fn wants(&self, call: &Call) -> bool {
        self.words.want(call) && (call.changes || !self.on_change)
    }
}

/// A hook and what its filter has let through.
#[derive(Debug)]
struct Entry {
    route: Route,
    remembered: Remembered,
}

/// What the memories of a hook are about: the first octet of their keys.
mod owner {
    pub(super) const DIALECT: u8 = b'd';
    pub(super) const FILTER: u8 = b'f';
}

/// What came of one event, or of one deadline of a dialect.
#[derive(Debug)]
pub struct Dispatched {
    /// When it happened.
    pub at: Timestamp,
    /// Kea's name for the occasion, where it has one.
    pub hook_point: Option<&'static str>,
    /// Whom it concerns: the place of the hook in the configuration, and its call. In the order of the configuration, and
    /// for each hook in the order of its dialect. Never empty.
    pub calls: Vec<(usize, Call)>,
}

/// From events to calls.
#[derive(Debug)]
pub struct Dispatch {
    entries: Vec<Entry>,
    lease_limit: usize,
    dispatched: VecDeque<Dispatched>,
    memories: VecDeque<(usize, Memory)>,
    marks: Marks,
}

impl Dispatch {
    /// For these hooks, in this order.
    pub fn new(routes: Vec<Route>) -> Self {
        let lease_limit = Limits::default().leases;
        let entries =
            routes.into_iter().map(|route| Entry { route, remembered: Remembered::new(lease_limit) });
        Self {
            entries: entries.collect(),
            lease_limit,
            dispatched: VecDeque::new(),
            memories: VecDeque::new(),
            marks: Marks::default(),
        }
    }

    /// Says when this life began: calls of what happened before are marked as late.
    pub fn set_start(&mut self, start: Timestamp) {
        self.marks.set_start(start);
    }

    /// Says that frames were missed in this time: calls that may be otherwise for it are marked.
    pub fn add_gap(&mut self, from: Timestamp, until: Timestamp) {
        self.marks.add_gap(from, until);
    }

    /// Tells one hook of a lease that lives, as an exchange without a frame.
    pub fn announce(&mut self, hook: usize, event: &LeaseEvent) {
        self.handle_timeout(event.at);
        let Some(Entry { route, remembered }) = self.entries.get_mut(hook) else { return };
        let (mut calls, memories) = (Vec::new(), &mut self.memories);
        let wanted = remembered.wants(&route.filter, event, |memory| {
            memories.push_back((hook, owned(owner::FILTER, memory)));
        });
        route.dialect.handle_event(event, wanted);
        drain(hook, route, &mut calls, memories);
        marks::write_replay(&mut calls);
        self.tell(event.at, Some(event), calls);
    }

    /// How many leases of each family the filter of a hook remembers.
    pub fn set_lease_limit(&mut self, limit: usize) {
        self.lease_limit = limit;
        self.entries.iter_mut().for_each(|entry| entry.remembered.set_limit(limit));
    }

    /// Puts other hooks in place of these. One that keeps its name and its dialect goes on where it was, whatever else is
    /// new about it.
    pub fn replace(&mut self, routes: Vec<Route>) {
        let mut old: Vec<_> = std::mem::take(&mut self.entries);
        for mut route in routes {
            let same = |entry: &Entry| {
                entry.route.name == route.name && entry.route.dialect_name == route.dialect_name
            };
            let remembered = match old.iter().position(same) {
                Some(place) => {
                    let Entry { route: before, mut remembered } = old.swap_remove(place);
                    route.dialect = before.dialect;
                    route.dialect.set_options(&route.options);
                    if before.filter != route.filter {
                        // What another filter has let through says nothing about this one.
                        remembered = Remembered::new(self.lease_limit);
                    }
                    remembered
                }
                None => Remembered::new(self.lease_limit),
            };
            self.entries.push(Entry { route, remembered });
        }
    }

    /// The hooks in their order.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.entries.iter().map(|entry| &entry.route)
    }

    /// Whether a dialect follows the client, and wants to be told messages for which no server calls a hook.
    pub fn wants_heard(&self) -> bool {
        self.routes().any(|route| route.dialect.wants_heard())
    }

    /// What had no room, with its name: leases of which a filter could not remember whether their hook is told of them, and
    /// leases that a dialect could not follow.
    pub fn over_limit(&self) -> [(&'static str, u64); 2] {
        let filters = self.entries.iter().map(|entry| entry.remembered.over_limit()).sum();
        let losses = self.routes().flat_map(|route| route.dialect.losses());
        let dialects = losses.filter(|loss| loss.cause == Cause::OverLimit).map(|loss| loss.count).sum();
        [("filters_over_limit", filters), ("dialects_over_limit", dialects)]
    }

    /// What hooks were not told of, or not all of it, by hook; only what there is.
    pub fn losses(&self) -> Vec<(&str, Vec<Loss>)> {
        let of = |entry: &'_ Entry| {
            let filter = Loss::over_limit("filter_over_limit", entry.remembered.over_limit());
            let all = entry.route.dialect.losses().into_iter().chain([filter]);
            all.filter(|loss| loss.count > 0).collect::<Vec<_>>()
        };
        let entries = self.entries.iter().map(|entry| (entry.route.name.as_str(), of(entry)));
        entries.filter(|(_, losses)| !losses.is_empty()).collect()
    }

    /// Takes in one event, after the deadlines at or before it. May change what the polls answer.
    pub fn handle_event(&mut self, event: &LeaseEvent) {
        self.handle_timeout(event.at);
        let mut calls = Vec::new();
        let memories = &mut self.memories;
        for (hook, entry) in self.entries.iter_mut().enumerate() {
            let Entry { route, remembered } = entry;
            let wanted = remembered.wants(&route.filter, event, |memory| {
                memories.push_back((hook, owned(owner::FILTER, memory)));
            });
            route.dialect.handle_event(event, wanted);
            drain(hook, route, &mut calls, memories);
        }
        self.tell(event.at, Some(event), calls);
    }

    /// Lets every deadline of a dialect at or before `now` happen, in the order of the deadlines. May change what the
    /// polls answer.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now) {
            let mut calls = Vec::new();
            for (hook, Entry { route, .. }) in self.entries.iter_mut().enumerate() {
                if route.dialect.poll_timeout().is_some_and(|own| own <= due) {
                    route.dialect.handle_timeout(due);
                    drain(hook, route, &mut calls, &mut self.memories);
                }
            }
            self.tell(due, None, calls);
        }
    }

    /// The next moment at which [`Dispatch::handle_timeout`] should be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.routes().filter_map(|route| route.dialect.poll_timeout()).min()
    }

    /// The calls of the next event that has any. Call until `None` after each of the two verbs above.
    pub fn poll_dispatched(&mut self) -> Option<Dispatched> {
        self.dispatched.pop_front()
    }

    /// The next thing that a hook wants to know again after a restart: the place of the hook, and what.
    pub fn poll_memory(&mut self) -> Option<(usize, Memory)> {
        self.memories.pop_front()
    }

    /// Gives a hook back what [`Dispatch::poll_memory`] gave out, ahead of every event. What nobody understands any more
    /// is passed over.
    pub fn recall(&mut self, hook: usize, key: &[u8], value: &[u8]) {
        let Some(entry) = self.entries.get_mut(hook) else { return };
        match key.split_first() {
            Some((&owner::DIALECT, key)) => entry.route.dialect.recall(key, value),
            Some((&owner::FILTER, key)) => entry.remembered.recall(key),
            _ => {}
        }
    }

    fn tell(&mut self, at: Timestamp, event: Option<&LeaseEvent>, mut calls: Vec<(usize, Call)>) {
        if !calls.is_empty() {
            self.marks.write(at, event, &mut calls);
            let hook_point = event.and_then(|event| kea::hook_point(&event.occurrence));
            self.dispatched.push_back(Dispatched { at, hook_point, calls });
        }
    }
}

/// Takes what a dialect has to say.
fn drain(
    hook: usize,
    route: &mut Route,
    calls: &mut Vec<(usize, Call)>,
    memories: &mut VecDeque<(usize, Memory)>,
) {
    while let Some(call) = route.dialect.poll_call() {
        // Who passes calls on for us refuses others. Every test of ours looks at that.
        let is_known = |variable: &CStr| vocabulary::has(route.dialect_name, variable.to_bytes());
        debug_assert!(call.invocation.environment.iter().all(is_known), "{}: {call:?}", route.dialect_name);
        debug_assert!(vocabulary::calls(route.dialect_name, &call.invocation.arguments), "{call:?}");
        if route.wants(&call) {
            calls.push((hook, call));
        }
    }
    while let Some(memory) = route.dialect.poll_memory() {
        memories.push_back((hook, owned(owner::DIALECT, memory)));
    }
}

/// A memory with its owner in front of the key.
fn owned(owner: u8, mut memory: Memory) -> Memory {
    memory.key.insert(0, owner);
    memory
}

#[cfg(test)]
mod tests;
