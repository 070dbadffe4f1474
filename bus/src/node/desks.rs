//! Where the actors of one kind sit on this node: a mailbox each, and how full all may get.
//!
//! An idle activation is an entry in a map, not a task. Commands and their bytes are bounded per
//! actor and per node; at the bound of activations the one that was idle longest makes room.
//! Which shelf an actor is on depends on its id alone, so that a simulation repeats.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    asking::transport::Inbound,
    limits::{
        ACTIVATIONS_MAX, MAILBOX_BYTES_MAX, MAILBOX_MAX, NODE_COMMAND_BYTES_MAX, NODE_COMMANDS_MAX,
        REFUSALS_MAX,
    },
    model::actor::Actor,
    node::{activation::Presence, command::Command},
};

/// How many maps share the activations, so that their locks are rarely contended.
const SHELVES: usize = 64;

/// A command and whom to answer.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) inbound: Inbound,
    /// Its place among the node's commands, given back when it is answered.
    pub(crate) place: Place,
}

/// What became of a job that was put on its actor's desk.
#[derive(Debug)]
pub(crate) enum Posted<A: Actor> {
    /// Somebody is at work there already.
    Waits,
    /// Somebody must begin to work there.
    Begins(Arc<str>, Presence<A>),
    /// There is no room, for this reason; so many commands wait there.
    NoRoom { job: Box<Job>, reason: &'static str, waiting: usize },
}

/// How many activations and how much mail there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) activations: usize,
    pub(crate) mailbox: usize,
    pub(crate) mailbox_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            activations: ACTIVATIONS_MAX,
            mailbox: MAILBOX_MAX,
            mailbox_bytes: MAILBOX_BYTES_MAX,
        }
    }
}

/// All desks of one kind.
#[derive(Debug)]
pub(crate) struct Desks<A: Actor> {
    shelves: Vec<Mutex<Shelf<A>>>,
    active: AtomicUsize,
    bounds: Bounds,
}

#[derive(Debug)]
struct Shelf<A: Actor> {
    desks: HashMap<Arc<str>, Desk<A>>,
    /// Who became idle, in that order. Who has worked since is in it again, further back.
    idle: VecDeque<Idle>,
    turn: u64,
}

#[derive(Debug)]
struct Idle {
    id: Arc<str>,
    turn: u64,
}

/// One actor's place: its mail, and itself unless somebody is working on it.
#[derive(Debug)]
struct Desk<A: Actor> {
    mailbox: VecDeque<Job>,
    bytes: usize,
    /// `None` while a task has it.
    presence: Option<Presence<A>>,
    /// The turn in which it became idle last, and when that was.
    idle_turn: u64,
    idle_since: Instant,
}

