//! Web functions, with servers of Python's own.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cosette_model::{BodyError, ByteStream};
use futures_core::Stream;
use http::{Request, Response};
use tokio::sync::oneshot;

use super::*;
use crate::web::host::Job;
use crate::{Exchange, Web};

const SERVER: &str = r#"
import os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    meet = threading.Barrier(2)

    def do_GET(self):
        print("asked", self.path, flush=True)
        if self.path == "/meet":
            open("asked", "w").close()
            self.meet.wait()
        if self.path == "/hang":
            time.sleep(60)
        if self.path == "/break":
            self.close_connection = True
            open("broken", "w").close()
            return
        if self.path == "/exit":
            os._exit(3)
        body = f"{os.getpid()} {self.path} {self.headers.get('x-own')}".encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in body.split(b","):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def do_PUT(self):
        self.send_response(200)
        self.send_header("content-length", "9")
        self.end_headers()
        self.wfile.write(b"part")
        self.close_connection = True

    def do_DELETE(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 64

Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

fn function(house: &House, server: &str, concurrency: usize) -> Spec {
    let start = "#!/bin/bash\nexec python3 app.py\n";
    let mut spec = house.function("Python3.9", "", &[("scf_bootstrap", start), ("app.py", server)]);
    std::fs::set_permissions(
        spec.code.join("scf_bootstrap"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    spec.web = Some(Web { concurrency, websocket: None });
    spec
}

/// What came of a request, and the answer if there was one.
async fn ask(house: &House, spec: &Spec, path: &str, body: Option<&str>) -> (Ran, Option<(u16, String)>) {
    let (exchange, answered) = exchange(if body.is_some() { "POST" } else { "GET" }, path, body);
    let chain = Chain::default();
    tokio::join!(house.runtime.serve(spec, ID, &chain, exchange), read(answered))
}

fn exchange(
    method: &str,
    path: &str,
    body: Option<&str>,
) -> (Exchange, oneshot::Receiver<Response<ByteStream>>) {
    let mut request =
        Request::builder().method(method).uri(path).header("host", "function").header("x-own", "kept");
    if let Some(body) = body {
        request = request.header("content-length", body.len());
    }
    let body: ByteStream = Box::pin(Once(body.map(|body| Bytes::copy_from_slice(body.as_bytes()))));
    let (answer, answered) = oneshot::channel();
    (Exchange { request: request.body(body).unwrap(), answer, held: None }, answered)
}

async fn read(answered: oneshot::Receiver<Response<ByteStream>>) -> Option<(u16, String)> {
    let (head, mut body) = answered.await.ok()?.into_parts();
    let mut text = String::new();
    while let Some(part) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        text.push_str(&String::from_utf8_lossy(&part.ok()?));
    }
    Some((head.status.as_u16(), text))
}

fn pid(answer: &Option<(u16, String)>) -> i64 {
    answer.as_ref().unwrap().1.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn requests_and_answers_are_passed_on() {
    let house = House::new();
    let spec = function(&house, SERVER, 1);
    let (ran, answer) = ask(&house, &spec, "/a%20b?c=d", None).await;
    assert_eq!(ran.status, StatusCode::Success, "{ran:#?}");
    assert!(ran.init_duration.is_some());
    let (status, text) = answer.clone().unwrap();
    assert_eq!((status, &text[text.find(' ').unwrap()..]), (201, " /a%20b?c=d kept"));
    assert_eq!(ran.output, "asked /a%20b?c=d\n");
    assert_eq!(ran.result, format!("{{\"bytes\":{},\"statusCode\":201}}", text.len()));
    let (ran, again) = ask(&house, &spec, "/", None).await;
    assert!(ran.init_duration.is_none(), "the instance is warm");
    assert_eq!(pid(&again), pid(&answer));
    let (_, answer) = ask(&house, &spec, "/", Some("one,two,three")).await;
    assert_eq!(answer, Some((200, "onetwothree".into())));
}

#[tokio::test]
async fn a_server_that_a_script_starts_is_measured() {
    let house = House::new();
    let spec = function(&house, SERVER, 1);
    // The shell waits for it.
    std::fs::write(spec.code.join("scf_bootstrap"), "#!/bin/bash\npython3 app.py\necho ended\n").unwrap();
    for is_cold in [true, false] {
        let (ran, _) = ask(&house, &spec, "/", None).await;
        assert_eq!((ran.status, ran.init_duration.is_some()), (StatusCode::Success, is_cold), "{ran:#?}");
        assert!(ran.memory_bytes > 8 << 20, "{} bytes are the shell's", ran.memory_bytes);
    }
}

#[tokio::test]
async fn an_instance_has_as_many_requests_as_it_may() {
    let house = House::new();
    let spec = function(&house, SERVER, 2);
    // Each waits for the other.
    let (one, other) = tokio::join!(ask(&house, &spec, "/meet", None), ask(&house, &spec, "/meet", None));
    assert_eq!(pid(&one.1), pid(&other.1));
    let alone = function(&house, SERVER, 1);
    let (one, other) = tokio::join!(ask(&house, &alone, "/", None), ask(&house, &alone, "/", None));
    assert_ne!(pid(&one.1), pid(&other.1));
}

/// Whether its end is known by its length, comes on its own, is the head's, or is too early.
#[tokio::test]
async fn the_last_of_an_answer_is_held_until_its_place_is_free() {
    let house = House::new();
    let spec = function(&house, SERVER, 1);
    for (method, body, status) in [
        ("GET", None, Some(201)),
        ("POST", Some("one,two"), Some(200)),
        ("DELETE", None, Some(204)),
        ("PUT", None, None),
    ] {
        let (mut exchange, answered) = exchange(method, "/", body);
        let hold = exchange.hold();
        let reading = tokio::spawn(read(answered));
        let ran = house.runtime.serve(&spec, ID, &Chain::default(), exchange).await;
        assert_eq!(ran.status == StatusCode::Success, status.is_some(), "{ran:#?}");
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(!reading.is_finished(), "{method}");
        drop(hold);
        assert_eq!(reading.await.unwrap().map(|(status, _)| status), status);
    }
}

#[tokio::test]
async fn an_instance_that_was_given_up_gets_no_more() {
    let house = House::new();
    let spec = function(&house, SERVER, 2);
    let job = || {
        let (done, _) = oneshot::channel();
        let exchange = exchange("GET", "/", None).0;
        Job { request_id: ID.into(), chain: Chain::default(), exchange, done }
    };
    let hosts = &house.runtime.shared.hosts;
    drop(hosts.give(&spec.id, 2, 0, job()).unwrap());
    let queue = hosts.give(&spec.id, 2, 1, job()).unwrap();
    assert!(hosts.give(&spec.id, 2, 2, job()).is_none(), "it joins the one that is there");
    assert_eq!(queue.len(), 2);
}

#[tokio::test]
async fn who_is_broken_off_holds_up_nobody() {
    let house = House::new();
    let spec = function(&house, SERVER, 2);
    ask(&house, &spec, "/", None).await;
    let mut broken = Box::pin(ask(&house, &spec, "/break", None));
    let others = async {
        until("it broke", || spec.code.join("broken").exists()).await;
        for _ in 0..3 {
            succeeded(&ask(&house, &spec, "/", None).await.0);
        }
    };
    tokio::select! {
        biased;
        _ = &mut broken => panic!("its end was told first"),
        () = others => {}
    }
    failed(&broken.await.0, StatusCode::UserCodeException);
}

/// Those that ran when it was kept from it, not those that came later.
#[tokio::test]
async fn what_an_instance_was_kept_from_is_told_of_those_that_ran() {
    let house = House::new();
    let mut spec = function(&house, SERVER, 3);
    let key = RoleKey::none();
    let same = key.clone();
    spec.keys = KeyGiver::new(move || same.clone(), || Timestamp::from_secs(0), |_| std::future::pending());
    let calls = async {
        until("it is asked", || spec.code.join("asked").exists()).await;
        key.refuse("elsewhere:443", "no");
        let (ran, _) = ask(&house, &spec, "/", None).await;
        assert_eq!(ran.refused, [""; 0]);
        key.refuse("elsewhere:443", "no");
        ask(&house, &spec, "/meet", None).await.0
    };
    let (first, last) = tokio::join!(ask(&house, &spec, "/meet", None), calls);
    assert_eq!(first.0.refused, ["elsewhere:443"]);
    assert_eq!(last.refused, [""; 0]);
}

#[tokio::test]
async fn one_that_hangs_is_ended() {
    let house = House::new();
    let mut spec = function(&house, SERVER, 2);
    spec.timeout = Duration::from_secs(1);
    let (_, first) = ask(&house, &spec, "/", None).await;
    let (ran, answer) = ask(&house, &spec, "/hang", None).await;
    failed(&ran, StatusCode::TimeLimitReached);
    assert_eq!(answer, None);
    until("its process is gone", || !lives(pid(&first))).await;
}

#[tokio::test]
async fn the_servers_end_is_told() {
    let house = House::new();
    let spec = function(&house, SERVER, 1);
    let (ran, answer) = ask(&house, &spec, "/exit", None).await;
    failed(&ran, StatusCode::ProcessExited);
    assert_eq!(answer, None);
    let (ran, _) = ask(&house, &spec, "/", None).await;
    assert_eq!(ran.status, StatusCode::Success, "{ran:#?}");
}

#[tokio::test]
async fn a_server_that_does_not_listen_is_told() {
    let house = House::new();
    let mut spec = function(&house, "import time\nprint('here', flush=True)\ntime.sleep(60)\n", 1);
    spec.init_timeout = Duration::from_secs(1);
    let (ran, _) = ask(&house, &spec, "/", None).await;
    let document = failed(&ran, StatusCode::PortBindingFailed);
    let text = document["errorMessage"].as_str().unwrap();
    assert!(
        text.starts_with("Initialization timed out after 1 seconds: nothing listens at port 9000"),
        "{text}"
    );
    assert_eq!(ran.init_output, "here\n");
    let broken = function(&house, "import nothing_of_that_name\n", 1);
    let (ran, _) = ask(&house, &broken, "/", None).await;
    assert!(
        matches!(ran.status, StatusCode::BootstrapExited | StatusCode::PortBindingFailed),
        "{ran:#?}: the latter where port 9000 is taken"
    );
    assert!(ran.init_output.contains("nothing_of_that_name"));
}

#[tokio::test]
async fn what_was_replaced_ends_after_its_requests() {
    let house = House::new();
    let spec = function(&house, SERVER, 2);
    let (_, first) = ask(&house, &spec, "/", None).await;
    let waits = ask(&house, &spec, "/meet", None);
    let retired = async {
        until("it is asked", || spec.code.join("asked").exists()).await;
        house.runtime.retire(&spec.id).await;
        // It is no more the instance that the other has.
        ask(&house, &spec, "/", None).await
    };
    let mut short = Box::pin(waits);
    let (_, second) = tokio::select! {
        _ = &mut short => panic!("it has nobody to meet"),
        retired = retired => retired,
    };
    assert_ne!(pid(&first), pid(&second));
    drop(short);
    until("the first is gone", || !lives(pid(&first))).await;
}
