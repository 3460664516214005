//! The store as the event loop sees it: it takes changes without ever waiting, and tells what became of them.

use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedReceiver;
use tracing::error;

use super::Limits;
use super::change::{CallId, Change, Counters, Mark, Outcome, Report, Ticket};
use super::writer::{Reported, Request};

/// A running store.
#[derive(Debug)]
pub struct Store {
    requests: Sender<Request>,
    reports: UnboundedReceiver<Reported>,
    thread: Option<JoinHandle<Counters>>,
    limits: Limits,
    last: Ticket,
    stored: Ticket,
    counters: Counters,
    refused: u64,
}

impl Store {
    pub(super) fn new(
        requests: Sender<Request>,
        reports: UnboundedReceiver<Reported>,
        thread: JoinHandle<Counters>,
        limits: Limits,
    ) -> Self {
        let (last, stored) = (Ticket::default(), Ticket::default());
        Self {
            requests,
            reports,
            thread: Some(thread),
            limits,
            last,
            stored,
            counters: Counters::default(),
            refused: 0,
        }
    }

    /// Gives one change to be stored. [`Report::Stored`] tells when it is; its calls may be made then.
    ///
    /// # Errors
    ///
    /// Gives the change back when [`Limits::queued`] others wait: the owner is to look at [`Store::has_room`] and let
    /// frames wait in the ring. Counted by [`Store::refused`].
    pub fn append(&mut self, change: Change) -> Result<Ticket, Box<Change>> {
        if !self.has_room() {
            self.refused += 1;
            return Err(Box::new(change));
        }
        let ticket = Ticket(self.last.0 + 1);
        match self.requests.send(Request::Change(ticket, Box::new(change))) {
            Ok(()) => {
                self.last = ticket;
                Ok(ticket)
            }
            Err(unsent) => {
                self.refused += 1;
                match unsent.0 {
                    Request::Change(_, change) => Err(change),
                    Request::Mark(..) | Request::Complete | Request::Close => Err(Box::default()),
                }
            }
        }
    }

    /// Whether another change would be taken.
    pub fn has_room(&self) -> bool {
        self.waiting() < self.limits.queued as u64
    }

    /// Changes that were appended and not reported as stored.
    pub fn waiting(&self) -> u64 {
        self.last.0 - self.stored.0
    }

    /// Says that this attempt of a call is about to begin. May be left out: a call that was not marked ended counts as
    /// begun once more after a crash either way. People see it as running.
    pub fn started(&mut self, call: CallId, attempt: u32) {
        self.tell(Request::Mark(call, Mark::Started(attempt)));
    }

    /// Says how an attempt of a call has ended.
    pub fn ended(&mut self, call: CallId, outcome: Outcome) {
        self.tell(Request::Mark(call, Mark::Ended(outcome)));
    }

    /// Says that a call that is not wanted any more will not be made. One that has failed meanwhile is forgotten too.
    pub fn withdraw(&mut self, call: CallId) {
        self.tell(Request::Mark(call, Mark::Withdrawn));
    }

    /// Says that a call is not wanted any more but has a process, which is let end.
    pub fn keep(&mut self, call: CallId) {
        self.tell(Request::Mark(call, Mark::Kept));
    }

    /// Says that all has been appended that [`Report::Wanted`] asked for.
    pub fn complete(&mut self) {
        self.tell(Request::Complete);
    }

    fn tell(&mut self, request: Request) {
        // Without a writer nothing can be stored; `report` has said so.
        let _ = self.requests.send(request);
    }

    /// The next report; never, once the writer has ended. Can be cancelled without losing any.
    pub async fn report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(reported) => self.note(reported),
            None => std::future::pending().await,
        }
    }

    /// The next report that has come already.
    pub fn try_report(&mut self) -> Option<Report> {
        let reported = self.reports.try_recv().ok()?;
        Some(self.note(reported))
    }

    fn note(&mut self, (report, counters): Reported) -> Report {
        self.counters = counters;
        if let Report::Stored { up_to, .. } = &report {
            self.stored = *up_to;
        }
        report
    }

    /// What the writer had counted at its last report.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Changes that were not taken.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Stores what was appended, says in the database that nothing is lost, and closes it. Waits for the disk. Gives what was
    /// counted in all.
    pub fn close(mut self) -> Counters {
        self.tell(Request::Close);
        let ended = self
            .thread
            .take()
            .and_then(|thread| thread.join().inspect_err(|_| error!("the store's writer has failed")).ok());
        ended.unwrap_or(self.counters)
    }
}
