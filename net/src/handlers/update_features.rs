//! UpdateFeatures (57), versions 0-2: changes the levels at which features run in the cluster. KIP-584, KIP-778 (downgrades, checking
//! only), KIP-1022 (all or none).

use std::collections::HashSet;

use tautline_core::error::ErrorCode;
use tautline_replica::Refusal;
use tautline_replica::controller::{FeatureChange, FeatureUpdate};

use crate::connection::{Call, Reply};
use crate::wire::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse, WireError,
    upgrade_type,
};

/// First version that says which way a level may go, in more words than one.
const UPGRADE_TYPE_VERSION: i16 = 1;

/// Makes the changes, or says whether they could be made.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: UpdateFeaturesRequest<'_> = call.decode()?;
    let mut seen = HashSet::new();
    let repeated = request
        .feature_updates
        .iter()
        .find(|it| !seen.insert(&it.feature));
    let result = match repeated {
        Some(repeated) => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format!("the feature {} is named more than once", repeated.feature),
        )),
        None => {
            let updates = request.feature_updates.iter().map(|it| update(call.version, it));
            call.broker
                .update_features(updates.collect(), request.validate_only)
                .await
        }
    };
    // The versions that have results leave out the lot when it failed.
    let results = request.feature_updates.iter().filter(|_| result.is_ok());
    let results = results.map(|it| UpdatableFeatureResult {
        feature: it.feature.clone(),
        ..Default::default()
    });
    let results = results.collect();
    let (error_code, error_message) = match result {
        Ok(()) => (ErrorCode::None.code(), None),
        Err(Refusal { code, message }) => {
            let failed = "The update failed for all features since the following feature had an error";
            (code.code(), Some(format!("{failed}: {message}").into()))
        }
    };
    Ok(call.reply(&UpdateFeaturesResponse {
        error_code,
        error_message,
        results,
        ..Default::default()
    }))
}

fn update(version: i16, asked: &FeatureUpdateKey<'_>) -> FeatureUpdate {
    let change = match asked.upgrade_type {
        _ if version < UPGRADE_TYPE_VERSION && asked.allow_downgrade => Some(FeatureChange::Downgrade),
        upgrade_type::UPGRADE => Some(FeatureChange::Upgrade),
        // Nothing is lost by any of the downgrades there are.
        upgrade_type::SAFE_DOWNGRADE | upgrade_type::UNSAFE_DOWNGRADE => Some(FeatureChange::Downgrade),
        _ => None,
    };
    FeatureUpdate {
        name: asked.feature.to_string(),
        level: asked.max_version_level,
        change,
    }
}
