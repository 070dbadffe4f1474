//! How a user gets at its account: confirming the address, and the password.

use bus::{Context, Handle};

use super::{
    ChangePassword, CloseReason, PasswordHash, Rehash, RequestReset, RequestVerification,
    ResetPassword, User, UserError, UserEvent, Verify,
};
use crate::limits::{RESET_TIME, VERIFY_TIME};

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
