//! A mail address: whom it belongs to.
//!
//! Its id is a keyed hash of the address, made by who asks: the address itself is not here, and
//! the id does not tell it. That there is one actor per address makes addresses unique.

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

use super::{Claim, Confirm, EmailError, EmailEvent, Holder, Lapse, Release, UserId};
use crate::limits::CLAIM_TIME;

/// The id of an address: a keyed hash of it.
pub type EmailId = Id<Email>;

/// A mail address.
#[derive(Debug, Default, Serialize, Deserialize)]
pub enum Email {
    /// It belongs to nobody.
    #[default]
    Free,
    /// It belongs to a user who is about to register.
    Claimed {
        /// Who claimed it.
        user: UserId,
    },
    /// It belongs to a registered user.
    Confirmed {
        /// Whose it is.
        user: UserId,
    },
}

impl Actor for Email {
    const KIND: &'static str = "email";
    const TIMERS: bool = true;
    type Event = EmailEvent;
    type Error = EmailError;
    type Commands = (Claim, Confirm, Release, Lapse, Holder);

    fn apply(&mut self, event: &EmailEvent) {
        *self = match event {
            EmailEvent::Claimed { user } => Self::Claimed { user: user.clone() },
            EmailEvent::Confirmed { user } => Self::Confirmed { user: user.clone() },
            EmailEvent::Released { .. } => Self::Free,
        };
    }
}

impl Email {
    fn holder(&self) -> Option<&UserId> {
        match self {
            Self::Free => None,
            Self::Claimed { user } | Self::Confirmed { user } => Some(user),
        }
    }
}

impl Handle<Claim> for Email {
    const NAME: &'static str = "claim";
    type Reply = ();

    fn handle(&self, Claim { user }: Claim, ctx: &mut Context<Self>) -> Result<(), EmailError> {
        match self {
            Self::Free => {
                ctx.emit(EmailEvent::Claimed { user: user.clone() });
                ctx.after(CLAIM_TIME, Lapse { user });
            }
            // Asked twice: it is hers already, and she has the whole time anew.
            Self::Claimed { user: holder } if *holder == user => {
                ctx.after(CLAIM_TIME, Lapse { user });
            }
            Self::Confirmed { user: holder } if *holder == user => {}
            Self::Claimed { .. } | Self::Confirmed { .. } => return Err(EmailError::Taken),
        }
        Ok(())
    }
}

impl Handle<Confirm> for Email {
    const NAME: &'static str = "confirm";
    type Reply = ();

    fn handle(&self, Confirm { user }: Confirm, ctx: &mut Context<Self>) -> Result<(), EmailError> {
        match self {
            Self::Confirmed { user: holder } if *holder == user => return Ok(()), // Told twice.
            Self::Claimed { user: holder } if *holder == user => {}
            Self::Claimed { .. } | Self::Confirmed { .. } => return Err(EmailError::Taken),
            // The claim has lapsed, but nobody else wants the address.
            Self::Free => {}
        }
        ctx.disarm(&Lapse { user: user.clone() });
        ctx.emit(EmailEvent::Confirmed { user });
        Ok(())
    }
}

impl Handle<Release> for Email {
    const NAME: &'static str = "release";
    type Reply = ();

    fn handle(&self, Release { user }: Release, ctx: &mut Context<Self>) -> Result<(), EmailError> {
        match self.holder() {
            Some(holder) if *holder == user => {
                ctx.disarm(&Lapse { user: user.clone() });
                ctx.emit(EmailEvent::Released { user });
            }
            Some(_) | None => return Err(EmailError::NotClaimed),
        }
        Ok(())
    }
}

impl Handle<Lapse> for Email {
    const NAME: &'static str = "lapse";
    type Reply = ();

    fn handle(&self, Lapse { user }: Lapse, ctx: &mut Context<Self>) -> Result<(), EmailError> {
        match self {
            Self::Claimed { user: holder } if *holder == user => {
                ctx.emit(EmailEvent::Released { user });
            }
            Self::Free | Self::Claimed { .. } | Self::Confirmed { .. } => {} // Too late.
        }
        Ok(())
    }
}

impl Handle<Holder> for Email {
    const NAME: &'static str = "holder";
    type Reply = Option<UserId>;

