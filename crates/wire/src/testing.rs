//! Small drivers for tests: futures and streams that are always ready.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cosette_model::{Account, Accounts, BodyError, ByteStream, Key};
use futures_core::Stream;

/// Runs a future that never has to wait.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

struct Pieces(VecDeque<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

pub(crate) fn pieces(all: Vec<Vec<u8>>) -> ByteStream {
    Box::pin(Pieces(all.into_iter().map(Bytes::from).collect()))
}

pub(crate) fn collect(mut stream: ByteStream) -> Result<Vec<u8>, BodyError> {
    let mut all = Vec::new();
    while let Some(piece) = ready(std::future::poll_fn(|cx| stream.as_mut().poll_next(cx))) {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

/// Knows every key.
pub(crate) struct Everybody;

impl Accounts for Everybody {
    fn by_secret_id(&self, secret_id: &str) -> Option<Key> {
        let account = Account {
            secret_id: secret_id.into(),
            secret_key: "k".into(),
            appid: "1250000000".into(),
            uin: "1".into(),
            name: "n".into(),
        };
        Some(Key { account: account.into(), session: None })
    }
}

/// A small generator of repeatable noise.
#[cfg(test)]
pub(crate) struct Noise(pub(crate) u64);

#[cfg(test)]
impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or(0) % n.max(1)
    }

    /// Bytes drawn from `alphabet`, or any bytes at all now and then.
    pub(crate) fn bytes(&mut self, alphabet: &[u8], max: usize) -> Vec<u8> {
        let length = self.below(max);
        (0..length)
            .map(|_| match self.below(40) {
                0 => self.next().to_le_bytes()[0],
                _ => alphabet[self.below(alphabet.len())],
            })
            .collect()
    }
}
