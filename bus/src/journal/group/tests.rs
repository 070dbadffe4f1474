//! Group commit on the journal in memory: what gathers, what goes out together, and what becomes
//! of each chain when the journal refuses, or does not answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::{Appended, Chain, Failed, GroupCommit};
use crate::{
    journal::AppendError,
    limits::BATCH_MAX,
    memory::{Faults, World},
    testing::simulate,
    wire::subject::Shard,
};

struct Bench {
    world: World,
    group: Arc<GroupCommit>,
    shard: Shard,
}

impl Bench {
    /// Everything takes some time each way.
    async fn new() -> Self {
        let world = World::new(3);
        let bus = world.connect("node");
        let shard = Shard::of("till");
        bus.journal().provision(&shard).await.expect("made");
        world.faults(Faults { max_delay: Duration::from_millis(9), ..Faults::default() });
        let group = Arc::new(GroupCommit::new(bus.journal().clone(), shard.clone()));
        Self { world, group, shard }
    }

    async fn append(&self, id: &str, expected: u64, count: usize) -> Appended {
        self.group.append(chain(id, expected, count)).await
    }

    fn count(&self, what: &str) -> u64 {
        self.world.bites().get(what).copied().unwrap_or(0)
    }

    fn stored(&self) -> Vec<String> {
        let commits = self.world.commits("till").into_iter();
        commits.map(|(_, _, bytes)| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }
}

fn chain(id: &str, expected: u64, count: usize) -> Chain {
    let commits = (1..=count).map(|n| Bytes::from(format!("{id}-{n}"))).collect();
    Chain { id: id.into(), expected, commits }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("t{n}")).collect()
}

#[test]
fn what_gathers_while_a_lone_commit_is_under_way_goes_out_together() {
    simulate(async {
        let bench = Bench::new().await;
        let ids = ids(101);
        let all = join_all(ids.iter().map(|id| bench.append(id, 0, 1))).await;
        assert!(all.iter().all(|appended| appended.failed.is_none()));
        let mut sequences: Vec<u64> = all.iter().flat_map(|one| one.stored.clone()).collect();
        assert_eq!(sequences[0], 1, "the lone one did not wait");
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=101).collect::<Vec<_>>());
        assert_eq!(bench.count("batch"), 1, "the others did not wait for each other");
        for (id, appended) in ids.iter().zip(&all) {
            let place = usize::try_from(appended.stored[0] - 1).expect("small");
            assert_eq!(bench.stored()[place], format!("{id}-1"), "each is told its own place");
        }
    });
}

#[test]
fn a_chain_is_stored_in_order_and_behind_its_actor_alone() {
    simulate(async {
        let bench = Bench::new().await;
        let (a, b) = tokio::join!(bench.append("a", 0, 40), bench.append("b", 0, 40));
        assert_eq!((a.failed, b.failed), (None, None));
        let stored = bench.stored();
        for (id, places) in [("a", a.stored), ("b", b.stored)] {
            for (n, place) in (1..).zip(places) {
                let place = usize::try_from(place - 1).expect("small");
                assert_eq!(stored[place], format!("{id}-{n}"));
            }
        }
    });
}

#[test]
fn a_refused_batch_harms_nobody_but_the_one_to_blame() {
    simulate(async {
        let bench = Bench::new().await;
        let ids = ids(50);
        let appends = ids.iter().enumerate().map(|(n, id)| {
            let (expected, count) = if n == 30 { (77, 3) } else { (0, 1 + n % 2) };
            bench.append(id, expected, count)
        });
        let all = join_all(appends).await;
        assert_eq!(bench.count("batch_refused"), 1);
        for (n, appended) in all.iter().enumerate() {
            let conflict = Failed { error: AppendError::Conflict, sent: 1 };
            let (count, failed) = if n == 30 { (0, Some(conflict)) } else { (1 + n % 2, None) };
            assert_eq!((appended.stored.len(), &appended.failed), (count, &failed), "{n}");
        }
        assert!(!bench.stored().iter().any(|text| text.starts_with("t30-")));
    });
}

