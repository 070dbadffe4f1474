//! Logging in and out, and going on.

use std::collections::BTreeSet;

use bus::{Context, Handle};

use super::{
    CheckSession, CloseReason, CloseSession, CloseSessions, ListSessions, OpenSession,
    RefreshSession, Refreshed, SessionView, User, UserError, UserRole,
};
use crate::limits::CLIENT_CHARS_MAX;

impl Handle<OpenSession> for User {
    const NAME: &'static str = "open_session";
    type Reply = BTreeSet<UserRole>;

    fn handle(
        &self,
        OpenSession { session, client }: OpenSession,
        ctx: &mut Context<Self>,
    ) -> Result<BTreeSet<UserRole>, UserError> {
        let person = self.person()?.enabled()?;
        let is_shown = |c: &char| !c.is_control();
        let client = client.chars().filter(is_shown).take(CLIENT_CHARS_MAX).collect();
        let now = ctx.now();
        person.sessions.open(session, client, now).into_iter().for_each(|event| ctx.emit(event));
        Ok(person.roles.clone())
    }
}

impl Handle<RefreshSession> for User {
    const NAME: &'static str = "refresh_session";
    type Reply = (Refreshed, BTreeSet<UserRole>);

    fn handle(
        &self,
        RefreshSession { session, generation }: RefreshSession,
        ctx: &mut Context<Self>,
    ) -> Result<(Refreshed, BTreeSet<UserRole>), UserError> {
        let person = self.person()?;
        let (refreshed, event) = person.sessions.refresh(&session, generation, ctx.now());
        event.into_iter().for_each(|event| ctx.emit(event));
        Ok((refreshed, person.roles.clone()))
    }
}

impl Handle<CloseSession> for User {
    const NAME: &'static str = "close_session";
    type Reply = ();

    fn handle(
        &self,
        CloseSession { session }: CloseSession,
        ctx: &mut Context<Self>,
    ) -> Result<(), UserError> {
        self.person()?.sessions.close(&session).into_iter().for_each(|event| ctx.emit(event));
        Ok(())
    }
}

impl Handle<CloseSessions> for User {
    const NAME: &'static str = "close_sessions";
    type Reply = usize;

    fn handle(&self, _: CloseSessions, ctx: &mut Context<Self>) -> Result<usize, UserError> {
        let person = self.person()?;
        person.close_all_but(None, CloseReason::LoggedOut, ctx);
        Ok(person.sessions.views(ctx.now()).len())
    }
}

impl Handle<ListSessions> for User {
    const NAME: &'static str = "sessions";
    type Reply = Vec<SessionView>;

    fn handle(
        &self,
        _: ListSessions,
        ctx: &mut Context<Self>,
    ) -> Result<Vec<SessionView>, UserError> {
        Ok(self.person()?.sessions.views(ctx.now()))
    }
}

impl Handle<CheckSession> for User {
    const NAME: &'static str = "check_session";
    type Reply = Option<BTreeSet<UserRole>>;

    fn handle(
        &self,
        CheckSession { session }: CheckSession,
        ctx: &mut Context<Self>,
    ) -> Result<Option<BTreeSet<UserRole>>, UserError> {
        let person = self.person()?;
        let is_open = !person.is_disabled && person.sessions.is_open(&session, ctx.now());
        Ok(is_open.then(|| person.roles.clone()))
    }
}
