//! An import: many items brought in at once, from a list whose lines may be wrong.
//!
//! ```text
//! unknown ── begin ──▶ receiving ── add, of every chunk ──▶ running ── note_done, of every chunk ──▶ done
//! ```
//!
//! Promises: what was added is carried out, whatever crashes; every line has its effect once,
//! however often it is told; the report names every line that failed, up to a bound.

mod actor;
mod commands;
mod effect;
mod events;
#[cfg(test)]
mod tests;

pub use self::{
    actor::{Import, ImportId},
    commands::{
        Add, BadLine, Begin, ImportError, ImportLine, ImportProgress, ImportStatus, NoteDone,
        ShowImport,
    },
    effect::CarryOut,
    events::ImportEvent,
};
