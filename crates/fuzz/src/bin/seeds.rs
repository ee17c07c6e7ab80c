//! Writes `seeds/` anew from the real encoders: `cargo run -p covey-fuzz --bin seeds`.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for target in covey_fuzz::TARGETS {
        let folder = root.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, bytes) in (target.seeds)().into_iter().enumerate() {
            fs::write(folder.join(number.to_string()), bytes)?;
        }
    }
    Ok(())
}
