//! Our streams' settings: made if missing, checked if there.
//!
//! `deny_delete` and `deny_purge` keep anyone from unmaking history; no rollup and no message
//! schedules, because either lets a publisher wipe the stream.

use async_nats::jetstream::{
    context::GetStreamErrorKind,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use std::time::Duration;

use super::NatsJournal;
use crate::{
    limits::LETTER_BYTES_MAX,
    wire::{error::Error, subject, subject::Shard},
};

impl NatsJournal {
    pub(super) async fn provision_shard(&self, shard: &Shard) -> Result<(), Error> {
        // The first one tells of all, so it is looked at before any other is made.
        if !shard.is_first() {
            self.check_shards(shard).await?;
        }
        self.provision_stream(event_stream(shard, self.replicas)).await?;
        self.check_shards(shard).await?;
        self.provision_stream(probe_stream(self.replicas)).await
    }

    async fn check_shards(&self, shard: &Shard) -> Result<(), Error> {
        let found = self.shards_of(&shard.kind).await;
        let found = found.map_err(|e| Error::Journal(e.to_string()))?;
        if found == shard.count {
            return Ok(());
        }
        let stream = subject::first_stream(&shard.kind);
        Err(Error::WrongStream { stream, setting: shards_differ(found, shard.count) })
    }

    pub(super) async fn provision_stream(&self, wanted: Config) -> Result<(), Error> {
        let failed = |e: &dyn std::fmt::Display| Error::Journal(format!("{}: {e}", wanted.name));
        let found = match self.jetstream.get_stream(&wanted.name).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) if is_missing(&error) => {
                let made = self.jetstream.create_stream(&wanted).await;
                made.map_err(|e| failed(&e))?.cached_info().config.clone()
            }
            Err(error) => return Err(failed(&error)),
        };
        match difference(&found, &wanted) {
            None => Ok(()),
            Some(setting) => Err(Error::WrongStream { stream: wanted.name, setting }),
        }
    }
}

/// How many shards the kind of a stream of commits was made with.
pub(super) fn shards_in(config: &Config) -> u32 {
    let told = config.metadata.get(subject::SHARD_COUNT);
    told.and_then(|count| count.parse().ok()).unwrap_or(1)
}

pub(crate) fn shards_differ(found: u32, wanted: u32) -> String {
    format!("its kind was made with {found} shards, and this program has it with {wanted}")
}

fn is_missing(error: &async_nats::jetstream::context::GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(e) if e.code() == 404)
}

/// On disk, without a bound.
fn endless(name: String, subjects: Vec<String>, replicas: usize) -> Config {
    Config {
        name,
        subjects,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        num_replicas: replicas,
        allow_direct: true,
        ..Config::default()
    }
}

/// A kind's commits: kept for ever, never changed.
fn event_stream(shard: &Shard, replicas: usize) -> Config {
    let subjects = vec![shard.subjects()];
    Config {
        metadata: [(subject::SHARD_COUNT.to_owned(), shard.count.to_string())].into(),
        deny_delete: true,
        deny_purge: true,
        allow_atomic_publish: true,
        ..endless(shard.stream.to_string(), subjects, replicas)
    }
}

/// Tells, timers and dead letters.
pub(super) fn post_streams(replicas: usize) -> [Config; 3] {
    let stream = |name: &str, subjects: &[&str]| {
        let subjects = subjects.iter().map(|&subject| subject.to_owned()).collect();
        endless(name.to_owned(), subjects, replicas)
    };
    // So that what cannot be carried out can be kept as a dead letter, with what is said of it.
    let max_message_size = LETTER_BYTES_MAX;
    let tells = Config {
        max_message_size,
        // Gone once it is carried out.
        retention: RetentionPolicy::WorkQueue,
        ..stream(subject::TELL_STREAM, &[subject::TELL_SUBJECTS])
    };
    let timers = Config {
        max_message_size,
        // Schedules bring rollup along: whoever may publish here can wipe it, so nothing else
        // is kept here.
        allow_message_schedules: true,
        allow_rollup: true,
        ..stream(subject::TIMER_STREAM, &subject::TIMER_SUBJECTS)
    };
    [tells, timers, stream(subject::DEAD_STREAM, &subject::DEAD_SUBJECTS)]
}

