//! A hook program that writes down how it was called.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::call::{Call, read_calls};
use crate::wait;

/// The file beside the program to which it appends one JSON line a call.
pub const CALLS: &str = "calls.jsonl";

/// A dumping hook in a directory of its own.
///
/// The program may not read any variable or argument to learn where to write, because both belong to the server that
/// is being tested: it writes beside the path by which it was called.
#[derive(Debug)]
pub struct DumpHook {
    script: PathBuf,
}

impl DumpHook {
    /// Puts one into `directory`.
    ///
    /// It is a copy, because the observer refuses a program in a tree that belongs to somebody else, as a working tree does on
    /// most machines. Another process makes it: a file that a fork of our own still holds open for writing cannot be executed.
    pub fn install(directory: &Path) -> Result<Self> {
        let script = directory.join("hook");
        let mut copy = Command::new("cp");
        // No options: the one of busybox, in the machine of `xtask vm`, knows few.
        copy.arg(program()?).arg(&script);
        ensure!(copy.status().context("cannot start cp")?.success(), "no copy at {}", script.display());
        std::fs::set_permissions(&script, Permissions::from_mode(0o755))
            .with_context(|| script.display().to_string())?;
        Ok(Self { script })
    }

    /// The absolute path of the program.
    pub fn script(&self) -> &Path {
        &self.script
    }

    /// The calls so far, in the order in which they were written.
    pub fn calls(&self) -> Result<Vec<Call>> {
        read_calls(&self.script.with_file_name(CALLS))
    }

    /// Waits until there are `count` calls or more and returns them all.
    pub fn wait_for(&self, count: usize, within: Duration) -> Result<Vec<Call>> {
        let mut last = Vec::new();
        let enough = wait::until(&format!("{count} hook calls"), within, || {
            last = self.calls()?;
            Ok((last.len() >= count).then_some(()))
        });
        enough.with_context(|| format!("there were {}: {:?}", last.len(), hooks(&last)))?;
        Ok(last)
    }

    /// Waits until a call fits `wanted`.
    pub fn wait_for_call(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Call) -> bool,
    ) -> Result<Call> {
        wait::until(what, within, || Ok(self.calls()?.into_iter().find(&wanted)))
            .with_context(|| format!("there were {:?}", self.calls().map(|calls| hooks(&calls).join(" "))))
    }
}

fn hooks(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|call| call.hook().to_owned()).collect()
}

/// The `dump-hook` program, which cargo builds before it runs this package's integration tests.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("current_exe")?;
    let beside = own.ancestors().skip(1).take(2).map(|directory| directory.join("dump-hook"));
    match beside.into_iter().find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => bail!("dump-hook is not beside {}: run the tests through cargo", own.display()),
    }
}
