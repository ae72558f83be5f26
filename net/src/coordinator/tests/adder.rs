//! A coordinator that adds numbers up by key. Where there is a total of [`REPLAYS`], it counts its replays in the log.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tautline_replica::coordinator::{
    Coordinator, CoordinatorBatch, CoordinatorRecord, Decision, Now, Token, TransactionalProducer,
};

/// What it is asked.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// Adds, and tells the total.
    Add(&'static str, i64),
    /// Adds, and holds the core when it is asked for its deadline then: the task lets others run before it waits.
    AddSlowly(&'static str, i64),
    /// Adds 1 with so many bytes more in the record.
    Fill(&'static str, usize),
    /// Adds when the transaction is committed.
    AddIn(TransactionalProducer, &'static str, i64),
    /// Says that the client lives.
    Beat,
    /// Tells the total.
    Get(&'static str),
    /// Answers after so many milliseconds.
    Wait(i64),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The total of a key.
    Total(i64),
    /// It was heard.
    Heard,
    /// The time is up.
    Waited,
}

/// The key under which replays are counted, if it was ever added to.
pub const REPLAYS: &str = "replays";

/// See the module.
#[derive(Default)]
pub struct Adder {
    /// Records that this and other coordinators have replayed.
    replayed: Rc<Cell<usize>>,
    totals: BTreeMap<Vec<u8>, i64>,
    open: BTreeMap<i64, Vec<(Vec<u8>, i64)>>,
    waiting: Vec<(i64, Token)>,
    slow: Cell<bool>,
}

/// Longer than any task's time slice.
const SLOW: Duration = Duration::from_millis(20);

impl Adder {
    /// One that counts the records it replays there.
    pub fn counting(replayed: Rc<Cell<usize>>) -> Adder {
        Adder {
            replayed,
            ..Adder::default()
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

type Decided = Decision<Answered, (&'static str, i64)>;

fn record(key: &str, total: i64, more: usize) -> CoordinatorRecord {
    let mut value = total.to_be_bytes().to_vec();
    value.resize(8 + more, 0);
    CoordinatorRecord {
        key: key.as_bytes().to_vec(),
        value: Some(value),
    }
}

impl Coordinator for Adder {
    type Request = Asked;
    type Response = Answered;
    type Effect = (&'static str, i64);

    fn step(&mut self, now: Now<'_>, token: Token, request: Asked, decided: &mut Decided) {
        match request {
            Asked::Add(key, n) => self.add(token, key, n, 0, decided),
            Asked::AddSlowly(key, n) => {
                self.add(token, key, n, 0, decided);
                self.slow.set(true);
            }
            Asked::Fill(key, more) => self.add(token, key, 1, more, decided),
            Asked::AddIn(producer, key, n) => {
                let total = self.totals.get(key.as_bytes()).copied().unwrap_or_default();
                let record = record(key, total + n, 0);
                let open = self.open.entry(producer.id.0).or_default();
                open.push((record.key.clone(), total + n));
                decided.batches.push(CoordinatorBatch {
                    producer: Some(producer),
                    records: vec![record],
                });
                decided.replies.push((token, Answered::Total(total)));
            }
            Asked::Beat => decided.prompt.push((token, Answered::Heard)),
            Asked::Get(key) => {
                let total = self.totals.get(key.as_bytes()).copied().unwrap_or_default();
                decided.prompt.push((token, Answered::Total(total)));
            }
            Asked::Wait(ms) => self.waiting.push((now.monotonic_ms + ms, token)),
        }
    }

    fn writes_nothing(&self, request: &Asked) -> bool {
        matches!(request, Asked::Beat)
    }

    fn tick(&mut self, now: Now<'_>, decided: &mut Decided) {
        let due = self.waiting.extract_if(.., |(at, _)| *at <= now.monotonic_ms);
        decided
            .replies
            .extend(due.map(|(_, token)| (token, Answered::Waited)));
    }

    fn deadline_ms(&self) -> Option<i64> {
        if self.slow.take() {
            let began = Instant::now();
            while began.elapsed() < SLOW {
                std::hint::spin_loop();
            }
        }
        self.waiting.iter().map(|(at, _)| *at).min()
    }

    fn image_changed(&mut self, _: Now<'_>, _: &mut Decided) {}

    fn abandoned(&mut self, token: Token) {
        self.waiting.retain(|(_, other)| *other != token);
    }

    fn replay(
        &mut self,
        producer: Option<TransactionalProducer>,
        key: &[u8],
        value: Option<&[u8]>,
        _timestamp_ms: i64,
    ) -> Result<(), String> {
        self.replayed.set(self.replayed.get() + 1);
        let total = value.and_then(|value| value.first_chunk()).ok_or("no total")?;
        let entry = (key.to_vec(), i64::from_be_bytes(*total));
        match producer {
            Some(producer) => self.open.entry(producer.id.0).or_default().push(entry),
            None => drop(self.totals.insert(entry.0, entry.1)),
        }
        Ok(())
    }

    fn transaction_ended(&mut self, _: i64, producer: TransactionalProducer, committed: bool) {
        let open = self.open.remove(&producer.id.0).unwrap_or_default();
        if committed {
            self.totals.extend(open);
        }
    }

    fn replayed(&mut self, _: Now<'_>, decided: &mut Decided) {
        decided.effects.push(("replayed", self.totals.len() as i64));
        if let Some(replays) = self.totals.get_mut(REPLAYS.as_bytes()) {
            *replays += 1;
            decided.batches.push(CoordinatorBatch {
                producer: None,
                records: vec![record(REPLAYS, *replays, 0)],
            });
        }
    }
}

impl Adder {
    fn add(&mut self, token: Token, key: &str, n: i64, more: usize, decided: &mut Decided) {
        let total = self.totals.entry(key.as_bytes().to_vec()).or_default();
        *total += n;
        decided.batches.push(CoordinatorBatch {
            producer: None,
            records: vec![record(key, *total, more)],
        });
        decided.replies.push((token, Answered::Total(*total)));
    }
}
