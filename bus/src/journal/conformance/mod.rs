//! One list of promises, and every journal there is held to it: the one in memory, one
//! nats-server, and a cluster of three.
//!
//! A promise is a function that panics where it is broken. Each is run on each journal and
//! ticked off by name, so that a simulation on the journal in memory says something about the
//! real ones.

mod batches;
mod bench;
mod cells;
mod commits;
mod delivering;
mod letters;
mod surviving;

use std::{io::Write, panic::AssertUnwindSafe, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::LocalBoxFuture,
    stream::{BoxStream, unfold},
};
use nats_server::{TestCluster, TestServer};
use tokio::time::{Instant, sleep, timeout};

use self::bench::{Bench, Client, Cluster, InMemory, OneServer};
use super::{AppendError, Delivery, ReadError, Source};
use crate::wire::subject::Shard;

/// What every journal, post and bucket promises.
struct Promise {
    name: &'static str,
    keep: for<'a> fn(&'a mut dyn Bench) -> LocalBoxFuture<'a, ()>,
}

macro_rules! promises {
    ($($module:ident: $($name:ident)+;)+) => {
        const PROMISES: &[Promise] = &[
            $($(Promise {
                name: stringify!($name),
                keep: |bench| Box::pin($module::$name(bench)),
            },)+)+
        ];
    };
}

promises! {
    commits:
        an_actors_commits_keep_their_order
        sequences_rise_over_a_whole_stream
        an_append_at_another_version_conflicts_and_stores_nothing
        expecting_nothing_means_no_commit_yet
        a_lost_acknowledgement_is_found_in_the_last_commit
        a_commit_sent_again_is_stored_once_and_its_writer_can_tell
        of_concurrent_writers_exactly_one_is_first
        a_batch_says_honestly_whether_it_is_the_last
        the_leader_never_lags
        nothing_stored_since_a_time_lies_before_it
        bounds_name_the_last_sequence_and_the_stream
        what_is_too_large_is_refused_and_not_stored
        what_no_stream_takes_is_refused;
    batches:
        a_batch_is_stored_whole_in_order_and_without_gaps
        a_batch_with_one_wrong_version_stores_nothing
        of_concurrent_batches_each_is_whole_or_not_there
        a_batch_that_went_unheard_is_whole_or_not_there
        a_batch_survives_a_kill_whole_or_not_at_all
        shards_are_separate_and_their_count_is_fixed;
    delivering:
        following_from_any_place_gets_everything
        deliveries_keep_each_actors_order
        what_is_not_acknowledged_is_delivered_again
        what_is_worked_on_is_not_delivered_again
        what_is_acknowledged_is_not_delivered_again
        delivery_begins_anew_behind_the_last_gap
        a_filter_lets_only_its_own_through
        one_client_at_a_time_is_given_a_source
        another_client_is_given_it_when_the_first_is_gone
        a_released_source_is_given_to_another_at_once;
    letters:
        letters_are_kept_listed_read_and_removed
        many_letters_are_listed_in_batches
        a_tell_is_gone_once_it_is_acknowledged
        only_what_is_acknowledged_is_swept
        a_schedule_fires_once_and_never_early
        a_schedule_of_the_past_fires_now
        a_schedule_is_replaced_by_name
        a_schedule_can_be_disarmed
        an_overtaken_schedule_changes_nothing
        a_schedule_recurs;
    cells:
        a_cell_is_put_read_and_taken_away
        a_cell_that_is_not_renewed_is_gone
        a_watcher_is_told_what_is_there_and_what_changes;
    surviving:
        all_that_was_acknowledged_survives_a_kill
        following_goes_on_after_a_kill
        a_followers_place_survives_a_kill
        a_schedule_survives_a_kill;
}

/// A machine may be busy; no promise is a matter of seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which promises are kept one after another: every one, or every third one, as most of them wait.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    Third(usize),
}

impl Part {
    fn promises(self) -> impl Iterator<Item = &'static Promise> {
        let (begin, step) = match self {
            Self::Whole => (0, 1),
            Self::Third(begin) => (begin, 3),
        };
        PROMISES.iter().skip(begin).step_by(step)
    }
}

async fn hold_to_promises(part: Part, bench: &mut dyn Bench) {
    let only = std::env::var("PROMISE").unwrap_or_default();
    let mut broken = Vec::new();
    for promise in part.promises().filter(|promise| promise.name.contains(&only)) {
        let (name, on) = (promise.name.replace('_', " "), bench.name());
        let began = Instant::now();
        let kept = AssertUnwindSafe((promise.keep)(bench)).catch_unwind().await.is_ok();
        let (mark, took) = (if kept { "✓" } else { "✗" }, began.elapsed().as_secs());
        say(&format!("promise {mark} {on}: {name} ({took} s)"));
        if !kept {
            broken.push(promise.name);
        }
    }
    assert!(broken.is_empty(), "broken by {}: {broken:?}", bench.name());
}

