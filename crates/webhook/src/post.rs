//! One post, from the message to what its answer means.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cosette_clock::Clock;
use cosette_model::Timestamp;
use cosette_model::function::{Invocation, Outcome, StatusCode};
use cosette_outgoing::{Client, Error as SendError, Limits};
use http::{HeaderValue, Method, Request, Response, StatusCode as Http, header};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::{SIGNATURE_HEADER, Webhook, patience, sign};

/// Bytes of an answer's body that are looked at and kept.
const ANSWER_BYTES_MAX: usize = 1024;

/// Posts the message, if there is a webhook to post it to.
pub(crate) async fn run(
    client: &Client,
    clock: &Clock,
    webhook: Option<Webhook>,
    invocation: Invocation,
) -> Outcome {
    let (started, began) = (clock.now(), Instant::now());
    let (status, error, answer) = match webhook {
        Some(webhook) => {
            // The signature's time is the machine's: who checks it knows no other.
            let seconds = clock.times().machine.as_secs();
            post(client, &webhook, &invocation, seconds).await
        }
        None => {
            (StatusCode::FunctionNotFound, format!("{} does not exist", invocation.target), String::new())
        }
    };
    outcome(status, error, answer, started, began)
}

fn outcome(status: StatusCode, error: String, result: String, started: Timestamp, began: Instant) -> Outcome {
    let duration_ms = began.elapsed().as_micros() as f64 / 1000.0;
    Outcome { status, result, error, log: String::new(), started, duration_ms, memory_bytes: 0 }
}

/// What an attempt ends with: its status, the error in words, and the answer.
type Answered = (StatusCode, String, String);

async fn post(client: &Client, webhook: &Webhook, invocation: &Invocation, seconds: u64) -> Answered {
    let request = match request(webhook, invocation, seconds) {
        Ok(request) => request,
        Err(error) => return (StatusCode::UserCodeException, error.to_string(), String::new()),
    };
    let limit = patience(webhook);
    let limits = Limits { connect: limit, head: limit, idle: limit };
    match timeout(limit, client.send(request, limits)).await {
        Ok(Ok(response)) => answered(response, limit).await,
        // Nothing is different the next time.
        Ok(Err(error @ (SendError::Url(_) | SendError::Refused { .. }))) => {
            (StatusCode::UserCodeException, error.to_string(), String::new())
        }
        Ok(Err(error)) => (StatusCode::InternalError, error.to_string(), String::new()),
        Err(_) => {
            let words = format!("no answer within {} ms", webhook.timeout_ms);
            (StatusCode::InternalError, words, String::new())
        }
    }
}

fn request(webhook: &Webhook, invocation: &Invocation, seconds: u64) -> Result<Request<Bytes>, http::Error> {
    let body = Bytes::copy_from_slice(invocation.event.as_bytes());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&webhook.url)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(header::CONTENT_LENGTH, body.len())
        .header(header::USER_AGENT, concat!("cosette/", env!("CARGO_PKG_VERSION")))
        .header("x-cosette-delivery", &invocation.request_id)
        .header("x-cosette-attempt", invocation.retry + 1);
    if !invocation.subject.is_empty() {
        request = request.header("x-cosette-event", &invocation.subject);
    }
    if let Some(secret) = webhook.secret.as_deref().filter(|secret| !secret.is_empty()) {
        request = request.header(SIGNATURE_HEADER, sign(secret, seconds, &body));
    }
    request.body(body)
}

