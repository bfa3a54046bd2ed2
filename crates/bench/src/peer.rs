//! What Cosette's figures are held against: servers that do only the unavoidable.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use md5::{Digest, Md5};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::Failure;

async fn serve<A, F>(answer: A) -> Result<(), Failure>
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("peer ready http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            // A client that goes away ends its connection; there is nothing to tell.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

pub(crate) async fn bare(size: usize) -> Result<(), Failure> {
    let body = Bytes::from(vec![b'x'; size]);
    serve(move |request: Request<Incoming>| {
        let body = if *request.method() == Method::GET { body.clone() } else { Bytes::new() };
        async move {
            // An unread body would cost the connection.
            let _ = request.into_body().collect().await;
            Response::new(Full::new(body))
        }
    })
    .await
}

pub(crate) async fn floor(file: PathBuf) -> Result<(), Failure> {
    let file = File::create(file)?;
    let (sender, receiver) = mpsc::channel::<(Bytes, oneshot::Sender<()>)>();
    std::thread::spawn(move || append(file, &receiver));
    serve(move |request: Request<Incoming>| {
        let sender = sender.clone();
        async move {
            let Ok(body) = request.into_body().collect().await else { return failed() };
            let body = body.to_bytes();
            let etag = hex::encode(Md5::digest(&body));
            let (done, written) = oneshot::channel();
            if sender.send((body, done)).is_err() || written.await.is_err() {
                return failed();
            }
            Response::builder().header("etag", etag).body(Full::default()).unwrap_or_default()
        }
    })
    .await
}

fn failed() -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// Writes whatever waits, syncs once, tells everybody.
fn append(mut file: File, waiting: &mpsc::Receiver<(Bytes, oneshot::Sender<()>)>) {
    while let Ok(first) = waiting.recv() {
        let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let bytes: Vec<u8> = group.iter().flat_map(|(body, _)| body.iter().copied()).collect();
        if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        for (_, done) in group {
            let _ = done.send(());
        }
    }
}
