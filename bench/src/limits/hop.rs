//! The cost of crossing to another core and back: over spinning single-producer rings, and with a parked thread woken.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use hdrhistogram::Histogram;
use rtrb::RingBuffer;

use super::floor::Pair;
use crate::affinity::{on_core, pin};
use crate::clock::{nanos, now_ns};
use crate::report::percentiles::histogram;

/// Both cores spin on a ring.
pub fn spinning(cores: Pair, duration: Duration) -> anyhow::Result<Histogram<u64>> {
    let (mut to_peer, mut from_us) = RingBuffer::<u64>::new(64);
    let (mut to_us, mut from_peer) = RingBuffer::<u64>::new(64);
    let peer = std::thread::spawn(move || -> anyhow::Result<()> {
        pin(cores.peer)?;
        while !from_us.is_abandoned() {
            match from_us.pop() {
                // At most one message is under way, so the ring is never full.
                Ok(message) => drop(to_us.push(message)),
                Err(_) => std::hint::spin_loop(),
            }
        }
        Ok(())
    });
    let latencies = on_core(cores.ours, move || {
        measure(duration, || {
            if to_peer.push(1).is_err() {
                return false;
            }
            while from_peer.pop().is_err() {
                if from_peer.is_abandoned() {
                    return false;
                }
                std::hint::spin_loop();
            }
            true
        })
    });
    peer.join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    latencies
}

/// Each side sleeps on a futex until the other wakes it.
pub fn parked(cores: Pair, duration: Duration) -> anyhow::Result<Histogram<u64>> {
    let (to_peer, from_us) = sync_channel::<u64>(64);
    let (to_us, from_peer) = sync_channel::<u64>(64);
    let peer = std::thread::spawn(move || -> anyhow::Result<()> {
        pin(cores.peer)?;
        while let Ok(message) = from_us.recv() {
            if to_us.send(message).is_err() {
                break;
            }
        }
        Ok(())
    });
    let latencies = on_core(cores.ours, move || {
        measure(duration, || to_peer.send(1).is_ok() && from_peer.recv().is_ok())
    });
    peer.join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    latencies
}

fn measure(duration: Duration, mut round_trip: impl FnMut() -> bool) -> anyhow::Result<Histogram<u64>> {
    let mut latencies = histogram();
    let mut before = now_ns();
    let end = before + nanos(duration);
    while before < end && round_trip() {
        let after = now_ns();
        latencies.saturating_record(after - before);
        before = after;
    }
    Ok(latencies)
}
