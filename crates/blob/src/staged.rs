//! A body on its way in: digested and written while it comes, in bounded memory.
//!
//! Bytes gather in one buffer; a full buffer is hashed and written on two blocking threads while
//! the next one fills, so one MD5 stream is the bound. A sender never gets further ahead than
//! that, and no thread waits for the network. A small body is hashed in place and stays in memory.
//! What is to be encrypted is, by the job that writes; digests are of what came.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cosette_model::{Digests, Wanted};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::blocks::Tail;
use crate::bodies::{Bodies, Inner, Unclaimed};
use crate::cipher::Sealer;
use crate::digest::{Digester, crc64};
use crate::disk::Output;
use crate::secret::Secret;
use crate::{Error, Result};

/// Bytes that are hashed and written in one go.
const BATCH_BYTES: usize = 512 << 10;
/// Up to this many bytes hashing in place is cheaper than a change of thread.
const HASH_IN_PLACE_BYTES: usize = 64 << 10;
/// A long body's bytes are sent to the disk while more come, so that little is left for the end.
const SYNC_EVERY_BYTES: u64 = 16 << 20;

/// A body being received.
pub struct Staged {
    inner: Arc<Inner>,
    small_max: usize,
    buffer: Vec<u8>,
    spare: Vec<u8>,
    size: u64,
    /// What is stored is to be encrypted under this key.
    key: Option<Secret>,
    hash: Work<Hashes>,
    /// Set once the body has turned out not to be small.
    file: Option<FileWork>,
}

/// What is computed of the bytes while they come.
struct Hashes {
    digester: Digester,
    /// Left as it is for a body that has no file; `None` if another thing than these bytes is written.
    tail: Option<Tail>,
}

/// Where the bytes go.
#[derive(Default)]
struct Writing {
    output: Option<Output>,
    cover: Option<Cover>,
}

/// Stands between the bytes and a file that is to hold them encrypted.
struct Cover {
    sealer: Sealer,
    tail: Tail,
    crc64: crc_fast::Digest,
    size: u64,
    /// What of the bytes so far is yet to be written.
    sealed: Vec<u8>,
}

impl Cover {
    fn new(key: &Secret) -> Self {
        Self {
            sealer: Sealer::new(key),
            tail: Tail::new(),
            crc64: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Xz),
            size: 0,
            sealed: Vec::new(),
        }
    }

    /// What is to be written of these bytes and those before.
    fn cover(&mut self, bytes: &[u8]) -> io::Result<&[u8]> {
        self.sealed.clear();
        self.sealer.update(bytes, &mut self.sealed)?;
        Ok(self.passed())
    }

    fn passed(&mut self) -> &[u8] {
        self.tail.update(&self.sealed);
        self.crc64.update(&self.sealed);
        self.size += self.sealed.len() as u64;
        &self.sealed
    }

    /// What of the file is left to be written, and what it holds then.
    fn finish(mut self) -> io::Result<(Vec<u8>, Stored)> {
        self.sealed.clear();
        self.sealer.finish(&mut self.sealed)?;
        self.passed();
        let stored = Stored { size: self.size, crc64: self.crc64.finalize() };
        let mut rest = self.sealed;
        rest.extend_from_slice(&self.tail.finish(stored.crc64));
        Ok((rest, stored))
    }
}

struct FileWork {
    /// Shared with the jobs, so that the file is removed only after the last of them has ended.
    body: Arc<Unclaimed>,
    write: Work<Writing>,
    written: u64,
    syncing: Option<JoinHandle<io::Result<()>>>,
    sync_at: u64,
}

/// A thing that is either here or with a blocking job.
enum Work<T> {
    Here(T),
    Away(JoinHandle<io::Result<(T, Arc<Vec<u8>>)>>),
    Lost,
}

