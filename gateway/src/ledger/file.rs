//! The gateway's file: lines of JSON, only ever appended to, and now and then written anew.
//!
//! What was cut off while it was written, at the end, was never answered for: it is dropped, and
//! told. Anything else that cannot be read is an error that names the line; nothing is guessed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{books::Books, line::Line};
use crate::limits::{FILE_GROWTH_MIN, LINE_BYTES_MAX};

const FILE: &str = "gateway.jsonl";
const NEW_FILE: &str = "gateway.jsonl.new";
const LOCK: &str = "gateway.lock";

/// The shape of the lines that follow. A file of another one is refused.
const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    gateway: u32,
}

/// The file, open at its end, and nobody else's.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    folder: PathBuf,
    file: File,
    bytes: u64,
    /// How many it had when it was last written anew.
    bytes_anew: u64,
    _lock: File,
}

impl LedgerFile {
    /// Reads the file in `folder` into `books` and writes it anew, short.
    pub(crate) fn open(folder: &Path, books: &mut Books) -> io::Result<Self> {
        fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
        let lock = lock(folder)?;
        let path = folder.join(FILE);
        match File::open(&path) {
            Ok(file) => read(&path, file, books)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&path, &error)),
        }
        let (file, bytes) = write_anew(folder, &written(books)?)?;
        Ok(Self { folder: folder.to_owned(), file, bytes, bytes_anew: bytes, _lock: lock })
    }

    /// Writes whole lines; they are on disk when this returns.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines).map_err(|error| at(&self.folder, &error))?;
        self.file.sync_data().map_err(|error| at(&self.folder, &error))?;
        self.bytes += lines.len() as u64;
        Ok(())
    }

    /// Much of it may be of the past.
    pub(crate) fn has_grown(&self) -> bool {
        self.bytes > self.bytes_anew.saturating_mul(2).max(self.bytes_anew + FILE_GROWTH_MIN)
    }

    /// Puts the `lines` of [`written`] in place of all there are.
    pub(crate) fn replace(&mut self, lines: &[u8]) -> io::Result<()> {
        (self.file, self.bytes) = write_anew(&self.folder, lines)?;
        self.bytes_anew = self.bytes;
        info!(bytes = self.bytes, "the gateway's file was written anew");
        Ok(())
    }
}

/// The books as the content of a file.
pub(crate) fn written(books: &Books) -> io::Result<Vec<u8>> {
    let mut lines = serde_json::to_vec(&Head { gateway: FORMAT })?;
    lines.push(b'\n');
    for line in books.lines() {
        serde_json::to_writer(&mut lines, &line)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Two processes on one file would each miss what the other wrote.
fn lock(folder: &Path) -> io::Result<File> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(|error| at(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("{}: another gateway uses this folder", folder.display());
            Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
        }
        Err(TryLockError::Error(error)) => Err(at(&path, &error)),
    }
}

/// A crash leaves either file whole: the new one takes the name once it is on disk.
fn write_anew(folder: &Path, lines: &[u8]) -> io::Result<(File, u64)> {
    let path = folder.join(NEW_FILE);
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(lines)?;
        file.sync_all()?;
        fs::rename(&path, folder.join(FILE))?;
        // The name is in the folder, which is written apart.
        File::open(folder)?.sync_all()?;
        Ok(file)
    };
    let file = write().map_err(|error: io::Error| at(&path, &error))?;
    Ok((file, lines.len() as u64))
}

fn read(path: &Path, file: File, books: &mut Books) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let bytes = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if bytes.map_err(|error| at(path, &error))? == 0 {
            break;
        }
        if !line.ends_with(b"\n") {
            if line.len() as u64 == LINE_BYTES_MAX {
                return Err(unreadable(path, number, "it is too long"));
            }
            let (path, bytes) = (path.display(), line.len());
            warn!(%path, line = number, bytes, "the last line was cut off, and is dropped");
            break;
        }
        if number == 1 {
            let head = serde_json::from_slice::<Head>(&line);
            let head = head.map_err(|error| unreadable(path, number, error))?;
            if head.gateway != FORMAT {
                return Err(unreadable(path, number, "the file is of another version"));
            }
        } else {
            let line = serde_json::from_slice::<Line>(&line);
            books.apply(line.map_err(|error| unreadable(path, number, error))?);
        }
    }
    Ok(())
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn unreadable(path: &Path, line: u64, why: impl std::fmt::Display) -> io::Error {
    let message = format!("{}: line {line} cannot be read: {why}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
