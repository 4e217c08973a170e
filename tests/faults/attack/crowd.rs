//! A crowd: so many connections from so many addresses, each doing the same thing, for as long as it stands there.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, UnixStream},
    runtime::Runtime,
    time::sleep,
};

/// How many of this machine's addresses a crowd comes from.
const SOURCES: usize = 50;
/// File descriptors that a test needs besides those of its crowd.
const FDS_SPARE: u64 = 500;
/// How long somebody who was sent away, or not let in, waits before the next try.
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// How often somebody who drips sends a byte.
const DRIP: Duration = Duration::from_millis(250);

/// What each of a crowd does with its connection.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Sends this and nothing more, and takes nothing of what comes.
    Hold(Vec<u8>),
    /// Sends the first of these, then the other byte by byte, for ever.
    Drip(Vec<u8>, u8),
    /// Sends the first of these, then the other again and again, as fast as it is taken.
    Pour(Vec<u8>, Vec<u8>),
    /// Sends this, reads what comes until the end, and comes again.
    Knock(Vec<u8>),
}

/// Where they come.
#[derive(Debug, Clone)]
pub enum At {
    /// A hub.
    Hub(SocketAddr),
    /// A daemon's local socket.
    Socket(PathBuf),
}

impl At {
    /// The hub at `ADDRESS:PORT`.
    pub fn hub(address: &str) -> Self {
        Self::Hub(address.parse().expect("an address and a port"))
    }

    /// The socket at this path.
    pub fn socket(path: &Path) -> Self {
        Self::Socket(path.to_owned())
    }
}

#[derive(Debug, Default)]
struct Counts {
    standing: AtomicUsize,
    most: AtomicUsize,
    let_in: AtomicUsize,
    sent_away: AtomicUsize,
}

/// People at a door. They go when it is dropped.
#[derive(Debug)]
pub struct Crowd {
    counts: Arc<Counts>,
    size: usize,
    // Dropped last, and with it all connections.
    _runtime: Runtime,
}

impl Crowd {
    /// So many come at once, as far as this process may open so many files, and each does this.
    pub fn gather(at: &At, size: usize, deed: &Deed) -> Self {
        let size = size.min(may_open());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("threads for a crowd");
        let counts = Arc::new(Counts::default());
        for number in 0..size {
            runtime.spawn(one(at.clone(), number, deed.clone(), counts.clone()));
        }
        Self { counts, size, _runtime: runtime }
    }

    /// How many were to come.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many connections were made so far, to somebody who may not have looked at them yet.
    pub fn let_in(&self) -> usize {
        self.counts.let_in.load(Ordering::SeqCst)
    }

    /// How many connections have ended so far.
    pub fn sent_away(&self) -> usize {
        self.counts.sent_away.load(Ordering::SeqCst)
    }

    /// How many connections were open at once.
    pub fn most(&self) -> usize {
        self.counts.most.load(Ordering::SeqCst)
    }
}

/// Lets this process open as many files as it may; returns how many a crowd may take.
fn may_open() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let (most, wanted) = (limit.maximum.unwrap_or(u64::MAX), Some(limit.maximum.unwrap_or(65_536)));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: limit.maximum });
    let now = if raised.is_ok() { most } else { limit.current.unwrap_or(most) };
    usize::try_from(now.saturating_sub(FDS_SPARE)).unwrap_or(usize::MAX)
}

async fn one(at: At, number: usize, deed: Deed, counts: Arc<Counts>) {
    loop {
        match &at {
            At::Hub(address) => {
                let socket = TcpSocket::new_v4().expect("a file descriptor");
                if cfg!(target_os = "linux") {
                    let source = SocketAddr::from(([127, 0, 0, 2 + (number % SOURCES) as u8], 0));
                    socket.bind(source).expect("an address of this machine");
                }
                if let Ok(stream) = socket.connect(*address).await {
                    act(stream, &deed, &counts).await;
                }
            }
            At::Socket(path) => {
                if let Ok(stream) = UnixStream::connect(path).await {
                    act(stream, &deed, &counts).await;
                }
            }
        }
        sleep(TRY_AGAIN).await;
    }
}

async fn act(mut stream: impl AsyncRead + AsyncWrite + Unpin, deed: &Deed, counts: &Counts) {
    counts.let_in.fetch_add(1, Ordering::SeqCst);
    let standing = counts.standing.fetch_add(1, Ordering::SeqCst) + 1;
    counts.most.fetch_max(standing, Ordering::SeqCst);
    // That the connection ends is what is waited for; how it ends is the daemon's affair.
    drop(perform(&mut stream, deed).await);
    counts.standing.fetch_sub(1, Ordering::SeqCst);
    counts.sent_away.fetch_add(1, Ordering::SeqCst);
}

async fn perform(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), deed: &Deed) -> std::io::Result<()> {
    match deed {
        Deed::Hold(bytes) => {
            stream.write_all(bytes).await?;
            std::future::pending().await
        }
        Deed::Drip(first, byte) => {
            stream.write_all(first).await?;
            loop {
                sleep(DRIP).await;
                stream.write_all(&[*byte]).await?;
            }
        }
        Deed::Pour(first, more) => {
            stream.write_all(first).await?;
            loop {
                stream.write_all(more).await?;
            }
        }
        Deed::Knock(bytes) => {
            stream.write_all(bytes).await?;
            let mut answer = [0; 4096];
            while stream.read(&mut answer).await? > 0 {}
            Ok(())
        }
    }
}
