//! Whom an identity acts for. Nothing here knows of tokens or of ops.

use super::identity::Identity;
use heph_store::id::OwnerId;

/// The hub's owners, as far as identities are concerned.
#[derive(Debug)]
pub struct Owners {
    /// Whom everybody acts for who comes through an open door.
    pub first: OwnerId,
}

impl Owners {
    /// Returns the owner that this identity acts for; `None` if it may act for nobody here. The only way to an owner.
    pub fn resolve_owner(&self, identity: &Identity) -> Option<OwnerId> {
        match identity {
            Identity::Open => Some(self.first),
        }
    }
}
