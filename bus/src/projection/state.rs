//! What one node knows of one projection's rows: which there are, how far they are, and whether
//! they may be shown. The runner writes it, queries read it.

use std::{collections::BTreeMap, marker::PhantomData, sync::Arc};

use tokio::sync::watch;
use tracing::error;

use super::{
    Projection,
    progress::percent,
    store::{Broken, Shelf, Store},
    watch::Watches,
};
use crate::model::{ambient::Ambient, commit::Position};

/// One projection on one node.
#[derive(Debug)]
pub(crate) struct View<P> {
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) ambient: Ambient,
    pub(crate) state: watch::Sender<State>,
    /// Held while rows are written: who holds it sees them stand still.
    pub(crate) gate: tokio::sync::Mutex<()>,
    pub(crate) watches: Watches,
    row: PhantomData<fn() -> P>,
}

/// Which rows there are, and how far they are folded.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// None while they are being opened, or made anew.
    pub(crate) store: Option<Store>,
    /// Rows of another version that answer until these have caught up.
    pub(crate) old: Option<Old>,
    pub(crate) streams: BTreeMap<Arc<str>, Folded>,
}

/// Rows of another version of the projection, as they were when it stopped being served.
#[derive(Debug, Clone)]
pub(crate) struct Old {
    pub(crate) store: Store,
    pub(crate) folded: BTreeMap<Arc<str>, u64>,
}

/// How far one stream is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folded {
    /// Everything up to here is in the rows.
    pub(crate) sequence: u64,
    /// What the stream held when folding began: until then the rows are not whole.
    pub(crate) target: u64,
    /// Messages that were passed over.
    pub(crate) skipped: u64,
}

impl Folded {
    /// Nothing is known of the stream: its rows cannot be whole.
    pub(crate) const UNKNOWN: Self = Self { sequence: 0, target: u64::MAX, skipped: 0 };
}

impl State {
    /// Whether the rows hold all that was there when folding began.
    pub(crate) fn is_whole(&self) -> bool {
        self.store.is_some() && self.streams.values().all(|f| f.sequence >= f.target)
    }

    pub(crate) fn includes(&self, after: &[Position]) -> bool {
        after.iter().all(|position| {
            self.streams.get(&position.stream).is_some_and(|f| f.sequence >= position.sequence)
        })
    }

    /// The rows' place in the journal.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let position = |(stream, folded): (&Arc<str>, &Folded)| Position {
            stream: stream.clone(),
            sequence: folded.sequence,
        };
        self.streams.iter().map(position).collect()
    }

    /// How much of what there is to fold is folded.
    pub(crate) fn percent(&self) -> u8 {
        if self.streams.values().any(|folded| *folded == Folded::UNKNOWN) {
            return 0;
        }
        let sum = |of: fn(&Folded) -> u64| self.streams.values().map(of).sum::<u64>();
        percent(sum(|f| f.sequence.min(f.target)), sum(|f| f.target))
    }
}

impl Old {
    pub(crate) fn includes(&self, after: &[Position]) -> bool {
        after.iter().all(|position| {
            self.folded.get(&position.stream).is_some_and(|folded| *folded >= position.sequence)
        })
    }
}

impl<P: Projection> View<P> {
    pub(crate) fn new(
        shelf: Arc<dyn Shelf>,
        ambient: Ambient,
        streams: impl Iterator<Item = Arc<str>>,
    ) -> Self {
        let streams = streams.map(|stream| (stream, Folded::UNKNOWN)).collect();
        let (state, _) = watch::channel(State { streams, ..State::default() });
        let (gate, watches) = (tokio::sync::Mutex::new(()), Watches::default());
        Self { shelf, ambient, state, gate, watches, row: PhantomData }
    }

    /// Rows that turn out to be broken are not read again: the runner folds new ones.
    pub(crate) fn condemn(&self, store: &Store, broken: &Broken) {
        if !store.broken.is_cancelled() {
            error!(projection = P::NAME, version = store.version(), %broken, "the rows are broken");
            store.broken.cancel();
        }
        self.state.send_modify(|state| {
            if state.store.as_ref().is_some_and(|store| store.broken.is_cancelled()) {
                state.store = None;
                state.streams.values_mut().for_each(|folded| *folded = Folded::UNKNOWN);
            }
            if state.old.as_ref().is_some_and(|old| old.store.broken.is_cancelled()) {
                state.old = None;
            }
        });
    }
}
