//! One life of a broker's shard: a log, and a host on it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use tautline_core::shard::test_on_shard;
use tautline_core::sync::Signal;
use tautline_core::task::yield_now;
use tautline_replica::coordinator::{Token, TransactionalProducer};
use tautline_replica::metadata::MetadataImage;
use tautline_store::{
    DataDir, Log, LogConfig, LogIdentity, Properties, Store, StoreError, StoreOptions, TransactionVersion,
};

use super::adder::{Adder, Answered, Asked};
use crate::broker::Partition;
use crate::coordinator::gate::Gate;
use crate::coordinator::{Host, Surroundings, TransactionClaim};

/// A data directory, kept over lives.
pub struct Disk {
    directory: tempfile::TempDir,
    pub options: StoreOptions,
}

impl Disk {
    pub fn new() -> Disk {
        Disk {
            directory: tempfile::tempdir().expect("a temporary directory"),
            options: StoreOptions::default(),
        }
    }

    /// Runs a life; it ends as by a kill.
    pub fn live<F, Fut>(&self, main: F)
    where
        F: FnOnce(Life) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let (path, options) = (self.directory.path().to_owned(), self.options.clone());
        test_on_shard(move || async move {
            let new = Properties {
                cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned(),
                node_id: 1,
            };
            // The helper threads of the life before may hold it for a moment.
            let data = loop {
                match DataDir::open(&path, &new) {
                    Err(StoreError::InUse { .. }) => yield_now().await,
                    opened => break Arc::new(opened.expect("a data directory")),
                }
            };
            let store = Store::open(data, options).expect("a store");
            let identity = LogIdentity {
                topic: "__adder".to_owned(),
                topic_id: TopicId(uuid::Uuid::from_u128(7)),
                partition: PartitionIndex(0),
            };
            let log = store
                .open_log(identity.clone(), LogConfig::default())
                .await
                .expect("a log");
            let partition = Partition::new(
                "__adder".into(),
                identity.topic_id,
                identity.partition,
                log.clone(),
                LeaderEpoch(1),
            );
            let seen = Rc::new(Seen::default());
            let around = Around {
                log,
                seen: seen.clone(),
            };
            let gate = Gate::new(1);
            let host = Host::start(partition, Box::new(around), gate);
            let life = Life {
                host: host.clone(),
                seen: seen.clone(),
                next: Cell::new(0),
            };
            main(life).await;
            *seen.listener.borrow_mut() = None;
            host.stop();
            ended(&host, 1).await;
            store.abandon().await;
        });
    }
}

/// Waits until the host's task has ended, where so many others have the host.
async fn ended(host: &Rc<Host<Adder>>, others: usize) {
    while Rc::strong_count(host) > others {
        yield_now().await;
    }
}

/// An answer, with the log's end and what of it was committed when it came.
type Told = (Result<Answered, ErrorCode>, Offset, Offset);

type Listener = Rc<dyn Fn(Token)>;

#[derive(Default)]
struct Seen {
    answers: RefCell<FxHashMap<Token, Told>>,
    effects: RefCell<Vec<(&'static str, i64)>>,
    came: Signal,
    replayed: Rc<Cell<usize>>,
    loaded: Cell<usize>,
    /// Is told of each answer before the host goes on.
    listener: RefCell<Option<Listener>>,
}

struct Around {
    log: Rc<Log>,
    seen: Rc<Seen>,
}

impl Surroundings<Adder> for Around {
    fn coordinator(&self) -> Adder {
        Adder::counting(self.seen.replayed.clone())
    }

    fn loaded(&self, _: &mut Adder) {
        self.seen.loaded.set(self.seen.loaded.get() + 1);
    }

    fn image(&self) -> Arc<MetadataImage> {
        Arc::default()
    }

    fn answer(&self, token: Token, answer: Result<Answered, ErrorCode>) {
        let told = (answer, self.log.end_offset(), self.log.committed_end());
        let before = self.seen.answers.borrow_mut().insert(token, told);
        assert!(before.is_none(), "a request has one answer");
        let listener = self.seen.listener.borrow().clone();
        if let Some(listener) = listener {
            listener(token);
        }
        self.seen.came.notify_all();
    }

    fn act(&self, effect: (&'static str, i64)) {
        self.seen.effects.borrow_mut().push(effect);
    }
}

/// See the module.
pub struct Life {
    host: Rc<Host<Adder>>,
    seen: Rc<Seen>,
    next: Cell<u64>,
}

impl Life {
    pub fn host(&self) -> &Host<Adder> {
        &self.host
    }

    pub fn log(&self) -> &Log {
        &self.host.partition.log
    }

    /// Waits until the host has a coordinator.
    pub async fn serving(&self) {
        while self.host.look(|_| ()).is_none() {
            yield_now().await;
        }
    }

    /// Stops the host, and waits until its task has ended.
    pub async fn stop(&self) {
        self.host.stop();
        ended(&self.host, 2).await;
    }

    /// How many coordinators came to serve.
    pub fn loaded(&self) -> usize {
        self.seen.loaded.get()
    }

    /// The answer, if it has come.
    pub fn told(&self, token: Token) -> Option<Result<Answered, ErrorCode>> {
        let answers = self.seen.answers.borrow();
        answers.get(&token).map(|(answer, ..)| answer.clone())
    }

    /// How many records were replayed.
    pub fn replayed(&self) -> usize {
        self.seen.replayed.get()
    }

    /// How many wait in the coordinator.
    pub fn waiting(&self) -> usize {
        self.host.look(Adder::waiting).expect("it serves")
    }

    pub fn effects(&self) -> Vec<(&'static str, i64)> {
        self.seen.effects.borrow().clone()
    }

    pub fn ask(&self, asked: Asked) -> Token {
        let claim = match asked {
            Asked::AddIn(producer, ..) => self.claim(producer, TransactionVersion::V1),
            _ => None,
        };
        self.ask_claiming(asked, claim)
    }

    pub fn ask_claiming(&self, asked: Asked, claim: Option<TransactionClaim>) -> Token {
        let token = Token(self.next.get());
        self.next.set(token.0 + 1);
        self.host.ask(token, asked, claim);
        token
    }

    /// What is needed to write in a transaction, as before its coordinator is asked.
    pub fn claim(
        &self,
        producer: TransactionalProducer,
        version: TransactionVersion,
    ) -> Option<TransactionClaim> {
        let asked = self.log().verification(producer.id, producer.epoch, -1, version);
        asked.ok().map(|verification| TransactionClaim {
            producer,
            verification,
            version,
        })
    }

    /// Calls `listener` with each answer, as the host gives it.
    pub fn listen(&self, listener: impl Fn(Token) + 'static) {
        *self.seen.listener.borrow_mut() = Some(Rc::new(listener));
    }

    /// [`Life::answer`] while the core has other things to do all the time.
    pub async fn answer_when_busy(&self, token: Token) -> Told {
        loop {
            if let Some(told) = self.seen.answers.borrow().get(&token) {
                return told.clone();
            }
            yield_now().await;
        }
    }

    pub async fn answer(&self, token: Token) -> Told {
        loop {
            let came = self.seen.came.wait();
            if let Some(told) = self.seen.answers.borrow().get(&token) {
                return told.clone();
            }
            came.await;
        }
    }
}
