//! Carrying out: processes are ordered, signalled and collected, and what workers report is passed on.

use std::hash::Hash;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal;
use std::task::Context;
use tracing::{debug, warn};

use super::super::batch::{self, Batches};
use super::super::crew::Tool;
use super::super::schedule::{Command, Ended, LaneId, Step, Verdict};
use super::super::staff::Staff;
use super::super::stream::{self, Flight, Stream};
use super::super::watch::Signal;
use super::super::worker::{Report, Run, Work};
use super::Hooks;
use super::child::{Child, ChildCall};
use super::lane::{Engine, Ride, Task};
use super::progress::Progress;
use super::wires::{Heard, Wires};
use crate::dialect::json;
use crate::time::Timestamp;

impl<K: Clone + Eq + Hash, I: Clone> Hooks<K, I> {
    /// Carries out every command there is.
    pub(super) fn pump(&mut self) {
        loop {
            while let Some(command) = self.schedule.poll_command() {
                match command {
                    Command::Start { lane, job, attempt, payload } => {
                        self.start_call(lane, Run::Job(job, attempt), payload, attempt);
                    }
                    Command::Terminate { job, attempt } => self.terminate(Run::Job(job, attempt)),
                    Command::Kill { job, attempt } => self.kill(Run::Job(job, attempt)),
                }
            }
            for place in 0..self.lanes.len() {
                match self.lanes.get(place).map(|lane| &lane.engine) {
                    Some(Engine::Batch(_)) => self.pump_batch(place),
                    Some(Engine::Stream(..)) => self.pump_stream(place),
                    Some(Engine::Exec) | None => {}
                }
            }
            if !self.forget_retired() {
                return;
            }
        }
    }

    /// Removes lanes of an earlier configuration that have done their work. Says whether there were any: another one may
    /// have waited for that.
    fn forget_retired(&mut self) -> bool {
        let Self { schedule, staff, .. } = self;
        let before = self.lanes.len();
        self.lanes.retain(|lane| {
            if !lane.retired || !schedule.is_lane_empty(lane.id) {
                return true;
            }
            let gone = lane.is_gone();
            if gone {
                schedule.remove_lane(lane.id);
                staff.retire(lane.tool);
            }
            !gone
        });
        self.lanes.len() < before
    }

    /// Has streams without work end their processes.
    pub(super) fn close_streams(&mut self) {
        for lane in &mut self.lanes {
            if let Engine::Stream(stream, _) = &mut lane.engine {
                stream.close();
            }
        }
        self.pump();
    }

    /// Whether all that is left is a stream that fails again and again.
    pub(super) fn is_stuck(&self) -> bool {
        let hopeless =
            |engine: &Engine<I>| matches!(engine, Engine::Stream(stream, _) if stream.is_hopeless());
        let (stuck, others): (Vec<_>, Vec<_>) =
            self.lanes.iter().partition::<Vec<_>, _>(|lane| hopeless(&lane.engine));
        !stuck.is_empty()
            && self.children.is_empty()
            && self.schedule.poll_timeout().is_none()
            && others.iter().all(|lane| lane.poll_timeout().is_none())
    }

    fn start_call(&mut self, lane: LaneId, run: Run, task: Task<I>, attempt: u32) {
        let Some(lane) = self.lane(lane) else { return };
        let (hook, tool) = (Arc::clone(&lane.name), lane.tool);
        let attempt = task.shown_attempt(attempt);
        let invocation = Arc::clone(&task.invocation);
        let work = Work::Call { invocation, event: task.event, attempt };
        let Task { tag, event, invocation, .. } = task;
        let call = ChildCall { tag, event, attempt, invocation };
        let child = Child::new(hook, Some(call), self.clock.now());
        self.start(run, child, tool, work);
    }

    /// Takes in calls, and does what there is to do for their batch.
    fn pump_batch(&mut self, place: usize) {
        let now = self.clock.now();
        loop {
            let Self { lanes, schedule, .. } = self;
            let Some(lane) = lanes.get_mut(place) else { return };
            let Engine::Batch(batches) = &mut lane.engine else { return };
            while batches.has_room()
                && let Some((job, task)) = schedule.poll_handed(lane.id, now)
            {
                let tried = task.tried;
                batches.handle_call(now, Ride { job, task }, tried);
            }
            let (id, hook, tool) = (lane.id, &lane.name, lane.tool);
            match batches.poll_command() {
                None => return,
                Some(batch::Command::Start { life }) => {
                    let lines = rendered(batches);
                    let child = Child::new(Arc::clone(hook), None, now);
                    self.start(Run::Lane(id, life), child, tool, Work::Batch(lines));
                }
                Some(batch::Command::Signal(signal)) => self.signal(id, signal),
            }
        }
    }

