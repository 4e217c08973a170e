//! Who asks: a request's head becomes an [`Identity`], or is refused. Nothing here knows of owners or replicas.
//!
//! So far a hub is open, on a loopback address: every program on this machine may ask. A web page may not, wherever it
//! was loaded from: its browser would say so in `Origin`, and a name that was bent to this machine stands in `Host`.

use super::error::Refused;
use crate::sync::protocol::code;
use hyper::{
    StatusCode,
    header::{HOST, ORIGIN},
    http::{request::Parts, uri::Authority},
};
use std::net::IpAddr;

/// Who asks, as far as a hub can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Some program on this machine.
    Open,
}

/// Returns who asks.
///
/// # Errors
/// 403, if a web page asks or the request is for another host.
pub fn identify(head: &Parts) -> Result<Identity, Refused> {
    if head.headers.contains_key(ORIGIN) {
        let message = "this hub answers no web page (the request has an Origin header)";
        return Err(Refused::new(StatusCode::FORBIDDEN, code::ORIGIN_REFUSED, message));
    }
    if !is_for_this_machine(head) {
        let message = "an open hub answers to this machine's own names only";
        let refused = Refused::new(StatusCode::FORBIDDEN, code::HOST_REFUSED, message);
        return Err(refused.hint("address it as localhost, 127.0.0.1 or [::1]"));
    }
    Ok(Identity::Open)
}

/// Every place that names a host must name this one, and one must.
fn is_for_this_machine(head: &Parts) -> bool {
    let of_uri = head.uri.authority().map(is_loopback);
    let of_header = |value: &hyper::header::HeaderValue| {
        value.to_str().ok().and_then(|text| text.parse().ok()).is_some_and(|authority| is_loopback(&authority))
    };
    let mut hosts = head.headers.get_all(HOST).iter().map(of_header).peekable();
    hosts.peek().is_some() && hosts.all(|good| good) && of_uri.unwrap_or(true)
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_literal = literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    !authority.as_str().contains('@') && (is_literal || host.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use hyper::Request;

    fn code_for(uri: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        identify(&head).err().map(|refused| refused.refusal.code)
    }

    #[test]
    fn this_machines_names_are_let_in() {
        for host in ["localhost", "LocalHost:8787", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8787"] {
            assert_eq!(code_for("/", &[("host", host)]), None, "{host}");
        }
        assert_eq!(code_for("http://localhost/", &[("host", "localhost")]), None);
    }

    #[test]
    fn other_names_are_not() {
        let hosts = [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "0.0.0.0",
            "a@localhost",
            "127.1",
            "",
            "[::]",
            "::1",
        ];
        for host in hosts {
            assert_eq!(code_for("/", &[("host", host)]).as_deref(), Some("host_refused"), "{host}");
        }
        assert!(code_for("/", &[]).is_some());
        assert!(code_for("/", &[("host", "localhost"), ("host", "evil.example")]).is_some());
        assert!(code_for("http://evil.example/", &[("host", "localhost")]).is_some());
    }

    #[test]
    fn a_web_page_is_not_even_from_this_machine() {
        for origin in ["https://evil.example", "http://localhost:8787", "null"] {
            let headers = [("host", "localhost"), ("origin", origin)];
            assert_eq!(code_for("/", &headers).as_deref(), Some("origin_refused"));
        }
    }
}
