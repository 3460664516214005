//! What a test needs of the machine: skip on a laptop, fail in CI.

use std::io::Write;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::netns::Namespace;

/// Something that a machine may lack.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// The right to make network namespaces and to put interfaces into them.
    Root,
    /// A program, by its name.
    Program(&'static str),
    /// A file, by its path.
    File(&'static str),
}

impl Need {
    /// Why this machine cannot give it, if it cannot.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Root if !geteuid().is_root() => Some("needs root".to_owned()),
            Self::Root => Namespace::new().err().map(|error| format!("needs network namespaces: {error:#}")),
            Self::Program(name) if find_program(name).is_none() => Some(format!("needs the program {name}")),
            Self::File(path) if !Path::new(path).is_file() => Some(format!("needs {path}")),
            Self::Program(_) | Self::File(_) => None,
        }
    }
}

/// Where a program is: in PATH or in one of the directories for system programs.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// The first missing thing of `needs`; panics instead of returning it where `CI` is set.
pub fn missing(needs: &[Need]) -> Option<String> {
    let reason = needs.iter().find_map(|need| need.missing())?;
    assert!(std::env::var_os("CI").is_none(), "CI must be able to run this test: {reason}");
    skipped(&reason);
    Some(reason)
}

/// Says on the real stderr, around the capture of the test runner, that the present test is skipped.
pub fn skipped(reason: &str) {
    let thread = std::thread::current();
    // A closed stderr is no reason to fail: the test is skipped either way.
    let _ = writeln!(std::io::stderr(), "SKIPPED {}: {reason}", thread.name().unwrap_or("test"));
}

/// Leaves the test when the machine lacks something: `require!(Need::Root, Need::Program("kea-dhcp4"));`
#[macro_export]
macro_rules! require {
    ($($need:expr),+ $(,)?) => {
        if $crate::need::missing(&[$($need),+]).is_some() {
            return;
        }
    };
}