/// Any 2xx takes the message. 429 is too many at once, 5xx the receiver's fault; both pass. Anything else says
/// that it will not be taken, as a function that fails does. The head alone says so, whatever becomes of the body.
async fn answered(response: Response<cosette_outgoing::Body>, limit: Duration) -> Answered {
    let (head, mut body) = response.into_parts();
    let mut begin = Vec::new();
    let read = async {
        while begin.len() < ANSWER_BYTES_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Some(data) = frame.data_ref() {
                begin.extend_from_slice(&data[..data.len().min(ANSWER_BYTES_MAX - begin.len())]);
            }
        }
    };
    // What has come by then is kept.
    let _ = timeout(limit, read).await;
    let line = format!("{:?} {}", head.version, head.status);
    let answer = format!("{line}\n{}", String::from_utf8_lossy(&begin));
    let status = match head.status {
        status if status.is_success() => StatusCode::Success,
        Http::TOO_MANY_REQUESTS => StatusCode::ResourceLimitReached,
        status if status.is_server_error() => StatusCode::InternalError,
        _ => StatusCode::UserCodeException,
    };
    let error = if status == StatusCode::Success { String::new() } else { line };
    (status, error, answer)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use cosette_model::Target;

    use super::*;

    /// Answers one request so, and returns what it was.
    fn server(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"{\"a\":1}") {
                let mut piece = [0; 1024];
                let read = stream.read(&mut piece).unwrap();
                asked.extend_from_slice(&piece[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        });
        (url, thread)
    }

    async fn posted(url: &str, secret: &str) -> Outcome {
        let webhook =
            Webhook { secret: Some(secret.into()), timeout_ms: 5000, ..Webhook::plain("w", url).unwrap() };
        let invocation = Invocation {
            request_id: "5f8d1f6e-0000-4000-8000-000000000000".into(),
            target: Target::Webhook { webhook: "w".into() },
            event: r#"{"a":1}"#.into(),
            retry: 1,
            source: "COS".into(),
            chain: Default::default(),
            subject: "s3:ObjectCreated:Put".into(),
        };
        run(&Client::default(), &Clock::real(), Some(webhook), invocation).await
    }

    #[tokio::test]
    async fn a_post_says_what_it_is_and_the_answer_is_kept() {
        let (url, asked) = server("HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nfine");
        let outcome = posted(&url, "secret").await;
        assert_eq!((outcome.status, outcome.error.as_str()), (StatusCode::Success, ""));
        assert_eq!(outcome.result, "HTTP/1.1 202 Accepted\nfine");
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /in HTTP/1.1\r\n"), "{asked}");
        for header in [
            "content-type: application/json\r\n",
            "x-cosette-delivery: 5f8d1f6e-0000-4000-8000-000000000000\r\n",
            "x-cosette-attempt: 2\r\n",
            "x-cosette-event: s3:ObjectCreated:Put\r\n",
        ] {
            assert!(asked.contains(header), "{header} {asked}");
        }
        let signed = asked.lines().find_map(|line| line.strip_prefix("x-cosette-signature: ")).unwrap();
        let seconds = signed.strip_prefix("t=").unwrap().split(',').next().unwrap().parse().unwrap();
        assert_eq!(signed, sign("secret", seconds, br#"{"a":1}"#));
    }

    #[tokio::test]
    async fn answers_fall_into_the_classes_of_failures() {
        for (answer, status) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", StatusCode::Success),
            ("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", StatusCode::ResourceLimitReached),
            ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", StatusCode::InternalError),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", StatusCode::UserCodeException),
            ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", StatusCode::UserCodeException),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", StatusCode::Success),
            ("garbage\r\n\r\n", StatusCode::InternalError),
        ] {
            let (url, asked) = server(answer);
            assert_eq!(posted(&url, "").await.status, status, "{answer}");
            let asked = asked.join().unwrap();
            assert!(!asked.contains("x-cosette-signature"), "{asked}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(posted(&format!("http://{closed}/"), "").await.status, StatusCode::InternalError);
    }

    #[tokio::test]
    async fn long_answers_are_cut() {
        let answer: &'static str = Box::leak(
            format!("HTTP/1.1 400 Bad Request\r\nContent-Length: 5000\r\n\r\n{}", "x".repeat(5000)).into(),
        );
        let (url, asked) = server(answer);
        let outcome = posted(&url, "").await;
        assert_eq!(outcome.error, "HTTP/1.1 400 Bad Request");
        assert_eq!(outcome.result.len(), outcome.error.len() + 1 + ANSWER_BYTES_MAX);
        asked.join().unwrap();
    }
}
