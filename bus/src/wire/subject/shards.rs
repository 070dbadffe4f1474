//! Where a kind's commits are: its shards, a stream each, and a subject for each actor.

use std::sync::Arc;

use crate::model::id::is_token;

/// Where a stream's metadata says how many shards its kind has.
pub(crate) const SHARD_COUNT: &str = "callboard-shards";

/// One part of a kind's journal: a stream, and a subject for each actor that lives there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) kind: Arc<str>,
    pub(crate) stream: Arc<str>,
    number: u32,
    /// How many the kind has.
    pub(crate) count: u32,
}

impl Shard {
    /// All `count` shards of a kind, in order.
    pub(crate) fn all(kind: &str, count: u32) -> Vec<Self> {
        let kind: Arc<str> = kind.into();
        let shard = |number| Self {
            kind: kind.clone(),
            stream: event_stream(&kind, number).into(),
            number,
            count,
        };
        (0..count).map(shard).collect()
    }

    /// The only shard of a kind that has one.
    #[cfg(test)]
    pub(crate) fn of(kind: &str) -> Self {
        Self::all(kind, 1).remove(0)
    }

    /// The shard where `id` lives, of a kind that has `count`.
    pub(crate) fn of_id(kind: &str, id: &str, count: u32) -> Self {
        Self::all(kind, count).swap_remove(shard_of(id, count) as usize)
    }

    /// Whether it is the first of its kind.
    pub(crate) fn is_first(&self) -> bool {
        self.number == 0
    }

    /// The subject of the commits of `id`.
    pub(crate) fn subject(&self, id: &str) -> String {
        event_subject(&self.kind, self.number, id)
    }

    /// All commits in the shard.
    pub(crate) fn subjects(&self) -> String {
        event_subject(&self.kind, self.number, "*")
    }
}

/// The number of the shard where `id` lives: FNV-1a, 32 bits, of its bytes, modulo their count.
/// Any client may compute it; the server's own `partition` does the same.
pub(crate) fn shard_of(id: &str, count: u32) -> u32 {
    let hash = id
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % count.max(1)
}

/// The stream of a kind's first shard, whose metadata says how many there are.
pub(crate) fn first_stream(kind: &str) -> String {
    event_stream(kind, 0)
}

fn event_stream(kind: &str, number: u32) -> String {
    format!("EVT_{kind}_{number}")
}

/// An actor's commits, with the shard and the actor left open.
pub(crate) fn any_event(kind: &str) -> String {
    format!("evt.{kind}.{{shard}}.{{id}}")
}

fn event_subject(kind: &str, number: u32, id: &str) -> String {
    format!("evt.{kind}.{number}.{id}")
}

/// The kind and id in the subject of a commit.
pub(crate) fn parse_event(subject: &str) -> Option<(&str, &str)> {
    parts_of_event(subject).map(|(kind, _, id)| (kind, id))
}

/// The stream in which a commit of this subject is.
pub(crate) fn stream_of_event(subject: &str) -> Option<Arc<str>> {
    let (kind, number, _) = parts_of_event(subject)?;
    Some(event_stream(kind, number.parse().ok()?).into())
}

fn parts_of_event(subject: &str) -> Option<(&str, &str, &str)> {
    let mut tokens = subject.split('.');
    match (tokens.next(), tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
        (Some("evt"), Some(kind), Some(number), Some(id), None) => Some((kind, number, id)),
        _ => None,
    }
}

/// The kind in the name of a stream of commits.
pub(crate) fn kind_of_stream(stream: &str) -> Option<&str> {
    let (kind, shard) = stream.strip_prefix("EVT_")?.rsplit_once('_')?;
    (is_token(kind) && shard.parse::<u32>().is_ok()).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_is_what_other_languages_compute() {
        // Of FNV-1a itself: "" is 0x811c9dc5, "a" 0xe40c292c, "foobar" 0xbf9cf968.
        let of = |id: &str| shard_of(id, u32::MAX);
        assert_eq!([of(""), of("a"), of("foobar")], [0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968]);
        assert_eq!([shard_of("a", 4), shard_of("foobar", 4), shard_of("foobar", 1)], [0, 0, 0]);
        assert_eq!([shard_of("o-1", 4), shard_of("o-2", 4), shard_of("o-3", 4)], [0, 1, 2]);
    }

    #[test]
    fn ids_spread_evenly_and_each_shard_has_names_of_its_own() {
        let mut counts = [0_u32; 4];
        for n in 0..4_000 {
            counts[shard_of(&format!("o-{n}"), 4) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        let shard = Shard::of_id("order", "o-2", 4);
        assert_eq!(&*shard.stream, "EVT_order_1");
        assert_eq!(shard.subject("o-2"), "evt.order.1.o-2");
        assert_eq!(shard.subjects(), "evt.order.1.*");
        assert_eq!(stream_of_event("evt.order.2.o-2").as_deref(), Some("EVT_order_2"));
        assert_eq!(kind_of_stream("EVT_order_2"), Some("order"));
    }
}
