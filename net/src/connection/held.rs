//! What a request holds until it is answered. The memory for it is used by one request after the other.

use std::cell::RefCell;
use std::rc::Rc;

use tautline_core::buffer::{Room, Slice};
use tautline_core::limits::RECEIVE_BUFFER_BYTES;

use super::memory::Charge;

/// How many rooms a shard keeps for the next requests.
const SPARE_MAX: usize = 64;
/// Larger ones are not kept. What is copied has come in a receive buffer.
const ROOM_BYTES_KEPT_MAX: usize = RECEIVE_BUFFER_BYTES;

thread_local! {
    static SPARE: RefCell<Vec<(Rc<Held>, Room)>> = const { RefCell::new(Vec::new()) };
}

/// What a request holds of the budget until it is answered, or until its handler has copied what it still needs and waits.
#[derive(Default)]
pub struct Held(RefCell<[Option<Charge>; 2]>);

impl Held {
    /// Gives all of it back.
    pub fn release(&self) {
        self.0.take();
    }
}

/// What a request holds, and room for a copy of its bytes.
pub(super) struct Holding {
    held: Rc<Held>,
    room: Room,
}

impl Holding {
    /// Of a request with these charges: for its frame and for the work on it.
    pub fn new(frame: Option<Charge>, work: Option<Charge>) -> Holding {
        let (held, room) = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        held.0.replace([frame, work]);
        Holding { held, room }
    }

    /// The charges, for the handler.
    pub fn held(&self) -> Rc<Held> {
        self.held.clone()
    }

    /// A copy of the request's bytes.
    pub fn copy(&mut self, bytes: &[u8]) -> Slice {
        self.room.copy(bytes)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        // Else a handler is not done with it.
        if Rc::strong_count(&self.held) > 1 {
            return;
        }
        self.held.release();
        if self.room.capacity() <= ROOM_BYTES_KEPT_MAX {
            // A thread that is being torn down keeps nothing.
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < SPARE_MAX {
                    spare.push((self.held.clone(), std::mem::take(&mut self.room)));
                }
            });
        }
    }
}
