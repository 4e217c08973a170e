//! Every limit of the daemon on what others may send, take or hold, with its unit in its name. How they relate is
//! asserted below, at compile time.

use heph_store::page;
use std::time::Duration;

/// Connections to a hub at once; the next one waits until one ends, or takes the place of one without a request.
pub const CONNECTIONS_MAX: usize = 512;
/// Bodies that a hub is being sent at once; further ones get 503.
pub const BODIES_MAX: usize = 128;
/// Requests in hand at once, whose bodies are there; further ones get 503.
pub const REQUESTS_MAX: usize = 64;
/// Pulls at once; further ones get 503.
pub const PULLS_MAX: usize = 64;
/// Listeners to events at once; further ones get 503.
pub const LISTENERS_MAX: usize = 192;
/// What hyper buffers of a connection: bounds request line and headers together.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Header lines of a request.
pub const HEADERS_MAX: usize = 64;
/// How long a connection that has just come has for its first request before it may have to make room for another. In
/// that time a request is on its way, also from far away; without it, those of a crowd would be turned away unread.
pub const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(250);
/// How long the head of a request may take to arrive; also how long an idle connection is kept.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the body of a request may take to arrive: the largest page at 64 kbit/s.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// How long nothing of a body may arrive.
pub const BODY_STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// What of a body has to arrive in a second, on average since its start.
pub const BODY_BYTES_PER_S_MIN: u64 = 1024;
/// How long a body may be slower than that.
pub const BODY_GRACE: Duration = Duration::from_secs(10);
/// How much of a body that nobody wants is still read, so that its sender gets to read the answer.
pub const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long that may take.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stream waits for a reader that takes nothing.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long connections have to end when the daemon stops.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A body that says hello.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;
/// A JSON body. It holds a vector of [`VECTOR_PART_ORIGINS`] origins of two tips each, in base64.
pub const JSON_BYTES_MAX: usize = 1024 * 1024;
/// A page as it travels, compressed. What zstd cannot compress grows a little, and a proxy takes 1 MB.
pub const PAGE_WIRE_BYTES_MAX: usize = page::PAGE_BYTES_MAX + 8 * 1024;
/// The least that a caller may ask a page to aim at.
pub const PAGE_BYTES_MIN: usize = 4 * 1024;
/// Pages that wait in memory for the reader of a stream.
pub const PULL_ITEMS_AHEAD: usize = 2;
/// Position and rolling hash before the page in an item.
pub const ITEM_HEAD_BYTES_MAX: usize = 10 + 32;

/// Origins in a vector that hello carries inline.
pub const VECTOR_INLINE_ORIGINS: usize = 256;
/// Origins in a vector, or in a part of one, that one request or answer carries.
pub const VECTOR_PART_ORIGINS: usize = 4_096;
/// Tips in one question to fork.
pub const FORK_TIPS_MAX: usize = 128;
/// Ops in one question to ops.
pub const OPS_REQUEST_MAX: usize = 256;
/// The name of a device.
pub const DEVICE_NAME_BYTES_MAX: usize = 256;
/// The version that a peer says it is.
pub const VERSION_BYTES_MAX: usize = 64;

/// A compressed page inside an event.
pub const EVENT_PAGE_BYTES_MAX: usize = 32 * 1024;
/// How often a quiet stream of events shows that it is alive.
pub const EVENT_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events that wait for a slow reader before it gets only the newest head.
pub const EVENTS_AHEAD: usize = 16;

/// Closures that wait for the writer; who comes later waits to be queued.
pub const WRITES_QUEUED_MAX: usize = 1_024;
/// Closures that share one commit.
pub const WRITES_PER_COMMIT_MAX: usize = 256;
/// Read connections to one replica, those of streams apart.
pub const READERS_MAX: usize = 4;

const _: () = {
    assert!(page::PAGE_BYTES_AIM <= page::PAGE_BYTES_MAX, "a page that aims beyond its limit");
    assert!(PAGE_BYTES_MIN < page::PAGE_BYTES_AIM, "the least aim is below the usual one");
    assert!(PAGE_WIRE_BYTES_MAX < 1_000_000, "a page fits the smallest common proxy limit");
    assert!(PAGE_WIRE_BYTES_MAX > page::PAGE_BYTES_MAX + page::PAGE_BYTES_MAX / 256 + 64, "zstd's worst case fits");
    assert!(PAGE_WIRE_BYTES_MAX as u64 <= BODY_TIMEOUT.as_secs() * 64_000 / 8 * 11 / 10, "a slow link can push a page");
    assert!(BODY_STALL_TIMEOUT.as_secs() < BODY_TIMEOUT.as_secs(), "a stall ends before the whole time is over");
    assert!(VECTOR_INLINE_ORIGINS <= VECTOR_PART_ORIGINS, "what is inline is one part");
    assert!(VECTOR_PART_ORIGINS * (16 + 1 + 2 * 42) * 4 / 3 < JSON_BYTES_MAX, "a part of two tips each fits a request");
    assert!(EVENT_PAGE_BYTES_MAX * EVENTS_AHEAD <= 1024 * 1024, "what waits for a slow reader stays small");
    assert!(EVENT_KEEP_ALIVE.as_secs() < STALL_TIMEOUT.as_secs(), "a stall is told apart from silence");
    assert!(WRITES_PER_COMMIT_MAX <= WRITES_QUEUED_MAX, "a commit takes what is queued");
    assert!(BODY_BYTES_PER_S_MIN * 2 < 64_000 / 8, "a slow link is well above the least rate");
    assert!(
        BODIES_MAX + REQUESTS_MAX + PULLS_MAX + LISTENERS_MAX < CONNECTIONS_MAX,
        "there are connections left to be told that it is busy"
    );
    assert!(BODIES_MAX * JSON_BYTES_MAX <= 128 * 1024 * 1024, "what arrives at once stays in bounds");
};
