//! What holds in the end: the configuration file, and what the command line puts in its place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Error};
use tracing::level_filters::LevelFilter;

use super::{AttachArg, Cli, Kea, Live, Output, Replay};
use crate::capture::live::Attach;
use crate::config::file::{
    Config, DEFAULT_PATH, Daemon, Given, Hook, Interface, Problems, Server, Socket, Text,
};
use crate::control;
use crate::dialect::{self, DialectName};
use crate::dispatch::{Filter, Words};
use crate::hook::isolation::{StockScript, refuse_stock_script};
use crate::hook::spawner::Lost;
use crate::hook::{Credentials, Exposure, Program, ProgramError, Spec, resolve_program};

/// The name of the one hook of a command line.
const SCRIPT: &str = "script";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The command line cannot be.
    #[error(transparent)]
    Usage(#[from] Error),
    /// The file says something that cannot be.
    #[error(transparent)]
    File(#[from] Problems),
    /// The script of the command line cannot be run.
    #[error(transparent)]
    Script(#[from] ProgramError),
    /// The script of the command line must not be run here.
    #[error(transparent)]
    Stock(#[from] StockScript),
    /// Others could change the script of the command line.
    #[error("{}, or allow it with --allow-writable", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Exposed(Vec<Exposure>),
    /// Who was to read it has not.
    #[error(transparent)]
    Spawner(#[from] Lost),
    /// The working directory is gone.
    #[error("the working directory cannot be found out: {0}")]
    Directory(std::io::Error),
}

/// A command line that cannot be.
fn usage(kind: ErrorKind, message: &str) -> Error {
    Cli::command().error(kind, message)
}

impl Live {
    /// The configuration file to read, if any.
    ///
    /// # Errors
    ///
    /// When there is none and the command line does not say enough by itself.
    pub fn file(&self) -> Result<Option<PathBuf>, Error> {
        let has_output = self.output.script.is_some() || self.output.invocations;
        if let Some(path) = &self.config {
            return Ok(Some(path.clone()));
        }
        if self.iface.is_empty() && !has_output && Path::new(DEFAULT_PATH).exists() {
            return Ok(Some(DEFAULT_PATH.into()));
        }
        let missing = |what| Err(usage(ErrorKind::MissingRequiredArgument, what));
        if self.iface.is_empty() {
            return missing(
                "--iface NAME is missing: what to observe; or --config FILE, a configuration file",
            );
        }
        if !has_output {
            return missing(
                "--script PATH or --invocations is missing: what to do with events; or --config FILE",
            );
        }
        Ok(None)
    }

    /// What holds now: reads the file, if there is one, and puts in its place what the command line gives. Called again for
    /// every reload.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, or the first thing that is wrong with the command line.
    pub fn config(&self) -> Result<Config, MergeError> {
        self.config_of(self.text()?.as_ref(), false)
    }

    /// The configuration file as it is now, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or there is none and the command line does not say enough by itself.
    pub fn text(&self) -> Result<Option<Text>, MergeError> {
        Ok(self.file()?.map(|path| Text::read(&path)).transpose()?)
    }

    /// What holds with this file. `looked_at` says that everything which it names was looked at already, by who may see it.
    ///
    /// # Errors
    ///
    /// As [`Live::config`].
    pub fn config_of(&self, file: Option<&Text>, looked_at: bool) -> Result<Config, MergeError> {
        let given = Given { interface: !self.iface.is_empty(), hook: self.output.is_given(), looked_at };
        let mut config = match file {
            Some(Text { path, octets }) => Config::parse(path, octets, given)?,
            None => Config::default(),
        };
        if !self.iface.is_empty() {
            let interface = |name: &String| Interface { name: name.clone(), wait: false };
            config.interfaces = self.iface.iter().map(interface).collect();
        }
        if self.wait {
            config.interfaces.iter_mut().for_each(|interface| interface.wait = true);
        }
        let (capture, limits) = (&mut config.capture, &mut config.limits);
        capture.answers = self.answers.map_or(capture.answers, Into::into);
        capture.attach = self.attach.map_or(capture.attach, Into::into);
        capture.promiscuous |= self.promisc;
        capture.ebpf_log = self.ebpf_log.unwrap_or(capture.ebpf_log);
        limits.ring_size = self.ring_size.unwrap_or(limits.ring_size);
        limits.max_hooks = self.max_hooks.map_or(limits.max_hooks, usize::from);
        limits.max_queue = self.max_queue.map_or(limits.max_queue, |number| number as usize);
        config.log.level = config.log.level.max(match self.verbose {
            0 => LevelFilter::OFF,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        });
        if let Some(path) = &self.control {
            let is_none = path.as_os_str() == "none";
            config.control.socket = if is_none { Socket::None } else { Socket::At(path.clone()) };
        }
        if let Some(name) = &self.control_group {
            let unknown =
                || usage(ErrorKind::ValueValidation, &format!("--control-group: there is no group {name:?}"));
            config.control.group = Some(control::group(name).ok_or_else(unknown)?);
        }
        config.control.metrics = self.metrics.or(config.control.metrics);
        self.pins.apply(&mut config.pins);
        self.state.apply(&mut config.store);
        self.daemon(&mut config.daemon)?;
        if self.output.invocations {
            // Who only looks takes nothing from the daemon.
            config.store.directory = None;
        }
        self.network.apply(&mut config.network);
        self.kea.apply(&mut config);
        self.output.apply(&mut config, self.hook_timeout, self.hook_retries, looked_at)?;
        if self.user.is_some() {
            config.warn_of_shared_users();
        }
        config.warn_of_unheard_words();
        Ok(config)
    }

    fn daemon(&self, daemon: &mut Daemon) -> Result<(), Error> {
        let Some(user) = &self.user else { return Ok(()) };
        let found = Credentials::look_up(Some(user), self.group.as_deref());
        let wrong = |error| usage(ErrorKind::ValueValidation, &format!("--user, --group: {error}"));
        daemon.run_as = Some(found.map_err(wrong)?);
        Ok(())
    }
}

impl Replay {
    /// The same for a replay. Without a file nothing that live observation limits is limited: a file can wait.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, or the first thing that is wrong with the command line.
    pub fn config(&self) -> Result<Config, MergeError> {
        let mut config = match &self.config {
            Some(path) => {
                Config::read(path, Given { interface: true, hook: self.output.is_given(), looked_at: false })?
            }
            None if self.output.is_given() => Config::default(),
            None => {
                let what =
                    "--script PATH or --invocations is missing: what to do with events; or --config FILE";
                return Err(usage(ErrorKind::MissingRequiredArgument, what).into());
            }
        };
        self.network.apply(&mut config.network);
        self.kea.apply(&mut config);
        self.output.apply(&mut config, None, None, false)?;
        config.warn_of_unheard_words();
        Ok(config)
    }
}

impl Kea {
    fn apply(&self, config: &mut Config) {
        let Server { kea_config, kea_version, hostname, seed } = &mut config.server;
        if !self.kea_config.is_empty() {
            kea_config.clone_from(&self.kea_config);
        }
        if !self.seed.is_empty() {
            seed.clone_from(&self.seed);
        }
        *kea_version = self.kea_version.map_or(*kea_version, Into::into);
        *hostname = self.hostname.map(Into::into).or(*hostname);
        let version = *kea_version;
        config.hooks.iter_mut().for_each(|hook| hook.options.version = version);
    }
}

impl Output {
    /// Whether the command line says by itself what is done with events.
    fn is_given(&self) -> bool {
        self.script.is_some() || self.invocations
    }

    /// Adds the one hook of the command line. A file that has hooks of its own goes before and admits no other: which of the
    /// two somebody meant cannot be known.
    fn apply(
        &self,
        config: &mut Config,
        timeout: Option<Duration>,
        retries: Option<u32>,
        looked_at: bool,
    ) -> Result<(), MergeError> {
        let has_hooks = !config.hooks.is_empty();
        if has_hooks || self.script.is_none() {
            let conflicts = [
                ("--script", self.script.is_some()),
                ("--dialect", self.dialect.is_some() && (has_hooks || !self.invocations)),
                ("--hook-timeout", timeout.is_some() && has_hooks),
                ("--hook-retries", retries.is_some() && has_hooks),
            ];
            if let Some((flag, _)) = conflicts.iter().find(|(_, is_given)| *is_given) {
                let message = format!(
                    "{flag} is about the one hook of a command line, but the configuration file has hooks of its own: \
                     leave it out, or say it in the file"
                );
                return Err(usage(ErrorKind::ArgumentConflict, &message).into());
            }
        }
        if has_hooks {
            return Ok(());
        }
        let mut spec = None;
        if let Some(script) = &self.script {
            let cwd = std::env::current_dir().map_err(MergeError::Directory)?;
            let program = if looked_at {
                Program::looked_at(script, &cwd)?
            } else {
                self.look_at(script, &cwd, &mut config.warnings)?
            };
            // Exactly as Kea runs its script: nothing is added to its environment.
            let mut whole = Spec::new(SCRIPT, program);
            let dialect = self.dialect.map_or(DialectName::default(), Into::into);
            whole.output = dialect.output();
            whole.limits.max_parallel = dialect.max_parallel().unwrap_or(whole.limits.max_parallel);
            whole.limits.timeout = timeout.or(whole.limits.timeout);
            whole.limits.retries = retries.unwrap_or(whole.limits.retries);
            spec = Some(whole);
        }
        config.hooks.push(Hook {
            name: SCRIPT.to_owned(),
            dialect: self.dialect.map_or(DialectName::default(), Into::into),
            options: dialect::Options { version: config.server.kea_version, ..dialect::Options::default() },
            filter: Filter::default(),
            words: Words::default(),
            on_change: false,
            replay_on_start: false,
            spec,
        });
        Ok(())
    }
}

impl Output {
    /// The script, if it may be run.
    fn look_at(&self, script: &Path, cwd: &Path, warnings: &mut Vec<String>) -> Result<Program, MergeError> {
        let program = resolve_program(script, cwd)?;
        refuse_stock_script(&cwd.join(script))?;
        warnings.extend(program.warnings().iter().map(ToString::to_string));
        let exposures = program.exposures(None);
        if !self.allow_writable && !exposures.is_empty() {
            return Err(MergeError::Exposed(exposures));
        }
        warnings.extend(exposures.iter().map(ToString::to_string));
        Ok(program)
    }
}

impl From<AttachArg> for Attach {
    fn from(argument: AttachArg) -> Self {
        match argument {
            AttachArg::Tc => Self::Tc,
            AttachArg::Clsact => Self::Clsact,
            AttachArg::Xdp => Self::Xdp,
        }
    }
}
