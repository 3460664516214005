//! The user and groups as which a hook runs.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgrouplist, getgroups};
use thiserror::Error;

/// A user with its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// Why there are no such credentials.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// No such user.
    #[error("there is no user {0:?}; create it, or name another one")]
    NoUser(String),
    /// No such group.
    #[error("there is no group {0:?}; create it, or name another one")]
    NoGroup(String),
    /// The databases cannot be read.
    #[error("users and groups cannot be looked up: {0}")]
    Lookup(Errno),
}

impl Credentials {
    /// Those of a user, by name or number, with the groups that the system's databases give it; `group` in place of the
    /// user's own one. Without a user: the one that has started us, with this group and no others.
    ///
    /// # Errors
    ///
    /// When there is no such user or group. A number needs no entry: such a user has its number as its group unless
    /// another one is named, and no further groups.
    pub fn look_up(user: Option<&str>, group: Option<&str>) -> Result<Self, CredentialsError> {
        let group = group.map(group_number).transpose()?;
        let Some(name) = user else {
            let (user, own) = crate::user::started_as();
            let group = group.unwrap_or(own);
            return Ok(Self { user, group, groups: vec![group] });
        };
        let entry = match name.parse() {
            Ok(number) => User::from_uid(Uid::from_raw(number)),
            Err(_) => User::from_name(name),
        };
        let Some(entry) = entry.map_err(CredentialsError::Lookup)? else {
            let number = name.parse().map_err(|_| CredentialsError::NoUser(name.to_owned()))?;
            let group = group.unwrap_or(number);
            return Ok(Self { user: number, group, groups: vec![group] });
        };
        let group = group.unwrap_or_else(|| entry.gid.as_raw());
        let name = CString::new(entry.name).map_err(|_| CredentialsError::NoUser(name.to_owned()))?;
        let groups = getgrouplist(&name, Gid::from_raw(group)).map_err(CredentialsError::Lookup)?;
        Ok(Self { user: entry.uid.as_raw(), group, groups: groups.into_iter().map(Gid::as_raw).collect() })
    }

    /// Whether these are what we have already, so that nothing needs to be changed and no privilege is needed.
    pub fn are_ours(&self) -> bool {
        let sorted = |mut groups: Vec<u32>| {
            groups.sort_unstable();
            groups.dedup();
            groups
        };
        let ours = getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
        self.user == geteuid().as_raw()
            && self.group == getegid().as_raw()
            && sorted(self.groups.clone()) == sorted(ours)
    }
}

fn group_number(name: &str) -> Result<u32, CredentialsError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let entry = Group::from_name(name).map_err(CredentialsError::Lookup)?;
    entry.map(|entry| entry.gid.as_raw()).ok_or_else(|| CredentialsError::NoGroup(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_name_and_number() {
        for name in ["root", "0"] {
            let root = Credentials::look_up(Some(name), None).unwrap();
            assert_eq!((root.user, root.group), (0, 0));
            assert!(root.groups.contains(&0));
        }
    }

    #[test]
    fn a_named_group_takes_the_place_of_the_users_own() {
        let root = Credentials::look_up(Some("root"), Some("4242")).unwrap();
        assert_eq!(root.group, 4242);
        assert!(root.groups.contains(&4242) && !root.groups.contains(&0));
    }

    #[test]
    fn a_number_needs_no_entry() {
        let nobody_knows = Credentials::look_up(Some("3999999999"), None).unwrap();
        assert_eq!(nobody_knows.groups, [3_999_999_999]);
    }

    #[test]
    fn an_unknown_name_is_named() {
        let message = |user, group| Credentials::look_up(user, group).unwrap_err().to_string();
        assert!(message(Some("no such user"), None).contains("\"no such user\""));
        assert!(message(None, Some("no such group")).contains("\"no such group\""));
    }
}
