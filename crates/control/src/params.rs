//! An action's parameters: reading them with their types, and making them out of flattened
//! `A.0.B=c` pairs. Knows no action.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::ApiError;

/// An object among the parameters, with its place for error messages. What is absent or `null` is
/// `None`; numbers and truth values may be given as text, as the GET and v1 forms can do no other.
#[derive(Clone, Debug)]
pub(crate) struct Params<'a> {
    object: &'a Map<String, Value>,
    /// `Code.` for the fields of `Code`; `""` at the top.
    path: String,
}

impl<'a> Params<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, path: String::new() }
    }

    /// The value as it came; `null` is absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Refuses what an action has and we do not, but for what is switched off.
    ///
    /// # Errors
    /// `UnsupportedOperation`, with the name of the first that is not `known`.
    pub(crate) fn known(&self, known: &[&str]) -> Result<(), ApiError> {
        let nothing = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(fields) => fields.get("Switch").is_some_and(|switch| switch == "off"),
            Value::Bool(_) | Value::Number(_) => false,
        };
        match self.object.iter().find(|(name, value)| !known.contains(&name.as_str()) && !nothing(value)) {
            Some((name, _)) => {
                Err(ApiError::unsupported(format!("{}{name} is not supported by Cosette", self.path)))
            }
            None => Ok(()),
        }
    }

    /// What has a form of its own, inside of a parameter, may have these fields and no others.
    ///
    /// # Errors
    /// `InvalidParameterValue` of the parameter, with the name of the first that is none of them.
    pub(crate) fn only(&self, parameter: &str, fields: &[&str]) -> Result<(), ApiError> {
        match self.object.keys().find(|name| !fields.contains(&name.as_str())) {
            Some(name) => {
                let message = format!("{parameter} has no field {}{name}", self.path);
                Err(ApiError::invalid_value(parameter, message))
            }
            None => Ok(()),
        }
    }

    /// A copy, for what outlives the request.
    pub(crate) fn owned(&self) -> Map<String, Value> {
        self.object.clone()
    }

    fn wrong_type(&self, name: &str, wanted: &str) -> ApiError {
        ApiError::new("InvalidParameter", format!("the parameter {}{name} must be {wanted}", self.path))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.get(name).map(|v| v.as_str().ok_or_else(|| self.wrong_type(name, "a string"))).transpose()
    }

    /// A text that must be there and say something.
    pub(crate) fn needed(&self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| {
            let mut error = ApiError::missing(name);
            error.message = format!("the required parameter {}{name} is missing", self.path);
            error
        })
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name)
            .map(|value| match value {
                Value::Number(number) => number.as_i64(),
                Value::String(text) => text.trim().parse().ok(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            })
            .map(|number| number.ok_or_else(|| self.wrong_type(name, "an integer")))
            .transpose()
    }

    /// An integer that cannot be negative; one that is gets `InvalidParameterValue.<name>`.
    pub(crate) fn count<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.integer(name)?
            .map(|number| {
                T::try_from(number).map_err(|_| {
                    ApiError::invalid_value(name, format!("{}{name} {number} is out of range", self.path))
                })
            })
            .transpose()
    }

    /// `true`, `false`, and the service's own `"TRUE"` and `"FALSE"` (scf.md 3.6). `""` is none.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(self.wrong_type(name, "TRUE or FALSE")),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Params<'a>>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Params { object, path: format!("{}{name}.", self.path) })),
            Some(_) => Err(self.wrong_type(name, "an object")),
        }
    }

    pub(crate) fn objects(&self, name: &str) -> Result<Option<Vec<Params<'a>>>, ApiError> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        let each = list.iter().enumerate().map(|(at, value)| match value {
            Value::Object(object) => Ok(Params { object, path: format!("{}{name}.{at}.", self.path) }),
            _ => Err(self.wrong_type(&format!("{name}.{at}"), "an object")),
        });
        each.collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, ApiError> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        let each = list.iter().enumerate().map(|(at, value)| {
            value.as_str().ok_or_else(|| self.wrong_type(&format!("{name}.{at}"), "a string"))
        });
        each.collect::<Result<_, _>>().map(Some)
    }

    fn list(&self, name: &str) -> Result<Option<&'a Vec<Value>>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(self.wrong_type(name, "a list")),
        }
    }
}

/// Levels of `A.B.C` taken; the deepest of any action is six.
const DEPTH_MAX: usize = 16;

enum Node {
    Leaf(String),
    Branch(BTreeMap<String, Node>),
}

