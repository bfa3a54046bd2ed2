//! Bounded load over kept-alive connections, each request signed with the default account.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::net::TcpStream;

use crate::{Failure, What};

const SECRET_ID: &str = "AKIDCosetteLocalDevelopment0000000000";
const SECRET_KEY: &str = "CosetteLocalSecretKey00000000000";

pub(crate) struct Plan {
    pub(crate) server: SocketAddr,
    pub(crate) what: What,
    pub(crate) clients: usize,
    pub(crate) requests: usize,
    pub(crate) size: usize,
    pub(crate) bucket: String,
}

pub(crate) async fn run(plan: Plan) -> Result<String, Failure> {
    let plan = Arc::new(plan);
    let requests = if plan.what == What::Bucket { 1 } else { plan.requests };
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let clients: Vec<_> = (0..plan.clients.min(requests))
        .map(|_| tokio::spawn(client(Arc::clone(&plan), Arc::clone(&next), requests)))
        .collect();
    let mut latencies = Vec::with_capacity(requests);
    for client in clients {
        latencies.extend(client.await??);
    }
    let took = begun.elapsed();
    latencies.sort_unstable();
    let at = |q: f64| latencies[((latencies.len() - 1) as f64 * q) as usize];
    Ok(format!(
        "{:.0} requests/s, median {:.0} us, p99 {:.0} us ({requests} requests, {} clients)",
        requests as f64 / took.as_secs_f64(),
        micros(at(0.5)),
        micros(at(0.99)),
        plan.clients,
    ))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

async fn client(plan: Arc<Plan>, next: Arc<AtomicUsize>, requests: usize) -> Result<Vec<Duration>, Failure> {
    let stream = TcpStream::connect(plan.server).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let body = Bytes::from(vec![b'x'; plan.size]);
    let mut latencies = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return Ok(latencies);
        }
        let (method, body) = match plan.what {
            What::Put => (Method::PUT, body.clone()),
            What::Bucket => (Method::PUT, Bytes::new()),
            What::Get => (Method::GET, Bytes::new()),
            What::Head => (Method::HEAD, Bytes::new()),
            What::Delete => (Method::DELETE, Bytes::new()),
        };
        let path = match plan.what {
            What::Bucket => format!("/{}", plan.bucket),
            _ => format!("/{}/object/{number:08}", plan.bucket),
        };
        let host = plan.server.to_string();
        let authorization = sign(&method, &path, &host);
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header("host", host)
            .header("authorization", authorization)
            .body(Full::new(body))?;
        let sent = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        latencies.push(sent.elapsed());
        if !status.is_success() {
            return Err(format!("{path}: {status}: {}", String::from_utf8_lossy(&answer)).into());
        }
    }
}

/// COS's header signature over method, path and host (cos-api 2.2).
fn sign(method: &Method, path: &str, host: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = format!("{};{}", now - 60, now + 3600);
    let key = hmac(SECRET_KEY.as_bytes(), &time);
    let host = host.replace(':', "%3A");
    let text = format!("{}\n{path}\n\nhost={host}\n", method.as_str().to_ascii_lowercase());
    let hash = hex(&Sha1::digest(text));
    let signature = hmac(key.as_bytes(), &format!("sha1\n{time}\n{hash}\n"));
    format!(
        "q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time={time}&q-key-time={time}\
         &q-header-list=host&q-url-param-list=&q-signature={signature}"
    )
}

fn hmac(key: &[u8], text: &str) -> String {
    // HMAC takes keys of any length; the error cannot occur.
    Hmac::<Sha1>::new_from_slice(key).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(text.as_bytes());
            hex(&mac.finalize().into_bytes())
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
