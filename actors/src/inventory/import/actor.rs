//! An import: which chunks are there, which are done, and what was wrong.

use std::collections::BTreeSet;

use bus::{Actor, Context, Handle, Id, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Add, BadLine, Begin, ImportError, ImportEvent, ImportProgress, ImportStatus, NoteDone,
    ShowImport,
};
use crate::limits::{IMPORT_CHUNKS_MAX, IMPORT_LINES_MAX, IMPORT_REPORT_MAX};

/// The id of an import.
pub type ImportId = Id<Import>;

/// An import. The lines themselves are in its events only.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Import {
    list: Option<List>,
    /// Chunks that are being carried out, and how many lines they have.
    running: Vec<(u32, u32)>,
    done: BTreeSet<u32>,
    /// Lines of chunks that are done, without those that failed.
    taken: u32,
    bad: u32,
    /// In the list's order.
    report: Vec<BadLine>,
}

#[derive(Debug, Serialize, Deserialize)]
struct List {
    digest: String,
    lines: u32,
    chunks: u32,
    begun_at: Timestamp,
}

impl Actor for Import {
    const KIND: &'static str = "import";
    type Event = ImportEvent;
    type Error = ImportError;
    type Commands = (Begin, Add, NoteDone, ShowImport);

    fn apply(&mut self, event: &ImportEvent) {
        match event {
            ImportEvent::Begun { digest, lines, chunks, bad, report, at } => {
                let (digest, begun_at) = (digest.clone(), *at);
                self.list = Some(List { digest, lines: *lines, chunks: *chunks, begun_at });
                self.note(*bad, report);
            }
            ImportEvent::Added { number, lines } => {
                self.running.push((*number, u32::try_from(lines.len()).unwrap_or(u32::MAX)));
            }
            ImportEvent::ChunkDone { number, failed } => {
                let lines = self.lines_of(*number).unwrap_or_default();
                self.running.retain(|(running, _)| running != number);
                let bad = u32::try_from(failed.len()).unwrap_or(u32::MAX);
                self.done.insert(*number);
                self.taken += lines.saturating_sub(bad);
                self.note(bad, failed);
            }
        }
    }
}

impl Import {
    fn note(&mut self, count: u32, report: &[BadLine]) {
        self.bad += count;
        self.report.extend_from_slice(report);
        self.report.sort_by_key(|bad| bad.line);
        self.report.truncate(IMPORT_REPORT_MAX);
    }

    /// How many lines a chunk has that is being carried out.
    fn lines_of(&self, number: u32) -> Option<u32> {
        self.running.iter().find(|(running, _)| *running == number).map(|(_, lines)| *lines)
    }

    fn list(&self) -> Result<&List, ImportError> {
        self.list.as_ref().ok_or(ImportError::UnknownImport)
    }

    fn is_there(&self, number: u32) -> bool {
        self.lines_of(number).is_some() || self.done.contains(&number)
    }

    fn progress(&self) -> Result<ImportProgress, ImportError> {
        let List { lines, chunks, begun_at, .. } = *self.list()?;
        let missing: Vec<_> = (0..chunks).filter(|number| !self.is_there(*number)).collect();
        let status = match (missing.is_empty(), self.running.is_empty()) {
            (false, _) => ImportStatus::Receiving,
            (true, false) => ImportStatus::Running,
            (true, true) => ImportStatus::Done,
        };
        let (taken, bad, report) = (self.taken, self.bad, self.report.clone());
        Ok(ImportProgress { status, begun_at, lines, taken, bad, report, missing })
    }
}

impl Handle<Begin> for Import {
    const NAME: &'static str = "begin";
    type Reply = ImportProgress;

    fn handle(
        &self,
        command: Begin,
        ctx: &mut Context<Self>,
    ) -> Result<ImportProgress, ImportError> {
        if let Some(list) = &self.list {
            return if list.digest == command.digest {
                self.progress()
            } else {
                Err(ImportError::OtherList)
            };
        }
        let Begin { digest, lines, chunks, bad, mut report } = command;
        if lines > IMPORT_LINES_MAX || chunks > IMPORT_CHUNKS_MAX || bad > lines {
            return Err(ImportError::TooLong);
        }
        report.truncate(IMPORT_REPORT_MAX);
        let begun = ImportEvent::Begun { digest, lines, chunks, bad, report, at: ctx.now() };
        let mut begun_import = Self::default();
        begun_import.apply(&begun);
        ctx.emit(begun);
        begun_import.progress()
    }
}

impl Handle<Add> for Import {
    const NAME: &'static str = "add";
    type Reply = ();

    fn handle(&self, command: Add, ctx: &mut Context<Self>) -> Result<(), ImportError> {
        let Add { number, lines } = command;
        if number >= self.list()?.chunks {
            return Err(ImportError::NoSuchChunk);
        }
        if !self.is_there(number) {
            ctx.emit(ImportEvent::Added { number, lines });
        }
        Ok(())
    }
}

impl Handle<NoteDone> for Import {
    const NAME: &'static str = "note_done";
    type Reply = ();

    fn handle(&self, command: NoteDone, ctx: &mut Context<Self>) -> Result<(), ImportError> {
        let NoteDone { number, failed } = command;
        if !self.is_there(number) {
            return Err(ImportError::NoSuchChunk);
        }
        if self.lines_of(number).is_some() {
            ctx.emit(ImportEvent::ChunkDone { number, failed });
        }
        Ok(())
    }
}

impl Handle<ShowImport> for Import {
    const NAME: &'static str = "show";
    type Reply = ImportProgress;

    fn handle(&self, _: ShowImport, _: &mut Context<Self>) -> Result<ImportProgress, ImportError> {
        self.progress()
    }
}
