//! A long-running program with everything of its own: its namespace, its files, and where it insists on fixed paths,
//! those too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::netns::Namespace;
use crate::process::Process;

/// How long a program may take until it says that it is ready, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// How to start a program, so that it can be started again.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The program's name.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What it writes to its log once it is ready.
    pub ready: &'static str,
    /// Directories that it uses whatever it is told; it gets empty ones of its own, in a mount namespace of its own, and
    /// a process namespace too: what keeps fixed paths also keeps process ids there.
    pub private: &'static [&'static str],
    /// A shell command that fills them.
    pub prepare: &'static str,
}

impl Recipe {
    /// A program with these arguments, ready when it has logged `ready`.
    pub fn new(program: &'static str, arguments: &[&str], ready: &'static str) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { program, arguments, ready, private: &[], prepare: ":" }
    }

    /// The same with directories of its own.
    pub fn private(self, private: &'static [&'static str]) -> Self {
        Self { private, ..self }
    }

    /// The same with something in these directories.
    pub fn prepare(self, prepare: &'static str) -> Self {
        Self { prepare, ..self }
    }

    /// The command, in `namespace`.
    fn command(&self, namespace: &Namespace) -> Command {
        if self.private.is_empty() {
            let mut command = namespace.command(self.program);
            command.args(&self.arguments);
            return command;
        }
        let mounts: Vec<String> = self
            .private
            .iter()
            .map(|path| format!("mkdir -p {path} && mount -t tmpfs -o mode=755 tmpfs {path} && "))
            .collect();
        let mut command = namespace.command("unshare");
        // It is the first process of its own, so that all that it starts ends with it.
        command.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            &format!("{}{} && exec \"$0\" \"$@\"", mounts.concat(), self.prepare),
            self.program,
        ]);
        command.args(&self.arguments);
        command
    }
}

/// A running program that can be ended and started again.
#[derive(Debug)]
pub struct Service {
    recipe: Recipe,
    namespace: Namespace,
    directory: PathBuf,
    process: Option<Process>,
    starts: u32,
}

impl Service {
    /// Starts one, with its log in `directory`, and waits until it is ready.
    pub fn start(namespace: &Namespace, directory: &Path, recipe: Recipe) -> Result<Self> {
        let (namespace, directory) = (namespace.clone(), directory.to_owned());
        let mut service = Self { recipe, namespace, directory, process: None, starts: 0 };
        service.start_again()?;
        Ok(service)
    }

    /// Starts it when it does not run, and waits until it is ready.
    pub fn start_again(&mut self) -> Result<()> {
        self.starts += 1;
        let name = format!("{}-{}", self.recipe.program, self.starts);
        let mut command = self.recipe.command(&self.namespace);
        command.current_dir(&self.directory);
        let mut process = Process::start(&name, command, &self.directory)?;
        process.wait_for_log(self.recipe.ready, PATIENCE)?;
        self.process = Some(process);
        Ok(())
    }

    /// Waits until it has written `text` to its log since it was started.
    pub fn wait_for_log(&mut self, text: &str, within: Duration) -> Result<()> {
        self.running()?.wait_for_log(text, within)
    }

    /// Ends it with SIGTERM.
    pub fn stop(&mut self) -> Result<()> {
        self.end(Signal::SIGTERM)
    }

    /// What it has written since it was started.
    pub fn log(&self) -> String {
        self.process.as_ref().map(|process| process.stdout() + &process.stderr()).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.running()?;
        kill(self.pid()?, signal).with_context(|| format!("cannot send {signal} to {}", self.recipe.program))
    }

    /// Sends it this signal and waits until it has ended.
    pub fn end(&mut self, signal: Signal) -> Result<()> {
        self.signal(signal)?;
        let mut process =
            self.process.take().with_context(|| format!("{} does not run", self.recipe.program))?;
        process.wait(PATIENCE)?;
        Ok(())
    }

    /// The program's own process: behind `unshare` where it has namespaces of its own.
    fn pid(&mut self) -> Result<Pid> {
        let started = self.running()?.pid();
        if self.recipe.private.is_empty() {
            return Ok(Pid::from_raw(i32::try_from(started)?));
        }
        let file = format!("/proc/{started}/task/{started}/children");
        let children = std::fs::read_to_string(&file).context(file)?;
        let child = children.split_whitespace().next().context("unshare has no child")?;
        Ok(Pid::from_raw(child.parse()?))
    }

    fn running(&mut self) -> Result<&mut Process> {
        self.process.as_mut().with_context(|| format!("{} does not run", self.recipe.program))
    }
}

impl Drop for Service {
    /// Ends it and waits: behind `unshare` the end of the first process is the end of all, with the ports that they hold.
    fn drop(&mut self) {
        if self.process.is_some() {
            // It may have ended by itself.
            let _ = self.end(Signal::SIGKILL);
        }
    }
}

/// Writes a file of a program's own and gives its path.
pub fn write(directory: &Path, name: &str, text: &str) -> Result<String> {
    let path = directory.join(name);
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path.to_str().context("a path that is not UTF-8")?.to_owned())
}

/// Writes a script that can be executed and gives its path.
pub fn write_script(directory: &Path, name: &str, text: &str) -> Result<String> {
    use std::os::unix::fs::PermissionsExt;
    let new = write(directory, &format!("{name}.new"), text)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).context("chmod")?;
    // What runs cannot be written, but it can be replaced.
    let path = directory.join(name);
    std::fs::rename(&new, &path).with_context(|| path.display().to_string())?;
    Ok(path.to_str().context("a path that is not UTF-8")?.to_owned())
}
