//! On a virtual clock, with dialects that say what they are told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::dialect::invocation::{Invocation, Strings};
use crate::dissect::VlanTags;
use crate::frame::{Direction, Interface};
use crate::tracker::{Event, Exchange, Observed4, Occurrence};

/// Calls at once for every event, and once more `later` afterwards.
#[derive(Debug, Default)]
struct Echo {
    later: Option<Duration>,
    changes: bool,
    due: VecDeque<Timestamp>,
    calls: VecDeque<Call>,
    unwanted: usize,
}

impl Echo {
    fn call(&mut self, at: Timestamp, word: &'static str) {
        let invocation = Invocation { at, arguments: Strings::default(), environment: Strings::default() };
        let (event, changes) = (Event::Commit, self.changes);
        self.calls.push_back(Call { word, event, subjects: Vec::new(), changes, invocation });
    }
}

impl Dialect for Echo {
    fn handle_event(&mut self, event: &LeaseEvent, wanted: bool) {
        if !wanted {
            self.unwanted += 1;
            return;
        }
        self.call(event.at, "now");
        self.due.extend(self.later.map(|later| event.at + later));
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(due) = self.due.front().copied().filter(|due| *due <= now) {
            self.due.pop_front();
            self.call(due, "later");
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        self.due.front().copied()
    }

    fn poll_call(&mut self) -> Option<Call> {
        self.calls.pop_front()
    }

    fn losses(&self) -> Vec<Loss> {
        let count = self.unwanted as u64;
        vec![Loss::over_limit("one", count), Loss::over_limit("two", 10 * count), Loss::suspect("three", 100)]
    }
}

fn route(name: &str, dialect: Box<dyn Dialect>) -> Route {
    // Calls without arguments are dhclient's.
    Route::with_dialect(name, DialectName::Dhclient, Options::default(), dialect)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn event(seconds: i64) -> LeaseEvent {
    let observed = Observed4 {
        interface: Arc::new(Interface { index: Some(2), name: "eth0".into() }),
        direction: Direction::In,
        vlans: VlanTags::default(),
        source_mac: None,
        destination_mac: None,
        source: "0.0.0.0:68".parse().unwrap(),
        destination: "255.255.255.255:67".parse().unwrap(),
        message: crate::dhcpv4::parse(&[]),
    };
    let exchange = Exchange { query: Some(Arc::new(observed)), answer: None };
    LeaseEvent {
        at: at(seconds),
        event: Event::Commit,
        estimated: false,
        occurrence: Occurrence::Committed4 { exchange, leases: Vec::new(), deleted: Vec::new() },
        before4: Vec::new(),
        before6: Vec::new(),
    }
}

fn told(dispatch: &mut Dispatch) -> Vec<(i64, Vec<(usize, &'static str)>)> {
    std::iter::from_fn(|| dispatch.poll_dispatched())
        .map(|dispatched| {
            let calls = dispatched.calls.iter().map(|(hook, call)| (*hook, call.word)).collect();
            (dispatched.at.unix_seconds(), calls)
        })
        .collect()
}

#[test]
fn hooks_are_told_in_the_order_of_the_configuration() {
    let mut dispatch = Dispatch::new(
        ["a", "b", "c"].map(|name| route(name, Box::new(Echo::default()))).into_iter().collect(),
    );
    dispatch.handle_event(&event(1));
    assert_eq!(told(&mut dispatch), [(1, vec![(0, "now"), (1, "now"), (2, "now")])]);
}

#[test]
fn deadlines_come_before_the_event_and_carry_their_own_time() {
    let echo = |later| Box::new(Echo { later: Some(Duration::from_secs(later)), ..Echo::default() });
    let mut dispatch = Dispatch::new(vec![route("a", echo(5)), route("b", echo(3))]);
    dispatch.handle_event(&event(0));
    assert_eq!(dispatch.poll_timeout(), Some(at(3)));
    dispatch.handle_event(&event(2));
    // Both deadlines of the second 5 are told together, before the event of that second.
    dispatch.handle_event(&event(5));
    let both = vec![(0, "now"), (1, "now")];
    assert_eq!(
        told(&mut dispatch),
        [
            (0, both.clone()),
            (2, both.clone()),
            (3, vec![(1, "later")]),
            (5, vec![(0, "later"), (1, "later")]),
            (5, both)
        ]
    );
    dispatch.handle_timeout(at(100));
    let later: Vec<_> = told(&mut dispatch).into_iter().map(|(at, _)| at).collect();
    assert_eq!(later, [7, 8, 10]);
    assert_eq!(dispatch.poll_timeout(), None);
}

#[test]
fn late_waking_and_punctual_waking_tell_the_same() {
    let tell = |wakes: &[i64]| {
        let echo = Echo { later: Some(Duration::from_secs(3)), ..Echo::default() };
        let mut dispatch = Dispatch::new(vec![route("a", Box::new(echo))]);
        for second in 0..20 {
            if second % 4 == 0 {
                dispatch.handle_event(&event(second));
            }
            if wakes.contains(&second) {
                dispatch.handle_timeout(at(second));
            }
        }
        dispatch.handle_timeout(at(30));
        told(&mut dispatch)
    };
    let punctual = tell(&(0..20).collect::<Vec<_>>());
    assert_eq!(punctual.len(), 10);
    assert_eq!(punctual, tell(&[]));
    assert_eq!(punctual, tell(&[9, 18]));
}

#[test]
fn losses_have_names_and_those_for_want_of_room_are_summed_up() {
    let mut dispatch =
        Dispatch::new(["a", "b"].map(|name| route(name, Box::new(Echo::default()))).into_iter().collect());
    let three = Loss::suspect("three", 100);
    assert_eq!(dispatch.losses(), [("a", vec![three]), ("b", vec![three])]);
    assert_eq!(dispatch.over_limit(), [("filters_over_limit", 0), ("dialects_over_limit", 0)]);
    for entry in &mut dispatch.entries {
        entry.route.filter.interface = vec!["eth7".to_owned()];
    }
    dispatch.handle_event(&event(1));
    let all = vec![Loss::over_limit("one", 1), Loss::over_limit("two", 10), three];
    assert_eq!(dispatch.losses(), [("a", all.clone()), ("b", all)]);
    assert_eq!(dispatch.over_limit(), [("filters_over_limit", 0), ("dialects_over_limit", 22)]);
}

#[test]
fn a_hook_that_wants_changes_is_not_told_of_renewals() {
    let changed = |changes| {
        let mut route = route("a", Box::new(Echo { changes, ..Echo::default() }));
        route.on_change = true;
        route
    };
    let mut dispatch = Dispatch::new(vec![changed(false), changed(true)]);
    dispatch.handle_event(&event(1));
    assert_eq!(told(&mut dispatch), [(1, vec![(1, "now")])]);
}

#[test]
fn words_are_those_of_the_dialect_or_of_the_event() {
    for (words, expected) in [
        (&[][..], 1),
        (&["now"], 1),
        (&["commit"], 1),
        (&["release", "commit"], 1),
        (&["release", "later"], 0),
    ] {
        let mut route = route("a", Box::new(Echo::default()));
        route.words = words.iter().copied().collect();
        let mut dispatch = Dispatch::new(vec![route]);
        dispatch.handle_event(&event(1));
        assert_eq!(told(&mut dispatch).len(), expected, "{words:?}");
    }
}
