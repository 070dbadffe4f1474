//! Following and delivering in memory: who waits for what, and what becomes of a delivery.

use std::sync::Arc;

use futures_util::{StreamExt, stream, stream::BoxStream};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::{
    connection::Connection,
    consumer::{Client, Consumer},
    state::State,
    stream::Reader,
};
use crate::{
    journal::{BoxFuture, Delivery, Entry, ReadError, Receipt, Source},
    limits::{ACK_WAIT, FAILOVER_AFTER},
};

impl State {
    /// Puts a client of `source` among those who may be given it.
    fn join(&mut self, source: &Source, number: u64, client: Client) -> Result<(), ReadError> {
        let Self { streams, links, dice, .. } = self;
        let missing = || ReadError(format!("{}: does not exist", source.stream));
        let stream = streams.get_mut(&source.stream).ok_or_else(missing)?;
        let consumer = stream.consumers.entry(source.follower.clone());
        let consumer = consumer.or_insert_with(|| Consumer::new(source.filter.clone()));
        consumer.join(number, client);
        consumer.elect(links, dice);
        Ok(())
    }

    pub(super) fn consumer(&mut self, source: &Source) -> Option<&mut Consumer> {
        self.streams.get_mut(&source.stream)?.consumers.get_mut(&source.follower)
    }

    /// The client has dropped its stream. Unless it comes back or releases the source, another
    /// is given it after a while.
    fn leave(&mut self, source: &Source, number: u64, link: u64) {
        if self.consumer(source).is_some_and(|consumer| consumer.leave(number)) {
            let source = source.clone();
            self.at(Instant::now() + FAILOVER_AFTER, move |state| {
                state.change_hands(&source, |consumer| consumer.end_abandoned_claim(link));
            });
        }
    }

    pub(super) fn change_hands(&mut self, source: &Source, end: impl FnOnce(&mut Consumer)) {
        let Self { streams, links, dice, .. } = self;
        let stream = streams.get_mut(&source.stream);
        if let Some(consumer) = stream.and_then(|s| s.consumers.get_mut(&source.follower)) {
            end(consumer);
            consumer.elect(links, dice);
        }
    }

    fn take(&mut self, source: &Source, client: u64) -> Option<Entry> {
        let chance = self.faults.redeliver;
        let twice = self.dice.per_mille(chance);
        let stream = self.streams.get_mut(&source.stream)?;
        let consumer = stream.consumers.get_mut(&source.follower)?;
        let (sequence, is_first) = consumer.take(client, &stream.messages)?;
        let is_twice = twice && is_first;
        if is_twice {
            consumer.deliver_again(sequence);
        }
        let is_watched = std::mem::replace(&mut consumer.is_watched, true);
        let entry = stream.entry(sequence);
        if is_twice {
            self.count("redeliver");
        }
        if !is_watched {
            self.look_at(source.clone(), Instant::now() + ACK_WAIT);
        }
        entry
    }

    /// Looks, for as long as something is not acknowledged, whether its time is over.
    fn look_at(&mut self, source: Source, when: Instant) {
        self.at(when, move |state| {
            let next = state.consumer(&source).and_then(|consumer| consumer.look(when));
            if let Some(next) = next {
                state.look_at(source, next);
            }
        });
    }
}

impl Connection {
    pub(super) async fn follow_from(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<BoxStream<'static, Result<Entry, ReadError>>, ReadError> {
        let (name, link) = (Arc::<str>::from(stream), self.link.number);
        let wake = Arc::new(Notify::new());
        let reader = Reader { link, wake: wake.clone() };
        let number = self
            .read({
                let name = name.clone();
                move |state| {
                    let number = state.number();
                    state.stream(&name)?.readers.insert(number, reader);
                    Ok(number)
                }
            })
            .await?;
        let leaving = name.clone();
        let place = Place::new(self, wake, move |state| {
            if let Ok(stream) = state.stream(&leaving) {
                stream.readers.remove(&number);
            }
        });
        let next = sequence.max(1);
        let following = stream::unfold((place, name, next), |(place, name, next)| async move {
            let entry = place
                .next(|state| {
                    let stream = state.streams.get(&name)?;
                    let (&sequence, _) = stream.messages.range(next..).next()?;
                    stream.commit(sequence)
                })
                .await?;
            let next = entry.sequence + 1;
            Some((Ok(entry), (place, name, next)))
        });
        Ok(following.boxed())
    }

