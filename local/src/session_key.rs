//! What signs the sessions of the page where the parameter `session-key` is not set: a key that is made once, and kept beside the data
//! so that a restart signs nobody out.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use koala_collector::credentials::SessionKeys;
use uuid::Uuid;

/// As many as the hash of a signature has.
const KEY_BYTES: usize = 32;

/// The keys that are kept beside a file of data; they are made where there are none.
///
/// # Errors
/// When the file of the keys cannot be read or written, or holds none that can be used.
pub fn kept_beside(data: &Path) -> Result<SessionKeys> {
    let file = data.with_extension("session-key");
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(&file),
        read => read.map_err(Into::into),
    };
    let keys = text.and_then(|text| Ok(SessionKeys::parse(&text)?));
    keys.with_context(|| format!("the key of the page's sessions in {}", file.display()))
}

/// Written whole under another name first: nobody reads a part of it, and who was there first has made it.
fn make(file: &Path) -> Result<String> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let key = hex::encode(key);
    let draft = file.with_extension(format!("{}.part", Uuid::from_u128(fastrand::u128(..))));
    File::options().write(true).create_new(true).mode(0o600).open(&draft)?.write_all(format!("{key}\n").as_bytes())?;
    let linked = fs::hard_link(&draft, file);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(fs::read_to_string(file)?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_its_owner_alone_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("koala.db");
        kept_beside(&data).expect("a new key");
        let file = folder.path().join("koala.session-key");
        let made = fs::read_to_string(&file).expect("a key");
        assert_eq!(made.trim().len(), 64);
        assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
        kept_beside(&data).expect("the same key");
        assert_eq!(fs::read_to_string(&file).expect("a key"), made);
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn a_file_that_holds_no_key_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("koala.session-key"), "short").expect("a file");
        let error = kept_beside(&folder.path().join("koala.db")).expect_err("no key");
        assert!(
            format!("{error:#}").contains("koala.session-key: the key in line 1 is too short, 5 of at least 32"),
            "{error:#}"
        );
    }
}
