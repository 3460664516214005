//! Reading the configuration again, when the event loop itself may not any more.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::{Live, MergeError};
use crate::config::file::Config;

/// What holds, as often as it is asked for, read by a thread that keeps the privileges of the thread that calls this: a
/// hook's program may be where only its user or an almighty root can look.
///
/// # Errors
///
/// When the system has no room for another thread.
pub fn reader(options: Arc<Live>) -> io::Result<impl FnMut() -> Result<Config, MergeError>> {
    type Answer = Result<Config, MergeError>;
    let (questions, asked) = channel::<Sender<Answer>>();
    let read = Arc::clone(&options);
    thread::Builder::new().name("configuration".to_owned()).spawn(move || {
        for answer in asked {
            // Whoever asks waits for the answer, or is gone.
            let _ = answer.send(read.config());
        }
    })?;
    Ok(move || {
        let (answer, answered) = channel();
        let answered = questions.send(answer).ok().and_then(|()| answered.recv().ok());
        // The thread is gone after a panic only.
        answered.unwrap_or_else(|| options.config())
    })
}
