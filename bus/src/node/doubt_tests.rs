//! Appends in doubt, on a real journal that loses acknowledgements on purpose.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use nats_server::TestServer;
use serde::{Deserialize, Serialize};

use crate::{
    Actor, Context, Handle, Id, Key,
    asking::transport::nats::NatsNetwork,
    journal::{
        AppendError, Batch, Bounds, BoxFuture, Delivery, Entry, Journal, Proposal, ReadError,
        Source, nats::NatsJournal,
    },
    limits::KEYS_KEPT_FEW,
    model::ambient::Ambient,
    node::{
        activation::{Home, Presence},
        command::{Command, deadline},
        turn_tests::carry_out,
    },
    placement::Placement,
    wire::{
        encoding::Encoding,
        envelope::{Answer, RequestHeaders},
        error::Error,
        failure::Status,
        subject::{self, Shard},
    },
};

/// What happens to the next append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// It is stored, and its acknowledgement is lost.
    AckLost,
    /// It is lost itself.
    Lost,
    /// It is stored only after the caller has looked.
    Late,
    /// As late, and the caller has waited for it before.
    Slow,
    /// The journal does not take it.
    Refused,
    /// Nor this, which is larger than the server allows.
    TooLarge,
    /// It is lost, and nobody can look whether it is.
    Unseen,
    /// Nothing can be read.
    Unreadable,
}

const SLOW: Duration = Duration::from_secs(1);

/// A journal with one fault in store.
#[derive(Debug)]
struct Doubtful {
    inner: Arc<NatsJournal>,
    fault: Mutex<Fault>,
    /// Batches read from the leader.
    reads: AtomicU32,
}

impl Doubtful {
    async fn append_with_fault(
        &self,
        shard: &Shard,
        id: &str,
        expected: u64,
        commit: Bytes,
    ) -> Result<u64, AppendError> {
        let fault = std::mem::replace(&mut *self.fault.lock().expect("whole"), Fault::None);
        match fault {
            Fault::None => self.inner.append(shard, id, expected, commit).await,
            Fault::Lost => Err(AppendError::Unknown),
            Fault::Refused => Err(AppendError::Refused("on purpose".into())),
            Fault::TooLarge => Err(AppendError::TooLarge),
            Fault::Unseen | Fault::Unreadable => {
                *self.fault.lock().expect("whole") = Fault::Unreadable;
                Err(AppendError::Unknown)
            }
            Fault::AckLost => {
                self.inner.append(shard, id, expected, commit).await.expect("it is stored");
                Err(AppendError::Unknown)
            }
            Fault::Late | Fault::Slow => {
                let wait = if fault == Fault::Slow { SLOW } else { Duration::ZERO };
                tokio::time::sleep(wait).await;
                let (inner, shard, id) = (self.inner.clone(), shard.clone(), id.to_owned());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    // It may come too late to be stored: its own check sees to that.
                    drop(inner.append(&shard, &id, expected, commit).await);
                });
                Err(AppendError::Unknown)
            }
        }
    }
}

impl Journal for Doubtful {
    fn shards<'a>(&'a self, kind: &'a str) -> BoxFuture<'a, Result<u32, ReadError>> {
        self.inner.shards(kind)
    }

