//! A response in pieces: what the broker wrote, and between it records where they lie. The memory it is made of is used by one
//! response after the other.

use std::cell::RefCell;
use std::io;

use tautline_core::parts::Parts;
use tautline_core::socket::Stream;
use tautline_store::Part;

/// How many a shard keeps the memory of.
const SPARE_MAX: usize = 64;
/// Longer ones are not kept.
const PIECES_KEPT_MAX: usize = 512;

thread_local! {
    static SPARE: RefCell<Vec<Response>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
struct Pieces {
    /// In order.
    all: Vec<Part>,
    /// Room for a send of them.
    room: Parts,
}

/// See the module. In a box, since it is moved often.
pub struct Response(Option<Box<Pieces>>);

impl Response {
    /// An empty one.
    pub fn new() -> Response {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        spare.unwrap_or_else(|| Response(Some(Box::default())))
    }

    fn pieces(&mut self) -> &mut Pieces {
        self.0.as_mut().expect("they are there until it is dropped")
    }

    /// Adds a piece.
    pub fn push(&mut self, piece: Part) {
        self.pieces().all.push(piece);
    }

    /// Bytes that go to the socket.
    pub fn size_bytes(&self) -> usize {
        self.0.iter().flat_map(|pieces| &pieces.all).map(Part::len).sum()
    }

    /// Sends the pieces in order: neighbours in memory in one vectored send, file ranges between them.
    pub(super) async fn send(mut self, stream: &Stream) -> io::Result<()> {
        let Pieces { all, room } = self.pieces();
        for piece in all.drain(..) {
            match piece {
                Part::Memory(slice) => room.push(slice),
                Part::File { file, at, len } => {
                    *room = stream.send(std::mem::take(room)).await?;
                    // In a box: who sends from memory shall not carry room for it.
                    Box::pin(stream.send_file(&file, at, len)).await?;
                }
            }
        }
        *room = stream.send(std::mem::take(room)).await?;
        Ok(())
    }
}

impl Default for Response {
    fn default() -> Response {
        Response::new()
    }
}

impl Drop for Response {
    /// Keeps the memory for others.
    fn drop(&mut self) {
        let Some(mut pieces) = self.0.take() else { return };
        pieces.all.clear();
        pieces.room.clear();
        if pieces.all.capacity() <= PIECES_KEPT_MAX && pieces.room.capacity() <= PIECES_KEPT_MAX {
            // A thread that is being torn down keeps nothing.
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < SPARE_MAX {
                    spare.push(Response(Some(pieces)));
                }
            });
        }
    }
}
