//! What a broker says of itself over HTTP, and the system of its process.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What takes longer hangs.
pub const HANGS: Duration = Duration::from_secs(120);

/// A request that takes longer to come is refused, also when it is the machine that had no time.
const REQUEST_WITHIN: Duration = Duration::from_secs(1);

/// Asks the admin address; gives the status and the whole response.
pub fn get(admin: SocketAddr, target: &str) -> (u16, String) {
    let response = ask_http(
        admin,
        format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes(),
    );
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("not HTTP: {response}")), response)
}

/// Sends the admin address all of a request, and again if the machine took so long that it was refused for that.
pub fn ask_http(admin: SocketAddr, request: &[u8]) -> String {
    loop {
        let began = Instant::now();
        let response = ask_http_once(admin, request);
        if !response.starts_with("HTTP/1.1 408 ") || began.elapsed() < REQUEST_WITHIN {
            return response;
        }
    }
}

/// Sends the admin address some bytes; gives what comes back.
pub fn ask_http_once(admin: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(admin).expect("the admin address listens");
    stream.set_read_timeout(Some(HANGS)).expect("a TCP socket");
    // A response may be on its way before all was sent, and the connection reset behind it.
    let _ = stream.write_all(bytes);
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    String::from_utf8(response).expect("the broker answers in text")
}

/// One scrape: samples by name and labels, as they stand in the text.
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Scrapes until every shard has had the time to answer within the second that it has.
    pub fn scrape(admin: SocketAddr, target: &str) -> Metrics {
        let mut metrics = Metrics::scrape_once(admin, target);
        within(HANGS, "all shards answer a scrape", || {
            let mut shards = metrics.samples("tautline_shard_up", "").peekable();
            let all_are_up = shards.peek().is_some() && shards.all(|up| up == 1.0);
            drop(shards);
            if !all_are_up {
                metrics = Metrics::scrape_once(admin, target);
            }
            all_are_up
        });
        metrics
    }

    /// Scrapes, and checks the format on the way.
    fn scrape_once(admin: SocketAddr, target: &str) -> Metrics {
        let (status, response) = get(admin, target);
        assert_eq!(status, 200, "{response}");
        let (head, body) = response.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
        let mut samples = BTreeMap::new();
        let mut family = String::new();
        for line in body.lines() {
            if let Some(of) = line.strip_prefix("# TYPE ") {
                family = of.split(' ').next().expect("a name").to_owned();
            } else if !line.starts_with("# HELP ") {
                let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
                assert!(
                    series.starts_with(&family),
                    "{series} stands in the family {family}"
                );
                let value = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
                assert!(
                    samples.insert(series.to_owned(), value).is_none(),
                    "{series} stands there twice"
                );
            }
        }
        Metrics(samples)
    }

    /// The sum of the samples of a name whose labels contain `label`.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        self.samples(name, label).sum()
    }

    fn samples(&self, name: &str, label: &str) -> impl Iterator<Item = f64> {
        let of_name = move |series: &str| {
            series == name
                || series
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('{'))
        };
        self.0
            .iter()
            .filter(move |(series, _)| of_name(series) && series.contains(label))
            .map(|(_, value)| *value)
    }

    /// Whether there is any sample of that name.
    pub fn has(&self, name: &str) -> bool {
        self.0.keys().any(|series| series.starts_with(name))
    }
}

/// Memory of a process that is in use (`VmRSS`), in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("it has memory");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number");
    kib * 1024
}

/// Looks until `condition` holds, and fails when it does not in time.
pub fn within(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !condition() {
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        std::thread::yield_now();
    }
}
