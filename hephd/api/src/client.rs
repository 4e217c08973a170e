//! The only client of the local API: one connection and one request per call, each with a deadline.
//!
//! It never hangs on a daemon: connecting has a deadline of its own, and what answers is told apart from what
//! does not: no daemon, a daemon too slow, another program, a daemon of another version. A daemon that is about to
//! listen, or to make room for the next one, is waited for a little.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use crate::causes::with_causes;
use crate::{ApiError, Call, VERSION, VERSION_HEADER, change::Change, socket::socket_path, types::ReadVersion};

const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// How long a daemon may take to say who it is, before it is asked for what may take as long as it takes.
const ALIVE_DEADLINE: Duration = Duration::from_secs(2);
/// How often a daemon that does not listen is looked for again, while it is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens: no socket file, or one that nobody has open.
    #[error("the heph daemon is not running ({why} at {})", .socket.display())]
    NotRunning {
        /// Where it was looked for.
        socket: PathBuf,
        /// `no socket`, or `a stale socket`.
        why: &'static str,
    },
    /// The socket is there, and opening a connection fails.
    #[error("cannot connect to the heph daemon at {}", .socket.display())]
    Connect {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon is there and did not answer in time.
    #[error("the heph daemon at {} did not answer within {} s", .socket.display(), .after.as_secs())]
    TooSlow {
        /// Where.
        socket: PathBuf,
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection ended before the answer: the daemon stopped, or the request broke it.
    #[error("the heph daemon at {} closed the connection before it answered", .socket.display())]
    Interrupted {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: hyper::Error,
    },
    /// What answers does not say a version of heph.
    #[error("the program that answers at {} is not a heph daemon", .socket.display())]
    NotHeph {
        /// Where.
        socket: PathBuf,
    },
    /// The daemon is of another version, and this call differs between the two.
    #[error("the daemon is heph {theirs}, this is heph {VERSION}, and they do not understand each other here")]
    OtherVersion {
        /// The daemon's version.
        theirs: String,
        /// What could not be read.
        source: serde_json::Error,
    },
    /// The daemon is of this version, and its answer is not what this call gives: a defect.
    #[error("the answer to {path} cannot be read")]
    BadAnswer {
        /// Which call.
        path: &'static str,
        /// What could not be read.
        source: serde_json::Error,
    },
    /// The request cannot be written as JSON: a defect.
    #[error("the request for {path} cannot be written")]
    BadRequest {
        /// Which call.
        path: &'static str,
        /// What could not be written.
        source: serde_json::Error,
    },
    /// The daemon answered with an error.
    #[error(transparent)]
    Refused(ApiError),
    /// The runtime for one call cannot be started.
    #[error("cannot start waiting for the daemon")]
    Runtime(#[source] io::Error),
}

impl ClientError {
    /// Returns the error as the daemon would have said it, with a code of its own for what happens before a
    /// daemon answers: `not_running`, `too_slow`, `interrupted`, `not_heph`, `other_version`, `unreadable`.
    pub fn to_api_error(&self) -> ApiError {
        let (code, hint) = match self {
            Self::Refused(error) => return error.clone(),
            Self::NotRunning { socket, .. } => {
                return ApiError::new("not_running", self.to_string()).with_hint(how_to_start(socket));
            }
            Self::Connect { .. } => ("not_running", "is the socket yours? `ls -l` on it says so"),
            Self::TooSlow { .. } => ("too_slow", "what was asked for may still be done; look, then try again"),
            Self::Interrupted { .. } => ("interrupted", "what was asked for may have been done; look, then try again"),
            Self::NotHeph { .. } => ("not_heph", "give the right one: --socket PATH, or HEPH_SOCKET"),
            Self::OtherVersion { .. } => ("other_version", "restart hephd, so that both are of one version"),
            Self::BadAnswer { .. } | Self::BadRequest { .. } => ("unreadable", "this is a defect in heph"),
            Self::Runtime(_) => ("no_runtime", "is the limit of open files reached? `ulimit -n` says so"),
        };
        ApiError::new(code, with_causes(self)).with_hint(hint)
    }

    /// Returns whether there is no daemon to talk to.
    pub fn is_not_running(&self) -> bool {
        matches!(self, Self::NotRunning { .. } | Self::Connect { .. })
    }
}

/// Returns the command that starts the daemon behind this socket.
fn how_to_start(socket: &Path) -> String {
    match socket_path(None) {
        Ok(usual) if usual == socket => "start it: hephd --mode local &".to_owned(),
        _ => format!("start it: hephd --mode local --socket {} &", socket.display()),
    }
}

/// A client of the daemon behind one socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Returns a client of the daemon at `socket`; nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Returns where the daemon is looked for.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a call and waits for its answer, on a small runtime of its own: for programs that are not async.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn call<C: Call>(&self, call: &C) -> Result<C::Answer, ClientError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ClientError::Runtime)?
            .block_on(self.send(call))
    }

    /// Sends a call and returns its answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn send<C: Call>(&self, call: &C) -> Result<C::Answer, ClientError> {
        if C::DEADLINE.is_none() {
            self.send_within(&ReadVersion {}, Some(ALIVE_DEADLINE)).await?; // A daemon that is stuck is told at once.
        }
        self.send_within(call, C::DEADLINE).await
    }

    async fn send_within<C: Call>(&self, call: &C, deadline: Option<Duration>) -> Result<C::Answer, ClientError> {
        let body = serde_json::to_vec(call).map_err(|source| ClientError::BadRequest { path: C::PATH, source })?;
        let stream = self.connect().await?;
        let exchange = self.exchange(stream, C::PATH, body);
        let reply = match deadline {
            None => exchange.await?,
            Some(after) => timeout(after, exchange).await.map_err(|_| self.too_slow(after))??,
        };
        self.read::<C>(reply)
    }

    /// Connects; where nobody listens, again for as long as somebody may be about to.
    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let (begun, mut looks) = (Instant::now(), 0);
        loop {
            let outcome = self.try_to_connect().await;
            looks += 1;
            let is_worth_it = || Change::of(&self.socket).is_worth_another_look(looks, begun.elapsed());
            match outcome {
                Err(ClientError::NotRunning { .. }) if is_worth_it() => sleep(LOOK_AGAIN).await,
                outcome => return outcome,
            }
        }
    }

    async fn try_to_connect(&self) -> Result<UnixStream, ClientError> {
        let connecting = timeout(CONNECT_DEADLINE, UnixStream::connect(&self.socket));
        let connected = connecting.await.map_err(|_| self.too_slow(CONNECT_DEADLINE))?;
        connected.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => self.not_running("no socket"),
            io::ErrorKind::ConnectionRefused => self.not_running("a stale socket"),
            _ => ClientError::Connect { socket: self.socket.clone(), source },
        })
    }

    async fn exchange(&self, stream: UnixStream, path: &'static str, body: Vec<u8>) -> Result<Reply, ClientError> {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(error))?;
        let asking = async move {
            // Both end by themselves when the connection does; that ends in turn when the sender is dropped here.
            Reply::read(sender.send_request(request(path, body)).await?).await
        };
        let (reply, driven) = tokio::join!(asking, connection);
        // A daemon that stops right after its answer has answered.
        reply.map_err(|error| self.broken(driven.err().unwrap_or(error)))
    }

    fn read<C: Call>(&self, reply: Reply) -> Result<C::Answer, ClientError> {
        let Some(theirs) = reply.version else {
            return Err(ClientError::NotHeph { socket: self.socket.clone() });
        };
        let unreadable = |source| match theirs == VERSION {
            true => ClientError::BadAnswer { path: C::PATH, source },
            false => ClientError::OtherVersion { theirs: theirs.clone(), source },
        };
        match reply.status.is_success() {
            true => serde_json::from_slice(&reply.body).map_err(unreadable),
            false => Err(serde_json::from_slice(&reply.body).map_or_else(unreadable, ClientError::Refused)),
        }
    }

    fn not_running(&self, why: &'static str) -> ClientError {
        ClientError::NotRunning { socket: self.socket.clone(), why }
    }

    fn too_slow(&self, after: Duration) -> ClientError {
        ClientError::TooSlow { socket: self.socket.clone(), after }
    }

    fn broken(&self, error: hyper::Error) -> ClientError {
        match error.is_parse() {
            true => ClientError::NotHeph { socket: self.socket.clone() },
            false => ClientError::Interrupted { socket: self.socket.clone(), source: error },
        }
    }
}

/// What came back, before anybody knows what it means.
struct Reply {
    status: StatusCode,
    version: Option<String>,
    body: Bytes,
}

impl Reply {
    async fn read(response: Response<Incoming>) -> Result<Self, hyper::Error> {
        let status = response.status();
        let version = response.headers().get(VERSION_HEADER).and_then(|value| value.to_str().ok());
        let version = version.map(str::to_owned);
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Self { status, version, body })
    }
}

fn request(path: &'static str, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post(path)
        .header(HOST, "heph")
        .header(CONTENT_TYPE, "application/json")
        .header(VERSION_HEADER, VERSION)
        .body(Full::new(Bytes::from(body)))
        .expect("a path and headers written in this file are valid HTTP")
}

#[cfg(test)]
mod tests;
