//! Cells in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use tokio::{sync::Notify, time::Instant};

use super::{connection::Connection, following::Place, state::State};
use crate::{
    journal::{
        AppendError, BoxFuture, Cells, ReadError,
        cells::{Cell, Change},
    },
    wire::error::Error,
};

#[derive(Debug)]
struct Put {
    value: Bytes,
    /// Tells it from an earlier value of the same key.
    number: u64,
}

#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) link: u64,
    wake: Arc<Notify>,
    changes: VecDeque<Change>,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    cells: BTreeMap<Box<str>, Put>,
    pub(super) watchers: BTreeMap<u64, Watcher>,
}

impl Bucket {
    fn tell(&mut self, change: &Change) {
        for watcher in self.watchers.values_mut() {
            watcher.changes.push_back(change.clone());
            watcher.wake.notify_one();
        }
    }

    fn remove(&mut self, key: &str) {
        if self.cells.remove(key).is_some() {
            self.tell(&Change::Gone(key.to_owned()));
        }
    }
}

impl State {
    fn bucket(&mut self, name: &str) -> Result<&mut Bucket, ReadError> {
        let missing = || ReadError(format!("{name}: does not exist"));
        self.buckets.get_mut(name).ok_or_else(missing)
    }

    fn put_cell(
        &mut self,
        bucket: String,
        cell: Cell,
        time_to_live: Option<Duration>,
    ) -> Result<(), AppendError> {
        let number = self.number();
        let Ok(found) = self.bucket(&bucket) else {
            return Err(AppendError::Refused("no stream takes it".to_owned()));
        };
        let Cell { key, value } = cell.clone();
        found.cells.insert(key.as_str().into(), Put { value, number });
        found.tell(&Change::Put(cell));
        if let Some(span) = time_to_live {
            self.at(Instant::now() + span, move |state| {
                let Ok(bucket) = state.bucket(&bucket) else { return };
                if bucket.cells.get(&*key).is_some_and(|put| put.number == number) {
                    bucket.remove(&key);
                }
            });
        }
        Ok(())
    }

    fn watch(&mut self, bucket: &str, number: u64, mut watcher: Watcher) -> Result<(), ReadError> {
        let bucket = self.bucket(bucket)?;
        let present = bucket
            .cells
            .iter()
            .map(|(key, put)| Change::Put(Cell { key: key.to_string(), value: put.value.clone() }));
        watcher.changes = present.chain([Change::Told]).collect();
        bucket.watchers.insert(number, watcher);
        Ok(())
    }
}

impl Connection {
    async fn watch_bucket(
        &self,
        bucket: &str,
    ) -> Result<BoxStream<'static, Result<Change, ReadError>>, ReadError> {
        let (name, wake) = (Arc::<str>::from(bucket), Arc::new(Notify::new()));
        let (link, changes) = (self.link.number, VecDeque::new());
        let watcher = Watcher { link, wake: wake.clone(), changes };
        let number = Connection::read(self, {
            let name = name.clone();
            move |state| {
                let number = state.number();
                state.watch(&name, number, watcher)?;
                Ok(number)
            }
        });
        let number = number.await?;
        let leaving = name.clone();
        let place = Place::new(self, wake, move |state| {
            if let Ok(bucket) = state.bucket(&leaving) {
                bucket.watchers.remove(&number);
            }
        });
        let watching = stream::unfold((place, name), move |(place, name)| async move {
            let next = |state: &mut State| {
                state.bucket(&name).ok()?.watchers.get_mut(&number)?.changes.pop_front()
            };
            let change = place.next(next).await?;
            Some((Ok(change), (place, name)))
        });
        Ok(watching.boxed())
    }
}

impl Cells for Connection {
    fn provision_bucket<'a>(&'a self, bucket: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        let name: Box<str> = bucket.into();
        Box::pin(async move {
            let provisioned = Connection::read(self, move |state| {
                state.buckets.entry(name).or_default();
                Ok(())
            });
            provisioned.await.map_err(|e| Error::Journal(e.to_string()))
        })
    }

    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        value: Bytes,
        time_to_live: Option<Duration>,
    ) -> BoxFuture<'a, Result<(), AppendError>> {
        let (bucket, cell) = (bucket.to_owned(), Cell { key: key.to_owned(), value });
        Box::pin(self.write(move |state| state.put_cell(bucket, cell, time_to_live)))
    }

    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Bytes>, ReadError>> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Box::pin(Connection::read(self, move |state| {
            Ok(state.bucket(&bucket)?.cells.get(&*key).map(|put| put.value.clone()))
        }))
    }

    fn take_away<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<(), AppendError>> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Box::pin(self.write(move |state| match state.bucket(&bucket) {
            Ok(bucket) => {
                bucket.remove(&key);
                Ok(())
            }
            Err(_) => Err(AppendError::Refused("no stream takes it".to_owned())),
        }))
    }

    fn watch<'a>(
        &'a self,
        bucket: &'a str,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<Change, ReadError>>, ReadError>> {
        Box::pin(self.watch_bucket(bucket))
    }
}