    /// Takes in calls, renders as many lines as there is room for, and does what there is to do for the process.
    fn pump_stream(&mut self, place: usize) {
        let now = self.clock.now();
        loop {
            let Self { lanes, schedule, .. } = self;
            let Some(lane) = lanes.get_mut(place) else { return };
            let Engine::Stream(stream, wires) = &mut lane.engine else { return };
            loop {
                if let Some(wires) = wires {
                    render_lines(stream, wires, now);
                    if wires.room().is_none() {
                        break;
                    }
                }
                if !stream.has_room() {
                    break;
                }
                let Some((job, task)) = schedule.poll_handed(lane.id, now) else { break };
                let (event, tried) = (task.event, task.tried);
                stream.handle_call(event, Ride { job, task }, tried);
            }
            let id = lane.id;
            if lane.retired && schedule.is_lane_empty(id) {
                stream.close();
            }
            match stream.poll_command(now) {
                None => return,
                Some(stream::Command::Start { life }) => {
                    let (hook, tool) = (Arc::clone(&lane.name), lane.tool);
                    let run = Run::Lane(id, life);
                    let child = Child::new(hook, None, now);
                    match Wires::open() {
                        Ok((ours, stdin, stdout)) => {
                            *wires = Some(Box::new(ours));
                            self.start(run, child, tool, Work::Stream(stdin, stdout));
                        }
                        Err(errno) => {
                            self.children.insert(run, child);
                            self.could_not_start(run, errno);
                        }
                    }
                }
                Some(stream::Command::CloseInput) => {
                    if let Some(wires) = wires {
                        wires.close_input();
                    }
                }
                Some(stream::Command::Signal(signal)) => self.signal(id, signal),
            }
        }
    }

    fn start(&mut self, run: Run, child: Child<I>, tool: Tool, work: Work) {
        self.children.insert(run, child);
        if let Err(errno) = self.staff.start(run, tool, work) {
            self.could_not_start(run, errno);
        }
    }

    fn could_not_start(&mut self, run: Run, errno: Errno) {
        let ended = Ended::CouldNotStart(Step::Process, errno);
        self.unstarted.push_back(Report::Ended { run, ended, at: self.clock.now() });
    }

    fn signal(&mut self, lane: LaneId, signal: Signal) {
        match signal {
            Signal::Terminate(life) => {
                self.schedule.count(lane, |counters| counters.timed_out += 1);
                self.terminate(Run::Lane(lane, life));
            }
            Signal::Kill(life) => {
                let run = Run::Lane(lane, life);
                let alive = self.children.get(&run).is_some_and(|child| !child.ended);
                self.schedule.count(lane, |counters| counters.killed += u64::from(alive));
                self.kill(run);
            }
        }
    }

    fn terminate(&mut self, run: Run) {
        let Some(child) = self.children.get_mut(&run) else { return };
        child.terminated = true;
        child.log_signal("hook took too long: SIGTERM to its process group");
        signalled(&mut self.staff, run, child, signal::Signal::SIGTERM);
    }

    fn kill(&mut self, run: Run) {
        let Some(child) = self.children.get_mut(&run) else { return };
        child.terminated = false;
        if !child.ended {
            child.log_signal("hook did not end on SIGTERM: SIGKILL to its process group");
        }
        signalled(&mut self.staff, run, child, signal::Signal::SIGKILL);
        if child.ended {
            self.forget(run);
        }
    }

    /// Collects the process of an attempt that has ended. After this no signal can be sent to it.
    fn forget(&mut self, run: Run) {
        if let Some(pid) = self.children.remove(&run).and_then(|child| child.pid) {
            self.staff.collect(run, pid);
        }
    }

