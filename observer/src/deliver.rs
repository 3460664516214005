//! What is done with events: hooks are started for each, or each call is printed.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Arc;

use crate::clock::Clock;
use crate::dispatch::{Dispatch, Dispatched, Route};
use crate::hook::{Call, Hooks, Limits, Progress, Spec};
use crate::render;
use crate::time::Timestamp;
use crate::tracker::{LeaseEvent, Subject};

/// The receiving end of the events.
#[derive(Debug)]
pub struct Delivery {
    dispatch: Dispatch,
    /// The number of the next event that a hook is told of.
    next_event: u64,
    outlet: Outlet,
}

#[derive(Debug)]
enum Outlet {
    /// Each call starts a hook. The tag is the number of the event.
    Hooks(Box<Hooks<Subject, u64>>),
    /// Each call is a line of JSON on standard output, with the name of its hook if somebody gave it one.
    Print { out: BufWriter<Stdout>, named: bool },
}

impl Delivery {
    /// Tells these hooks. Those of `dispatch` and those of `specs` are the same, in the same order.
    ///
    /// # Errors
    ///
    /// As [`Hooks::new`].
    pub fn to_hooks(dispatch: Dispatch, specs: Vec<Spec>, limits: Limits, clock: Clock) -> io::Result<Self> {
        let hooks = Hooks::new(specs, limits, clock)?;
        Ok(Self { dispatch, next_event: first_event(clock), outlet: Outlet::Hooks(Box::new(hooks)) })
    }

    /// Prints every call that would be made; with the hook's name, where hooks have names.
    pub fn to_stdout(dispatch: Dispatch, named: bool) -> Self {
        let out = BufWriter::new(io::stdout());
        Self { dispatch, next_event: 1, outlet: Outlet::Print { out, named } }
    }

    /// What hooks were not told of; see [`Dispatch::losses`].
    pub fn losses(&self) -> Vec<(&str, Vec<(&'static str, u64)>)> {
        self.dispatch.losses()
    }

    /// Tells other hooks from now on, without losing what is under way; see [`Dispatch::replace`] and [`Hooks::replace`].
    ///
    /// # Errors
    ///
    /// As [`Hooks::replace`].
    pub fn replace(&mut self, routes: Vec<Route>, specs: Vec<Spec>, limits: Limits) -> io::Result<()> {
        if let Outlet::Hooks(hooks) = &mut self.outlet {
            hooks.replace(specs)?;
            hooks.set_limits(limits);
        }
        self.dispatch.replace(routes);
        Ok(())
    }

    /// How many leases the filters of a hook remember.
    pub fn set_lease_limit(&mut self, limit: usize) {
        self.dispatch.set_lease_limit(limit);
    }

    /// Whether a hook wants to be told messages for which no server calls one.
    pub fn wants_heard(&self) -> bool {
        self.dispatch.wants_heard()
    }

    /// Takes in one event. A call that finds the queue full is dropped and counted by [`Hooks::counters`].
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn handle_event(&mut self, event: &LeaseEvent) -> io::Result<()> {
        self.dispatch.handle_event(event);
        self.pump()
    }

    /// Lets every deadline of a dialect at or before `now` happen. The hooks' own deadlines are apart, because those are
    /// about processes, and a capture file has none.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn handle_timeout(&mut self, now: Timestamp) -> io::Result<()> {
        self.dispatch.handle_timeout(now);
        self.pump()
    }

    /// The next moment at which [`Delivery::handle_timeout`] should be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.dispatch.poll_timeout()
    }

    /// Passes on what the events came to.
    fn pump(&mut self) -> io::Result<()> {
        while let Some(dispatched) = self.dispatch.poll_dispatched() {
            let number = self.next_event;
            self.next_event += 1;
            self.submit(number, dispatched)?;
        }
        // Nothing keeps them yet.
        while self.dispatch.poll_memory().is_some() {}
        Ok(())
    }

    fn submit(&mut self, number: u64, dispatched: Dispatched) -> io::Result<()> {
        let Dispatched { at, calls } = dispatched;
        match &mut self.outlet {
            Outlet::Hooks(hooks) => {
                let calls = calls.into_iter().map(|(hook, call)| Call {
                    hook,
                    subjects: call.subjects,
                    tag: number,
                    earlier_attempts: 0,
                    invocation: Arc::new(call.invocation),
                });
                // The queue counts what it refuses, and the owner of the loop says so.
                let _refused = hooks.submit(at, number, calls);
            }
            Outlet::Print { out, named } => {
                for (hook, call) in calls {
                    let route = self.dispatch.routes().nth(hook).filter(|_| *named);
                    let name = route.map(|route| route.name.as_str());
                    writeln!(out, "{}", render::invocation_json(name, &call.invocation))?;
                }
            }
        }
        Ok(())
    }

    /// Writes out what was printed so far.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.outlet {
            Outlet::Hooks(_) => Ok(()),
            Outlet::Print { out, .. } => out.flush(),
        }
    }

    /// The next thing that happened to a hook; never, where there are none.
    pub async fn progress(&mut self) -> Progress<u64> {
        match &mut self.outlet {
            Outlet::Hooks(hooks) => hooks.progress().await,
            Outlet::Print { .. } => std::future::pending().await,
        }
    }

    /// The hooks, where there are any.
    pub fn hooks(&mut self) -> Option<&mut Hooks<Subject, u64>> {
        match &mut self.outlet {
            Outlet::Hooks(hooks) => Some(hooks),
            Outlet::Print { .. } => None,
        }
    }
}

/// Numbers of events never repeat, not even after a restart: they begin with the wall clock in microseconds, and there is
/// less than one event in each.
fn first_event(clock: Clock) -> u64 {
    u64::try_from(clock.now().as_nanos() / 1_000).unwrap_or(1)
}
