//! What a hub that has gone bad, or whatever stands in its place, answers: to any call, in the right content type or in
//! a wrong one.

use heph_tests::between::{Verdict, answer};
use serde_json::json;

/// How large what the bombs hold would be.
const BOMB_BYTES: usize = 1 << 30;

/// An answer that is none.
pub struct Bad {
    /// What it is.
    pub what: &'static str,
    /// How it comes.
    pub verdict: Verdict,
}

fn bad(what: &'static str, verdict: Verdict) -> Bad {
    Bad { what, verdict }
}

/// A gigabyte of zeros in a few kilobytes, as zstd has it.
pub fn bomb() -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("memory for compressing");
    let zeros = vec![0; 1 << 20];
    for _ in 0..BOMB_BYTES / zeros.len() {
        std::io::Write::write_all(&mut encoder, &zeros).expect("memory for compressing");
    }
    encoder.finish().expect("memory for compressing")
}

/// An item of a pull.
fn item(packed: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packed.len()).expect("a short item");
    [length.to_le_bytes().as_slice(), packed].concat()
}

/// Bytes that nobody chose.
pub fn garbage(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..count).map(next).collect()
}

/// Answers of this status in the hub's own content type, whatever is in them.
fn of_type(content_type: &str) -> Vec<Bad> {
    let ok = |body: &[u8]| Verdict::Answer(answer("200 OK", &[("content-type", content_type)], body));
    let endless = |start: &[u8], more: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n\r\n");
        Verdict::Endless([head.as_bytes(), start, &more.repeat(32_768 / more.len())].concat())
    };
    let bomb = bomb();
    let huge_length =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: 1099511627776\r\n\r\n{{");
    vec![
        bad("random bytes", ok(&garbage(10_000))),
        bad("a megabyte and more of random bytes", ok(&garbage(1_500_000))),
        bad("half an object", ok(b"{\"hub\":{\"id\":\"00")),
        bad(
            "values of other types",
            ok(json!({ "hub": 7, "protocol": [], "vector": {}, "page": 1 }).to_string().as_bytes()),
        ),
        bad("a list as deep as a well", ok("[".repeat(900_000).as_bytes())),
        bad("an item of 4 GiB", ok(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
        bad("an item that holds a gigabyte", ok(&item(&bomb))),
        bad("a gigabyte by itself", ok(&bomb)),
        bad("an item of nothing", ok(&item(&[]))),
        bad("an item without a page of its own", ok(&item(&zstd::bulk::compress(&[0; 20], 3).expect("memory")))),
        bad("a body without end", endless(b"", b"\xff\x00 without end")),
        bad("a text without end", endless(b"{\"a\":\"", b"and so on ")),
        bad("lines without end", endless(b"event: head\n", b"data: and so on\n")),
        bad("a length of a terabyte", Verdict::Answer(huge_length.into_bytes())),
        bad(
            "fewer bytes than it says",
            Verdict::Answer(answer("200 OK", &[("content-type", content_type)], &[7; 90])[..150].to_vec()),
        ),
        bad(
            "chunks of garbage",
            Verdict::Answer(
                format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
                    .into_bytes(),
            ),
        ),
    ]
}

/// Answers in other types, of other statuses, or none.
fn of_others(own_url: &str, elsewhere: &str, path: &str) -> Vec<Bad> {
    let html: &[(&str, &str)] = &[("content-type", "text/html")];
    let page = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>";
    let status = |status: &str, headers: &[(&str, &str)], body: &[u8]| Verdict::Answer(answer(status, headers, body));
    let to = |code: &str, url: &str| status(code, &[("location", &format!("{url}{path}"))], b"");
    vec![
        bad("a page of the web", status("200 OK", html, page)),
        bad("no type at all", status("200 OK", &[], b"{}")),
        bad("bytes of no type", status("200 OK", &[("content-type", "application/octet-stream")], &garbage(900))),
        bad("no content", status("204 No Content", &[], b"")),
        bad("301 to itself", to("301 Moved Permanently", own_url)),
        bad("301 elsewhere", to("301 Moved Permanently", elsewhere)),
        bad("302 to itself", to("302 Found", own_url)),
        bad("302 elsewhere", to("302 Found", elsewhere)),
        bad("307 to itself", to("307 Temporary Redirect", own_url)),
        bad("307 elsewhere", to("307 Temporary Redirect", elsewhere)),
        bad("308 elsewhere", to("308 Permanent Redirect", elsewhere)),
        bad("413", status("413 Content Too Large", html, b"<h1>413</h1>")),
        bad("429", status("429 Too Many Requests", &[("retry-after", "1")], b"slow down")),
        bad("500", status("500 Internal Server Error", html, b"")),
        bad("502 with a page", status("502 Bad Gateway", html, page)),
        bad(
            "502 with a page without end",
            Verdict::Endless(
                [b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\r\n".as_slice(), &page.repeat(300)].concat(),
            ),
        ),
        bad("503", status("503 Service Unavailable", &[("retry-after", "1")], b"")),
        bad("507", status("507 Insufficient Storage", html, b"")),
        bad("a status of 999", status("999 Whatever", &[], b"")),
        bad("not HTTP", Verdict::Answer(b"220 mail.example ESMTP\r\n".to_vec())),
        bad("nothing", Verdict::Answer(Vec::new())),
    ]
}

/// All of them, for a call whose good answer is of this type.
pub fn all(content_type: &str, own_url: &str, elsewhere: &str, path: &str) -> Vec<Bad> {
    let mut all = of_type(content_type);
    all.extend(of_others(own_url, elsewhere, path));
    all
}
