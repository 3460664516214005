//! Debian's Kea among the other servers: without a hook, and with leases that outlive it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::kea::{Config, Family, Kea};
use crate::netns::Namespace;
use crate::servers::Lifetimes;

/// The recordings' subnets, each with its own router.
fn subnets4() -> Value {
    let subnet = |id: u32, network: &str| {
        json!({
            "id": id,
            "subnet": format!("{network}.0/24"),
            "pools": [{ "pool": format!("{network}.100 - {network}.199") }],
            "option-data": [{ "name": "routers", "data": format!("{network}.1") }],
        })
    };
    json!([subnet(7, "192.0.2"), subnet(8, "198.51.100")])
}

/// A Kea that can be ended and started again.
#[derive(Debug)]
pub struct KeaServer {
    namespace: Namespace,
    directory: PathBuf,
    config: Config,
    running: Option<Kea>,
}

impl KeaServer {
    /// Starts one with these timers.
    pub fn start(
        namespace: &Namespace,
        directory: &Path,
        family: Family,
        lifetimes: Lifetimes,
    ) -> Result<Self> {
        let Lifetimes { t1, t2, valid } = lifetimes;
        let leases = directory.join("kea-leases.csv");
        let database = json!({ "type": "memfile", "persist": true, "name": leases, "lfc-interval": 0 });
        let config = Config::plain(family)?
            .set("valid-lifetime", valid)
            .set("renew-timer", t1)
            .set("rebind-timer", t2);
        let config = match family {
            Family::V4 => config.set("option-data", json!([])).set("subnet4", subnets4()),
            Family::V6 => config.set("preferred-lifetime", valid),
        };
        let config = config.set("lease-database", database);
        let mut server =
            Self { namespace: namespace.clone(), directory: directory.to_owned(), config, running: None };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it when it does not run.
    pub fn start_again(&mut self) -> Result<()> {
        // The library wants a hook; this one tells nobody.
        let kea = Kea::start(&self.namespace, &self.directory, self.config.clone(), Path::new("/bin/true"))?;
        self.running = Some(kea);
        Ok(())
    }

    /// Ends it.
    pub fn stop(&mut self) -> Result<()> {
        self.running.take().context("Kea does not run")?.stop()
    }
}
