//! Something between a device and its hub: one address that stays while hubs come and go behind it, and that can lose
//! answers, refuse in the hub's place, or be something else altogether.
//!
//! Every connection carries one request, so that each can be judged by itself.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a connection may be silent; events are the slowest.
const SILENCE: Duration = Duration::from_secs(120);
/// The longest head of a request that is read.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A request, as far as a rule may want to look at it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It goes to the hub, and the answer comes back.
    Pass,
    /// It goes to the hub and is answered there; the answer never comes back.
    LoseAnswer,
    /// It goes to the hub; of the answer only so many bytes come back.
    CutAfter(usize),
    /// It goes to the hub; in the answer the one text stands in place of the other, which is as long.
    Rewrite(String, String),
    /// The hub never sees it; these bytes are the answer.
    Answer(Vec<u8>),
    /// The hub never sees it; these bytes are the beginning of an answer that does not end.
    Endless(Vec<u8>),
    /// The hub never sees it; the first of these bytes come at once, the others one a second, and then nothing.
    Drip(Vec<u8>, Vec<u8>),
    /// The hub sees so many bytes of its body, and then the connection breaks.
    CutRequestAfter(usize),
}

type Rule = Box<dyn FnMut(&Request) -> Verdict + Send>;

#[derive(Default)]
struct Inside {
    upstream: Option<SocketAddr>,
    rule: Option<Rule>,
    seen: Vec<(String, String)>,
    /// Connections that are older than this lead nowhere any more.
    live_from: u64,
    /// Connections that are older than this end, if they drip.
    dripping_from: u64,
    connections: u64,
}

/// The thing between. It ends when it is dropped.
pub struct Between {
    address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
    ending: Arc<AtomicBool>,
}

impl Between {
    /// Starts one with nothing behind it: until [`Between::lead_to`], connections are closed at once.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let inside = Arc::new(Mutex::new(Inside::default()));
        let ending = Arc::new(AtomicBool::new(false));
        let (shared, end) = (inside.clone(), ending.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared) = (stream, shared.clone()) else { continue };
                // What breaks in here breaks the one connection, which is what tests want to see survived.
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { address, inside, ending }
    }

    /// The address for the devices.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads to the hub at this address from now on.
    pub fn lead_to(&self, hub_url: &str) {
        let address =
            hub_url.trim_start_matches("http://").parse().expect("a hub's address is an IP address and a port");
        self.inside().upstream = Some(address);
    }

    /// Leads nowhere from now on.
    pub fn lead_nowhere(&self) {
        self.inside().upstream = None;
    }

    /// Leaves the connections that are open now in the lurch: nothing comes or goes on them any more, and nobody is
    /// told, as when something on the way forgot about them.
    pub fn strand(&self) {
        let mut inside = self.inside();
        inside.live_from = inside.connections;
    }

    /// Judges requests by this from now on.
    pub fn judge(&self, rule: impl FnMut(&Request) -> Verdict + Send + 'static) {
        self.inside().rule = Some(Box::new(rule));
    }

    /// Lets everything pass from now on.
    pub fn let_pass(&self) {
        self.inside().rule = None;
    }

    /// Lets everything pass from now on, and ends what drips, as a hub does that is started again.
    pub fn start_again(&self) {
        let mut inside = self.inside();
        (inside.rule, inside.dripping_from) = (None, inside.connections);
    }

    /// Forgets the requests seen so far, and returns their methods and paths.
    pub fn take_seen(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.inside().seen)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("no rule panicked")
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, so that it sees that it is to end.
        drop(TcpStream::connect(self.address));
    }
}

/// An answer as bytes.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// The rule that lets everything pass but the `nth` (from 1) request to `path`, which it judges so.
pub fn only_nth(path: &'static str, nth: usize, verdict: Verdict) -> impl FnMut(&Request) -> Verdict + Send {
    let mut count = 0;
    move |request| {
        count += usize::from(request.path == path);
        if request.path == path && count == nth { verdict.clone() } else { Verdict::Pass }
    }
}

