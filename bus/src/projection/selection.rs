//! What a query asks for, and the shapes of its answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IndexEntry;

/// The code of a `get` that found nothing, as against a projection that is not there.
pub(crate) const NO_ROW: &str = "NO_ROW";

/// One condition: the row is listed in `index` under `value`, or under a value beginning so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub(crate) index: String,
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) prefix: bool,
}

/// Which rows are to be listed, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rows: Vec<String>,
    pub(crate) select: Vec<Condition>,
    pub(crate) newest_first: bool,
    pub(crate) limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Get {
    pub(crate) row: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) within: Option<Condition>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Found<P> {
    pub(crate) row: P,
}

/// A page of rows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Listed<P> {
    /// The rows.
    pub rows: Vec<P>,
    /// Where the next page begins, if there may be one.
    pub next: Option<String>,
}

impl Selection {
    /// All rows, in the order of their keys.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only the rows with these keys, in this order, of which there are at most
    /// [`PAGE_ROWS_MAX`](crate::limits::PAGE_ROWS_MAX). Those that are not there are left out; order,
    /// limit and cursor do not count.
    #[must_use]
    pub fn rows(keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { rows: keys.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Only rows listed in `index` under `value`. The first condition sets the order.
    #[must_use]
    pub fn matching(self, index: &str, value: &str) -> Self {
        self.with(index, value, false)
    }

    /// Only rows listed in `index` under a value that begins with `value`.
    #[must_use]
    pub fn prefix(self, index: &str, value: &str) -> Self {
        self.with(index, value, true)
    }

    fn with(mut self, index: &str, value: &str, prefix: bool) -> Self {
        self.select.push(Condition { index: index.to_owned(), value: value.to_owned(), prefix });
        self
    }

    /// The other way round: highest rank first.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// At most this many rows, and never more than 100.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Goes on where a page ended.
    #[must_use]
    pub fn from(mut self, cursor: Option<String>) -> Self {
        self.from = cursor;
        self
    }
}

impl Condition {
    pub(crate) fn holds(&self, listed: &[IndexEntry]) -> bool {
        listed.iter().any(|entry| self.covers(entry))
    }

    pub(crate) fn covers(&self, entry: &IndexEntry) -> bool {
        let same_value = if self.prefix {
            entry.value.starts_with(&self.value)
        } else {
            entry.value == self.value
        };
        entry.index == self.index && same_value
    }
}
