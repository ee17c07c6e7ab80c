//! Source maps for the package's entries (source map specification, version 3).
//!
//! Nothing is minified, so each line maps to itself. The map is there for what bundlers do afterwards: they
//! chain maps, and an application's stack traces then name this repository's files and lines. What a
//! reader would get wrong: the versioned folder gets none. Its files are what a coordinator serves, byte for
//! byte, and their hashes are public.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Writes a map beside every script of a folder, not of those below it, and names it in the script.
/// `origin` gives a script's place in the repository, `None` for what is made.
pub fn beside(folder: &Path, origin: impl Fn(&str) -> Option<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(source) = origin(&name).filter(|_| name.ends_with(".js")) else {
            continue;
        };
        let code = fs::read_to_string(entry.path()).with_context(|| name.clone())?;
        let map = map(&name, &source, &code).to_string();
        fs::write(folder.join(format!("{name}.map")), map)?;
        fs::write(entry.path(), naming(&name, &code))?;
    }
    Ok(())
}

/// The script with its map's name.
fn naming(name: &str, code: &str) -> String {
    format!("{}\n//# sourceMappingURL={name}.map\n", code.trim_end())
}

/// Each line of a file to the same line of its source.
fn map(file: &str, source: &str, code: &str) -> Value {
    // Base 64 of four differences: column 0, source 0, and from the second line on one line further.
    let lines = code.lines().enumerate();
    let mappings = lines.map(|(number, _)| if number == 0 { "AAAA" } else { "AACA" });
    json!({
        "version": 3,
        "file": file,
        "sources": [source],
        "sourcesContent": [code],
        "names": [],
        "mappings": mappings.collect::<Vec<_>>().join(";"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_script_maps_to_itself_and_the_script_names_its_map() {
        let code = "one();\ntwo();\n\nthree();\n";
        assert_eq!(
            naming("a.js", code),
            "one();\ntwo();\n\nthree();\n//# sourceMappingURL=a.js.map\n"
        );
        let map = map("a.js", "pkg/src/a.js", code);
        assert_eq!(map["mappings"], "AAAA;AACA;AACA;AACA");
        assert_eq!(map["sources"], json!(["pkg/src/a.js"]));
        assert_eq!(map["sourcesContent"], json!([code]));
    }
}
