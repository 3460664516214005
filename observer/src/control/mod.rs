//! The control socket: one line of JSON asks, one line answers.
//!
//! Only root, the user that the observer runs as, and members of one group are answered. The file's mode keeps others
//! out, and the peer's credentials, which the kernel vouches for, are looked at as well.

pub mod client;
mod doors;
mod peer;
pub mod scrape;
pub mod server;

use nix::unistd::{Gid, Group};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::status::Status;

pub use doors::{Door, Doors};

/// Where the socket is unless another place is named.
pub const DEFAULT_PATH: &str = "/run/dhcp-observer/control";

/// The group of this name or number.
pub fn group(name: &str) -> Option<Gid> {
    let by_number = || name.parse().ok().map(Gid::from_raw);
    Group::from_name(name).ok().flatten().map(|group| group.gid).or_else(by_number)
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb", deny_unknown_fields)]
pub enum Request {
    /// How things stand.
    Status,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How things stand.
    Status(Box<Status>),
    /// Why not.
    Refused(String),
}

/// A question on its way to the task that owns all state, and where its answer goes.
#[derive(Debug)]
pub struct Question {
    /// Where the answer goes. Nobody may be waiting for it any more.
    pub reply: oneshot::Sender<Status>,
}

/// Asks the owner of all state how things stand; `None` when it is gone.
async fn ask(questions: &mpsc::Sender<Question>) -> Option<Status> {
    let (reply, answer) = oneshot::channel();
    questions.send(Question { reply }).await.ok()?;
    answer.await.ok()
}

#[cfg(test)]
mod tests;
