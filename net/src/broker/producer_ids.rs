//! This shard's block of producer ids (KIP-730).

use std::rc::Rc;

use tautline_core::ids::ProducerId;
use tautline_core::limits::PRODUCER_ID_BLOCK_SIZE;
use tautline_replica::Refusal;

use super::Broker;

/// Producer ids taken back that are kept for others; more are lost, which does no harm.
const SPARE_MAX: usize = 64;

impl Broker {
    /// A producer id that nobody else has or will have.
    ///
    /// # Errors
    /// When the metadata log takes no writes.
    pub async fn next_producer_id(self: &Rc<Self>) -> Result<ProducerId, Refusal> {
        if let Some(id) = self.spare_producer_ids.borrow_mut().pop() {
            return Ok(id);
        }
        loop {
            let (next, end) = self.producer_ids.get();
            if next < end {
                self.producer_ids.set((next + 1, end));
                return Ok(ProducerId(next));
            }
            let block = self
                .on_controller(|_, controller| async move {
                    controller.producer_ids().await.map(|block| block.first.0)
                })
                .await?;
            // Two requests may have asked at once: the later block is kept, ids of the other are lost, which does no harm.
            self.producer_ids.set((block, block + PRODUCER_ID_BLOCK_SIZE));
        }
    }
    /// Takes back a producer id that was not used.
    pub fn give_back_producer_id(&self, id: ProducerId) {
        let mut spare = self.spare_producer_ids.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(id);
        }
    }
}