    pub(super) fn apply(&mut self, report: Report) {
        match report {
            Report::Started { run, pid, at } => {
                let Some(child) = self.children.get_mut(&run) else { return };
                child.pid = Some(pid);
                child.started = at;
                if let Some(ChildCall { tag, event, attempt, .. }) = &child.call {
                    let (hook, tag) = (Arc::clone(&child.hook), tag.clone());
                    let (event, attempt, pid) = (*event, *attempt, pid.as_raw());
                    self.news.push_back(Progress::Started { hook, event, tag, attempt, pid, at });
                }
                match run {
                    Run::Job(job, _) => self.schedule.handle_started(job, at),
                    Run::Lane(lane, life) => {
                        self.schedule.count(lane, |counters| counters.started += 1);
                        match self.lane_mut(lane).map(|lane| &mut lane.engine) {
                            Some(Engine::Batch(batches)) => batches.handle_started(life, at),
                            Some(Engine::Stream(stream, _)) => stream.handle_started(life),
                            Some(Engine::Exec) | None => {}
                        }
                    }
                }
            }
            Report::Ended { run, ended, at } => {
                let Some(child) = self.children.get_mut(&run) else { return };
                child.ended = true;
                child.log_end(ended, at);
                self.staff.ended(run);
                let hook = Arc::clone(&child.hook);
                let call = child.call.as_ref().map(|call| (call.tag.clone(), call.event, call.attempt));
                if !child.terminated {
                    self.forget(run);
                }
                match run {
                    Run::Job(job, _) => {
                        let verdict = self.schedule.handle_ended(job, at, ended);
                        if let (Some(verdict), Some((tag, event, attempt))) = (verdict, call) {
                            self.news.push_back(match verdict {
                                Verdict::Again { at: next, failures } => {
                                    Progress::Again { hook, event, tag, attempt, failures, ended, next }
                                }
                                Verdict::Finished(finished) => {
                                    let (timed_out, gave_up) = (finished.timed_out, finished.gave_up);
                                    Progress::Finished {
                                        hook,
                                        event,
                                        tag,
                                        attempt,
                                        ended,
                                        timed_out,
                                        gave_up,
                                        at,
                                    }
                                }
                            });
                        }
                    }
                    Run::Lane(lane, life) => self.lane_process_ended(lane, life, ended, at),
                }
            }
        }
        self.pump();
    }

    fn lane_process_ended(&mut self, id: LaneId, life: u32, ended: Ended, at: Timestamp) {
        self.schedule.count(id, |counters| counters.count(ended));
        let Some(place) = self.lanes.iter().position(|lane| lane.id == id) else { return };
        // What it said last counts.
        while self.read_acknowledgements(place, at) == Heard::Something {}
        let Some(lane) = self.lanes.get_mut(place) else { return };
        let hook = &lane.name;
        match &mut lane.engine {
            Engine::Exec => {}
            Engine::Batch(batches) => {
                let Some(batch::Verdict { over, again: next, timed_out }) =
                    batches.handle_ended(life, at, ended)
                else {
                    return;
                };
                for (batch::Member { call, attempts }, gave_up) in over {
                    self.schedule.handle_over(call.job, gave_up);
                    let (made, how) = (attempts.made, (timed_out, gave_up));
                    self.news.push_back(finished(hook, call, made, ended, how, at));
                }
                if let Some(next) = next {
                    let before = self.news.len();
                    self.news.extend(batches.present().iter().map(|batch::Member { call, attempts }| {
                        again(hook, call, (attempts.made, attempts.failures), ended, next)
                    }));
                    let retried = (self.news.len() - before) as u64;
                    self.schedule.count(id, |counters| counters.retried += retried);
                }
            }
            Engine::Stream(stream, wires) => {
                *wires = None;
                let Some(left) = stream.handle_ended(life, at, ended) else { return };
                for Flight { call, attempts, .. } in left.gave_up {
                    self.schedule.handle_over(call.job, true);
                    self.news.push_back(finished(hook, call, attempts, ended, (left.timed_out, true), at));
                }
                if let Some(next) = left.again {
                    let told = stream.oldest(left.told);
                    let before = self.news.len();
                    self.news.extend(told.map(|Flight { call, attempts, failures, .. }| {
                        again(hook, call, (*attempts, *failures), ended, next)
                    }));
                    let retried = (self.news.len() - before) as u64;
                    self.schedule.count(id, |counters| counters.retried += retried);
                    let (waiting, seconds) = (stream.waiting(), next.since(at).as_secs_f64());
                    warn!(%hook, waiting, "stream ended with events unacknowledged; again in {seconds} s");
                } else {
                    debug!(%hook, "stream ended");
                }
            }
        }
    }

