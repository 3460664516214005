//! The scripts of `scripts/`, configured and run as a hook would be, and the real programs that they talk to.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::netns::Namespace;
use crate::observer::binary;

pub mod hostile;
pub mod http;
pub mod named;
pub mod netbox;

/// Where the shipped scripts are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts")
}

/// One of the shipped scripts with a configuration of its own.
#[derive(Clone, Debug)]
pub struct Script {
    namespace: Namespace,
    directory: PathBuf,
    hook: PathBuf,
}

impl Script {
    /// Puts the script called `name`, which will run in `namespace`, into `directory`, with the text of its configuration.
    ///
    /// Links, not files: what another thread's fork still holds open for writing cannot be executed.
    pub fn install(namespace: &Namespace, directory: &Path, name: &str, configuration: &str) -> Result<Self> {
        let scripts = directory.join("scripts");
        if !scripts.exists() {
            symlink(self::directory(), &scripts).with_context(|| scripts.display().to_string())?;
        }
        let hook = directory.join(name);
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/configured"), &hook)
            .with_context(|| hook.display().to_string())?;
        let file = directory.join(format!("{name}.conf"));
        std::fs::write(&file, configuration).with_context(|| file.display().to_string())?;
        Ok(Self { namespace: namespace.clone(), directory: directory.to_owned(), hook })
    }

    /// Runs a capture through `dhcp-observer replay` with the script as its hook; every call must have succeeded. Returns
    /// what the calls wrote to their standard output.
    pub fn replay(&self, capture: &Path, more: &[&str]) -> Result<Vec<u8>> {
        let binary = binary()?;
        let mut command = self.namespace.command(binary.to_str().context("a path that is not UTF-8")?);
        command.arg("replay").arg(capture).arg("--script").arg(&self.hook).arg("--allow-writable");
        // The links lead into the working tree, which may be anybody's.
        command.args(more);
        let output = command.current_dir(&self.directory).output().context("cannot start the observer")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "replay: {}: {stderr}", output.status);
        let hooks =
            stderr.lines().rev().find(|line| line.contains("hooks: ")).context("no line of totals")?;
        let count = |name: &str| {
            let mut words = hooks.split_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok())
        };
        let started = count("started").context("no count of hooks")?;
        ensure!(started > 0 && count("succeeded") == Some(started), "{stderr}");
        Ok(output.stdout)
    }

    /// Calls it once, as a hook is called, with nothing but these variables.
    pub fn call<V: AsRef<OsStr>>(&self, hook_point: &str, environment: &[(&str, V)]) -> Result<Output> {
        let mut command = self.namespace.command(self.hook.to_str().context("a path that is not UTF-8")?);
        command.arg(hook_point).env_clear().current_dir(&self.directory);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.output().with_context(|| format!("cannot start {command:?}"))
    }

    /// The same, and it must succeed. Returns its standard output.
    pub fn succeed<V: AsRef<OsStr>>(&self, hook_point: &str, environment: &[(&str, V)]) -> Result<String> {
        let output = self.call(hook_point, environment)?;
        ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Runs a command to its end, which must be a success, and returns what it printed.
pub fn printed(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {stderr}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
