//! Rows from anywhere: asked of whichever node serves the projection.

use std::{
    future::{Future, IntoFuture},
    marker::PhantomData,
    pin::Pin,
    time::Duration,
};

use serde::Serialize;

use super::{
    Projection,
    progress::Progress,
    selection::{Condition, Found, Get, Listed, NO_ROW, Selection},
    watch::{Watch, Watching},
};
use crate::{
    asking::{bus::Bus, call::NoAnswer},
    limits::REPLY_TIMEOUT,
    model::commit::Position,
    wire::{encoding::Encoding, envelope::RequestHeaders, failure::Failure, subject},
};

/// The rows of a projection, asked of whoever serves them.
#[derive(Debug, Clone)]
pub struct Rows<P> {
    bus: Bus,
    row: PhantomData<fn() -> P>,
}

/// A query that brought no rows.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// It was not answered, for the reason given.
    #[error(transparent)]
    Failed(Failure),
    /// No answer came in time. Asking again is harmless.
    #[error("no rows within {0:?}")]
    NoReply(Duration),
    /// An answer came that cannot be read: the two sides differ in version.
    #[error("the rows cannot be read: {0}")]
    Unreadable(String),
}

impl RowError {
    /// Whether asking again may bring rows.
    #[must_use]
    pub fn may_ask_again(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.body.retry,
            Self::NoReply(_) => true,
            Self::Unreadable(_) => false,
        }
    }
}

impl<P: Projection> Rows<P> {
    pub(crate) fn new(bus: Bus) -> Self {
        Self { bus, row: PhantomData }
    }

    /// One row by its key.
    pub fn get(&self, row: &str) -> GetRow<P> {
        GetRow {
            query: Query::new(self.bus.clone()),
            get: Get { row: row.to_owned(), within: None },
        }
    }

    /// A page of rows.
    pub fn list(&self, selection: Selection) -> ListRows<P> {
        ListRows { query: Query::new(self.bus.clone()), selection }
    }

    /// One row as it is, and then every change of it, for as long as somebody asks. The row
    /// need not be there yet.
    #[must_use]
    pub fn watch(&self, row: &str) -> Watch<P> {
        Watch::new(self.bus.clone(), Watching { row: Some(row.to_owned()), select: Vec::new() })
    }

    /// All rows that meet the selection's conditions, and then every change among them. Its order,
    /// limit and cursor do not count. They must be at most
    /// [`PAGE_ROWS_MAX`](crate::limits::PAGE_ROWS_MAX) whenever the watch is begun.
    #[must_use]
    pub fn watch_all(&self, selection: Selection) -> Watch<P> {
        Watch::new(self.bus.clone(), Watching { row: None, select: selection.select })
    }

    /// How far the rows are on one of the nodes that serve them.
    ///
    /// # Errors
    /// [`RowError`] if no node answers.
    pub async fn progress(&self) -> Result<Progress, RowError> {
        let nothing = serde_json::Map::new();
        read(&Query::<P>::new(self.bus.clone()).send("progress", &nothing).await?)
    }
}

/// What both queries share.
#[derive(Debug)]
struct Query<P> {
    bus: Bus,
    headers: RequestHeaders,
    timeout: Duration,
    row: PhantomData<fn() -> P>,
}

impl<P: Projection> Query<P> {
    fn new(bus: Bus) -> Self {
        let content_type = Some(Encoding::MessagePack.content_type().into());
        let headers = RequestHeaders { content_type, ..RequestHeaders::default() };
        Self { bus, headers, timeout: REPLY_TIMEOUT, row: PhantomData }
    }

    async fn send<Q: Serialize>(self, name: &str, query: &Q) -> Result<Vec<u8>, RowError> {
        let body = Encoding::MessagePack
            .encode(query)
            .map_err(|malformed| RowError::Failed(Failure::malformed(malformed)))?;
        let subject = subject::view(P::NAME, name);
        let called = self.bus.call(&subject, self.headers, body.into(), self.timeout).await;
        let answer = called.map_err(|NoAnswer(after)| RowError::NoReply(after))?;
        answer.outcome.map_err(RowError::Failed)
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, RowError> {
    Encoding::MessagePack.decode(body).map_err(|e| RowError::Unreadable(e.to_string()))
}

/// A row about to be asked for. Await it.
#[must_use = "nothing is asked before it is awaited"]
#[derive(Debug)]
pub struct GetRow<P> {
    query: Query<P>,
    get: Get,
}

/// Rows about to be asked for. Await it.
#[must_use = "nothing is asked before it is awaited"]
#[derive(Debug)]
pub struct ListRows<P> {
    query: Query<P>,
    selection: Selection,
}

impl<P: Projection> GetRow<P> {
    /// Only if the row is listed in `index` under `value`; else as if it were not there.
    pub fn within(mut self, index: &str, value: &str) -> Self {
        let (index, value) = (index.to_owned(), value.to_owned());
        self.get.within = Some(Condition { index, value, prefix: false });
        self
    }

    /// Waits until the rows include the commit at `position`, and all others named so.
    pub fn after(mut self, position: &Position) -> Self {
        self.query.headers.after.push(position.clone());
        self
    }

    /// How long to wait for the answer. Ten seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.query.timeout = timeout;
        self
    }
}

impl<P: Projection> ListRows<P> {
    /// Waits until the rows include the commit at `position`, and all others named so.
    pub fn after(mut self, position: &Position) -> Self {
        self.query.headers.after.push(position.clone());
        self
    }

    /// How long to wait for the answer. Ten seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.query.timeout = timeout;
        self
    }
}

impl<P: Projection> IntoFuture for GetRow<P> {
    type Output = Result<Option<P>, RowError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match self.query.send("get", &self.get).await {
                Ok(body) => read::<Found<P>>(&body).map(|found| Some(found.row)),
                Err(RowError::Failed(failure)) if failure.body.code == NO_ROW => Ok(None),
                Err(error) => Err(error),
            }
        })
    }
}

impl<P: Projection> IntoFuture for ListRows<P> {
    type Output = Result<Listed<P>, RowError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { read(&self.query.send("list", &self.selection).await?) })
    }
}
