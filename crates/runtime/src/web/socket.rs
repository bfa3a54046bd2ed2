//! WebSockets: bytes both ways, once a request has become one. What they say is nobody's business here.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::carry::End;

/// Bytes that are on their way in one direction.
const BUFFER: usize = 16 * 1024;

/// How long the last words of a connection may take to be taken.
const LAST: Duration = Duration::from_secs(10);

/// Passes on what server (`ours`) and client (`theirs`) say, until one of them ends it or nothing moves for `idle`. The
/// client learns of the end once `held` has ended.
pub(super) async fn switched(
    ours: OnUpgrade,
    theirs: OnUpgrade,
    idle: Duration,
    held: Option<oneshot::Receiver<Infallible>>,
) -> End {
    match tokio::try_join!(ours, theirs) {
        Ok((ours, theirs)) => both_ways(TokioIo::new(ours), TokioIo::new(theirs), idle, held).await,
        Err(error) => End::Broken(error.to_string()),
    }
}

async fn both_ways<S: AsyncRead + AsyncWrite, C: AsyncRead + AsyncWrite + Send + 'static>(
    ours: S,
    theirs: C,
    idle: Duration,
    held: Option<oneshot::Receiver<Infallible>>,
) -> End {
    let (ours_in, mut ours_out) = tokio::io::split(ours);
    let (theirs_in, mut theirs_out) = tokio::io::split(theirs);
    let (moved, there, back) = (Notify::new(), AtomicU64::new(0), AtomicU64::new(0));
    let silent = async {
        // Also of those who do speak, but to somebody who takes nothing.
        while timeout(idle, moved.notified()).await.is_ok() {}
    };
    let is_over = tokio::select! {
        _ = way(theirs_in, &mut ours_out, &moved, &there) => true,
        _ = way(ours_in, &mut theirs_out, &moved, &back) => true,
        () = silent => false,
    };
    let end = match is_over {
        true => End::Answered {
            status: StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            bytes: back.load(Ordering::Relaxed),
        },
        false => End::Silent(idle),
    };
    // What one has said last reaches the other before the end.
    let _ = timeout(LAST, ours_out.shutdown()).await;
    tokio::spawn(async move {
        if let Some(held) = held {
            let _ = held.await;
        }
        let _ = timeout(LAST, theirs_out.shutdown()).await;
    });
    end
}

/// One direction, until who speaks there ends it, or who listens has gone.
async fn way(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    moved: &Notify,
    bytes: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        moved.notify_one();
        let mut left = &buffer[..n];
        while !left.is_empty() {
            let n = to.write(left).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            left = &left[n..];
            bytes.fetch_add(n as u64, Ordering::Relaxed);
            moved.notify_one();
        }
        to.flush().await?;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Server and client of a connection that holds little, and what comes of it.
    fn pair(
        idle: Duration,
        held: Option<oneshot::Receiver<Infallible>>,
    ) -> (DuplexStream, DuplexStream, JoinHandle<End>) {
        let ((server, ours), (client, theirs)) = (duplex(64), duplex(64));
        (server, client, tokio::spawn(both_ways(ours, theirs, idle, held)))
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_silent() {
        let (mut server, client, end) = pair(LONG, None);
        let floods = tokio::spawn(async move { while server.write_all(&[0; 4096]).await.is_ok() {} });
        assert!(matches!(timeout(2 * LONG, end).await.unwrap().unwrap(), End::Silent(LONG)));
        floods.await.unwrap();
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn neither_direction_waits_for_the_other() {
        let (mut server, client, end) = pair(LONG, None);
        let (mut hears, mut says) = tokio::io::split(client);
        let (much, more) = (vec![1; 200_000], vec![2; 100_000]);
        // It listens to nobody before it has said all.
        let serves = async {
            server.write_all(&much).await.unwrap();
            server.read_exact(&mut vec![0; 100_000]).await.unwrap();
        };
        let asks = async {
            let mut heard = vec![0; 200_000];
            let (said, heard_all) = tokio::join!(says.write_all(&more), hears.read_exact(&mut heard));
            said.and(heard_all.map(|_| ())).unwrap();
        };
        timeout(LONG / 2, async { tokio::join!(serves, asks) }).await.unwrap();
        drop(server);
        assert!(matches!(end.await.unwrap(), End::Answered { status: 101, bytes: 200_000 }));
    }

    #[tokio::test(start_paused = true)]
    async fn the_client_learns_of_the_end_once_the_place_is_free() {
        let (hold, held) = oneshot::channel();
        let (mut server, mut client, end) = pair(LONG, Some(held));
        server.write_all(b"last").await.unwrap();
        drop(server);
        assert!(matches!(end.await.unwrap(), End::Answered { .. }));
        let mut said = Vec::new();
        let short = timeout(LONG, client.read_to_end(&mut said)).await;
        assert!(short.is_err(), "it was told too early");
        drop(hold);
        client.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"last");
    }
}
