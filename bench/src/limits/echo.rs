//! Loopback round trips between two pinned threads, over the same client code that drives a broker.
//!
//! The peer reads a whole request, makes one durable overwrite if it has a file, and answers with a frame as small as
//! a Produce answer. Both sides block, or both spin.

use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use hdrhistogram::Histogram;

use super::disk::DirectFile;
use super::floor::Pair;
use crate::affinity::{on_core, pin};
use crate::client::connection::{Connection, Poll};
use crate::clock::{nanos, now_ns};
use crate::report::percentiles::histogram;

/// Bytes of an answer: about those of a Produce answer for one partition.
const ANSWER_BYTES: usize = 64;

/// A connected peer on its own thread; the thread ends when this is dropped.
pub struct EchoPeer {
    connection: Connection,
    request: Vec<u8>,
    core: usize,
    peer: Option<JoinHandle<anyhow::Result<()>>>,
}

impl EchoPeer {
    /// Starts the peer on its core and connects to it.
    pub fn start(
        cores: Pair,
        request_bytes: usize,
        poll: Poll,
        file: Option<DirectFile>,
    ) -> anyhow::Result<EchoPeer> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen on the loopback")?;
        let address = listener.local_addr()?.to_string();
        let peer = std::thread::spawn(move || {
            pin(cores.peer)?;
            let (stream, _) = listener.accept()?;
            serve(Connection::over(stream, poll)?, file)
        });
        let connection = Connection::open(&address, poll)?;
        let request = frame(request_bytes.max(4));
        Ok(EchoPeer {
            connection,
            request,
            core: cores.ours,
            peer: Some(peer),
        })
    }

    /// Round trips for `duration`, from the measuring core.
    pub fn measure(&mut self, duration: Duration) -> anyhow::Result<Histogram<u64>> {
        on_core(self.core, || {
            let mut latencies = histogram();
            let mut before = now_ns();
            let end = before + nanos(duration);
            while before < end {
                self.round_trip().context("round trip to the peer")?;
                let after = now_ns();
                latencies.saturating_record(after - before);
                before = after;
            }
            Ok(latencies)
        })
    }

    fn round_trip(&mut self) -> anyhow::Result<()> {
        self.connection.sender.send(&self.request)?;
        let answer = receive(&mut self.connection)?;
        if answer.is_none() {
            Err(anyhow!("the peer has ended"))
        } else {
            Ok(())
        }
    }
}

impl Drop for EchoPeer {
    fn drop(&mut self) {
        self.connection.sender.shutdown();
        if let Some(peer) = self.peer.take() {
            // The peer's failure has already failed the round trip that met it.
            let _ = peer.join();
        }
    }
}

fn serve(mut connection: Connection, mut file: Option<DirectFile>) -> anyhow::Result<()> {
    let answer = frame(ANSWER_BYTES);
    while receive(&mut connection)?.is_some() {
        if let Some(file) = &mut file {
            file.write_next().context("the peer's durable write")?;
        }
        connection.sender.send(&answer)?;
    }
    Ok(())
}

/// The next frame's length; None when the other side has closed.
fn receive(connection: &mut Connection) -> std::io::Result<Option<usize>> {
    match connection.receiver.receive() {
        Ok(frame) => Ok(Some(frame.len())),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// A frame of `bytes` bytes in all.
fn frame(bytes: usize) -> Vec<u8> {
    let mut frame = vec![0x5a; bytes];
    frame[..4].copy_from_slice(&(bytes as u32 - 4).to_be_bytes());
    frame
}
