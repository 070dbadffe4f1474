//! Events outlive their code: reading commits that were stored in an older shape, and refusing
//! those of a newer one.
//!
//! A commit names its shape, unless that is 1. One of the actor's own shape is decoded at once;
//! the events of an older one are first brought up, step by step, by [`Actor::upcast`]. All who
//! read events as an actor's own read them here: activations, followers and projections.

use serde_json::Value;

use crate::{
    model::{
        actor::Actor,
        commit::{AnyCommit, Events, FIRST_SHAPE},
    },
    wire::encoding::Encoding,
};

/// An event as it was stored, in a shape that the code does not have any more: its name and its
/// fields, as JSON shows them. Nothing is lost by that, as events hold only what JSON can show.
#[derive(Debug, Clone, PartialEq)]
pub struct OldEvent {
    value: Value,
}

/// There is no upcaster from this shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no upcaster from shape {from}")]
pub struct NoUpcaster {
    /// The shape that cannot be brought up.
    pub from: u32,
}

/// Why the events of a commit cannot be read as the actor's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// Code that is newer than this has stored it. Newer code can read it.
    #[error("it was stored in shape {stored}, and this code knows shapes up to {known}")]
    Newer { stored: u32, known: u32 },
    #[error("{0}")]
    Malformed(String),
}

impl OldEvent {
    /// The event's name; empty for what has none.
    #[must_use]
    pub fn name(&self) -> &str {
        match AnyCommit::named(&self.value) {
            ("?", _) => "",
            (name, _) => name,
        }
    }

    /// Gives the event another name, and leaves its fields.
    pub fn rename(&mut self, name: &str) {
        let fields = std::mem::take(self.fields_mut());
        self.value = Value::Object([(name.to_owned(), fields)].into_iter().collect());
    }

    /// The event's fields, to be changed: an object for a variant with named fields, `null` for
    /// one without any. What is no variant of an enum is all fields.
    pub fn fields_mut(&mut self) -> &mut Value {
        if let Value::String(name) = &self.value {
            let name = name.clone();
            self.value = Value::Object([(name, Value::Null)].into_iter().collect());
        }
        if !matches!(&self.value, Value::Object(map) if map.len() == 1) {
            return &mut self.value;
        }
        let fields = self.value.as_object_mut().and_then(|map| map.values_mut().next());
        fields.expect("an object with one entry, as was just seen")
    }

    /// Gives a field another name; none of that name is fine.
    pub fn rename_field(&mut self, from: &str, to: &str) {
        if let Value::Object(fields) = self.fields_mut()
            && let Some(value) = fields.remove(from)
        {
            fields.insert(to.to_owned(), value);
        }
    }

    /// Sets a field that was not there; one that is there stays.
    pub fn default_field(&mut self, name: &str, value: impl Into<Value>) {
        if let Value::Object(fields) = self.fields_mut() {
            fields.entry(name).or_insert_with(|| value.into());
        }
    }
}

/// The events of a stored commit, in the actor's present shape.
pub(crate) fn events_of<A: Actor>(bytes: &[u8]) -> Result<Events<A::Event>, Unreadable> {
    let stored = shape_of(bytes);
    if stored > A::SHAPE {
        return Err(Unreadable::Newer { stored, known: A::SHAPE });
    }
    if stored < A::SHAPE {
        return upcast::<A>(stored, bytes);
    }
    let commit: Events<A::Event> = Encoding::MessagePack.decode(bytes).map_err(malformed)?;
    if commit.shape != stored {
        return Err(misplaced());
    }
    Ok(commit)
}

fn misplaced() -> Unreadable {
    Unreadable::Malformed("its shape is not its first field".to_owned())
}

fn upcast<A: Actor>(stored: u32, bytes: &[u8]) -> Result<Events<A::Event>, Unreadable> {
    let commit: Events<Value> = Encoding::MessagePack.decode(bytes).map_err(malformed)?;
    if commit.shape != stored {
        return Err(misplaced());
    }
    commit.try_map(|value| event_from::<A>(stored, value))
}

/// Brings one event from shape `from` to the present one, and reads it.
pub(crate) fn event_from<A: Actor>(from: u32, value: Value) -> Result<A::Event, Unreadable> {
    let mut event = OldEvent { value };
    for shape in from..A::SHAPE {
        A::upcast(shape, &mut event).map_err(|e| Unreadable::Malformed(e.to_string()))?;
    }
    // Through MessagePack and not straight from JSON: some types read the two differently, and
    // what is stored is MessagePack.
    let bytes = Encoding::MessagePack.encode(&event.value).map_err(malformed)?;
    Encoding::MessagePack.decode(&bytes).map_err(|e| {
        Unreadable::Malformed(format!("`{}`, brought up from shape {from}: {e}", event.name()))
    })
}

fn malformed(error: impl ToString) -> Unreadable {
    Unreadable::Malformed(error.to_string())
}

/// Whether this may be a commit: they are maps.
pub(crate) fn is_map(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80..=0x8f | 0xde | 0xdf, ..])
}

/// The shape that a commit names, seen without decoding the rest: it is the first field, if it
/// is there at all.
fn shape_of(bytes: &[u8]) -> u32 {
    let fields = match bytes {
        [0x80..=0x8f, fields @ ..] | [0xde, _, _, fields @ ..] => fields,
        _ => return FIRST_SHAPE,
    };
    // A text of five bytes, and these are they.
    let shape = fields.strip_prefix(b"\xa5shape");
    shape.and_then(|rest| rmp_serde::from_slice(rest).ok()).unwrap_or(FIRST_SHAPE)
}

#[cfg(test)]
#[path = "upcast_tests.rs"]
mod tests;
