//! Hyper glue for both daemons: the accept loop, connections that cannot stall for ever, bodies that are bounded in
//! size and time. It knows no routes and no domain types.

use crate::{
    limits::{
        BODY_BYTES_PER_S_MIN, BODY_GRACE, BODY_STALL_TIMEOUT, BODY_TIMEOUT, DRAIN_BYTES_MAX, DRAIN_TIMEOUT,
        FIRST_REQUEST_GRACE, HEADER_BYTES_MAX, HEADER_READ_TIMEOUT, HEADERS_MAX, STALL_TIMEOUT, STOP_TIMEOUT,
    },
    places::{Place, Places},
    run::Shutdown,
};
use axum::{Router, body::Body};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    Request,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
    service::TowerToHyperService,
};
use std::{
    convert::Infallible,
    future::{Future, pending},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    time::{Instant, Sleep, sleep, sleep_until, timeout, timeout_at},
};

/// How long the accept loop rests after the system refused to accept (out of file descriptors, say).
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Where connections come from.
pub trait Accept: Send {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection. It must give up nothing when it is dropped in the middle, and must not wait for
    /// anything that the other side does.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

impl Accept for TcpListener {
    type Io = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<Self::Io> {
        let (stream, _) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Accepts connections and answers their requests by `routes`, at most `connections_max` at once, until the daemon is
/// asked to stop; then lets the answers in hand be finished, for a while. When all places are taken, the connection that
/// has had no request in hand for longest makes room for the next one.
pub async fn serve(listener: impl Accept, routes: Router, connections_max: usize, shutdown: Shutdown) {
    let places = Places::new(connections_max);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.requested() => break,
            accepted = next(&listener, &places) => accepted,
        };
        match accepted {
            Ok((io, place)) => {
                let connection = graceful.watch(connection(io, routes.clone(), place.clone()));
                tokio::spawn(serve_one(connection, place));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    if timeout(STOP_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

async fn next<L: Accept>(listener: &L, places: &Places) -> io::Result<(L::Io, Arc<Place>)> {
    let io = listener.accept().await?;
    let place = places.take().await;
    place.due(Some(Instant::now() + FIRST_REQUEST_GRACE));
    Ok((io, Arc::new(place)))
}

async fn serve_one(connection: impl Future<Output = Result<(), hyper::Error>>, place: Arc<Place>) {
    let ended = tokio::select! {
        biased;
        ended = connection => ended,
        () = place.lost() => return tracing::debug!("a connection without a request made room for another"),
    };
    if let Err(error) = ended {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke");
    }
}

/// Serves one connection: HTTP/1.1, its requests one after the other.
fn connection<I>(io: I, routes: Router, place: Arc<Place>) -> impl GracefulConnection<Error = hyper::Error> + Send
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let routes = TowerToHyperService::new(routes);
    let answer = service_fn(move |request: Request<Incoming>| {
        let begun = InHand::begin(place.clone()).map(|in_hand| (in_hand, routes.call(request.map(Drained::new))));
        async move {
            // Nothing is begun for a connection that is about to be closed: its client would not hear what came of it.
            let Some((in_hand, answered)) = begun else { return pending().await };
            Ok::<_, Infallible>(answered.await?.map(|body| Answer { body, _in_hand: in_hand }))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Unstalled::new(io)), answer)
}

/// A request in hand: as long as it is, its connection keeps its place.
struct InHand(Arc<Place>);

impl InHand {
    /// `None` if the place is lost already.
    fn begin(place: Arc<Place>) -> Option<Self> {
        place.due(None).then(|| Self(place))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.due(Some(Instant::now()));
    }
}

/// An answer's body; until it is sent, the request is in hand.
struct Answer {
    body: Body,
    _in_hand: InHand,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a body cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the limit.
    #[error("the body is longer than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive within {} s", BODY_TIMEOUT.as_secs())]
    TooSlow,
    /// Nothing more of it arrived.
    #[error("nothing of the body arrived for {} s", BODY_STALL_TIMEOUT.as_secs())]
    Stalled,
    /// It trickled.
    #[error("less than {BODY_BYTES_PER_S_MIN} bytes a second of the body arrived")]
    BelowRate,
    /// The connection broke, or the body is not framed as HTTP wants it.
    #[error("the body was cut short")]
    Cut(#[source] axum::BoxError),
}

/// Returns a whole body of at most `bytes_max` bytes.
///
/// # Errors
/// If it is longer, comes too slowly, or is cut short. What is announced as too long is refused before it comes.
pub async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    read_body_at(None, body, bytes_max).await
}

/// Does the same for a body that has a place, which is told from when on the body is behind the least rate.
///
/// # Errors
/// The same.
pub async fn read_body_at(place: Option<&Place>, body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLarge { bytes_max });
    }
    let collected = timeout(BODY_TIMEOUT, collect(place, Limited::new(body, bytes_max), bytes_max)).await;
    collected.map_err(|_| BodyError::TooSlow)?
}

async fn collect(place: Option<&Place>, mut body: Limited<Body>, bytes_max: usize) -> Result<Bytes, BodyError> {
    let (mut whole, begun) = (BytesMut::new(), Instant::now());
    loop {
        if let Some(place) = place {
            place.due(Some(begun + at_least_rate(whole.len())));
        }
        let due = begun + at_least_rate(whole.len()).max(BODY_GRACE);
        let frame =
            timeout_at(due, timeout(BODY_STALL_TIMEOUT, body.frame())).await.map_err(|_| BodyError::BelowRate)?;
        let Some(frame) = frame.map_err(|_| BodyError::Stalled)? else { return Ok(whole.freeze()) };
        match frame {
            Ok(frame) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(error) if error.is::<LengthLimitError>() => return Err(BodyError::TooLarge { bytes_max }),
            Err(error) => return Err(BodyError::Cut(error)),
        }
    }
}

/// How long so much of a body takes at the least rate.
fn at_least_rate(bytes: usize) -> Duration {
    Duration::from_millis(bytes as u64 * 1_000 / BODY_BYTES_PER_S_MIN)
}

/// A request's body which, if an answer was found before it was read, is read on for a while and thrown away: a client
/// that is still sending would otherwise meet a broken connection where the answer should be.
struct Drained {
    body: Option<Incoming>,
}

impl Drained {
    fn new(body: Incoming) -> Self {
        Self { body: Some(body) }
    }
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (unread, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                if timeout(DRAIN_TIMEOUT, drain(body)).await.is_err() {
                    tracing::debug!("a body that nobody wanted came too slowly");
                }
            });
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut left = DRAIN_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length > left {
            return;
        }
        left -= length;
    }
}

/// A connection that breaks when the other side takes nothing for [`STALL_TIMEOUT`]: a reader that has gone away, or
/// wants to hold something here, is not waited for.
struct Unstalled<I> {
    io: I,
    /// Runs while something waits to be taken.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<I> Unstalled<I> {
    fn new(io: I) -> Self {
        Self { io, deadline: None }
    }

