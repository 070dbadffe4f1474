//! Letters in memory: tells, timers, dead letters, and the schedules that make letters.

use std::future::ready;

use async_nats::HeaderMap;
use bytes::Bytes;

use super::{
    connection::{Connection, fits},
    cron::Recurrence,
    state::State,
    stream::Kept,
};
use crate::{
    journal::{
        AppendError, Batch, BoxFuture, Entry, Post, ReadError, Source,
        post::{Letter, Schedule, When},
    },
    limits::LETTERS_BATCH,
    model::{commit::Position, time::Timestamp},
    wire::{error::Error, subject},
};

/// A schedule that is waiting for its time.
#[derive(Debug)]
pub(super) struct Armed {
    /// Tells it from an earlier schedule of the same name.
    number: u64,
    rank: u64,
    letter: Letter,
    recurrence: Option<Recurrence>,
    pub(super) next: Option<Timestamp>,
}

impl State {
    fn put(
        &mut self,
        subject: &str,
        headers: HeaderMap,
        bytes: Bytes,
    ) -> Result<Position, AppendError> {
        let at = self.now();
        let taking = self.streams.iter_mut().find(|(_, stream)| stream.takes(subject));
        let Some((name, stream)) = taking else {
            return Err(AppendError::Refused("no stream takes it".to_owned()));
        };
        let sequence = stream.store(Kept { subject: subject.into(), headers, bytes, at });
        Ok(Position { stream: name.clone(), sequence })
    }

    /// Keeps the schedule as a message under its name, as JetStream does, and sets it.
    fn arm(
        &mut self,
        schedule: Schedule,
        recurrence: Option<Recurrence>,
    ) -> Result<(), AppendError> {
        let Schedule { name, when, rank, letter } = schedule;
        if self.is_outranked(&name, rank) {
            return Ok(());
        }
        self.unput(&name);
        self.put(&name, letter.headers.clone(), letter.body.clone())?;
        let first = match (&when, &recurrence) {
            (When::At(time), _) => Some(*time),
            (When::Every(_), Some(recurrence)) => recurrence.next_after(self.now()),
            (When::Every(_), None) => None,
        };
        let number = self.number();
        let armed = Armed { number, rank, letter, recurrence, next: first };
        self.armed.insert(name.as_str().into(), armed);
        self.wait_for(name, number, first);
        Ok(())
    }

    fn wait_for(&mut self, name: String, number: u64, time: Option<Timestamp>) {
        if let Some(time) = time {
            self.at(self.instant_of(time), move |state| state.fire(name, number));
        }
    }

    fn fire(&mut self, name: String, number: u64) {
        let now = self.now();
        let armed = self.armed.get(&*name).filter(|armed| armed.number == number);
        let Some(Armed { letter, recurrence, .. }) = armed else { return };
        let letter = letter.clone();
        let next = recurrence.as_ref().and_then(|recurrence| recurrence.next_after(now));
        match self.armed.get_mut(&*name) {
            Some(armed) if next.is_some() => armed.next = next,
            _ => self.disarm(&name),
        }
        if self.put(&letter.subject, letter.headers, letter.body).is_err() {
            tracing::warn!("a schedule's letter has no stream");
        }
        self.wait_for(name, number, next);
    }

    /// Whether what is armed under this name comes from later than `rank`.
    fn is_outranked(&self, name: &str, rank: u64) -> bool {
        self.armed.get(name).is_some_and(|armed| armed.rank > rank)
    }

    fn disarm(&mut self, name: &str) {
        self.armed.remove(name);
        self.unput(name);
    }

    fn unput(&mut self, name: &str) {
        if let Some(timers) = self.streams.get_mut(subject::TIMER_STREAM) {
            timers.remove_subject(name);
        }
    }
}

impl Post for Connection {
    fn provision_post(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let provisioned = self.read(|state| {
                state.provision(subject::TELL_STREAM, &[subject::TELL_SUBJECTS], true);
                state.provision(subject::TIMER_STREAM, &subject::TIMER_SUBJECTS, false);
                state.provision(subject::DEAD_STREAM, &subject::DEAD_SUBJECTS, false);
                Ok(())
            });
            provisioned.await.map_err(|e| Error::Journal(e.to_string()))
        })
    }

    fn store<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<Position, AppendError>> {
        let Letter { subject, headers, body } = letter.clone();
        if !fits(Some(&headers), &body) {
            return Box::pin(ready(Err(AppendError::TooLarge)));
        }
        Box::pin(self.write(move |state| state.put(&subject, headers, body)))
    }

    fn schedule<'a>(&'a self, schedule: &'a Schedule) -> BoxFuture<'a, Result<(), AppendError>> {
        let letter = &schedule.letter;
        if !fits(Some(&letter.headers), &letter.body) {
            return Box::pin(ready(Err(AppendError::TooLarge)));
        }
        let recurrence = match &schedule.when {
            When::At(_) => None,
            When::Every(text) => match Recurrence::parse(text) {
                Ok(recurrence) => Some(recurrence),
                Err(reason) => return Box::pin(ready(Err(AppendError::Refused(reason)))),
            },
        };
        let schedule = schedule.clone();
        Box::pin(self.write(move |state| state.arm(schedule, recurrence)))
    }

    fn unschedule<'a>(
        &'a self,
        name: &'a str,
        rank: u64,
    ) -> BoxFuture<'a, Result<(), AppendError>> {
        let name = name.to_owned();
        Box::pin(self.write(move |state| {
            if !state.is_outranked(&name, rank) {
                state.disarm(&name);
            }
            Ok(())
        }))
    }

    fn letters<'a>(
        &'a self,
        stream: &'a str,
        filter: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        let (stream, filter) = (stream.to_owned(), filter.to_owned());
        Box::pin(Connection::read(self, move |state| {
            Ok(state.stream(&stream)?.matching(&filter, after, LETTERS_BATCH))
        }))
    }

    fn letter<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        let stream = stream.to_owned();
        Box::pin(Connection::read(self, move |state| Ok(state.stream(&stream)?.entry(sequence))))
    }

    fn remove<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<bool, ReadError>> {
        let stream = stream.to_owned();
        Box::pin(Connection::read(self, move |state| Ok(state.stream(&stream)?.remove(sequence))))
    }

    fn sweep<'a>(&'a self, source: &'a Source, _: u64) -> BoxFuture<'a, Result<u64, ReadError>> {
        let source = source.clone();
        Box::pin(Connection::read(self, move |state| {
            Ok(state.stream(&source.stream)?.sweep(&source.follower))
        }))
    }
}
