//! What goes on beside the producer, each act until it is told to end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tautline_core::ids::Offset;
use tautline_core::task::{Queue, Task, spawn};
use tautline_core::time::{now_ms, sleep};
use tautline_store::*;

use crate::logs::{
    append, batch_of, durable, durable_small, fill, fill_keys, fill_producers, fill_segments, open,
};

/// More than four segment files of the classes that a log grows through: its next is of the largest.
const LARGE_LOG_BYTES: u64 = 90 << 20;
const PRODUCERS: i64 = 10_000;
/// So many segments are deleted at once, ...
const DELETED_SEGMENTS: u64 = 300;
/// ... that often.
const DELETE_PAUSE: Duration = Duration::from_millis(400);
const DELETIONS: u64 = 4;
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(10);
const NEW_LOG_PAUSE: Duration = Duration::from_millis(20);
/// Enough for the cleaner to be at it all the time, with a map of 1 MiB.
const KEYED_RECORDS: u64 = 1_500_000;
const KEYS: u64 = 500_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The producer's log rolls at 256 KiB: a new file, an index, a checkpoint each time.
    Roll,
    /// Checkpoints of the producer's log.
    Checkpoint,
    /// Of a log with 10,000 producers.
    Producers,
    /// Hundreds of segments of other logs are deleted at once.
    Delete,
    /// Hundreds of segments of the producer's log are.
    DeleteOwn,
    /// Another log is cleaned.
    Clean,
    /// New logs take files from the pool.
    Create,
    /// Roll, checkpoint, delete, clean and create.
    All,
}

pub const ACTS: [Act; 8] = [
    Act::Roll,
    Act::Checkpoint,
    Act::Producers,
    Act::Delete,
    Act::DeleteOwn,
    Act::Clean,
    Act::Create,
    Act::All,
];

impl Act {
    pub fn name(self) -> &'static str {
        match self {
            Act::Roll => "roll",
            Act::Checkpoint => "checkpoint",
            Act::Producers => "producers",
            Act::Delete => "delete",
            Act::DeleteOwn => "delete-own",
            Act::Clean => "clean",
            Act::Create => "create",
            Act::All => "all",
        }
    }
}

/// The store and the logs that acts need.
pub struct Stage {
    pub store: Rc<Store>,
    /// Where the producer is when all is quiet.
    pub large: Rc<Log>,
    small: Rc<Log>,
    with_producers: Rc<Log>,
    own: Option<Rc<Log>>,
    /// Those to be deleted yet.
    deleted: RefCell<Vec<Rc<Log>>>,
    keyed: Vec<Rc<Log>>,
    next_partition: Cell<i32>,
}

/// An act that goes on.
pub struct Acting {
    over: Rc<Cell<bool>>,
    tasks: Vec<Task<()>>,
}

impl Acting {
    pub async fn end(self) {
        self.over.set(true);
        for task in self.tasks {
            task.await;
        }
    }
}

impl Stage {
    pub async fn prepare(store: Rc<Store>, acts: &[Act]) -> Stage {
        let has = |act| acts.contains(&act);
        let (deletes, cleans) = (
            u64::from(has(Act::Delete)) + u64::from(has(Act::All)),
            i32::from(has(Act::Clean)) + i32::from(has(Act::All)),
        );
        let large = fill(&store, 0, LARGE_LOG_BYTES, durable()).await;
        let small = open(&store, 1, durable_small()).await;
        let with_producers = fill(&store, 2, LARGE_LOG_BYTES, durable()).await;
        fill_producers(&with_producers, PRODUCERS).await;
        let own = if has(Act::DeleteOwn) {
            Some(fill_segments(&store, 3, DELETIONS * DELETED_SEGMENTS).await)
        } else {
            None
        };
        let (mut deleted, mut keyed) = (Vec::new(), Vec::new());
        for n in 0..deletes * DELETIONS {
            deleted.push(fill_segments(&store, 10 + n as i32, DELETED_SEGMENTS).await);
        }
        for n in 0..cleans {
            keyed.push(fill_keys(&store, 4 + n, KEYED_RECORDS, KEYS).await);
        }
        Stage {
            store,
            large,
            small,
            with_producers,
            own,
            deleted: RefCell::new(deleted),
            keyed,
            next_partition: Cell::new(1_000),
        }
    }

    /// The log that the producer appends to during an act.
    pub fn producers_log(&self, act: Act) -> Rc<Log> {
        match act {
            Act::Roll | Act::All => self.small.clone(),
            Act::Producers => self.with_producers.clone(),
            Act::DeleteOwn => self.own.clone().expect("it was prepared"),
            _ => self.large.clone(),
        }
    }

    pub fn begin(self: &Rc<Stage>, act: Act) -> Acting {
        let over = Rc::new(Cell::new(false));
        let mut tasks = Vec::new();
        let parts = match act {
            Act::All => &[Act::Checkpoint, Act::Delete, Act::Clean, Act::Create][..],
            _ => &[act],
        };
        let log = self.producers_log(act);
        for &part in parts {
            let (stage, over, log) = (self.clone(), over.clone(), log.clone());
            match part {
                Act::Roll | Act::All => {}
                Act::Checkpoint | Act::Producers => {
                    tasks.push(spawn(Queue::Background, write_checkpoints(log, over)));
                }
                Act::Delete => tasks.push(spawn(Queue::Background, stage.delete(over))),
                Act::DeleteOwn => tasks.push(spawn(Queue::Background, delete_parts(log))),
                Act::Clean => tasks.push(spawn(Queue::Background, stage.clean(over, act))),
                Act::Create => tasks.push(spawn(Queue::Background, stage.create(over))),
            }
        }
        Acting { over, tasks }
    }

    async fn delete(self: Rc<Stage>, over: Rc<Cell<bool>>) {
        while !over.get() {
            let Some(log) = self.deleted.borrow_mut().pop() else {
                return;
            };
            log.delete_records(log.high_watermark())
                .await
                .expect("it can be deleted");
            sleep(DELETE_PAUSE).await;
        }
    }

    async fn clean(self: Rc<Stage>, over: Rc<Cell<bool>>, act: Act) {
        let mut logs = self.keyed.iter();
        let log = if act == Act::All {
            logs.next_back()
        } else {
            logs.next()
        };
        let log = log.expect("it was prepared");
        while !over.get() && log.clean(now_ms()).await.expect("it can be cleaned").is_some() {}
    }

    async fn create(self: Rc<Stage>, over: Rc<Cell<bool>>) {
        let bytes = batch_of(100);
        let mut logs = Vec::new();
        while !over.get() {
            let partition = self.next_partition.replace(self.next_partition.get() + 1);
            let log = open(&self.store, partition, durable()).await;
            let end = append(&log, &bytes);
            log.committed(end).await.expect("the disk takes it");
            logs.push(log);
            sleep(NEW_LOG_PAUSE).await;
        }
    }
}

async fn write_checkpoints(log: Rc<Log>, over: Rc<Cell<bool>>) {
    while !over.get() {
        log.save_checkpoint().await.expect("it can be written");
        sleep(CHECKPOINT_PAUSE).await;
    }
}

/// A quarter of what there is.
async fn delete_parts(log: Rc<Log>) {
    let (start, end) = (log.start_offset(), log.high_watermark());
    let upto = Offset(start.0 + (end.0 - start.0) / DELETIONS as i64);
    log.delete_records(upto).await.expect("it can be deleted");
}