impl<T: Send + 'static> Work<T> {
    /// Waits for the job, if one runs; also gives back the job's share of its buffer.
    async fn come(&mut self) -> Result<Option<Arc<Vec<u8>>>> {
        let Self::Away(job) = self else { return Ok(None) };
        let done = match job.await {
            Ok(done) => done,
            Err(_) => Err(lost()),
        };
        match done {
            Ok((thing, buffer)) => {
                *self = Self::Here(thing);
                Ok(Some(buffer))
            }
            Err(error) => {
                *self = Self::Lost;
                Err(error.into())
            }
        }
    }

    fn take(&mut self) -> Result<T> {
        match std::mem::replace(self, Self::Lost) {
            Self::Here(thing) => Ok(thing),
            Self::Away(_) | Self::Lost => Err(Error::Io(io::Error::other("this body has failed before"))),
        }
    }
}

/// A body that has come whole.
#[derive(Debug)]
pub struct Sealed {
    /// Of what came.
    pub size: u64,
    pub digests: Digests,
    pub stored: Stored,
    pub body: Received,
}

/// What there is of a body where it lies: more than came if it is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// CRC-64/XZ of them.
    pub crc64: u64,
}

/// Where a received body is.
#[derive(Debug)]
pub enum Received {
    /// In memory, at most as many bytes as were said to be small.
    Small(Bytes),
    Stored(Unclaimed),
}

impl Bodies {
    /// Begins to receive. Bodies of at most `small_max` bytes stay in memory; `length` is only a hint.
    /// With a key, which must be that of no other body, what is stored is encrypted.
    pub fn stage(
        &self,
        length: Option<u64>,
        small_max: usize,
        wanted: &Wanted,
        key: Option<Secret>,
    ) -> Staged {
        let expected = length.map_or(0, |n| usize::try_from(n).unwrap_or(BATCH_BYTES).min(BATCH_BYTES));
        Staged {
            inner: Arc::clone(&self.0),
            small_max,
            buffer: Vec::with_capacity(expected),
            spare: Vec::new(),
            size: 0,
            hash: Work::Here(Hashes { digester: Digester::new(wanted), tail: key.is_none().then(Tail::new) }),
            key,
            file: None,
        }
    }
}

