//! Mailing on a real server: what is settled is not mailed again, and who is unknown not at all.
#![allow(clippy::unwrap_used)] // Test code: a failure is a failed test.

#[allow(dead_code)] // This test uses a part of it.
mod shop;

use std::sync::Arc;

use actors::{
    Mailer, SimulatedGateway,
    notifications::{
        GiveUpReason, Letter, Notice, NoticeEvent, NoticeId, NoticeStatus, Queue, SendNotice, Show,
    },
    orders::OrderId,
    users::UserId,
};
use bus::{CommitInfo, Effect, Position, Recorded, Then, Timestamp};
use shop::{Shop, eur, eventually};

fn letter() -> Letter {
    Letter::OrderConfirmed { order: OrderId::parse("o-1").unwrap(), total: eur(500) }
}

impl Shop {
    async fn notify(&self, id: &str, user: &UserId) -> NoticeStatus {
        let notice = NoticeId::parse(id).unwrap();
        let queue = Queue { user: user.clone(), letter: letter() };
        self.bus.actor(&notice).ask(queue).await.unwrap();
        eventually("the notice is settled", async || {
            let status = self.bus.actor(&notice).ask(Show {}).await.unwrap();
            (status != NoticeStatus::Queued).then_some(status)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_mailed_who_is_unknown() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    let stranger = UserId::parse("u-9").unwrap();
    let reason = GiveUpReason::UnknownUser;
    assert_eq!(shop.notify("n-1", &stranger).await, NoticeStatus::GivenUp { reason });
    assert_eq!(shop.mails(0).await, [""; 0]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_delivered_again_sends_no_second_mail() {
    let shop = Shop::open(SimulatedGateway::default()).await;
    assert_eq!(shop.notify("n-1", &shop.buyer).await, NoticeStatus::Sent);
    assert_eq!(shop.mails(1).await.len(), 1);
    let elsewhere = shop.folder.path().join("again");
    let mailer = Mailer::folder(&elsewhere, "Callboard <shop@shop.example>").unwrap();
    let commit = CommitInfo {
        position: Position { stream: "EVT_notice_0".into(), sequence: 1 },
        at: Timestamp::from_millis(0),
        command: "queue".into(),
        key: "k".into(),
        cause: None,
        principal: None,
        trace: None,
    };
    let again = Recorded::<Notice> {
        id: NoticeId::parse("n-1").unwrap(),
        event: NoticeEvent::Queued { user: shop.buyer.clone(), letter: letter() },
        commit: Arc::new(commit),
    };
    let mut then = Then::default();
    SendNotice { mailer, links: shop::links() }.run(&again, &shop.bus, &mut then).await.unwrap();
    assert_eq!(then.asked().count(), 0);
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    shop.close().await;
}