    fn handle(&self, _: Holder, _: &mut Context<Self>) -> Result<Option<UserId>, EmailError> {
        Ok(self.holder().cloned())
    }
}

#[cfg(test)]
mod tests {
    use bus::testing::given;

    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).expect("an id")
    }

    fn claimed(id: &str) -> EmailEvent {
        EmailEvent::Claimed { user: user(id) }
    }

    fn confirmed(id: &str) -> EmailEvent {
        EmailEvent::Confirmed { user: user(id) }
    }

    fn released(id: &str) -> EmailEvent {
        EmailEvent::Released { user: user(id) }
    }

    fn lapse(id: &str) -> Lapse {
        Lapse { user: user(id) }
    }

    #[test]
    fn a_free_address_is_claimed_for_a_time() {
        given::<Email>([])
            .when(Claim { user: user("u-1") })
            .replies(())
            .then([claimed("u-1")])
            .arms(CLAIM_TIME, lapse("u-1"));
    }

    #[test]
    fn a_claim_lapses_unless_it_is_confirmed() {
        given::<Email>([claimed("u-1")]).when(lapse("u-1")).replies(()).then([released("u-1")]);
        for past in [
            vec![claimed("u-1"), confirmed("u-1")],
            vec![claimed("u-1"), released("u-1")],
            vec![claimed("u-1"), released("u-1"), claimed("u-2")],
        ] {
            given::<Email>(past).when(lapse("u-1")).replies(()).then([]).touches_no_timer();
        }
    }

    #[test]
    fn claiming_again_changes_nothing() {
        given::<Email>([claimed("u-1")])
            .when(Claim { user: user("u-1") })
            .replies(())
            .then([])
            .arms(CLAIM_TIME, lapse("u-1"));
        given::<Email>([claimed("u-1"), confirmed("u-1")])
            .when(Claim { user: user("u-1") })
            .replies(())
            .then([])
            .touches_no_timer();
    }

    #[test]
    fn nobody_claims_what_is_anothers() {
        for past in [vec![claimed("u-1")], vec![claimed("u-1"), confirmed("u-1")]] {
            given::<Email>(past).when(Claim { user: user("u-2") }).refuses(EmailError::Taken);
        }
    }

    #[test]
    fn a_claim_is_confirmed_once_and_by_its_holder() {
        let confirm = |id| Confirm { user: user(id) };
        given::<Email>([claimed("u-1")])
            .when(confirm("u-1"))
            .replies(())
            .then([confirmed("u-1")])
            .disarms(&lapse("u-1"));
        given::<Email>([claimed("u-1"), confirmed("u-1")]).when(confirm("u-1")).then([]);
        given::<Email>([claimed("u-1")]).when(confirm("u-2")).refuses(EmailError::Taken);
    }

    #[test]
    fn who_registered_late_gets_the_address_if_nobody_else_has_it() {
        let confirm = Confirm { user: user("u-1") };
        let lapsed = [claimed("u-1"), released("u-1")];
        given::<Email>(lapsed.clone()).when(confirm.clone()).replies(()).then([confirmed("u-1")]);
        let taken = lapsed.into_iter().chain([claimed("u-2")]);
        given::<Email>(taken).when(confirm).refuses(EmailError::Taken);
    }

    #[test]
    fn a_released_address_is_free_for_others() {
        let release = |id| Release { user: user(id) };
        given::<Email>([claimed("u-1")])
            .when(release("u-1"))
            .replies(())
            .then([released("u-1")])
            .disarms(&lapse("u-1"));
        given::<Email>([claimed("u-1")]).when(release("u-2")).refuses(EmailError::NotClaimed);
        given::<Email>([]).when(release("u-1")).refuses(EmailError::NotClaimed);
        given::<Email>([claimed("u-1"), released("u-1")])
            .when(Claim { user: user("u-2") })
            .then([claimed("u-2")]);
    }

    #[test]
    fn the_holder_is_told() {
        given::<Email>([]).when(Holder {}).replies(None).then([]);
        given::<Email>([claimed("u-1")]).when(Holder {}).replies(Some(user("u-1"))).then([]);
    }
}
