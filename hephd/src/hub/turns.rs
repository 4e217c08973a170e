//! How much a hub does at once, each kind of it with a bound of its own: bodies that arrive, requests in hand, pulls,
//! listeners. So a device on a thin line that sends for a minute, or one that only listens, takes no place from another
//! that asks and is answered.
//!
//! ```text
//! head ─▶ gate ─▶ body arrives (bodies) ─▶ in hand (requests) ─▶ answered, or streamed (pulls)
//!            └──▶ listens (listeners)
//! ```

use super::{Hub, error::Refused};
use crate::{
    http::read_body_at,
    limits::{BODIES_MAX, LISTENERS_MAX, PULLS_MAX, REQUESTS_MAX},
    places::Places,
};
use axum::{body::Body, extract::FromRef};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of each kind. Clones share them.
#[derive(Clone)]
pub struct Turns {
    bodies: Places,
    requests: Arc<Semaphore>,
    pulls: Arc<Semaphore>,
    listeners: Arc<Semaphore>,
}

/// A place, until it is dropped.
#[must_use]
pub struct Turn(#[expect(dead_code, reason = "it is held, not looked at")] OwnedSemaphorePermit);

impl Turns {
    /// Returns a whole body of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// If too many arrive, or this one is too long, too slow or cut short. Where too many arrive, the one that is
    /// furthest behind the least rate goes.
    pub async fn body(&self, body: Body, bytes_max: usize) -> Result<Bytes, Refused> {
        let too_much = || Refused::busy("the hub is being sent too much at once");
        let place = self.bodies.try_take().ok_or_else(too_much)?;
        tokio::select! {
            biased;
            () = place.lost() => Err(too_much()),
            whole = read_body_at(Some(&place), body, bytes_max) => Ok(whole?),
        }
    }

    /// Takes a turn for a request whose body is here.
    ///
    /// # Errors
    /// If too many are in hand.
    pub fn request(&self) -> Result<Turn, Refused> {
        take(&self.requests, "the hub has too many requests in hand")
    }

    /// Takes a place for a pull, which outlives its request.
    ///
    /// # Errors
    /// If there are too many.
    pub fn pull(&self) -> Result<Turn, Refused> {
        take(&self.pulls, "the hub has too many pulls in hand")
    }

    /// Takes a place for somebody who listens to events.
    ///
    /// # Errors
    /// If there are too many.
    pub fn listener(&self) -> Result<Turn, Refused> {
        take(&self.listeners, "the hub has too many listeners")
    }
}

impl Default for Turns {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            bodies: Places::new(BODIES_MAX),
            requests: places(REQUESTS_MAX),
            pulls: places(PULLS_MAX),
            listeners: places(LISTENERS_MAX),
        }
    }
}

impl FromRef<Arc<Hub>> for Turns {
    fn from_ref(hub: &Arc<Hub>) -> Self {
        hub.turns.clone()
    }
}

fn take(places: &Arc<Semaphore>, message: &str) -> Result<Turn, Refused> {
    places.clone().try_acquire_owned().map(Turn).map_err(|_| Refused::busy(message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures_util::{FutureExt, stream};
    use std::io;

    #[test]
    fn listeners_take_no_place_from_pulls_nor_either_from_requests() {
        let turns = Turns::default();
        let listeners: Vec<_> = (0..LISTENERS_MAX).map(|_| turns.listener().unwrap()).collect();
        assert!(turns.listener().is_err());
        let pulls: Vec<_> = (0..PULLS_MAX).map(|_| turns.pull().unwrap()).collect();
        assert!(turns.pull().is_err());
        let requests: Vec<_> = (0..REQUESTS_MAX).map(|_| turns.request().unwrap()).collect();
        assert!(turns.request().is_err());
        drop((listeners, pulls, requests));
        assert!(turns.listener().is_ok() && turns.pull().is_ok() && turns.request().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_trickle_take_no_turn_and_are_not_waited_for() {
        let turns = Turns::default();
        let never = || Body::from_stream(stream::pending::<Result<Bytes, io::Error>>());
        let mut arriving: Vec<_> = (0..BODIES_MAX).map(|_| Box::pin(turns.body(never(), 500))).collect();
        for body in &mut arriving {
            assert!(body.now_or_never().is_none());
        }
        assert!(turns.request().is_ok());
        assert_eq!(turns.body(Body::from("x"), 500).await.unwrap(), "x", "one of those that are behind makes room");
        let mut statuses = Vec::new();
        for body in arriving {
            statuses.push(body.await.unwrap_err().status.as_u16());
        }
        statuses.sort_unstable();
        assert_eq!((statuses[0], statuses[BODIES_MAX - 2], statuses[BODIES_MAX - 1]), (408, 408, 503));
    }
}
