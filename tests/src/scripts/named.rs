//! BIND's `named` with zones that a key may change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::netns::Namespace;
use crate::process::Process;
use crate::scripts::printed;

/// How long it may take to load its zones.
const PATIENCE: Duration = Duration::from_secs(30);

/// The zones: the domain, and what its leases' addresses are in.
pub const ZONES: [&str; 4] =
    ["example.com", "2.0.192.in-addr.arpa", "10.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"];

/// A name server on 127.0.0.1 in a namespace. The domain example.com has the name `www` from the start, which is nobody's.
#[derive(Debug)]
pub struct Named {
    namespace: Namespace,
    key: PathBuf,
    _process: Process,
}

impl Named {
    /// Starts one with its files in `directory`.
    pub fn start(namespace: &Namespace, directory: &Path) -> Result<Self> {
        let key = directory.join("hook.key");
        let text = printed(namespace.command("tsig-keygen").arg("hook"))?;
        std::fs::write(&key, &text)?;
        let mut configuration = format!(
            "{text}options {{ directory \"{}\"; pid-file none; session-keyfile \"session.key\"; recursion no;\n\
             listen-on {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; notify no; dnssec-validation no;\n\
             allow-transfer {{ any; }}; }};\ncontrols {{ }};\n",
            directory.display()
        );
        for zone in ZONES {
            let file = directory.join(zone);
            let www = if zone == ZONES[0] { "www IN A 192.0.2.2\n" } else { "" };
            std::fs::write(
                &file,
                format!(
                    "$TTL 300\n@ IN SOA ns.example.net. root.example.net. 1 3600 600 86400 300\n@ IN NS ns.example.net.\n{www}"
                ),
            )?;
            configuration += &format!(
                "zone \"{zone}\" {{ type primary; file \"{zone}\"; allow-update {{ key hook; }}; }};\n"
            );
        }
        let file = directory.join("named.conf");
        std::fs::write(&file, configuration)?;
        let mut command = namespace.command("named");
        command.arg("-g").arg("-c").arg(&file).current_dir(directory);
        let mut process = Process::start("named", command, directory)?;
        process.wait_for_log("all zones loaded", PATIENCE)?;
        Ok(Self { namespace: namespace.clone(), key, _process: process })
    }

    /// The key's file.
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// The lines of a configuration that let a script change the zones.
    pub fn configuration(&self) -> String {
        format!("DNS_DOMAIN=example.com\nDNS_SERVER=127.0.0.1\nDNS_KEY_FILE={}\n", self.key.display())
    }

    /// What is in a zone beside its SOA, NS and `www`, as `name TYPE data`, names with their dots.
    pub fn records(&self, zone: &str) -> Result<BTreeSet<String>> {
        let mut dig = self.namespace.command("dig");
        dig.args(["+nocmd", "+nocomments", "+nostats", "+noquestion", "+onesoa", "@127.0.0.1", "axfr", zone]);
        let text = printed(&mut dig)?;
        let mut records = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with(';') && !line.is_empty()) {
            let mut words = line.split_whitespace();
            let name = words.next().context("an empty line")?;
            let rest: Vec<&str> = words.skip(2).collect();
            let foreign = matches!(rest.first(), Some(&"SOA" | &"NS")) || name == "www.example.com.";
            if !foreign {
                records.insert(format!("{name} {}", rest.join(" ")));
            }
        }
        anyhow::ensure!(text.contains("SOA"), "no transfer of {zone}: {text}");
        Ok(records)
    }

    /// The same of all zones but for the digests, which are as long as they are.
    pub fn names(&self) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for zone in ZONES {
            all.extend(self.records(zone)?);
        }
        Ok(all
            .into_iter()
            .map(|record| record.split(" DHCID ").next().unwrap_or_default().to_owned())
            .collect())
    }
}
