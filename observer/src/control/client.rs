//! The asking end of the control socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Answer, Request};
use crate::status::Status;

/// The longest answer, in octets: that of an observer with hundreds of hooks has a few of these.
const LONGEST: u64 = 16 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the observer behind this socket how things stand.
///
/// # Errors
///
/// When no observer runs there, it does not let us ask, or it does not answer in time.
pub fn status(path: &Path) -> Result<Status> {
    let name = || format!("control socket {}", path.display());
    let mut stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            bail!("{}: no observer runs here; name its socket with --control", name())
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("{}: only root and the socket's group may ask; use sudo or join the group", name())
        }
        Err(error) => return Err(error).with_context(name),
    };
    stream.set_read_timeout(Some(PATIENCE)).with_context(name)?;
    stream.set_write_timeout(Some(PATIENCE)).with_context(name)?;
    // One who is refused is told so before he has asked, and then the question cannot be written.
    let _ = writeln!(stream, "{}", serde_json::to_string(&Request::Status)?);
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line).with_context(name)?;
    match serde_json::from_str(&line) {
        Ok(Answer::Status(status)) => Ok(*status),
        Ok(Answer::Refused(why)) => bail!("{}: {why}", name()),
        Err(error) => bail!("{}: the answer cannot be read, is it another version? ({error})", name()),
    }
}
