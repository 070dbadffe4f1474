//! For tests of what follows commits: an event as the runtime hands it over.

use std::sync::Arc;

use bus::{Actor, CommitInfo, Id, Position, Recorded, Then, Timestamp};

/// `event`, recorded of the actor `id` at the first second of all time.
pub(crate) fn recorded<A: Actor>(id: &str, event: A::Event) -> Recorded<A> {
    let position = Position { stream: format!("EVT_{}_0", A::KIND).into(), sequence: 1 };
    let commit = CommitInfo {
        position,
        at: Timestamp::from_millis(1_000),
        command: "test".into(),
        key: "test".into(),
        cause: None,
        principal: None,
        trace: None,
    };
    Recorded { id: Id::parse(id).expect("an id"), event, commit: Arc::new(commit) }
}

/// What the saga `on` asks because of `event`, as `kind/id/command`.
pub(crate) fn asked_by<A: Actor>(
    on: fn(&Recorded<A>, &mut Then),
    id: &str,
    event: A::Event,
) -> Vec<String> {
    let mut then = Then::default();
    on(&recorded(id, event), &mut then);
    then.asked().map(|(kind, id, command)| format!("{kind}/{id}/{command}")).collect()
}