    /// Reads, renders and writes what can be without waiting. Says whether that was anything.
    pub(super) fn serve_wires(&mut self) -> bool {
        let mut any = false;
        for place in 0..self.lanes.len() {
            if !matches!(self.lanes.get(place).map(|lane| &lane.engine), Some(Engine::Stream(_, Some(_)))) {
                continue;
            }
            let now = self.clock.now();
            any |= self.read_acknowledgements(place, now) != Heard::Nothing;
            self.pump_stream(place);
            if let Some(Engine::Stream(stream, Some(wires))) =
                self.lanes.get_mut(place).map(|lane| &mut lane.engine)
            {
                match wires.write() {
                    Ok(wrote) => any |= wrote,
                    Err(_closed) => {
                        wires.close_input();
                        stream.handle_deaf(now);
                        any = true;
                    }
                }
            }
        }
        if any {
            self.pump();
        }
        any
    }

    fn read_acknowledgements(&mut self, place: usize, now: Timestamp) -> Heard {
        let Self { lanes, schedule, news, .. } = self;
        let Some(lane) = lanes.get_mut(place) else { return Heard::Nothing };
        let Engine::Stream(stream, Some(wires)) = &mut lane.engine else { return Heard::Nothing };
        let (id, hook) = (lane.id, &lane.name);
        let heard = wires.read(|line| match stream.handle_line(line, now) {
            Some(Flight { call, attempts, .. }) => {
                schedule.handle_over(call.job, false);
                schedule.count(id, |counters| counters.count(Ended::Acknowledged));
                news.push_back(finished(hook, call, attempts, Ended::Acknowledged, (false, false), now));
            }
            None => schedule.count(id, |counters| counters.stray_acknowledgements += 1),
        });
        if heard == Heard::End {
            stream.handle_deaf(now);
        }
        heard
    }

    /// Waits for the moment when [`Hooks::serve_wires`] is worth calling. Says whether it has come.
    pub(super) fn poll_wires(&mut self, context: &mut Context<'_>) -> bool {
        let mut ready = false;
        for lane in &mut self.lanes {
            if let Engine::Stream(_, Some(wires)) = &mut lane.engine {
                ready |= wires.poll(context);
            }
        }
        ready
    }
}

/// Signals the process group of a process that has not been collected.
fn signalled<I>(staff: &mut Staff, run: Run, child: &Child<I>, signal: signal::Signal) {
    let Some(pid) = child.pid else { return };
    if let Err(errno) = staff.signal(run, pid, signal) {
        warn!(hook = %child.hook, pid = pid.as_raw(), %signal, %errno, "hook could not be signalled");
    }
}

fn again<I: Clone>(
    hook: &Arc<str>,
    ride: &Ride<I>,
    (attempt, failures): (u32, u32),
    ended: Ended,
    next: Timestamp,
) -> Progress<I> {
    let (tag, attempt) = (ride.task.tag.clone(), ride.task.shown_attempt(attempt));
    Progress::Again { hook: Arc::clone(hook), event: ride.task.event, tag, attempt, failures, ended, next }
}

fn finished<I>(
    hook: &Arc<str>,
    ride: Ride<I>,
    attempt: u32,
    ended: Ended,
    (timed_out, gave_up): (bool, bool),
    at: Timestamp,
) -> Progress<I> {
    let attempt = ride.task.shown_attempt(attempt);
    let Task { tag, event, .. } = ride.task;
    Progress::Finished { hook: Arc::clone(hook), event, tag, attempt, ended, timed_out, gave_up, at }
}

/// The calls of the present batch as lines.
fn rendered<I>(batches: &Batches<Ride<I>>) -> Vec<u8> {
    let mut lines = Vec::new();
    for batch::Member { call: Ride { task, .. }, attempts } in batches.present() {
        json::write_call(&mut lines, &task.invocation, task.event, task.shown_attempt(attempts.made));
    }
    lines
}

/// As many lines as there are, or as there is room for.
fn render_lines<I>(stream: &mut Stream<Ride<I>>, wires: &mut Wires, now: Timestamp) {
    while let Some(lines) = wires.room()
        && let Some((Ride { task, .. }, attempt)) = stream.poll_line(now)
    {
        json::write_call(lines, &task.invocation, task.event, task.shown_attempt(attempt));
    }
}
