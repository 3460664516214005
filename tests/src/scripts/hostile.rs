//! Host names that want to be something else: commands, lines, fields, records, paths.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::client::{message4, message6};

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

/// Where a name stands, and how it is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Option 12 of the answer.
    HostName,
    /// Option 81 (RFC 4702) of the answer, in the old form: ASCII.
    Ascii,
    /// The same in labels.
    Labels,
    /// The same without the root: a partial name.
    Partial,
    /// Option 81 of the question, in ASCII, where the answer has no name.
    OwnAscii,
    /// The same in labels.
    OwnLabels,
    /// Option 39 (RFC 4704) of the Reply, which has labels only.
    Labels6,
    /// The same without the root.
    Partial6,
}

impl Form {
    /// All but option 12.
    pub const QUALIFIED: [Self; 7] = [
        Self::Ascii,
        Self::Labels,
        Self::Partial,
        Self::OwnAscii,
        Self::OwnLabels,
        Self::Labels6,
        Self::Partial6,
    ];

    /// Whether it is DHCPv6.
    pub fn is_v6(self) -> bool {
        matches!(self, Self::Labels6 | Self::Partial6)
    }

    /// Whether it is the client's own word.
    pub fn is_own(self) -> bool {
        matches!(self, Self::OwnAscii | Self::OwnLabels)
    }

    /// Code and value of the option. Names of more than 63 octets become several labels.
    pub fn option(self, name: &[u8]) -> (u8, Vec<u8>) {
        let labels = |flags: &[u8], root: &[u8]| {
            let labels = name.chunks(63).flat_map(|label| [&[label.len() as u8], label].concat());
            flags.iter().copied().chain(labels).chain(root.iter().copied()).collect()
        };
        match self {
            Self::HostName => (message4::option::HOST_NAME, name.to_vec()),
            Self::Ascii | Self::OwnAscii => (message4::option::FQDN, [&[0, 0, 0], name].concat()),
            Self::Labels | Self::OwnLabels => (message4::option::FQDN, labels(&[4, 0, 0], &[0])),
            Self::Partial => (message4::option::FQDN, labels(&[4, 0, 0], &[])),
            Self::Labels6 => (OPTION_CLIENT_FQDN, labels(&[0], &[0])),
            Self::Partial6 => (OPTION_CLIENT_FQDN, labels(&[0], &[])),
        }
    }

    /// What a hook gets of it, as `scripts/README.md` says.
    pub fn as_hooks_get_it(self, name: &[u8]) -> Vec<u8> {
        let clean = |text: &[u8]| -> Vec<u8> {
            let keeps = |octet: &&u8| octet.is_ascii_alphanumeric() || b".-".contains(octet);
            text.iter().filter(keeps).copied().collect()
        };
        let text = match self {
            Self::HostName => return as_hooks_get_it(name),
            Self::Ascii if str::from_utf8(name).is_err() => Vec::new(),
            Self::Ascii => {
                let end = name.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
                with_dot(name[..end].to_vec())
            }
            Self::OwnAscii => with_dot(clean(name)),
            Self::OwnLabels => {
                name.chunks(63).map(clean).filter(|label| !label.is_empty()).flat_map(dotted).collect()
            }
            Self::Labels | Self::Labels6 if name.is_empty() => b".".to_vec(),
            Self::Labels | Self::Partial | Self::Labels6 | Self::Partial6 => {
                name.chunks(63).map(escaped).flat_map(dotted).collect()
            }
        };
        let end = text.iter().position(|&octet| octet == 0).unwrap_or(text.len());
        text[..end].to_ascii_lowercase()
    }
}

/// The code of the client FQDN option of DHCPv6 (RFC 4704).
const OPTION_CLIENT_FQDN: u8 = message6::option::FQDN as u8;

fn dotted(mut label: Vec<u8>) -> Vec<u8> {
    label.push(b'.');
    label
}

fn with_dot(name: Vec<u8>) -> Vec<u8> {
    if name.is_empty() || name.ends_with(b".") { name } else { dotted(name) }
}

/// A label as master files have it (RFC 1035 section 5.1).
fn escaped(label: &[u8]) -> Vec<u8> {
    let octet = |octet: &u8| match octet {
        b'"' | b'(' | b')' | b'.' | b';' | b'\\' | b'@' | b'$' => vec![b'\\', *octet],
        0x21..=0x7e => vec![*octet],
        _ => format!("\\{octet:03}").into_bytes(),
    };
    label.iter().flat_map(octet).collect()
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
    fn a_name_is_written_and_read_in_each_form() {
        for (form, name, option, read) in [
            (Form::HostName, &b"A b "[..], &b"A b "[..], &b"a b"[..]),
            (Form::Ascii, b"A b\0", b"\0\0\0A b\0", b"a b."),
            (Form::Ascii, b"a\0b", b"\0\0\0a\0b", b"a"),
            (Form::Ascii, b"a\xff", b"\0\0\0a\xff", b""),
            (Form::Ascii, b"", b"\0\0\0", b""),
            (Form::Labels, b"A b.", b"\x04\0\0\x04A b.\0", b"a\\032b\\.."),
            (Form::Labels, b"", b"\x04\0\0\0", b"."),
            (Form::Partial, b"$(x)", b"\x04\0\0\x04$(x)", b"\\$\\(x\\)."),
            (Form::Partial, b"", b"\x04\0\0", b""),
            (Form::OwnAscii, b"$(x)", b"\0\0\0$(x)", b"x."),
            (Form::OwnLabels, b"$(x)", b"\x04\0\0\x04$(x)\0", b"x."),
            (Form::Labels6, b"a", b"\0\x01a\0", b"a."),
            (Form::Partial6, b"a", b"\0\x01a", b"a."),
        ] {
            assert_eq!((&*form.option(name).1, &*form.as_hooks_get_it(name)), (option, read), "{form:?}");
        }
        let long = Form::Partial.option(&[b'a'; 64]).1;
        assert_eq!((long.len(), long[3], &long[67..]), (3 + 64 + 2, 63, &b"\x01a"[..]));
    }

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
