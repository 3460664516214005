//! dhcp6c of WIDE.

use std::path::Path;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::clients::{INTERFACE, RunningClient};
use crate::netns::Namespace;
use crate::service::{Recipe, Service, write};

/// Where it keeps its DUID, whatever it is told.
const FIXED: &[&str] = &["/var/lib/dhcpv6"];

/// Its DUID, link-layer address of its interface, behind a length in the order of the machine: a new one for each start
/// would be a new client.
const DUID: &str =
    "printf '\\012\\000\\000\\003\\000\\001\\002\\000\\000\\000\\000\\002' > /var/lib/dhcpv6/dhcp6c_duid";

/// A running dhcp6c. It cannot be told to renew; its timers are the server's.
#[derive(Debug)]
pub struct WideDhcp6c {
    service: Service,
}

impl WideDhcp6c {
    /// Starts one that asks for an address and, if so wanted, a prefix, which it gives to an interface `lan0`.
    pub fn start(namespace: &Namespace, directory: &Path, prefix: bool) -> Result<Self> {
        let prefix = if prefix {
            if namespace.ip(&["link", "show", "lan0"]).is_err() {
                namespace.ip(&["link", "add", "lan0", "up", "type", "veth", "peer", "name", "lan1"])?;
            }
            ("send ia-pd 2;", "id-assoc pd 2 { prefix-interface lan0 { sla-id 1; sla-len 8; }; };")
        } else {
            ("", "")
        };
        let configuration = format!(
            "interface {INTERFACE} {{ send ia-na 1; {} script \"/bin/true\"; }};\nid-assoc na 1 {{ }};\n{}\n",
            prefix.0, prefix.1
        );
        let configuration = write(directory, "dhcp6c.conf", &configuration)?;
        let pid = directory.join("dhcp6c.pid").display().to_string();
        let arguments = ["-f", "-D", "-c", &configuration, "-p", &pid, INTERFACE];
        let recipe = Recipe::new("dhcp6c", &arguments, "get_duid").private(FIXED).prepare(DUID);
        Ok(Self { service: Service::start(namespace, directory, recipe)? })
    }
}

impl RunningClient for WideDhcp6c {
    fn release(&mut self) -> Result<()> {
        self.service.end(Signal::SIGTERM)
    }

    fn vanish(&mut self) -> Result<()> {
        self.service.end(Signal::SIGKILL)
    }
}
