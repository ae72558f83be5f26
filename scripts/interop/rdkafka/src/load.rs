//! A producer that writes to every partition of a topic until it is stopped.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::harness::Outcome;
use crate::ledger::{Partition, Positions, value_of};

const RECORDS: i32 = 20;
const PAUSE: Duration = Duration::from_millis(20);

pub struct Load {
    stopping: Sender<()>,
    thread: JoinHandle<Result<Positions, String>>,
}

impl Load {
    pub fn start(bootstrap: &str, topic: &str, partitions: i32) -> Load {
        let (stopping, stopped) = channel();
        let (bootstrap, topic) = (bootstrap.to_string(), topic.to_string());
        let thread = std::thread::spawn(move || {
            produce(&bootstrap, &topic, partitions, &stopped)
                .map_err(|error| format!("the load failed: {error}"))
        });
        Load { stopping, thread }
    }

    /// Ends it; the answer is what was acknowledged, by the next offsets.
    pub fn stop(self) -> Outcome<Positions> {
        drop(self.stopping);
        Ok(self.thread.join().map_err(|_| "the load panicked")??)
    }
}

fn produce(bootstrap: &str, topic: &str, partitions: i32, stopped: &Receiver<()>) -> Outcome<Positions> {
    let mut ends = Positions::new();
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("log_level", "0")
        .create()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        let mut sent = Vec::new();
        for i in 0..RECORDS {
            let at: Partition = (topic.to_string(), i % partitions);
            let next = ends.entry(at.clone()).or_default();
            let value = value_of(&at, *next);
            *next += 1;
            let record = FutureRecord::<(), _>::to(topic).partition(at.1).payload(&value);
            sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        for delivery in sent {
            runtime.block_on(delivery)?.map_err(|(error, _)| error)?;
        }
    }
    Ok(ends)
}
