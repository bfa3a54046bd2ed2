//! The table of parameters: for each action that works, which of the service's parameters its handler acts on, and
//! which nothing here does. A request is held against it before the handler sees it, so that nothing is taken and
//! lost; the docs' page is made of it.
//!
//! Paths name what is in an object with a dot; places in lists have no part of their own. A path stands for all that
//! is below it. What is listed nowhere is no parameter of the action: the service ignores it (scf.md 3.1), and so is it
//! here, with a line in the log.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// Parameters of an action, or of several that have the same.
pub(crate) struct Parameters {
    pub(crate) actions: &'static str,
    /// Those that the handler reads; `*` where it looks at all itself.
    pub(crate) taken: &'static str,
    /// Those that may only ask for nothing.
    pub(crate) refused: &'static str,
}

/// The row of an action.
pub(crate) fn of(action: &str) -> Option<&'static Parameters> {
    crate::parameter_table::TABLE.iter().find(|row| listed(row.actions, action))
}

impl Parameters {
    /// # Errors
    /// `UnsupportedOperation` for what nothing here acts on.
    pub(crate) fn check(&self, fields: &Map<String, Value>) -> Result<(), ApiError> {
        if self.taken == "*" { Ok(()) } else { self.check_fields(fields, "") }
    }

    fn check_fields(&self, fields: &Map<String, Value>, prefix: &str) -> Result<(), ApiError> {
        for (name, value) in fields {
            let path = format!("{prefix}{name}");
            if value.is_null() || listed(self.taken, &path) {
                continue;
            }
            if listed(self.refused, &path) {
                if asks_nothing(value) {
                    continue;
                }
                let message = format!("{path} is not supported by Cosette; leave it out");
                return Err(ApiError::unsupported(message));
            }
            self.check_inside(value, &path)?;
        }
        Ok(())
    }

    fn check_inside(&self, value: &Value, path: &str) -> Result<(), ApiError> {
        let prefix = format!("{path}.");
        let lists = [self.taken, self.refused];
        if !lists.iter().any(|list| list.split(' ').any(|one| one.starts_with(&prefix))) {
            // The client's text: it goes to the log cut.
            let shown: String = path.chars().take(64).collect();
            tracing::warn!("{} has no parameter {shown}: ignored", self.actions);
            return Ok(());
        }
        match value {
            Value::Object(fields) => self.check_fields(fields, &prefix),
            Value::Array(items) => items.iter().try_for_each(|item| match item {
                Value::Object(fields) => self.check_fields(fields, &prefix),
                // The handler says what should be there.
                _ => Ok(()),
            }),
            _ => Ok(()),
        }
    }
}

fn listed(list: &str, path: &str) -> bool {
    list.split(' ').any(|one| one == path)
}

