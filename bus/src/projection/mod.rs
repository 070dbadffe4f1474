//! Projections: folds of commits into rows that can be queried.
//!
//! A projection runs in full on every node that serves it. Rows and the place in the journal
//! are written in one batch, so a commit is folded exactly once; the disk holds nothing that
//! could not be folded again, and whatever does not look as it was written is. Rows answer when
//! they are whole; until then another node does, or older rows, or a "come back".

mod answer;
mod blocking;
mod fold;
mod opening;
mod pending;
mod progress;
mod query;
mod rows;
mod selection;
mod served;
mod shapes;
mod state;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod watch;

pub use progress::{Progress, StreamProgress};
pub use rows::{GetRow, ListRows, RowError, Rows};
pub use selection::{Listed, Selection};
pub use store::memory::MemoryRows;
pub use watch::{Change, Watch};

pub(crate) use served::{AnswerQueries, Place, Served, with_fold};
pub(crate) use shapes::{query_requests, query_schemas};
pub(crate) use store::{Shelf, sled::SledShelf};

use crate::model::{
    actor::{Actor, Wire},
    commit::Recorded,
    time::Timestamp,
};

/// A row, and what it can be found by. Its default is the row before the first event.
pub trait Projection: Wire + Default {
    /// The projection's name on the wire, one token: `"orders"`.
    const NAME: &'static str;

    /// Raise it when rows would come out differently, or when the program has learnt to read
    /// commits it passed over: they are then folded again from the first commit, beside the old
    /// ones, which go on answering as far as they can be read as this type.
    const VERSION: u32 = 1;

    /// The values this row can be listed by. At most a few dozen.
    fn index(&self) -> Vec<IndexEntry> {
        Vec::new()
    }
}

/// How events of actor `A` change the rows of a projection. As pure as [`Actor::apply`].
pub trait Fold<A: Actor>: Projection {
    /// Which rows `event` changes, by their keys: the one of the actor's own id unless said
    /// otherwise. Each is read and written, so they should be few.
    fn rows(event: &Recorded<A>) -> Vec<String> {
        vec![event.id.as_str().to_owned()]
    }

    /// Folds `event` into one of its rows.
    fn fold(&mut self, row: &str, event: &Recorded<A>);
}

/// One value a row can be listed by: `buyer = u-1`, and where it stands among its equals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexEntry {
    pub(crate) index: &'static str,
    pub(crate) value: String,
    pub(crate) rank: u64,
}

impl IndexEntry {
    /// The row is listed in `index` under `value`. Neither may hold a NUL character; one that
    /// does is cut there.
    #[must_use]
    pub fn new(index: &'static str, value: impl Into<String>) -> Self {
        let mut value = value.into();
        value.truncate(value.find('\0').unwrap_or(value.len()));
        Self { index, value, rank: 0 }
    }

    /// Rows of the same value are listed in the order of this moment.
    #[must_use]
    pub fn ranked_by(self, at: Timestamp) -> Self {
        self.ranked(at.as_millis())
    }

    /// Rows of the same value are listed in the order of this number.
    #[must_use]
    pub fn ranked(mut self, rank: u64) -> Self {
        self.rank = rank;
        self
    }
}
