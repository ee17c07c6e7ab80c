//! The operator's token: who holds it may use the operator's interface (`gateway::admin`).
//!
//! Whoever can read the data directory can do worse, so the token is kept there, for its owner only. What
//! a reader would get wrong: it is no key of the ledger. No rule asks for it.

use std::{fs, io, path::Path};

use covey_protocol::Hash;

use crate::{
    CoordinatorError,
    data_dir::write_durably,
    secret::{Access, random},
};

/// The token, as a hash: comparing hashes takes the same time wherever they differ.
#[derive(Clone)]
pub struct AdminToken(blake3::Hash);

impl AdminToken {
    /// Reads the token file, or creates it.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds no token.
    pub fn load_or_create(path: &Path) -> Result<Self, CoordinatorError> {
        match fs::read_to_string(path) {
            Ok(text) if text.trim().len() >= 32 => Ok(Self::of(text.trim())),
            Ok(_) => {
                let message = "holds no token; remove it, and a new one is made at the next start";
                let problem = io::Error::new(io::ErrorKind::InvalidData, message);
                Err(CoordinatorError::file(path)(problem))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = Hash(random()?).to_string();
                write_durably(path, format!("{token}\n").as_bytes(), Access::OwnerOnly)
                    .map_err(CoordinatorError::file(path))?;
                Ok(Self::of(&token))
            }
            Err(error) => Err(CoordinatorError::file(path)(error)),
        }
    }

    fn of(token: &str) -> Self {
        Self(blake3::hash(token.as_bytes()))
    }

    /// Whether somebody's token is this one.
    #[must_use]
    pub fn is(&self, token: &str) -> bool {
        self.0 == blake3::hash(token.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("admin.token");
        AdminToken::load_or_create(&path).expect("created");
        let text = fs::read_to_string(&path).expect("there");
        let token = AdminToken::load_or_create(&path).expect("read");
        assert!(token.is(text.trim()));
        assert!(!token.is("") && !token.is(&text.trim()[1..]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("exists").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(&path, "\n").expect("written");
        assert!(
            AdminToken::load_or_create(&path).is_err(),
            "empty is no token"
        );
    }
}