/// Whether a setting is the one that what is without it has: what clients send to say *none*, also to take it away,
/// such as `[{"LayerName":"","LayerVersion":0}]` (scf.md 3.8).
pub(crate) fn asks_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            ["", "0"].contains(&text.as_str())
                || ["FALSE", "DISABLE"].iter().any(|word| text.eq_ignore_ascii_case(word))
        }
        Value::Array(items) => items.iter().all(asks_nothing),
        // Functions reach the network of this machine, so that is what they have.
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| asks_nothing(value) || (name == "PublicNetStatus" && value == "ENABLE")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::action::ACTIONS;
    use crate::parameter_table::TABLE;

    #[test]
    fn every_action_that_works_has_one_row() {
        let mut supported: Vec<&str> =
            ACTIONS.iter().filter(|row| row.supported()).map(|row| row.name).collect();
        let mut rows: Vec<&str> = TABLE.iter().flat_map(|row| row.actions.split(' ')).collect();
        supported.sort_unstable();
        rows.sort_unstable();
        assert_eq!(rows, supported);
        for row in TABLE {
            let mut paths: Vec<&str> =
                row.taken.split(' ').chain(row.refused.split(' ')).filter(|path| !path.is_empty()).collect();
            let all = paths.len();
            paths.sort_unstable();
            paths.dedup();
            assert_eq!(paths.len(), all, "{} has a parameter twice", row.actions);
        }
    }

    #[test]
    fn what_is_not_acted_on_is_refused() {
        let check = |action: &str, value: Value| {
            let check = of(action).unwrap().check(value.as_object().unwrap());
            check.map_err(|error| (error.code.into_owned(), error.message))
        };
        let code = |value| check("CreateFunction", value).map_err(|(code, _)| code);
        let variables = json!([{"Key": "A", "Value": "1"}]);
        assert_eq!(code(json!({"FunctionName": "f", "Environment": {"Variables": variables}})), Ok(()));
        for none in [
            json!({"VpcConfig": {"VpcId": "", "SubnetId": ""}, "InstallDependency": "FALSE"}),
            json!({"PublicNetConfig": {"PublicNetStatus": "ENABLE", "EipConfig": {"EipStatus": "DISABLE"}}}),
            // No parameters at all.
            json!({"Colour": "red", "DiskSize": 1024, "NodeType": "CPU"}),
            json!({"Environment": {"Variables": [{"Name": "A"}]}}),
            // A wrong type is the handler's to tell.
            json!({"Environment": 5, "FunctionName": {"a": 1}}),
        ] {
            assert_eq!(code(none.clone()), Ok(()), "{none}");
        }
        for asked in [
            json!({"InstallDependency": "TRUE"}),
            json!({"VpcConfig": {"VpcId": "v", "SubnetId": ""}}),
            json!({"CfsConfig": {"CfsInsList": [{"CfsId": "c"}]}}),
            json!({"PublicNetConfig": {"PublicNetStatus": "DISABLE", "EipConfig": {"EipStatus": "ENABLE"}}}),
            json!({"ClsTopicId": "t"}),
            json!({"Code": {"ZipFile": "", "GitUrl": "u"}}),
        ] {
            assert_eq!(code(asked.clone()), Err("UnsupportedOperation".into()), "{asked}");
        }
        let (code, message) =
            check("GetFunctionLogs", json!({"SearchContext": {"Keyword": "a"}})).unwrap_err();
        assert_eq!(code, "UnsupportedOperation");
        assert!(message.contains("SearchContext"), "{message}");
        // As it is answered it can be sent back.
        let none = json!({"SearchContext": {"Offset": "", "Limit": 0, "Keyword": "", "Type": ""}});
        assert_eq!(check("GetFunctionLogs", none), Ok(()));
    }

    /// `docs/api-parameters.md`. To renew it: `COSETTE_RENEW_DOCS=1 cargo test -p cosette-control`.
    #[test]
    fn the_documented_parameters_are_these() {
        let file = format!("{}/../../docs/api-parameters.md", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&file).unwrap();
        let begin = "<!-- parameters: made from the code -->\n";
        let (head, found) = text.split_once(begin).unwrap();
        let mut want = String::new();
        let mut service = "";
        for action in ACTIONS.iter().filter(|row| row.supported()) {
            if action.service != service {
                service = action.service;
                want.push_str(&format!(
                    "\n## {service}\n\n| Action | Acted on | Refused |\n| --- | --- | --- |\n"
                ));
            }
            let row = of(action.name).unwrap();
            want.push_str(&format!("| {} | {} | {} |\n", action.name, code(row.taken), code(row.refused)));
        }
        if found != want && std::env::var_os("COSETTE_RENEW_DOCS").is_some() {
            std::fs::write(file, format!("{head}{begin}{want}")).unwrap();
            return;
        }
        assert!(found == want, "docs/api-parameters.md is not what the table of parameters says");
    }

    fn code(list: &str) -> String {
        if list.is_empty() { String::new() } else { format!("`{}`", list.replace(' ', "` `")) }
    }
}
