//! What a sweep found of one target.

use serde::{Deserialize, Serialize};

use crate::report::percentiles::Percentiles;

/// The steps and the knee.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Swept {
    /// In the order in which they were tried.
    pub steps: Vec<Step>,
    /// The highest rate at which the tail held, in messages a second.
    pub knee_rate: Option<f64>,
    /// Why it did not hold at the next one; None when it was never broken.
    pub broken_by: Option<String>,
}

/// One rate that was tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Messages a second asked for.
    pub rate: f64,
    /// Messages a second acknowledged while they were asked for.
    pub achieved: f64,
    /// Of acknowledgements, or from end to end.
    pub latency: Percentiles,
    /// Why the tail did not hold at this rate.
    pub broken_by: Option<String>,
    /// Part of the time in which the harness's busiest thread had something to do.
    pub client_busy: Option<f64>,
}
