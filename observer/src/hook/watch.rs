//! The one process of a stream or of a batch: when it has hung, and what is done then. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Timestamp;

/// What is to be sent to the process group of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM: it has hung.
    Terminate(u32),
    /// SIGKILL to what is left of it, also when its leader has ended meanwhile.
    Kill(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    None,
    Starting,
    Running,
    Terminating,
}

/// Watches over one process at a time.
#[derive(Debug)]
pub(super) struct Watch {
    kill_delay: Duration,
    /// How many processes there were, this one included.
    life: u32,
    state: State,
    hang: Option<Timestamp>,
    /// Lives that were sent SIGTERM, and when what is left of them gets SIGKILL.
    kills: VecDeque<(Timestamp, u32)>,
    signals: VecDeque<Signal>,
}

impl Watch {
    pub(super) fn new(kill_delay: Duration) -> Self {
        let (kills, signals) = (VecDeque::new(), VecDeque::new());
        Self { kill_delay, life: 0, state: State::None, hang: None, kills, signals }
    }

    /// A process is about to be started. Gives the number of its life.
    pub(super) fn begin(&mut self) -> u32 {
        self.life = self.life.wrapping_add(1);
        self.state = State::Starting;
        self.hang = None;
        self.life
    }

    /// There is a process now. Says whether it is the present one.
    pub(super) fn started(&mut self, life: u32) -> bool {
        let present = self.state == State::Starting && life == self.life;
        if present {
            self.state = State::Running;
        }
        present
    }

    /// From `hang` on it counts as hanging; `None`: never.
    pub(super) fn set_hang(&mut self, hang: Option<Timestamp>) {
        self.hang = hang.filter(|_| self.state == State::Running);
    }

    /// There is no process any more. Says whether it had to be terminated; `None` when it is not the present one.
    pub(super) fn ended(&mut self, life: u32) -> Option<bool> {
        if self.state == State::None || life != self.life {
            return None;
        }
        self.hang = None;
        Some(std::mem::replace(&mut self.state, State::None) == State::Terminating)
    }

    /// Whether there is a process, or one is being started.
    pub(super) fn is_there(&self) -> bool {
        self.state != State::None
    }

    /// Whether there is a process that has not been told to end.
    pub(super) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Whether somebody was told to end and may still be there.
    pub(super) fn is_ending(&self) -> bool {
        !self.kills.is_empty() || !self.signals.is_empty()
    }

    /// Whether nothing is left to watch.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_there() && !self.is_ending()
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((_, life)) = self.kills.front().copied().filter(|(at, _)| *at <= now) {
            self.kills.pop_front();
            self.signals.push_back(Signal::Kill(life));
        }
        if self.hang.is_some_and(|hang| hang <= now) {
            self.hang = None;
            self.state = State::Terminating;
            self.signals.push_back(Signal::Terminate(self.life));
            self.kills.push_back((now + self.kill_delay, self.life));
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        [self.hang, self.kills.front().map(|(at, _)| *at)].into_iter().flatten().min()
    }

    pub(super) fn poll_signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }
}
