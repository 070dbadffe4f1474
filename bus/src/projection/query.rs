//! Finding rows: `get` one, `list` many. Blocking, on whichever rows are given.

use serde::Serialize;

use super::{
    Projection,
    selection::{Condition, Found, Get, Listed, NO_ROW, Selection},
    store::{Broken, Store, layout::parse_key},
    watch::RowNow,
};
use crate::{
    limits::{CONDITIONS_MAX, CURSOR_BYTES_MAX, PAGE_ROWS_MAX, SCAN_ENTRIES_MAX},
    model::id::hex,
    wire::{
        encoding::Encoding,
        failure::{Failure, Status},
    },
};

/// Why rows were not found.
#[derive(Debug)]
pub(crate) enum NotFound {
    /// The query's own fault, or there is no such row.
    Told(Failure),
    /// The rows cannot be used any more.
    Broken(Broken),
    /// They are of another version, and cannot answer this in the place of newer ones.
    Unlike,
}

impl From<Broken> for NotFound {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Rows to look in, and how far they are to be trusted.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) store: Store,
    /// Whether they are of another version: what does not read as a row of this one is then no
    /// damage.
    pub(crate) is_old: bool,
}

pub(crate) fn get<P: Projection>(
    source: &Source,
    encoding: Encoding,
    body: &[u8],
) -> Result<Vec<u8>, NotFound> {
    let query: Get = encoding.decode(body).map_err(told)?;
    let row = source.row::<P>(&query.row)?;
    let visible = row
        .filter(|row| query.within.as_ref().is_none_or(|condition| condition.holds(&row.index())));
    match visible {
        Some(row) => encoded(encoding, &Found { row }),
        None => {
            let mut failure = Failure::new(Status::NotFound, "no such row");
            failure.body.code = NO_ROW.to_owned();
            Err(NotFound::Told(failure))
        }
    }
}

/// A query has no more conditions than can be held against every row it looks at.
pub(crate) fn check_conditions(select: &[Condition]) -> Result<(), Failure> {
    if select.len() <= CONDITIONS_MAX {
        return Ok(());
    }
    let text = format!("{} conditions, at most {CONDITIONS_MAX}", select.len());
    let mut failure = Failure::new(Status::BadCommand, text);
    failure.body.field = Some("select".to_owned());
    Err(failure)
}

pub(crate) fn list<P: Projection>(
    source: &Source,
    encoding: Encoding,
    body: &[u8],
) -> Result<Vec<u8>, NotFound> {
    let selection: Selection = encoding.decode(body).map_err(told)?;
    check_conditions(&selection.select).map_err(NotFound::Told)?;
    if !selection.rows.is_empty() {
        let rows = source.named::<P>(&selection)?;
        return encoded(encoding, &Listed::<P> { rows, next: None });
    }
    let (rows, next) = source.page::<P>(&selection)?;
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    encoded(encoding, &Listed::<P> { rows, next })
}

impl Source {
    /// What a watch begins with. All of it must fit one page.
    pub(crate) fn watched<P: Projection>(
        &self,
        row: Option<&str>,
        select: &[Condition],
    ) -> Result<Vec<RowNow<P>>, NotFound> {
        if let Some(key) = row {
            let found = self.row::<P>(key)?;
            let visible = found.filter(|row| select.iter().all(|c| c.holds(&row.index())));
            return Ok(visible
                .map(|row| RowNow { key: key.to_owned(), row: Some(row) })
                .into_iter()
                .collect());
        }
        let selection = Selection { select: select.to_vec(), ..Selection::default() };
        match self.page::<P>(&selection)? {
            (rows, None) => {
                Ok(rows.into_iter().map(|(key, row)| RowNow { key, row: Some(row) }).collect())
            }
            (_, Some(_)) => {
                let text = format!("more than {PAGE_ROWS_MAX} rows cannot be watched at once");
                Err(NotFound::Told(Failure::new(Status::BadCommand, text)))
            }
        }
    }

