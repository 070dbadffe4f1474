//! Answering queries on rows: `get` one, `list` many.

use std::{marker::PhantomData, sync::Arc};

use serde::Serialize;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use tracing::error;

use super::{
    Projection,
    fold::Progress,
    selection::{Condition, Found, Get, Listed, NO_ROW, Selection},
    served::AnswerQueries,
    store::{Store, parse_key},
};
use crate::{
    encoding::Encoding,
    envelope::{Answer, RequestHeaders},
    failure::{Failure, Status},
    id::hex,
    journal::BoxFuture,
    limits::{
        CURSOR_BYTES_MAX, PAGE_ROWS_MAX, QUERIES_MAX, QUERIES_WAITING_MAX, QUERY_WAIT_MAX,
        SCAN_ENTRIES_MAX,
    },
    subject,
    transport::Inbound,
};

/// Serves the queries of one projection.
#[derive(Debug)]
pub(crate) struct Server<P> {
    store: Store,
    progress: watch::Receiver<Progress>,
    waiting: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    row: PhantomData<fn() -> P>,
}

impl<P: Projection> AnswerQueries for Server<P> {
    fn answer(self: Arc<Self>, inbound: Inbound) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.answer_one(inbound).await })
    }
}

impl<P: Projection> Server<P> {
    pub(crate) fn new(store: Store, progress: watch::Receiver<Progress>) -> Self {
        let waiting = Arc::new(Semaphore::new(QUERIES_WAITING_MAX));
        let permits = Arc::new(Semaphore::new(QUERIES_MAX));
        Self { store, progress, waiting, permits, row: PhantomData }
    }

    async fn answer_one(&self, inbound: Inbound) {
        let headers = RequestHeaders::parse(inbound.headers.as_ref());
        let named = headers.as_ref().ok().and_then(|headers| headers.content_type.clone());
        let encoding = Encoding::detect(named.as_deref(), &inbound.body);
        let outcome = match (headers, encoding) {
            (Err(failure), _) => Err(failure),
            (Ok(_), None) => {
                let text = "Content-Type must be application/json or application/msgpack";
                Err(Failure::new(Status::BadCommand, text))
            }
            (Ok(headers), Some(encoding)) => self.find(&inbound, &headers, encoding).await,
        };
        let answer = Answer { outcome, position: None };
        let (headers, body) = answer.into_message(encoding.unwrap_or(Encoding::Json));
        inbound.answer(headers, body).await;
    }

    async fn find(
        &self,
        inbound: &Inbound,
        headers: &RequestHeaders,
        encoding: Encoding,
    ) -> Result<Vec<u8>, Failure> {
        let busy = |_| Failure::new(Status::Overloaded, "too many queries at the same time");
        let waiting = self.waiting.clone().try_acquire_owned().map_err(busy)?;
        self.wait_for(headers).await?;
        drop(waiting);
        let permit = self.permits.clone().try_acquire_owned().map_err(busy)?;
        let (store, body) = (self.store.clone(), inbound.body.clone());
        let query = inbound.subject.rsplit('.').next().unwrap_or_default().to_owned();
        let found = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            match query.as_str() {
                "get" => get::<P>(&store, encoding, &body),
                "list" => list::<P>(&store, encoding, &body),
                _ => {
                    let text = format!("`{}` answers `get` and `list` only", P::NAME);
                    Err(Failure::new(Status::NotFound, text))
                }
            }
        });
        found.await.map_err(|e| broken::<P>(&e))?
    }

    /// Waits until the rows are whole, and include what the caller wants included.
    async fn wait_for(&self, headers: &RequestHeaders) -> Result<(), Failure> {
        let mut progress = self.progress.clone();
        if let Some(after) = &headers.after
            && !progress.borrow().contains_key(&after.stream)
        {
            let mut failure =
                Failure::new(Status::BadCommand, format!("{} is not folded here", after.stream));
            failure.body.field = Some(subject::AFTER.to_owned());
            return Err(failure);
        }
        let is_there = |progress: &Progress| {
            let whole = progress.values().all(|folded| folded.sequence >= folded.target);
            let included = headers.after.as_ref().is_none_or(|after| {
                progress.get(&after.stream).is_some_and(|f| f.sequence >= after.sequence)
            });
            whole && included
        };
        let wait = headers.budget.unwrap_or(QUERY_WAIT_MAX).min(QUERY_WAIT_MAX);
        match timeout(wait, progress.wait_for(is_there)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Failure::new(Status::Unavailable, "this node is stopping")),
            Err(_) => Err(Failure::new(Status::Unavailable, "the rows are still being folded")),
        }
    }
}

