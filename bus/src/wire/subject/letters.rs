//! The subjects of tells, timers and dead letters, and what of them a follower is given.

use std::sync::Arc;

use crate::model::id::is_token;

/// A tell: a command to be carried out surely.
pub(crate) fn tell(kind: &str, id: &str, command: &str) -> String {
    format!("do.{kind}.{id}.{command}")
}

/// All tells to `kind`.
pub(crate) fn tells(kind: &str) -> String {
    format!("do.{kind}.>")
}

/// The schedule of a timer; `name` tells it from others that make the same command.
pub(crate) fn timer(kind: &str, id: &str, command: &str, name: &str) -> String {
    format!("at.{kind}.{id}.{command}.{name}")
}

/// A command that a timer has made.
pub(crate) fn due(kind: &str, id: &str, command: &str) -> String {
    format!("due.{kind}.{id}.{command}")
}

/// All commands that timers of `kind` have made.
pub(crate) fn dues(kind: &str) -> String {
    format!("due.{kind}.>")
}

/// The kind, id and command in the subject of a tell, or of a command that a timer has made.
pub(crate) fn parse_letter(subject: &str) -> Option<(&str, &str, &str)> {
    let tokens: Vec<&str> = subject.split('.').collect();
    match tokens[..] {
        ["do" | "due", kind, id, command] if [kind, id, command].into_iter().all(is_token) => {
            Some((kind, id, command))
        }
        _ => None,
    }
}

/// What deliveries on this subject must be carried out in order with: those of the same actor.
pub(crate) fn lane(subject: &Arc<str>) -> Arc<str> {
    match parse_letter(subject) {
        // All commands to one actor.
        Some((_, _, command)) => subject[..subject.len() - command.len()].into(),
        // An actor's commits have one subject.
        None => subject.clone(),
    }
}

/// A delivery that `follower` could not carry out, made by the actor `kind`/`id`.
pub(crate) fn dead(follower: &str, kind: &str, id: &str) -> String {
    format!("dead.{follower}.{kind}.{id}")
}

/// The dead letters of `follower`, or of all, made by actors of `kind`, or of all.
pub(crate) fn deads(follower: Option<&str>, kind: Option<&str>) -> String {
    dead(follower.unwrap_or("*"), kind.unwrap_or("*"), "*")
}

/// The follower, kind and id in the subject of a dead letter.
pub(crate) fn parse_dead(subject: &str) -> Option<(&str, &str, &str)> {
    let rest = subject.strip_prefix("dead.")?;
    let mut tokens = rest.split('.');
    match (tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
        (Some(follower), Some(kind), Some(id), None) => Some((follower, kind, id)),
        _ => None,
    }
}

/// A dead letter that its follower is to carry out again.
pub(crate) fn again(follower: &str, kind: &str, id: &str) -> String {
    format!("again.{follower}.{kind}.{id}")
}

/// All dead letters that `follower` is to carry out again for `kind`.
pub(crate) fn agains(follower: &str, kind: &str) -> String {
    again(follower, kind, "*")
}

pub(crate) fn is_again(subject: &str) -> bool {
    subject.starts_with("again.")
}

/// Under which name the progress is kept of what `follower` carries out again.
pub(crate) fn again_follower(follower: &str, kind: &str) -> String {
    format!("again-{follower}-{kind}")
}

/// The kind and id in the subject of a commit, a tell or a timer's command; `-` for what is not
/// a name.
pub(crate) fn kind_and_id(subject: &str) -> (&str, &str) {
    let tokens: Vec<&str> = subject.split('.').collect();
    let (kind, id) = match tokens[..] {
        ["evt", kind, _, id] | ["do" | "due", kind, id, ..] => (kind, id),
        ["evt" | "do" | "due", kind, ..] => (kind, "-"),
        _ => ("-", "-"),
    };
    let name = |text| if is_token(text) { text } else { "-" };
    (name(kind), name(id))
}

/// Whose messages a follower is given: the kind in its filter, or in the name of its stream.
pub(crate) fn followed_kind<'a>(stream: &'a str, filter: Option<&'a str>) -> &'a str {
    let filtered = filter.and_then(|filter| filter.split('.').nth(1));
    let whole = || stream.strip_prefix("EVT_")?.rsplit_once('_').map(|(kind, _)| kind);
    filtered.or_else(whole).unwrap_or("-")
}
