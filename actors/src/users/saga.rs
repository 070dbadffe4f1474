//! Registration: from a claimed address to a confirmed one.
//!
//! | when              | then            | undo, if a later step fails |
//! |-------------------|-----------------|-----------------------------|
//! | `user.registered` | `email.confirm` | –                           |

use bus::{Recorded, Then};

use super::{Confirm, User, UserEvent};

/// Who has registered keeps the address.
pub(crate) fn on_user(user: &Recorded<User>, then: &mut Then) {
    if let UserEvent::Registered { email, .. } = &user.event {
        then.ask(email, &Confirm { user: user.id.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        recorded::asked_by,
        users::{EmailId, PasswordHash, UserRole},
    };

    #[test]
    fn a_registered_user_keeps_the_address() {
        let registered = UserEvent::Registered {
            name: "Ann".to_owned(),
            address: "ann@example.org".to_owned(),
            email: EmailId::parse("e-1").expect("an id"),
            password_hash: PasswordHash::new(String::new()),
        };
        assert_eq!(asked_by(on_user, "u-1", registered), ["email/e-1/confirm"]);
        let granted = UserEvent::RoleGranted { role: UserRole::Staff };
        assert_eq!(asked_by(on_user, "u-1", granted), [""; 0]);
    }
}
