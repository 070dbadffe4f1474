//! Rows in memory: for tests, simulations, and nodes that would rather fold anew at every start.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Broken, OpenError, Pair, RowStore, Shelf, Write};

/// The rows a node keeps in memory. Clones share them: a node that is started again with the
/// same handle finds what the one before it wrote, as it would on a disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryRows {
    stores: Arc<Mutex<BTreeMap<String, Arc<MemoryStore>>>>,
}

#[derive(Debug, Default)]
struct MemoryStore {
    pairs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryRows {
    /// No rows yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Spoils the last value of every store that has any, as a disk might.
    #[cfg(test)]
    pub(crate) fn spoil(&self, space: u8) {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        for store in stores.values() {
            let mut pairs = store.pairs.lock().unwrap_or_else(PoisonError::into_inner);
            for value in pairs.iter_mut().filter(|(key, _)| key[0] == space).map(|(_, value)| value)
            {
                *value.last_mut().expect("sealed") ^= 1;
            }
        }
    }
}

impl Shelf for MemoryRows {
    fn open(&self, name: &str) -> Result<Arc<dyn RowStore>, OpenError> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stores.entry(name.to_owned()).or_default().clone())
    }

    fn names(&self) -> Vec<String> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    fn set_aside(&self, name: &str) -> Result<(), Broken> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), OpenError> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }

    fn blocks(&self) -> bool {
        false
    }
}

impl RowStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        Ok(self.pairs.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn scan(
        &self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        backwards: bool,
        count: usize,
    ) -> Result<Vec<Pair>, Broken> {
        // A map panics at an empty range that is written back to front.
        if let (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) = range
            && low >= high
        {
            return Ok(Vec::new());
        }
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let found = pairs.range::<[u8], _>(range).map(|(key, value)| (key.clone(), value.clone()));
        Ok(if backwards { found.rev().take(count).collect() } else { found.take(count).collect() })
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), Broken> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in writes {
            match value {
                Some(value) => drop(pairs.insert(key, value)),
                None => drop(pairs.remove(&key)),
            }
        }
        Ok(())
    }
}
