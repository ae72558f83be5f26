//! As much of HTTP/1.1 as a scrape needs: GET and HEAD, one request a connection, a bounded head, a deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Bytes of a request's line and headers. More is 431.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// How long a client may take to send its request. Longer is 408.
const REQUEST_WITHIN: Duration = Duration::from_secs(1);
/// How long a client may take to read the response.
const RESPONSE_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait when no connection can be accepted.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub path: String,
    query: String,
}

impl Request {
    /// Whether the query says `name=value`.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.query
            .split('&')
            .any(|pair| pair.split_once('=') == Some((name, value)))
    }
}

/// Why a request is not answered as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The client left before its request was whole.
    Gone,
    Malformed,
    Method,
    TooSlow,
    TooLong,
}

impl Refused {
    pub fn status(self) -> u16 {
        match self {
            Refused::Gone | Refused::Malformed => 400,
            Refused::Method => 405,
            Refused::TooSlow => 408,
            Refused::TooLong => 431,
        }
    }

    pub fn reason(self) -> &'static str {
        match self {
            Refused::Gone | Refused::Malformed => "not an HTTP request\n",
            Refused::Method => "only GET and HEAD\n",
            Refused::TooSlow => "the request took too long\n",
            Refused::TooLong => "the request is too long\n",
        }
    }
}

/// One connection, which carries one request.
pub(super) struct Exchange {
    stream: TcpStream,
    head_only: bool,
}

impl Exchange {
    pub fn new(stream: TcpStream) -> Exchange {
        Exchange {
            stream,
            head_only: false,
        }
    }

    /// Reads the request.
    pub fn read(&mut self) -> Result<Request, Refused> {
        let deadline = Instant::now() + REQUEST_WITHIN;
        let mut head = Vec::new();
        let mut chunk = [0; 1024];
        while !is_whole(&head) {
            if head.len() > HEAD_BYTES_MAX {
                return Err(Refused::TooLong);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return Err(Refused::TooSlow);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Refused::Gone),
                Ok(count) => head.extend_from_slice(&chunk[..count]),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(Refused::TooSlow);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Refused::Gone),
            }
        }
        let (method, request) = parse(&head)?;
        match method {
            "GET" => {}
            "HEAD" => self.head_only = true,
            _ => return Err(Refused::Method),
        }
        Ok(request)
    }

    /// Answers, and closes the connection.
    pub fn respond(mut self, status: u16, content_type: &str, body: &str) -> io::Result<()> {
        let reason = match status {
            200 => "OK",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "Bad Request",
        };
        let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let mut response = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            body.len()
        );
        if !self.head_only {
            response.push_str(body);
        }
        let deadline = Instant::now() + RESPONSE_WITHIN;
        let mut rest = response.as_bytes();
        while !rest.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_write_timeout(Some(left))?;
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n")
}

/// The method, and what is asked for.
fn parse(head: &[u8]) -> Result<(&str, Request), Refused> {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Refused::Malformed)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refused::Malformed);
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok((
        method,
        Request {
            path: path.to_owned(),
            query: query.to_owned(),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines() {
        let (method, request) = parse(b"GET /metrics?a=b&partitions=1 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!((method, request.path.as_str()), ("GET", "/metrics"));
        assert!(request.has("partitions", "1") && !request.has("partitions", "0"));
        for wrong in [
            &b"\r\n\r\n"[..],
            b"GET /\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"\xff\r\n\r\n",
        ] {
            assert_eq!(parse(wrong), Err(Refused::Malformed), "{wrong:?}");
        }
    }
}