/// What a key-value bucket is made of.
pub(super) fn bucket_stream(bucket: &str, replicas: usize) -> Config {
    Config {
        discard: DiscardPolicy::New,
        max_messages_per_subject: 1,
        allow_rollup: true,
        deny_delete: true,
        allow_message_ttl: true,
        // Without it nobody would be told of what was not renewed.
        subject_delete_marker_ttl: Some(Duration::from_secs(60)),
        ..endless(format!("KV_{bucket}"), vec![format!("$KV.{bucket}.>")], replicas)
    }
}

/// What readiness writes: one message per node, gone after an hour.
fn probe_stream(replicas: usize) -> Config {
    let subjects = vec![subject::PROBE_SUBJECTS.to_owned()];
    Config {
        max_messages_per_subject: 1,
        max_age: Duration::from_secs(3_600),
        allow_direct: false,
        ..endless(subject::PROBE_STREAM.to_owned(), subjects, replicas)
    }
}

/// The first setting in which `found` is not as `wanted`, with both values.
fn difference(found: &Config, wanted: &Config) -> Option<String> {
    macro_rules! compare {
        ($($field:ident),+ $(,)?) => {
            $(if found.$field != wanted.$field {
                let (is, must) = (&found.$field, &wanted.$field);
                return Some(format!("{} is {is:?}, and must be {must:?}", stringify!($field)));
            })+
        };
    }
    compare!(
        subjects,
        retention,
        storage,
        discard,
        discard_new_per_subject,
        max_messages,
        max_bytes,
        max_messages_per_subject,
        max_message_size,
        max_age,
        num_replicas,
        no_ack,
        sealed,
        allow_rollup,
        deny_delete,
        deny_purge,
        allow_direct,
        allow_atomic_publish,
        allow_message_schedules,
        allow_message_ttl,
        allow_message_counter,
        allow_batch_publish,
    );
    // Set, each of these changes what is stored, or when it counts as stored.
    let extras = [
        ("mirror", found.mirror.is_some()),
        ("sources", found.sources.as_ref().is_some_and(|sources| !sources.is_empty())),
        ("subject_transform", found.subject_transform.is_some()),
        ("republish", found.republish.is_some()),
        (
            "persist_mode",
            found.persist_mode.as_ref().is_some_and(|mode| {
                *mode != async_nats::jetstream::stream::PersistenceMode::Default
            }),
        ),
    ];
    let extra = extras.into_iter().find(|(_, is_set)| *is_set);
    extra.map(|(name, _)| format!("{name} is set, and must not be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dangerous_setting_is_noticed() {
        let wanted = event_stream(&Shard::of("order"), 1);
        assert_eq!(difference(&wanted, &wanted), None);
        let spoil: [(&str, fn(&mut Config)); 8] = [
            ("deny_purge", |c| c.deny_purge = false),
            ("deny_delete", |c| c.deny_delete = false),
            ("allow_rollup", |c| c.allow_rollup = true),
            ("allow_message_schedules", |c| c.allow_message_schedules = true),
            ("max_age", |c| c.max_age = Duration::from_secs(1)),
            ("max_messages", |c| c.max_messages = 10),
            ("subjects", |c| c.subjects = vec!["evt.>".to_owned()]),
            ("persist_mode", |c| {
                c.persist_mode = Some(async_nats::jetstream::stream::PersistenceMode::Async);
            }),
        ];
        for (name, change) in spoil {
            let mut found = wanted.clone();
            change(&mut found);
            let setting = difference(&found, &wanted).expect(name);
            assert!(setting.starts_with(name), "{setting}");
        }
    }
}
