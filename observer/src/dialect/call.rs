//! What a dialect is: lease events go in, calls of a hook program come out.

use std::fmt;

use super::Options;
use super::invocation::Invocation;
use crate::frame::Interface;
use crate::time::Timestamp;
use crate::tracker::{Event, LeaseEvent, Subject};

/// One call of a hook program, and what the rest of the observer needs to know of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// What the dialect calls the occasion, as a configuration names it: Kea's hook point, dhclient's reason, the event of
    /// the event hook, dnsmasq's action.
    pub word: &'static str,
    /// What happened to the lease.
    pub event: Event,
    /// What the call is about: calls about one subject run one after the other.
    pub subjects: Vec<Subject>,
    /// Whether anything is otherwise than before; a plain renewal changes nothing.
    pub changes: bool,
    /// Arguments and environment.
    pub invocation: Invocation,
}

/// Something that a dialect wants to know again after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What it is about, in octets that only the dialect understands.
    pub key: Vec<u8>,
    /// What is to be known; `None` when it is to be forgotten.
    pub value: Option<Vec<u8>>,
}

/// Something that a hook was not told, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its name among the losses of one hook.
    pub name: &'static str,
    /// How often, since the start.
    pub count: u64,
    /// Why.
    pub cause: Cause,
}

/// Why a hook was not told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There was no room to follow one more lease or client.
    OverLimit,
    /// A value was left out because a script could stumble over it.
    Suspect,
}

impl Loss {
    /// So many leases or clients had no room.
    pub fn over_limit(name: &'static str, count: u64) -> Self {
        Self { name, count, cause: Cause::OverLimit }
    }

    /// So many values were left out.
    pub fn suspect(name: &'static str, count: u64) -> Self {
        Self { name, count, cause: Cause::Suspect }
    }
}

/// A dialect: a pure state machine. One configured hook has one of its own, which sees every event in order.
pub trait Dialect: fmt::Debug + Send {
    /// Whether the dialect follows the client, and wants to be told messages for which no server calls a hook.
    fn wants_heard(&self) -> bool {
        false
    }

    /// Takes in one event. May change what [`Dialect::poll_timeout`], [`Dialect::poll_call`] and
    /// [`Dialect::poll_memory`] answer. The caller has fired every deadline at or before the event.
    ///
    /// An event that is not `wanted` is outside the hook's filters: it may end what the hook was told of, so that nothing
    /// stays open for ever, but it begins nothing.
    fn handle_event(&mut self, event: &LeaseEvent, wanted: bool);

    /// Lets every deadline at or before `now` happen. A call with nothing due does nothing.
    fn handle_timeout(&mut self, _now: Timestamp) {}

    /// The next moment at which [`Dialect::handle_timeout`] should be called.
    fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// Says that nothing more will be told: of the leases on this interface when one is named, else of any, because the
    /// hook is taken out of the configuration or the interface is no longer observed. A dialect that owes its program an
    /// end for each beginning gives it now. A mere restart is no such end.
    fn stop(&mut self, _now: Timestamp, _interface: Option<&Interface>) {}

    /// What was left out. What never was may be among it, with a count of 0.
    fn losses(&self) -> Vec<Loss> {
        Vec::new()
    }

    /// The next call. Call until `None` after each of the verbs above.
    fn poll_call(&mut self) -> Option<Call>;

    /// The next thing to remember or forget, in order. A dialect without memory has none.
    fn poll_memory(&mut self) -> Option<Memory> {
        None
    }

    /// Gives back what an earlier life has remembered, ahead of every event. What cannot be understood any more is
    /// passed over.
    fn recall(&mut self, _key: &[u8], _value: &[u8]) {}

    /// Other options than those that it was made with, after a reload of the configuration.
    fn set_options(&mut self, _options: &Options) {}
}
