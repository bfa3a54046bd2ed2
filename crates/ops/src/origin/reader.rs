//! What a client reads of an object while it is fetched.

use std::future::poll_fn;

use bytes::Bytes;
use cosette_model::{BodyError, BucketName, ByteStream, ObjectKey};
use cosette_store::Store;
use futures_util::stream;
use tokio::sync::broadcast::error::RecvError;

use super::fetch::{Ended, Joined};

/// The body from its start on. A client that is slower than the origin holds nobody up: it waits until
/// all is stored and reads on there.
pub(super) fn reader(store: Store, bucket: BucketName, key: ObjectKey, joined: Joined) -> ByteStream {
    let reader = Reader { store, bucket, key, joined, position: 0, rest: None };
    Box::pin(stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Reader {
    store: Store,
    bucket: BucketName,
    key: ObjectKey,
    joined: Joined,
    /// Bytes that have gone out.
    position: u64,
    /// From the store, once it has fallen behind.
    rest: Option<ByteStream>,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if let Some(rest) = &mut self.rest {
            return poll_fn(|cx| rest.as_mut().poll_next(cx)).await.transpose();
        }
        match self.joined.pieces.recv().await {
            Ok(piece) => {
                self.position += piece.len() as u64;
                Ok(Some(piece))
            }
            Err(RecvError::Closed) => match self.joined.ended().await {
                Some(Ended::Stored(_) | Ended::Overtaken) => Ok(None),
                _ => Err(BodyError::Incomplete),
            },
            Err(RecvError::Lagged(_)) => {
                let Some(Ended::Stored(object)) = self.joined.ended().await else {
                    return Err(BodyError::Incomplete);
                };
                let range = Some((self.position, object.size));
                let rest = self.store.read(&self.bucket, &self.key, &object, range);
                self.rest = Some(rest.map_err(|error| BodyError::Storage(error.to_string()))?);
                Box::pin(self.next()).await
            }
        }
    }
}
