//! `DeadLetterConfig`: the queue or topic that is told of what a function could not be told (scf.md 3.8, 6.5).
//! A webhook of that name stands for it.

use cosette_function::{DeadLetter, Function};
use cosette_model::Target;
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;

const NAME: &str = "DeadLetterConfig";

/// The types of the API, and their spelling in older clients.
const TYPES: [&str; 4] = ["CMQ-QUEUE", "CMQ-TOPIC", "queue", "topic"];

/// What the request says of it: nothing, that there is to be none, or which.
///
/// # Errors
/// `InvalidParameterValue` for a type that there is not, and for a name that no webhook has.
pub(super) fn dead_letter(
    call: &Call<'_>,
    params: &Params<'_>,
) -> Result<Option<Option<DeadLetter>>, ApiError> {
    let Some(asked) = params.object(NAME)? else { return Ok(None) };
    let text = |name| Ok::<_, ApiError>(asked.text(name)?.unwrap_or_default().to_owned());
    let (kind, webhook) = (text("Type")?, text("Name")?);
    if kind.is_empty() && webhook.is_empty() {
        return Ok(Some(None));
    }
    if !TYPES.contains(&kind.as_str()) {
        let message = format!("{kind} is not a type of dead letter queue");
        return Err(ApiError::invalid_value(NAME, message));
    }
    let to = Target::Webhook { webhook };
    if !call.triggers.knows(&to) {
        return Err(ApiError::invalid_value(NAME, format!("{to} does not exist")));
    }
    Ok(Some(Some(DeadLetter { to, kind })))
}

/// As `GetFunction` has it. One that is no queue has no form there.
pub(super) fn shown(function: &Function) -> Value {
    let (kind, name) = match &function.configuration.dead_letter {
        Some(DeadLetter { to: Target::Webhook { webhook }, kind }) if !kind.is_empty() => {
            (&**kind, &**webhook)
        }
        _ => ("", ""),
    };
    json!({"Type": kind, "Name": name, "FilterType": ""})
}
