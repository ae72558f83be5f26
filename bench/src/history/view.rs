//! What a consumer hands to its application of an answer: Kafka's own rule for aborted transactions (KIP-98).

use std::collections::HashSet;

use super::event::{Batch, Isolation, Marker, Polled};

/// The batches of records that the application sees.
pub fn delivered(polled: &Polled, isolation: Isolation) -> impl Iterator<Item = &Batch> {
    let mut listed = polled.aborted.clone();
    listed.sort_by_key(|aborted| aborted.first_offset);
    let mut listed = listed.into_iter().peekable();
    let mut aborted = HashSet::new();
    polled.batches.iter().filter(move |batch| {
        while let Some(next) = listed.next_if(|next| next.first_offset <= batch.last_offset) {
            aborted.insert(next.producer_id);
        }
        if let Some(marker) = batch.marker {
            if marker == Marker::Abort {
                aborted.remove(&batch.producer.id);
            }
            return false;
        }
        let hidden = isolation == Isolation::ReadCommitted
            && batch.transactional
            && aborted.contains(&batch.producer.id);
        !hidden
    })
}
