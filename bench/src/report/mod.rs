//! What a run says: percentiles as a table, the HdrHistogram log, JSON, and one page that draws what several runs said.

pub mod command;
pub mod document;
pub mod durability;
pub mod figures;
pub mod files;
pub mod machine;
pub mod measured;
pub mod page;
pub mod percentiles;
pub mod recorder;
pub mod series;
pub mod table;