fn get<P: Projection>(store: &Store, encoding: Encoding, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let query: Get = encoding.decode(body).map_err(Failure::malformed)?;
    let row = read_row::<P>(store, &query.row)?;
    let visible = row
        .filter(|row| query.within.as_ref().is_none_or(|condition| condition.holds(&row.index())));
    match visible {
        Some(row) => encoded::<P, _>(encoding, &Found { row }),
        None => {
            let mut failure = Failure::new(Status::NotFound, "no such row");
            failure.body.code = NO_ROW.to_owned();
            Err(failure)
        }
    }
}

fn list<P: Projection>(store: &Store, encoding: Encoding, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let selection: Selection = encoding.decode(body).map_err(Failure::malformed)?;
    let limit = selection.limit.unwrap_or(PAGE_ROWS_MAX).clamp(1, PAGE_ROWS_MAX);
    let from = selection.from.as_deref().map(parse_cursor).transpose()?;
    let scan = match selection.select.first() {
        None => store.scan_rows(selection.newest_first, from.as_deref()),
        Some(Condition { index, value, prefix }) => {
            store.scan_index(index, value, *prefix, selection.newest_first, from.as_deref())
        }
    };
    let scan = scan.ok_or_else(foreign_cursor)?;
    let mut page = Listed { rows: Vec::new(), next: None };
    for (seen, key) in scan.enumerate() {
        let key = key.map_err(|e| broken::<P>(&e))?;
        if let Some(row) = matching_row::<P>(store, &selection.select, &key)? {
            page.rows.push(row);
        }
        if page.rows.len() == limit || seen + 1 == SCAN_ENTRIES_MAX {
            page.next = Some(hex(&key));
            break;
        }
    }
    encoded::<P, _>(encoding, &page)
}

/// The row behind a scanned key, if it meets all conditions and this is the key it counts for:
/// a row may be listed under several values with the same beginning, and is shown once.
fn matching_row<P: Projection>(
    store: &Store,
    conditions: &[Condition],
    key: &[u8],
) -> Result<Option<P>, Failure> {
    let Some((row_key, listed_as)) = parse_key(key) else { return Ok(None) };
    let Some(row) = read_row::<P>(store, row_key)? else { return Ok(None) };
    let listed = row.index();
    if !conditions.iter().all(|condition| condition.holds(&listed)) {
        return Ok(None);
    }
    let counts = match (conditions.first(), listed_as) {
        (Some(first), Some(here)) => {
            let covered = listed.iter().filter(|entry| first.covers(entry));
            covered.map(|entry| (entry.value.as_str(), entry.rank)).min() == Some(here)
        }
        _ => true,
    };
    Ok(counts.then_some(row))
}

fn read_row<P: Projection>(store: &Store, row: &str) -> Result<Option<P>, Failure> {
    let stored = store.row(row).map_err(|e| broken::<P>(&e))?;
    stored.map(|bytes| rmp_serde::from_slice(&bytes).map_err(|e| broken::<P>(&e))).transpose()
}

fn encoded<P: Projection, T: Serialize>(encoding: Encoding, value: &T) -> Result<Vec<u8>, Failure> {
    encoding.encode(value).map_err(|e| broken::<P>(&e))
}

fn broken<P: Projection>(error: &dyn std::fmt::Display) -> Failure {
    error!(projection = P::NAME, %error, "a query failed");
    Failure::new(Status::Internal, "the rows cannot be read")
}

fn parse_cursor(cursor: &str) -> Result<Vec<u8>, Failure> {
    let digits = cursor.as_bytes();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            u8::try_from(digit(high)? * 16 + digit(low)?).ok()
        }
        _ => None,
    });
    let bytes = pairs.collect::<Option<Vec<u8>>>();
    bytes.filter(|bytes| bytes.len() <= CURSOR_BYTES_MAX).ok_or_else(foreign_cursor)
}

fn foreign_cursor() -> Failure {
    let mut failure = Failure::new(Status::BadCommand, "this cursor was not made for this list");
    failure.body.field = Some("from".to_owned());
    failure
}
