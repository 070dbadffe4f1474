//! Mailing a notice because it was queued.
//!
//! Before it mails, it asks the notice whether that was done: a commit delivered again after
//! its outcome was recorded sends no second mail.

use bus::{Bus, Effect, Recorded, Retry, Then};

use super::{
    GiveUp, GiveUpReason, Letter, MailLinks, Mailer, Notice, NoticeEvent, NoticeId, NoticeStatus,
    Sent, Show, letters,
    mailer::{Mail, NotSent},
};
use crate::{
    limits::MAIL_ASK_TIMEOUT,
    users::{self, Profile, UserError, UserId},
};

/// Mails every queued notice.
#[derive(Debug)]
pub struct SendNotice {
    /// How mail leaves.
    pub mailer: Mailer,
    /// Where the links in mails lead.
    pub links: MailLinks,
}

impl Effect<Notice> for SendNotice {
    const NAME: &'static str = "send-notice";

    async fn run(
        &self,
        notice: &Recorded<Notice>,
        bus: &Bus,
        then: &mut Then,
    ) -> Result<(), Retry> {
        let (user, letter) = match &notice.event {
            NoticeEvent::Queued { user, letter } => (user, letter),
            NoticeEvent::Sent {} | NoticeEvent::GivenUp { .. } => return Ok(()),
        };
        if is_settled(bus, &notice.id).await? {
            return Ok(());
        }
        match profile(bus, user).await? {
            Some(profile) => self.mail(notice, letter, &profile, then).await,
            None => {
                then.ask(&notice.id, &GiveUp { reason: GiveUpReason::UnknownUser });
                Ok(())
            }
        }
    }
}

impl SendNotice {
    async fn mail(
        &self,
        notice: &Recorded<Notice>,
        letter: &Letter,
        to: &Profile,
        then: &mut Then,
    ) -> Result<(), Retry> {
        let words = letters::words(letter, &to.name, &self.links.of(letter, &to.id));
        let (notice, at) = (&notice.id, notice.commit.at);
        let mail = Mail { notice, at, name: &to.name, address: &to.address, words };
        match self.mailer.send(mail).await {
            Ok(()) => then.ask(notice, &Sent {}),
            Err(NotSent::Ever(reason)) => then.ask(notice, &GiveUp { reason }),
            Err(NotSent::Now(why)) => return Err(Retry::unreachable(why)),
        }
        Ok(())
    }
}

async fn is_settled(bus: &Bus, notice: &NoticeId) -> Result<bool, Retry> {
    let status = bus.actor(notice).ask(Show {}).timeout(MAIL_ASK_TIMEOUT).await;
    match status.map_err(Retry::unreachable)? {
        NoticeStatus::Queued => Ok(false),
        NoticeStatus::Sent | NoticeStatus::GivenUp { .. } => Ok(true),
    }
}

async fn profile(bus: &Bus, user: &UserId) -> Result<Option<Profile>, Retry> {
    match bus.actor(user).ask(users::Show {}).timeout(MAIL_ASK_TIMEOUT).await {
        Ok(profile) => Ok(Some(profile)),
        Err(bus::AskError::Refused(UserError::UnknownUser)) => Ok(None),
        Err(error) => Err(Retry::unreachable(error)),
    }
}
