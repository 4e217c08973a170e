//! File names in JSON, also those that are not UTF-8.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A path or file name. In JSON a string where it is UTF-8, else `{"hex": "…"}` with its raw bytes.
///
/// Paths in requests are absolute: the daemon does not know the caller's directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathText(pub PathBuf);

impl PathText {
    /// Returns the path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for PathText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl From<PathBuf> for PathText {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

impl From<&OsStr> for PathText {
    fn from(name: &OsStr) -> Self {
        Self(name.into())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Text(String),
    Raw { hex: String },
}

impl Serialize for PathText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match self.0.to_str() {
            Some(text) => Wire::Text(text.to_owned()),
            None => Wire::Raw { hex: to_hex(self.0.as_os_str().as_bytes()) },
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PathText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Wire::deserialize(deserializer)? {
            Wire::Text(text) => Ok(Self(text.into())),
            Wire::Raw { hex } => from_hex(&hex)
                .map(|bytes| Self(OsString::from_vec(bytes).into()))
                .ok_or_else(|| D::Error::custom("hex: expected pairs of hex digits")),
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
