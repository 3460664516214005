//! Real DHCP clients, each in a namespace, which configure what they are given so that they can speak from it.
//!
//! The scripted clients of [`crate::client`] stand in where real ones cannot be brought to do something on command.

pub mod any;
pub mod dhclient;
pub mod dhcpcd;
pub mod udhcpc;
pub mod wide_dhcp6c;

use anyhow::Result;

/// The interface of clients.
pub const INTERFACE: &str = "c0";

/// A client that was started and holds a lease, or will soon.
pub trait RunningClient: std::fmt::Debug {
    /// Waits until it has made use of what the server said last.
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes it renew now, if it can be told to; its own T1 comes otherwise.
    fn renew(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes it rebind now. `false` when it cannot be told to: it does when its renewal goes unanswered until T2.
    fn rebind(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// Makes it release what it holds, now or soon.
    fn release(&mut self) -> Result<()>;

    /// Ends it without a word to the server.
    fn vanish(&mut self) -> Result<()>;
}
