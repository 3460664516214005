//! The observer's end: making the process, asking it for the configuration, and its end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, socketpair};
use thiserror::Error;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tracing::warn;

use super::super::crew::Tool;
use super::super::worker::Report;
use super::channel::{self, Incoming};
use super::link::Link;
use super::message::{Order, Word};
use crate::clock::Clock;
use crate::config::file::Text;

/// How often and at what distance it is looked whether a spawner has ended.
const LOOKS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);
/// The reading thread's; it passes on.
const STACK: usize = 128 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum Lost {
    /// The configuration is wrong, in the words of who has read it.
    #[error("{0}")]
    Wrong(String),
    /// There is nobody any more.
    #[error("the spawner has ended")]
    Ended,
    /// The system refuses.
    #[error("no process for hooks: {0}")]
    System(#[from] io::Error),
}

/// What hooks need of a spawner.
#[derive(Debug)]
pub struct Spawner {
    link: Link,
    reports: UnboundedReceiver<Report>,
    clock: Arc<OnceLock<Clock>>,
}

/// Heard when the spawner has ended.
pub type Gone = oneshot::Receiver<()>;

/// What the observer itself needs of a spawner.
#[derive(Debug)]
pub struct Steward {
    socket: Arc<OwnedFd>,
    configurations: Receiver<Result<Option<Text>, String>>,
    process: Child,
}

/// Starts a spawner: this program with `arguments`, and behind them the number of its end of a socket. Says which
/// configuration it has read.
///
/// # Errors
///
/// When there can be none, or it does not like the configuration.
pub fn start(
    arguments: impl FnOnce(RawFd) -> Command,
) -> Result<(Spawner, Steward, Gone, Option<Text>), Lost> {
    let kind = SockType::Stream;
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).map_err(io::Error::from)?;
    // The next program of this process is the spawner; no hook was started yet.
    fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty())).map_err(io::Error::from)?;
    let process = arguments(theirs.as_raw_fd()).spawn()?;
    drop(theirs);

    let socket = Arc::new(ours);
    let (prepared, hears_prepared) = channel();
    let (configuration, configurations) = channel();
    let (report, reports) = unbounded_channel();
    let (gone, hears_gone) = oneshot::channel();
    let clock = Arc::new(OnceLock::new());
    let passage =
        Passage { socket: Arc::clone(&socket), clock: Arc::clone(&clock), prepared, configuration, report };
    thread::Builder::new().name("spawner".to_owned()).stack_size(STACK).spawn(move || {
        passage.pass_on();
        let _ = gone.send(());
    })?;
    let link = Link::new(Arc::clone(&socket), hears_prepared);
    let steward = Steward { socket, configurations, process };
    let read = steward.read()?;
    Ok((Spawner { link, reports, clock }, steward, hears_gone, read))
}

/// The spawner's end of the socket, by the number that it was given. Not again in this process.
///
/// # Errors
///
/// When no such descriptor is open.
pub fn take_over(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD looks at a number.
    let flags = unsafe { nix::libc::fcntl(number, nix::libc::F_GETFD) };
    Errno::result(flags)?;
    // SAFETY: it is open, and the program is told of it so that it is ours.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(socket)
}

impl Spawner {
    /// The parts, for moments of this clock.
    pub(in crate::hook) fn hire(self, clock: Clock) -> (Link, UnboundedReceiver<Report>) {
        let Self { link, reports, clock: place } = self;
        let _ = place.set(clock);
        (link, reports)
    }
}

impl Steward {
    /// Has the spawner read the configuration again. What it has read then holds for it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it; or when there is nobody to ask.
    pub fn read(&self) -> Result<Option<Text>, Lost> {
        channel::send(self.socket.as_fd(), &Order::Read, &[]).map_err(|_| Lost::Ended)?;
        self.configurations.recv().map_err(|_| Lost::Ended)?.map_err(Lost::Wrong)
    }

    /// Says that the observer ends as it should, and waits for the spawner's end, for a while. Hooks that still run are left
    /// alone.
    pub fn finish(mut self) {
        let _ = channel::send(self.socket.as_fd(), &Order::Finish, &[]);
        // It has little to do. One that is stopped, or hangs, ends by the end of the socket when it goes on.
        for _ in 0..LOOKS {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(PAUSE);
        }
        warn!("the process that starts hooks has not ended within {:?}", PAUSE * LOOKS);
    }
}

/// What the reading thread has.
struct Passage {
    socket: Arc<OwnedFd>,
    /// Nothing is started, and so nothing reported, before it is there.
    clock: Arc<OnceLock<Clock>>,
    prepared: Sender<Result<Tool, String>>,
    configuration: Sender<Result<Option<Text>, String>>,
    report: UnboundedSender<Report>,
}

impl Passage {
    /// Until the spawner has ended, or says what cannot be understood. Nobody may be listening any more.
    fn pass_on(&self) {
        let mut incoming = Incoming::default();
        while let Ok(true) = incoming.read(self.socket.as_fd(), MsgFlags::empty()) {
            while let Ok(Some(octets)) = incoming.take() {
                let Ok(word) = postcard::from_bytes::<Word>(octets) else { return };
                match word.into_report(*self.clock.get_or_init(Clock::new)) {
                    Ok(report) => {
                        let _ = self.report.send(report);
                    }
                    Err(Word::Prepared(answer)) => {
                        let _ = self.prepared.send(answer);
                    }
                    Err(Word::Configuration(answer)) => {
                        let _ = self.configuration.send(answer);
                    }
                    Err(Word::Started { .. } | Word::Ended { .. }) => {}
                }
            }
        }
    }
}
