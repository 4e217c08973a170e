//! The short calls of an exchange, on the replica that the gate handed out: the vector in parts, push, fork, digest,
//! single ops. They know neither identities nor that there are other owners.

use super::{
    asked::{Asked, PackedPage},
    error::Refused,
    gate::Admitted,
    replicas::HubReplica,
};
use crate::{
    limits::{FORK_TIPS_MAX, OPS_REQUEST_MAX, VECTOR_PART_ORIGINS},
    sync::{
        page::{compress, decompress},
        protocol::{
            DigestAnswer, DigestRequest, ForkAnswer, ForkRequest, OpsRequest, PAGE_TYPE, PushAnswer, VectorAnswer,
            VectorRequest,
        },
        text::{Base64, Hex},
    },
    work::off_the_loop,
};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use heph_store::{
    Error as StoreError, Result as StoreResult,
    merge::RULES_VERSION,
    page::{self, Stretch},
    replica::Ingested,
};
use hyper::header::CONTENT_TYPE;

/// Gives a part of the vector.
pub async fn vector(
    replica: Admitted,
    Asked(request, _turn): Asked<VectorRequest>,
) -> Result<Json<VectorAnswer>, Refused> {
    let whole = replica.readers.read(|view| view.vector()).await??;
    let part = whole.part(request.after, VECTOR_PART_ORIGINS);
    let last = part.iter().last().map(|(origin, _)| origin);
    let next = last.filter(|last| !whole.part(Some(*last), 1).is_empty());
    Ok(Json(VectorAnswer { vector: Base64(part.encode()), next, vector_hash: Hex(whole.hash()) }))
}

/// Takes a page in, and answers once it is durable.
pub async fn push(replica: Admitted, PackedPage(packed, _turn): PackedPage) -> Result<Json<PushAnswer>, Refused> {
    let decoded = off_the_loop(move || Ok::<_, Refused>(page::decode(&decompress(&packed)?)?));
    let stretches = decoded.await.map_err(|error| Refused::internal(&error))??;
    let Ingested { added, known, .. } = ingest(&replica, stretches).await?;
    let (end, vector) = replica.readers.read(|view| Ok::<_, StoreError>((view.end()?, view.vector()?))).await??;
    tracing::debug!(added, known, position = end.0, "took a page in");
    let vector_hash = Hex(vector.hash());
    Ok(Json(PushAnswer { added, known, position: end.0, roll: Hex(end.1), vector_hash }))
}

async fn ingest(replica: &HubReplica, stretches: Vec<Stretch>) -> Result<Ingested, Refused> {
    Ok(replica.writer.run(move |group| group.ingest(&stretches, None)).await??)
}

/// Says which of these places on a chain are here.
pub async fn fork(replica: Admitted, Asked(request, _turn): Asked<ForkRequest>) -> Result<Json<ForkAnswer>, Refused> {
    let ForkRequest { origin, tips } = request;
    if tips.len() > FORK_TIPS_MAX {
        return Err(Refused::too_large(format!("more than {FORK_TIPS_MAX} tips in one question")));
    }
    let known = replica.readers.read(move |view| {
        let here = |tip| view.holds(origin, tip);
        tips.iter().filter_map(|tip| here(tip).map(|here| here.then_some(*tip)).transpose()).collect::<StoreResult<_>>()
    });
    Ok(Json(ForkAnswer { known: known.await?? }))
}

/// Gives the digest's buckets.
pub async fn digest(replica: Admitted, _: Asked<DigestRequest>) -> Result<Json<DigestAnswer>, Refused> {
    let buckets = replica.readers.read(|view| view.buckets()).await??;
    Ok(Json(DigestAnswer { rules_version: RULES_VERSION, buckets: buckets.into_iter().map(Hex).collect() }))
}

/// Gives the stretches with these ops, as many of the first as one page holds.
pub async fn ops(replica: Admitted, Asked(request, _turn): Asked<OpsRequest>) -> Result<Response, Refused> {
    if request.ops.len() > OPS_REQUEST_MAX {
        return Err(Refused::too_large(format!("more than {OPS_REQUEST_MAX} ops in one question")));
    }
    let page = replica.readers.read(move |view| view.stretches_of(&request.ops)).await??;
    let packed = off_the_loop(move || compress(&page)).await.map_err(|error| Refused::internal(&error))?;
    let packed = packed.map_err(|error| Refused::internal(&error))?;
    Ok(([(CONTENT_TYPE, PAGE_TYPE)], packed).into_response())
}