    /// Starts, stops or asks the clock, by what came of a write.
    fn watch<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.deadline = None;
            return wrote;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALL_TIMEOUT)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Unstalled<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Unstalled<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_not_waited_for() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut stalled = Unstalled::new(ours);
        let begun = Instant::now();
        let error = stalled.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), STALL_TIMEOUT.as_secs());
    }

    #[tokio::test]
    async fn a_body_is_bounded() {
        assert_eq!(read_body(Body::from("12345"), 5).await.unwrap(), "12345");
        assert!(matches!(read_body(Body::from("123456"), 5).await, Err(BodyError::TooLarge { bytes_max: 5 })));
        let parts = futures_util::stream::iter([Ok::<_, io::Error>("123"), Ok("456")]);
        assert!(matches!(read_body(Body::from_stream(parts), 5).await, Err(BodyError::TooLarge { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_not_waited_for() {
        let never = futures_util::stream::pending::<Result<Bytes, io::Error>>();
        assert!(matches!(read_body(Body::from_stream(never), 5).await, Err(BodyError::Stalled)));
        let begun = Instant::now();
        assert!(matches!(read_body(every_second(b"x", 500), 500).await, Err(BodyError::BelowRate)));
        assert_eq!(begun.elapsed(), BODY_GRACE);
        assert!(matches!(read_body(every_second(&[0; 2_000], 500), 1 << 20).await, Err(BodyError::TooSlow)));
    }

    /// So many chunks, one a second.
    fn every_second(chunk: &'static [u8], count: usize) -> Body {
        Body::from_stream(futures_util::stream::unfold(0, move |sent| async move {
            sleep(Duration::from_secs(1)).await;
            (sent < count).then(|| (Ok::<_, io::Error>(chunk), sent + 1))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_over_64_kbit_a_second_is_waited_for() {
        let page = every_second(&[0; 8_000], 110);
        assert_eq!(read_body(page, 1 << 20).await.unwrap().len(), 880_000);
        let behind = every_second(&[0; 1_000], 30);
        assert!(matches!(read_body(behind, 1 << 20).await, Err(BodyError::BelowRate)));
    }
}
