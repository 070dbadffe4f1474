//! A notice: one thing told to one person, and whether it has been.

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

use super::{GiveUp, Letter, NoticeError, NoticeEvent, NoticeStatus, Queue, Sent, Show};
use crate::users::UserId;

/// The id of a notice, made from its occasion.
pub type NoticeId = Id<Notice>;

/// A notice.
#[derive(Debug, Default, Serialize, Deserialize)]
pub enum Notice {
    /// Nobody asked for it.
    #[default]
    Unqueued,
    /// It is to be told, or was.
    Queued {
        /// To whom.
        user: UserId,
        /// What it tells.
        letter: Letter,
        /// How it stands.
        status: NoticeStatus,
    },
}

impl Actor for Notice {
    const KIND: &'static str = "notice";
    type Event = NoticeEvent;
    type Error = NoticeError;
    type Commands = (Queue, Sent, GiveUp, Show);

    fn apply(&mut self, event: &NoticeEvent) {
        match event {
            NoticeEvent::Queued { user, letter } => {
                let (user, letter) = (user.clone(), letter.clone());
                *self = Self::Queued { user, letter, status: NoticeStatus::Queued };
            }
            NoticeEvent::Sent {} => self.settle(NoticeStatus::Sent),
            NoticeEvent::GivenUp { reason } => {
                self.settle(NoticeStatus::GivenUp { reason: *reason });
            }
        }
    }
}

impl Notice {
    fn settle(&mut self, settled: NoticeStatus) {
        // The handlers let nothing be settled that was not queued.
        if let Self::Queued { status, .. } = self {
            *status = settled;
        }
    }

    fn status(&self) -> Result<NoticeStatus, NoticeError> {
        match self {
            Self::Unqueued => Err(NoticeError::NotQueued),
            Self::Queued { status, .. } => Ok(*status),
        }
    }

    /// Whether `outcome` is news; refused if there is another one.
    fn is_news(&self, outcome: NoticeStatus) -> Result<bool, NoticeError> {
        match self.status()? {
            NoticeStatus::Queued => Ok(true),
            known if known == outcome => Ok(false),
            NoticeStatus::Sent | NoticeStatus::GivenUp { .. } => Err(NoticeError::AlreadySettled),
        }
    }
}

impl Handle<Queue> for Notice {
    const NAME: &'static str = "queue";
    type Reply = ();

    fn handle(&self, command: Queue, ctx: &mut Context<Self>) -> Result<(), NoticeError> {
        let Queue { user: to, letter: told } = command;
        match self {
            Self::Unqueued => {
                ctx.emit(NoticeEvent::Queued { user: to, letter: told });
                Ok(())
            }
            Self::Queued { user, letter, .. } if *user == to && *letter == told => Ok(()),
            Self::Queued { .. } => Err(NoticeError::AlreadyQueued),
        }
    }
}

impl Handle<Sent> for Notice {
    const NAME: &'static str = "sent";
    type Reply = ();

    fn handle(&self, _: Sent, ctx: &mut Context<Self>) -> Result<(), NoticeError> {
        if self.is_news(NoticeStatus::Sent)? {
            ctx.emit(NoticeEvent::Sent {});
        }
        Ok(())
    }
}

impl Handle<GiveUp> for Notice {
    const NAME: &'static str = "give_up";
    type Reply = ();

    fn handle(&self, command: GiveUp, ctx: &mut Context<Self>) -> Result<(), NoticeError> {
        let GiveUp { reason } = command;
        if self.is_news(NoticeStatus::GivenUp { reason })? {
            ctx.emit(NoticeEvent::GivenUp { reason });
        }
        Ok(())
    }
}

impl Handle<Show> for Notice {
    const NAME: &'static str = "show";
    type Reply = NoticeStatus;

    fn handle(&self, _: Show, _: &mut Context<Self>) -> Result<NoticeStatus, NoticeError> {
        self.status()
    }
}

#[cfg(test)]
mod tests {
    use bus::testing::given;

    use super::*;
    use crate::{money::tests::eur, notifications::GiveUpReason, orders::OrderId};

    const REFUSED: GiveUpReason = GiveUpReason::Refused { code: 550 };

    fn queue(total: i64) -> Queue {
        let order = OrderId::parse("o-1").expect("an id");
        let letter = Letter::OrderConfirmed { order, total: eur(total) };
        Queue { user: UserId::parse("u-1").expect("an id"), letter }
    }

    fn queued() -> NoticeEvent {
        let Queue { user, letter } = queue(500);
        NoticeEvent::Queued { user, letter }
    }

    fn given_up() -> NoticeEvent {
        NoticeEvent::GivenUp { reason: REFUSED }
    }

    #[test]
    fn a_notice_is_queued_once() {
        given::<Notice>([]).when(queue(500)).replies(()).then([queued()]);
        for past in [vec![queued()], vec![queued(), NoticeEvent::Sent {}]] {
            given::<Notice>(past.clone()).when(queue(500)).replies(()).then([]);
            given::<Notice>(past.clone()).when(queue(501)).refuses(NoticeError::AlreadyQueued);
            let other = Queue { user: UserId::parse("u-2").expect("an id"), ..queue(500) };
            given::<Notice>(past).when(other).refuses(NoticeError::AlreadyQueued);
        }
    }

    #[test]
    fn an_outcome_is_recorded_once() {
        let sent = || NoticeEvent::Sent {};
        given::<Notice>([queued()]).when(Sent {}).replies(()).then([sent()]);
        given::<Notice>([queued(), sent()]).when(Sent {}).replies(()).then([]);
        given::<Notice>([queued()]).when(GiveUp { reason: REFUSED }).then([given_up()]);
        given::<Notice>([queued(), given_up()]).when(GiveUp { reason: REFUSED }).then([]);
    }

    #[test]
    fn another_outcome_is_refused() {
        given::<Notice>([queued(), given_up()]).when(Sent {}).refuses(NoticeError::AlreadySettled);
        given::<Notice>([queued(), NoticeEvent::Sent {}])
            .when(GiveUp { reason: REFUSED })
            .refuses(NoticeError::AlreadySettled);
    }

    #[test]
    fn nothing_settles_what_was_not_queued() {
        given::<Notice>([]).when(Sent {}).refuses(NoticeError::NotQueued);
        given::<Notice>([]).when(GiveUp { reason: REFUSED }).refuses(NoticeError::NotQueued);
        given::<Notice>([]).when(Show {}).refuses(NoticeError::NotQueued);
    }

    #[test]
    fn a_notice_shows_how_it_stands() {
        given::<Notice>([queued()]).when(Show {}).replies(NoticeStatus::Queued).then([]);
        let past = [queued(), given_up()];
        let status = NoticeStatus::GivenUp { reason: REFUSED };
        given::<Notice>(past).when(Show {}).replies(status).then([]);
    }
}
