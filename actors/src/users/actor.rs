//! A user: who it is, and what it may do.
//!
//! The hash of the password arrives ready-made: hashing takes long and has no place in a
//! decision. A user is unknown until registered, and registers once.

use std::collections::BTreeSet;

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

use super::{
    Credentials, Grant, PasswordHash, Profile, Register, Revoke, Show, ShowCredentials, UserError,
    UserEvent, UserRole,
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
    Registered(Person),
}

/// A registered user.
#[derive(Serialize, Deserialize)]
pub struct Person {
    name: String,
    address: String,
    password_hash: PasswordHash,
    roles: BTreeSet<UserRole>,
}

impl std::fmt::Debug for Person {
    // Without name and address, which a log must not hold.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("roles", &self.roles).finish_non_exhaustive()
    }
}

impl Actor for User {
    const KIND: &'static str = "user";
    type Event = UserEvent;
    type Error = UserError;
    type Commands = (Register, Grant, Revoke, Show, ShowCredentials);

    fn apply(&mut self, event: &UserEvent) {
        match (event, self) {
            (UserEvent::Registered { name, address, email: _, password_hash }, user) => {
                *user = Self::Registered(Person {
                    name: name.clone(),
                    address: address.clone(),
                    password_hash: password_hash.clone(),
                    roles: BTreeSet::from([UserRole::Customer]),
                });
            }
            (UserEvent::RoleGranted { role }, Self::Registered(person)) => {
                person.roles.insert(*role);
            }
            (UserEvent::RoleRevoked { role }, Self::Registered(person)) => {
                person.roles.remove(role);
            }
            // The handlers let nothing happen to who is unknown.
            (UserEvent::RoleGranted { .. } | UserEvent::RoleRevoked { .. }, Self::Unknown) => {}
        }
    }
}

impl User {
    fn person(&self) -> Result<&Person, UserError> {
        match self {
            Self::Unknown => Err(UserError::UnknownUser),
            Self::Registered(person) => Ok(person),
        }
    }
}

impl Person {
    fn profile(&self, id: &UserId) -> Profile {
        Profile {
            id: id.clone(),
            name: self.name.clone(),
            address: self.address.clone(),
            roles: self.roles.clone(),
        }
    }
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
        };
        ctx.emit(UserEvent::Registered { name, address, email, password_hash });
        Ok(profile)
    }
}

impl Handle<Grant> for User {
    const NAME: &'static str = "grant";
    type Reply = Profile;

    fn handle(&self, Grant { role }: Grant, ctx: &mut Context<Self>) -> Result<Profile, UserError> {
        let mut profile = self.person()?.profile(ctx.id());
        if profile.roles.insert(role) {
            ctx.emit(UserEvent::RoleGranted { role });
        }
        Ok(profile)
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
        let mut profile = self.person()?.profile(ctx.id());
        if profile.roles.remove(&role) {
            ctx.emit(UserEvent::RoleRevoked { role });
        }
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
        Ok(Credentials { password_hash, roles: person.roles.clone() })
    }
}

#[cfg(test)]
mod tests {
    use bus::testing::given;

    use super::*;
    use crate::users::EmailId;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";

    fn register(name: &str) -> Register {
        Register {
            name: name.to_owned(),
            address: "ann@example.org".to_owned(),
            email: EmailId::parse("e-1").expect("an id"),
            password_hash: HASH.to_owned(),
        }
    }

    fn registered() -> UserEvent {
        let Register { name, address, email, password_hash } = register("Ann");
        let password_hash = PasswordHash::new(password_hash);
        UserEvent::Registered { name, address, email, password_hash }
    }

    fn ann(roles: impl IntoIterator<Item = UserRole>) -> Profile {
        Profile {
            id: UserId::parse("u-1").expect("an id"),
            name: "Ann".to_owned(),
            address: "ann@example.org".to_owned(),
            roles: roles.into_iter().collect(),
        }
    }

    #[test]
    fn who_registers_is_a_customer_with_a_tidy_name() {
        given::<User>([])
            .id("u-1")
            .when(register("  Ann "))
            .replies(ann([UserRole::Customer]))
            .then([registered()]);
    }

    #[test]
    fn registering_happens_once() {
        given::<User>([registered()]).when(register("Eve")).refuses(UserError::AlreadyRegistered);
    }

    #[test]
    fn a_name_that_cannot_be_shown_is_refused() {
        for bad in ["", "   ", "Ann\r\nBcc: eve@example.org", &"x".repeat(201)] {
            given::<User>([]).when(register(bad)).refuses(UserError::InvalidName);
        }
    }

    #[test]
    fn a_password_is_not_taken_for_a_hash_nor_a_text_for_an_address() {
        let password = Register { password_hash: "correct horse".to_owned(), ..register("Ann") };
        given::<User>([]).when(password).is_malformed("argon2id");
        for bad in ["ann", "@example.org", "ann@", "a@b@c", "ann@exam ple.org", "ann@x\r\nTo: e@x"]
        {
            let command = Register { address: bad.to_owned(), ..register("Ann") };
            given::<User>([]).when(command).is_malformed("name@domain");
        }
    }

    #[test]
    fn roles_are_granted_and_revoked_once() {
        use UserRole::{Admin, Customer};
        let granted = UserEvent::RoleGranted { role: Admin };
        let revoked = UserEvent::RoleRevoked { role: Admin };
        given::<User>([registered()])
            .id("u-1")
            .when(Grant { role: Admin })
            .replies(ann([Customer, Admin]))
            .then([granted.clone()]);
        given::<User>([registered(), granted.clone()]).when(Grant { role: Admin }).then([]);
        given::<User>([registered(), granted.clone()])
            .id("u-1")
            .when(Revoke { role: Admin })
            .replies(ann([Customer]))
            .then([revoked.clone()]);
        given::<User>([registered(), granted, revoked]).when(Revoke { role: Admin }).then([]);
    }

    #[test]
    fn a_user_shows_who_it_is() {
        let past = [registered(), UserEvent::RoleGranted { role: UserRole::Staff }];
        let roles = BTreeSet::from([UserRole::Customer, UserRole::Staff]);
        given::<User>(past.clone()).id("u-1").when(Show {}).replies(ann(roles.clone())).then([]);
        let credentials = Credentials { password_hash: HASH.to_owned(), roles };
        given::<User>(past).when(ShowCredentials {}).replies(credentials).then([]);
    }

    #[test]
    fn nobody_knows_who_never_registered() {
        given::<User>([]).when(Show {}).refuses(UserError::UnknownUser);
        given::<User>([]).when(ShowCredentials {}).refuses(UserError::UnknownUser);
        given::<User>([]).when(Grant { role: UserRole::Admin }).refuses(UserError::UnknownUser);
        given::<User>([]).when(Revoke { role: UserRole::Admin }).refuses(UserError::UnknownUser);
    }

    #[test]
    fn debug_shows_neither_hash_nor_address() {
        let mut user = User::default();
        user.apply(&registered());
        let credentials =
            Credentials { password_hash: HASH.to_owned(), roles: BTreeSet::default() };
        let texts = [
            format!("{user:?}"),
            format!("{:?}", registered()),
            format!("{:?}", register("Ann")),
            format!("{credentials:?}"),
            format!("{:?}", ann([])),
            format!("{:?}", PasswordHash::new(HASH.to_owned())),
        ];
        for text in texts {
            assert!(!text.contains("argon2id") && !text.contains("ann@"), "{text}");
        }
    }
}