/// Makes nested JSON of flattened parameters (scf.md 3.2): a level whose names are all numbers
/// becomes a list in their order.
pub(crate) fn unflatten(
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<Map<String, Value>, ApiError> {
    let mut root = BTreeMap::new();
    for (name, value) in pairs {
        let parts: Vec<&str> = name.split('.').collect();
        if parts.len() > DEPTH_MAX {
            return Err(ApiError::new("InvalidParameter", "a parameter's name has too many levels"));
        }
        place(&mut root, &parts, value).map_err(|()| {
            ApiError::new("InvalidParameter", format!("the parameter {name} contradicts another one"))
        })?;
    }
    Ok(root.into_iter().map(|(name, node)| (name, node.into_value())).collect())
}

fn place(branch: &mut BTreeMap<String, Node>, parts: &[&str], value: String) -> Result<(), ()> {
    match parts {
        [] => Err(()),
        [last] => match branch.insert((*last).to_owned(), Node::Leaf(value)) {
            None => Ok(()),
            Some(_) => Err(()),
        },
        [first, rest @ ..] => {
            let next = branch.entry((*first).to_owned()).or_insert_with(|| Node::Branch(BTreeMap::new()));
            match next {
                Node::Branch(next) => place(next, rest, value),
                Node::Leaf(_) => Err(()),
            }
        }
    }
}

impl Node {
    fn into_value(self) -> Value {
        let branch = match self {
            Self::Leaf(text) => return Value::String(text),
            Self::Branch(branch) => branch,
        };
        let numbers: Option<Vec<u32>> = branch.keys().map(|name| name.parse().ok()).collect();
        match numbers {
            None => Value::Object(branch.into_iter().map(|(n, node)| (n, node.into_value())).collect()),
            Some(numbers) => {
                let mut items: Vec<(u32, Node)> = numbers.into_iter().zip(branch.into_values()).collect();
                items.sort_by_key(|(number, _)| *number);
                Value::Array(items.into_iter().map(|(_, node)| node.into_value()).collect())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn flattened_parameters_become_nested() {
        let made = unflatten(pairs(&[
            ("FunctionName", "f"),
            ("Code.ZipFile", "UEs="),
            ("Environment.Variables.0.Key", "A"),
            ("Environment.Variables.0.Value", "1"),
            ("Environment.Variables.1.Key", "B"),
            ("Environment.Variables.1.Value", ""),
            ("Filters.0.Values.10", "k"),
            ("Filters.0.Values.2", "c"),
            ("Filters.0.Name", "Runtime"),
        ]))
        .unwrap();
        assert_eq!(
            Value::Object(made),
            json!({
                "FunctionName": "f",
                "Code": {"ZipFile": "UEs="},
                "Environment": {"Variables": [{"Key": "A", "Value": "1"}, {"Key": "B", "Value": ""}]},
                "Filters": [{"Name": "Runtime", "Values": ["c", "k"]}],
            })
        );
    }

    #[test]
    fn contradictions_and_depth_are_refused() {
        for bad in [
            pairs(&[("A", "1"), ("A.B", "2")]),
            pairs(&[("A.B", "2"), ("A", "1")]),
            pairs(&[("A", "1"), ("A", "2")]),
            pairs(&[(&"A.".repeat(40), "1")]),
        ] {
            assert_eq!(unflatten(bad).unwrap_err().code, "InvalidParameter");
        }
    }

    #[test]
    fn text_counts_as_number_and_truth() {
        let value =
            json!({"A": 5, "B": "6", "C": "TRUE", "D": false, "E": null, "F": "True", "G": "x", "H": -1});
        let params = Params::new(value.as_object().unwrap());
        assert_eq!(params.integer("A").unwrap(), Some(5));
        assert_eq!(params.integer("B").unwrap(), Some(6));
        assert_eq!(params.flag("C").unwrap(), Some(true));
        assert_eq!(params.flag("D").unwrap(), Some(false));
        assert_eq!(params.text("E").unwrap(), None);
        assert_eq!(params.flag("F").unwrap(), Some(true));
        assert_eq!(params.integer("G").unwrap_err().code, "InvalidParameter");
        assert_eq!(params.flag("G").unwrap_err().code, "InvalidParameter");
        assert_eq!(params.count::<u32>("H").unwrap_err().code, "InvalidParameterValue");
        assert_eq!(params.text("A").unwrap_err().message, "the parameter A must be a string");
        assert_eq!(params.needed("Z").unwrap_err().code, "MissingParameter");
        assert_eq!(params.needed("E").unwrap_err().code, "MissingParameter");
    }

    #[test]
    fn messages_name_the_place() {
        let value = json!({"Code": {"ZipFile": 1}, "Filters": [{"Values": [1]}], "Bad": [1]});
        let params = Params::new(value.as_object().unwrap());
        let code = params.object("Code").unwrap().unwrap();
        assert_eq!(code.text("ZipFile").unwrap_err().message, "the parameter Code.ZipFile must be a string");
        let filters = params.objects("Filters").unwrap().unwrap();
        let error = filters[0].texts("Values").unwrap_err();
        assert_eq!(error.message, "the parameter Filters.0.Values.0 must be a string");
        assert_eq!(params.objects("Bad").unwrap_err().message, "the parameter Bad.0 must be an object");
        assert_eq!(params.object("Bad").unwrap_err().message, "the parameter Bad must be an object");
    }
}
