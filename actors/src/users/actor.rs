//! A user: who it is, what it may do, and where it is logged in.
//!
//! The hash of the password arrives ready-made: hashing takes long and has no place in a
//! decision. A user is unknown until registered, and registers once.

use std::collections::BTreeSet;

use bus::{Actor, Context, Handle, Id, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    ChangePassword, ChangeProfile, CheckSession, CloseReason, CloseSession, CloseSessions,
    Credentials, Disable, Enable, Grant, ListSessions, OpenSession, PasswordHash, PostalAddress,
    Profile, RefreshSession, Register, Rehash, Rename, RequestReset, RequestVerification,
    ResetPassword, Revoke, SetPostalAddresses, Show, ShowCredentials, UserError, UserEvent,
    UserRole, Verify, links::Links, sessions::Sessions,
};
use crate::name::tidy_name;

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
    pub(super) name: String,
    pub(super) address: String,
    pub(super) password_hash: PasswordHash,
    pub(super) roles: BTreeSet<UserRole>,
    pub(super) is_verified: bool,
    pub(super) is_disabled: bool,
    pub(super) postal_addresses: Vec<PostalAddress>,
    pub(super) verification: Links,
    pub(super) reset: Links,
    pub(super) sessions: Sessions,
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
        ChangeProfile,
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

    pub(super) fn profile(&self, id: &UserId) -> Profile {
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

    pub(super) fn close_all_but(
        &self,
        kept: Option<&super::SessionId>,
        reason: CloseReason,
        ctx: &mut Context<User>,
    ) {
        self.sessions.close_all_but(kept, reason).for_each(|event| ctx.emit(event));
    }

    /// What may be done at all, while the account may be used.
    pub(super) fn enabled(&self) -> Result<&Self, UserError> {
        if self.is_disabled { Err(UserError::Disabled) } else { Ok(self) }
    }
}

impl User {
    pub(super) fn person(&self) -> Result<&Person, UserError> {
        match self {
            Self::Unknown => Err(UserError::UnknownUser),
            Self::Registered(person) => Ok(person),
        }
    }

    /// Emits `event` if `is_news`, and shows the profile as `change` makes it.
    pub(super) fn changed(
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
