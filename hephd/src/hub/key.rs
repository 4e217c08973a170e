//! The hub's key: 32 bytes of seed in hex, in a file of its own, made at the first start. Whoever has the file can
//! pass for this hub; a hub that lost its data and kept the file is the same hub.

use anyhow::Context;
use ed25519_dalek::SigningKey;
use heph_store::env::{Env, random};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// The seed in hex, and what an editor may put behind it.
const FILE_BYTES_MAX: u64 = 128;

/// Returns the key in the file at `path`, which is made if it is not there.
///
/// # Errors
/// If the file cannot be read or made, or holds something else.
pub fn load_or_make(path: &Path, env: &dyn Env) -> anyhow::Result<SigningKey> {
    match File::open(path) {
        Ok(file) => load(file, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let seed = random::<32>(env);
            write(path, &seed).with_context(|| format!("cannot make the hub's key file {}", path.display()))?;
            Ok(SigningKey::from_bytes(&seed))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read the hub's key file {}", path.display())),
    }
}

fn load(file: File, path: &Path) -> anyhow::Result<SigningKey> {
    let mode = file.metadata().map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        tracing::warn!("others than its owner may read the hub's key file: chmod 600 it");
    }
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
    read.with_context(|| format!("cannot read the hub's key file {}", path.display()))?;
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim(), &mut seed).ok().with_context(|| {
        format!(
            "{} is not a hub's key file (64 hex digits); put the right one back, or name it by --hub-key",
            path.display()
        )
    })?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Writes the file so that it is there whole or not at all, whatever happens meanwhile.
fn write(path: &Path, seed: &[u8; 32]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
    name.push(".new");
    let fresh = dir.join(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    writeln!(file, "{}", hex::encode(seed))?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use heph_store::env::SystemEnv;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.key");
        let made = load_or_make(&path, &SystemEnv).unwrap();
        assert_eq!(load_or_make(&path, &SystemEnv).unwrap().to_bytes(), made.to_bytes());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_file_is_never_taken_for_a_key_nor_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.key");
        for text in ["", "not a key", &"0".repeat(63), &"0".repeat(66)] {
            std::fs::write(&path, text).unwrap();
            let why = load_or_make(&path, &SystemEnv).unwrap_err().to_string();
            assert!(why.contains("is not a hub's key file"), "{why}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
