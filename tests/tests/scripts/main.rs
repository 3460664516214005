//! The shipped scripts, run for real: as hooks of the observer, against the programs that they talk to, each judged by what
//! it has done.

mod bench;
mod device;
mod dns;
mod hostile;
mod kept;
mod log;
mod netbox;
mod nft;
mod routes;
mod webhook;
