//! An origin's key, and what it signs: the last op of every stretch. Since each op names the hash of the one before,
//! one signature covers the whole chain behind it.

use crate::id::{OpId, Origin};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

const SIGNED: &[u8] = b"heph stretch 1";

/// The key pair of an origin. Whoever has it can write as that origin.
pub struct OriginKey(SigningKey);

impl std::fmt::Debug for OriginKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OriginKey({})", self.origin())
    }
}

impl OriginKey {
    /// The key made from 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half, which stands in the first op of the chain.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The origin that this key writes as.
    pub fn origin(&self) -> Origin {
        origin_of(&self.public())
    }

    /// Signs a stretch by its last op.
    pub fn sign(&self, last: &OpId) -> [u8; 64] {
        self.0.sign(&message(last)).to_bytes()
    }
}

/// The origin that a public key belongs to.
pub fn origin_of(public: &[u8; 32]) -> Origin {
    let mut origin = [0; 16];
    origin.copy_from_slice(&Sha256::digest(public)[..16]);
    Origin::from_bytes(origin)
}

/// Whether `signature` is `public`'s over the stretch that ends in `last`.
pub fn verify(public: &[u8; 32], last: &OpId, signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public)
        .is_ok_and(|key| key.verify_strict(&message(last), &Signature::from_bytes(signature)).is_ok())
}

fn message(last: &OpId) -> Vec<u8> {
    [SIGNED, last.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_for_one_key_and_one_op() {
        let (key, other) = (OriginKey::from_seed(&[1; 32]), OriginKey::from_seed(&[2; 32]));
        let op = OpId::from_bytes([3; 32]);
        let signature = key.sign(&op);
        assert!(verify(&key.public(), &op, &signature));
        assert!(!verify(&other.public(), &op, &signature));
        assert!(!verify(&key.public(), &OpId::from_bytes([4; 32]), &signature));
    }

    #[test]
    fn a_key_is_printed_as_its_origin_alone() {
        let key = OriginKey::from_seed(&[1; 32]);
        assert_eq!(format!("{key:?}"), format!("OriginKey({})", key.origin()));
    }
}
