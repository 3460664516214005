//! Where log lines go and how they look.

mod journal;
mod repeats;

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

pub use repeats::Repeats;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people, on standard error; where that is the journal's, with levels that it understands.
    #[default]
    Text,
    /// A JSON object a line, on standard error.
    Json,
    /// To the systemd journal, with their fields.
    Journald,
}

/// The running log: its level can be changed, and it knows what it left out.
#[derive(Debug)]
pub struct Log {
    level: reload::Handle<LevelFilter, Registry>,
    repeats: Repeats,
}

impl Log {
    /// Begins to write log lines of this level and above. Once a process.
    ///
    /// # Errors
    ///
    /// When there is no journal to write to.
    pub fn start(level: LevelFilter, format: Format) -> Result<Self> {
        let (level_filter, handle) = reload::Layer::new(level);
        let repeats = Repeats::default();
        let lines = match format {
            Format::Text if journal::is_stderr() => fmt::layer()
                .event_format(journal::Lines::new())
                .with_ansi(false)
                .with_writer(io::stderr)
                .boxed(),
            Format::Text => fmt::layer()
                .with_target(false)
                .with_ansi(io::stderr().is_terminal())
                .with_writer(io::stderr)
                .boxed(),
            Format::Json => fmt::layer().json().with_target(false).with_writer(io::stderr).boxed(),
            Format::Journald => tracing_journald::layer()
                .context("log format journald: there is no journal here")?
                .with_syslog_identifier("dhcp-observer".to_owned())
                .with_priority_mappings(journal::priorities())
                .boxed(),
        };
        tracing_subscriber::registry().with(level_filter).with(lines.with_filter(repeats.filter())).init();
        Ok(Self { level: handle, repeats })
    }

    /// From now on lines of this level and above.
    pub fn set_level(&self, level: LevelFilter) {
        // This fails when the log is gone, and then there is nobody to tell.
        let _ = self.level.modify(|current| *current = level);
    }

    /// What is known of lines that were left out.
    pub fn repeats(&self) -> &Repeats {
        &self.repeats
    }
}
