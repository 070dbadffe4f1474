//! Promises of appending and reading.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{
    AppendError, Bench, Client, append, append_many, bytes, eventually, settle, shard, text,
};
use crate::{
    journal::Entry,
    limits::{IN_MEMORY_MESSAGE_BYTES_MAX, LOAD_BATCH},
    model::time::Timestamp,
    wire::subject::Shard,
};

/// All commits of an actor, as the leader has them.
pub(super) async fn all(client: &Client, shard: &Shard, id: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.sequence);
        let batch = settle(|| client.journal.read_from_leader(shard, id, after)).await;
        entries.extend(batch.entries);
        if batch.is_last {
            return entries;
        }
    }
}

pub(super) async fn texts(client: &Client, shard: &Shard, id: &str) -> Vec<String> {
    all(client, shard, id).await.iter().map(|entry| text(&entry.bytes)).collect()
}

pub(super) async fn an_actors_commits_keep_their_order(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-order").await;
    let sequences = append_many(&client, &shard, "a", 20).await;
    let entries = all(&client, &shard, "a").await;
    assert_eq!(entries.iter().map(|e| e.sequence).collect::<Vec<_>>(), sequences);
    let wanted: Vec<String> = (1..=20).map(|n| format!("a-{n}")).collect();
    assert_eq!(entries.iter().map(|e| text(&e.bytes)).collect::<Vec<_>>(), wanted);
    let ninth = client.journal.at(&shard, sequences[8]).await.expect("readable");
    assert_eq!(text(&ninth.expect("there").bytes), "a-9");
    let batch = client.journal.read_from_leader(&shard, "a", sequences[18]).await;
    assert_eq!(batch.expect("readable").entries.len(), 1, "after a place: what follows it");
    assert!(client.journal.last(&shard, "nobody").await.expect("readable").is_none());
}

pub(super) async fn sequences_rise_over_a_whole_stream(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-rise").await;
    let ids: Vec<String> = (0..10).map(|n| format!("a{n}")).collect();
    let writing = ids.iter().map(|id| append_many(&client, &shard, id, 10));
    let all: Vec<u64> = join_all(writing).await.into_iter().flatten().collect();
    assert_eq!(
        all.iter().collect::<BTreeSet<_>>(),
        (1..=100).collect::<Vec<u64>>().iter().collect()
    );
}

pub(super) async fn an_append_at_another_version_conflicts_and_stores_nothing(
    bench: &mut dyn Bench,
) {
    let client = bench.client().await;
    let shard = shard(&client, "c-conflict").await;
    let first = append(&client, &shard, "a", 0, "one").await;
    let other = append(&client, &shard, "b", 0, "other").await;
    for wrong in [0, first + 1, other, 1_000] {
        let refused = client.journal.append(&shard, "a", wrong, bytes("two")).await;
        assert_eq!(refused, Err(AppendError::Conflict), "expected {wrong}");
    }
    assert_eq!(texts(&client, &shard, "a").await, ["one"]);
    append(&client, &shard, "a", first, "two").await;
}

pub(super) async fn expecting_nothing_means_no_commit_yet(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-none").await;
    append(&client, &shard, "a", 0, "one").await;
    let again = client.journal.append(&shard, "a", 0, bytes("again")).await;
    assert_eq!(again, Err(AppendError::Conflict));
    append(&client, &shard, "b", 0, "its own first").await;
}

pub(super) async fn a_lost_acknowledgement_is_found_in_the_last_commit(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-lost-ack").await;
    let mut version = append(&client, &shard, "a", 0, "0").await;
    let mut landed = 0;
    for n in 1..=20 {
        let own = n.to_string();
        {
            // Sent, and its writer stops listening before it is answered.
            let mut append = client.journal.append(&shard, "a", version, bytes(&own));
            drop(futures_util::poll!(&mut append));
            tokio::task::yield_now().await;
        }
        // Written again, as one does who cannot know: whichever came first, it is there once.
        let again = client.journal.append(&shard, "a", version, bytes(&own)).await;
        // A quorum refuses a second write while the first is under way, before it can be read.
        let last = eventually("the last commit is ours", async || {
            let last = settle(|| client.journal.last(&shard, "a")).await.expect("there");
            (text(&last.bytes) == own).then_some(last)
        })
        .await;
        landed += u32::from(again == Err(AppendError::Conflict));
        assert!(matches!(again, Ok(_) | Err(AppendError::Conflict)), "{again:?}");
        version = last.sequence;
    }
    let wanted: Vec<String> = (0..=20).map(|n| n.to_string()).collect();
    assert_eq!(texts(&client, &shard, "a").await, wanted, "{landed} of 20 were in doubt");
}

pub(super) async fn a_commit_sent_again_is_stored_once_and_its_writer_can_tell(
    bench: &mut dyn Bench,
) {
    let client = bench.client().await;
    let shard = shard(&client, "c-again").await;
    let first = append(&client, &shard, "a", 0, "one").await;
    let own = append(&client, &shard, "a", first, "two").await;
    // The journal may check its version first, or know it again: both tell the truth.
    let again = client.journal.append(&shard, "a", first, bytes("two")).await;
    assert!(again == Err(AppendError::Conflict) || again == Ok(own), "{again:?}");
    let last = client.journal.last(&shard, "a").await.expect("readable").expect("there");
    assert_eq!((last.sequence, text(&last.bytes)), (own, "two".to_owned()));
    // Also when it lies under somebody's later commit.
    append(&client, &shard, "a", own, "three").await;
    let again = client.journal.append(&shard, "a", first, bytes("two")).await;
    assert!(again == Err(AppendError::Conflict) || again == Ok(own), "{again:?}");
    assert_eq!(texts(&client, &shard, "a").await, ["one", "two", "three"]);
}

