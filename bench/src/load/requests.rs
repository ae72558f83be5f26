//! The requests of a thread: one template for all its connections, patched for each send.

use super::job::{Job, Lane};
use crate::client::template::Template;
use crate::clock::wall_ms;
use crate::random::Random;

/// The next requests of any lane.
pub struct Requests {
    template: Template,
    random: Random,
    spacing_ns: u64,
}

impl Requests {
    /// Builds the template. `spacing_ns` lies between the messages of a request, `seed` chooses keys.
    pub fn new(job: &Job, spacing_ns: u64, seed: u64) -> Requests {
        Requests {
            template: Template::new(&job.shape),
            random: Random(seed),
            spacing_ns,
        }
    }

    /// Makes the `turn`th request of `lane`, its messages stamped with the time they were meant to be sent.
    pub fn prepare(&mut self, lane: &Lane, turn: u64, intended_ns: u64) -> &[u8] {
        let partition = match &lane.keys {
            None => lane.partitions[turn as usize % lane.partitions.len()],
            Some(keys) => {
                let (first, partition) = keys.any(&mut self.random);
                self.template.key_mut(0).copy_from_slice(&first);
                for record in 1..self.template.records() {
                    let key = keys.any_of(partition, &mut self.random);
                    self.template.key_mut(record).copy_from_slice(&key);
                }
                partition
            }
        };
        self.template.set_partition(partition);
        self.template.set_correlation(turn as i32);
        self.template.stamp(intended_ns, self.spacing_ns);
        self.template.seal(wall_ms())
    }
}
