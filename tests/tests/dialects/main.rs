//! Programs after the public contracts of the dialects, run as hooks of the observer, each judged by what it has done.

mod eventhook;
mod hostile;
mod kea_style;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Puts one of the programs of `tests/hooks` into a directory, where it keeps its files. A link: a copy that another thread's
/// fork still holds open for writing cannot be executed.
fn install(directory: &Path, name: &str) -> PathBuf {
    let program = directory.join(name);
    symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks").join(name), &program).unwrap();
    program
}
