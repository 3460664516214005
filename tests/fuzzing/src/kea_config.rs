//! Kea configuration files of any kind: a configuration, or one line that says what is wrong and where.

use std::io;
use std::path::{Path, PathBuf};

use dhcp_observer::config::kea::{Files, load_from};
use dhcp_observer::time::Lifetime;

use crate::rendered::VERSIONS;

/// A file system of one file and, behind a line of `%%`, one that it can include.
struct Two<'a> {
    main: &'a [u8],
    part: &'a [u8],
}

impl Files for Two<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("kea.conf") => Ok(self.main.into()),
            Some("part") => Ok(self.part.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// One file, or two.
pub fn run(text: &[u8]) {
    const BETWEEN: &[u8] = b"\n%%\n";
    let (main, part) = match text.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        Some(at) => (&text[..at], &text[at + BETWEEN.len()..]),
        None => (text, &b""[..]),
    };
    let files = Two { main, part };
    let mut outcomes = VERSIONS.map(|version| load_from(&files, &[PathBuf::from("kea.conf")], version));
    for outcome in &mut outcomes {
        match outcome {
            Err(error) => {
                let error = error.to_string();
                assert!(!error.is_empty() && !error.contains('\n'), "{error:?}");
            }
            Ok(config) => {
                for subnet in config.dhcp4.subnets() {
                    let found = config.dhcp4.subnet_of(subnet.prefix).expect("it is in some subnet");
                    assert!(found.prefix_len >= subnet.prefix_len, "the longest prefix is found");
                    assert_eq!(config.dhcp4.same_network(subnet.prefix, subnet.prefix), Some(true));
                    config.dhcp4.reuses_lease(subnet.prefix, Lifetime::Seconds(1_000), 10);
                }
                for subnet in config.dhcp6.subnets() {
                    assert!(config.dhcp6.subnet_of_address(subnet.prefix).is_some());
                    assert!(config.dhcp6.subnet(subnet.id).is_some());
                }
            }
        }
    }
    let told = outcomes.map(|outcome| outcome.err().map(|error| error.to_string()));
    assert!(
        told.windows(2).all(|pair| pair[0] == pair[1]),
        "what is wrong is wrong for every version: {told:?}"
    );
}
