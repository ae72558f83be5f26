//! The cluster's metadata as a log, and as the image that replaying it gives.

mod apply;
mod apply_error;
mod image;
mod record;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod topic;

pub use apply_error::ApplyError;
pub use image::{BrokerImage, MetadataImage};
pub use record::{ConfigResource, DecodeError, MetadataRecord, RECORD_FORMAT_VERSION, batch_of, records_of};
pub use topic::{Configs, INTERNAL_TOPICS, TopicImage, is_internal};
