//! A user: who it is, what it may do, and where it is logged in.
//!
//! The hash of the password arrives ready-made: hashing takes long and has no place in a
//! decision. A user is unknown until registered, and registers once.

use std::collections::BTreeSet;

use bus::{Actor, Context, Handle, Id, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    ChangePassword, CheckSession, CloseReason, CloseSession, CloseSessions, Credentials, Disable,
    Enable, Grant, ListSessions, OpenSession, PasswordHash, PostalAddress, Profile, RefreshSession,
    Refreshed, Register, Rehash, Rename, RequestReset, RequestVerification, ResetPassword, Revoke,
    SessionView, SetPostalAddresses, Show, ShowCredentials, UserError, UserEvent, UserRole, Verify,
    links::Links, sessions::Sessions,
};
use crate::{
    limits::{CLIENT_CHARS_MAX, RESET_TIME, VERIFY_TIME},
    name::tidy_name,
};

/// The id of a user.
pub type UserId = Id<User>;

/// A user.
#[derive(Debug, Default, Serialize, Deserialize)]
pub enum User {
    /// Nobody registered under this id.
    #[default]
    Unknown,
    /// Somebody.
    Registered(Box<Person>),
}

/// A registered user.
#[derive(Serialize, Deserialize)]
pub struct Person {
    name: String,
    address: String,
    password_hash: PasswordHash,
    roles: BTreeSet<UserRole>,
    is_verified: bool,
    is_disabled: bool,
    postal_addresses: Vec<PostalAddress>,
    verification: Links,
    reset: Links,
    sessions: Sessions,
}

impl std::fmt::Debug for Person {
    // Without name and address, which a log must not hold.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("roles", &self.roles).finish_non_exhaustive()
    }
}

impl Actor for User {
    const KIND: &'static str = "user";
    const STATE: u32 = 2;
    type Event = UserEvent;
    type Error = UserError;
    type Commands = (
        Register,
        RequestVerification,
        Verify,
        RequestReset,
        ResetPassword,
        ChangePassword,
        Rehash,
        Rename,
        SetPostalAddresses,
        Grant,
        Revoke,
        Disable,
        Enable,
        OpenSession,
        RefreshSession,
        CloseSession,
        CloseSessions,
        ListSessions,
        CheckSession,
        Show,
        ShowCredentials,
    );

    fn apply(&mut self, event: &UserEvent) {
        match (event, self) {
            (UserEvent::Registered { name, address, email: _, password_hash }, user) => {
                *user = Self::Registered(Box::new(Person {
                    name: name.clone(),
                    address: address.clone(),
                    password_hash: password_hash.clone(),
                    roles: BTreeSet::from([UserRole::Customer]),
                    is_verified: false,
                    is_disabled: false,
                    postal_addresses: Vec::new(),
                    verification: Links::default(),
                    reset: Links::default(),
                    sessions: Sessions::default(),
                }));
            }
            (event, Self::Registered(person)) => person.apply(event),
            // The handlers let nothing happen to who is unknown.
            (_, Self::Unknown) => {}
        }
    }
}

impl Person {
    fn apply(&mut self, event: &UserEvent) {
        match event {
            UserEvent::Registered { .. } => {}
            UserEvent::RoleGranted { role } => {
                self.roles.insert(*role);
            }
            UserEvent::RoleRevoked { role } => {
                self.roles.remove(role);
            }
            UserEvent::VerificationDue { number, at } => self.verification.made(*number, *at),
            UserEvent::Verified {} => {
                self.is_verified = true;
                self.verification.used();
            }
            UserEvent::ResetDue { number, at } => self.reset.made(*number, *at),
            UserEvent::PasswordChanged { password_hash, .. } => {
                self.password_hash = password_hash.clone();
                // An older link must not undo it.
                self.reset.used();
            }
            UserEvent::PasswordRehashed { password_hash } => {
                self.password_hash = password_hash.clone();
            }
            UserEvent::Renamed { name } => name.clone_into(&mut self.name),
            UserEvent::PostalAddressesSet { addresses } => {
                addresses.clone_into(&mut self.postal_addresses);
            }
            UserEvent::Disabled {} => self.is_disabled = true,
            UserEvent::Enabled {} => self.is_disabled = false,
            UserEvent::SessionOpened { .. }
            | UserEvent::SessionRefreshed { .. }
            | UserEvent::SessionClosed { .. } => self.sessions.apply(event),
        }
    }

    fn profile(&self, id: &UserId) -> Profile {
        Profile {
            id: id.clone(),
            name: self.name.clone(),
            address: self.address.clone(),
            roles: self.roles.clone(),
            is_verified: self.is_verified,
            is_disabled: self.is_disabled,
            addresses: self.postal_addresses.clone(),
        }
    }

