//! HTTP by hand: bytes go out as they are, whatever they are, and what comes back is read without trust. For requests
//! that no HTTP client would send.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longer than the daemons' own limits on how long a request may take.
const PATIENCE: Duration = Duration::from_secs(50);

/// Where a request goes.
#[derive(Debug, Clone)]
pub enum Door {
    /// A hub.
    Tcp(SocketAddr),
    /// A daemon's local socket.
    Unix(PathBuf),
}

impl Door {
    /// The hub at an address such as `http://127.0.0.1:8787`.
    pub fn to_hub(url: &str) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        Self::Tcp(address.parse().expect("a hub's address is an IP address and a port"))
    }

    /// The daemon behind a socket.
    pub fn to_socket(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }

    fn open(&self) -> Box<dyn Wire> {
        match self {
            Self::Tcp(address) => Box::new(TcpStream::connect(address).expect("the hub listens")),
            Self::Unix(path) => Box::new(UnixStream::connect(path).expect("the daemon listens")),
        }
    }

    /// Sends bytes as they are and returns the answer; `None` if the connection ended without one.
    pub fn send(&self, bytes: &[u8]) -> Option<Answer> {
        self.send_and(bytes, AndThen::Listen)
    }

    /// Sends bytes as they are, then does as told, and returns the answer.
    pub fn send_and(&self, bytes: &[u8], then: AndThen) -> Option<Answer> {
        let mut wire = self.open();
        wire.patience();
        // A daemon may answer and hang up before it has read all of it.
        let sent = wire.write_all(bytes).and_then(|()| wire.flush());
        if sent.is_ok() && then == AndThen::Finish {
            wire.finish();
        }
        read_answer(&mut *wire)
    }

    /// Posts a body of a type.
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let request = request("POST", path, &[("content-type", content_type)], body);
        self.send(&request).expect("an answer to a well-formed request")
    }

    /// Posts JSON and returns the answer's JSON, which has to be a success.
    pub fn ask(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let answer = self.post(path, "application/json", body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }
}

/// What to do once a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AndThen {
    /// Keep the connection as it is, and wait.
    Listen,
    /// Say that nothing more comes.
    Finish,
}

trait Wire: Read + Write {
    fn patience(&self);
    fn finish(&self);
}

impl Wire for TcpStream {
    fn patience(&self) {
        self.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
        self.set_write_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
    }

    fn finish(&self) {
        self.shutdown(Shutdown::Write).expect("the connection is open");
    }
}

impl Wire for UnixStream {
    fn patience(&self) {
        self.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
        self.set_write_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
    }

    fn finish(&self) {
        self.shutdown(Shutdown::Write).expect("the connection is open");
    }
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, the names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(400)]).into_owned();
        write!(f, "{} {body:?}", self.status)
    }
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The code of a refusal; empty where the body is none.
    pub fn code(&self) -> String {
        let body = serde_json::from_slice::<serde_json::Value>(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request as bytes, its length said, the connection to be closed after it.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let all = [&[("content-length", length.as_str())], headers].concat();
    [head(method, path, &all).as_slice(), body].concat()
}

/// The head of a request as bytes: for this machine unless the headers name a host, and with nothing else added.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("host: localhost\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Reads until the answer is whole or the connection ends.
fn read_answer(wire: &mut dyn Wire) -> Option<Answer> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 64 * 1024]);
    loop {
        if let Some(answer) = parse(&bytes, false) {
            return Some(answer);
        }
        match wire.read(&mut chunk) {
            Ok(0) => return parse(&bytes, true),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return parse(&bytes, true),
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

/// The answer in these bytes, if it is whole; one of unknown length ends with the connection.
fn parse(bytes: &[u8], ended: bool) -> Option<Answer> {
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &bytes[split + 4..];
    let find = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let body = if find("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        unchunked(rest)?
    } else {
        match find("content-length").and_then(|length| length.parse::<usize>().ok()) {
            Some(length) => rest.get(..length)?.to_vec(),
            None if ended => rest.to_vec(),
            None => return None,
        }
    };
    Some(Answer { status, headers, body })
}

/// The whole body in these chunks, if the last one is there.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
