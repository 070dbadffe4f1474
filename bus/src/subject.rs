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
/// On what one node hands to another: who receives it carries it out, and hands it on no more.
pub(crate) const FORWARDED: &str = "Cb-Forwarded";
/// A query waits until the rows include this position.
pub(crate) const AFTER: &str = "Cb-After";
/// In a reply: the rows are older than the program that answers, of this version of the
/// projection, and stand in until its own are folded.
pub(crate) const STANDS_IN: &str = "Cb-Stands-In";
/// In a letter whose like is stored again and again: what the keys of all of them begin with.
pub(crate) const KEY_PREFIX: &str = "Cb-Key-Prefix";
/// In a schedule: its rank. One of a lower rank does not replace it.
pub(crate) const RANK: &str = "Cb-Rank";
/// When a letter was stored, in milliseconds since 1970. Added on delivery, never sent.
pub(crate) const STORED_AT: &str = "Cb-Stored-At";
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

/// In a dead letter, and in one to be carried out again: the delivery's own subject.
pub(crate) const DEAD_SUBJECT: &str = "Cb-Dead-Subject";
/// Its own stream and sequence.
pub(crate) const DEAD_SEQ: &str = "Cb-Dead-Seq";
/// Why it could not be carried out.
pub(crate) const DEAD_ERROR: &str = "Cb-Dead-Error";
/// How often it was tried.
pub(crate) const DEAD_ATTEMPTS: &str = "Cb-Dead-Attempts";
/// When it failed first and last, in milliseconds since 1970.
pub(crate) const DEAD_FIRST: &str = "Cb-Dead-First";
pub(crate) const DEAD_LAST: &str = "Cb-Dead-Last";
/// In a letter to be carried out again: the sequence of its dead letter.
pub(crate) const DEAD_LETTER: &str = "Cb-Dead-Letter";
/// Before the name of each header that the delivery itself had.
pub(crate) const DEAD_WAS: &str = "Cb-Was-";
/// The server stores a message once under each id, for as long as it remembers it.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
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

/// Everything asked of NATS micro services.
pub(crate) const DISCOVERY: &str = "$SRV.>";

/// What a service is asked of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Ping,
    Info,
    Stats,
}

/// A question to all services, to those of one name, or to one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    pub(crate) verb: Verb,
    pub(crate) name: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
}

/// Who is asked what, by a subject under [`DISCOVERY`].
pub(crate) fn parse_discovery(subject: &str) -> Option<Asked<'_>> {
    let mut tokens = subject.split('.');
    let ("$SRV", verb) = (tokens.next()?, tokens.next()?) else { return None };
    let verb = match verb {
        "PING" => Verb::Ping,
        "INFO" => Verb::Info,
        "STATS" => Verb::Stats,
        _ => return None,
    };
    let asked = Asked { verb, name: tokens.next(), id: tokens.next() };
    tokens.next().is_none().then_some(asked)
}

/// The commands named `command` to any actor of `kind`.
pub(crate) fn any_command(kind: &str, command: &str) -> String {
    format!("cmd.{kind}.*.{command}")
}

/// The name under which a projection is discovered: a kind may have the same name.
pub(crate) fn view_service(projection: &str) -> String {
    format!("view-{projection}")
}

pub(crate) fn view(projection: &str, query: &str) -> String {
    format!("view.{projection}.{query}")
}

pub(crate) fn views(projection: &str) -> String {
    format!("view.{projection}.>")
}

/// Where the reply to one request goes, on the network in memory.
pub(crate) fn reply_box(number: u64) -> String {
    format!("_INBOX.{number}")
}

