//! The part of the admin API that lets a function run from a folder of this machine. See `docs/admin-api.md`.

use std::net::IpAddr;
use std::path::PathBuf;

use cosette_function::{DEFAULT_NAMESPACE, Error};
use cosette_model::function::FunctionName;
use http::request::Parts;
use http::uri::Authority;
use http::{StatusCode, header};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{Admin, Refused, asked};

impl Admin {
    /// Only where nobody else reaches the server, and not for a page in a browser: that cannot send JSON here
    /// without being allowed to, and nobody is.
    pub(crate) async fn run_from(&self, parts: &Parts, body: Incoming) -> Result<Value, Refused> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Folder {
            function: String,
            namespace: Option<String>,
            region: Option<String>,
            account: Option<String>,
            path: Option<PathBuf>,
            /// Hex SHA-256 of the package that the function is taken to have.
            code: Option<String>,
        }
        if !self.is_local {
            let why = "a server that other machines can reach runs nothing from a folder";
            return Err(Refused(StatusCode::FORBIDDEN, why.to_owned()));
        }
        // Nor for one whose name has been made to lead here.
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host: Option<Authority> = host.and_then(|host| host.parse().ok());
        let is_by_address = |host: &str| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<IpAddr>().is_ok()
        };
        if !host.is_some_and(|host| is_by_address(host.host())) {
            let why = "the server must be asked as localhost or by its address";
            return Err(Refused(StatusCode::FORBIDDEN, why.to_owned()));
        }
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if kind != Some("application/json") {
            return Err(Refused::bad("the Content-Type must be application/json"));
        }
        let folder: Folder = asked(body).await?;
        let namespace = folder.namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let (region, name) = (folder.region.unwrap_or_default(), folder.function.clone());
        let appid = self.account(folder.account.as_deref())?;
        let named = self.located(FunctionName { appid, region, namespace, name })?;
        let run = self.functions.run_from(&named, folder.path.clone(), folder.code.as_deref());
        let code = run.await.map_err(|error| match error {
            Error::OtherCode(_) => Refused(StatusCode::CONFLICT, error.to_string()),
            Error::NoSuchFunction(_) | Error::NoSuchNamespace(_) => {
                Refused(StatusCode::NOT_FOUND, error.to_string())
            }
            Error::Invalid { .. } => Refused::bad(error.to_string()),
            other => Refused::internal(other),
        })?;
        Ok(json!({
            "function": folder.function, "namespace": named.namespace, "path": folder.path, "code": code,
        }))
    }
}
