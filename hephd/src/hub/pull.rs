//! Pull: the ops that the caller lacks, in log order, page by page, as they are read. Each page is one short read on a
//! connection of the stream's own, so that a slow reader holds neither the writer nor an old state of the file; a few
//! pages are ready ahead of it, and no more.

use super::{Hub, asked::Asked, error::Refused, gate::Admitted, lines, turns::Turn};
use crate::{
    limits::{PAGE_BYTES_MIN, PULL_ITEMS_AHEAD, STALL_TIMEOUT, VECTOR_PART_ORIGINS},
    run::Shutdown,
    sync::{
        page::Item,
        protocol::{NDJSON_TYPE, PAGES_TYPE, PullRequest, code},
    },
    work::off_the_loop,
};
use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use heph_store::{
    codec::Reader, error::Error as StoreError, exchange::Coverage, page::PAGE_BYTES_AIM, read::Reads, replica::Cursor,
    vector::Vector,
};
use hyper::{
    HeaderMap,
    header::{ACCEPT, CONTENT_TYPE},
};
use std::{io, sync::Arc};
use tokio::{sync::mpsc, time::timeout};

/// How the ops are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Items, for programs.
    Pages,
    /// An op a line, for people.
    Lines,
}

impl Form {
    fn asked(headers: &HeaderMap) -> Self {
        let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if accepted.any(|accepted| accepted.contains(NDJSON_TYPE)) { Self::Lines } else { Self::Pages }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Pages => PAGES_TYPE,
            Self::Lines => NDJSON_TYPE,
        }
    }
}

/// Streams what the caller lacks.
pub async fn pull(
    replica: Admitted,
    State(hub): State<Arc<Hub>>,
    headers: HeaderMap,
    asked: Result<Asked<PullRequest>, Refused>,
) -> Result<Response, Refused> {
    let Asked(request, _turn) = asked.map_err(too_long)?;
    let place = hub.turns.pull()?;
    let (vector, page_bytes) = (decode_vector(&request)?, page_bytes_of(&request));
    let readers = replica.readers.clone();
    let form = Form::asked(&headers);
    let begun = off_the_loop(move || Walk::begin(readers.open()?, request.cursor, &vector, page_bytes, form));
    let walk = begun.await.map_err(|error| Refused::internal(&error))??;
    let (sender, mut receiver) = mpsc::channel::<io::Result<Bytes>>(PULL_ITEMS_AHEAD);
    tokio::spawn(send(walk, sender, hub.shutdown.clone(), place));
    let body = Body::from_stream(stream::poll_fn(move |cx| receiver.poll_recv(cx)));
    Ok(([(CONTENT_TYPE, form.content_type())], body).into_response())
}

/// What makes a pull too large is its vector.
fn too_long(refused: Refused) -> Refused {
    if refused.refusal.code == code::TOO_LARGE { Refused::vector_too_long(VECTOR_PART_ORIGINS) } else { refused }
}

fn decode_vector(request: &PullRequest) -> Result<Vector, Refused> {
    let Some(encoded) = &request.vector else { return Ok(Vector::default()) };
    let origins = Reader::new(&encoded.0).varint().unwrap_or_default();
    if origins > VECTOR_PART_ORIGINS as u64 {
        return Err(Refused::vector_too_long(VECTOR_PART_ORIGINS));
    }
    Vector::decode(&encoded.0, VECTOR_PART_ORIGINS)
        .map_err(|why| Refused::bad_request(format!("the vector cannot be read: {why}")))
}

fn page_bytes_of(request: &PullRequest) -> usize {
    let asked = request.page_bytes.and_then(|bytes| usize::try_from(bytes).ok());
    asked.unwrap_or(PAGE_BYTES_AIM).clamp(PAGE_BYTES_MIN, PAGE_BYTES_AIM)
}

/// How far a stream has come.
struct Walk {
    reads: Reads,
    coverage: Coverage,
    position: u64,
    page_bytes: usize,
    form: Form,
}

/// The next part of a stream, and whether it is the last.
struct Step {
    bytes: Bytes,
    is_end: bool,
}

impl Walk {
    fn begin(
        reads: Reads,
        cursor: Option<Cursor>,
        vector: &Vector,
        page_bytes: usize,
        form: Form,
    ) -> Result<Self, Refused> {
        let (coverage, unknown) = reads.read(|view| {
            if let Some(cursor) = &cursor
                && !view.position_is(cursor)?
            {
                return Err(Refused::cursor_unknown());
            }
            Ok(view.coverage(vector)?)
        })?;
        if !unknown.is_empty() {
            let mut origins: Vec<_> = unknown.into_iter().map(|(origin, _)| origin).collect();
            origins.dedup();
            return Err(Refused::unknown_tips(origins));
        }
        let position = cursor.map_or(0, |cursor| cursor.position);
        Ok(Self { reads, coverage, position, page_bytes, form })
    }

