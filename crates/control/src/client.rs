//! A small client of the Cloud API and the admin API, for the command line. Plain http, one
//! connection a call.

use std::time::Duration;

use bytes::Bytes;
use cosette_clock::Clock;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::error::OTHER_CODE;
use crate::signature::tc3::Signing;

const SERVICE: &str = "scf";
const VERSION: &str = "2018-04-16";
/// A server on this machine or a near one answers the connection at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a server is and whose keys to use.
#[derive(Clone, Debug)]
pub struct Client {
    pub endpoint: String,
    pub secret_id: String,
    pub secret_key: String,
    /// Whose functions the admin API is asked for: the SecretId of a key, or nothing for the default account.
    pub account: String,
    pub region: String,
    /// Of the functions that calls are about.
    pub namespace: String,
}

/// A header of ours, which no SDK sends: `UpdateFunctionCode` changes nothing unless the function's package has this
/// SHA-256, in hex (`CodeSha256` of `GetFunctionAddress`).
pub const IF_CODE: &str = "x-cosette-if-code";

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("{0} is not an endpoint such as http://127.0.0.1:9000")]
    Endpoint(String),
    #[error("cannot connect to {endpoint}: {why}")]
    Connect { endpoint: String, why: String },
    /// Connected, but what came back is not an answer.
    #[error("{endpoint} did not answer as Cosette does: {why}")]
    Protocol { endpoint: String, why: String },
    /// The action answered an error.
    #[error("{code}: {message} (request {request_id})")]
    Api { code: String, message: String, request_id: String },
    /// The admin API answered an error.
    #[error("{status}: {message}")]
    Admin { status: StatusCode, message: String },
}

impl CallError {
    /// Whether the answer is that what was named is not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Admin { status, .. } => *status == StatusCode::NOT_FOUND,
            Self::Api { code, .. } => code.starts_with("ResourceNotFound"),
            _ => false,
        }
    }

    /// Whether the answer is that something is not as it was expected.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Admin { status, .. } => *status == StatusCode::CONFLICT,
            Self::Api { code, .. } => code == OTHER_CODE,
            _ => false,
        }
    }
}

impl Client {
    /// Calls an action of SCF; what is in `Response` comes back.
    pub async fn call(&self, action: &str, params: &Value) -> Result<Value, CallError> {
        self.call_with(action, params, &[]).await
    }

    /// `UpdateFunctionCode`, which is a conflict if the function has not the package with this SHA-256, in hex.
    pub async fn update_code_if(&self, code: &str, params: &Value) -> Result<Value, CallError> {
        self.call_with("UpdateFunctionCode", params, &[(IF_CODE, code)]).await
    }

    async fn call_with(
        &self,
        action: &str,
        params: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Value, CallError> {
        let host = self.host()?;
        let mut params = params.clone();
        if let Value::Object(fields) = &mut params {
            fields.entry("Namespace").or_insert_with(|| self.namespace.clone().into());
        }
        let body = Bytes::from(params.to_string());
        let timestamp = Clock::real().now().as_secs();
        let signing = Signing {
            secret_id: &self.secret_id,
            secret_key: &self.secret_key,
            service: SERVICE,
            host: &host,
            timestamp,
        };
        let mut request = Request::builder().method(Method::POST).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .header(header::HOST, &host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, signing.authorization(&body))
            .header("X-TC-Action", action)
            .header("X-TC-Version", VERSION)
            .header("X-TC-Timestamp", timestamp)
            .header("X-TC-Region", &self.region)
            .body(Full::new(body));
        let (_, mut answer) = self.send(&host, request).await?;
        let response = match answer.get_mut("Response") {
            Some(response @ Value::Object(_)) => response.take(),
            _ => return Err(self.protocol("the answer has no Response")),
        };
        let Some(error) = response.get("Error") else { return Ok(response) };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(CallError::Api {
            code: text(error.get("Code")),
            message: text(error.get("Message")),
            request_id: text(response.get("RequestId")),
        })
    }

    /// `GET` of the admin API: a path such as `/_cosette/health`, with its query.
    pub async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.admin(Method::GET, path, Bytes::new()).await
    }