pub(crate) fn parse_reply_box(subject: &str) -> Option<u64> {
    subject.strip_prefix("_INBOX.")?.parse().ok()
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

/// The same, only at nodes whose rows are whole: where a node that is still folding sends on what
/// it is asked.
pub(crate) fn whole_view(projection: &str, query: &str) -> String {
    format!("rows.{projection}.{query}")
}

pub(crate) fn whole_views(projection: &str) -> String {
    format!("rows.{projection}.>")
}

/// Whether a query was sent on, or straight, to nodes whose rows are whole.
pub(crate) fn is_whole_view(subject: &str) -> bool {
    subject.starts_with("rows.")
}

/// Where a watch is renewed, at the node that keeps it.
pub(crate) fn watch(node: &str, projection: &str, watch: &str) -> String {
    format!("watch.{node}.{projection}.{watch}")
}

pub(crate) fn watches(node: &str, projection: &str) -> String {
    format!("watch.{node}.{projection}.*")
}

/// Where a watcher is sent changes.
pub(crate) fn watch_inbox(token: &str) -> String {
    format!("_INBOX.{token}")
}

/// Whether a subject can be a watcher's inbox: something plain, and none of the bus's own.
pub(crate) fn is_inbox(subject: &str) -> bool {
    subject.starts_with("_INBOX.")
        && subject.len() <= 256
        && subject.split('.').all(|token| !token.is_empty() && !token.contains(['*', '>']))
        && subject.bytes().all(|b| b.is_ascii_graphic())
}

/// The kind in the name of a stream of commits.
pub(crate) fn kind_of_stream(stream: &str) -> Option<&str> {
    let (kind, shard) = stream.strip_prefix("EVT_")?.rsplit_once('_')?;
    (is_token(kind) && shard.parse::<u32>().is_ok()).then_some(kind)
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
        let direct = node_command("n", "order", "o-1", "place");
        assert_eq!(parse_command(&direct), Ok(("o-1", "place")));
        assert!(is_direct(&direct) && parse_address(&direct).is_none());
        let address = ("order", "o-1", "place");
        assert_eq!(parse_address(&command("order", "o-1", "place")), Some(address));
        assert_eq!(parse_node_key(&node_key("order", "n")), Some(("order", "n")));
    }

    #[test]
    fn patterns_match_as_the_server_does() {
        for (pattern, subject) in [("a.b", "a.b"), ("a.*", "a.b"), ("a.>", "a.b.c"), (">", "a")] {
            assert!(matches(pattern, subject), "{pattern} {subject}");
        }
        for (pattern, subject) in [("a.>", "a"), ("a.*", "a.b.c"), ("a.b", "a"), ("a", "a.b")] {
            assert!(!matches(pattern, subject), "{pattern} {subject}");
        }
    }

    #[test]
    fn every_delivery_has_a_place_among_the_dead_letters() {
        assert_eq!(kind_and_id(&event_subject("order", "o-1")), ("order", "o-1"));
        assert_eq!(kind_and_id(&tell("order", "o-1", "place")), ("order", "o-1"));
        assert_eq!(kind_and_id(&due("order", "o-1", "cancel")), ("order", "o-1"));
        assert_eq!(kind_and_id("evt.order.0.o*1"), ("order", "-"));
        assert_eq!(kind_and_id("do.order"), ("order", "-"));
        assert_eq!(kind_and_id("else"), ("-", "-"));
        assert_eq!(parse_dead(&dead("mail", "order", "o-1")), Some(("mail", "order", "o-1")));
        assert_eq!(followed_kind(&event_stream("my_order"), None), "my_order");
        assert_eq!(followed_kind(TELL_STREAM, Some(&tells("order"))), "order");
    }

    #[test]
    fn all_commands_to_one_actor_share_a_lane() {
        let lane = |subject: &str| lane(&subject.into()).to_string();
        assert_eq!(lane(&tell("item", "A1", "receive")), lane(&tell("item", "A1", "ship")));
        assert_ne!(lane(&tell("item", "A1", "ship")), lane(&tell("item", "A11", "ship")));
        assert_eq!(lane("evt.item.0.A1"), "evt.item.0.A1");
        assert_eq!(parse_letter(&due("item", "A1", "ship")), Some(("item", "A1", "ship")));
        assert_eq!(parse_letter("do.item.A.1.ship"), None);
    }

    #[test]
    fn services_are_asked_all_by_name_or_one() {
        let asked = |verb, name, id| Some(Asked { verb, name, id });
        assert_eq!(parse_discovery("$SRV.PING"), asked(Verb::Ping, None, None));
        assert_eq!(parse_discovery("$SRV.INFO.item"), asked(Verb::Info, Some("item"), None));
        assert_eq!(
            parse_discovery("$SRV.STATS.item.7"),
            asked(Verb::Stats, Some("item"), Some("7"))
        );
        for other in ["$SRV", "$SRV.SCHEMA", "$SRV.PING.a.b.c", "SRV.PING"] {
            assert_eq!(parse_discovery(other), None, "{other}");
        }
    }

    #[test]
    fn an_id_with_a_dot_is_told_so() {
        let error = parse_command("cmd.item.A.1.receive").expect_err("five tokens");
        assert!(error.contains("no dots"), "{error}");
        assert!(parse_command("cmd.item.A*1.receive").is_err());
    }

    #[test]
    fn the_wires_page_names_every_header_and_stream() {
        let page = include_str!("../../docs/wire.md");
        let headers = [
            KEY,
            KEY_TIME,
            TIMEOUT_MS,
            CAUSE,
            PRINCIPAL,
            EXPECT_VERSION,
            FORWARDED,
            AFTER,
            STANDS_IN,
            KEY_PREFIX,
            RANK,
            SEQ,
            TRACE,
            CONTENT_TYPE,
            ERROR_CODE,
            ERROR,
            DEAD_SUBJECT,
            DEAD_SEQ,
            DEAD_ERROR,
            DEAD_ATTEMPTS,
            DEAD_FIRST,
            DEAD_LAST,
            DEAD_LETTER,
            DEAD_WAS,
            MESSAGE_ID,
        ];
        let streams = [TELL_STREAM, TIMER_STREAM, DEAD_STREAM, NODES_BUCKET];
        for name in headers.into_iter().chain(streams) {
            assert!(page.contains(&format!("`{name}")), "docs/wire.md does not name {name}");
        }
    }
}