    /// Reads one page, or the end of the log, in one view: what the end covers has been sent.
    fn step(&mut self) -> io::Result<Step> {
        let item = self.next_item().map_err(io::Error::other)?;
        self.position = item.position;
        let bytes = match self.form {
            Form::Pages => item.encode()?,
            Form::Lines => lines::write(&item.page)?,
        };
        Ok(Step { bytes: bytes.into(), is_end: item.is_end() })
    }

    fn next_item(&self) -> Result<Item, StoreError> {
        self.reads.read(|view| {
            Ok(match view.page_after(self.position, &self.coverage, self.page_bytes)? {
                Some(page) => Item { position: page.position, roll: page.roll, page: page.bytes },
                None => {
                    let (position, roll) = view.end()?;
                    Item { position, roll, page: Vec::new() }
                }
            })
        })
    }
}

/// Reads and sends until the end of the log, or until the reader is gone, too slow, or the hub stops. A stream that
/// does not reach the end is broken off, so that its reader cannot take it for whole.
async fn send(mut walk: Walk, sender: mpsc::Sender<io::Result<Bytes>>, shutdown: Shutdown, _place: Turn) {
    loop {
        let stepped = off_the_loop(move || walk.step().map(|step| (walk, step)));
        let (next, step) = match stepped.await.map_err(io::Error::other).flatten() {
            Ok(stepped) => stepped,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a pull broke");
                break give_up(&sender, error).await;
            }
        };
        walk = next;
        tokio::select! {
            biased;
            () = shutdown.requested() => break give_up(&sender, io::ErrorKind::Interrupted.into()).await,
            sent = timeout(STALL_TIMEOUT, sender.send(Ok(step.bytes))) => match sent {
                Ok(Ok(())) if !step.is_end => {}
                Ok(Ok(()) | Err(_)) => break,
                Err(_) => break give_up(&sender, io::ErrorKind::TimedOut.into()).await,
            },
        }
    }
}

async fn give_up(sender: &mpsc::Sender<io::Result<Bytes>>, why: io::Error) {
    if !matches!(timeout(STALL_TIMEOUT, sender.send(Err(why))).await, Ok(Ok(()))) {
        tracing::debug!("the reader of a pull is gone");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sync::text::Base64;
    use heph_store::{
        id::{OpId, Origin, Seq},
        vector::Tip,
    };

    fn asked(vector: Vec<u8>) -> Result<Vector, Refused> {
        decode_vector(&PullRequest { vector: Some(Base64(vector)), ..PullRequest::default() })
    }

    fn vector_of(origins: u32) -> Vector {
        let mut vector = Vector::default();
        for number in 0..origins {
            let mut origin = [0; 16];
            origin[..4].copy_from_slice(&number.to_be_bytes());
            vector.insert(Origin::from_bytes(origin), Tip { seq: Seq::FIRST, id: OpId::from_bytes([7; 32]) });
        }
        vector
    }

    #[test]
    fn a_vector_has_its_limit_and_its_one_form() {
        let most = vector_of(VECTOR_PART_ORIGINS as u32);
        assert_eq!(asked(most.encode()).unwrap(), most);
        let code_for = |vector| asked(vector).unwrap_err().refusal.code;
        assert_eq!(code_for(vector_of(VECTOR_PART_ORIGINS as u32 + 1).encode()), code::VECTOR_TOO_LONG);
        assert_eq!(code_for(vec![0xff, 0xff, 0xff, 0x7f]), code::VECTOR_TOO_LONG);
        assert_eq!(code_for(vec![1, 2]), code::BAD_REQUEST);
        assert_eq!(code_for(Vec::new()), code::BAD_REQUEST);
    }

    #[test]
    fn a_page_is_neither_tiny_nor_larger_than_the_hub_likes() {
        let bytes = |page_bytes| page_bytes_of(&PullRequest { page_bytes, ..PullRequest::default() });
        assert_eq!(bytes(None), PAGE_BYTES_AIM);
        assert_eq!(bytes(Some(1)), PAGE_BYTES_MIN);
        assert_eq!(bytes(Some(100_000)), 100_000);
        assert_eq!(bytes(Some(u64::MAX)), PAGE_BYTES_AIM);
    }
}
