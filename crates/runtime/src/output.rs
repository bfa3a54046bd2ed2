//! What an instance prints: one pipe for standard output and error, read at once and kept in
//! order up to a bound, so that no child ever waits for us.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

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
    logs: Mutex<Logs>,
}

/// Where what is read is kept.
#[derive(Default)]
struct Logs {
    /// What is printed while nothing runs: during the start, or for the log of the next run.
    between: Kept,
    /// Of each run that is under way, by its number. Who of them printed something cannot be told, so each has it.
    open: Vec<(u64, Kept)>,
    next: u64,
}

impl Logs {
    /// Hands a change to each log that there is now.
    fn each(&mut self, mut change: impl FnMut(&mut Kept)) {
        match self.open.is_empty() {
            true => change(&mut self.between),
            false => self.open.iter_mut().for_each(|(_, kept)| change(kept)),
        }
    }

    fn of(&mut self, number: u64) -> Option<&mut Kept> {
        self.open.iter_mut().find_map(|(other, kept)| (*other == number).then_some(kept))
    }
}

/// The log of one run. It ends with this value.
pub(crate) struct Log {
    shared: Arc<Shared>,
    number: u64,
}

/// A look at a log that goes on; empty once that has ended.
pub(crate) struct View {
    shared: Weak<Shared>,
    number: u64,
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

    /// A line of ours, after what was written before it.
    fn say(&mut self, line: &str) {
        if self.bytes.last().is_some_and(|byte| *byte != b'\n') {
            self.add(b"\n");
        }
        self.add(line.as_bytes());
        self.add(b"\n");
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
            text.push_str(&note(kept.cut));
        }
        text
    }
}

/// The line that stands in place of what was not kept.
pub fn note(bytes: u64) -> String {
    format!("[{bytes} more bytes of output were not kept]\n")
}

/// What was kept of an output, and how many bytes were not: those that its [`note`] names, if that is its last line.
pub fn without_note(output: &str) -> (&str, u64) {
    let start = output.trim_end_matches('\n').rfind('\n').map_or(0, |end| end + 1);
    let (kept, last) = output.split_at(start);
    let number =
        last.strip_prefix('[').and_then(|rest| rest.split_once(' ')).and_then(|(n, _)| n.parse().ok());
    match number {
        Some(bytes) if last == note(bytes) => (kept, bytes),
        _ => (output, 0),
    }
}

impl Output {
    pub(crate) fn new(pipe: PipeReader) -> io::Result<Self> {
        let shared =
            Arc::new(Shared { pipe: Receiver::from_owned_fd(OwnedFd::from(pipe))?, logs: Mutex::default() });
        let pump = tokio::spawn(pump(shared.clone())).abort_handle();
        Ok(Self { shared, pump })
    }

    /// Everything that was written before this call while nothing ran, and not taken before.
    pub(crate) fn take(&self) -> String {
        self.shared.all().between.take()
    }

    /// Begins the log of a run: what was written since the last one ended, and whatever comes until it ends.
    pub(crate) fn open(&self) -> Log {
        let mut logs = self.shared.all();
        let number = logs.next;
        logs.next += 1;
        let before = std::mem::take(&mut logs.between);
        logs.open.push((number, before));
        drop(logs);
        Log { shared: self.shared.clone(), number }
    }

    /// Puts lines of ours into all logs that there are when it is called.
    pub(crate) fn teller(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.shared);
        move |line| {
            if let Some(shared) = shared.upgrade() {
                shared.all().each(|kept| kept.say(line));
            }
        }
    }
}

impl Log {
    /// All of it, at its end.
    pub(crate) fn take(self) -> String {
        self.shared.all().of(self.number).map(Kept::take).unwrap_or_default()
    }

    pub(crate) fn view(&self) -> View {
        View { shared: Arc::downgrade(&self.shared), number: self.number }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let mut logs = self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.open.retain(|(number, _)| *number != self.number);
    }
}

impl View {
    fn with<T: Default>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        let Some(shared) = self.shared.upgrade() else { return T::default() };
        shared.all().of(self.number).map(look).unwrap_or_default()
    }

    /// What has come so far.
    pub(crate) fn so_far(&self) -> String {
        self.with(|kept| kept.clone().take())
    }

    pub(crate) fn say(&self, line: &str) {
        self.with(|kept| kept.say(line));
    }
}

impl Shared {
    /// The logs, with everything that has been written.
    fn all(&self) -> MutexGuard<'_, Logs> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunk = vec![0; CHUNK];
        // The kernel is asked, not the reactor, which may not have heard of the last bytes yet.
        // What was written before is at most a pipe full; a child that goes on writing is not
        // followed.
        for _ in 0..16 {
            match rustix::io::read(&self.pipe, &mut chunk) {
                Ok(0) => break,
                Ok(n) => logs.each(|kept| kept.add(&chunk[..n])),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        logs
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
        let mut logs = shared.logs.lock().unwrap_or_else(PoisonError::into_inner);
        match shared.pipe.try_read(&mut chunk) {
            Ok(0) => return,
            Ok(n) => logs.each(|kept| kept.add(&chunk[..n])),
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
        output.teller()("ours");
        writer.write_all(b"after").unwrap();
        assert_eq!(output.take(), "before\nours\nafter");
    }

    #[tokio::test]
    async fn what_is_written_while_several_run_is_in_the_log_of_each() {
        let (reader, mut writer) = io::pipe().unwrap();
        let output = Output::new(reader).unwrap();
        let mut write = |text: &str| writer.write_all(text.as_bytes()).unwrap();
        write("left behind\n");
        let one = output.open();
        write("one alone\n");
        let (two, view) = (output.open(), one.view());
        write("both\n");
        view.say("to one");
        assert_eq!(view.so_far(), "left behind\none alone\nboth\nto one\n");
        assert_eq!(one.take(), "left behind\none alone\nboth\nto one\n");
        write("two alone\n");
        output.teller()("to all");
        assert_eq!(view.so_far(), "");
        assert_eq!(two.take(), "both\ntwo alone\nto all\n");
        write("of nobody\n");
        assert_eq!(output.take(), "of nobody\n");
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
