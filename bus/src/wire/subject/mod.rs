//! The only folder that spells subjects, stream names and headers.

mod headers;
mod letters;
mod shards;
#[cfg(test)]
mod tests;
mod views;

pub(crate) use self::{headers::*, letters::*, shards::*, views::*};

use crate::model::id::is_token;

/// The stream that readiness checks write to; it keeps one small message per subject.
pub(crate) const PROBE_STREAM: &str = "PROBE";
pub(crate) const PROBE_SUBJECTS: &str = "probe.>";

/// The stream of tells: commands to be carried out surely.
pub(crate) const TELL_STREAM: &str = "DO";
pub(crate) const TELL_SUBJECTS: &str = "do.>";
/// The stream of timers: schedules under `at.`, and the commands they have made under `due.`.
pub(crate) const TIMER_STREAM: &str = "TIMERS";
pub(crate) const TIMER_SUBJECTS: [&str; 2] = ["at.>", "due.>"];
/// The stream of dead letters.
pub(crate) const DEAD_STREAM: &str = "DEAD";
/// Dead letters, and those that are to be carried out again.
pub(crate) const DEAD_SUBJECTS: [&str; 2] = ["dead.>", "again.>"];

/// The bucket that tells which node hosts what.
pub(crate) const NODES_BUCKET: &str = "NODES";

/// The bucket where followers note down what they have done.
pub(crate) const PLACES_BUCKET: &str = "PLACES";

pub(crate) fn place_key(stream: &str, follower: &str) -> String {
    format!("{stream}.{follower}")
}

/// The bucket of a kind's snapshots.
pub(crate) fn snapshot_bucket(kind: &str) -> String {
    format!("SNAP_{kind}")
}

pub(crate) fn command(kind: &str, id: &str, command: &str) -> String {
    format!("cmd.{kind}.{id}.{command}")
}

/// Everything sent to `kind`, also what has too many tokens, so that it can be told so.
pub(crate) fn commands(kind: &str) -> String {
    format!("cmd.{kind}.>")
}

/// The kind, id and command in the subject of a command to anybody.
pub(crate) fn parse_address(subject: &str) -> Option<(&str, &str, &str)> {
    let mut tokens = subject.strip_prefix("cmd.")?.split('.');
    match (tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
        (Some(kind), Some(id), Some(command), None) => Some((kind, id, command)),
        _ => None,
    }
}

/// Whether the subject names the one node that is to carry the command out.
pub(crate) fn is_direct(subject: &str) -> bool {
    subject.starts_with("node.")
}

/// The id and command in the subject of a command.
pub(crate) fn parse_command(subject: &str) -> Result<(&str, &str), String> {
    let tokens: Vec<&str> = subject.split('.').collect();
    match tokens[..] {
        ["cmd", _, id, command] | ["node", _, _, id, command] if is_token(id) => Ok((id, command)),
        ["cmd", _, _, _] | ["node", _, _, _, _] => {
            Err("the id has characters other than A-Z, a-z, 0-9, `_`, `-`, \
                                 or more than 64"
                .to_owned())
        }
        _ => Err(format!(
            "a command's subject is cmd.<kind>.<id>.<command>, four tokens: this one has {} \
             (an id has no dots)",
            tokens.len()
        )),
    }
}

/// A command straight to one node.
pub(crate) fn node_command(node: &str, kind: &str, id: &str, command: &str) -> String {
    format!("node.{node}.{kind}.{id}.{command}")
}

/// Everything sent straight to one node for `kind`.
pub(crate) fn node_commands(node: &str, kind: &str) -> String {
    format!("node.{node}.{kind}.>")
}

/// The key of the cell that says that `node` hosts `kind`.
pub(crate) fn node_key(kind: &str, node: &str) -> String {
    format!("{kind}.{node}")
}

/// The kind and node in the key of such a cell.
pub(crate) fn parse_node_key(key: &str) -> Option<(&str, &str)> {
    key.split_once('.').filter(|(kind, node)| is_token(kind) && is_token(node))
}

/// Where the reply to one request goes, on the network in memory.
pub(crate) fn reply_box(number: u64) -> String {
    format!("_INBOX.{number}")
}

pub(crate) fn parse_reply_box(subject: &str) -> Option<u64> {
    subject.strip_prefix("_INBOX.")?.parse().ok()
}

/// Where the replies to all requests of one connection go, whose inbox this is.
pub(crate) fn replies(inbox: &str) -> String {
    format!("{inbox}.*")
}

pub(crate) fn reply(inbox: &str, number: u64) -> String {
    format!("{inbox}.{number}")
}

pub(crate) fn parse_reply(subject: &str) -> Option<u64> {
    subject.rsplit_once('.')?.1.parse().ok()
}

/// Whether a subject matches a pattern: `*` stands for one token, a last `>` for one or more.
pub(crate) fn matches(pattern: &str, subject: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), subject.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some(want), Some(is)) if want == "*" || want == is => {}
            _ => return false,
        }
    }
}

pub(crate) fn probe(node: &str) -> String {
    format!("probe.{node}")
}
