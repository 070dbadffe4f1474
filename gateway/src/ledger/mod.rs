//! What the gateway knows, on disk before anybody is told.
//!
//! A decision is made on the books and changes them at once, so that the next one sees it; its
//! line waits for the disk together with others', and no answer that may rest on it leaves
//! before it is there. If the disk refuses, the books are ahead of it for good: nothing is
//! answered any more, and the gateway ends.

mod books;
mod file;
mod line;
mod outbox;

use std::{
    io, mem,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    books::Books,
    file::LedgerFile,
    line::{Call, Line},
    outbox::Next,
};

use crate::{limits::UNWRITTEN_BYTES_MAX, refusal::Refusal};

/// The books, and what of them is on disk.
#[derive(Debug)]
pub(crate) struct Ledger {
    // A std mutex, because nothing is awaited while it is held.
    open: Mutex<Open>,
    more: Notify,
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
struct Open {
    books: Books,
    unwritten: Vec<u8>,
    /// Lines made so far.
    made: u64,
}

/// How much of what was made is on disk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    /// So many lines.
    pub(crate) written: u64,
    failed: bool,
}

impl Ledger {
    /// The ledger in `folder`, and the file that [`write_until`](Self::write_until) needs.
    pub(crate) fn open(folder: &Path, charges_max: usize) -> io::Result<(Self, LedgerFile)> {
        let mut books = Books::new(charges_max);
        let file = LedgerFile::open(folder, &mut books)?;
        let open = Open { books, unwritten: Vec::new(), made: 0 };
        let (progress, _) = watch::channel(Progress::default());
        Ok((Self { open: Mutex::new(open), more: Notify::new(), progress }, file))
    }

    /// Decides on the books and writes down what was decided. Returns once that is on disk, and
    /// all that the decision may rest on.
    pub(crate) async fn decide<T>(
        &self,
        decide: impl FnOnce(&Books) -> Result<(T, Line), Refusal>,
    ) -> Result<T, Refusal> {
        let (decided, made) = self.decide_now(decide);
        let mut progress = self.progress.subscribe();
        let progress = progress.wait_for(|p| p.failed || p.written >= made).await;
        if progress.is_ok_and(|progress| !progress.failed) {
            return decided;
        }
        Err(Refusal::Unwritten)
    }

    /// As [`decide`](Self::decide), for whom nobody waits: returns before it is on disk.
    pub(crate) fn note(
        &self,
        decide: impl FnOnce(&Books) -> Result<Line, Refusal>,
    ) -> Result<(), Refusal> {
        self.decide_now(|books| decide(books).map(|line| ((), line))).0
    }

    /// What was decided, and the lines that must be on disk before anybody is told.
    fn decide_now<T>(
        &self,
        decide: impl FnOnce(&Books) -> Result<(T, Line), Refusal>,
    ) -> (Result<T, Refusal>, u64) {
        let mut open = self.enter();
        let decided = decide(&open.books);
        let decided = decided.and_then(|(answer, line)| open.note(line).map(|()| answer));
        self.more.notify_one();
        (decided, open.made)
    }

    /// Reads the books as they are, written or not.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Books) -> T) -> T {
        read(&self.enter().books)
    }

    /// Tries a webhook again at `due`, in unix milliseconds. That is not written down: after a
    /// crash it is tried at once.
    pub(crate) fn postpone(&self, number: u64, due: u64) {
        self.enter().books.outbox.postpone(number, due);
    }

    /// Told whenever more is on disk.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Writes what is decided until `stop`, and then what is left.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) async fn write_until(
        self: Arc<Self>,
        mut file: LedgerFile,
        stop: CancellationToken,
    ) -> io::Result<()> {
        loop {
            let stopped = tokio::select! {
                () = self.more.notified() => false,
                () = stop.cancelled() => true,
            };
            match Arc::clone(&self).write_all(file).await {
                Ok(written) => file = written,
                Err(error) => {
                    self.progress.send_modify(|progress| progress.failed = true);
                    return Err(error);
                }
            }
            if stopped {
                return Ok(());
            }
        }
    }

    async fn write_all(self: Arc<Self>, mut file: LedgerFile) -> io::Result<LedgerFile> {
        let written = spawn_blocking(move || {
            let made = self.write(&mut file)?;
            self.progress
                .send_if_modified(|progress| mem::replace(&mut progress.written, made) != made);
            Ok(file)
        });
        written.await.map_err(io::Error::other)?
    }

    /// Writes what waits; how many lines are on disk then. The file is not open to others
    /// meanwhile, while the books are.
    fn write(&self, file: &mut LedgerFile) -> io::Result<u64> {
        let (lines, made) = {
            let mut open = self.enter();
            let lines = mem::take(&mut open.unwritten);
            if file.has_grown() {
                // The lines are in the books.
                let (lines, made) = (file::written(&open.books)?, open.made);
                drop(open);
                file.replace(&lines)?;
                return Ok(made);
            }
            (lines, open.made)
        };
        if !lines.is_empty() {
            file.append(&lines)?;
        }
        Ok(made)
    }

    fn enter(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Adds a line to those that wait, and to the books.
    fn note(&mut self, mut line: Line) -> Result<(), Refusal> {
        if line.is_empty() {
            return Ok(());
        }
        if self.unwritten.len() > UNWRITTEN_BYTES_MAX {
            return Err(Refusal::TooMuchUnwritten);
        }
        let bytes = serde_json::to_vec(&line).map_err(|_| Refusal::Unwritten)?;
        self.unwritten.extend_from_slice(&bytes);
        self.unwritten.push(b'\n');
        self.made += 1;
        for delivery in &mut line.deliveries {
            delivery.after = self.made;
        }
        self.books.apply(line);
        Ok(())
    }
}
