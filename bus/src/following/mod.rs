//! Durable followers: sagas, effects, timers and tells, in order for each actor; dead letters.

pub(crate) mod aside;
pub(crate) mod dead;
pub(crate) mod follower;
pub(crate) mod letters;
pub(crate) mod patience;
pub(crate) mod place;
pub(crate) mod reaction;