pub(super) async fn of_concurrent_writers_exactly_one_is_first(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-race").await;
    let mut version = append(&client, &shard, "a", 0, "start").await;
    let writers = [bench.client().await, bench.client().await, bench.client().await];
    for round in 0..10 {
        let names: Vec<String> = (0..9).map(|n| format!("{round}-{n}")).collect();
        let racing = names.iter().enumerate().map(|(n, name)| {
            writers[n % writers.len()].journal.append(&shard, "a", version, bytes(name))
        });
        let outcomes = join_all(racing).await;
        let won: Vec<usize> = (0..9).filter(|&n| outcomes[n].is_ok()).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        let last = settle(|| client.journal.last(&shard, "a")).await.expect("there");
        assert_eq!(text(&last.bytes), names[won[0]]);
        assert_eq!(outcomes[won[0]], Ok(last.sequence));
        assert!(outcomes.iter().all(|o| matches!(o, Ok(_) | Err(AppendError::Conflict))));
        version = last.sequence;
    }
    assert_eq!(texts(&client, &shard, "a").await.len(), 11);
}

pub(super) async fn a_batch_says_honestly_whether_it_is_the_last(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-batch").await;
    let sequences = append_many(&client, &shard, "a", LOAD_BATCH as u64).await;
    append(&client, &shard, "b", 0, "another's, behind it").await;
    let read = async |after| settle(|| client.journal.read_from_leader(&shard, "a", after)).await;
    let newest = sequences[LOAD_BATCH - 1];
    let (mut read_to, mut count) = (0, 0);
    loop {
        let batch = read(read_to).await;
        count += batch.entries.len();
        read_to = batch.entries.last().map_or(read_to, |entry| entry.sequence);
        if batch.is_last {
            break;
        }
        assert!(read_to < newest, "what is not the last has more behind it");
    }
    assert_eq!((count, read_to), (LOAD_BATCH, newest), "all of them, and nothing else");
    append(&client, &shard, "a", newest, "one more").await;
    let first = read(0).await;
    assert!(!first.is_last, "one more is left");
    assert_eq!(read(newest).await.entries.len(), 1);
    let nothing = read(newest + 10).await;
    assert_eq!((nothing.entries.len(), nothing.is_last), (0, true));
    // The direct read may lag, but what it says is last has no gap.
    let direct = settle(|| client.journal.read(&shard, "a", sequences[9])).await;
    for (entry, sequence) in direct.entries.iter().zip(&sequences[10..]) {
        assert_eq!(entry.sequence, *sequence);
    }
}

pub(super) async fn the_leader_never_lags(bench: &mut dyn Bench) {
    let (writer, reader) = (bench.client().await, bench.client().await);
    let shard = shard(&writer, "c-leader").await;
    let mut version = 0;
    for n in 0..50 {
        version = append(&writer, &shard, "a", version, &n.to_string()).await;
        let last = reader.journal.last(&shard, "a").await.expect("readable").expect("there");
        assert_eq!(last.sequence, version);
        let batch = reader.journal.read_from_leader(&shard, "a", 0).await.expect("readable");
        assert_eq!(batch.entries.len(), n + 1);
    }
}

pub(super) async fn nothing_stored_since_a_time_lies_before_it(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-before").await;
    let mut stored = Vec::new();
    let mut version = 0;
    for n in 0..5 {
        let before = bench.now();
        version = append(&client, &shard, "a", version, &n.to_string()).await;
        stored.push((before, version));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for (before, sequence) in stored {
        let found = client.journal.before(&shard, before).await.expect("readable");
        assert!(found < sequence, "{found} is not before {sequence}");
    }
    let early = client.journal.before(&shard, Timestamp::from_millis(1)).await.expect("readable");
    assert_eq!(early, 0);
    let late = bench.now().plus(std::time::Duration::from_secs(60));
    assert!(client.journal.before(&shard, late).await.expect("readable") <= version);
}

pub(super) async fn bounds_name_the_last_sequence_and_the_stream(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-bounds").await;
    let empty = settle(|| client.journal.bounds(&shard.stream)).await;
    assert_eq!(empty.last_sequence, 0);
    append_many(&client, &shard, "a", 3).await;
    settle(|| client.journal.provision(&shard)).await;
    let bounds = settle(|| client.journal.bounds(&shard.stream)).await;
    assert_eq!((bounds.last_sequence, bounds.created), (3, empty.created));
    assert!(client.journal.bounds("EVT_nothing_0").await.is_err());
}

pub(super) async fn what_is_too_large_is_refused_and_not_stored(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-large").await;
    let large = vec![0; IN_MEMORY_MESSAGE_BYTES_MAX + 1];
    let refused = client.journal.append(&shard, "a", 0, large.into()).await;
    assert_eq!(refused, Err(AppendError::TooLarge));
    append(&client, &shard, "a", 0, "small").await;
}

pub(super) async fn what_no_stream_takes_is_refused(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let nowhere = Shard::of("c-nowhere");
    let refused = client.journal.append(&nowhere, "a", 0, bytes("one")).await;
    assert!(matches!(refused, Err(AppendError::Refused(_))), "{refused:?}");
    assert!(client.journal.read(&nowhere, "a", 0).await.is_err());
}