#[test]
fn a_batch_that_is_not_answered_leaves_all_of_it_in_doubt() {
    simulate(async {
        let bench = Bench::new().await;
        let first = bench.append("a", 0, 1);
        let later = async {
            sleep(Duration::from_micros(1)).await;
            bench.world.faults(Faults { ack_lost: 1_000, ..Faults::default() });
            join_all(ids(40).iter().map(|id| bench.append(id, 0, 2))).await
        };
        let (first, later) = tokio::join!(first, later);
        assert_eq!(first.failed, None);
        for appended in later {
            let doubt = Failed { error: AppendError::Unknown, sent: 2 };
            assert_eq!((appended.stored, appended.failed), (vec![], Some(doubt)));
        }
        assert_eq!(bench.stored().len(), 81, "they are there all the same");
    });
}

#[test]
fn a_round_has_no_more_than_a_batch_may() {
    simulate(async {
        let bench = Bench::new().await;
        let ids = ids(2 * BATCH_MAX / 200);
        let all = join_all(ids.iter().map(|id| bench.append(id, 0, 200))).await;
        assert!(all.iter().all(|appended| appended.failed.is_none()));
        assert_eq!(bench.count("batch"), 2);
    });
}

#[test]
fn whoever_goes_away_in_the_middle_leaves_the_way_open() {
    simulate(async {
        let bench = Bench::new().await;
        bench.world.faults(Faults { max_delay: Duration::from_secs(2), ..Faults::default() });
        let abandoned = timeout(Duration::from_millis(1), bench.append("a", 0, 1)).await;
        assert!(abandoned.is_err(), "it takes longer");
        let began = Instant::now();
        let others = join_all(ids(3).iter().map(|id| bench.append(id, 0, 1))).await;
        assert!(others.iter().all(|appended| appended.failed.is_none()));
        assert!(began.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn a_runtime_that_ends_in_the_middle_of_a_round_ends() {
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let builder = || tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = builder().expect("a runtime");
        runtime.block_on(async {
            let bench = Bench::new().await;
            bench.world.faults(Faults { max_delay: Duration::from_secs(9), ..Faults::default() });
            for id in ["a", "b", "c"] {
                let group = bench.group.clone();
                tokio::spawn(async move { group.append(chain(id, 0, 1)).await });
                let group = bench.group.clone();
                tokio::spawn(async move { group.is_only_ours_since(0).await });
            }
            sleep(Duration::from_millis(20)).await;
        });
        drop(runtime);
        ended.send(()).expect("somebody waits");
    });
    end.recv_timeout(Duration::from_secs(20)).expect("it ends");
}

#[test]
fn one_look_tells_many_that_nobody_else_has_written() {
    simulate(async {
        let bench = Bench::new().await;
        let own = bench.append("a", 0, 1).await.stored[0];
        let looks = join_all((0..50).map(|_| bench.group.is_only_ours_since(own))).await;
        assert!(looks.iter().all(|is_only_ours| *is_only_ours));
        // Somebody else writes, to whichever actor.
        let other = bench.world.connect("other");
        let foreign = other.journal().append(&bench.shard, "b", 0, Bytes::from("theirs")).await;
        assert!(!bench.group.is_only_ours_since(own).await);
        assert!(!bench.group.is_only_ours_since(own).await, "it stays unknown what they wrote to");
        // Of what is seen to be the newest behind that, it can be told again.
        let known = bench.group.known();
        assert!(known >= foreign.expect("stored"));
        assert!(bench.group.is_only_ours_since(known).await);
        let next = bench.append("a", own, 1).await.stored[0];
        assert!(bench.group.is_only_ours_since(next).await);
        assert!(!bench.group.is_only_ours_since(own).await);
    });
}

#[test]
fn what_was_written_between_two_commits_of_ours_is_not_taken_for_ours() {
    simulate(async {
        let bench = Bench::new().await;
        let first = bench.append("a", 0, 1).await.stored[0];
        let other = bench.world.connect("other");
        other.journal().append(&bench.shard, "b", 0, Bytes::from("theirs")).await.expect("stored");
        let second = bench.append("a", first, 1).await.stored[0];
        assert!(!bench.group.is_only_ours_since(first).await);
        assert!(bench.group.is_only_ours_since(second).await);
    });
}
