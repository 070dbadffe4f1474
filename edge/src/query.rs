//! The query string: each parameter once, none unknown.

use std::collections::HashMap;

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::{
    api::{Part, Route},
    error::ApiError,
};

/// The parameters of a query string that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Query(HashMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let axum::extract::Query(pairs) =
            pairs.map_err(|error| ApiError::invalid("query", error.body_text()))?;
        let mut query = HashMap::new();
        for (name, value) in pairs {
            if query.contains_key(&name) {
                let message = format!("the parameter `{name}` was given twice");
                return Err(ApiError::invalid(name, message));
            }
            query.insert(name, value);
        }
        Ok(Self(query))
    }
}

/// Which parameters there are, the route says.
impl Part for Query {
    fn describe(route: &mut Route) {
        route.may_refuse(400, "INVALID");
    }
}

impl Query {
    /// Whether nothing but these was asked for.
    pub(crate) fn has_only(&self, names: &[&str]) -> bool {
        self.0.keys().all(|name| names.contains(&name.as_str()))
    }

    /// Takes the parameter `name` out, if it was given.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes out `limit`: 1 to 100, or `default`.
    pub(crate) fn take_limit(&mut self, default: usize) -> Result<usize, ApiError> {
        const MAX: usize = bus::limits::PAGE_ROWS_MAX;
        let Some(text) = self.take("limit") else { return Ok(default) };
        match text.parse() {
            Ok(limit @ 1..=MAX) => Ok(limit),
            _ => Err(ApiError::invalid("limit", format!("`limit` is 1 to {MAX}"))),
        }
    }

    /// Nothing else may have been asked for: a misspelt parameter is better told than ignored.
    pub(crate) fn nothing_else(self) -> Result<(), ApiError> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                let message = format!("there is no parameter `{name}`");
                Err(ApiError::invalid(name, message))
            }
        }
    }
}
