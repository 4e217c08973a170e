//! Bytes in JSON: fixed lengths as hex, the rest as base64 (the standard alphabet, padded).

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// `N` bytes, in JSON as `2 * N` hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

/// Any bytes, in JSON as base64.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Base64(pub Vec<u8>);

impl<const N: usize> std::fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl<const N: usize> std::fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hex({self})")
    }
}

impl<const N: usize> From<[u8; N]> for Hex<N> {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut bytes = [0; N];
        let wanted = || D::Error::custom(format!("not {} hex digits", 2 * N));
        hex::decode_to_slice(text, &mut bytes).map_err(|_| wanted())?;
        Ok(Self(bytes))
    }
}

impl std::fmt::Debug for Base64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base64({} bytes)", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytes_read_back_and_what_is_none_is_refused() {
        let hex = Hex([1, 0xfe]);
        assert_eq!(serde_json::to_string(&hex).unwrap(), "\"01fe\"");
        assert_eq!(serde_json::from_str::<Hex<2>>("\"01fe\"").unwrap(), hex);
        assert!(serde_json::from_str::<Hex<2>>("\"01f\"").is_err());
        assert!(serde_json::from_str::<Hex<2>>("\"01feaa\"").is_err());
        assert!(serde_json::from_str::<Hex<2>>("7").is_err());
        let base64 = Base64(vec![0, 255, 3]);
        assert_eq!(serde_json::to_string(&base64).unwrap(), "\"AP8D\"");
        assert_eq!(serde_json::from_str::<Base64>("\"AP8D\"").unwrap(), base64);
        assert!(serde_json::from_str::<Base64>("\"AP8\"").is_err());
    }
}
