//! The machine's file system: a cpio archive in the format "newc" (the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`), which the kernel unpacks into memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_000;

/// Files by their paths inside, without a slash at the front.
#[derive(Default)]
pub struct Initramfs {
    entries: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Initramfs {
    /// Adds a file, and the directories that it is in.
    pub fn add(&mut self, path: &str, permissions: u32, content: &[u8]) {
        for (slash, _) in path.match_indices('/') {
            self.entries.insert(path[..slash].to_owned(), (DIRECTORY, Vec::new()));
        }
        self.entries.insert(path.to_owned(), (FILE | permissions, content.to_vec()));
    }

    /// Adds a file of the host.
    pub fn add_file(&mut self, path: &str, permissions: u32, file: &Path) -> Result<()> {
        let content = fs::read(file).with_context(|| file.display().to_string())?;
        self.add(path, permissions, &content);
        Ok(())
    }

    /// Adds a program of the host, with the libraries that it is linked to, at the host's paths.
    pub fn add_program(&mut self, path: &str, file: &Path) -> Result<()> {
        self.add_file(path, 0o755, file)?;
        let output = Command::new("ldd").arg(file).output().context("cannot run ldd")?;
        // It fails for a program that is linked to nothing.
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("not found") {
            bail!("{}: {text}", file.display());
        }
        for library in text.split_whitespace().filter_map(|word| word.strip_prefix('/')) {
            self.add_file(library, 0o755, &Path::new("/").join(library))?;
        }
        Ok(())
    }

    /// Adds a directory of the host and all in it, at the host's path.
    pub fn add_tree(&mut self, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                self.add_tree(&path)?;
            } else {
                let inside = path.to_str().context("a path that is not UTF-8")?.trim_start_matches('/');
                self.add_file(inside, 0o644, &path)?;
            }
        }
        Ok(())
    }

    /// Writes the archive.
    pub fn write_to(&self, file: &Path) -> Result<()> {
        fs::write(file, self.archive()).with_context(|| file.display().to_string())
    }

    fn archive(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        // In the order of paths a directory comes before what is in it.
        for (number, (path, (mode, content))) in self.entries.iter().enumerate() {
            member(&mut archive, number + 1, path, *mode, content);
        }
        member(&mut archive, 0, "TRAILER!!!", 0, &[]);
        archive
    }
}

/// Appends one member: a header of hexadecimal numbers, the name with its NUL, the content, each filled up to four.
fn member(archive: &mut Vec<u8>, number: usize, name: &str, mode: u32, content: &[u8]) {
    let (owner, group, links, modified, major, minor, checksum) = (0, 0, 1, 0, 0, 0, 0);
    let (length, name_length) = (content.len(), name.len() + 1);
    let header = [number, mode as usize, owner, group, links, modified, length];
    let header = header.into_iter().chain([major, minor, major, minor, name_length, checksum]);
    archive.extend_from_slice(b"070701");
    for field in header {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_what_the_kernel_expects() {
        let mut image = Initramfs::default();
        image.add("bin/sh", 0o755, b"hello");
        let archive = image.archive();
        let text = String::from_utf8_lossy(&archive);
        let zeros = |count: usize| "00000000".repeat(count);
        let directory =
            format!("07070100000001000041ed{}00000001{}00000004{}bin\0\0\0", zeros(2), zeros(6), zeros(1));
        let file = format!(
            "07070100000002000081ed{}00000001{}00000005{}00000007{}bin/sh\0\0\0\0hello\0\0\0",
            zeros(2),
            zeros(1),
            zeros(4),
            zeros(1)
        );
        assert!(text.starts_with(&(directory + &file)), "{text:?}");
        assert!(text.contains("TRAILER!!!\0") && archive.len() % 4 == 0, "{text:?}");
    }
}
