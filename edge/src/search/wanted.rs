//! What a search asks for, as the query string says it.

use std::str::FromStr;

use actors::{
    Currency,
    inventory::{Category, ItemStatus, words},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::ApiError,
    limits::{PAGE_ROWS_DEFAULT, SEARCH_DEPTH_MAX, SEARCH_WORDS_MAX},
    query::Query,
};

/// What is looked for, and which page of it.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Each begins a word of the item.
    pub(super) words: Vec<String>,
    pub(super) category: Option<Category>,
    pub(super) currency: Option<Currency>,
    /// In minor units.
    pub(super) min_price: Option<u64>,
    pub(super) max_price: Option<u64>,
    pub(super) in_stock: Option<bool>,
    pub(super) status: ItemStatus,
    pub(super) sort: Sort,
    pub(super) limit: usize,
    pub(super) cursor: Option<Cursor>,
}

/// The order of what is found. Among equals, one that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Sort {
    #[serde(rename = "relevance")]
    Relevance,
    #[serde(rename = "price")]
    Price,
    #[serde(rename = "-price")]
    PriceDown,
    #[serde(rename = "name")]
    Name,
    #[serde(rename = "newest")]
    Newest,
}

impl FromStr for Sort {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "relevance" => Ok(Self::Relevance),
            "price" => Ok(Self::Price),
            "-price" => Ok(Self::PriceDown),
            "name" => Ok(Self::Name),
            "newest" => Ok(Self::Newest),
            _ => Err(()),
        }
    }
}

/// Where a page begins: behind the last item of the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) sort: Sort,
    pub(super) after: Place,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Place {
    /// By relevance, which is no property of an item, so many are behind us.
    #[serde(rename = "n")]
    Count(usize),
    /// A price or a time, and the item's tie.
    #[serde(rename = "u")]
    Number(u64, u64),
    /// A name, and the item's tie.
    #[serde(rename = "t")]
    Text(String, u64),
}

impl Cursor {
    pub(super) fn shown(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn read(text: &str, sort: Sort) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let cursor: Self = serde_json::from_slice(&bytes).ok()?;
        let fits = match (sort, &cursor.after) {
            (Sort::Relevance, Place::Count(n)) => *n < SEARCH_DEPTH_MAX,
            (Sort::Price | Sort::PriceDown | Sort::Newest, Place::Number(..))
            | (Sort::Name, Place::Text(..)) => true,
            _ => false,
        };
        (cursor.sort == sort && fits).then_some(cursor)
    }
}

impl Wanted {
    /// Reads the parameters, and takes them out of `query`.
    pub(crate) fn take_from(query: &mut Query, is_staff: bool) -> Result<Self, ApiError> {
        let limit = query.take_limit(PAGE_ROWS_DEFAULT)?;
        let search = query.take("search").unwrap_or_default();
        let words: Vec<_> = words(&search).take(SEARCH_WORDS_MAX).collect();
        let default = if words.is_empty() { Sort::Newest } else { Sort::Relevance };
        let sorts = "relevance, price, -price, name or newest";
        let sort = parsed(query, "sort", sorts)?.unwrap_or(default);
        let cursor = query.take("cursor").map(|text| {
            let message = "this cursor was not made for this list";
            Cursor::read(&text, sort).ok_or_else(|| ApiError::invalid("cursor", message))
        });
        let status = match query.take("status").as_deref() {
            None | Some("active") => ItemStatus::Active,
            Some("draft") if is_staff => ItemStatus::Draft,
            Some("retired") if is_staff => ItemStatus::Retired,
            Some(_) => {
                let message = "`status` is active or, for staff, draft or retired";
                return Err(ApiError::invalid("status", message));
            }
        };
        Ok(Self {
            words,
            category: parsed(query, "category", "a category: a to z, 0 to 9 and `-`")?,
            currency: parsed(query, "currency", "an ISO 4217 code")?,
            min_price: parsed(query, "min_price", "a whole number of minor units")?,
            max_price: parsed(query, "max_price", "a whole number of minor units")?,
            in_stock: parsed(query, "in_stock", "true or false")?,
            status,
            sort,
            limit,
            cursor: cursor.transpose()?,
        })
    }

    /// How many are behind us, by relevance.
    pub(super) fn offset(&self) -> usize {
        match &self.cursor {
            Some(Cursor { after: Place::Count(n), .. }) => *n,
            _ => 0,
        }
    }
}

fn parsed<T: FromStr>(query: &mut Query, name: &str, rule: &str) -> Result<Option<T>, ApiError> {
    let Some(text) = query.take(name) else { return Ok(None) };
    match text.parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(ApiError::invalid(name.to_owned(), format!("`{name}` is {rule}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_for_its_own_order_alone() {
        let cursor = Cursor { sort: Sort::Price, after: Place::Number(250, 7) };
        assert_eq!(Cursor::read(&cursor.shown(), Sort::Price), Some(cursor.clone()));
        assert_eq!(Cursor::read(&cursor.shown(), Sort::PriceDown), None);
        let mixed = Cursor { sort: Sort::Name, ..cursor };
        assert_eq!(Cursor::read(&mixed.shown(), Sort::Name), None);
        let deep = Cursor { sort: Sort::Relevance, after: Place::Count(SEARCH_DEPTH_MAX) };
        assert_eq!(Cursor::read(&deep.shown(), Sort::Relevance), None);
        for bad in ["", "x", "e30", "ä"] {
            assert_eq!(Cursor::read(bad, Sort::Price), None, "{bad}");
        }
    }
}
