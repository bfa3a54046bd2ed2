//! What a server in an instance says, as a function of any bytes.

use cosette_model::ByteStream;
use http::{Request, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::Exchange;
use super::carry::{HEAD_BYTES_MAX, Nothing, carry};
use crate::outward::Duplex;

/// Its answer to a request: what is passed on has a head within bounds, and nothing that is about its connection.
pub fn head(bytes: &[u8]) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
    runtime.block_on(async {
        let (mut server, client) = tokio::io::duplex(bytes.len() + (1 << 16));
        let body: ByteStream = Box::pin(Nothing);
        let Ok(request) = Request::get("/").header("host", "a").body(body) else { return };
        let (answer, answered) = oneshot::channel::<http::Response<ByteStream>>();
        let stream: Box<dyn Duplex> = Box::new(client);
        let serve = async {
            // What comes before there is a request is no answer to it.
            if server.read(&mut [0; 1024]).await? == 0 {
                return Ok(());
            }
            server.write_all(bytes).await?;
            server.shutdown().await
        };
        let read = async {
            let response = answered.await.ok()?;
            let (head, mut body) = response.into_parts();
            while std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await.is_some() {}
            Some(head)
        };
        let (_, _, head) =
            tokio::join!(serve, carry(Ok(stream), Exchange { request, answer, held: None }, None), read);
        let Some(head) = head else { return };
        let size: usize =
            head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        assert!(size <= HEAD_BYTES_MAX);
        for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
            assert!(!head.headers.contains_key(name));
        }
    });
}
