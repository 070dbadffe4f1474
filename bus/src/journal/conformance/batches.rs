//! Promises of batches, and of shards.

use futures_util::future::join_all;

use super::{
    AppendError, Bench, Client, append, bytes, commits::texts, eventually, settle, shard, text,
};
use crate::{journal::Proposal, limits::BATCH_MAX, wire::subject::Shard};

/// A batch with these ids, in this order: the first of each is expected at its version.
fn batch(name: &str, ids: &[(&str, Option<u64>)]) -> Vec<Proposal> {
    let proposal = |(n, (id, expected)): (usize, &(&str, Option<u64>))| Proposal {
        id: (*id).into(),
        expected: *expected,
        bytes: bytes(&format!("{name}-{n}")),
    };
    ids.iter().enumerate().map(proposal).collect()
}

/// Stores a batch where nothing is expected to go wrong; the first one's sequence.
async fn store(client: &Client, shard: &Shard, proposals: Vec<Proposal>) -> u64 {
    settle(|| client.journal.append_all(shard, proposals.clone())).await
}

pub(super) async fn a_batch_is_stored_whole_in_order_and_without_gaps(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-whole").await;
    append(&client, &shard, "a", 0, "before").await;
    let ids = [("a", Some(1)), ("b", Some(0)), ("a", None), ("c", Some(0)), ("a", None)];
    let first = store(&client, &shard, batch("one", &ids)).await;
    assert_eq!(first, 2);
    for (n, (id, _)) in ids.iter().enumerate() {
        let entry = client.journal.at(&shard, first + n as u64).await.expect("readable");
        let entry = entry.expect("without a gap");
        assert_eq!(
            (text(&entry.bytes), &*entry.subject),
            (format!("one-{n}"), &*shard.subject(id))
        );
    }
    assert_eq!(texts(&client, &shard, "a").await, ["before", "one-0", "one-2", "one-4"]);
    // Who comes next builds on the last of them.
    append(&client, &shard, "a", first + 4, "after").await;
    let many: Vec<String> = (0..BATCH_MAX).map(|n| format!("m{n}")).collect();
    let many: Vec<(&str, Option<u64>)> = many.iter().map(|id| (&**id, Some(0))).collect();
    let first = store(&client, &shard, batch("many", &many)).await;
    let bounds = client.journal.bounds(&shard.stream).await.expect("readable");
    assert_eq!(bounds.last_sequence, first + BATCH_MAX as u64 - 1, "as many as a batch may have");
}

pub(super) async fn a_batch_with_one_wrong_version_stores_nothing(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-none-of-it").await;
    let first = append(&client, &shard, "a", 0, "one").await;
    for wrong in [0, first + 1] {
        let ids = [("b", Some(0)), ("a", Some(wrong)), ("a", None), ("c", Some(0))];
        let refused = client.journal.append_all(&shard, batch("two", &ids)).await;
        assert_eq!(refused, Err(AppendError::Conflict), "expected {wrong}");
    }
    let bounds = client.journal.bounds(&shard.stream).await.expect("readable");
    assert_eq!(bounds.last_sequence, first);
    // Refusing it left nothing behind that would be in the way.
    append(&client, &shard, "b", 0, "alone").await;
    store(&client, &shard, batch("three", &[("a", Some(first)), ("c", Some(0))])).await;
}

