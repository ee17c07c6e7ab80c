//! Installing system packages where that is possible without asking: as root on Debian and its
//! kin. Everywhere else the caller says what to install.

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::shell;

/// Whether packages can be installed here and now.
pub fn can_install() -> bool {
    Path::new("/etc/debian_version").exists() && is_root() && shell::find(&["apt-get"]).is_some()
}

/// Installs Debian packages. Call only after [`can_install`].
pub fn install(packages: &[&str]) -> Result<()> {
    eprintln!("Installing {} with apt-get", packages.join(", "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    let install = || {
        let mut command = apt(&["install", "--yes", "--no-install-recommends"]);
        command.args(packages);
        command
    };
    // The package lists may be missing or old: they are fetched only when that turns out to be so.
    if shell::run(&mut install()).is_ok() {
        return Ok(());
    }
    shell::run(&mut apt(&["update"]))?;
    shell::run(&mut install())
}

#[cfg(unix)]
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