impl<A: Actor> Desks<A> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let shelves = std::iter::repeat_with(Mutex::default).take(SHELVES).collect();
        Self { shelves, active: AtomicUsize::new(0), bounds }
    }

    fn shelf(&self, index: usize) -> MutexGuard<'_, Shelf<A>> {
        // A panic while the lock was held left no half-made entry: every step under it is whole.
        self.shelves[index % SHELVES].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the job in its actor's mailbox.
    pub(crate) fn post(&self, id: &str, job: Job) -> Posted<A> {
        let index = shelf_of(id);
        let mut shelf = self.shelf(index);
        if !shelf.desks.contains_key(id) {
            if self.active.load(Ordering::Relaxed) >= self.bounds.activations {
                drop(shelf);
                if !self.evict(index) {
                    let reason = "this node has as many actors at work as it may have in memory";
                    return Posted::NoRoom { job: Box::new(job), reason, waiting: 0 };
                }
                shelf = self.shelf(index);
            }
            self.active.fetch_add(1, Ordering::Relaxed);
            shelf.desks.insert(id.into(), Desk::empty());
        }
        let (key, _) = shelf.desks.get_key_value(id).expect("it was put there");
        let key = key.clone();
        let desk = shelf.desks.get_mut(id).expect("it was put there");
        let waiting = desk.mailbox.len();
        let bytes = job.command.body.len();
        // A desk without mail takes a body of any size that is allowed at all.
        let is_full = waiting >= self.bounds.mailbox
            || (waiting > 0 && desk.bytes + bytes > self.bounds.mailbox_bytes);
        if is_full {
            let reason = "too many commands wait for this actor";
            return Posted::NoRoom { job: Box::new(job), reason, waiting };
        }
        desk.bytes += bytes;
        desk.mailbox.push_back(job);
        match desk.presence.take() {
            Some(presence) => Posted::Begins(key, presence),
            None => Posted::Waits,
        }
    }

    /// Adds up to `room` jobs of `id` to `mail`, for whoever is at work there. If there is no mail
    /// at all and nothing else to do, the presence goes back to its desk, if there is anything to
    /// remember.
    pub(crate) fn next(
        &self,
        id: &Arc<str>,
        presence: Presence<A>,
        is_done: bool,
        (mail, room): (&mut Vec<Job>, usize),
    ) -> Option<Presence<A>> {
        let mut shelf = self.shelf(shelf_of(id));
        let shelf = &mut *shelf;
        let desk = shelf.desks.get_mut(id).expect("a desk stays while it is worked on");
        let count = room.min(desk.mailbox.len());
        for job in desk.mailbox.drain(..count) {
            desk.bytes -= job.command.body.len();
            mail.push(job);
        }
        if !(mail.is_empty() && is_done) {
            return Some(presence);
        }
        if presence.is_forgettable() {
            shelf.desks.remove(id);
            self.active.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        // An idle actor needs no room for the mail of its busiest hour.
        desk.mailbox = VecDeque::new();
        desk.presence = Some(presence);
        shelf.turn += 1;
        desk.idle_turn = shelf.turn;
        desk.idle_since = Instant::now();
        shelf.idle.push_back(Idle { id: id.clone(), turn: shelf.turn });
        shelf.tidy();
        None
    }

    /// Forgets the idle of whom `is_over` says so, told their id, themselves, and for how long
    /// they were idle. It must not depend on the order in which it is asked.
    pub(crate) fn passivate(&self, is_over: impl Fn(&str, &Presence<A>, Duration) -> bool) {
        let now = Instant::now();
        for index in 0..SHELVES {
            let mut shelf = self.shelf(index);
            let before = shelf.desks.len();
            shelf.desks.retain(|id, desk| {
                let idle = desk.presence.as_ref();
                !idle.is_some_and(|presence| is_over(id, presence, now - desk.idle_since))
            });
            self.active.fetch_sub(before - shelf.desks.len(), Ordering::Relaxed);
            shelf.tidy();
        }
    }

    /// The ids of the actors that were idle for `span`, in order, as far as `which` says so.
    pub(crate) fn idle(
        &self,
        span: Duration,
        which: impl Fn(&Presence<A>) -> bool,
    ) -> Vec<Arc<str>> {
        let now = Instant::now();
        let mut ids = Vec::new();
        for index in 0..SHELVES {
            let shelf = self.shelf(index);
            let idle = shelf.desks.iter().filter(|(_, desk)| {
                now - desk.idle_since >= span && desk.presence.as_ref().is_some_and(&which)
            });
            ids.extend(idle.map(|(id, _)| id.clone()));
        }
        ids.sort_unstable();
        ids
    }

    /// Does something to `id`, if it is there and idle.
    pub(crate) fn with_idle<T>(
        &self,
        id: &str,
        work: impl FnOnce(&mut Presence<A>) -> T,
    ) -> Option<T> {
        let mut shelf = self.shelf(shelf_of(id));
        shelf.desks.get_mut(id)?.presence.as_mut().map(work)
    }

    /// How many actors have a desk.
    #[cfg(test)]
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Puts an idle actor at a desk of its own.
    #[cfg(test)]
    pub(crate) fn seat(&self, id: &str, presence: Presence<A>) {
        let desk = Desk { presence: Some(presence), ..Desk::empty() };
        self.shelf(shelf_of(id)).desks.insert(id.into(), desk);
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets the activation that was idle longest on the shelf at `index`, or on the next one
    /// that has an idle one at all.
    fn evict(&self, index: usize) -> bool {
        for index in index..index + SHELVES {
            let mut shelf = self.shelf(index);
            while !shelf.idle.is_empty() {
                if shelf.forget_first() {
                    self.active.fetch_sub(1, Ordering::Relaxed);
                    return true;
                }
            }
        }
        false
    }
}

impl<A: Actor> Shelf<A> {
    /// Takes the first off the list of the idle, and forgets it if it still is. Says whether.
    fn forget_first(&mut self) -> bool {
        let Some(first) = self.idle.pop_front() else { return false };
        let is_idle = self.is_current(&first);
        if is_idle {
            self.desks.remove(&first.id);
        }
        is_idle
    }

    fn is_current(&self, idle: &Idle) -> bool {
        let desk = self.desks.get(&idle.id);
        desk.is_some_and(|desk| desk.presence.is_some() && desk.idle_turn == idle.turn)
    }

    /// Keeps the list of the idle within twice as many as there are desks.
    fn tidy(&mut self) {
        if self.idle.len() > 2 * self.desks.len() + SHELVES {
            let mut idle = std::mem::take(&mut self.idle);
            idle.retain(|entry| self.is_current(entry));
            self.idle = idle;
        }
    }
}

impl<A: Actor> Default for Shelf<A> {
    fn default() -> Self {
        Self { desks: HashMap::new(), idle: VecDeque::new(), turn: 0 }
    }
}

impl<A: Actor> Desk<A> {
    fn empty() -> Self {
        let presence = Some(Presence::Absent { trust_replicas: true });
        let idle_since = Instant::now();
        Self { mailbox: VecDeque::new(), bytes: 0, presence, idle_turn: 0, idle_since }
    }
}

/// FNV-1a.
pub(crate) fn shelf_of(id: &str) -> usize {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from(hash % SHELVES as u64).expect("less than the number of shelves")
}

/// What all kinds of one node hold together.
#[derive(Debug, Default)]
pub(crate) struct Room {
    commands: AtomicUsize,
    bytes: AtomicUsize,
    refusals: AtomicUsize,
}

/// A command's place in the node's room, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    bytes: usize,
}

/// A refusal that is being sent; given back when dropped.
#[derive(Debug)]
pub(crate) struct Refusing(Arc<Room>);

impl Room {
    /// Takes a command with a body of `bytes` in, if there is room.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Place> {
        // Given back at once where it is too much.
        let place = Place { room: self.clone(), bytes };
        let commands = self.commands.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (commands <= NODE_COMMANDS_MAX && bytes <= NODE_COMMAND_BYTES_MAX).then_some(place)
    }

    /// Leave to send a refusal, if not too many are being sent.
    pub(crate) fn refuse(self: &Arc<Self>) -> Option<Refusing> {
        let refusing = Refusing(self.clone());
        let refusals = self.refusals.fetch_add(1, Ordering::Relaxed) + 1;
        (refusals <= REFUSALS_MAX).then_some(refusing)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.commands.fetch_sub(1, Ordering::Relaxed);
        self.room.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.0.refusals.fetch_sub(1, Ordering::Relaxed);
    }
}
