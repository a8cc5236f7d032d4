//! The users of a namespace node: the host's own, for its programs are.

use std::io;
use std::path::PathBuf;

use archetype_netns::enter::Credentials;
use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User as Known, getgrouplist};

/// A user whom a command can run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What makes a process theirs.
    pub credentials: Credentials,
    /// The name, where the number has one.
    pub name: Option<String>,
    /// Where they are at home.
    pub home: PathBuf,
}

impl User {
    /// Finds the user that is meant by `NAME`, `NUMBER`, `USER:GROUP`, as the Docker Engine reads
    /// it: a number without a name is at home in `/` and of the group 0.
    ///
    /// # Errors
    /// When there is no user or no group of that name.
    pub fn find(text: &str) -> io::Result<Self> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let group = group.map(group_of).transpose()?;
        let unknown = || io::Error::other(format!("there is no user {user} on this host"));
        let uid = user.parse().ok().map(Uid::from_raw);
        let known = match uid {
            Some(uid) => Known::from_uid(uid),
            None => Known::from_name(user),
        };
        let (name, uid, gid, home) = match (known.map_err(io::Error::from)?, uid) {
            (Some(known), _) => (Some(known.name), known.uid, known.gid, known.dir),
            (None, Some(uid)) => (None, uid, Gid::from_raw(0), "/".into()),
            (None, None) => return Err(unknown()),
        };
        let groups = match (group, &name) {
            (None, Some(name)) => groups_of(name, gid)?,
            _ => Vec::new(),
        };
        let gid = group.unwrap_or(gid).as_raw();
        Ok(Self { credentials: Credentials { uid: uid.as_raw(), gid, groups }, name, home })
    }

    /// The variables that tell programs whose they are.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let home = ("HOME", self.home.display().to_string());
        let names = self.name.iter().flat_map(|name| [("USER", name.clone()), ("LOGNAME", name.clone())]);
        names.chain([home]).collect()
    }
}

fn group_of(text: &str) -> io::Result<Gid> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    let known = Group::from_name(text).map_err(io::Error::from)?;
    known.map(|group| group.gid).ok_or_else(|| io::Error::other(format!("there is no group {text} on this host")))
}

fn groups_of(name: &str, gid: Gid) -> io::Result<Vec<u32>> {
    let name = std::ffi::CString::new(name).map_err(|_| io::Error::from(Errno::EINVAL))?;
    Ok(getgrouplist(&name, gid).map_err(io::Error::from)?.into_iter().map(Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number_and_with_a_group() {
        let root = User::find("root").unwrap();
        assert_eq!((root.credentials.uid, root.credentials.gid, root.name.as_deref()), (0, 0, Some("root")));
        assert!(root.credentials.groups.contains(&0), "{root:?}");
        assert_eq!(User::find("0:7").unwrap().credentials, Credentials { uid: 0, gid: 7, groups: Vec::new() });
        let nameless = User::find("3999999999").unwrap();
        assert_eq!((nameless.credentials.gid, nameless.env()), (0, vec![("HOME", "/".to_owned())]));
        assert!(User::find("no-such-user").unwrap_err().to_string().contains("no-such-user"));
        assert!(User::find("root:no-such-group").unwrap_err().to_string().contains("no-such-group"));
    }
}
