//! What a world holds, under one lock, and its driver: the task that makes things happen later.
//!
//! Whatever is due at a time is an action in one list, ordered by time and then by when it was
//! put there, so that a world's history depends on its seed and its callers alone.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::{
    cells::Bucket,
    faults::{Dice, Faults},
    link::Link,
    post::Armed,
    stream::Stream,
    switchboard::Switchboard,
};
use crate::{limits::FAILOVER_AFTER, model::time::Timestamp};

/// What is done when its time has come.
type Action = Box<dyn FnOnce(&mut State) + Send>;

/// A world's state and its lock. No lock is held over an await.
pub(super) struct Shared {
    state: Mutex<State>,
    alarm: Arc<Notify>,
}

pub(super) struct State {
    origin: Timestamp,
    since: Instant,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    pub(super) bites: BTreeMap<&'static str, u64>,
    actions: BTreeMap<(Instant, u64), Action>,
    numbers: u64,
    own: Weak<Shared>,
    alarm: Arc<Notify>,
    driver: Option<AbortHandle>,
    pub(super) links: BTreeMap<u64, Arc<Link>>,
    pub(super) streams: BTreeMap<Arc<str>, Stream>,
    pub(super) buckets: BTreeMap<Box<str>, Bucket>,
    pub(super) armed: BTreeMap<Box<str>, Armed>,
    pub(super) switchboard: Switchboard,
    /// What cut-off connections send once they are back.
    held_back: BTreeMap<u64, Vec<Action>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(origin: Timestamp, seed: u64) -> Arc<Self> {
        let alarm = Arc::new(Notify::new());
        Arc::new_cyclic(|own| Self {
            state: Mutex::new(State {
                origin,
                since: Instant::now(),
                dice: Dice::new(seed),
                faults: Faults::default(),
                bites: BTreeMap::new(),
                actions: BTreeMap::new(),
                numbers: 0,
                own: own.clone(),
                alarm: alarm.clone(),
                driver: None,
                links: BTreeMap::new(),
                streams: BTreeMap::new(),
                buckets: BTreeMap::new(),
                armed: BTreeMap::new(),
                switchboard: Switchboard::default(),
                held_back: BTreeMap::new(),
            }),
            alarm,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a fault of ours; what follows is better seen than hidden.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The driver then sees that there is nothing left to drive.
        self.alarm.notify_one();
    }
}

impl State {
    /// What the server's clock says.
    pub(super) fn now(&self) -> Timestamp {
        self.origin.plus(self.since.elapsed())
    }

    /// When the server's clock will say `time`, or now if it has.
    pub(super) fn instant_of(&self, time: Timestamp) -> Instant {
        let ms = time.as_millis().saturating_sub(self.origin.as_millis());
        // So late that nobody waits for it is as good as any later.
        let then = self.since.checked_add(Duration::from_millis(ms));
        then.unwrap_or_else(|| self.since + Duration::from_secs(100 * 365 * 86_400))
    }

    /// A number nobody else has.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Whether a fault of this chance happens now; if so, it is counted.
    pub(super) fn bites(&mut self, fault: &'static str, chance: u32) -> bool {
        let bites = self.dice.per_mille(chance);
        if bites {
            self.count(fault);
        }
        bites
    }

    pub(super) fn count(&mut self, fault: &'static str) {
        *self.bites.entry(fault).or_default() += 1;
    }

    /// How long what travels now is under way.
    pub(super) fn delay(&mut self) -> Duration {
        self.dice.span(self.faults.max_delay)
    }

    /// Has `action` done at `when`.
    pub(super) fn at(&mut self, when: Instant, action: impl FnOnce(&mut Self) + Send + 'static) {
        let number = self.number();
        let is_first = self.actions.first_key_value().is_none_or(|(key, _)| when < key.0);
        self.actions.insert((when, number), Box::new(action));
        if self.driver.as_ref().is_none_or(AbortHandle::is_finished) {
            // What is dropped when its runtime is gone needs no driver any more.
            if let Ok(runtime) = Handle::try_current() {
                let driver = runtime.spawn(drive(self.own.clone(), self.alarm.clone()));
                self.driver = Some(driver.abort_handle());
            }
        } else if is_first {
            self.alarm.notify_one();
        }
    }

    /// Has `action` done after `delay`: at once, if that is zero.
    pub(super) fn after(
        &mut self,
        delay: Duration,
        action: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        if delay.is_zero() { action(self) } else { self.at(Instant::now() + delay, action) }
    }

    /// Does what is due, and says when the next action is.
    fn run_due(&mut self) -> Option<Instant> {
        loop {
            let first = self.actions.first_entry()?;
            if first.key().0 > Instant::now() {
                return Some(first.key().0);
            }
            let action = first.remove();
            action(self);
        }
    }

    /// The node of this connection is dead from now on.
    pub(super) fn kill(&mut self, link: &Link) {
        if link.condition().is_dead {
            return;
        }
        link.change(|condition| condition.is_dead = true);
        self.switchboard.forget_link(link.number);
        let number = link.number;
        for stream in self.streams.values_mut() {
            stream.readers.retain(|_, reader| reader.link != number);
            for consumer in stream.consumers.values_mut() {
                consumer.forget_link(number);
            }
        }
        for bucket in self.buckets.values_mut() {
            bucket.watchers.retain(|_, watcher| watcher.link != number);
        }
        self.links.remove(&number);
        self.held_back.remove(&number);
        self.at(Instant::now() + FAILOVER_AFTER, move |state| state.end_claims(number));
    }

    pub(super) fn pause(&mut self, link: &Arc<Link>, span: Duration) {
        let until = Instant::now() + span;
        let until = link.condition().paused_until.map_or(until, |other| other.max(until));
        link.change(|condition| condition.paused_until = Some(until));
        self.end_claims_of_stuck(link);
        let link = link.clone();
        self.at(until, move |state| {
            if link.condition().paused_until == Some(until) {
                link.change(|condition| condition.paused_until = None);
                state.elect_all();
            }
        });
    }

    pub(super) fn cut(&mut self, link: &Arc<Link>, span: Duration) {
        let until = Instant::now() + span;
        let until = link.condition().cut_until.map_or(until, |other| other.max(until));
        link.change(|condition| condition.cut_until = Some(until));
        self.switchboard.forget_inboxes(link.number);
        self.end_claims_of_stuck(link);
        let link = link.clone();
        self.at(until, move |state| {
            if link.condition().cut_until == Some(until) {
                link.change(|condition| condition.cut_until = None);
                link.connections.send_modify(|count| *count += 1);
                state.send_held_back(link.number);
                state.elect_all();
            }
        });
    }

    /// Has `action` done when the connection is back.
    pub(super) fn hold_back(&mut self, link: u64, action: impl FnOnce(&mut Self) + Send + 'static) {
        self.held_back.entry(link).or_default().push(Box::new(action));
    }

    fn send_held_back(&mut self, link: u64) {
        for action in self.held_back.remove(&link).unwrap_or_default() {
            action(self);
        }
    }

    /// Whether a schedule is due before `time`.
    pub(super) fn fires_before(&self, time: Timestamp) -> bool {
        self.armed.values().any(|armed| armed.next.is_some_and(|next| next < time))
    }

    /// A client that does not ask for its source any more loses it after a while.
    fn end_claims_of_stuck(&mut self, link: &Arc<Link>) {
        let link = link.clone();
        let since = (link.condition(), link.count());
        self.at(Instant::now() + FAILOVER_AFTER, move |state| {
            if link.condition().is_stuck() && (link.condition(), link.count()) == since {
                state.end_claims(link.number);
            }
        });
    }

    fn end_claims(&mut self, link: u64) {
        for stream in self.streams.values_mut() {
            for consumer in stream.consumers.values_mut() {
                consumer.end_claim_of(link);
            }
        }
        self.elect_all();
    }

    /// Gives every source that nobody has to one of those who wait for it.
    fn elect_all(&mut self) {
        let Self { streams, links, dice, .. } = self;
        for stream in streams.values_mut() {
            for consumer in stream.consumers.values_mut() {
                consumer.elect(links, dice);
            }
        }
    }
}

/// Does what is due, whenever it is, for as long as there is a world.
async fn drive(world: Weak<Shared>, alarm: Arc<Notify>) {
    loop {
        let next = match world.upgrade() {
            Some(world) => world.lock().run_due(),
            None => return,
        };
        match next {
            None => alarm.notified().await,
            Some(next) => tokio::select! {
                biased;
                () = alarm.notified() => {}
                () = sleep_until(next) => {}
            },
        }
    }
}
