//! Stored first, done afterwards: what events came to goes to the store as one change for each frame or deadline, and the
//! hooks get their calls when that is reported as stored.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tracing::{error, info};

use crate::dialect::Memory;
use crate::dispatch::{Dispatched, Route};
use crate::frame::RingPlace;
use crate::hook::{Call, Progress, Tried};
use crate::store::{
    CallId, Change, Counters, EventRecord, Gap, HookMemory, Outcome, Report, Store, StoredCall, Then, Ticket,
};
use crate::time::Timestamp;
use crate::tracker::{LeaseChange, Subject};

/// The key of the memory by which it is known whose the others of a hook are: its dialect and its filter.
const IDENTITY: &[u8] = b"=";
/// How many rows are appended again as one change.
const AGAIN: usize = 1_024;

/// How far the ring may be read without a word to the store when nothing else is to be stored: what is read again after a
/// crash, at most, and well below the size of a ring.
const UNSAID: u64 = 256 << 10;

/// The calls of one event, ready for the hooks.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) at: Timestamp,
    pub(super) event: u64,
    pub(super) calls: Vec<Call<Subject, CallId>>,
}

/// What a report of the store asks of the others.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// These may be done now.
    pub(super) ready: Vec<Submission>,
    /// Somebody wants these again.
    pub(super) again: Vec<StoredCall>,
    /// Somebody wants these not made any more.
    pub(super) unwanted: BTreeSet<CallId>,
    /// All leases are to be appended again.
    pub(super) leases: bool,
}

/// A change and what is to be done when it is stored.
type Unit = (Change, Vec<Submission>);

/// The store, and what is known of what it holds.
#[derive(Debug)]
pub struct Keep {
    store: Store,
    /// The names of the hooks in their order.
    names: Vec<Arc<str>>,
    /// What the present frame or deadline came to.
    current: Unit,
    /// Up to where the ring is read, and what the store was told of that.
    read_up_to: Option<RingPlace>,
    said: Option<RingPlace>,
    /// What the store had no room for yet.
    unappended: VecDeque<Unit>,
    /// What is done when it is stored.
    waiting: VecDeque<(Ticket, Vec<Submission>)>,
    /// Calls that are not over. A database that is begun anew needs them again, and the memories too.
    open: BTreeMap<CallId, StoredCall>,
    memories: HashMap<(Arc<str>, Vec<u8>), Vec<u8>>,
}

impl Keep {
    /// With what an earlier life remembered.
    pub fn new(store: Store, memories: impl IntoIterator<Item = (String, Vec<u8>, Vec<u8>)>) -> Self {
        let memories = memories.into_iter().map(|(hook, key, value)| ((Arc::from(hook), key), value));
        Self {
            store,
            names: Vec::new(),
            current: Unit::default(),
            read_up_to: None,
            said: None,
            unappended: VecDeque::new(),
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            memories: memories.collect(),
        }
    }

