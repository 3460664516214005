//! What a long-lived process has been told and has acknowledged: a pure state machine.
//!
//! Calls go to the process in the order in which they were taken in, and the process acknowledges them. When it dies, or has
//! acknowledged nothing for too long and is ended, another one is started after a while and is told again of everything
//! that was not acknowledged, in the same order.
//!
//! Which call a process died of is not known; the oldest that it has not acknowledged is suspected. So it is the oldest
//! whose retries are used up, while the others behind it are merely told again.

use std::collections::{BTreeSet, VecDeque};

use super::schedule::{Ended, LaneLimits, Tried};
use super::watch::{Signal, Watch};
use crate::time::Timestamp;

/// Retries of a stream that is to go and has none configured, which otherwise means for ever.
const LAST_RETRIES: u32 = 2;

/// What is to be done for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Start a process.
    Start {
        /// The number of its life.
        life: u32,
    },
    /// Signal a process group.
    Signal(Signal),
    /// Close the standard input of the process, which will be told of nothing more.
    CloseInput,
}

/// A call that the process is told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flight<J> {
    pub(super) call: J,
    /// How often a process was told of it.
    pub(super) attempts: u32,
    /// How often it was suspected, in earlier lives too.
    pub(super) failures: u32,
    event: u64,
}

/// What an ended process leaves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left<J> {
    /// Dead letters: their retries are used up.
    pub(super) gave_up: Vec<Flight<J>>,
    /// How many of the oldest calls had been told to the process and will be told again.
    pub(super) told: usize,
    /// When there will be another process, if one is needed.
    pub(super) again: Option<Timestamp>,
    /// Whether it had to be ended because it acknowledged nothing.
    pub(super) timed_out: bool,
}

/// One hook's stream. `J` is a call.
#[derive(Debug)]
pub(super) struct Stream<J> {
    limits: LaneLimits,
    window: usize,
    /// By age, without those that were acknowledged out of order.
    flights: VecDeque<Option<Flight<J>>>,
    /// The number of the first of them.
    first: u64,
    /// The number of the next one that this process is to be told of.
    next: u64,
    /// Event and number of each that is not acknowledged.
    by_event: BTreeSet<(u64, u64)>,
    /// Calls that this process was told of and has not acknowledged.
    told: usize,
    /// Lives in a row that acknowledged nothing.
    fruitless: u32,
    /// When the next process may be started.
    resting: Option<Timestamp>,
    /// Retries are finite even if none are configured.
    impatient: bool,
    /// No more calls will come: after the last acknowledgement the process may go.
    closing: bool,
    input_closed: bool,
    watch: Watch,
}

impl<J> Stream<J> {
    pub(super) fn new(limits: LaneLimits, window: usize) -> Self {
        let watch = Watch::new(limits.kill_delay);
        Self {
            limits,
            window: window.max(1),
            flights: VecDeque::new(),
            first: 0,
            next: 0,
            by_event: BTreeSet::new(),
            told: 0,
            fruitless: 0,
            resting: None,
            impatient: false,
            closing: false,
            input_closed: false,
            watch,
        }
    }

    /// Whether another call can be taken in.
    pub(super) fn has_room(&self) -> bool {
        self.by_event.len() < self.window
    }

    /// Takes in a call about this event, of which earlier lives have tried so much.
    pub(super) fn handle_call(&mut self, event: u64, call: J, tried: Tried) {
        // A pause that was taken for the end.
        self.closing = false;
        let number = self.first + self.flights.len() as u64;
        self.by_event.insert((event, number));
        self.flights.push_back(Some(Flight { call, attempts: 0, failures: tried.failures, event }));
    }

    /// Takes back the calls that are not wanted, unless the process has been told of them.
    pub(super) fn withdraw(&mut self, mut is_unwanted: impl FnMut(&J) -> bool) -> Vec<J> {
        // What only an earlier process was told of, no process knows.
        let told = if self.watch.is_there() { self.next } else { self.first };
        let mut withdrawn = Vec::new();
        for (place, number) in self.flights.iter_mut().zip(self.first..) {
            let unwanted = |flight: &mut Flight<J>| number >= told && is_unwanted(&flight.call);
            if let Some(flight) = place.take_if(unwanted) {
                self.by_event.remove(&(flight.event, number));
                withdrawn.push(flight.call);
            }
        }
        self.forget_front();
        self.next = self.next.max(self.first);
        withdrawn
    }

    /// Whether nothing waits for an acknowledgement.
    pub(super) fn is_empty(&self) -> bool {
        self.by_event.is_empty()
    }

    /// Whether there is nothing to do and nobody to be killed; a process without work may be there unless it is to go.
    pub(super) fn is_idle(&self) -> bool {
        self.is_empty() && if self.closing { self.watch.is_idle() } else { !self.watch.is_ending() }
    }

    /// Whether nothing is left to do, now and later.
    pub(super) fn is_gone(&self) -> bool {
        self.closing && self.is_idle()
    }

    /// Whether it fails again and again, and is at rest now.
    pub(super) fn is_hopeless(&self) -> bool {
        !self.watch.is_there() && self.resting.is_some() && self.fruitless > LAST_RETRIES
    }

    /// It is of an earlier configuration: what it fails at again and again is given up, all that is in flight at once.
    pub(super) fn lose_patience(&mut self) {
        self.impatient = true;
    }

