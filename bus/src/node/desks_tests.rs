//! How full desks get, and who makes room.

use std::{sync::Arc, time::Duration};

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    Actor, Context, Handle,
    asking::transport::{Inbound, Message, Network, NoReply, Reply, Subscription},
    journal::BoxFuture,
    limits::{NODE_COMMAND_BYTES_MAX, NODE_COMMANDS_MAX, REFUSALS_MAX},
    model::ambient::Ambient,
    node::{
        activation::Presence,
        command::{Command, deadline},
        desks::{Bounds, Desks, Job, Posted, Room},
    },
    wire::{encoding::Encoding, envelope::RequestHeaders, error::Error},
};

#[derive(Default, Serialize, Deserialize)]
struct Bell;

#[derive(Clone, Serialize, Deserialize)]
struct Rung;

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("broken")]
struct Broken;

#[derive(Serialize, Deserialize)]
struct Ring;

impl Actor for Bell {
    const KIND: &'static str = "bell";
    type Event = Rung;
    type Error = Broken;
    type Commands = (Ring,);

    fn apply(&mut self, _: &Rung) {}
}

impl Handle<Ring> for Bell {
    const NAME: &'static str = "ring";
    type Reply = ();

    fn handle(&self, _: Ring, _: &mut Context<Self>) -> Result<(), Broken> {
        Ok(())
    }
}

/// A network with nobody on it.
#[derive(Debug)]
struct Nowhere;

