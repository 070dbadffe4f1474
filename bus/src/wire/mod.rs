//! What goes over the network: bodies, headers, errors, and every name (`docs/wire.md`).

pub(crate) mod encoding;
pub(crate) mod envelope;
pub(crate) mod error;
pub(crate) mod failure;
pub(crate) mod subject;