    /// No more calls will come once those in flight are acknowledged. The process gets the kill delay, from its last
    /// acknowledgement on, to end.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// The next call that the process is to be told of, and which attempt this is.
    pub(super) fn poll_line(&mut self, now: Timestamp) -> Option<(&J, u32)> {
        if !self.watch.is_running() || self.input_closed {
            return None;
        }
        let end = self.first + self.flights.len() as u64;
        loop {
            if self.next >= end {
                return None;
            }
            let number = self.next;
            self.next += 1;
            let place = usize::try_from(number - self.first).ok()?;
            if self.flights.get(place).is_some_and(Option::is_some) {
                if self.told == 0 {
                    self.heard(now);
                }
                self.told += 1;
                let flight = self.flights.get_mut(place)?.as_mut()?;
                flight.attempts += 1;
                return Some((&flight.call, flight.attempts));
            }
        }
    }

    /// The process has written a line: the event that it names, or the oldest that it was told of. `None` if there is none.
    pub(super) fn handle_line(&mut self, line: &[u8], now: Timestamp) -> Option<Flight<J>> {
        if self.told == 0 {
            return None;
        }
        let number = match event_named(line) {
            Some(event) => {
                let known = (event, self.first)..(event, self.next);
                self.by_event.range(known).next().map(|(_, number)| *number)?
            }
            None => self.first,
        };
        let flight = self.flights.get_mut(usize::try_from(number - self.first).ok()?)?.take()?;
        self.by_event.remove(&(flight.event, number));
        self.forget_front();
        self.told -= 1;
        self.fruitless = 0;
        if self.told == 0 {
            self.watch.set_hang(None)
        } else {
            self.heard(now)
        }
        Some(flight)
    }

    /// Nothing more can be told to the process, or heard from it. It gets the kill delay to end.
    pub(super) fn handle_deaf(&mut self, now: Timestamp) {
        self.input_closed = true;
        if self.watch.is_running() {
            self.watch.set_hang(Some(now + self.limits.kill_delay));
        }
    }

    pub(super) fn handle_started(&mut self, life: u32) {
        self.watch.started(life);
    }

    /// The process has ended, and every line of it was taken in. `None` when it is not the present one.
    pub(super) fn handle_ended(&mut self, life: u32, now: Timestamp, ended: Ended) -> Option<Left<J>> {
        let timed_out = self.watch.ended(life)?;
        let end = self.next;
        let suspected = self.told > 0 || (ended.never_ran() && !ended.is_transient());
        self.told = 0;
        self.next = self.first;
        self.input_closed = false;
        let mut gave_up = Vec::new();
        if self.is_empty() {
            return Some(Left { gave_up, told: 0, again: None, timed_out });
        }
        self.fruitless += 1;
        if suspected && self.suspect_oldest() {
            gave_up.extend(self.flights.pop_front().flatten());
            self.first += 1;
            if self.impatient {
                gave_up.extend(self.flights.drain(..).flatten());
            }
            self.rebuild();
        }
        let again = (!self.is_empty()).then(|| now + self.limits.retry_wait(self.fruitless));
        self.resting = again;
        let told = usize::try_from(end.saturating_sub(self.first)).unwrap_or_default();
        Some(Left { gave_up, told, again, timed_out })
    }

    /// The oldest calls that wait for an acknowledgement, of `places` places of which some may have theirs already.
    pub(super) fn oldest(&self, places: usize) -> impl Iterator<Item = &Flight<J>> {
        self.flights.iter().take(places).flatten()
    }

    /// How many calls wait for an acknowledgement.
    pub(super) fn waiting(&self) -> usize {
        self.by_event.len()
    }

    /// Says whether the oldest has failed too often.
    fn suspect_oldest(&mut self) -> bool {
        let Some(oldest) = self.flights.front_mut().and_then(Option::as_mut) else { return false };
        oldest.failures += 1;
        match (self.limits.retries, self.impatient) {
            (0, false) => false,
            (0, true) => oldest.failures > LAST_RETRIES,
            (retries, _) => oldest.failures > retries,
        }
    }

    /// After the front has changed in an unusual way.
    fn rebuild(&mut self) {
        self.forget_front();
        self.next = self.first;
        let numbered = self.flights.iter().zip(self.first..);
        self.by_event =
            numbered.filter_map(|(flight, number)| Some((flight.as_ref()?.event, number))).collect();
    }

    fn forget_front(&mut self) {
        while self.flights.front().is_some_and(Option::is_none) {
            self.flights.pop_front();
            self.first += 1;
        }
    }

    /// The process shows that it lives, or has just been given something to do.
    fn heard(&mut self, now: Timestamp) {
        if !self.input_closed {
            self.watch.set_hang(self.limits.hang().map(|hang| now + hang));
        }
    }

    pub(super) fn poll_command(&mut self, now: Timestamp) -> Option<Command> {
        if let Some(signal) = self.watch.poll_signal() {
            return Some(Command::Signal(signal));
        }
        if self.is_empty() {
            if self.closing && self.watch.is_running() && !self.input_closed {
                self.handle_deaf(now);
                return Some(Command::CloseInput);
            }
            return None;
        }
        if self.watch.is_there() || self.resting.is_some() {
            return None;
        }
        Some(Command::Start { life: self.watch.begin() })
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        self.watch.handle_timeout(now);
        self.resting = self.resting.filter(|until| *until > now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        [self.watch.poll_timeout(), self.resting].into_iter().flatten().min()
    }
}

/// The number that a line consists of.
fn event_named(line: &[u8]) -> Option<u64> {
    if line.is_empty() || !line.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Larger than any number of ours names none of ours.
    Some(std::str::from_utf8(line).ok()?.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
