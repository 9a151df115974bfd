//! Whose a file is, as far as a user namespace lets this process see.
//!
//! In a user namespace everybody who has no id there is shown as one user, mostly `nobody`: root and all others
//! alike. Then only the name of a file tells: the directories that every distribution gives to root are taken for
//! root's, and nothing else is.

#![forbid(unsafe_code)]

use std::path::Path;

/// Directories that are root's on every system, and all that is below them.
const TREES: [&str; 8] = [
    "/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr",
];

/// Directories that are root's on every system, while others may own what is in them.
const DIRECTORIES: [&str; 12] = [
    "/", "/dev", "/home", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/srv", "/tmp",
    "/var",
];

/// Tells the files of this user and of root from those of others.
#[derive(Clone, Copy, Debug)]
pub struct Owners {
    user: u32,
    /// Shown as the owner of what belongs to nobody in this user namespace.
    stranger: Option<u32>,
}

impl Owners {
    /// For the effective user, in the user namespace of this process.
    #[must_use]
    pub fn current() -> Owners {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let overflow = read("/proc/sys/kernel/overflowuid").trim().parse();
        Owners::new(
            super::user_id(),
            &read("/proc/self/uid_map"),
            // The kernel's default.
            overflow.unwrap_or(65534),
        )
    }

    /// `map`: the text of `/proc/self/uid_map`.
    fn new(user: u32, map: &str, overflow: u32) -> Owners {
        let holds = |line: &str| -> Option<bool> {
            let mut fields = line.split_whitespace().map(str::parse::<u64>);
            let start = fields.next()?.ok()?;
            let length = fields.nth(1)?.ok()?;
            let offset = u64::from(overflow).checked_sub(start)?;
            Some(offset < length)
        };
        let is_user = map.lines().any(|line| holds(line) == Some(true));
        Owners {
            user,
            stranger: (!is_user).then_some(overflow),
        }
    }

    /// Succeeds if `path`, which `owner` is shown for, belongs to this user or to root.
    ///
    /// # Errors
    ///
    /// Whose it is.
    pub fn check(&self, path: &Path, owner: u32) -> Result<(), String> {
        if self.stranger == Some(owner) {
            let is_roots = TREES.iter().any(|tree| path.starts_with(tree))
                || DIRECTORIES.iter().any(|known| path == Path::new(known));
            return match is_roots {
                true => Ok(()),
                false => Err(format!(
                    "`{}` belongs to somebody who has no id in this user namespace (shown as {owner}), root or another; \
                     run lictor outside of the namespace, or let root or this user of the namespace own it",
                    super::shown(path)
                )),
            };
        }
        if owner == 0 || owner == self.user {
            return Ok(());
        }
        Err(format!("`{}` belongs to user {owner}", super::shown(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_roots_everywhere_is_trusted_where_owners_are_hidden() {
        #[track_caller]
        fn check(user: u32, map: &str, path: &str, owner: u32, is_ours: bool) {
            let found = Owners::new(user, map, 65534).check(Path::new(path), owner);
            assert_eq!(
                found.is_ok(),
                is_ours,
                "{user} {map} {path} {owner}: {found:?}"
            );
        }
        let whole = "         0          0 4294967295\n";
        check(1001, whole, "/usr/bin/x", 0, true);
        check(1001, whole, "/home/a/x", 1001, true);
        check(1001, whole, "/usr/bin/x", 65534, false);
        check(65534, whole, "/home/a/x", 65534, true);
        // `unshare --map-root-user`, bwrap, and a namespace without a map.
        for (user, map) in [(0, "0 1001 1"), (1001, "1001 1001 1"), (65534, "")] {
            check(user, map, "/", 65534, true);
            check(user, map, "/home", 65534, true);
            check(user, map, "/usr/local/bin/x", 65534, true);
            check(user, map, "/home/b", 65534, false);
            check(user, map, "/home/b/x", 65534, false);
            check(user, map, "/usrx", 65534, false);
            check(user, map, "/opt/x", 65534, false);
            check(user, map, "/home/a/x", 1002, false);
        }
        check(0, "0 1001 1", "/home/a/x", 0, true);
        check(1001, "1001 1001 1", "/home/a/x", 1001, true);
        // A container that maps many: `nobody` is one of its users.
        check(0, "0 1001 1\n1 100000 65536\n", "/usr/bin/x", 65534, false);
    }
}
