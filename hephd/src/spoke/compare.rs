//! Compares this device's state with its hub's: hello says whether both hold the same ops, the buckets of the digest
//! say where the states differ. Nothing is exchanged here.

use super::cycle::{Cycle, Failure, Seen};
use super::hub_client::{Hub, Proven};
use heph_store::digest;
use heph_store::verify::Difference;

/// How many nodes are named.
const NODES_MAX: usize = 20;
/// How often it is tried again because somebody wrote meanwhile.
const TRIES: usize = 3;

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// The same ops, the same state.
    Equal,
    /// The same ops, another state.
    Differs(Difference),
    /// They do not hold the same ops.
    NotInStep,
    /// Ops lack values here, so that the states cannot be the same.
    Missing(u64),
    /// The hub merges by this other version of the rules.
    OtherRules(u32),
    /// The hub is not the one that this device belongs to.
    OtherHub,
}

impl<H: Hub> Cycle<H> {
    /// Compares.
    ///
    /// # Errors
    /// If the hub, the way to it, or the replica fails.
    pub(super) async fn compare(&self) -> Result<Compared, Failure> {
        for _ in 0..TRIES {
            if let Some(compared) = self.compare_once().await? {
                return Ok(compared);
            }
        }
        Ok(Compared::NotInStep)
    }

    /// `None` if somebody wrote in between.
    async fn compare_once(&self) -> Result<Option<Compared>, Failure> {
        let look = self.look().await?;
        let answer = self.hello(&look, &mut Seen::default()).await?;
        if look.here.pinned != Some(answer.hub.id) {
            return Ok(Some(Compared::OtherHub));
        }
        if look.here.vector_hash != answer.vector_hash.0 {
            return Ok(Some(Compared::NotInStep));
        }
        if look.here.missing > 0 {
            return Ok(Some(Compared::Missing(look.here.missing)));
        }
        if look.here.rules_version != answer.rules_version {
            return Ok(Some(Compared::OtherRules(answer.rules_version)));
        }
        let theirs = self.hub.digest(Proven::by(&answer)).await?;
        let theirs: Vec<[u8; 32]> = theirs.buckets.into_iter().map(|bucket| bucket.0).collect();
        if digest::total(&theirs) != answer.digest.0 {
            return Ok(None);
        }
        let vector_hash = look.here.vector_hash;
        let difference = self.read(move |view| {
            let same = view.vector()?.hash() == vector_hash;
            if same { view.difference(&theirs, NODES_MAX).map(Some) } else { Ok(None) }
        });
        Ok(difference.await?.map(|difference| match difference.buckets.is_empty() {
            true => Compared::Equal,
            false => Compared::Differs(difference),
        }))
    }
}
