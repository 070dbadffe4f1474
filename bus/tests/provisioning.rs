//! A server that cannot keep the promises is refused, and says which setting is wrong.
#![allow(clippy::unwrap_used)]

mod common;

use async_nats::jetstream::{self, stream::Config};
use bus::{Bus, Connect, Error, Host};
use common::{Till, connect};
use nats_server::TestServer;

#[tokio::test]
async fn streams_get_exactly_the_settings_that_keep_history() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    common::host(&bus).await.stop().await;
    let jetstream = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let stream = jetstream.get_stream("EVT_till_0").await.unwrap();
    let config = &stream.cached_info().config;
    assert_eq!(config.subjects, ["evt.till.0.*"]);
    assert!(config.deny_delete && config.deny_purge && config.allow_direct);
    assert!(config.allow_atomic_publish);
    assert!(!config.allow_rollup && !config.allow_message_schedules);
    assert_eq!((config.max_messages, config.max_bytes, config.max_age.as_nanos()), (-1, -1, 0));
    assert!(stream.purge().await.is_err(), "nobody may unmake history");
}

#[tokio::test]
async fn a_stream_with_another_setting_is_refused_and_named() {
    let server = TestServer::own().await;
    let jetstream = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let foreign = Config {
        name: "EVT_till_0".to_owned(),
        subjects: vec!["evt.till.0.*".to_owned()],
        max_age: std::time::Duration::from_secs(60),
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        allow_atomic_publish: true,
        ..Config::default()
    };
    jetstream.create_stream(foreign).await.unwrap();
    let bus = connect(&server).await;
    let refused = Host::new(bus).actor::<Till>().start().await.unwrap_err();
    assert!(matches!(refused, Error::WrongStream { .. }));
    let text = refused.to_string();
    assert!(text.contains("EVT_till_0") && text.contains("max_age"), "{text}");
}

#[tokio::test]
async fn a_server_whose_syncing_is_not_known_is_refused() {
    let server = TestServer::own().await;
    let unknown =
        Connect { monitor_urls: vec!["http://127.0.0.1:9".to_owned()], ..Connect::to(&server.url) };
    let refused = Bus::connect(&unknown).await.unwrap_err().to_string();
    assert!(refused.contains("cannot tell") && refused.contains("127.0.0.1:9"), "{refused}");
    let for_play = Connect { allow_lazy_sync: true, ..unknown };
    Bus::connect(&for_play).await.unwrap();
}

#[tokio::test]
async fn a_server_that_syncs_lazily_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        nats_server::Options { lazy_sync: true, ..nats_server::Options::in_folder(folder.path()) };
    let server = nats_server::Server::start(options).await.unwrap();
    let lazy = Connect { monitor_urls: vec![server.monitor_url()], ..Connect::to(&server.url()) };
    let refused = Bus::connect(&lazy).await.unwrap_err().to_string();
    assert!(refused.contains("sync_interval: always"), "{refused}");
    Bus::connect(&Connect { allow_lazy_sync: true, ..lazy }).await.unwrap();
}

#[tokio::test]
async fn a_missing_server_is_said_so_without_the_password() {
    let refused = Bus::connect(&Connect::to("nats://u:secret@127.0.0.1:9")).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("127.0.0.1:9") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn names_that_cannot_work_are_refused() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let twice = Host::new(bus.clone()).actor::<Till>().saga("carry", common::carry);
    let refused = twice.saga("carry", common::carry).start().await.unwrap_err().to_string();
    assert!(refused.contains("carry"), "{refused}");
    let dotted = Host::new(bus.clone()).saga("a.b", common::carry).start().await.unwrap_err();
    assert!(dotted.to_string().contains("a.b"));
    let homeless = Host::new(bus).projection::<common::TillCard, Till>().start().await.unwrap_err();
    assert!(homeless.to_string().contains("rows_in"));
}
