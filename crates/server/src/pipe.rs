//! Two connections that are one: what comes by either goes out by the other.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long the one side may say nothing after the other has ended, in real time. Whoever waits for an answer may end its own side
/// first; who has gone altogether looks the same, and the other may never notice. Who takes nothing is silent too.
const HALF_OPEN: Duration = Duration::from_secs(60);
/// Bytes on their way in one direction.
const ROOM: usize = 16 << 10;

/// Until both have ended, or one has and the other is silent.
pub(crate) async fn pipe(one: impl AsyncRead + AsyncWrite, other: impl AsyncRead + AsyncWrite) {
    let ended = watch::Sender::new(false);
    let ((from_one, to_one), (from_other, to_other)) = (split(one), split(other));
    let there = carry(from_one, to_other, &ended);
    let back = carry(from_other, to_one, &ended);
    if let Err(error) = tokio::try_join!(there, back) {
        tracing::debug!(%error, "a call broke off");
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    ended: &watch::Sender<bool>,
) -> io::Result<()> {
    let mut room = vec![0; ROOM];
    let mut half = ended.subscribe();
    loop {
        let moved = async {
            let length = from.read(&mut room).await?;
            to.write_all(&room[..length]).await?;
            to.flush().await?;
            Ok::<_, io::Error>(length)
        };
        let silent = async {
            // The sender lives as long as both directions.
            let _ = half.wait_for(|ended| *ended).await;
            sleep(HALF_OPEN).await;
        };
        tokio::select! {
            length = moved => match length? {
                0 => break,
                _ => continue,
            },
            () = silent => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    ended.send_replace(true);
    timeout(HALF_OPEN, to.shutdown()).await?
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::duplex;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn both_ways_until_both_have_ended() {
        let ((mut client, one), (other, mut server)) = (duplex(64), duplex(64));
        let piped = tokio::spawn(pipe(one, other));
        client.write_all(b"what is it?").await.unwrap();
        client.shutdown().await.unwrap();
        let mut asked = String::new();
        server.read_to_string(&mut asked).await.unwrap();
        assert_eq!(asked, "what is it?");
        // An answer may take its time, if it goes on.
        for _ in 0..5 {
            sleep(HALF_OPEN / 2).await;
            server.write_all(b"this").await.unwrap();
        }
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "this".repeat(5));
        piped.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_after_the_other_has_ended_is_left() {
        let ((client, one), (other, server)) = (duplex(8), duplex(8));
        let piped = tokio::spawn(pipe(one, other));
        sleep(HALF_OPEN * 10).await;
        assert!(!piped.is_finished());
        let began = Instant::now();
        drop(client);
        piped.await.unwrap();
        assert!((HALF_OPEN..HALF_OPEN * 2).contains(&began.elapsed()));
        drop(server);
    }
}
