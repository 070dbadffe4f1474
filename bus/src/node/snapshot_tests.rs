//! Snapshots that are good, spoilt, foreign and outdated.

use std::collections::BTreeMap;

use nats_server::TestServer;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    Key,
    asking::transport::nats::NatsNetwork,
    journal::{Journal, nats::NatsJournal},
    model::{
        actor::{Context, Handle},
        ambient::Ambient,
        time::Timestamp,
    },
    node::{
        activation::Presence,
        command::{Command, deadline},
        turn_tests,
    },
    placement::Placement,
    wire::{envelope::RequestHeaders, subject::Shard},
};

/// A ledger with accounts. `STATE` lets it be the ledger of another build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger<const STATE: u32> {
    accounts: BTreeMap<String, u64>,
    pub(crate) last: Option<Posted>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Posted {
    #[serde(rename = "paid_in")]
    PaidIn { account: String, amount: u64 },
    #[serde(rename = "closed")]
    Closed { account: String },
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
pub(crate) struct No;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PayIn(String, u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Show {}

impl<const STATE: u32> Actor for Ledger<STATE> {
    const KIND: &'static str = "ledger";
    const STATE: u32 = STATE;
    type Event = Posted;
    type Error = No;
    type Commands = (PayIn, Show);

    fn apply(&mut self, event: &Posted) {
        match event {
            // The build with number 9 counts otherwise.
            Posted::PaidIn { account, amount } => {
                let factor = if STATE == 9 { 2 } else { 1 };
                *self.accounts.entry(account.clone()).or_default() += amount * factor;
            }
            Posted::Closed { account } => drop(self.accounts.remove(account)),
        }
        self.last = Some(event.clone());
    }
}

impl<const STATE: u32> Handle<PayIn> for Ledger<STATE> {
    const NAME: &'static str = "pay_in";
    type Reply = u64;

    fn handle(&self, PayIn(account, amount): PayIn, ctx: &mut Context<Self>) -> Result<u64, No> {
        let total = self.accounts.get(&account).copied().unwrap_or(0) + amount;
        ctx.emit(Posted::PaidIn { account: account.clone(), amount });
        if total > 1_000 {
            ctx.emit(Posted::Closed { account });
        }
        Ok(total)
    }
}

impl<const STATE: u32> Handle<Show> for Ledger<STATE> {
    const NAME: &'static str = "show";
    type Reply = Self;

    fn handle(&self, _: Show, _: &mut Context<Self>) -> Result<Self, No> {
        Ok(self.clone())
    }
}

pub(crate) async fn home() -> (TestServer, Home) {
    let server = TestServer::get().await;
    let network = NatsNetwork::connect(&server.url).await.expect("up");
    let journal = Arc::new(NatsJournal::new(&network, 1));
    let shard = Shard::of("ledger");
    journal.provision(&shard).await.expect("made");
    journal.provision_bucket(&subject::snapshot_bucket("ledger")).await.expect("made");
    let cells: Arc<dyn Cells> = journal.clone();
    let placement = Placement::new("node", Arc::new(network), cells.clone());
    let home =
        Home::new((journal, cells), Ambient::Real, Arc::new(placement), Arc::default(), shard);
    (server, home)
}

pub(crate) fn fresh<const STATE: u32>() -> Id<Ledger<STATE>> {
    Id::parse(Key::random().as_str()).expect("a token")
}

pub(crate) fn command(name: &str, body: &impl Serialize) -> Command {
    Command {
        name: name.into(),
        headers: RequestHeaders::default(),
        key: Key::random(),
        encoding: Encoding::Json,
        body: Encoding::Json.encode(body).expect("plain data").into(),
        deadline: deadline(Some(Duration::from_secs(60))),
    }
}

/// Sends a command to an activation; the answer's body.
pub(crate) async fn carry_out<const STATE: u32>(
    home: &Home,
    id: &Id<Ledger<STATE>>,
    presence: &mut Presence<Ledger<STATE>>,
    command: &Command,
) -> Vec<u8> {
    turn_tests::carry_out(home, id, presence, command).await.outcome.expect("carried out")
}

pub(crate) async fn show<const STATE: u32>(
    home: &Home,
    id: &Id<Ledger<STATE>>,
    presence: &mut Presence<Ledger<STATE>>,
) -> Ledger<STATE> {
    let body = carry_out(home, id, presence, &command("show", &Show {})).await;
    serde_json::from_slice(&body).expect("a ledger")
}

pub(crate) async fn pay_in<const STATE: u32>(
    home: &Home,
    id: &Id<Ledger<STATE>>,
    presence: &mut Presence<Ledger<STATE>>,
    count: u64,
) {
    for amount in 0..count {
        let account = ["ann", "bob", "cid"][usize::try_from(amount % 3).expect("small")];
        let pay_in = command("pay_in", &PayIn(account.to_owned(), amount % 100));
        carry_out(home, id, presence, &pay_in).await;
    }
}

pub(crate) fn absent<A: Actor>() -> Presence<A> {
    Presence::Absent { trust_replicas: true }
}

pub(crate) async fn stored(home: &Home, id: &str) -> Option<Vec<u8>> {
    let found = home.cells.get("SNAP_ledger", id).await.expect("readable");
    found.map(|bytes| bytes.to_vec())
}

async fn store(home: &Home, id: &str, bytes: Vec<u8>) {
    home.cells.put("SNAP_ledger", id, bytes.into(), None).await.expect("stored");
}

#[tokio::test]
async fn a_bad_snapshot_is_ignored_and_overwritten() {
    let (_server, home) = home().await;
    let (id, mut first) = (fresh::<1>(), absent());
    pay_in(&home, &id, &mut first, 140).await;
    let truth = show(&home, &id, &mut first).await;
    first.draft_snapshot(&home).expect("drafted").put(home.cells.clone()).await;
    let good = stored(&home, id.as_str()).await.expect("there is one");
    // The actor's own, but of a commit that its journal does not have.
    let foreign = Origin { id: id.as_str(), sequence: 3, commit: "another" };
    let wrong = Ledger::<1> { last: None, accounts: [("eve".to_owned(), 9)].into() };
    let keys = KeyMemory::default();
    let foreign =
        encode(&home.shard.stream, &foreign, &wrong, &keys, &Armed::default()).expect("plain data");
    let beyond = Origin { id: id.as_str(), sequence: 1 << 40, commit: "another" };
    let beyond =
        encode(&home.shard.stream, &beyond, &wrong, &keys, &Armed::default()).expect("plain data");
    let another = Origin { id: "another", sequence: 3, commit: "another" };
    let another =
        encode(&home.shard.stream, &another, &wrong, &keys, &Armed::default()).expect("plain data");
    // Among the keys' hashes, where it would be read without complaint.
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[HEAD_BYTES + at] ^= 1;
        bytes
    };
    let mut other_format = good.clone();
    other_format[0] = 9;
    for (what, bad) in [
        ("foreign", foreign.to_vec()),
        ("beyond", beyond.to_vec()),
        ("another's", another.to_vec()),
        ("flipped", flipped(400)),
        ("flipped", flipped(405)),
        ("flipped", flipped(410)),
        ("other format", other_format),
        ("cut", good[..good.len() / 2].to_vec()),
        ("empty", Vec::new()),
    ] {
        store(&home, id.as_str(), bad.clone()).await;
        let mut again = absent();
        assert_eq!(show(&home, &id, &mut again).await, truth, "{what}");
        assert!(again.wants_snapshot(true), "{what}: all of it was folded");
        again.draft_snapshot(&home).expect("drafted").put(home.cells.clone()).await;
        assert_eq!(stored(&home, id.as_str()).await.as_ref(), Some(&good), "{what}");
    }
    let mut again = absent();
    assert_eq!(show(&home, &id, &mut again).await, truth);
    assert!(!again.wants_snapshot(true), "a good one is used");
}

#[tokio::test]
async fn a_snapshot_of_another_build_is_ignored() {
    let (_server, home) = home().await;
    let (id, mut first) = (fresh::<1>(), absent());
    pay_in(&home, &id, &mut first, 140).await;
    first.draft_snapshot(&home).expect("drafted").put(home.cells.clone()).await;
    let truth = show(&home, &id, &mut first).await;
    let (renumbered, mut other) = (Id::<Ledger<9>>::parse(id.as_str()).expect("a token"), absent());
    let otherwise = show(&home, &renumbered, &mut other).await;
    assert!(other.wants_snapshot(true), "all of it was folded");
    assert_ne!(otherwise.accounts, truth.accounts);
}

#[test]
fn a_snapshot_says_of_which_code_it_is() {
    let origin = Origin { id: "l", sequence: 3, commit: "c" };
    let bytes = encode(
        "EVT_ledger_0",
        &origin,
        &Ledger::<1>::default(),
        &KeyMemory::default(),
        &Armed::default(),
    );
    let bytes = bytes.expect("plain data");
    assert!(decode::<Ledger<1>>("EVT_ledger_0", "l", &bytes).is_ok());
    let other = decode::<Ledger<9>>("EVT_ledger_0", "l", &bytes).map(|snapshot| snapshot.sequence);
    assert_eq!(other, Err(Unfit::OtherCode { shape: 1, state_number: 1 }));
}

#[tokio::test]
async fn a_debug_build_notices_an_apply_that_changed_without_its_number() {
    let (_server, home) = home().await;
    let (id, mut first) = (fresh::<1>(), absent());
    pay_in(&home, &id, &mut first, 140).await;
    let truth = show(&home, &id, &mut first).await;
    let journal = home.journal.last(&home.shard, id.as_str()).await;
    let last = journal.expect("readable").expect("there are commits");
    let commit = crate::node::repeat::identity(&last).expect("a commit").commit;
    let origin = Origin { id: id.as_str(), sequence: last.sequence, commit: &commit };
    let wrong = Ledger::<1>::default();
    let bytes =
        encode(&home.shard.stream, &origin, &wrong, &KeyMemory::default(), &Armed::default());
    store(&home, id.as_str(), bytes.expect("plain data").to_vec()).await;
    let seen = show(&home, &id, &mut absent()).await;
    assert_eq!(seen, if cfg!(debug_assertions) { truth } else { wrong });
}

#[tokio::test]
async fn keys_are_recognised_after_a_load_from_a_snapshot() {
    let (_server, home) = home().await;
    let (id, mut first) = (fresh::<1>(), absent());
    let sent = |amount| {
        let mut command = command("pay_in", &PayIn("ann".to_owned(), amount));
        command.headers.key = Some(command.key.clone());
        command
    };
    let early = sent(7);
    let answer = carry_out(&home, &id, &mut first, &early).await;
    pay_in(&home, &id, &mut first, 140).await;
    first.draft_snapshot(&home).expect("drafted").put(home.cells.clone()).await;
    let late = sent(8);
    let late_answer = carry_out(&home, &id, &mut first, &late).await;
    let mut again = absent();
    // Before the snapshot's commit, and after it; neither says when it was first sent.
    assert_eq!(carry_out(&home, &id, &mut again, &early).await, answer);
    assert_eq!(carry_out(&home, &id, &mut again, &late).await, late_answer);
    assert!(!again.wants_snapshot(true), "it was loaded from the snapshot");
    assert_eq!(show(&home, &id, &mut again).await, show(&home, &id, &mut first).await);
}

#[tokio::test]
async fn the_sequence_before_a_time_is_found() {
    let (_server, home) = home().await;
    let before = async |at| home.journal.before(&home.shard, at).await.expect("readable");
    assert_eq!(before(Timestamp::now()).await, 0, "an empty journal");
    let (id, mut presence) = (fresh::<1>(), absent());
    let start = Timestamp::now();
    pay_in(&home, &id, &mut presence, 5).await;
    let step = Duration::from_millis(20);
    tokio::time::sleep(step).await;
    let middle = Timestamp::now();
    tokio::time::sleep(step).await;
    pay_in(&home, &id, &mut presence, 3).await;
    assert_eq!(before(Timestamp::from_millis(0)).await, 0);
    assert_eq!(before(start.minus(step)).await, 0);
    assert_eq!(before(middle).await, 5);
    assert_eq!(before(Timestamp::now().plus(Duration::from_secs(60))).await, 8);
}

#[tokio::test]
async fn two_keys_with_one_hash_are_told_apart() {
    let (_server, home) = home().await;
    let (id, mut presence) = (fresh::<1>(), absent());
    let first = command("pay_in", &PayIn("ann".to_owned(), 7));
    let answer = carry_out(&home, &id, &mut presence, &first).await;
    let second = command("pay_in", &PayIn("bob".to_owned(), 8));
    carry_out(&home, &id, &mut presence, &second).await;
    // The memory takes the first key for that of the second commit.
    let mut keys = KeyMemory::default();
    keys.remember("older", 1, Timestamp::now());
    keys.remember(first.key.as_str(), 2, Timestamp::now());
    let found = crate::node::repeat::commit_of(&home, &id, &mut keys, &first).await;
    let found = found.expect("readable").expect("it is there");
    assert_eq!(
        crate::node::repeat::identity(&found).expect("a commit").key,
        first.key.as_str().into()
    );
    assert_eq!(found.sequence, 1);
    assert_eq!(carry_out(&home, &id, &mut presence, &first).await, answer);
}

#[test]
fn what_is_remembered_of_an_idle_actor_is_small() {
    let beside =
        size_of::<crate::node::activation::Activation<Ledger<1>>>() - size_of::<Ledger<1>>();
    assert!(beside <= 256, "{beside} bytes");
}

#[test]
fn a_snapshot_waits_its_turn() {
    let mut upkeep = Upkeep::default();
    assert!(!upkeep.is_due(true));
    (0..SNAPSHOT_AT_REST).for_each(|_| upkeep.count_commit());
    assert!(upkeep.is_due(true) && !upkeep.is_due(false));
    (0..SNAPSHOT_EVERY).for_each(|_| upkeep.count_commit());
    assert!(upkeep.is_due(false));
    let one = Arc::new(());
    upkeep.putting = Arc::downgrade(&one);
    assert!(!upkeep.is_due(true), "one at a time");
    drop(one);
    upkeep.is_hopeless = true;
    assert!(!upkeep.is_due(true), "said once");
}

#[tokio::test(start_paused = true)]
async fn a_hot_actor_does_not_write_snapshots_all_the_time() {
    let mut upkeep = Upkeep { since: SNAPSHOT_EVERY, ..Upkeep::default() };
    upkeep.drafted = Some(Instant::now());
    assert!(!upkeep.is_due(false));
    tokio::time::advance(SNAPSHOT_PAUSE).await;
    assert!(upkeep.is_due(false));
}

#[tokio::test]
async fn a_state_that_is_too_large_has_no_snapshot() {
    let (_server, home) = home().await;
    let mut upkeep = Upkeep { since: SNAPSHOT_EVERY, ..Upkeep::default() };
    let large =
        Ledger::<1> { accounts: [("x".repeat(SNAPSHOT_BYTES_MAX), 1)].into(), ..Ledger::default() };
    let origin = Origin { id: "large", sequence: 1, commit: "c" };
    assert!(
        upkeep.draft(&home, &origin, &large, &KeyMemory::default(), &Armed::default()).is_none()
    );
    assert!(!upkeep.is_due(false), "it is not tried again and again");
}

proptest! {
    #[test]
    fn a_snapshot_anywhere_folds_on_as_if_it_had_not_been(
        commands in proptest::collection::vec(("[a-c]{1,2}", 0..600_u64), 1..60),
        cut in 0..60_usize,
    ) {
        let decide = |state: &Ledger<1>, n: usize, (account, amount): &(String, u64)| {
            let key = Key::parse(&format!("k{n}")).expect("a key");
            let mut ctx = Context::new(fresh(), Timestamp::from_millis(0), key, None);
            state.handle(PayIn(account.clone(), *amount), &mut ctx).expect("never refused");
            ctx.events
        };
        let (mut folded, mut keys) = (Ledger::<1>::default(), KeyMemory::default());
        let mut restored = None;
        for (n, command) in commands.iter().enumerate() {
            let (sequence, at) = (n as u64 * 3 + 1, Timestamp::from_millis(n as u64));
            if n == cut {
                let origin = Origin { id: "l", sequence: sequence - 1, commit: "c" };
                if n > 0 {
                    let bytes = encode("EVT_ledger_0", &origin, &folded, &keys, &Armed::default()).expect("plain");
                    let read = decode::<Ledger<1>>("EVT_ledger_0", "l", &bytes).expect("good");
                    prop_assert_eq!(read.sequence, sequence - 1);
                    restored = Some((read.state, KeyMemory::from(read.keys)));
                }
            }
            let events = decide(&folded, n, command);
            if let Some((state, keys)) = &mut restored {
                prop_assert_eq!(&decide(state, n, command), &events);
                events.iter().for_each(|event| state.apply(event));
                keys.remember(&format!("k{n}"), sequence, at);
            }
            events.iter().for_each(|event| folded.apply(event));
            keys.remember(&format!("k{n}"), sequence, at);
        }
        if let Some((state, restored_keys)) = restored {
            prop_assert_eq!(&state, &folded);
            for n in 0..commands.len() {
                let key = format!("k{n}");
                let now = crate::node::keys::Sent::Now;
                prop_assert_eq!(restored_keys.recall(&key, now), keys.recall(&key, now));
            }
        }
    }
}