fn serve(mut client: TcpStream, inside: &Mutex<Inside>) -> std::io::Result<()> {
    client.set_read_timeout(Some(SILENCE))?;
    client.set_nodelay(true)?;
    let Some((head, request)) = read_request(&mut client)? else { return Ok(()) };
    let (number, upstream, verdict) = {
        let mut inside = inside.lock().expect("no rule panicked");
        inside.seen.push((request.method.clone(), request.path.clone()));
        let verdict = inside.rule.as_mut().map_or(Verdict::Pass, |rule| rule(&request));
        inside.connections += 1;
        (inside.connections - 1, inside.upstream, verdict)
    };
    let is_stranded = || inside.lock().expect("no rule panicked").live_from > number;
    let mut rewrite = None;
    let mut body_max = usize::MAX;
    let bytes_max = match verdict {
        Verdict::Rewrite(from, to) => {
            assert_eq!(from.len(), to.len(), "the answer says how long it is");
            rewrite = Some((from, to));
            usize::MAX
        }
        Verdict::Answer(bytes) => {
            client.write_all(&bytes)?;
            return client.shutdown(Shutdown::Write);
        }
        Verdict::Endless(bytes) => loop {
            client.write_all(&bytes)?;
        },
        Verdict::Drip(first, rest) => {
            return drip(&mut client, &first, &rest, || {
                inside.lock().expect("no rule panicked").dripping_from > number
            });
        }
        Verdict::Pass => usize::MAX,
        Verdict::CutRequestAfter(bytes) => {
            body_max = bytes;
            0
        }
        Verdict::LoseAnswer => 0,
        Verdict::CutAfter(bytes) => bytes,
    };
    let Some(upstream) = upstream else { return Ok(()) };
    let mut hub = TcpStream::connect(upstream)?;
    hub.set_read_timeout(Some(SILENCE))?;
    hub.set_nodelay(true)?;
    hub.write_all(&[&head, &request.body[..request.body.len().min(body_max)]].concat())?;
    if body_max < request.body.len() {
        return client.shutdown(Shutdown::Both);
    }
    // When the device goes away, so does the connection to the hub.
    let (mut gone, end) = (client.try_clone()?, hub.try_clone()?);
    thread::spawn(move || {
        let mut nothing = [0; 64];
        while matches!(gone.read(&mut nothing), Ok(1..)) {}
        drop(end.shutdown(Shutdown::Both));
    });
    if let Some((from, to)) = rewrite {
        let mut whole = Vec::new();
        hub.read_to_end(&mut whole)?;
        let places: Vec<usize> =
            whole.windows(from.len()).enumerate().filter(|(_, at)| *at == from.as_bytes()).map(|(n, _)| n).collect();
        places.into_iter().for_each(|at| whole[at..at + to.len()].copy_from_slice(to.as_bytes()));
        client.write_all(&whole)?;
        return client.shutdown(Shutdown::Both);
    }
    let (mut chunk, mut left) = ([0; 16 * 1024], bytes_max);
    loop {
        let count = hub.read(&mut chunk)?;
        if is_stranded() {
            return stay(&mut client);
        }
        let passed = count.min(left);
        client.write_all(&chunk[..passed])?;
        left -= passed;
        if count == 0 {
            return client.shutdown(Shutdown::Both);
        }
    }
}

/// Sends a byte a second, and then nothing; the time that a read may take is the pace.
fn drip(client: &mut TcpStream, first: &[u8], rest: &[u8], is_over: impl Fn() -> bool) -> std::io::Result<()> {
    client.write_all(first)?;
    client.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut rest = rest.iter();
    while !is_over() {
        match client.read(&mut [0; 64]) {
            Ok(0) => return Ok(()),
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(error),
            _ => client.write_all(rest.next().map_or(&[], std::slice::from_ref))?,
        }
    }
    Ok(())
}

/// Says nothing until the device goes away.
fn stay(client: &mut TcpStream) -> std::io::Result<()> {
    while client.read(&mut [0; 64])? > 0 {}
    Ok(())
}

/// Reads one request; its head is returned as it is to be sent on: one request a connection.
fn read_request(client: &mut TcpStream) -> std::io::Result<Option<(Vec<u8>, Request)>> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    let split = loop {
        if let Some(split) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break split;
        }
        match client.read(&mut chunk)? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut head, mut length) = (format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n"), 0);
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
        if !name.eq_ignore_ascii_case("connection") {
            head.push_str(line);
            head.push_str("\r\n");
        }
    }
    head.push_str("\r\n");
    let mut body = bytes.split_off(split + 4);
    while body.len() < length {
        match client.read(&mut chunk)? {
            0 => return Ok(None),
            count => body.extend_from_slice(&chunk[..count]),
        }
    }
    Ok(Some((head.into_bytes(), Request { method, path, body })))
}
