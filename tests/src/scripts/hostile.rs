//! Host names that want to be something else: commands, lines, fields, records, paths.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What the names try to run. `canary` is a command in the PATH of [`Cage`].
const ATTEMPTS: &[&[u8]] = &[
    b"$(canary)",
    b"`canary`",
    b"; canary ;",
    b"| canary",
    b"& canary &",
    b"\ncanary\n",
    b"\r\ncanary\r\n",
    b"x\" ; canary ; \"",
    b"x' ; canary ; '",
    b"x\\\" ; canary ; \\\"",
    b"x\\",
    b"${x:=$(canary)}",
    b"${IFS}canary",
    b"a[$(canary)]",
    b"$((a[$(canary)]))",
    b"<(canary)",
    b">canary",
    b">>sang",
    b"#canary",
    b"%s%s%s%n",
    b"%1$s%c%d",
    b"\\x24(canary)\\0044(canary)",
    b"-x",
    b"--help",
    b"-e canary",
    b"--config=canary",
    b"@canary",
    b"@/etc/passwd",
    b"../../../../etc/passwd",
    b"/etc/passwd",
    b"~root",
    b"*",
    b"?",
    b"[a-z]*",
    b"{a,b,c}",
    b"/*",
    b"a b  c",
    b"\t\ta\tb",
    b"!!",
    b"!canary",
    b"\x1b[2J\x1b[31mred\x1b]0;title\x07",
    b"\x1b]8;;http://x\x07y",
    b"\x07\x08\x7f\x0b\x0c",
    b"\n",
    b"\n\n\n",
    b"\r",
    b"\"",
    b"'",
    b"\\",
    b"{\"a\": 1}",
    b"\",\"admin\":true,\"x\":\"",
    b"\\u0000",
    b"\\u0022,\\u0022",
    b"null",
    b"\xe2\x80\xae\xe2\x80\xa8\xef\xbb\xbf",
    b"\xf0\x9f\x92\xa9.example",
    b"\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf",
    b"\xed\xa0\x80\xf4\x90\x80\x80\xff\xfe",
    b"\xe2\x82 \xf0\x9f\x92 \xe2",
    b"caf\xe9",
    b"\x81\x82\x83\x84\x85\x86\x87\x88",
    b"www\nsend\nupdate add evil.example.com. 60 A 192.0.2.66\nsend\n",
    b"www. 60 A 192.0.2.66\n",
    b"x.example.com. 60 TXT canary",
    b"www",
    b"www.example.com.",
    b"evil.example.org.",
    b"*.example.com.",
    b"_ldap._tcp",
    b"ns\\.x",
    b"\\000\\255",
    b"$INCLUDE /etc/passwd",
    b"-",
    b"--",
    b"-a-",
    b".",
    b"..",
    b"a..b",
    b".x",
    b"} ; add element inet dhcp leased4 { 203.0.113.66",
    b"203.0.113.66 }\nadd element inet dhcp leased4 { 203.0.113.67 }\n",
    b"include \"/etc/passwd\"",
    b"url = http://127.0.0.1:1/\nheader = \"X: y\"",
    b"Subject: x\nBcc: all@example.com\n\n.\n",
    b"true",
    b"BEGIN{system(\"canary\")}",
    b"x\"; system(\"canary\"); \"",
    b"&canary; \\1 \\&",
    b"<script>alert(1)</script>",
    b"' OR 1=1 --",
    b"0x41",
    b"1e3",
    b"9999999999999999999999",
    b"=cmd|' /C calc'!A0",
    b"IFS=x PATH=. canary",
    b"LD_PRELOAD=canary.so",
    b"HOOK_CONFIG=canary",
    b"EOF\ncanary\nEOF\n",
    b"TOKEN\ncanary\n",
];

/// So many names, the same each time: attempts as they are, attempts mixed with each other and with noise, and noise alone,
/// up to 255 octets long. Some are empty, some have NUL octets.
pub fn names(count: usize) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = vec![Vec::new(), b"\0".to_vec(), b"\0canary".to_vec(), vec![b'a'; 255]];
    names.extend(ATTEMPTS.iter().map(|attempt| attempt.to_vec()));
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    while names.len() < count {
        let mut name = Vec::new();
        let length = 1 + noise.below(255);
        while name.len() < length {
            match noise.below(4) {
                0 => name.push(noise.below(256) as u8),
                1 => name.extend((0..noise.below(9)).map(|_| b"abcxyz-.019"[noise.below(11)])),
                _ => name.extend(ATTEMPTS[noise.below(ATTEMPTS.len())]),
            }
        }
        name.truncate(length);
        names.push(name);
    }
    names.truncate(count);
    names
}

/// What a hook gets of a name that stands in option 12 of the server's answer: trailing blanks and NUL octets go, as in
/// Kea, an environment string ends at the first NUL, and letters are small.
pub fn as_hooks_get_it(name: &[u8]) -> Vec<u8> {
    let name = name.trim_ascii_end();
    let end = name.iter().position(|&octet| octet == 0).unwrap_or(name.len());
    name.get(..end).unwrap_or_default().to_ascii_lowercase()
}

/// A source of numbers that look random and never change (xorshift64).
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// A directory for PATH with the command that names try to run, and everything that can be looked at afterwards.
#[derive(Debug)]
pub struct Cage {
    bin: PathBuf,
    directory: PathBuf,
    before: Vec<String>,
}

impl Cage {
    /// Puts one into `directory`.
    pub fn new(directory: &Path) -> Result<Self> {
        let bin = directory.join("bin");
        std::fs::create_dir(&bin).with_context(|| bin.display().to_string())?;
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/canary"), bin.join("canary"))?;
        Ok(Self { bin, directory: directory.to_owned(), before: Vec::new() })
    }

    /// The line of a script's configuration by which `canary` is a command for it.
    pub fn configuration(&self) -> String {
        format!("PATH={}:$PATH\n", self.bin.display())
    }

    /// Remembers which files there are.
    pub fn close(&mut self) -> Result<()> {
        self.before = self.files()?;
        Ok(())
    }

    /// Checks that the canary did not sing, and that there are no other files than before and these.
    pub fn check(&self, expected: &[&str]) -> Result<()> {
        anyhow::ensure!(!self.bin.join("sang").exists(), "a host name was executed");
        let new: Vec<String> = self
            .files()?
            .into_iter()
            .filter(|file| !self.before.contains(file) && !expected.contains(&file.as_str()))
            .collect();
        anyhow::ensure!(new.is_empty(), "a host name made files: {new:?}");
        Ok(())
    }

    fn files(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for directory in [&self.directory, &self.bin] {
            for entry in std::fs::read_dir(directory)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_many_and_fit_an_option() {
        let names = names(1_000);
        assert_eq!(names.len(), 1_000);
        assert!(names.iter().all(|name| name.len() <= 255));
        assert!(names.iter().filter(|name| name.len() == 255).count() > 1);
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert!(distinct.len() > 990);
        assert_eq!(as_hooks_get_it(b"A\n b\0c \n"), b"a\n b");
    }
}
