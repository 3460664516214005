//! Scripted DHCP clients: crafted messages in raw frames, and the server's answers.
//!
//! Unlike a real client they send exactly what a test says, when it says so, from any address.

pub mod datagram;
pub mod message4;
pub mod message6;
pub mod v4;
pub mod v6;

use std::time::Duration;

/// How long a server may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The hardware address of the scripted client of this number, as in the recordings: 02:aa:bb:00:00:NN.
pub fn client_mac(number: u8) -> [u8; 6] {
    [0x02, 0xaa, 0xbb, 0, 0, number]
}
