//! The hook script, looked at before anything is run: what is wrong with it, in one line each.

pub mod exposed;

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use exposed::Exposure;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use thiserror::Error;

/// The execute bit of the owner, which Kea asks for.
const OWNER_EXECUTE: u32 = 0o100;
/// As much of a `#!` line as the kernel reads.
const FIRST_LINE: u64 = 256;

/// A program that looked fit to be run as a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: CString,
    path: CString,
    warnings: Vec<ProgramWarning>,
}

impl Program {
    /// One that somebody else has looked at, who may see what we may not. A relative `path` begins at `cwd`.
    ///
    /// # Errors
    ///
    /// When the path cannot be given to the kernel.
    pub fn looked_at(path: &Path, cwd: &Path) -> Result<Self, ProgramError> {
        let string = |path: &Path| {
            CString::new(path.as_os_str().as_bytes()).map_err(|_| ProgramError::Path(path.to_owned()))
        };
        Ok(Self { name: string(path)?, path: string(&cwd.join(path))?, warnings: Vec::new() })
    }

    /// The name as it was given: the hook's argv\[0\].
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// The absolute path that is executed. Symbolic links in it are followed anew at every start.
    pub fn path(&self) -> &CStr {
        &self.path
    }

    /// Where somebody else could change it, when it runs as `user`; `None`: as us.
    pub fn exposures(&self, user: Option<u32>) -> Vec<Exposure> {
        exposed::exposures(Path::new(OsStr::from_bytes(self.path.to_bytes())), user)
    }

    /// What an administrator should know about it.
    pub fn warnings(&self) -> &[ProgramWarning] {
        &self.warnings
    }
}

/// Why a program cannot be a hook. Each message names the file and what to do.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The path cannot be given to the kernel.
    #[error("hook program {0:?}: an empty path, or one with a NUL octet, names no file")]
    Path(PathBuf),
    /// There is nothing there.
    #[error("hook program {0}: file not found; create it or correct the path")]
    NotFound(PathBuf),
    /// It cannot be looked at.
    #[error(
        "hook program {path}: cannot be looked at: {source}; check the permissions of the directories above it"
    )]
    Unreachable {
        /// Which program.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A directory, a device, a socket.
    #[error("hook program {path}: is {kind}, not a file; name the script itself")]
    NotAFile {
        /// Which program.
        path: PathBuf,
        /// What it is instead.
        kind: &'static str,
    },
    /// The owner's execute bit is not set: Kea refuses such a script too.
    #[error("hook program {0}: file not executable; run: chmod u+x {0}")]
    NotExecutable(PathBuf),
    /// The bit is set, but not for us.
    #[error(
        "hook program {path}: we may not execute it ({source}); check owner, group, mode and noexec mounts"
    )]
    NotForUs {
        /// Which program.
        path: PathBuf,
        /// What the kernel said.
        source: nix::Error,
    },
}

/// What is doubtful about a program. Each message names the file and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramWarning {
    /// We may execute it but not read it, and neither may its interpreter.
    NotReadable(PathBuf),
    /// Neither ELF nor `#!`: the kernel will most likely say ENOEXEC, and there is no shell to try instead.
    NoInterpreterLine(PathBuf),
    /// The `#!` line names something that is not there.
    NoInterpreter {
        /// Which program.
        path: PathBuf,
        /// What its first line names.
        interpreter: PathBuf,
    },
}

impl fmt::Display for ProgramWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReadable(path) => {
                write!(
                    f,
                    "hook program {}: we may not read it, so a script's interpreter may not either; \
                     grant read permission",
                    path.display()
                )
            }
            Self::NoInterpreterLine(path) => {
                write!(
                    f,
                    "hook program {}: has no #! line and is no ELF program, so it will not start (ENOEXEC); \
                     make #!/bin/sh its first line",
                    path.display()
                )
            }
            Self::NoInterpreter { path, interpreter } => {
                write!(
                    f,
                    "hook program {}: its #! line names {interpreter:?}, which does not exist",
                    path.display()
                )?;
                if interpreter.as_os_str().as_bytes().ends_with(b"\r") {
                    write!(f, "; its lines end in CR LF: convert them, for example with dos2unix")
                } else {
                    write!(f, "; install that or correct the line")
                }
            }
        }
    }
}

/// Looks at a hook program: a relative `path` begins at `cwd`, for good.
///
/// Permissions are those of the moment, so look again after giving up privileges. The script can still change
/// afterwards; then starting it fails, as it does in Kea.
///
/// # Errors
///
/// When the program could not possibly be started.
pub fn resolve_program(path: &Path, cwd: &Path) -> Result<Program, ProgramError> {
    let bad_path = || ProgramError::Path(path.to_owned());
    if path.as_os_str().is_empty() {
        return Err(bad_path());
    }
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| bad_path())?;
    let full = cwd.join(path);
    let full_name = CString::new(full.as_os_str().as_bytes()).map_err(|_| bad_path())?;

    let metadata = std::fs::metadata(&full).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ProgramError::NotFound(full.clone()),
        _ => ProgramError::Unreachable { path: full.clone(), source },
    })?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "a directory" } else { "a device, pipe or socket" };
        return Err(ProgramError::NotAFile { path: full, kind });
    }
    if metadata.mode() & OWNER_EXECUTE == 0 {
        return Err(ProgramError::NotExecutable(full));
    }
    // With the effective ids, which are the ones that execve will use.
    faccessat(AT_FDCWD, &full, AccessFlags::X_OK, AtFlags::AT_EACCESS)
        .map_err(|source| ProgramError::NotForUs { path: full.clone(), source })?;

    let warnings = doubtful_first_line(&full).into_iter().collect();
    Ok(Program { name, path: full_name, warnings })
}

fn doubtful_first_line(path: &Path) -> Option<ProgramWarning> {
    let mut first = Vec::new();
    if File::open(path).and_then(|file| file.take(FIRST_LINE).read_to_end(&mut first)).is_err() {
        return Some(ProgramWarning::NotReadable(path.to_owned()));
    }
    if first.starts_with(b"\x7fELF") {
        return None;
    }
    let Some(line) = first.strip_prefix(b"#!").and_then(|rest| rest.split(|&octet| octet == b'\n').next())
    else {
        return Some(ProgramWarning::NoInterpreterLine(path.to_owned()));
    };
    // The kernel separates at spaces and tabs only: a carriage return becomes part of the name.
    let mut words = line.split(|octet| matches!(octet, b' ' | b'\t')).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else {
        return Some(ProgramWarning::NoInterpreterLine(path.to_owned()));
    };
    let interpreter = Path::new(OsStr::from_bytes(interpreter));
    let missing = !interpreter.exists();
    missing
        .then(|| ProgramWarning::NoInterpreter { path: path.to_owned(), interpreter: interpreter.to_owned() })
}

#[cfg(test)]
mod tests;