pub(super) async fn of_concurrent_batches_each_is_whole_or_not_there(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-batches").await;
    let writers = [bench.client().await, bench.client().await, bench.client().await];
    let mut version = append(&client, &shard, "a", 0, "start").await;
    for round in 0..8 {
        let names: Vec<String> = (0..3).map(|n| format!("{round}-{n}")).collect();
        let own: Vec<String> = (0..3).map(|n| format!("w{round}-{n}")).collect();
        let racing = names.iter().zip(&own).zip(&writers).map(|((name, own), writer)| {
            let ids = [(&**own, Some(0)), ("a", Some(version)), (&**own, None)];
            writer.journal.append_all(&shard, batch(name, &ids))
        });
        let outcomes = join_all(racing).await;
        let won: Vec<usize> = (0..3).filter(|&n| outcomes[n].is_ok()).collect();
        assert!(won.len() <= 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|o| matches!(o, Ok(_) | Err(AppendError::Conflict))));
        for (n, own) in own.iter().enumerate() {
            let count = if won.contains(&n) { 2 } else { 0 };
            assert_eq!(texts(&client, &shard, own).await.len(), count, "{own}");
        }
        if let [n] = won[..] {
            version = *outcomes[n].as_ref().expect("it won") + 1;
        }
    }
}

pub(super) async fn a_batch_that_went_unheard_is_whole_or_not_there(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-unheard").await;
    let mut stored = 0;
    for n in 0..12 {
        let id = format!("a{n}");
        let ids = [(&*id, Some(0)), (&*id, None), (&*id, None)];
        {
            // Its writer stops listening somewhere on the way.
            let mut append = client.journal.append_all(&shard, batch("x", &ids));
            for _ in 0..=n % 4 {
                if futures_util::poll!(&mut append).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // Written again: refused if it is there.
        let again = client.journal.append_all(&shard, batch("x", &ids)).await;
        assert!(matches!(again, Ok(_) | Err(AppendError::Conflict)), "{again:?}");
        let texts = eventually("all of it", async || {
            let texts = texts(&client, &shard, &id).await;
            (!texts.is_empty()).then_some(texts)
        });
        assert_eq!(texts.await, ["x-0", "x-1", "x-2"]);
        stored += u32::from(again == Err(AppendError::Conflict));
    }
    assert!(stored <= 12);
}

pub(super) async fn a_batch_survives_a_kill_whole_or_not_at_all(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shard = shard(&client, "c-killed").await;
    let ids: Vec<String> = (0..40).map(|n| format!("a{n}")).collect();
    let proposals = |id: &str| batch(id, &[(id, Some(0)), (id, None), (id, None), (id, None)]);
    let (before, during) = ids.split_at(20);
    for id in before {
        store(&client, &shard, proposals(id)).await;
    }
    let writing =
        join_all(during.iter().map(|id| client.journal.append_all(&shard, proposals(id))));
    let (outcomes, ()) = tokio::join!(writing, bench.kill());
    for (n, id) in ids.iter().enumerate() {
        let count = settle(|| client.journal.read_from_leader(&shard, id, 0)).await.entries.len();
        let is_acknowledged = n < 20 || outcomes[n - 20].is_ok();
        assert!(count == 4 || (count == 0 && !is_acknowledged), "{id}: {count} of 4");
    }
}

pub(super) async fn shards_are_separate_and_their_count_is_fixed(bench: &mut dyn Bench) {
    let client = bench.client().await;
    let shards = Shard::all("c-shards", 3);
    for shard in &shards {
        settle(|| client.journal.provision(shard)).await;
    }
    for shard in &shards {
        assert_eq!(append(&client, shard, "a", 0, &shard.stream).await, 1, "each counts alone");
    }
    for shard in &shards {
        assert_eq!(texts(&client, shard, "a").await, [&*shard.stream]);
    }
    assert_eq!(settle(|| client.journal.shards("c-shards")).await, 3);
    for other in [1, 2, 4] {
        let refused = client.journal.provision(&Shard::all("c-shards", other)[0]).await;
        let text = refused.expect_err("another count").to_string();
        assert!(text.contains("3 shards") && text.contains(&other.to_string()), "{text}");
    }
    let beyond = client.journal.provision(&Shard::all("c-shards", 4)[3]).await;
    assert!(beyond.is_err(), "no stream is made that nobody would look into");
    assert!(client.journal.bounds("EVT_c-shards_3").await.is_err());
}
