//! Leases from before the tracker saw its first message.

use std::net::Ipv4Addr;

use crate::dhcpv6::IaKind;
use crate::time::Timestamp;

use super::{Lease4, Lease6, Tracker};

impl Tracker {
    /// Puts in leases that are known from elsewhere, such as the server's lease file. Frames that come later say more.
    ///
    /// May change what [`Tracker::poll_timeout`] answers: a lease whose time was over without its having been reclaimed is
    /// due at once, with its own deadline, as Kea reports it at its next reclamation; one that was reclaimed stays so until
    /// `hold-reclaimed-time` is over. A subnet that the lease does not name is looked up in the configuration, and a client
    /// identifier that the server does not heed (`match-client-id`) is left out, as for a lease from the wire.
    pub fn seed(
        &mut self,
        leases4: impl IntoIterator<Item = Lease4>,
        leases6: impl IntoIterator<Item = Lease6>,
    ) {
        let (dhcp4, dhcp6) = (&self.config.dhcp4, &self.config.dhcp6);
        for mut lease in leases4 {
            let subnet = dhcp4.subnet_of(lease.address);
            lease.subnet_id = lease.subnet_id.or(subnet.map(|subnet| subnet.id));
            if !subnet.map_or(dhcp4.match_client_id, |subnet| subnet.match_client_id) {
                lease.client_id = None;
            }
            self.leases4.store(&mut self.deadlines, lease);
        }
        for mut lease in leases6 {
            let subnet = match lease.kind {
                IaKind::PrefixDelegation => dhcp6.subnet_of_prefix(lease.address, lease.prefix_len),
                IaKind::NonTemporary | IaKind::Temporary => dhcp6.subnet_of_address(lease.address),
            };
            lease.subnet_id = lease.subnet_id.or(subnet.map(|subnet| subnet.id));
            self.leases6.store(&mut self.deadlines, lease);
        }
    }

    /// Goes on where an earlier tracker was, beside [`Tracker::seed`] with its leases: `latest` was its last moment, before
    /// which nothing happens any more, and `servers4` are the servers that it had heard.
    pub fn resume(&mut self, latest: Timestamp, servers4: impl IntoIterator<Item = Ipv4Addr>) {
        self.latest = self.latest.max(latest);
        for server in servers4 {
            self.servers4.hear(&server);
        }
    }
}

#[cfg(test)]
mod tests;