    fn close_all_but(
        &self,
        kept: Option<&super::SessionId>,
        reason: CloseReason,
        ctx: &mut Context<User>,
    ) {
        self.sessions.close_all_but(kept, reason).for_each(|event| ctx.emit(event));
    }

    /// What may be done at all, while the account may be used.
    fn enabled(&self) -> Result<&Self, UserError> {
        if self.is_disabled { Err(UserError::Disabled) } else { Ok(self) }
    }
}

impl User {
    fn person(&self) -> Result<&Person, UserError> {
        match self {
            Self::Unknown => Err(UserError::UnknownUser),
            Self::Registered(person) => Ok(person),
        }
    }

    /// Emits `event` if `is_news`, and shows the profile as `change` makes it.
    fn changed(
        &self,
        ctx: &mut Context<Self>,
        event: Option<UserEvent>,
        change: impl FnOnce(&mut Profile),
    ) -> Result<Profile, UserError> {
        let mut profile = self.person()?.profile(ctx.id());
        change(&mut profile);
        event.into_iter().for_each(|event| ctx.emit(event));
        Ok(profile)
    }
}

fn first_link(now: Timestamp) -> UserEvent {
    UserEvent::VerificationDue { number: 1, at: now }
}

impl Handle<Register> for User {
    const NAME: &'static str = "register";
    type Reply = Profile;

    fn handle(&self, command: Register, ctx: &mut Context<Self>) -> Result<Profile, UserError> {
        if let Self::Registered(_) = self {
            return Err(UserError::AlreadyRegistered);
        }
        let Register { name, address, email, password_hash } = command;
        let name = tidy_name(&name).ok_or(UserError::InvalidName)?.to_owned();
        let password_hash = PasswordHash::new(password_hash);
        let profile = Profile {
            id: ctx.id().clone(),
            name: name.clone(),
            address: address.clone(),
            roles: BTreeSet::from([UserRole::Customer]),
            is_verified: false,
            is_disabled: false,
            addresses: Vec::new(),
        };
        ctx.emit(UserEvent::Registered { name, address, email, password_hash });
        ctx.emit(first_link(ctx.now()));
        Ok(profile)
    }
}

impl Handle<RequestVerification> for User {
    const NAME: &'static str = "request_verification";
    type Reply = ();

    fn handle(&self, _: RequestVerification, ctx: &mut Context<Self>) -> Result<(), UserError> {
        let (person, at) = (self.person()?.enabled()?, ctx.now());
        if !person.is_verified
            && let Some(number) = person.verification.next(at)
        {
            ctx.emit(UserEvent::VerificationDue { number, at });
        }
        Ok(())
    }
}

impl Handle<Verify> for User {
    const NAME: &'static str = "verify";
    type Reply = ();

    fn handle(&self, Verify { number }: Verify, ctx: &mut Context<Self>) -> Result<(), UserError> {
        let person = self.person()?;
        if person.is_verified {
            return Ok(()); // Followed twice.
        }
        if !person.verification.is_good(number, VERIFY_TIME, ctx.now()) {
            return Err(UserError::LinkExpired);
        }
        ctx.emit(UserEvent::Verified {});
        Ok(())
    }
}

impl Handle<RequestReset> for User {
    const NAME: &'static str = "request_reset";
    type Reply = ();

    fn handle(&self, _: RequestReset, ctx: &mut Context<Self>) -> Result<(), UserError> {
        let (person, at) = (self.person()?.enabled()?, ctx.now());
        if let Some(number) = person.reset.next(at) {
            ctx.emit(UserEvent::ResetDue { number, at });
        }
        Ok(())
    }
}

impl Handle<ResetPassword> for User {
    const NAME: &'static str = "reset_password";
    type Reply = ();

    fn handle(&self, command: ResetPassword, ctx: &mut Context<Self>) -> Result<(), UserError> {
        let ResetPassword { number, password_hash } = command;
        let person = self.person()?.enabled()?;
        if !person.reset.is_good(number, RESET_TIME, ctx.now()) {
            return Err(UserError::LinkExpired);
        }
        let password_hash = PasswordHash::new(password_hash);
        ctx.emit(UserEvent::PasswordChanged { password_hash, by_link: true });
        if !person.is_verified {
            // Who follows the link reads what is mailed there.
            ctx.emit(UserEvent::Verified {});
        }
        person.close_all_but(None, CloseReason::PasswordChanged, ctx);
        Ok(())
    }
}

impl Handle<ChangePassword> for User {
    const NAME: &'static str = "change_password";
    type Reply = ();