impl Network for Nowhere {
    fn request<'a>(
        &'a self,
        _: String,
        _: HeaderMap,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'a, Result<Reply, NoReply>> {
        Box::pin(async { Err(NoReply::NobodyThere) })
    }

    fn publish<'a>(&'a self, _: Message) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn subscribe<'a>(
        &'a self,
        _: String,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Subscription>, Error>> {
        Box::pin(async { Err(Error::Misconfigured("there is nothing to hear".to_owned())) })
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn connections(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}

fn job(room: &Arc<Room>, bytes: usize) -> Job {
    let command = Command {
        name: "ring".into(),
        headers: RequestHeaders::default(),
        key: Ambient::Real.key(),
        encoding: Encoding::Json,
        body: vec![0; bytes].into(),
        deadline: deadline(None),
    };
    let subject = "cmd.bell.b.ring".into();
    let message = Message { subject, reply: None, headers: None, body: Bytes::new() };
    let inbound = Inbound::new(message, Arc::new(Nowhere));
    Job { command, inbound, place: room.take(bytes).expect("there is room") }
}

const BOUNDS: Bounds = Bounds { activations: 3, mailbox: 4, mailbox_bytes: 100 };

/// Something to remember, so that the desk stays.
fn remembered() -> Presence<Bell> {
    Presence::Absent { trust_replicas: false }
}

/// What whoever is at work there gets, at most two at once.
fn mail(desks: &Desks<Bell>, id: &Arc<str>, presence: Presence<Bell>, is_done: bool) -> Vec<Job> {
    let mut mail = Vec::new();
    assert!(desks.next(id, presence, is_done, (&mut mail, 2)).is_some(), "there is work");
    mail
}

/// Has `id` carry one command out and become idle. Whether it had to be loaded.
fn work_once(desks: &Desks<Bell>, room: &Arc<Room>, id: &str) -> bool {
    let Posted::Begins(id, presence) = desks.post(id, job(room, 1)) else {
        panic!("{id} is idle or not there");
    };
    let is_new = presence.is_forgettable();
    assert_eq!(mail(desks, &id, remembered(), true).len(), 1);
    assert!(desks.next(&id, remembered(), true, (&mut Vec::new(), 9)).is_none());
    is_new
}

#[tokio::test]
async fn the_one_idle_longest_makes_room() {
    let (desks, room) = (Desks::<Bell>::new(BOUNDS), Arc::new(Room::default()));
    // The order is that of a shelf.
    let ids = one_shelf("a", 4);
    let [a, b, c, d] = &ids[..] else { panic!("four ids") };
    for id in [a, b, c] {
        assert!(work_once(&desks, &room, id), "{id} is new");
    }
    assert!(!work_once(&desks, &room, a), "a is still there, and now used later than b");
    assert!(work_once(&desks, &room, d), "d is new, and b went");
    for id in [a, c, d] {
        assert!(!work_once(&desks, &room, id), "{id} stayed");
    }
    assert!(work_once(&desks, &room, b), "b was forgotten");
}

#[tokio::test]
async fn who_is_at_work_does_not_make_room() {
    let (desks, room) = (Desks::<Bell>::new(BOUNDS), Arc::new(Room::default()));
    for id in ["a", "b", "c"] {
        assert!(matches!(desks.post(id, job(&room, 1)), Posted::Begins(..)));
    }
    let Posted::NoRoom { reason, .. } = desks.post("d", job(&room, 1)) else { panic!("no room") };
    assert!(reason.contains("actors"), "{reason}");
    assert!(matches!(desks.post("a", job(&room, 1)), Posted::Waits));
}

#[tokio::test(start_paused = true)]
async fn the_idle_are_passivated_and_the_used_stay() {
    let (desks, room) = (Desks::<Bell>::new(BOUNDS), Arc::new(Room::default()));
    work_once(&desks, &room, "a");
    work_once(&desks, &room, "b");
    tokio::time::advance(Duration::from_secs(5)).await;
    work_once(&desks, &room, "b");
    tokio::time::advance(Duration::from_secs(5)).await;
    desks.passivate(|_, _, idle| idle >= Duration::from_secs(10));
    assert!(!work_once(&desks, &room, "b"), "used five seconds ago");
    assert!(work_once(&desks, &room, "a"), "ten seconds ago");
}

#[tokio::test]
async fn a_mailbox_is_bounded_in_commands_and_in_bytes() {
    let (desks, room) = (Desks::<Bell>::new(BOUNDS), Arc::new(Room::default()));
    for _ in 0..4 {
        assert!(!matches!(desks.post("many", job(&room, 1)), Posted::NoRoom { .. }));
    }
    assert!(matches!(desks.post("many", job(&room, 1)), Posted::NoRoom { waiting: 4, .. }));
    assert!(!matches!(desks.post("large", job(&room, 60)), Posted::NoRoom { .. }));
    assert!(matches!(desks.post("large", job(&room, 41)), Posted::NoRoom { waiting: 1, .. }));
    assert!(!matches!(desks.post("large", job(&room, 40)), Posted::NoRoom { .. }));
    // A single one of any size is taken, or it could never be carried out.
    assert!(!matches!(desks.post("huge", job(&room, 101)), Posted::NoRoom { .. }));
}

#[tokio::test]
async fn mail_that_was_read_makes_room_again() {
    let (desks, room) = (Desks::<Bell>::new(BOUNDS), Arc::new(Room::default()));
    let Posted::Begins(id, presence) = desks.post("a", job(&room, 100)) else { panic!("new") };
    assert!(matches!(desks.post("a", job(&room, 1)), Posted::NoRoom { .. }));
    assert_eq!(mail(&desks, &id, presence, true).len(), 1);
    assert!(!matches!(desks.post("a", job(&room, 100)), Posted::NoRoom { .. }));
}

#[tokio::test]
async fn who_has_work_left_stays_and_takes_no_more_than_it_has_room_for() {
    let (desks, room) = (Desks::<Bell>::new(BOUNDS), Arc::new(Room::default()));
    let Posted::Begins(id, presence) = desks.post("a", job(&room, 1)) else { panic!("new") };
    for _ in 0..2 {
        assert!(matches!(desks.post("a", job(&room, 1)), Posted::Waits));
    }
    assert_eq!(mail(&desks, &id, presence, true).len(), 2);
    assert_eq!(mail(&desks, &id, remembered(), false).len(), 1);
    assert_eq!(mail(&desks, &id, remembered(), false).len(), 0);
    assert!(matches!(desks.post("a", job(&room, 1)), Posted::Waits), "somebody is at work");
}

#[test]
fn a_node_takes_so_many_commands_and_bytes_and_no_more() {
    let room = Arc::new(Room::default());
    let half = room.take(NODE_COMMAND_BYTES_MAX / 2).expect("empty");
    let rest = room.take(NODE_COMMAND_BYTES_MAX / 2).expect("just enough");
    assert!(room.take(1).is_none());
    drop(half);
    assert!(room.take(1).is_some(), "what is done makes room, and what was refused took none");
    drop(rest);
    let all: Vec<_> = std::iter::repeat_with(|| room.take(0)).take(NODE_COMMANDS_MAX).collect();
    assert!(all.iter().all(Option::is_some));
    assert!(room.take(0).is_none());
    let refusing: Vec<_> = std::iter::repeat_with(|| room.refuse()).take(REFUSALS_MAX).collect();
    assert!(refusing.iter().all(Option::is_some));
    assert!(room.refuse().is_none());
}

/// So many ids that are on the same shelf as `id`, itself first.
fn one_shelf(id: &str, count: usize) -> Vec<String> {
    let shelf = crate::node::desks::shelf_of(id);
    let others = (0..).map(|n| format!("{id}{n}"));
    let others = others.filter(|other| crate::node::desks::shelf_of(other) == shelf);
    std::iter::once(id.to_owned()).chain(others).take(count).collect()
}