    /// Has these hooks from now on. What others remembered is forgotten, and what a hook of the same name remembered in
    /// another dialect or for another filter.
    pub(super) fn set_hooks<'r>(&mut self, routes: impl Iterator<Item = &'r Route>) {
        let routes: Vec<(Arc<str>, String, String)> = routes
            .map(|route| {
                (Arc::from(&*route.name), route.dialect_name.to_string(), format!("{:?}", route.filter))
            })
            .collect();
        let identity = |hook: &Arc<str>| self.memories.get(&(Arc::clone(hook), IDENTITY.to_vec()));
        let is_kept = |(hook, key): &(Arc<str>, Vec<u8>)| {
            let Some((_, dialect, filter)) = routes.iter().find(|(name, ..)| name == hook) else {
                return false;
            };
            let text = identity(hook).map(|text| String::from_utf8_lossy(text)).unwrap_or_default();
            let (same_dialect, same_filter) = match text.split_once('\n') {
                Some((was, of)) => (was == dialect, of == filter),
                None => (false, false),
            };
            key == IDENTITY || (same_dialect && (same_filter || key.first() != Some(&b'f')))
        };
        let gone: Vec<_> = self.memories.keys().filter(|key| !is_kept(key)).cloned().collect();
        for (hook, key) in gone {
            self.remember(hook, Memory { key, value: None });
        }
        for (hook, dialect, filter) in &routes {
            let value = format!("{dialect}\n{filter}").into_bytes();
            if self.memories.get(&(Arc::clone(hook), IDENTITY.to_vec())) != Some(&value) {
                self.remember(Arc::clone(hook), Memory { key: IDENTITY.to_vec(), value: Some(value) });
            }
        }
        self.names = routes.into_iter().map(|(name, ..)| name).collect();
    }

    /// Forgets what hooks remember.
    pub fn forget_memories(&mut self) {
        let all: Vec<_> = self.memories.keys().cloned().collect();
        for (hook, key) in all {
            self.remember(hook, Memory { key, value: None });
        }
    }

    /// What the hooks remember: the place of the hook, key and value.
    pub(super) fn memories(&self) -> impl Iterator<Item = (usize, &[u8], &[u8])> {
        self.memories.iter().filter(|((_, key), _)| key != IDENTITY).filter_map(|((hook, key), value)| {
            let place = self.names.iter().position(|name| name == hook)?;
            Some((place, key.as_slice(), value.as_slice()))
        })
    }

    /// The place of a hook by its name.
    pub(super) fn place(&self, hook: &str) -> Option<usize> {
        self.names.iter().position(|name| **name == *hook)
    }

    fn remember(&mut self, hook: Arc<str>, memory: Memory) {
        match &memory.value {
            Some(value) => drop(self.memories.insert((Arc::clone(&hook), memory.key.clone()), value.clone())),
            None => drop(self.memories.remove(&(Arc::clone(&hook), memory.key.clone()))),
        }
        self.current.0.memories.push(HookMemory { hook, memory });
    }

    pub(super) fn handle_memory(&mut self, hook: usize, memory: Memory) {
        if let Some(name) = self.names.get(hook).cloned() {
            self.remember(name, memory);
        }
    }

    /// Takes in what one event came to.
    pub(super) fn handle_dispatched(&mut self, event: u64, dispatched: Dispatched) {
        let Dispatched { at, hook_point, calls } = dispatched;
        let (change, submissions) = &mut self.current;
        if let Some((_, first)) = calls.first() {
            change.events.push(EventRecord {
                id: event,
                at,
                event: first.event.name(),
                hook_point: hook_point.unwrap_or_default(),
                subjects: first.subjects.clone(),
            });
        }
        let mut submission = Submission { at, event, calls: Vec::with_capacity(calls.len()) };
        for (position, (hook, call)) in calls.into_iter().enumerate() {
            let id = super::call_id(event, position);
            let invocation = Arc::new(call.invocation);
            if let Some(name) = self.names.get(hook) {
                let new = StoredCall {
                    id,
                    hook: Arc::clone(name),
                    at,
                    word: call.word.into(),
                    changes: call.changes,
                    subjects: call.subjects.clone(),
                    invocation: Arc::clone(&invocation),
                    tried: Tried::default(),
                };
                self.open.insert(id, new.clone());
                change.calls.push(new);
            }
            let subjects = call.subjects;
            submission.calls.push(Call { hook, subjects, tag: id, tried: Tried::default(), invocation });
        }
        submissions.push(submission);
    }

    pub(super) fn handle_gap(&mut self, gap: Gap) {
        self.current.0.gaps.push(gap);
    }

    /// The frame or deadline is done with: what it came to is one change, together with these leases.
    pub(super) fn commit(&mut self, leases: impl Iterator<Item = LeaseChange>, latest: Timestamp) {
        self.current.0.leases.extend(leases);
        if self.current.0.is_empty() && self.current.1.is_empty() && !self.is_unsaid() {
            return;
        }
        self.current.0.latest = Some(latest);
        let unit = std::mem::take(&mut self.current);
        self.append(unit);
    }

    pub(super) fn set_read_up_to(&mut self, place: RingPlace) {
        self.read_up_to = Some(place);
    }

    /// Whether the store knows too little of how far the ring is read.
    fn is_unsaid(&self) -> bool {
        let Some(place) = self.read_up_to else { return false };
        self.said.is_none_or(|said| said.ring != place.ring || place.octets - said.octets >= UNSAID)
    }

    /// Notes that nothing from before this moment is still to come.
    pub(super) fn note_time(&mut self, latest: Timestamp) {
        self.append((Change { latest: Some(latest), ..Change::default() }, Vec::new()));
    }

    fn append(&mut self, mut unit: Unit) {
        unit.0.read_up_to = self.read_up_to;
        self.said = self.read_up_to;
        self.unappended.push_back(unit);
        self.append_waiting();
    }

    fn append_waiting(&mut self) {
        while self.store.has_room()
            && let Some((change, submissions)) = self.unappended.pop_front()
        {
            match self.store.append(change) {
                Ok(ticket) => self.waiting.push_back((ticket, submissions)),
                Err(change) => {
                    self.unappended.push_front((*change, submissions));
                    return;
                }
            }
        }
    }

    /// Whether frames may be read.
    pub(super) fn has_room(&self) -> bool {
        self.unappended.is_empty() && self.store.has_room()
    }

    /// Changes that are not reported as stored.
    pub(super) fn pending(&self) -> usize {
        self.unappended.len() + self.waiting.len()
    }

    /// What the store says next.
    pub(super) async fn report(&mut self) -> Report {
        self.store.report().await
    }

    /// What the store has said already.
    pub(super) fn try_report(&mut self) -> Option<Report> {
        self.store.try_report()
    }

    pub(super) fn handle_report(&mut self, report: Report) -> Asked {
        let mut asked = Asked::default();
        match report {
            Report::Stored { up_to, .. } => {
                while self.waiting.front().is_some_and(|(ticket, _)| *ticket <= up_to) {
                    asked.ready.extend(
                        self.waiting.pop_front().into_iter().flat_map(|(_, submissions)| submissions),
                    );
                }
                self.append_waiting();
            }
            Report::Wanted(wanted) => {
                if wanted.memories {
                    let all = self.memories.iter().map(|((hook, key), value)| HookMemory {
                        hook: Arc::clone(hook),
                        memory: Memory { key: key.clone(), value: Some(value.clone()) },
                    });
                    let all: Vec<_> = all.collect();
                    for memories in all.chunks(AGAIN) {
                        let change = Change { memories: memories.to_vec(), ..Change::default() };
                        self.append((change, Vec::new()));
                    }
                }
                if wanted.calls {
                    let all: Vec<_> = self.open.values().cloned().collect();
                    for calls in all.chunks(AGAIN) {
                        let change = Change { calls: calls.to_vec(), ..Change::default() };
                        self.append((change, Vec::new()));
                    }
                }
                asked.leases = true;
            }
            Report::Replay(calls) => asked.again = calls,
            Report::Unwanted(calls) => asked.unwanted = calls.into_iter().collect(),
            // The writer has said so.
            Report::Degraded { .. } | Report::Recovered => {}
            Report::MovedAside(path) => {
                error!("the database was damaged and is now {}; a new one is begun", path.display());
            }
        }
        asked
    }

    /// Takes back the calls that are not wanted and that no hook was handed yet.
    pub(super) fn withdraw(&mut self, unwanted: &BTreeSet<CallId>) -> Vec<CallId> {
        let submissions = self.waiting.iter_mut().flat_map(|(_, submissions)| submissions);
        let withdrawn = submissions
            .flat_map(|submission| submission.calls.extract_if(.., |call| unwanted.contains(&call.tag)));
        withdrawn.map(|call| call.tag).collect()
    }

    /// Says what became of the calls that are not wanted: those of `withdrawn` will not be made, of the others some process
    /// knows already, or they have ended meanwhile.
    pub(super) fn handle_unwanted(&mut self, unwanted: &BTreeSet<CallId>, withdrawn: &BTreeSet<CallId>) {
        for id in withdrawn {
            self.open.remove(id);
        }
        for id in unwanted {
            if self.open.contains_key(id) {
                info!("a call of event {} is not wanted any more, but runs already: it is let end", id.event);
                self.store.keep(*id);
            } else {
                self.store.withdraw(*id);
            }
        }
    }

    /// Everything that waits, stored or not.
    pub(super) fn take_waiting(&mut self) -> Vec<Submission> {
        let waiting = self.waiting.iter_mut().map(|(_, submissions)| submissions);
        let unappended = self.unappended.iter_mut().map(|(_, submissions)| submissions);
        waiting.chain(unappended).flat_map(std::mem::take).collect()
    }

    /// Leases that are wanted again.
    pub(super) fn append_leases(&mut self, leases: Vec<LeaseChange>) {
        self.append((Change { leases, ..Change::default() }, Vec::new()));
    }

    /// Everything that was wanted again is appended.
    pub(super) fn complete(&mut self) {
        self.store.complete();
    }

    /// A call that an earlier life left, or that somebody wants again, is open.
    pub(super) fn handle_stored(&mut self, call: &StoredCall) {
        self.open.insert(call.id, call.clone());
    }

    pub(super) fn handle_progress(&mut self, progress: &Progress<CallId>, now: Timestamp) {
        match progress {
            Progress::Started { tag, attempt, .. } => {
                if let Some(call) = self.open.get_mut(tag) {
                    call.tried.attempts = *attempt;
                }
                self.store.started(*tag, *attempt);
            }
            Progress::Again { tag, attempt, failures, ended, next, .. } => {
                if let Some(call) = self.open.get_mut(tag) {
                    call.tried = Tried { attempts: *attempt, failures: *failures };
                }
                let outcome = Outcome {
                    attempt: *attempt,
                    at: now,
                    result: ended.to_string(),
                    then: Then::Again { at: *next, failures: *failures },
                };
                self.store.ended(*tag, outcome);
            }
            Progress::Finished { tag, attempt, ended, timed_out, gave_up, at, .. } => {
                let took_too_long = if *timed_out { "timed out, " } else { "" };
                let result = format!("{took_too_long}{ended}");
                let then = if *gave_up { Then::Dead } else { Then::Done };
                self.end(*tag, Outcome { attempt: *attempt, at: *at, result, then });
            }
        }
    }

    /// A call that no hook takes. It is kept as a dead letter.
    pub(super) fn bury(&mut self, id: CallId, attempt: u32, why: &str, now: Timestamp) {
        self.end(id, Outcome { attempt, at: now, result: why.to_owned(), then: Then::Dead });
    }

    fn end(&mut self, id: CallId, outcome: Outcome) {
        self.open.remove(&id);
        self.store.ended(id, outcome);
    }

    /// What the store had counted at its last report.
    pub fn counters(&self) -> Counters {
        self.store.counters()
    }

    /// Stores all that there is, and closes the database. Waits for the disk. Gives what the store counted.
    pub(super) fn close(self) -> Counters {
        self.store.close()
    }
}
