//! Rows on disk: sled, in a folder per projection and version. Only this file names sled.
//!
//! sled reports some broken files by panicking: every call is guarded, and a panic is an error
//! like the others. A process that died twice while it opened a folder does not open it again:
//! it is set aside unread.

use std::{
    ops::Bound,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Broken, OpenError, Pair, RowStore, Shelf, Write};
use crate::{
    limits::{ROW_CACHE_BYTES, ROWS_ASIDE_MAX, ROWS_OPEN_DEATHS_MAX},
    model::ambient::Ambient,
};

/// The folder a node's projections keep their rows in.
#[derive(Debug)]
pub(crate) struct SledShelf {
    folder: PathBuf,
    ambient: Ambient,
}

#[derive(Debug)]
struct SledStore {
    tree: sled::Db,
}

impl SledShelf {
    pub(crate) fn new(folder: PathBuf, ambient: Ambient) -> Self {
        Self { folder, ambient }
    }

    /// Moves a folder, or whatever is in its place, out of the way.
    fn move_away(&self, name: &str, why: &str) -> std::io::Result<Option<PathBuf>> {
        let from = self.folder.join(name);
        let token = self.ambient.token();
        let to = format!("{name}.{why}-{:014}-{}", self.ambient.now().as_millis(), &token[..6]);
        let to = self.folder.join(to);
        match std::fs::rename(&from, &to) {
            Ok(()) => Ok(Some(to)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes all but the newest of what was set aside of `name`, and what was to be deleted.
    fn tidy(&self, name: &str) -> std::io::Result<()> {
        let (aside, gone) = (format!("{name}.broken-"), format!("{name}.gone-"));
        let mut kept = Vec::new();
        for file in std::fs::read_dir(&self.folder)? {
            let file = file?;
            let file_name = file.file_name().to_string_lossy().into_owned();
            if file_name.starts_with(&gone) {
                delete(&file.path())?;
            } else if file_name.starts_with(&aside) {
                kept.push(file.path());
            }
        }
        kept.sort();
        let too_many = kept.len().saturating_sub(ROWS_ASIDE_MAX);
        kept.iter().take(too_many).try_for_each(|path| delete(path))
    }

    /// How often a process died while it opened these rows.
    fn deaths(&self, name: &str) -> usize {
        std::fs::metadata(self.opening(name)).map_or(0, |file| file.len() as usize)
    }

    /// A file that is there while the rows are being opened, a byte longer at each try.
    fn opening(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.opening"))
    }
}

impl Shelf for SledShelf {
    fn open(&self, name: &str) -> Result<Arc<dyn RowStore>, OpenError> {
        let io = |error: std::io::Error| Broken(error.to_string());
        let deaths = self.deaths(name);
        if deaths >= ROWS_OPEN_DEATHS_MAX {
            return Err(Broken(format!("{deaths} processes died while they opened them")).into());
        }
        std::fs::create_dir_all(&self.folder).map_err(io)?;
        std::fs::write(self.opening(name), vec![b'x'; deaths + 1]).map_err(io)?;
        let opened = open_tree(&self.folder.join(name));
        // Another process may be opening the same rows: only who gets them counts.
        match std::fs::remove_file(self.opening(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io(error).into());
            }
            Ok(()) | Err(_) => {}
        }
        opened.map(|tree| Arc::new(SledStore { tree }) as Arc<dyn RowStore>)
    }

    fn names(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn set_aside(&self, name: &str) -> Result<(), Broken> {
        let moved = self.move_away(name, "broken").and_then(|_| {
            match std::fs::remove_file(self.opening(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => self.tidy(name),
            }
        });
        moved.map_err(|e| Broken(format!("they cannot be set aside: {e}")))
    }

    fn remove(&self, name: &str) -> Result<(), OpenError> {
        // Whoever has them open has them locked.
        if matches!(open_tree(&self.folder.join(name)), Err(OpenError::InUse)) {
            return Err(OpenError::InUse);
        }
        let removed = self.move_away(name, "gone").and_then(|_| self.tidy(name));
        removed.map_err(|e| Broken(format!("they cannot be removed: {e}")).into())
    }

    fn blocks(&self) -> bool {
        true
    }
}

impl RowStore for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        guarded(|| Ok(self.tree.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        backwards: bool,
        count: usize,
    ) -> Result<Vec<Pair>, Broken> {
        guarded(|| {
            let found = self.tree.range::<&[u8], _>(range);
            let pair = |pair: Result<(sled::IVec, sled::IVec), sled::Error>| {
                pair.map(|(key, value)| (key.to_vec(), value.to_vec()))
            };
            if backwards {
                found.rev().take(count).map(pair).collect()
            } else {
                found.take(count).map(pair).collect()
            }
        })
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), Broken> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        guarded(|| self.tree.apply_batch(batch))
    }
}

fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, Broken> {
    match std::panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Broken(error.to_string())),
        Err(_) => Err(Broken("the row store panicked".to_owned())),
    }
}

fn open_tree(path: &Path) -> Result<sled::Db, OpenError> {
    let open =
        AssertUnwindSafe(|| sled::Config::new().path(path).cache_capacity(ROW_CACHE_BYTES).open());
    match std::panic::catch_unwind(open) {
        Ok(Ok(tree)) => Ok(tree),
        Ok(Err(sled::Error::Io(error))) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err(OpenError::InUse)
        }
        // Its lock error hides the kind.
        Ok(Err(error)) if error.to_string().contains("could not acquire lock") => {
            Err(OpenError::InUse)
        }
        Ok(Err(error)) => Err(Broken(error.to_string()).into()),
        Err(_) => Err(Broken("the row store panicked when opened".to_owned()).into()),
    }
}

/// Deletes a folder, or whatever has its name.
fn delete(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}