    pub(super) async fn deliver_from(
        &self,
        source: &Source,
    ) -> Result<BoxStream<'static, Result<Delivery, ReadError>>, ReadError> {
        let (source, link) = (source.clone(), self.link.number);
        let wake = Arc::new(Notify::new());
        let client = Client { link, wake: Arc::downgrade(&wake) };
        let number = self
            .read({
                let source = source.clone();
                move |state| {
                    let number = state.number();
                    state.join(&source, number, client)?;
                    Ok(number)
                }
            })
            .await?;
        let leaving = source.clone();
        let place = Place::new(self, wake, move |state| state.leave(&leaving, number, link));
        let following = stream::unfold((place, source), move |(place, source)| async move {
            let entry = place.next(|state| state.take(&source, number)).await?;
            let receipt = MemoryReceipt {
                connection: place.connection.clone(),
                source: source.clone(),
                sequence: entry.sequence,
            };
            Some((Ok(Delivery { entry, receipt: Box::new(receipt) }), (place, source)))
        });
        Ok(following.boxed())
    }
}

/// Somebody's place among those who wait for something: given up when dropped, and over when
/// the connection is replaced.
pub(super) struct Place {
    pub(super) connection: Connection,
    wake: Arc<Notify>,
    count: u64,
    leave: Option<Box<dyn FnOnce(&mut State) + Send + Sync>>,
}

impl Place {
    pub(super) fn new(
        connection: &Connection,
        wake: Arc<Notify>,
        leave: impl FnOnce(&mut State) + Send + Sync + 'static,
    ) -> Self {
        let count = connection.link.count();
        Self { connection: connection.clone(), wake, count, leave: Some(Box::new(leave)) }
    }

    /// What `take` finds, once it finds something; `None` when the connection is replaced.
    pub(super) async fn next<T>(&self, mut take: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let Connection { world, link } = &self.connection;
        loop {
            link.running().await;
            if link.count() != self.count {
                return None;
            }
            if !link.condition().is_stuck() {
                let found = take(&mut world.lock());
                if found.is_some() {
                    return found;
                }
            }
            tokio::select! {
                biased;
                () = link.replaced(self.count) => {}
                () = self.wake.notified() => {
                    let delay = world.lock().delay();
                    if !delay.is_zero() {
                        sleep(delay).await;
                    }
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A dead node's place was given up for it.
        if let Some(leave) = self.leave.take()
            && !self.connection.link.condition().is_dead
        {
            leave(&mut self.connection.world.lock());
        }
    }
}

struct MemoryReceipt {
    connection: Connection,
    source: Source,
    sequence: u64,
}

impl MemoryReceipt {
    async fn tell(&self, what: fn(&mut Consumer, u64), is_done: bool) {
        let Connection { world, link } = &self.connection;
        link.running().await;
        if link.condition().is_stuck() {
            return; // Lost with the connection.
        }
        let (source, sequence) = (self.source.clone(), self.sequence);
        let mut state = world.lock();
        let chance = state.faults.ack_dropped;
        if is_done && state.bites("ack_dropped", chance) {
            return;
        }
        let delay = state.delay();
        state.after(delay, move |state| {
            let Ok(stream) = state.stream(&source.stream) else { return };
            if let Some(consumer) = stream.consumers.get_mut(&source.follower) {
                what(consumer, sequence);
            }
            if is_done && stream.is_queue {
                stream.remove(sequence);
            }
        });
    }
}

impl Receipt for MemoryReceipt {
    fn done(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.tell(Consumer::acknowledge, true))
    }

    fn working(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.tell(Consumer::renew, false))
    }
}
