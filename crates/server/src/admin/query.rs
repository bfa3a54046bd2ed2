//! The parameters of a request's query.

use cosette_model::BucketName;
use http::request::Parts;

use super::{ROWS, Refused};

/// The most rows of a list that a request may ask for.
const ROWS_MAX: usize = 100_000;

/// The query's parameters, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(parts: &Parts) -> Result<Self, Refused> {
        let text = parts.uri.query().unwrap_or_default();
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(&text.replace('+', " "))
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| Refused::bad("the query is not UTF-8"))
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Self(pairs.collect::<Result<_, Refused>>()?))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refused> {
        let parse = |text: &str| text.parse().map_err(|_| Refused::bad(format!("{name} must be a number")));
        self.get(name).map(parse).transpose()
    }

    pub(super) fn bucket(&self) -> Result<Option<BucketName>, Refused> {
        let read = |name: &str| BucketName::new(name).map_err(|error| Refused::bad(error.to_string()));
        self.get("bucket").map(read).transpose()
    }

    pub(super) fn max(&self) -> Result<usize, Refused> {
        let max = self.number("max")?.map_or(ROWS, |max| usize::try_from(max).unwrap_or(ROWS_MAX));
        Ok(max.min(ROWS_MAX))
    }
}