    /// The rows that are asked for by their keys, of those that are there and meet the conditions.
    fn named<P: Projection>(&self, selection: &Selection) -> Result<Vec<P>, NotFound> {
        let keys = &selection.rows;
        if keys.len() > PAGE_ROWS_MAX {
            let text = format!("{} rows are named, at most {PAGE_ROWS_MAX}", keys.len());
            let mut failure = Failure::new(Status::BadCommand, text);
            failure.body.field = Some("rows".to_owned());
            return Err(NotFound::Told(failure));
        }
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            let row = self.row::<P>(key)?;
            rows.extend(row.filter(|row| selection.select.iter().all(|c| c.holds(&row.index()))));
        }
        Ok(rows)
    }

    /// A page of rows with their keys, and where the next begins, if there is one.
    fn page<P: Projection>(
        &self,
        selection: &Selection,
    ) -> Result<(Vec<(String, P)>, Option<String>), NotFound> {
        let limit = selection.limit.unwrap_or(PAGE_ROWS_MAX).clamp(1, PAGE_ROWS_MAX);
        let from = selection.from.as_deref().map(parse_cursor).transpose()?;
        let scan = match selection.select.first() {
            None => self.store.scan_rows(selection.newest_first, from.as_deref()),
            Some(Condition { index, value, prefix }) => {
                // Where no row is listed so, the index may be newer than the rows.
                if self.is_old && !self.store.has_index(index)? {
                    return Err(NotFound::Unlike);
                }
                let newest_first = selection.newest_first;
                self.store.scan_index(index, value, *prefix, newest_first, from.as_deref())
            }
        };
        let mut scan = scan.ok_or_else(foreign_cursor)?.enumerate();
        let mut rows = Vec::new();
        while let Some((seen, pair)) = scan.next() {
            let (key, stored) = pair?;
            if let Some(row) = self.matching::<P>(&selection.select, &key, &stored)? {
                rows.push(row);
            }
            if rows.len() == limit || seen + 1 == SCAN_ENTRIES_MAX {
                let is_last = scan.next().map(|(_, pair)| pair).transpose()?.is_none();
                return Ok((rows, (!is_last).then(|| hex(&key))));
            }
        }
        Ok((rows, None))
    }

    /// The row behind a scanned key, if it meets all conditions and this is the key it counts
    /// for: a row may be listed under several values with the same beginning, and is shown once.
    fn matching<P: Projection>(
        &self,
        conditions: &[Condition],
        key: &[u8],
        stored: &[u8],
    ) -> Result<Option<(String, P)>, NotFound> {
        let Some((row_key, listed_as)) = parse_key(key) else {
            return Err(Broken("a key cannot be read".to_owned()).into());
        };
        let found = match listed_as {
            None => Some(self.decoded::<P>(stored)?),
            Some(_) => self.row::<P>(row_key)?,
        };
        let Some(row) = found else {
            return Err(Broken("a row that is listed is not there".to_owned()).into());
        };
        let listed = row.index();
        let (Some(first), Some(here)) = (conditions.first(), listed_as) else {
            return Ok(Some((row_key.to_owned(), row)));
        };
        let covered = || listed.iter().filter(|entry| first.covers(entry));
        let place = |entry: &'_ super::IndexEntry| (entry.value.clone(), entry.rank);
        if !covered().any(|entry| (entry.value.as_str(), entry.rank) == here) {
            // It moved on since the list was read; older rows do not move.
            return if self.is_old { Err(NotFound::Unlike) } else { Ok(None) };
        }
        if !conditions.iter().all(|condition| condition.holds(&listed)) {
            return Ok(None);
        }
        let counts =
            covered().map(place).min().is_some_and(|(value, rank)| (value.as_str(), rank) == here);
        Ok(counts.then(|| (row_key.to_owned(), row)))
    }

    fn row<P: Projection>(&self, row: &str) -> Result<Option<P>, NotFound> {
        let stored = self.store.row(row)?;
        stored.map(|stored| self.decoded(&stored.bytes)).transpose()
    }

    fn decoded<P: Projection>(&self, bytes: &[u8]) -> Result<P, NotFound> {
        rmp_serde::from_slice(bytes).map_err(|error| {
            let broken = Broken(format!("a row cannot be decoded: {error}"));
            if self.is_old { NotFound::Unlike } else { broken.into() }
        })
    }
}

pub(crate) fn encoded<T: Serialize>(encoding: Encoding, value: &T) -> Result<Vec<u8>, NotFound> {
    encoding.encode(value).map_err(|error| {
        tracing::error!(%error, "a row cannot be written");
        NotFound::Told(Failure::new(Status::Internal, "the row cannot be written"))
    })
}

fn told(malformed: crate::Malformed) -> NotFound {
    NotFound::Told(Failure::malformed(malformed))
}

fn parse_cursor(cursor: &str) -> Result<Vec<u8>, NotFound> {
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

fn foreign_cursor() -> NotFound {
    let mut failure = Failure::new(Status::BadCommand, "this cursor was not made for this list");
    failure.body.field = Some("from".to_owned());
    NotFound::Told(failure)
}