    fn handle(&self, command: ChangePassword, ctx: &mut Context<Self>) -> Result<(), UserError> {
        let ChangePassword { old_hash, password_hash, keep } = command;
        let person = self.person()?.enabled()?;
        if person.password_hash.expose() != old_hash {
            return Err(UserError::PasswordChanged);
        }
        let password_hash = PasswordHash::new(password_hash);
        ctx.emit(UserEvent::PasswordChanged { password_hash, by_link: false });
        person.close_all_but(keep.as_ref(), CloseReason::PasswordChanged, ctx);
        Ok(())
    }
}

impl Handle<Rehash> for User {
    const NAME: &'static str = "rehash";
    type Reply = ();

    fn handle(&self, command: Rehash, ctx: &mut Context<Self>) -> Result<(), UserError> {
        let Rehash { old_hash, password_hash } = command;
        if self.person()?.password_hash.expose() == old_hash {
            let password_hash = PasswordHash::new(password_hash);
            ctx.emit(UserEvent::PasswordRehashed { password_hash });
        }
        Ok(())
    }
}

impl Handle<Rename> for User {
    const NAME: &'static str = "rename";
    type Reply = Profile;

    fn handle(
        &self,
        Rename { name }: Rename,
        ctx: &mut Context<Self>,
    ) -> Result<Profile, UserError> {
        let is_news = self.person()?.name != name;
        let event = is_news.then(|| UserEvent::Renamed { name: name.clone() });
        self.changed(ctx, event, |profile| profile.name = name)
    }
}

impl Handle<SetPostalAddresses> for User {
    const NAME: &'static str = "set_postal_addresses";
    type Reply = Profile;

    fn handle(
        &self,
        SetPostalAddresses { addresses }: SetPostalAddresses,
        ctx: &mut Context<Self>,
    ) -> Result<Profile, UserError> {
        let is_news = self.person()?.postal_addresses != addresses;
        let event = is_news.then(|| UserEvent::PostalAddressesSet { addresses: addresses.clone() });
        self.changed(ctx, event, |profile| profile.addresses = addresses)
    }
}

impl Handle<Grant> for User {
    const NAME: &'static str = "grant";
    type Reply = Profile;

    fn handle(&self, Grant { role }: Grant, ctx: &mut Context<Self>) -> Result<Profile, UserError> {
        let is_news = !self.person()?.roles.contains(&role);
        let event = is_news.then_some(UserEvent::RoleGranted { role });
        self.changed(ctx, event, |profile| {
            profile.roles.insert(role);
        })
    }
}

impl Handle<Revoke> for User {
    const NAME: &'static str = "revoke";
    type Reply = Profile;

    fn handle(
        &self,
        Revoke { role }: Revoke,
        ctx: &mut Context<Self>,
    ) -> Result<Profile, UserError> {
        let is_news = self.person()?.roles.contains(&role);
        let event = is_news.then_some(UserEvent::RoleRevoked { role });
        self.changed(ctx, event, |profile| {
            profile.roles.remove(&role);
        })
    }
}

impl Handle<Disable> for User {
    const NAME: &'static str = "disable";
    type Reply = Profile;

    fn handle(&self, _: Disable, ctx: &mut Context<Self>) -> Result<Profile, UserError> {
        let person = self.person()?;
        let event = (!person.is_disabled).then_some(UserEvent::Disabled {});
        let profile = self.changed(ctx, event, |profile| profile.is_disabled = true)?;
        person.close_all_but(None, CloseReason::Disabled, ctx);
        Ok(profile)
    }
}

impl Handle<Enable> for User {
    const NAME: &'static str = "enable";
    type Reply = Profile;

    fn handle(&self, _: Enable, ctx: &mut Context<Self>) -> Result<Profile, UserError> {
        let event = self.person()?.is_disabled.then_some(UserEvent::Enabled {});
        self.changed(ctx, event, |profile| profile.is_disabled = false)
    }
}

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

impl Handle<Show> for User {
    const NAME: &'static str = "show";
    type Reply = Profile;

    fn handle(&self, _: Show, ctx: &mut Context<Self>) -> Result<Profile, UserError> {
        Ok(self.person()?.profile(ctx.id()))
    }
}

impl Handle<ShowCredentials> for User {
    const NAME: &'static str = "credentials";
    type Reply = Credentials;

    fn handle(&self, _: ShowCredentials, _: &mut Context<Self>) -> Result<Credentials, UserError> {
        let person = self.person()?;
        let password_hash = person.password_hash.expose().to_owned();
        let (roles, is_disabled) = (person.roles.clone(), person.is_disabled);
        Ok(Credentials { password_hash, roles, is_disabled })
    }
}
