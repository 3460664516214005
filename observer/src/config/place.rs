//! Where in which file something stands, and what is wrong with it there.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A position in a configuration file. Displayed as `kea.conf:12:5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named on the command line or in the `<?include?>` directive.
    pub file: Arc<Path>,
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

impl Place {
    /// The error "at this place: `problem`".
    pub(super) fn wrong(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::Invalid { place: self.clone(), problem: problem.into() }
    }
}

/// Why a configuration file cannot be used. Displayed as one line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read at all.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// The file as it was named.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file says something that has no meaning.
    #[error("{place}: {problem}")]
    Invalid {
        /// Where it says so, which may be in an included file.
        place: Place,
        /// What was found and what was expected.
        problem: String,
    },
}
