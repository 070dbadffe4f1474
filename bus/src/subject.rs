//! The only file that spells subjects, stream names and headers.

use std::sync::Arc;

use crate::id::is_token;

/// Idempotency key of a command.
pub(crate) const KEY: &str = "Cb-Key";
/// When the key was first sent, in milliseconds since 1970.
pub(crate) const KEY_TIME: &str = "Cb-Key-Time";
/// Budget left, in milliseconds, when the request was sent.
pub(crate) const TIMEOUT_MS: &str = "Cb-Timeout-Ms";
/// The commit that caused the command.
pub(crate) const CAUSE: &str = "Cb-Cause";
/// In whose name the command is sent.
pub(crate) const PRINCIPAL: &str = "Cb-Principal";
/// The version the actor must be at.
pub(crate) const EXPECT_VERSION: &str = "Cb-Expect-Version";
/// A query waits until the rows include this position.
pub(crate) const AFTER: &str = "Cb-After";
/// In a reply: the actor's version, as a position.
pub(crate) const SEQ: &str = "Cb-Seq";
/// W3C trace context.
pub(crate) const TRACE: &str = "traceparent";
pub(crate) const CONTENT_TYPE: &str = "Content-Type";
/// In a failure: its status number and its text, as NATS services do.
pub(crate) const ERROR_CODE: &str = "Nats-Service-Error-Code";
pub(crate) const ERROR: &str = "Nats-Service-Error";

/// The stream that readiness checks write to; it keeps one small message per subject.
pub(crate) const PROBE_STREAM: &str = "PROBE";
pub(crate) const PROBE_SUBJECTS: &str = "probe.>";

/// Which part of a kind's journal an id lives in. One part per kind so far; with more, this is
/// FNV-1a of the id modulo the kind's count of shards.
const SHARD: u32 = 0;

/// Where one kind's commits are kept: a stream, and a subject for each actor.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    pub(crate) kind: Arc<str>,
    pub(crate) stream: Arc<str>,
}

impl Shard {
    pub(crate) fn of(kind: &str) -> Self {
        Self { kind: kind.into(), stream: event_stream(kind).into() }
    }

    /// The subject of the commits of `id`.
    pub(crate) fn subject(&self, id: &str) -> String {
        event_subject(&self.kind, id)
    }
}

pub(crate) fn event_stream(kind: &str) -> String {
    format!("EVT_{kind}_{SHARD}")
}

pub(crate) fn event_subject(kind: &str, id: &str) -> String {
    format!("evt.{kind}.{SHARD}.{id}")
}

/// All commits of one shard of `kind`.
pub(crate) fn event_subjects(kind: &str) -> String {
    format!("evt.{kind}.{SHARD}.*")
}

/// The kind and id in the subject of a commit.
pub(crate) fn parse_event(subject: &str) -> Option<(&str, &str)> {
    let mut tokens = subject.split('.');
    match (tokens.next(), tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
        (Some("evt"), Some(kind), Some(_shard), Some(id), None) => Some((kind, id)),
        _ => None,
    }
}

pub(crate) fn command(kind: &str, id: &str, command: &str) -> String {
    format!("cmd.{kind}.{id}.{command}")
}

/// Everything sent to `kind`, also what has too many tokens, so that it can be told so.
pub(crate) fn commands(kind: &str) -> String {
    format!("cmd.{kind}.>")
}

/// The id and command in the subject of a command.
pub(crate) fn parse_command(subject: &str) -> Result<(&str, &str), String> {
    let tokens: Vec<&str> = subject.split('.').collect();
    match tokens[..] {
        ["cmd", _, id, command] if is_token(id) => Ok((id, command)),
        ["cmd", _, _, _] => Err("the id has characters other than A-Z, a-z, 0-9, `_`, `-`, \
                                 or more than 64"
            .to_owned()),
        _ => Err(format!(
            "a command's subject is cmd.<kind>.<id>.<command>, four tokens: this one has {} \
             (an id has no dots)",
            tokens.len()
        )),
    }
}

pub(crate) fn view(projection: &str, query: &str) -> String {
    format!("view.{projection}.{query}")
}

pub(crate) fn views(projection: &str) -> String {
    format!("view.{projection}.>")
}

pub(crate) fn probe(node: &str) -> String {
    format!("probe.{node}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_read_back() {
        assert_eq!(parse_event(&event_subject("order", "o-1")), Some(("order", "o-1")));
        assert_eq!(parse_command(&command("order", "o-1", "place")), Ok(("o-1", "place")));
    }

    #[test]
    fn an_id_with_a_dot_is_told_so() {
        let error = parse_command("cmd.item.A.1.receive").expect_err("five tokens");
        assert!(error.contains("no dots"), "{error}");
        assert!(parse_command("cmd.item.A*1.receive").is_err());
    }
}
