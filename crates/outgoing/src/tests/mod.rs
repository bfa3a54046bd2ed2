//! Against servers of a few lines on loopback.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

/// How many connections came in.
type Count = Arc<AtomicUsize>;

/// Answers each request on each connection with the text, and closes after it if there is nothing left to say.
async fn server(answers: &'static [&'static str]) -> (String, Count) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Count::default();
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, answers));
        }
    });
    (format!("127.0.0.1:{}", address.port()), count)
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answers: &[&str]) {
    for answer in answers {
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => asked.push(byte),
                Err(_) => return,
            }
        }
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.flush().await;
    }
    let _ = stream.shutdown().await;
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

async fn text(client: &Client, url: &str) -> String {
    let response = client.send(get(url), Limits::default()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn a_connection_is_used_again() {
    let (host, count) = server(&[HELLO; 3]).await;
    let client = Client::default();
    for _ in 0..2 {
        assert_eq!(text(&client, &format!("http://{host}/a?b")).await, "hello");
        // Back in the pool once the connection has seen the end of the body.
        while client.pool.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(text(&client, &format!("http://{host}/")).await, "hello");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(text(&client, &format!("http://{host}/")).await, "hello", "closed, so another is made");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_sent_is_what_was_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("localhost:{}", listener.local_addr().unwrap().port());
    let request = Request::post(format!("http://{host}/a%20b?c=%2F"))
        .header("x-one", "1")
        .body(Bytes::from_static(b"body"))
        .unwrap();
    let client = Client::default();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"body") {
            asked.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    let response = client.send(request, Limits::default()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["location"].as_bytes()), (302, &b"/"[..]));
    let asked = asked.await.unwrap();
    let wanted =
        format!("POST /a%20b?c=%2F HTTP/1.1\r\nx-one: 1\r\nhost: {host}\r\ncontent-length: 4\r\n\r\nbody");
    assert_eq!(asked, wanted);
}

#[tokio::test]
async fn half_a_body_is_an_error() {
    for half in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let (host, _) = server(Box::leak(Box::new([half]))).await;
        let response =
            Client::default().send(get(&format!("http://{host}/")), Limits::default()).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
    }
}

#[tokio::test]
async fn no_response_is_an_error_that_says_why() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (garbage, _) = server(&["SSH-2.0-OpenSSH\r\n\r\n"]).await;
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let (long, _) = server(Box::leak(Box::new([&*long.leak()]))).await;
    let client = Client::default();
    let error = async |url: String| client.send(get(&url), Limits::default()).await.unwrap_err();
    let e = error(format!("http://{closed}/")).await;
    assert!(matches!(e, Error::Connect { .. }), "{e}");
    for (host, what) in [(garbage, "no HTTP"), (long, "a head without end")] {
        let e = error(format!("http://{host}/")).await;
        assert!(matches!(e, Error::Protocol { .. }), "{what}: {e}");
    }
    for url in ["ftp://a/", "/path", "http://user@a/", "http://a:99999/"] {
        let Ok(request) = Request::get(url).body(Bytes::new()) else { continue };
        let e = client.send(request, Limits::default()).await.unwrap_err();
        assert!(matches!(e, Error::Url(_)), "{url}: {e}");
    }
    let e = error("http://me:word@a/b?signature=s".to_owned()).await;
    assert_eq!(e.to_string(), "http://a/b is not a URL that can be asked");
}

#[tokio::test]
async fn nothing_waits_for_ever() {
    let short = Duration::from_millis(30);
    let limits = Limits { head: short, idle: short, ..Limits::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let e = Client::default().send(get(&url), limits).await.unwrap_err();
    assert!(matches!(e, Error::Timeout { step: Step::Head, .. }), "{e}");
    drop(listener.accept().await.unwrap());

    let held = tokio::spawn(async move {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello").await.unwrap();
        stream
    });
    let limits = Limits { idle: short, ..Limits::default() };
    let response = Client::default().send(get(&url), limits).await.unwrap();
    let e = response.into_body().collect().await.unwrap_err();
    assert!(matches!(e, Error::Timeout { step: Step::Body, .. }), "{e}");
    drop(held.await.unwrap());
}

#[tokio::test]
async fn a_refused_address_is_not_connected_to() {
    for host in ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "2852039166"] {
        let e = Client::default().send(get(&format!("http://{host}/")), Limits::default()).await.unwrap_err();
        assert!(matches!(e, Error::Refused { .. }), "{host}: {e}");
    }
}

/// Of a name that has both, only those are left that were looked at and found good.
#[test]
fn a_name_is_judged_by_where_it_leads() {
    let peer = Peer::of(&"http://somewhere/".parse().unwrap()).unwrap();
    let at = |address: &str| -> std::net::SocketAddr { address.parse().unwrap() };
    let (good, bad) = (at("10.0.0.1:80"), at("169.254.169.254:80"));
    assert_eq!(peer.allowed([bad, good]).unwrap(), [good]);
    assert!(matches!(peer.allowed([bad]), Err(Error::Refused { .. })));
    assert!(matches!(peer.allowed([]), Err(Error::Connect { .. })));
}

async fn tls_server() -> u16 {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, &[HELLO]).await;
            }
        }
    });
    port
}

#[tokio::test]
async fn tls_is_for_those_whom_one_trusts() {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(include_bytes!("ca.pem")).unwrap()).unwrap();
    let trusting = Client { connector: Arc::new(Connector::trusting(roots)), ..Client::default() };
    let port = tls_server().await;
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(text(&trusting, &format!("https://{host}:{port}/")).await, "hello");
    }
    let wary =
        Client { connector: Arc::new(Connector::trusting(RootCertStore::empty())), ..Client::default() };
    // The certificate has no such name.
    for (client, host) in [(&wary, "localhost"), (&trusting, "127.1")] {
        let e = client.send(get(&format!("https://{host}:{port}/")), Limits::default()).await.unwrap_err();
        assert!(matches!(e, Error::Tls { .. }), "{host}: {e}");
    }
    let (plain, _) = server(&["HTTP/1.1 200 OK\r\n\r\n"]).await;
    let e = trusting
        .send(
            get(&format!("https://{plain}/")),
            Limits { connect: Duration::from_millis(300), ..Limits::default() },
        )
        .await
        .unwrap_err();
    assert!(matches!(e, Error::Tls { .. } | Error::Timeout { step: Step::Connect, .. }), "{e}");
}
