//! The account that the server runs under: PostgreSQL refuses root.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, chown};

use crate::dev::{Error, Result};

/// Who runs the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// Ourselves.
    Own,
    /// Another account, as we are root.
    Other {
        /// Its user id.
        uid: Uid,
        /// Its main group.
        gid: Gid,
        /// The data lies below a folder that is closed to it, such as `/root`. It then keeps
        /// one of root's rights (`CAP_DAC_OVERRIDE`), which unlike a user namespace or a bind mount
        /// is also there in an unprivileged container.
        passes_closed_folders: bool,
    },
}

impl Account {
    /// Ourselves, or as root the account `postgres` if it exists, else `nobody`. `folder` is
    /// where the data will be.
    pub(super) fn choose(folder: &Path) -> Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self::Own);
        }
        let user = ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .ok_or_else(|| Error::Missing {
                what: "an account for Postgres, which refuses to run as root,".into(),
                hint: "create the user `nobody`".into(),
            })?;
        Ok(Self::Other { uid: user.uid, gid: user.gid, passes_closed_folders: !open_to_all(folder) })
    }

    /// `program` under this account.
    pub(super) fn command(&self, program: &Path) -> Command {
        let Self::Other { uid, gid, passes_closed_folders } = self else {
            return Command::new(program);
        };
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]);
        if *passes_closed_folders {
            command.args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]);
        }
        command.arg("--").arg(program);
        command
    }

    /// Makes this account the owner of `folder` and everything in it.
    pub(super) fn take_over(&self, folder: &Path) -> Result<()> {
        let Self::Other { uid, gid, .. } = self else { return Ok(()) };
        own(folder, *uid, *gid).map_err(Error::io(format!("changing the owner of {}", folder.display())))
    }
}

fn own(path: &Path, uid: Uid, gid: Gid) -> std::io::Result<()> {
    let metadata = path.symlink_metadata()?;
    if metadata.is_symlink() {
        return Ok(());
    }
    if metadata.uid() != uid.as_raw() {
        chown(path, Some(uid), Some(gid))?;
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            own(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

/// Whether everyone may pass through all folders above `path`.
pub(super) fn open_to_all(path: &Path) -> bool {
    let passable = |folder: &Path| folder.metadata().is_ok_and(|it| it.permissions().mode() & 0o001 != 0);
    path.ancestors().skip(1).all(passable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_folder_above_is_seen() {
        let top = tempfile::tempdir().expect("scratch folder");
        let inner = top.path().join("inner");
        std::fs::create_dir(&inner).expect("folder");
        let mode = |mode| std::fs::set_permissions(top.path(), std::fs::Permissions::from_mode(mode));
        mode(0o755).expect("mode");
        assert!(open_to_all(&inner));
        mode(0o700).expect("mode");
        assert!(!open_to_all(&inner));
    }

    #[test]
    fn root_becomes_someone_else() {
        let account = Account::choose(Path::new("/tmp")).expect("account");
        let output = account.command(Path::new("/usr/bin/id")).arg("-u").output().expect("id");
        let uid: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
        assert_ne!(uid, 0);
        assert_eq!(account == Account::Own, !Uid::effective().is_root());
    }
}
