//! `tautline trace`: the slowest requests of a running broker since the last look, and the stage that made each of them slow.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::admin::{Look, Slow};
use crate::config::HostPort;

/// How long the broker may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const MS_A_DAY: i64 = 86_400_000;

/// The flags of `tautline trace`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct TraceFlags {
    /// The broker's --admin address
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9644")]
    pub admin: HostPort,

    /// Look again and again, until it is interrupted
    #[arg(long)]
    pub follow: bool,

    /// Seconds between two looks, with --follow
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    pub interval: u64,

    /// Requests to show of one look
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub count: usize,

    /// Write each look as one line of JSON, with all that the broker has kept
    #[arg(long)]
    pub json: bool,
}

/// Looks, once or again and again.
///
/// # Errors
/// The broker can't be reached, or what answers is not one.
pub fn run(flags: &TraceFlags) -> anyhow::Result<()> {
    loop {
        let body = get(&flags.admin, "/trace")?;
        let look: Look = serde_json::from_str(&body)
            .with_context(|| format!("{} does not answer as a broker does", flags.admin))?;
        let text = if flags.json {
            body + "\n"
        } else {
            show(&look, flags.count)
        };
        // Whoever reads it may have seen enough.
        if std::io::stdout().write_all(text.as_bytes()).is_err() || !flags.follow {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(flags.interval));
    }
}

/// The body of an answer with status 200.
fn get(admin: &HostPort, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect((admin.host.as_str(), admin.port)).with_context(|| {
        format!("no broker answers at --admin {admin}: is it running, and was it started with this --admin?")
    })?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .with_context(|| format!("{admin} has not answered within {ANSWER_WITHIN:?}"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| anyhow!("{admin} does not speak HTTP"))?;
    let status = head.lines().next().unwrap_or_default();
    if !status.contains(" 200 ") {
        bail!("{admin} answers {status:?}: is that the --admin address of a broker of this version?");
    }
    Ok(body.to_owned())
}

/// A look as a table.
fn show(look: &Look, count: usize) -> String {
    let mut text = format!("{} requests in {:.1} s", look.requests, look.seconds);
    if !look.silent.is_empty() {
        text += &format!("; shards that have not answered: {:?}", look.silent);
    }
    text.push('\n');
    if look.slowest.is_empty() {
        return text;
    }
    text += &format!(
        "{:>12} {:>10} {:<9} {:<16} {:<24} {:<21} {:>8}  stages in us\n",
        "answered", "took us", "slow in", "request", "partition", "client", "id"
    );
    for slow in look.slowest.iter().take(count) {
        text += &row(slow);
    }
    text
}

fn row(slow: &Slow) -> String {
    let partition = match (&slow.topic, slow.partition) {
        (Some(topic), Some(partition)) => format!("{topic}-{partition}"),
        _ => "-".to_owned(),
    };
    let mut stages: Vec<(&str, f64)> = slow.stages_us.iter().map(|(name, us)| (&name[..], *us)).collect();
    stages.sort_by(|a, b| b.1.total_cmp(&a.1));
    let stages: Vec<String> = stages
        .iter()
        .map(|(name, us)| format!("{name} {us:.1}"))
        .collect();
    format!(
        "{:>12} {:>10.1} {:<9} {:<16} {partition:<24} {:<21} {:>8}  {}\n",
        time_of_day(slow.answered_ms),
        slow.own_us,
        slow.slowest_stage,
        slow.request,
        slow.client.as_deref().unwrap_or("-"),
        slow.correlation_id,
        stages.join(", "),
    )
}

/// The time of day, UTC.
fn time_of_day(ms: i64) -> String {
    let ms = ms.rem_euclid(MS_A_DAY);
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    format!(
        "{:02}:{:02}:{:02}.{ms:03}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_a_table() {
        let slow = Slow {
            shard: 0,
            answered_ms: 3 * MS_A_DAY + 3_661_007,
            request: "Produce".to_owned(),
            client: Some("127.0.0.1:4711".to_owned()),
            correlation_id: 12,
            bytes: 1_100,
            topic: Some("orders".to_owned()),
            partition: Some(3),
            total_us: 1_234.5,
            own_us: 1_234.5,
            slowest_stage: "durable".to_owned(),
            stages_us: [("parse".to_owned(), 4.5), ("durable".to_owned(), 1_230.0)].into(),
        };
        let look = Look {
            seconds: 2.0,
            requests: 500,
            silent: vec![],
            slowest: vec![slow],
        };
        let text = show(&look, 5);
        assert!(text.starts_with("500 requests in 2.0 s\n"), "{text}");
        let row = text.lines().nth(2).unwrap();
        assert!(row.starts_with("01:01:01.007"), "{row}");
        assert!(
            row.contains("orders-3") && row.ends_with("durable 1230.0, parse 4.5"),
            "{row}"
        );
        assert_eq!(show(&look, 0).lines().count(), 2);
    }
}
