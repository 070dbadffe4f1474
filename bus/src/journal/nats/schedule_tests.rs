//! Schedules and letters, as the journal keeps them on a real server.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use nats_server::TestServer;

use super::NatsJournal;
use crate::{
    asking::transport::nats::NatsNetwork,
    journal::{
        Post,
        post::{Letter, Schedule, When},
    },
    model::time::Timestamp,
    wire::subject,
};

const NAME: &str = "at.till.t-1.ring.x";

async fn journal(server: &TestServer) -> NatsJournal {
    let network = NatsNetwork::connect(&server.url).await.expect("connects");
    let journal = NatsJournal::new(&network, 1);
    journal.provision_post().await.expect("the streams are made");
    journal
}

fn in_ms(ms: u64) -> When {
    When::At(Timestamp::now().plus(Duration::from_millis(ms)))
}

fn schedule(rank: u64, when: When) -> Schedule {
    let mut headers = HeaderMap::new();
    headers.insert(subject::KEY, format!("k-{rank}"));
    let letter =
        Letter { subject: subject::due("till", "t-1", "ring"), headers, body: Bytes::from("{}") };
    Schedule { name: NAME.to_owned(), when, rank, letter }
}

/// The keys of the letters on these subjects.
async fn keys(journal: &NatsJournal, subjects: &str) -> Vec<String> {
    let batch = journal.letters(subject::TIMER_STREAM, subjects, 0).await.expect("reads");
    let keys = batch.entries.iter().filter_map(|entry| entry.headers.get(subject::KEY));
    keys.map(|key| key.as_str().to_owned()).collect()
}

async fn armed(journal: &NatsJournal) -> Vec<String> {
    keys(journal, "at.>").await
}

/// The keys of what has fired, once there are as many.
async fn fired(journal: &NatsJournal, count: usize) -> Vec<String> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let keys = keys(journal, &subject::dues("till")).await;
        if keys.len() >= count {
            return keys;
        }
        assert!(tokio::time::Instant::now() < deadline, "{count} never fired");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_schedule_is_replaced_and_removed_by_its_like_but_not_by_an_older_one() {
    let server = TestServer::own().await;
    let journal = journal(&server).await;
    let late = || in_ms(3_600_000);
    journal.schedule(&schedule(5, late())).await.expect("armed");
    journal.schedule(&schedule(9, late())).await.expect("armed anew");
    // Overtaken on its way: neither removes nor replaces what came later.
    journal.unschedule(NAME, 8).await.expect("no error");
    assert_eq!(armed(&journal).await, ["k-9"]);
    journal.schedule(&schedule(7, late())).await.expect("no error");
    assert_eq!(armed(&journal).await, ["k-9"]);
    journal.schedule(&schedule(11, in_ms(500))).await.expect("armed anew");
    assert_eq!(fired(&journal, 1).await, ["k-11"]);
    journal.schedule(&schedule(12, late())).await.expect("armed again");
    journal.unschedule(NAME, 13).await.expect("disarmed");
    journal.unschedule(NAME, 14).await.expect("none there is fine");
    // An older one finds nothing in its way; whether it means anything, the actor knows.
    journal.schedule(&schedule(1, in_ms(0))).await.expect("armed");
    assert_eq!(fired(&journal, 2).await, ["k-11", "k-1"]);
    assert_eq!(armed(&journal).await, [""; 0]);
}

#[tokio::test]
async fn arming_twice_is_arming_once() {
    let server = TestServer::own().await;
    let journal = journal(&server).await;
    let same = schedule(5, in_ms(300));
    for _ in 0..3 {
        journal.schedule(&same).await.expect("armed");
    }
    fired(&journal, 1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(fired(&journal, 1).await, ["k-5"]);
}

#[tokio::test]
async fn letters_are_stored_read_and_removed() {
    let server = TestServer::own().await;
    let journal = journal(&server).await;
    let mut places = Vec::new();
    for n in 0..3 {
        let mut headers = HeaderMap::new();
        headers.insert(subject::KEY, format!("k-{n}"));
        let body = Bytes::from(format!("{{\"n\":{n}}}"));
        let letter =
            Letter { subject: subject::tell("till", &format!("t-{n}"), "put"), headers, body };
        places.push(journal.store(&letter).await.expect("stored"));
    }
    assert!(places.iter().all(|place| &*place.stream == subject::TELL_STREAM), "{places:?}");
    let tells = subject::tells("till");
    let batch = journal.letters(subject::TELL_STREAM, &tells, places[0].sequence).await;
    let batch = batch.expect("reads");
    assert!(batch.is_last);
    assert_eq!(batch.entries.len(), 2);
    assert_eq!(&*batch.entries[0].subject, "do.till.t-1.put");
    assert_eq!(batch.entries[0].headers.get(subject::KEY).map(|key| key.as_str()), Some("k-1"));
    let second = places[1].sequence;
    let letter = journal.letter(subject::TELL_STREAM, second).await.expect("reads");
    let letter = letter.expect("it is there");
    assert_eq!((&letter.bytes[..], letter.headers.len()), (&b"{\"n\":1}"[..], 1));
    assert!(journal.remove(subject::TELL_STREAM, second).await.expect("removes"));
    assert!(!journal.remove(subject::TELL_STREAM, second).await.expect("no error"));
    assert!(journal.letter(subject::TELL_STREAM, second).await.expect("reads").is_none());
    assert_eq!(
        journal.letters(subject::TELL_STREAM, &tells, 0).await.expect("reads").entries.len(),
        2
    );
}
