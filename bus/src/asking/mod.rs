//! The caller's side: ask, tell, listen; the network behind one trait.

pub(crate) mod ask;
pub(crate) mod bus;
pub(crate) mod call;
pub(crate) mod live;
pub(crate) mod tell;
pub(crate) mod transport;
