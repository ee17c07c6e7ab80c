//! Finds a Chromium for the browser tests.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{shell, system};

const NAMES: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
];
/// Where applications are found that are not on the path.
const PLACES: [&str; 3] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/// The browser to test in: `$CHROMIUM`, or an installed one, or one that is installed now.
pub fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("CHROMIUM names {}, which is not there", path.display());
        }
        return Ok(path);
    }
    let installed = || {
        let places = || PLACES.iter().map(PathBuf::from).find(|path| path.is_file());
        shell::find(&NAMES).or_else(places)
    };
    if let Some(path) = installed() {
        return Ok(path);
    }
    if system::can_install() {
        system::install(&["chromium"])?;
        if let Some(path) = installed() {
            return Ok(path);
        }
    }
    bail!(
        "the browser tests need Chromium or Chrome. Install it (on Debian as root: apt-get install \
         chromium), or set CHROMIUM to its program"
    )
}
