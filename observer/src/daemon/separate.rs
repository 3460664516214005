//! An observer with a user of its own: what is handed over to that user, and the moment of becoming it.

use anyhow::{Context, Result};
use nix::unistd::Uid;
use tracing::{debug, info};

use crate::hook::Credentials;
use crate::seal;
use crate::store;
use crate::user::{self, Files};

/// As whom to observe, where another process has kept what hooks need.
#[derive(Debug)]
pub struct Separate {
    /// The user.
    pub run_as: Credentials,
}

impl Separate {
    /// Whose the pins are to be.
    pub(super) const fn owner(&self) -> Uid {
        Uid::from_raw(self.run_as.user)
    }

    /// Gives the state directory away. While the result lives, files are made and opened as the user.
    pub(super) fn store(&self, options: &store::Options) -> Result<Files> {
        // If it cannot be used now, who opens it as that user says so, and what that means.
        if let Err(error) = store::give_away(&options.directory, &self.run_as) {
            debug!("not given to user {}: {error}", self.run_as.user);
        }
        self.files()
    }

    /// While the result lives, files are made and opened as the user.
    pub(super) fn files(&self) -> Result<Files> {
        Files::of(&self.run_as).with_context(|| self.no_right())
    }

    /// Becomes the user for good, with these capabilities and without system calls that are not needed any more.
    pub(super) fn drop_privileges(self, keep: u64) -> Result<()> {
        user::become_for_good(&self.run_as, keep).with_context(|| self.no_right())?;
        seal::seal().context("system calls cannot be given up")?;
        let Credentials { user, group, .. } = self.run_as;
        info!("from here on as user {user}, group {group}");
        Ok(())
    }

    fn no_right(&self) -> String {
        format!("this process cannot become user {}: --user needs root", self.run_as.user)
    }
}
