//! Runs named checks, counts them, and makes their data from one printed seed.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fmt, thread};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

pub const DEADLINE: Duration = Duration::from_secs(60);
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The broker's error code in an answer.
#[derive(Debug)]
pub struct Refused(pub RDKafkaErrorCode);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused: {:?}", self.0)
    }
}

impl Error for Refused {}

pub fn refused(error: KafkaError) -> Box<dyn Error> {
    match error.rdkafka_error_code() {
        Some(code) => Box::new(Refused(code)),
        None => Box::new(error),
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp_ms: Option<i64>,
    pub partition: i32,
    pub offset: i64,
}

pub struct Run {
    pub bootstrap: String,
    only: String,
    seed: u64,
    tag: String,
    pub random: StdRng,
    passed: AtomicUsize,
    failed: AtomicUsize,
}

pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_millis() as i64
}

impl Run {
    pub fn new() -> Run {
        let bootstrap = env::var("BOOTSTRAP").unwrap_or_else(|_| "127.0.0.1:9092".into());
        let seed = env::var("SEED")
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| rand::rng().random::<u32>().into());
        println!(
            "client rdkafka, librdkafka {}, broker {bootstrap}, SEED={seed}",
            rdkafka::util::get_rdkafka_version().1
        );
        Run {
            bootstrap,
            only: env::var("ONLY").unwrap_or_default(),
            seed,
            tag: format!("rdkafka-{seed}-{}", now_ms() % 100_000_000),
            random: StdRng::seed_from_u64(seed),
            passed: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        }
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.tag)
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.random.fill(&mut bytes[..]);
        bytes
    }

    /// `count` records spread over `partitions`, one second apart and an hour old.
    pub fn records(&mut self, count: usize, partitions: i32) -> Vec<Record> {
        let base_ms = now_ms() - 3_600_000;
        (0..count)
            .map(|i| {
                let (key_len, value_len, repeats) = (
                    self.random.random_range(0..40),
                    self.random.random_range(0..2000),
                    self.random.random_range(0..40),
                );
                let mut value = self.bytes(value_len);
                value.extend(b"tautline".repeat(repeats));
                Record {
                    key: Some(self.bytes(key_len)),
                    value: Some(value),
                    timestamp_ms: Some(base_ms + i as i64 * 1000),
                    partition: i as i32 % partitions,
                    ..Record::default()
                }
            })
            .collect()
    }

    pub fn check(&mut self, name: &str, what: &str, body: impl FnOnce(&mut Run) -> Outcome) {
        if self.wants(name) {
            let start = Instant::now();
            let outcome = body(self).map(|()| String::new());
            self.count(name, what, start, outcome);
        }
    }

    /// A check that may run beside others, and that has something to tell when it passes.
    pub fn noted(&self, name: &str, what: &str, body: impl FnOnce() -> Outcome<String>) {
        if self.wants(name) {
            let start = Instant::now();
            self.count(name, what, start, body());
        }
    }

    /// Says what this run can't do.
    pub fn dash(&self, name: &str, reason: &str) {
        if self.wants(name) {
            println!("  -     {name}: not offered: {reason}");
        }
    }

    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    fn count(&self, name: &str, what: &str, start: Instant, outcome: Outcome<String>) {
        let ms = start.elapsed().as_millis();
        match outcome {
            Ok(note) => {
                self.passed.fetch_add(1, Ordering::Relaxed);
                let note = if note.is_empty() {
                    note
                } else {
                    format!(": {note}")
                };
                println!("  ok    {name}: {what}{note} ({ms} ms)");
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                println!("  FAIL  {name}: {what}: {error} ({ms} ms)");
            }
        }
    }

    pub fn finish(self) -> bool {
        let (passed, failed) = (self.passed.into_inner(), self.failed.into_inner());
        println!("rdkafka: SEED={}\n{passed} passed, {failed} failed", self.seed);
        failed == 0
    }
}

pub fn expect(condition: bool, what: impl fmt::Display) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(what.to_string().into())
    }
}

pub fn expect_equal<T: PartialEq + fmt::Debug>(got: T, wanted: T, what: impl fmt::Display) -> Outcome {
    let same = got == wanted;
    expect(same, format_args!("{what}: got {got:.80?}, wanted {wanted:.80?}"))
}

pub fn expect_refused<T: fmt::Debug>(answer: Outcome<T>, wanted: RDKafkaErrorCode, what: &str) -> Outcome {
    match answer {
        Ok(answer) => Err(format!("{what}: accepted ({answer:?}), wanted {wanted:?}").into()),
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(Refused(code)) => expect_equal(*code, wanted, what),
            None => Err(error),
        },
    }
}

/// Keys, values and headers byte for byte; null and empty differ.
pub fn expect_same(got: &[Record], wanted: &[Record]) -> Outcome {
    expect_equal(got.len(), wanted.len(), "number of records")?;
    for (i, (a, b)) in got.iter().zip(wanted).enumerate() {
        let same = (&a.key, &a.value, &a.headers) == (&b.key, &b.value, &b.headers);
        expect(
            same,
            format_args!("record {i} (offset {}) differs from what was sent", a.offset),
        )?;
    }
    Ok(())
}

/// Asks until `probe` holds: metadata may trail an acknowledged change.
pub fn eventually(what: &str, mut probe: impl FnMut() -> Outcome<bool>) -> Outcome {
    let start = Instant::now();
    loop {
        let answer = probe();
        if matches!(answer, Ok(true)) {
            return Ok(());
        }
        expect(
            start.elapsed() < DEADLINE,
            format_args!("{what}: not within {DEADLINE:?}: {answer:?}"),
        )?;
        thread::sleep(Duration::from_millis(20));
    }
}