    fn provision<'a>(&'a self, shard: &'a Shard) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.provision(shard)
    }

    fn append<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        expected: u64,
        commit: Bytes,
    ) -> BoxFuture<'a, Result<u64, AppendError>> {
        Box::pin(self.append_with_fault(shard, id, expected, commit))
    }

    fn append_all<'a>(
        &'a self,
        shard: &'a Shard,
        proposals: Vec<Proposal>,
    ) -> BoxFuture<'a, Result<u64, AppendError>> {
        self.inner.append_all(shard, proposals)
    }

    fn read<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        self.inner.read(shard, id, after)
    }

    fn read_from_leader<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.read_from_leader(shard, id, after)
    }

    fn last<'a>(
        &'a self,
        shard: &'a Shard,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        if *self.fault.lock().expect("whole") == Fault::Unreadable {
            return Box::pin(async { Err(ReadError("on purpose".into())) });
        }
        self.inner.last(shard, id)
    }

    fn at<'a>(
        &'a self,
        shard: &'a Shard,
        sequence: u64,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        self.inner.at(shard, sequence)
    }

    fn bounds<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<Bounds, ReadError>> {
        self.inner.bounds(stream)
    }

    fn follow<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Entry, ReadError>>, ReadError>> {
        self.inner.follow(stream, sequence)
    }

    fn before<'a>(
        &'a self,
        shard: &'a Shard,
        time: crate::model::time::Timestamp,
    ) -> BoxFuture<'a, Result<u64, ReadError>> {
        self.inner.before(shard, time)
    }

    fn release<'a>(&'a self, source: &'a Source) -> BoxFuture<'a, ()> {
        self.inner.release(source)
    }

    fn deliver<'a>(
        &'a self,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Delivery, ReadError>>, ReadError>> {
        self.inner.deliver(source)
    }

    fn probe<'a>(&'a self, node: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.inner.probe(node)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally(u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Tallied {
    #[serde(rename = "tallied")]
    Tallied(u64),
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
struct No;

#[derive(Serialize, Deserialize)]
struct Add(u64);

/// Adds, but only until then.
#[derive(Serialize, Deserialize)]
struct AddUntil(u64, u64);

impl Actor for Tally {
    const KIND: &'static str = "tally";
    type Event = Tallied;
    type Error = No;
    type Commands = (Add, AddUntil);

    fn apply(&mut self, Tallied::Tallied(amount): &Tallied) {
        self.0 += amount;
    }
}

impl Handle<Add> for Tally {
    const NAME: &'static str = "add";
    type Reply = u64;

    fn handle(&self, Add(amount): Add, ctx: &mut Context<Self>) -> Result<u64, No> {
        ctx.emit(Tallied::Tallied(amount));
        Ok(self.0 + amount)
    }
}

impl Handle<AddUntil> for Tally {
    const NAME: &'static str = "add_until";
    type Reply = u64;

    fn handle(&self, command: AddUntil, ctx: &mut Context<Self>) -> Result<u64, No> {
        let AddUntil(amount, until) = command;
        if ctx.now().as_millis() > until {
            return Err(No);
        }
        self.handle(Add(amount), ctx)
    }
}

fn add(amount: u64, key: &Key) -> Command {
    command("add", &Add(amount), key)
}

fn command(name: &str, body: &impl Serialize, key: &Key) -> Command {
    let body = Encoding::Json.encode(body).expect("plain data").into();
    Command {
        name: name.into(),
        headers: RequestHeaders::default(),
        key: key.clone(),
        encoding: Encoding::Json,
        body,
        deadline: deadline(Some(Duration::from_secs(10))),
    }
}

fn total(answer: &Answer) -> u64 {
    let body = answer.outcome.as_ref().expect("carried out");
    serde_json::from_slice(body).expect("a number")
}

async fn doubtful() -> (TestServer, Arc<Doubtful>, Home) {
    let server = TestServer::own().await;
    let transport = NatsNetwork::connect(&server.url).await.expect("up");
    let inner = Arc::new(NatsJournal::new(&transport, 1));
    let doubtful = Arc::new(Doubtful {
        inner: inner.clone(),
        fault: Mutex::new(Fault::None),
        reads: 0.into(),
    });
    let placement = Placement::new("me", Arc::new(transport), inner.clone());
    let placement = Arc::new(placement);
    let shard = Shard::of("tally");
    let home =
        Home::new((doubtful.clone(), inner), Ambient::Real, placement, Arc::default(), shard);
    home.journal.provision(&home.shard).await.expect("provisioned");
    (server, doubtful, home)
}

#[tokio::test]
async fn what_may_still_be_stored_is_never_called_refused() {
    let (_server, doubtful, home) = doubtful().await;
    let (id, key) = (Id::<Tally>::derived("t", &["until"]), Key::random());
    let mut presence = Presence::Absent { trust_replicas: true };
    *doubtful.fault.lock().expect("whole") = Fault::Slow;
    // Decided in time once; in doubt, and decided again, it is too late.
    let until = home.ambient.now().plus(SLOW / 2).as_millis();
    let command = command("add_until", &AddUntil(5, until), &key);
    let answer = carry_out(&home, &id, &mut presence, &command).await;
    let failure = answer.outcome.expect_err("it is open what became of it");
    assert_eq!(failure.status, Status::Expired, "{failure}");
    while home.journal.last(&home.shard, id.as_str()).await.expect("readable").is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Asked again, it tells what did.
    let again = carry_out(&home, &id, &mut presence, &command).await;
    assert_eq!(total(&again), 5);
}

#[tokio::test]
async fn many_repeats_at_once_are_searched_for_once() {
    let (_server, doubtful, home) = doubtful().await;
    let id = Id::<Tally>::derived("t", &["repeats"]);
    let mut presence = Presence::Absent { trust_replicas: true };
    let keys: Vec<Key> = (0..3 * KEYS_KEPT_FEW).map(|_| Key::random()).collect();
    let sent = |key: &Key| {
        let mut command = add(1, key);
        command.headers.key = Some(key.clone());
        command
    };
    for key in &keys {
        carry_out(&home, &id, &mut presence, &add(1, key)).await;
    }
    // As after a pause in which others went on, and repeats of what they did: a snapshot has few
    // of the keys.
    let bucket = subject::snapshot_bucket(Tally::KIND);
    home.cells.provision_bucket(&bucket).await.expect("provisioned");
    presence.draft_snapshot(&home).expect("drafted").put(home.cells.clone()).await;
    presence = Presence::Absent { trust_replicas: false };
    let first = carry_out(&home, &id, &mut presence, &sent(&keys[0])).await;
    assert_eq!(total(&first), 1);
    let reads = doubtful.reads.load(Ordering::Relaxed);
    for (n, key) in (1..).zip(&keys[..KEYS_KEPT_FEW]) {
        let again = carry_out(&home, &id, &mut presence, &sent(key)).await;
        assert_eq!(total(&again), n);
    }
    assert_eq!(doubtful.reads.load(Ordering::Relaxed), reads);
}

#[tokio::test]
async fn what_was_not_stored_is_in_no_later_state() {
    let (_server, doubtful, home) = doubtful().await;
    for (fault, status) in [
        (Fault::Refused, Status::Unavailable),
        (Fault::TooLarge, Status::TooLarge),
        (Fault::Unseen, Status::Expired),
    ] {
        let id = Id::<Tally>::derived("t", &[&format!("{fault:?}")]);
        let mut presence = Presence::Absent { trust_replicas: true };
        let first = carry_out(&home, &id, &mut presence, &add(1, &Key::random())).await;
        assert_eq!(total(&first), 1);
        *doubtful.fault.lock().expect("whole") = fault;
        let mut lost = add(10, &Key::random());
        lost.deadline = deadline(Some(Duration::from_millis(100)));
        let failure = carry_out(&home, &id, &mut presence, &lost).await.outcome.expect_err("lost");
        assert_eq!(failure.status, status, "{failure}");
        *doubtful.fault.lock().expect("whole") = Fault::None;
        let next = carry_out(&home, &id, &mut presence, &add(100, &Key::random())).await;
        assert_eq!(total(&next), 101, "{fault:?}");
    }
}

#[tokio::test]
async fn an_append_in_doubt_takes_effect_once_and_is_answered_once() {
    let (_server, doubtful, home) = doubtful().await;
    for fault in [Fault::None, Fault::AckLost, Fault::Lost, Fault::Late] {
        let id = Id::<Tally>::derived("t", &[&format!("{fault:?}")]);
        let mut presence = Presence::Absent { trust_replicas: true };
        let mut sum = 0;
        for amount in 1..=20 {
            *doubtful.fault.lock().expect("whole") = fault;
            let key = Key::random();
            let command = add(amount, &key);
            let answer = carry_out(&home, &id, &mut presence, &command).await;
            sum += amount;
            assert_eq!(total(&answer), sum, "{fault:?}");
            // Its caller did not hear, and asks again.
            let again = carry_out(&home, &id, &mut presence, &add(amount, &key)).await;
            assert_eq!((total(&again), again.position), (sum, answer.position), "{fault:?}");
        }
        // Whatever was late has come or been refused by now.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let batch = home.journal.read(&home.shard, id.as_str(), 0).await.expect("readable");
        assert_eq!(batch.entries.len(), 20, "{fault:?}: one commit for each command");
    }
}
