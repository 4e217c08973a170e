//! What answers, and what does not, each told by its name.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::net::UnixListener,
    thread,
};

use tempfile::TempDir;

use crate::types::{ReadVersion, SyncNow};

use super::*;

/// What a call comes to when a program reads it and answers with these bytes.
fn error_from(answer: String) -> ClientError {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let program = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).unwrap() > 0);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let error = Client::new(path).call(&ReadVersion {}).unwrap_err();
    program.join().unwrap();
    error
}

fn reply(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A call that is answered at once or not at all.
#[derive(serde::Serialize, serde::Deserialize)]
struct Impatient {}

impl Call for Impatient {
    const PATH: &'static str = "/v1/test/impatient";
    const DEADLINE: Option<Duration> = Some(Duration::from_millis(20));
    type Answer = ();
}

#[test]
fn without_a_socket_nothing_is_running() {
    let dir = TempDir::new().unwrap();
    let error = Client::new(dir.path().join("none.sock")).call(&ReadVersion {}).unwrap_err();
    assert!(error.is_not_running());
    let said = error.to_api_error();
    assert_eq!(said.code, "not_running");
    assert!(said.message.contains("no socket at"), "{}", said.message);
    assert!(said.hint.unwrap().starts_with("start it: hephd --mode local"));
}

#[test]
fn a_stale_socket_is_nobody() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("stale.sock");
    drop(UnixListener::bind(&path).unwrap());
    let error = Client::new(path).call(&ReadVersion {}).unwrap_err();
    assert!(error.to_string().contains("a stale socket at"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_holds_its_lock_is_waited_for() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("starting.sock");
    let lock = File::create(dir.path().join("starting.sock.lock")).unwrap();
    lock.lock().unwrap();
    let client = Client::new(&path);
    let listening = async {
        sleep(Duration::from_secs(2)).await;
        UnixListener::bind(&path).unwrap()
    };
    let (connected, _listener) = tokio::join!(client.connect(), listening);
    assert!(connected.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_holds_its_lock_and_never_listens_is_given_up() {
    let dir = TempDir::new().unwrap();
    let lock = File::create(dir.path().join("starting.sock.lock")).unwrap();
    lock.lock().unwrap();
    let client = Client::new(dir.path().join("starting.sock"));
    let begun = Instant::now();
    assert!(client.connect().await.unwrap_err().is_not_running());
    assert_eq!(begun.elapsed().as_secs(), 3);
    drop(lock);
    let begun = Instant::now();
    assert!(client.connect().await.unwrap_err().is_not_running());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn a_daemon_that_is_stuck_is_not_asked_for_what_takes_long() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("stuck.sock");
    let _stuck = UnixListener::bind(&path).unwrap();
    let error = Client::new(path).call(&SyncNow { wait: true }).unwrap_err();
    assert!(error.to_string().ends_with("did not answer within 2 s"), "{error}");
}

#[test]
fn a_daemon_that_does_not_answer_is_not_waited_for_for_ever() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("silent.sock");
    let _silent = UnixListener::bind(&path).unwrap();
    let error = Client::new(path).call(&Impatient {}).unwrap_err();
    assert_eq!(error.to_api_error().code, "too_slow");
}

#[test]
fn an_error_of_the_daemon_arrives_as_it_is() {
    let body = r#"{"code":"not_found","message":"no such node","hint":null}"#;
    let ClientError::Refused(error) = error_from(reply("404 Not Found\r\nheph-version: 0.1.0", body)) else {
        panic!("not an error of the daemon")
    };
    assert_eq!(error, ApiError::new("not_found", "no such node"));
}

#[test]
fn other_programs_and_other_versions_are_told_apart() {
    let cut = "HTTP/1.1 200 OK\r\nheph-version: 0.1.0\r\ncontent-length: 9\r\n\r\n{";
    let cases = [
        ("web", reply("200 OK\r\nserver: x", "{}"), "not_heph"),
        ("ssh", "SSH-2.0-OpenSSH_9.9\r\n".to_owned(), "not_heph"),
        ("newer", reply("200 OK\r\nheph-version: 99.0.0", "{}"), "other_version"),
        ("broken", reply(&format!("200 OK\r\nheph-version: {VERSION}"), "{}"), "unreadable"),
        ("gone", String::new(), "interrupted"),
        ("cut", cut.to_owned(), "interrupted"),
    ];
    for (name, answer, code) in cases {
        let error = error_from(answer);
        assert_eq!(error.to_api_error().code, code, "{name}: {error}");
    }
}

#[test]
fn only_long_calls_wait_for_ever() {
    assert!(ReadVersion::DEADLINE.is_some());
    assert!(SyncNow::DEADLINE.is_none());
}
