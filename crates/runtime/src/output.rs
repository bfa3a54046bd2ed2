//! What an instance prints: one pipe for standard output and error, read at once and kept in
//! order up to a bound, so that no child ever waits for us.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::unix::pipe::Receiver;
use tokio::task::AbortHandle;

/// Bytes kept of one invocation's output.
pub(crate) const KEPT_MAX: usize = 256 * 1024;

const CHUNK: usize = 64 * 1024;

/// The reading end. The pipe is read by a task that ends with this value.
pub(crate) struct Output {
    shared: Arc<Shared>,
    pump: AbortHandle,
}

struct Shared {
    pipe: Receiver,
    /// Held while reading, so that two readers cannot swap what they have read.
    kept: Mutex<Kept>,
}

/// What was written, up to the bound, and how much was not kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    bytes: Vec<u8>,
    cut: u64,
}

impl Kept {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let room = KEPT_MAX.saturating_sub(self.bytes.len()).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
        self.cut += (bytes.len() - room) as u64;
    }

    pub(crate) fn take(&mut self) -> String {
        let kept = std::mem::take(self);
        let mut text = String::from_utf8_lossy(&kept.bytes).into_owned();
        if kept.cut > 0 {
            // A character cut in two at the bound is not worth showing.
            while text.ends_with('\u{fffd}') {
                text.pop();
            }
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("[{} more bytes of output were not kept]\n", kept.cut));
        }
        text
    }
}

impl Output {
    pub(crate) fn new(pipe: PipeReader) -> io::Result<Self> {
        let shared =
            Arc::new(Shared { pipe: Receiver::from_owned_fd(OwnedFd::from(pipe))?, kept: Mutex::default() });
        let pump = tokio::spawn(pump(shared.clone())).abort_handle();
        Ok(Self { shared, pump })
    }

    /// Everything that was written before this call and not taken before.
    pub(crate) fn take(&self) -> String {
        self.shared.all().take()
    }

    /// What `take` would give now, without taking it; nothing once the output is gone.
    pub(crate) fn so_far(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.shared);
        move || shared.upgrade().map(|shared| shared.all().clone().take()).unwrap_or_default()
    }

    /// Puts a line of ours after what was written before it.
    pub(crate) fn log(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.shared);
        move |line| {
            let Some(shared) = shared.upgrade() else { return };
            let mut kept = shared.all();
            if kept.bytes.last().is_some_and(|byte| *byte != b'\n') {
                kept.add(b"\n");
            }
            kept.add(line.as_bytes());
            kept.add(b"\n");
        }
    }
}

impl Shared {
    /// What is kept, with everything that has been written.
    fn all(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunk = vec![0; CHUNK];
        // The kernel is asked, not the reactor, which may not have heard of the last bytes yet.
        // What was written before is at most a pipe full; a child that goes on writing is not
        // followed.
        for _ in 0..16 {
            match rustix::io::read(&self.pipe, &mut chunk) {
                Ok(0) => break,
                Ok(n) => kept.add(&chunk[..n]),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        kept
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

async fn pump(shared: Arc<Shared>) {
    let mut chunk = vec![0; CHUNK];
    while shared.pipe.readable().await.is_ok() {
        let mut kept = shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match shared.pipe.try_read(&mut chunk) {
            Ok(0) => return,
            Ok(n) => kept.add(&chunk[..n]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => {
                tracing::warn!(%error, "an instance's output cannot be read");
                return;
            }
        }
    }
}

#[allow(clippy::unwrap_used)]
#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn what_was_written_is_there_at_once() {
        let (reader, mut writer) = io::pipe().unwrap();
        let output = Output::new(reader).unwrap();
        for n in 0..200 {
            let line = format!("line {n}\n");
            writer.write_all(line.as_bytes()).unwrap();
            assert_eq!(output.take(), line);
        }
    }

    #[tokio::test]
    async fn lines_of_ours_stand_between_what_was_written() {
        let (reader, mut writer) = io::pipe().unwrap();
        let output = Output::new(reader).unwrap();
        writer.write_all(b"before").unwrap();
        output.log()("ours");
        writer.write_all(b"after").unwrap();
        assert_eq!(output.take(), "before\nours\nafter");
    }

    #[test]
    fn more_than_the_bound_is_counted_not_kept() {
        let mut kept = Kept::default();
        kept.add(&vec![b'a'; KEPT_MAX - 1]);
        kept.add("é and ten".as_bytes());
        let text = kept.take();
        assert!(text.ends_with("a\n[9 more bytes of output were not kept]\n"), "{}", &text[KEPT_MAX - 10..]);
        assert_eq!(kept.take(), "");
    }
}
