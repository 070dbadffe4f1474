//! The subjects of queries, watches and discovery.

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

/// A query, only for nodes whose rows are whole: where a node that is still folding sends on what
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

pub(crate) fn is_watch(subject: &str) -> bool {
    subject.starts_with("watch.")
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
