//! What triggers of all types have.

use cosette_function::Function;
use cosette_model::Timestamp;
use cosette_trigger::region_code;
use serde_json::Value;

use crate::error::ApiError;
use crate::params::Params;

pub(super) const TRIGGER_DESC: &str = "TriggerDesc";
/// Characters of what is said of a trigger (scf.md 3.8).
const DESCRIPTION_MAX: usize = 1000;

/// A trigger of any type, as lists have it.
pub(super) struct Item {
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) name: String,
    pub(super) qualifier: String,
    pub(super) description: String,
    /// The `TriggerInfo`.
    pub(super) shown: Value,
}

/// `Enable` of requests, if anything is said.
pub(super) fn enabled(params: &Params<'_>) -> Result<Option<bool>, ApiError> {
    params.text("Enable")?.filter(|text| !text.is_empty()).map(enable).transpose()
}

/// `Enable` of requests: `OPEN` or `CLOSE`. Answers have 1 or 0.
pub(super) fn enable(text: &str) -> Result<bool, ApiError> {
    match text {
        "OPEN" => Ok(true),
        "CLOSE" => Ok(false),
        _ => Err(ApiError::invalid_value("Enable", format!("Enable {text} is neither OPEN nor CLOSE"))),
    }
}

/// `Description` of a trigger.
pub(super) fn description(params: &Params<'_>) -> Result<Option<String>, ApiError> {
    let text = params.text("Description")?;
    if text.is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
        let message = format!("Description must have at most {DESCRIPTION_MAX} characters");
        return Err(ApiError::invalid_value("Description", message));
    }
    Ok(text.map(str::to_owned))
}

/// What policies call a trigger (scf.md 2.1).
pub(super) fn resource_id(function: &Function, trigger: &str) -> String {
    let region = region_code(&function.region);
    format!("qcs::scf:{region}:uin/{}:function/{}/{trigger}", function.uin, function.name)
}
