//! UpdateFeatures: the levels at which features run in the cluster (KIP-584, KIP-1022).
//!
//! A level is in the metadata from the first start of a broker that knows the feature, so that a newer broker, whose default may be
//! higher, keeps to it.

use tautline_core::error::ErrorCode;

use super::{Controller, Decision, Refusal};
use crate::metadata::MetadataRecord;

/// A feature that brokers of this version know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Kafka's name of it.
    pub name: &'static str,
    /// The highest level; the lowest is always 0, for "off".
    pub level_max: i16,
    /// The level in a new cluster.
    pub level_default: i16,
}

/// Consumer groups whose assignment the coordinator makes (KIP-848), from level 1 on.
pub const GROUP_VERSION: Feature = Feature {
    name: "group.version",
    level_max: 1,
    level_default: 1,
};

/// Transactions that have an epoch each, and whose partitions brokers add, from level 2 on (KIP-890). It tells clients how to ask;
/// those that ask in the old way are served at any level.
pub const TRANSACTION_VERSION: Feature = Feature {
    name: "transaction.version",
    level_max: 2,
    level_default: 2,
};

/// All features, in name order.
pub const FEATURES: &[Feature] = &[GROUP_VERSION, TRANSACTION_VERSION];

/// Which way a level may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureChange {
    /// Up.
    Upgrade,
    /// Down.
    Downgrade,
}

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// The feature's name.
    pub name: String,
    /// The level it shall run at.
    pub level: i16,
    /// Which way that is; `None` for a way that is not known.
    pub change: Option<FeatureChange>,
}

impl Controller {
    /// Decides on levels of features: on all of them or, with one result, on none.
    #[must_use]
    pub fn update_features(&self, updates: &[FeatureUpdate]) -> Decision<()> {
        let mut epoch = self.image().features_epoch();
        let mut records = Vec::new();
        for update in updates {
            match self.update_feature(update) {
                Ok(false) => {}
                Ok(true) => {
                    epoch += 1;
                    records.push(MetadataRecord::FeatureLevel {
                        name: update.name.clone(),
                        level: update.level,
                        epoch,
                    });
                }
                Err(refusal) => {
                    return Decision {
                        records: Vec::new(),
                        results: vec![Err(refusal)],
                    };
                }
            }
        }
        Decision {
            records,
            results: vec![Ok(())],
        }
    }

    /// Whether the update changes something.
    fn update_feature(&self, update: &FeatureUpdate) -> Result<bool, Refusal> {
        let FeatureUpdate { name, level, change } = update;
        let invalid = |why: &str| {
            let message = format!("Invalid update version {level} for feature {name}. {why}");
            Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message))
        };
        let Some(change) = change else {
            return invalid("The controller does not support the given upgrade type.");
        };
        if *level < 0 {
            return invalid("A feature version cannot be less than 0.");
        }
        let Some(feature) = FEATURES.iter().find(|feature| feature.name == name) else {
            return invalid("The controller does not support this feature.");
        };
        if *level > feature.level_max {
            let range = format!("The controller only supports versions 0-{}.", feature.level_max);
            return invalid(&range);
        }
        let current = self.image().feature_level(name);
        match change {
            FeatureChange::Upgrade if *level < current => invalid(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
                 downgrade.",
            ),
            FeatureChange::Downgrade if *level > current => invalid("Can't downgrade to a newer version."),
            _ => Ok(*level != current),
        }
    }

    /// Levels for the features that have none yet.
    pub(super) fn missing_features(&self) -> impl Iterator<Item = MetadataRecord> {
        let image = self.image();
        let missing = FEATURES
            .iter()
            .filter(|feature| !image.knows_feature(feature.name));
        missing
            .zip(image.features_epoch() + 1..)
            .map(|(feature, epoch)| MetadataRecord::FeatureLevel {
                name: feature.name.to_owned(),
                level: feature.level_default,
                epoch,
            })
    }
}
