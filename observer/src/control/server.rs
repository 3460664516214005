//! The observer's end of the control socket.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{Gid, Uid};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::doors::{Door, Unserved};
use super::peer::Peer;
use super::{Answer, DEFAULT_PATH, Question, Request, ask};
use crate::config::file::Socket;

/// The longest question, in octets.
const LONGEST: u64 = 4_096;
/// How long a peer may take for its question, and for taking the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many peers are served at once; more have to wait.
const PEERS: usize = 16;

/// A bound socket. Dropping it removes the file.
#[derive(Debug)]
pub struct Control {
    listener: std::os::unix::net::UnixListener,
    path: PathBuf,
    group: Option<Gid>,
}

impl Control {
    /// Makes the socket, mode 0660 and owned by this group, in a directory that is made if need be. A file of an observer
    /// that has gone is replaced.
    ///
    /// # Errors
    ///
    /// When another observer answers there, something else is in the way, or the directory cannot be written.
    pub fn bind(path: &Path, group: Option<Gid>) -> Result<Self> {
        let name = || format!("control socket {}", path.display());
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty())
            && !directory.exists()
        {
            fs::create_dir_all(directory).with_context(name)?;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).with_context(name)?;
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                bail!("{}: there is something else; name another with --control", name())
            }
            Ok(_) if is_served(path) => {
                bail!("{}: another observer answers there; name another with --control", name())
            }
            Ok(_) => fs::remove_file(path).with_context(name)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(name),
        }
        // Nobody may connect between the making of the file and its mode, so the mode comes by the mask.
        let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
        let listener = std::os::unix::net::UnixListener::bind(path).with_context(name);
        nix::sys::stat::umask(mask);
        let control = Self { listener: listener?, path: path.to_owned(), group };
        if let Some(group) = group {
            chown(path, None, Some(group.as_raw())).with_context(name)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).with_context(name)?;
        control.listener.set_nonblocking(true).with_context(name)?;
        Ok(control)
    }

    /// Answers whoever asks, until the other end of `questions` is gone. `door` counts those that it does not, or not at once.
    ///
    /// # Errors
    ///
    /// When the runtime cannot wait for the socket.
    pub async fn serve(self, questions: mpsc::Sender<Question>, door: Door) -> io::Result<()> {
        let listener = UnixListener::from_std(self.listener.try_clone()?)?;
        let places = std::sync::Arc::new(tokio::sync::Semaphore::new(PEERS));
        loop {
            let stream = tokio::select! {
                () = questions.closed() => return Ok(()),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Descriptors may be short for a while.
                        debug!("control socket: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let Some(place) = door.enter(&places).await else { return Ok(()) };
            let (questions, group, door) = (questions.clone(), self.group, door.clone());
            tokio::spawn(async move {
                let served = timeout(2 * PATIENCE, serve_one(stream, group, &questions, &door)).await;
                match served.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => door.count(Unserved::TooSlow),
                    // It has gone by itself.
                    Err(error) => debug!("control socket: {error}"),
                    Ok(()) => {}
                }
                drop(place);
            });
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether somebody listens at a socket, also one who has no time now. Does not wait.
fn is_served(path: &Path) -> bool {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let connected = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .and_then(|socket| connect(socket.as_raw_fd(), &UnixAddr::new(path)?));
    matches!(connected, Ok(()) | Err(Errno::EAGAIN))
}

/// Removes the file of a socket on which an observer has listened that could not remove it. What is no socket stays.
pub fn remove(socket: &Socket) {
    let path = match socket {
        Socket::None => return,
        Socket::Default => Path::new(DEFAULT_PATH),
        Socket::At(path) => path,
    };
    // The usual place may be another observer's, which answers there.
    let is_left =
        fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) && !is_served(path);
    if is_left {
        let _ = fs::remove_file(path);
    }
}

async fn serve_one(
    mut stream: UnixStream,
    group: Option<Gid>,
    questions: &mpsc::Sender<Question>,
    door: &Door,
) -> io::Result<()> {
    let peer = Peer::of(&stream)?;
    let answer = if peer.may_ask(Uid::effective(), group) {
        let mut line = String::new();
        let mut reader = BufReader::new((&mut stream).take(LONGEST));
        timeout(PATIENCE, reader.read_line(&mut line)).await??;
        answer(&line, questions, door).await
    } else {
        door.count(Unserved::Refused);
        Answer::Refused(format!("user {} is neither root nor in the group of the control socket", peer.uid))
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    timeout(PATIENCE, stream.write_all(text.as_bytes())).await?
}

async fn answer(line: &str, questions: &mpsc::Sender<Question>, door: &Door) -> Answer {
    match serde_json::from_str(line) {
        Ok(Request::Status) => match ask(questions).await {
            Some(status) => Answer::Status(Box::new(status)),
            None => Answer::Refused("the observer is stopping".to_owned()),
        },
        Err(error) => {
            // One that goes without a word, as an observer does that looks whether another one is there, asks for nothing.
            if !line.is_empty() {
                door.count(Unserved::BadRequest);
            }
            Answer::Refused(format!("no question: {error}"))
        }
    }
}
