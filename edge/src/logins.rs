//! Whether a session is still open: asked of its user, and remembered for moments.
//!
//! So logging out and a change of roles count everywhere within [`SESSION_FRESH_FOR`], although
//! access tokens live for minutes. While nobody can be asked, a token counts as what it says.

use actors::users::{CheckSession, SessionId, UserError, UserId, UserRole};
use bus::{AskError, Bus};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::limits::{SESSION_CHECK_TIMEOUT, SESSION_FRESH_FOR, SESSIONS_REMEMBERED_MAX};

/// What is known of sessions.
pub(crate) struct Logins(Cache<SessionId, (Instant, Standing)>);

/// How a session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is open, and its user has these roles now.
    Open(Vec<UserRole>),
    /// It is closed, or its user may not log in.
    Closed,
    /// Its user cannot be asked at the moment.
    Unknown,
}

impl Logins {
    pub(crate) fn new() -> Self {
        Self(Cache::new(SESSIONS_REMEMBERED_MAX))
    }

    /// How `session` of `user` stands, or stood a moment ago.
    pub(crate) async fn standing(&self, bus: &Bus, user: &UserId, session: &SessionId) -> Standing {
        if let Some((at, standing)) = self.0.get(session)
            && at.elapsed() < SESSION_FRESH_FOR
        {
            return standing;
        }
        let asked = bus.actor(user).ask(CheckSession { session: session.clone() });
        let standing = match asked.timeout(SESSION_CHECK_TIMEOUT).await {
            Ok(Some(roles)) => Standing::Open(roles.into_iter().collect()),
            Ok(None) | Err(AskError::Refused(UserError::UnknownUser)) => Standing::Closed,
            Err(error) => {
                tracing::debug!(%session, %error, "a session could not be checked");
                Standing::Unknown
            }
        };
        self.0.insert(session.clone(), (Instant::now(), standing.clone()));
        standing
    }

    /// Forgets what is known of `session`, because it changed here.
    pub(crate) fn forget(&self, session: &SessionId) {
        self.0.remove(session);
    }

    /// Forgets all, because many changed here.
    pub(crate) fn forget_all(&self) {
        self.0.clear();
    }
}