impl Staged {
    /// Takes the next chunk; returns when there is room for more.
    ///
    /// # Errors
    /// `Io` when what came before could not be written; the body is lost then.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let mut rest = &chunk[..];
        self.size += rest.len() as u64;
        while !rest.is_empty() {
            let batch = BATCH_BYTES.max(self.small_max);
            if self.buffer.len() >= batch || (self.file.is_some() && self.buffer.len() >= BATCH_BYTES) {
                self.send().await?;
            }
            let limit = if self.file.is_some() { BATCH_BYTES } else { batch };
            let take = rest.len().min(limit - self.buffer.len());
            self.buffer.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
        }
        Ok(())
    }

    /// Gives the full buffer to the jobs, once they are done with the one before.
    async fn send(&mut self) -> Result<()> {
        self.rejoin().await?;
        let buffer = Arc::new(std::mem::replace(&mut self.buffer, std::mem::take(&mut self.spare)));
        if self.buffer.capacity() < BATCH_BYTES {
            self.buffer.reserve_exact(BATCH_BYTES);
        }
        let mut hashes = self.hash.take()?;
        self.hash = Work::Away(spawn_blocking({
            let buffer = Arc::clone(&buffer);
            move || {
                hashes.digester.update(&buffer);
                if let Some(tail) = &mut hashes.tail {
                    tail.update(&buffer);
                }
                Ok((hashes, buffer))
            }
        }));
        let inner = Arc::clone(&self.inner);
        let file = self.file.get_or_insert_with(|| FileWork {
            body: Arc::new(inner.unclaimed()),
            write: Work::Here(Writing { output: None, cover: self.key.as_ref().map(Cover::new) }),
            written: 0,
            syncing: None,
            sync_at: SYNC_EVERY_BYTES,
        });
        file.written += buffer.len() as u64;
        let mut writing = file.write.take()?;
        if inner.sync
            && file.written > file.sync_at
            && let Some(output) = &writing.output
            && file.syncing.as_ref().is_none_or(JoinHandle::is_finished)
        {
            settle(file.syncing.take()).await?;
            let output = output.share()?;
            file.syncing = Some(spawn_blocking(move || output.sync()));
            file.sync_at = file.written + SYNC_EVERY_BYTES;
        }
        let body = Arc::clone(&file.body);
        file.write = Work::Away(spawn_blocking(move || {
            let mut output = match writing.output.take() {
                Some(output) => output,
                None => inner.create(body.id())?,
            };
            output.write(match &mut writing.cover {
                Some(cover) => cover.cover(&buffer)?,
                None => &buffer,
            })?;
            writing.output = Some(output);
            Ok((writing, buffer))
        }));
        Ok(())
    }

    async fn rejoin(&mut self) -> Result<()> {
        let hashed = self.hash.come().await?;
        if let Some(file) = &mut self.file
            && let Some(buffer) = file.write.come().await?
        {
            drop(hashed);
            if let Ok(mut buffer) = Arc::try_unwrap(buffer) {
                buffer.clear();
                self.spare = buffer;
            }
        }
        Ok(())
    }

    /// All bytes have come: they are where they will stay, and on disk if the store is so set.
    pub async fn seal(mut self) -> Result<Sealed> {
        if self.file.is_none() && self.buffer.len() <= self.small_max {
            let Hashes { digester, .. } = self.hash.take()?;
            let bytes = Bytes::from(std::mem::take(&mut self.buffer));
            let key = self.key.take();
            return if bytes.len() <= HASH_IN_PLACE_BYTES {
                small(digester, bytes, key)
            } else {
                spawn_blocking(move || small(digester, bytes, key)).await.map_err(|_| lost())?
            };
        }
        if !self.buffer.is_empty() {
            self.send().await?;
        }
        self.rejoin().await?;
        let Hashes { digester, tail } = self.hash.take()?;
        let digests = digester.finish();
        let Some(mut file) = self.file.take() else {
            return Err(Error::Io(io::Error::other("this body has failed before")));
        };
        settle(file.syncing.take()).await?;
        let Writing { output, cover } = file.write.take()?;
        let plain = Stored { size: self.size, crc64: digests.crc64 };
        let inner = Arc::clone(&self.inner);
        // The job has a share of the body too, so that the file is there as long as it is written.
        let body = Arc::clone(&file.body);
        let ended = spawn_blocking(move || {
            let _body = body;
            let (rest, stored) = match (cover, tail) {
                (Some(cover), _) => cover.finish()?,
                (None, tail) => (tail.unwrap_or_else(Tail::new).finish(plain.crc64), plain),
            };
            if let Some(mut output) = output {
                output.write(&rest)?;
                if inner.sync {
                    output.sync()?;
                }
            }
            if inner.sync {
                inner.list()?;
            }
            Ok::<_, io::Error>(stored)
        });
        let stored = ended.await.map_err(|_| lost())??;
        let body = Arc::try_unwrap(file.body)
            .map_err(|_| Error::Io(io::Error::other("a job of this body has not ended")))?;
        Ok(Sealed { size: self.size, digests, stored, body: Received::Stored(body) })
    }
}

fn lost() -> io::Error {
    io::Error::other("a job of this body was lost")
}

/// A body that stays in memory.
fn small(mut digester: Digester, bytes: Bytes, key: Option<Secret>) -> Result<Sealed> {
    digester.update(&bytes);
    let digests = digester.finish();
    let size = bytes.len() as u64;
    let (bytes, stored) = match key.filter(|_| size > 0) {
        None => (bytes, Stored { size, crc64: digests.crc64 }),
        Some(key) => {
            let (mut sealer, mut sealed) = (Sealer::new(&key), Vec::new());
            sealer.update(&bytes, &mut sealed)?;
            sealer.finish(&mut sealed)?;
            let stored = Stored { size: sealed.len() as u64, crc64: crc64(&sealed) };
            (sealed.into(), stored)
        }
    };
    Ok(Sealed { size, digests, stored, body: Received::Small(bytes) })
}

async fn settle(job: Option<JoinHandle<io::Result<()>>>) -> Result<()> {
    match job {
        None => Ok(()),
        Some(job) => Ok(job.await.map_err(|_| lost())??),
    }
}
