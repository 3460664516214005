//! What is done with events: a hook is started for each, or each call is printed.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tracing::warn;

use crate::clock::Clock;
use crate::config::KeaVersion;
use crate::dialect;
use crate::hook::{Call, Hooks, LaneLimits, Limits, Progress, Spec, resolve_program};
use crate::render;
use crate::tracker::{LeaseEvent, Subject};

/// The receiving end of the events.
#[derive(Debug)]
pub struct Delivery {
    version: KeaVersion,
    outlet: Outlet,
}

#[derive(Debug)]
enum Outlet {
    /// Each event starts a hook. The tag is the number of the event.
    Hooks(Box<Hooks<Subject, u64>>),
    /// Each event is a line of JSON on standard output.
    Print(BufWriter<Stdout>),
}

impl Delivery {
    /// Starts this script for every event. A relative path is resolved now; what is wrong with the file is said now.
    ///
    /// # Errors
    ///
    /// When the script cannot be a hook: missing, a directory, not executable.
    pub fn to_script(
        script: &Path,
        version: KeaVersion,
        limits: Limits,
        lane_limits: LaneLimits,
        clock: Clock,
    ) -> Result<Self> {
        let cwd = std::env::current_dir().context("the working directory cannot be found out")?;
        let program = resolve_program(script, &cwd)?;
        for warning in program.warnings() {
            warn!("{warning}");
        }
        let spec = Spec { limits: lane_limits, ..Spec::new("script", program) };
        let hooks = Hooks::new(vec![spec], limits, clock).context("hooks cannot be run")?;
        Ok(Self { version, outlet: Outlet::Hooks(Box::new(hooks)) })
    }

    /// Prints the call that would be made for every event.
    pub fn to_stdout(version: KeaVersion) -> Self {
        Self { version, outlet: Outlet::Print(BufWriter::new(io::stdout())) }
    }

    /// Takes in one event, numbered by the caller. A hook that finds the queue full is dropped and counted by
    /// [`Hooks::counters`].
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn deliver(&mut self, number: u64, event: &LeaseEvent) -> io::Result<()> {
        let invocation = dialect::kea::invocation(event, self.version);
        match &mut self.outlet {
            Outlet::Hooks(hooks) => {
                // The queue counts what it refuses, and the owner of the loop says so.
                let call = Call {
                    hook: 0,
                    subjects: event.subjects(),
                    tag: number,
                    earlier_attempts: 0,
                    invocation: Arc::new(invocation),
                };
                let _refused = hooks.submit(event.at, number, [call]);
                Ok(())
            }
            Outlet::Print(out) => writeln!(out, "{}", render::invocation_json(&invocation)),
        }
    }

    /// Writes out what was printed so far.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.outlet {
            Outlet::Hooks(_) => Ok(()),
            Outlet::Print(out) => out.flush(),
        }
    }

    /// The next thing that happened to a hook; never, where there are none.
    pub async fn progress(&mut self) -> Progress<u64> {
        match &mut self.outlet {
            Outlet::Hooks(hooks) => hooks.progress().await,
            Outlet::Print(_) => std::future::pending().await,
        }
    }

    /// The hooks, where there are any.
    pub fn hooks(&mut self) -> Option<&mut Hooks<Subject, u64>> {
        match &mut self.outlet {
            Outlet::Hooks(hooks) => Some(hooks),
            Outlet::Print(_) => None,
        }
    }
}
