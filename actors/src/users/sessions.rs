//! A user's sessions: where she is logged in, and which refresh token is good for the next.
//!
//! A refresh token names its session and a generation, signed by who issued it; here is only the
//! number. The newest generation is exchanged for the next one. The one before gets that same
//! next one again for a few seconds, because its answer may have been lost. An older one was
//! stolen, or its successor was: the session is closed.

use std::collections::BTreeMap;

use bus::{Id, JsonSchema, Timestamp};
use serde::{Deserialize, Serialize};

use super::UserEvent;
use crate::limits::{REFRESH_AGAIN_TIME, SESSION_IDLE_TIME, SESSION_TIME, SESSIONS_MAX};

/// The id of a session.
pub type SessionId = Id<Session>;

/// A place where a user is logged in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    client: String,
    opened_at: Timestamp,
    refreshed_at: Timestamp,
    generation: u32,
}

/// All open sessions of a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sessions(BTreeMap<SessionId, Session>);

/// A session as its user sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// The session.
    pub id: SessionId,
    /// What the client called itself.
    pub client: String,
    /// When the user logged in.
    pub opened_at: Timestamp,
    /// When it was last gone on with.
    pub refreshed_at: Timestamp,
}

/// What becomes of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refreshed {
    /// The next one is of this generation.
    Next {
        /// Its number.
        generation: u32,
    },
    /// It was used before: the session is closed.
    Reused,
    /// There is no such session any more.
    Closed,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The user logged out, here or from elsewhere.
    LoggedOut,
    /// A refresh token came a second time.
    Reused,
    /// The password was changed or reset.
    PasswordChanged,
    /// The account was disabled.
    Disabled,
    /// There were too many: the one idle for longest made room.
    TooMany,
}

impl Session {
    /// Until when it can be gone on with.
    fn ends_at(&self) -> Timestamp {
        self.refreshed_at.plus(SESSION_IDLE_TIME).min(self.opened_at.plus(SESSION_TIME))
    }
}

impl Sessions {
    pub(super) fn apply(&mut self, event: &UserEvent) {
        match event {
            UserEvent::SessionOpened { session, client, at } => {
                let (client, opened_at, refreshed_at) = (client.clone(), *at, *at);
                let opened = Session { client, opened_at, refreshed_at, generation: 0 };
                self.0.retain(|_, open| open.ends_at() > *at);
                self.0.insert(session.clone(), opened);
            }
            UserEvent::SessionRefreshed { session, generation, at } => {
                if let Some(open) = self.0.get_mut(session) {
                    (open.generation, open.refreshed_at) = (*generation, *at);
                }
            }
            UserEvent::SessionClosed { session, .. } => drop(self.0.remove(session)),
            _ => {}
        }
    }

    pub(super) fn is_open(&self, session: &SessionId, now: Timestamp) -> bool {
        self.0.get(session).is_some_and(|open| open.ends_at() > now)
    }

    /// What happens when one more is opened.
    pub(super) fn open(&self, session: SessionId, client: String, at: Timestamp) -> Vec<UserEvent> {
        if self.is_open(&session, at) {
            return Vec::new(); // Asked twice.
        }
        let mut open: Vec<_> = self.0.iter().filter(|(_, open)| open.ends_at() > at).collect();
        open.sort_by_key(|(_, open)| open.refreshed_at);
        let too_many = (open.len() + 1).saturating_sub(SESSIONS_MAX);
        let closed = open.into_iter().take(too_many).map(|(id, _)| id.clone());
        closed
            .map(|session| UserEvent::SessionClosed { session, reason: CloseReason::TooMany })
            .chain([UserEvent::SessionOpened { session, client, at }])
            .collect()
    }

    /// What becomes of a token of `generation`, and what happens by that.
    pub(super) fn refresh(
        &self,
        session: &SessionId,
        generation: u32,
        at: Timestamp,
    ) -> (Refreshed, Option<UserEvent>) {
        let Some(open) = self.0.get(session).filter(|open| open.ends_at() > at) else {
            return (Refreshed::Closed, None);
        };
        let is_repeat = generation.checked_add(1) == Some(open.generation)
            && at < open.refreshed_at.plus(REFRESH_AGAIN_TIME);
        let session = session.clone();
        if is_repeat {
            (Refreshed::Next { generation: open.generation }, None)
        } else if generation == open.generation {
            let generation = generation + 1;
            let event = UserEvent::SessionRefreshed { session, generation, at };
            (Refreshed::Next { generation }, Some(event))
        } else {
            let event = UserEvent::SessionClosed { session, reason: CloseReason::Reused };
            (Refreshed::Reused, Some(event))
        }
    }

