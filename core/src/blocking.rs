//! Calls that block (open, rename, unlink, fsync of directories, zero-filling), on threads of their own; and work that takes long
//! and has time (compaction), on threads to which every other one is preferred.
//!
//! A job's result comes back through the shard's remote queue, so that the shard's thread wakes its own task; a waker is
//! never called from another thread.

use std::future::Future;
use std::sync::OnceLock;

use flume::{Receiver, Sender};
use futures_channel::oneshot;

use crate::limits::{BLOCKING_JOBS, BLOCKING_THREADS, PATIENT_THREADS};
use crate::remote::Remote;

type Job = Box<dyn FnOnce() + Send>;

/// What a helper thread is for.
#[derive(Clone, Copy)]
enum Kind {
    Prompt,
    Patient,
}

/// The least of the kernel's weights, next to which a shard that wakes does not wait.
const PATIENT_NICE: i32 = 19;

fn jobs(kind: Kind) -> &'static Sender<Job> {
    static PROMPT: OnceLock<Sender<Job>> = OnceLock::new();
    static PATIENT: OnceLock<Sender<Job>> = OnceLock::new();
    match kind {
        Kind::Prompt => PROMPT.get_or_init(|| start("blocking", BLOCKING_THREADS, || {})),
        Kind::Patient => PATIENT.get_or_init(|| {
            start("patient", PATIENT_THREADS, || {
                // If it is refused the work is done all the same.
                let _ = rustix::process::setpriority_process(None, PATIENT_NICE);
            })
        }),
    }
}

fn start(name: &str, threads: usize, prepare: fn()) -> Sender<Job> {
    let (sender, receiver) = flume::bounded::<Job>(BLOCKING_JOBS);
    for n in 0..threads {
        let receiver: Receiver<Job> = receiver.clone();
        std::thread::Builder::new()
            .name(format!("{name}-{n}"))
            .spawn(move || {
                crate::cpu::leave_shard_core();
                prepare();
                while let Ok(job) = receiver.recv() {
                    job();
                }
            })
            .expect("a helper thread can be started");
    }
    sender
}

/// Starts the helper threads from a thread that is not pinned, so that they are not pinned either.
pub(crate) fn start_threads() {
    jobs(Kind::Prompt);
    jobs(Kind::Patient);
}

/// Runs `call` as [`run`] does, on a thread that gets what others leave of the cores: for steps of work that nobody waits for.
///
/// # Panics
/// Outside a shard, or (in the shard) when `call` panicked.
pub fn run_patiently<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> {
    run_on(Kind::Patient, call)
}

/// Runs `call` on a helper thread. It starts at once, and runs to its end also if the future is dropped.
///
/// # Panics
/// Outside a shard, or (in the shard) when `call` panicked.
pub fn run<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> {
    run_on(Kind::Prompt, call)
}

fn run_on<T: Send + 'static>(
    kind: Kind,
    call: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> {
    let remote = Remote::current();
    let (sender, receiver) = oneshot::channel();
    let job: Job = Box::new(move || {
        let value = call();
        remote.run_on_shard(Box::new(move || {
            let _ = sender.send(value);
        }));
    });
    let mut overflow = jobs(kind)
        .try_send(job)
        .err()
        .map(flume::TrySendError::into_inner);
    async move {
        while let Some(job) = overflow.take() {
            crate::time::sleep(std::time::Duration::from_millis(1)).await;
            overflow = jobs(kind)
                .try_send(job)
                .err()
                .map(flume::TrySendError::into_inner);
        }
        receiver.await.expect("a blocking call does not panic")
    }
}