/// Shown also where a test that passes is not: the list is for whoever reads the log.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is there");
}

#[tokio::test(start_paused = true)]
async fn the_journal_in_memory_keeps_its_promises() {
    hold_to_promises(Part::Whole, &mut InMemory::new("memory", Duration::ZERO)).await;
}

#[tokio::test(start_paused = true)]
async fn the_journal_in_memory_keeps_them_when_everything_takes_time() {
    hold_to_promises(Part::Whole, &mut InMemory::new("slow memory", Duration::from_millis(40)))
        .await;
}

/// Holds three of a kind to a third of the promises each, side by side.
async fn in_thirds<B: Bench>(start: impl AsyncFn() -> B) {
    let third = async |number| {
        let mut bench = start().await;
        hold_to_promises(Part::Third(number), &mut bench).await;
    };
    tokio::join!(third(0), third(1), third(2));
}

#[tokio::test]
async fn one_server_keeps_its_promises() {
    in_thirds(async || OneServer(TestServer::own().await)).await;
}

#[tokio::test]
async fn a_cluster_of_three_keeps_its_promises() {
    in_thirds(async || Cluster(TestCluster::start().await)).await;
}

#[test]
fn the_thirds_are_the_whole() {
    let names = |part: Part| part.promises().map(|promise| promise.name).collect::<Vec<_>>();
    let mut all = [0, 1, 2].map(|third| names(Part::Third(third))).concat();
    let mut whole = names(Part::Whole);
    all.sort_unstable();
    whole.sort_unstable();
    assert_eq!(all, whole);
}

/// Tries until it succeeds: a server that was just killed, or elects a leader, needs a moment.
async fn settle<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    mut attempt: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "never: {error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Looks until there is something to be seen.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A kind of its own for one promise.
async fn shard(client: &Client, kind: &str) -> Shard {
    let shard = Shard::of(kind);
    settle(|| client.journal.provision(&shard)).await;
    shard
}

/// Appends where nothing is expected to go wrong, except that the stream is not ready yet.
async fn append(client: &Client, shard: &Shard, id: &str, expected: u64, text: &str) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let appended = client.journal.append(shard, id, expected, bytes(text)).await;
        match appended {
            Ok(sequence) => return sequence,
            Err(AppendError::Refused(_)) if Instant::now() < deadline => {}
            Err(error) => panic!("{id} after {expected}: {error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// `count` commits of one actor, named by their number.
async fn append_many(client: &Client, shard: &Shard, id: &str, count: u64) -> Vec<u64> {
    let (mut sequences, mut last) = (Vec::new(), 0);
    for n in 1..=count {
        last = append(client, shard, id, last, &format!("{id}-{n}")).await;
        sequences.push(last);
    }
    sequences
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn source(shard: &Shard, follower: &str) -> Source {
    Source { stream: shard.stream.clone(), filter: None, follower: follower.into() }
}

type Deliveries = BoxStream<'static, Result<Delivery, ReadError>>;

/// Before the first delivery a fault is none: a cluster may just be choosing who leads.
async fn deliver(client: &Client, source: &Source) -> Deliveries {
    let (journal, source) = (client.journal.clone(), source.clone());
    let first = settle(|| journal.deliver(&source)).await;
    let deliveries = unfold((first, true), move |(mut deliveries, is_fresh)| {
        let (journal, source) = (journal.clone(), source.clone());
        async move {
            loop {
                match deliveries.next().await {
                    Some(Err(_)) if is_fresh => {
                        deliveries = settle(|| journal.deliver(&source)).await;
                    }
                    next => return next.map(|next| (next, (deliveries, false))),
                }
            }
        }
    });
    deliveries.boxed()
}

async fn next(deliveries: &mut Deliveries) -> Delivery {
    let next = timeout(PATIENCE, deliveries.next()).await;
    let next = next.unwrap_or_else(|_| panic!("nothing was delivered"));
    next.expect("delivery goes on").unwrap_or_else(|e| panic!("{e}"))
}

/// The next `count` deliveries, each acknowledged, by what they say.
async fn take(deliveries: &mut Deliveries, count: usize) -> Vec<String> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let delivery = next(deliveries).await;
        taken.push(text(&delivery.entry.bytes));
        delivery.receipt.done().await;
    }
    taken
}