    /// What happens when all but one are closed.
    pub(super) fn close_all_but(
        &self,
        kept: Option<&SessionId>,
        reason: CloseReason,
    ) -> impl Iterator<Item = UserEvent> {
        let closed = self.0.keys().filter(move |session| Some(*session) != kept);
        closed.cloned().map(move |session| UserEvent::SessionClosed { session, reason })
    }

    pub(super) fn close(&self, session: &SessionId) -> Option<UserEvent> {
        self.0.get(session)?;
        let (session, reason) = (session.clone(), CloseReason::LoggedOut);
        Some(UserEvent::SessionClosed { session, reason })
    }

    /// The open ones, the one used last first.
    pub(super) fn views(&self, now: Timestamp) -> Vec<SessionView> {
        let open = self.0.iter().filter(|(_, open)| open.ends_at() > now);
        let view = |(id, open): (&SessionId, &Session)| SessionView {
            id: id.clone(),
            client: open.client.clone(),
            opened_at: open.opened_at,
            refreshed_at: open.refreshed_at,
        };
        let mut views: Vec<_> = open.map(view).collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.refreshed_at));
        views
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> SessionId {
        SessionId::parse(&format!("s-{n}")).expect("a token")
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn opened(n: usize, ms: u64) -> UserEvent {
        UserEvent::SessionOpened { session: id(n), client: "curl".to_owned(), at: at(ms) }
    }

    fn sessions(events: impl IntoIterator<Item = UserEvent>) -> Sessions {
        let mut sessions = Sessions::default();
        events.into_iter().for_each(|event| sessions.apply(&event));
        sessions
    }

    fn refreshed(generation: u32, ms: u64) -> UserEvent {
        UserEvent::SessionRefreshed { session: id(1), generation, at: at(ms) }
    }

    #[test]
    fn a_token_is_exchanged_for_the_next_one() {
        let next = Refreshed::Next { generation: 1 };
        let all = sessions([opened(1, 0)]);
        assert_eq!(all.refresh(&id(1), 0, at(5)), (next, Some(refreshed(1, 5))));
    }

    #[test]
    fn a_retry_gets_the_same_successor_for_a_while_and_then_closes_the_session() {
        let all = sessions([opened(1, 0), refreshed(1, 1_000)]);
        let next = Refreshed::Next { generation: 1 };
        assert_eq!(all.refresh(&id(1), 0, at(10_999)), (next, None));
        let reason = CloseReason::Reused;
        let closed = UserEvent::SessionClosed { session: id(1), reason };
        for (generation, when) in [(0, 11_000), (2, 2_000)] {
            let came = all.refresh(&id(1), generation, at(when));
            assert_eq!(came, (Refreshed::Reused, Some(closed.clone())), "{generation}");
        }
        let all = sessions([opened(1, 0), refreshed(1, 1_000), refreshed(2, 1_500)]);
        assert_eq!(all.refresh(&id(1), 0, at(1_600)).0, Refreshed::Reused, "two behind");
        let all = sessions([opened(1, 0), closed]);
        assert_eq!(all.refresh(&id(1), 1, at(1_600)), (Refreshed::Closed, None));
    }

    #[test]
    fn a_session_ends_when_it_is_idle_or_old() {
        let idle = u64::try_from(SESSION_IDLE_TIME.as_millis()).expect("not that long");
        let all = sessions([opened(1, 0)]);
        assert!(all.is_open(&id(1), at(idle - 1)));
        assert!(!all.is_open(&id(1), at(idle)));
        assert_eq!(all.refresh(&id(1), 0, at(idle)), (Refreshed::Closed, None));
        let old = u64::try_from(SESSION_TIME.as_millis()).expect("not that long");
        let all = sessions([opened(1, 0), refreshed(1, old - 1)]);
        assert!(!all.is_open(&id(1), at(old)), "however busy");
    }

    #[test]
    fn the_one_idle_for_longest_makes_room() {
        let all = sessions((0..SESSIONS_MAX).map(|n| opened(n, 10 + n as u64)));
        let events = all.open(id(99), "curl".to_owned(), at(500));
        let reason = CloseReason::TooMany;
        let closed = UserEvent::SessionClosed { session: id(0), reason };
        assert_eq!(events, [closed, opened(99, 500)]);
        assert_eq!(all.open(id(3), "curl".to_owned(), at(500)), [], "asked twice");
    }
}
