//! Two builds of one kind: the newer one has renamed a field of an event.
#![allow(clippy::unwrap_used)]

mod common;

use bus::{
    Actor, AskError, Context, Fold, Handle, Host, Id, IndexEntry, NoUpcaster, OldEvent, Projection,
    Recorded, Selection, Status,
};
use common::{connect, eventually};
use nats_server::TestServer;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
struct No;

#[derive(Debug, Serialize, Deserialize)]
struct Weigh(u64);

#[derive(Default, Serialize, Deserialize)]
struct OldScale(u64);

#[derive(Clone, Serialize, Deserialize)]
enum OldWeighed {
    #[serde(rename = "weighed")]
    Weighed { kg: u64 },
}

impl Actor for OldScale {
    const KIND: &'static str = "scale";
    type Event = OldWeighed;
    type Error = No;
    type Commands = (Weigh,);

    fn apply(&mut self, OldWeighed::Weighed { kg }: &OldWeighed) {
        self.0 += kg;
    }
}

impl Handle<Weigh> for OldScale {
    const NAME: &'static str = "weigh";
    type Reply = u64;

    fn handle(&self, Weigh(kg): Weigh, ctx: &mut Context<Self>) -> Result<u64, No> {
        ctx.emit(OldWeighed::Weighed { kg });
        Ok(self.0 + kg)
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Scale(u64);

#[derive(Clone, Serialize, Deserialize)]
enum Weighed {
    #[serde(rename = "weighed")]
    Weighed { grams: u64 },
}

impl Actor for Scale {
    const KIND: &'static str = "scale";
    const SHAPE: u32 = 2;
    const STATE: u32 = 2;
    type Event = Weighed;
    type Error = No;
    type Commands = (Weigh,);

    fn apply(&mut self, Weighed::Weighed { grams }: &Weighed) {
        self.0 += grams;
    }

    fn upcast(from: u32, event: &mut OldEvent) -> Result<(), NoUpcaster> {
        if from != 1 {
            return Err(NoUpcaster { from });
        }
        event.rename_field("kg", "grams");
        if let Some(grams) = event.fields_mut().get_mut("grams") {
            *grams = (grams.as_u64().unwrap_or(0) * 1_000).into();
        }
        Ok(())
    }
}

impl Handle<Weigh> for Scale {
    const NAME: &'static str = "weigh";
    type Reply = u64;

    fn handle(&self, Weigh(grams): Weigh, ctx: &mut Context<Self>) -> Result<u64, No> {
        ctx.emit(Weighed::Weighed { grams });
        Ok(self.0 + grams)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct ScaleCard {
    grams: Vec<u64>,
}

impl Projection for ScaleCard {
    const NAME: &'static str = "scales";

    fn index(&self) -> Vec<IndexEntry> {
        Vec::new()
    }
}

impl Fold<Scale> for ScaleCard {
    fn fold(&mut self, _: &str, event: &Recorded<Scale>) {
        let Weighed::Weighed { grams } = event.event;
        self.grams.push(grams);
    }
}

#[tokio::test]
async fn what_an_older_build_stored_is_read_by_all_and_what_a_newer_one_did_is_not_guessed_at() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    let (old, new) = (Id::<OldScale>::parse("s").unwrap(), Id::<Scale>::parse("s").unwrap());
    let old_node = Host::new(bus.clone()).actor::<OldScale>().start().await.unwrap();
    bus.actor(&old).ask(Weigh(3)).await.unwrap();
    assert_eq!(bus.actor(&old).ask(Weigh(4)).await.unwrap(), 7);
    old_node.stop().await;

    let host = Host::new(bus.clone()).rows_in(rows.path()).actor::<Scale>();
    let new_node = host.projection::<ScaleCard, Scale>().start().await.unwrap();
    assert_eq!(bus.actor(&new).ask(Weigh(5)).await.unwrap(), 7_005);
    eventually("the rows have all three", || async {
        let listed = bus.rows::<ScaleCard>().list(Selection::all()).await.unwrap();
        listed.rows.first().filter(|card| card.grams == [3_000, 4_000, 5]).map(drop)
    })
    .await;
    // Shown as it was stored.
    let history = bus.history("scale", "s", 0).await.unwrap();
    let events: Vec<_> = history.into_iter().flat_map(|commit| commit.events).collect();
    let weighed = |fields| json!({"weighed": fields});
    let stored = [json!({"kg": 3}), json!({"kg": 4}), json!({"grams": 5})].map(weighed);
    assert_eq!(events, stored);
    new_node.stop().await;

    // Rolled back: the older build cannot know what it would decide on.
    let _old_node = Host::new(bus.clone()).actor::<OldScale>().start().await.unwrap();
    let ask = bus.actor(&old).ask(Weigh(1)).timeout(std::time::Duration::from_millis(500));
    match ask.await {
        Err(AskError::Failed(failure)) => {
            assert_eq!(failure.status, Status::Unavailable, "{failure}");
            assert!(failure.body.retry && failure.body.message.contains("newer code"), "{failure}");
        }
        other => panic!("{other:?}"),
    }
    let fresh = Id::<OldScale>::parse("fresh").unwrap();
    assert_eq!(bus.actor(&fresh).ask(Weigh(1)).await.unwrap(), 1, "others are served");
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct OldCard {
    kg: u64,
}

impl Projection for OldCard {
    const NAME: &'static str = "old-scales";

    fn index(&self) -> Vec<IndexEntry> {
        Vec::new()
    }
}

impl Fold<OldScale> for OldCard {
    fn fold(&mut self, _: &str, event: &Recorded<OldScale>) {
        let OldWeighed::Weighed { kg } = event.event;
        self.kg += kg;
    }
}

#[tokio::test]
async fn rows_wait_for_newer_code_and_pass_over_nothing() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let (old, new) = (Id::<OldScale>::parse("s").unwrap(), Id::<Scale>::parse("s").unwrap());
    let old_node = Host::new(bus.clone()).actor::<OldScale>().start().await.unwrap();
    bus.actor(&old).ask(Weigh(3)).await.unwrap();
    old_node.stop().await;
    let new_node = Host::new(bus.clone()).actor::<Scale>().start().await.unwrap();
    bus.actor(&new).ask(Weigh(5)).await.unwrap();
    new_node.stop().await;

    let host = Host::new(bus.clone()).rows_in_memory().actor::<OldScale>();
    let node = host.projection::<OldCard, OldScale>().start().await.unwrap();
    let progress = eventually("it has come as far as it can", || async {
        let progress = node.projections().await.remove(0);
        (progress.streams[0].folded == 1).then_some(progress)
    })
    .await;
    assert!(!progress.whole && progress.streams[0].skipped == 0, "{progress:?}");
    // And they are not shown.
    let list = bus.rows::<OldCard>().list(Selection::all());
    let refused = list.timeout(std::time::Duration::from_secs(3)).await.unwrap_err().to_string();
    assert!(refused.contains("still being folded"), "{refused}");
    node.stop().await;
}