    /// `POST` to the admin API.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.admin(Method::POST, path, Bytes::from(body.to_string())).await
    }

    /// `DELETE` of the admin API.
    pub async fn delete(&self, path: &str) -> Result<Value, CallError> {
        self.admin(Method::DELETE, path, Bytes::new()).await
    }

    async fn admin(&self, method: Method, path: &str, body: Bytes) -> Result<Value, CallError> {
        let host = self.host()?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body));
        let (status, answer) = self.send(&host, request).await?;
        if status.is_success() {
            return Ok(answer);
        }
        let message = answer.get("error").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
        Err(CallError::Admin { status, message })
    }

    async fn send(
        &self,
        host: &str,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Result<(StatusCode, Value), CallError> {
        let request = request.map_err(|error| self.protocol(error))?;
        let unreachable = |why: String| CallError::Connect { endpoint: self.endpoint.clone(), why };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(host))
            .await
            .map_err(|_| unreachable("no answer in time".into()))?
            .map_err(|error| unreachable(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.protocol(error))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| self.protocol(error))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| self.protocol(error))?.to_bytes();
            let answer = serde_json::from_slice(&body)
                .map_err(|error| self.protocol(format!("{}, not JSON: {error}", head.status)))?;
            Ok((head.status, answer))
        };
        // The connection must be driven while the exchange waits; it ends with it.
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = connection => match ended {
                Ok(()) => exchange.await,
                Err(error) => Err(self.protocol(error)),
            },
        }
    }

    fn protocol(&self, why: impl ToString) -> CallError {
        CallError::Protocol { endpoint: self.endpoint.clone(), why: why.to_string() }
    }

    /// `host:port` of the endpoint.
    fn host(&self) -> Result<String, CallError> {
        let wrong = || CallError::Endpoint(self.endpoint.clone());
        let uri: Uri = self.endpoint.trim_end_matches('/').parse().map_err(|_| wrong())?;
        if uri.scheme_str() != Some("http") || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong());
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err(wrong());
        }
        Ok(format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn client(endpoint: &str) -> Client {
        Client {
            endpoint: endpoint.into(),
            secret_id: "id".into(),
            secret_key: "key".into(),
            account: String::new(),
            region: "ap-guangzhou".into(),
            namespace: "default".into(),
        }
    }

    #[test]
    fn endpoints_are_plain_http() {
        assert_eq!(client("http://127.0.0.1:9000/").host().unwrap(), "127.0.0.1:9000");
        assert_eq!(client("http://[::1]:9000").host().unwrap(), "[::1]:9000");
        assert_eq!(client("http://cosette").host().unwrap(), "cosette:80");
        for bad in ["", "127.0.0.1:9000", "https://127.0.0.1:9000", "http://h/path", "http://u@h", "http://"]
        {
            assert!(matches!(client(bad).host(), Err(CallError::Endpoint(_))), "{bad}");
        }
    }

    /// Serves one connection with a canned answer and gives back what was asked.
    async fn one_answer(answer: &'static str) -> (Client, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 4096];
            while !asked.ends_with(b"}") {
                let n = stream.read(&mut buffer).await.unwrap();
                asked.extend_from_slice(&buffer[..n]);
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            String::from_utf8(asked).unwrap()
        });
        (client(&format!("http://{address}")), served)
    }

    #[tokio::test]
    async fn a_call_is_signed_and_its_response_unwrapped() {
        let (client, served) = one_answer(r#"{"Response":{"TotalCount":0,"RequestId":"r"}}"#).await;
        let response = client.call("ListFunctions", &serde_json::json!({"Limit": 1})).await.unwrap();
        assert_eq!(response["TotalCount"], 0);
        let asked = served.await.unwrap();
        assert!(asked.starts_with("POST / HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("x-tc-action: ListFunctions\r\n"), "{asked}");
        assert!(asked.contains("authorization: TC3-HMAC-SHA256 Credential=id/"), "{asked}");
        assert!(asked.ends_with(r#"{"Limit":1,"Namespace":"default"}"#), "{asked}");
    }

    #[tokio::test]
    async fn an_api_error_keeps_its_code() {
        let answer = r#"{"Response":{"Error":{"Code":"ResourceNotFound.FunctionName","Message":"no"},"RequestId":"r"}}"#;
        let (client, _served) = one_answer(answer).await;
        let error = client.call("GetFunction", &serde_json::json!({})).await.unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.to_string(), "ResourceNotFound.FunctionName: no (request r)");
    }

    #[tokio::test]
    async fn a_closed_port_is_said_to_be_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = client(&endpoint).get("/_cosette/health").await.unwrap_err();
        assert!(matches!(error, CallError::Connect { .. }), "{error}");
    }
}
