//! Text lines on a standard error that systemd has connected to the journal: it has the time already, and takes the level from
//! a prefix (sd-daemon(3)).

use std::env;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use nix::sys::stat::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::fmt::format::{Format, Full, Writer, format};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whether standard error is the stream that `JOURNAL_STREAM` names (systemd.exec(5)): the variable alone may be somebody
/// else's, who has redirected us.
pub fn is_stderr() -> bool {
    let stream = env::var("JOURNAL_STREAM").ok();
    let named = stream.as_deref().and_then(|stream| stream.split_once(':'));
    let Ok(found) = fstat(io::stderr().as_fd()) else { return false };
    named == Some((found.st_dev.to_string().as_str(), found.st_ino.to_string().as_str()))
}

/// Lines with their level in front, for the journal and for people, and without the time.
#[derive(Debug)]
pub struct Lines(Format<Full, ()>);

impl Lines {
    /// As [`super::Format::Text`] has them otherwise.
    pub fn new() -> Self {
        Self(format().with_target(false).with_ansi(false).without_time())
    }
}

/// The same numbers for the journal's own protocol.
pub fn priorities() -> PriorityMappings {
    PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    }
}

/// A level as syslog(3) numbers it.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}
