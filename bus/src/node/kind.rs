//! All activations of one kind on this node: a mailbox each, and work only where mail is.
//!
//! A task runs for an actor while its mailbox has something in it, so one actor decides one
//! thing at a time. What comes in is put on its desk without reading its body, so a flood of
//! one actor costs the others nothing.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::{
    asking::transport::Inbound,
    discovery::Tally,
    journal::BoxFuture,
    limits::{
        COMMAND_BYTES_MAX, FORWARDS_MAX, PASSIVATE_MOVED_AFTER, RETRY_HINT_MAX, RETRY_HINT_MIN,
        SNAPSHOTS_WRITTEN_MAX, TURN_MAX,
    },
    model::{actor::Actor, command_set::CommandSet, id::Id},
    node::{
        activation::{Home, Presence},
        command::{Command, deadline},
        desks::{Bounds, Desks, Job, Place, Posted, Room},
        turn::{Doors, Pending},
    },
    placement::Relayed,
    wire::{
        encoding::Encoding,
        envelope::{Answer, RequestHeaders},
        failure::{Failure, Status},
        subject,
    },
};

/// One kind as this node hosts it.
#[derive(Debug)]
pub(crate) struct Kind<A: Actor> {
    /// One for each shard.
    homes: Vec<Home>,
    doors: Doors<A>,
    desks: Desks<A>,
    room: Arc<Room>,
    tally: Arc<Tally>,
    /// Commands handed on to where their actor lives, and not yet answered.
    forwarding: AtomicUsize,
    /// The count of changes of who is there, when moved actors were last looked for.
    seen_changes: AtomicU64,
    tasks: TaskTracker,
    /// One for each snapshot that may be written at the same time.
    snapshots: Arc<Semaphore>,
}

/// Who waits for a command's answer.
#[derive(Debug)]
struct Sender {
    inbound: Inbound,
    place: Place,
    begun: Instant,
}

/// A kind whose actor type is not known where it is used.
pub(crate) trait AnyKind: Send + Sync {
    /// Takes a request in. Never waits.
    fn take(self: Arc<Self>, inbound: Inbound);

    /// Forgets activations that were idle for `idle`.
    fn passivate(&self, idle: Duration) -> BoxFuture<'_, ()>;

    /// Where its actors are: one for each shard.
    fn homes(&self) -> &[Home];

    /// The kind's name.
    fn name(&self) -> &Arc<str> {
        &self.homes()[0].shard.kind
    }

    /// What its commands have done here.
    fn tally(&self) -> &Arc<Tally>;
}

impl<A: Actor> Kind<A> {
    /// A kind that lives in all of these, at least one.
    pub(crate) fn new(homes: Vec<Home>, tasks: TaskTracker, room: Arc<Room>) -> Self {
        let doors = A::Commands::doors().into_iter().map(|door| (door.name, door)).collect();
        let tally = Arc::new(Tally::new(A::Commands::NAMES));
        let desks = Desks::new(Bounds::default());
        let (forwarding, seen_changes) = (AtomicUsize::new(0), AtomicU64::new(0));
        let snapshots = Arc::new(Semaphore::new(SNAPSHOTS_WRITTEN_MAX));
        Self { homes, doors, desks, room, tally, forwarding, seen_changes, tasks, snapshots }
    }

    /// Where `id` lives.
    fn home_of(&self, id: &str) -> &Home {
        &self.homes[subject::shard_of(id, A::SHARDS) as usize]
    }

    /// What is the same in all shards.
    fn any_home(&self) -> &Home {
        &self.homes[0]
    }

    /// Puts the job on its actor's desk, and has somebody work on it.
    fn post(self: Arc<Self>, id: &str, mut job: Job) {
        // The rest of what came needs no memory while the command waits.
        job.inbound.message.headers = None;
        job.inbound.message.body = Bytes::new();
        match self.desks.post(id, job) {
            Posted::Waits => {}
            Posted::Begins(id, presence) => {
                let kind = self.clone();
                self.tasks.spawn(async move { kind.work(&id, presence).await });
            }
            Posted::NoRoom { job, reason, waiting } => {
                self.refuse(*job, reason, waiting);
            }
        }
    }

    /// Takes the job in, or hands it on if its actor lives elsewhere.
    fn place(self: Arc<Self>, id: Box<str>, job: Job) {
        let stays = subject::is_direct(&job.inbound.message.subject)
            || job.command.headers.is_forwarded
            || self.any_home().placement.elsewhere(A::KIND, &id).is_none();
        if stays {
            return self.post(&id, job);
        }
        if self.forwarding.fetch_add(1, Ordering::Relaxed) >= FORWARDS_MAX {
            self.forwarding.fetch_sub(1, Ordering::Relaxed);
            return self.refuse(job, "too many commands wait for other nodes", 0);
        }
        let kind = self.clone();
        self.tasks.spawn(async move {
            kind.clone().forward(&id, job).await;
            kind.forwarding.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Hands the job on and its answer back; carries it out here if nobody takes it.
    async fn forward(self: Arc<Self>, id: &str, job: Job) {
        let Home { placement, ambient, counters, .. } = self.any_home();
        let (inbound, command) = (&job.inbound, &job.command);
        match placement.forward((A::KIND, id), inbound, command, ambient.now()).await {
            Relayed::Answered(reply) => {
                counters.count_forwarded();
                job.inbound.answer(reply.headers.unwrap_or_default(), reply.body.into()).await;
            }
            Relayed::Expired => {
                let text = "the actor's node did not answer in time; the command may have been \
                            carried out";
                let failure = Failure::new(Status::Expired, text);
                self.fail(job.inbound, &job.command.name, failure, job.command.encoding);
            }
            Relayed::NotTaken => self.post(id, job),
        }
    }

    /// Whether actors may have moved to other nodes since this was last asked.
    fn may_have_moved(&self) -> bool {
        let changes = self.any_home().placement.changes();
        self.seen_changes.swap(changes, Ordering::Relaxed) != changes
    }

    /// Carries out what is in the mailbox, turn after turn, until it is empty.
    async fn work(self: Arc<Self>, id: &Arc<str>, mut presence: Presence<A>) {
        let Ok(typed) = Id::parse(id) else { unreachable!("ids are checked as they come in") };
        let (mut queue, mut mail) = (VecDeque::new(), Vec::new());
        loop {
            let room = TURN_MAX.saturating_sub(queue.len());
            match self.desks.next(id, presence, queue.is_empty(), (&mut mail, room)) {
                Some(taken) => presence = taken,
                None => return,
            }
            for job in mail.drain(..) {
                match open(job) {
                    (pending, None) => queue.push_back(pending),
                    (pending, Some(failure)) => self.tell(pending, Answer::failed(failure)).await,
                }
            }
            for (pending, answer) in self.turn(&mut presence, &typed, &mut queue).await {
                self.tell(pending, answer).await;
            }
            if presence.wants_snapshot(false) {
                self.write_snapshot_soon(id, &mut presence);
            }
        }
    }

    /// Tells who sent a command what it came to.
    async fn tell(&self, pending: Pending<Sender>, answer: Answer) {
        let (command, Sender { inbound, place, begun }) = pending.into_parts();
        self.tally.answered(&command.name, &answer.outcome, begun.elapsed());
        let (headers, body) = answer.into_message(command.encoding);
        inbound.answer(headers, body).await;
        drop(place);
    }

    /// Has a snapshot written, if not too many are being written already.
    fn write_snapshot_soon(&self, id: &str, presence: &mut Presence<A>) {
        if let Ok(permit) = self.snapshots.clone().try_acquire_owned() {
            self.write_snapshot(id, presence, permit);
        }
    }

    /// Has a snapshot written by a task of its own.
    fn write_snapshot(&self, id: &str, presence: &mut Presence<A>, permit: OwnedSemaphorePermit) {
        let Some(draft) = presence.draft_snapshot(self.home_of(id)) else { return };
        let cells = self.any_home().cells.clone();
        self.tasks.spawn(async move {
            draft.put(cells).await;
            drop(permit);
        });
    }

    /// Has snapshots written of actors about to be forgotten, where that is worth it.
    async fn write_snapshots_of_idle(&self, idle: Duration) {
        for id in self.desks.idle(idle, |presence| presence.wants_snapshot(true)) {
            let Ok(permit) = self.snapshots.clone().acquire_owned().await else { return };
            self.desks.with_idle(&id, |presence| self.write_snapshot(&id, presence, permit));
        }
    }

    async fn passivate_idle(&self, idle: Duration) {
        self.write_snapshots_of_idle(idle).await;
        // One that is busy now is left here until the nodes change again, or it is idle for long.
        let has_moved = self.may_have_moved();
        self.desks.passivate(|id, presence, unused| {
            let has_moved = has_moved
                && unused >= PASSIVATE_MOVED_AFTER
                && self.any_home().placement.elsewhere(A::KIND, id).is_some();
            (unused >= idle || has_moved) && !presence.wants_snapshot(true)
        });
    }

    /// Carries out some of `queue`. If loading the actor panics, all of it fails, and the actor is
    /// then loaded again.
    async fn turn(
        &self,
        presence: &mut Presence<A>,
        id: &Id<A>,
        queue: &mut VecDeque<Pending<Sender>>,
    ) -> Vec<(Pending<Sender>, Answer)> {
        let turn = presence.take_turn(self.home_of(id.as_str()), id, &self.doors, queue);
        match AssertUnwindSafe(turn).catch_unwind().await {
            Ok(answered) => answered,
            Err(_) => {
                error!(kind = A::KIND, %id, commands = queue.len(), "an actor panicked");
                *presence = Presence::Absent { trust_replicas: false };
                let text = "the actor panicked; the command may have been carried out";
                let failure = Answer::failed(Failure::new(Status::Internal, text));
                queue.drain(..).map(|pending| (pending, failure.clone())).collect()
            }
        }
    }

    /// Reads what came in as a command for some actor, but for its body.
    fn read(&self, inbound: &Inbound) -> Result<(Box<str>, Command, Place), Failure> {
        let bad_subject = |text| {
            let mut failure = Failure::new(Status::BadCommand, text);
            failure.body.field = Some("id".to_owned());
            failure
        };
        let (id, name) = subject::parse_command(&inbound.message.subject).map_err(bad_subject)?;
        let size = inbound.message.body.len();
        if size > COMMAND_BYTES_MAX {
            let text = format!("the body has {size} bytes, at most {COMMAND_BYTES_MAX}");
            return Err(Failure::new(Status::TooLarge, text));
        }
        if !self.doors.contains_key(name) {
            return Err(self.no_such_command(name));
        }
        let full = || self.overloaded("this node has as much to do as it may", name, 0);
        let place = self.room.take(size).ok_or_else(full)?;
        let headers = RequestHeaders::parse(inbound.message.headers.as_ref())?;
        let (id, name, body) = (id.into(), name.into(), inbound.message.body.clone());
        let command = Command {
            name,
            key: headers.key.clone().unwrap_or_else(|| self.any_home().ambient.key()),
            encoding: Encoding::likely(headers.content_type.as_deref(), &body),
            body,
            deadline: deadline(headers.budget),
            headers,
        };
        Ok((id, command, place))
    }

    fn no_such_command(&self, name: &str) -> Failure {
        let mut known: Vec<&str> = self.doors.keys().copied().collect();
        known.sort_unstable();
        let shown: String = name.chars().take(64).collect();
        let text = format!("`{}` has no command `{shown}`; it has: {}", A::KIND, known.join(", "));
        Failure::new(Status::NotFound, text)
    }

    fn refuse(&self, job: Job, reason: &str, waiting: usize) {
        let Job { command, inbound, .. } = job;
        let failure = self.overloaded(reason, &command.name, waiting);
        self.fail(inbound, &command.name, failure, command.encoding);
    }

    /// A refusal that says when to come back: when half of what waits there may be done.
    fn overloaded(&self, reason: &str, command: &str, waiting: usize) -> Failure {
        let mut failure = Failure::new(Status::Overloaded, reason);
        let ahead = u32::try_from(waiting / 2).unwrap_or(u32::MAX);
        let wait = self.tally.average(command).saturating_mul(ahead);
        let wait = wait.clamp(RETRY_HINT_MIN, RETRY_HINT_MAX).as_millis();
        failure.body.retry_after_ms = u32::try_from(wait).ok();
        failure
    }

    /// Answers what was not carried out.
    fn fail(&self, inbound: Inbound, command: &str, failure: Failure, encoding: Encoding) {
        let answer = Answer::failed(failure);
        self.tally.answered(command, &answer.outcome, Duration::ZERO);
        let Some(refusing) = self.room.refuse() else { return };
        let (headers, body) = answer.into_message(encoding);
        self.tasks.spawn(async move {
            inbound.answer(headers, body).await;
            drop(refusing);
        });
    }
}

/// Looks at what is in a job, as far as that needs no actor; and what is wrong with it, if
/// anything is.
fn open(job: Job) -> (Pending<Sender>, Option<Failure>) {
    let Job { mut command, inbound, place } = job;
    let named = command.headers.content_type.as_deref();
    let encoding = Encoding::detect(named, &command.body);
    command.encoding = encoding.unwrap_or(command.encoding);
    let pending = Pending::new(command, Sender { inbound, place, begun: Instant::now() });
    let text = "Content-Type must be application/json or application/msgpack";
    let failure = encoding.is_none().then(|| Failure::new(Status::BadCommand, text));
    (pending, failure)
}

impl<A: Actor> AnyKind for Kind<A> {
    fn take(self: Arc<Self>, mut inbound: Inbound) {
        match self.read(&inbound) {
            Ok((id, command, place)) => self.place(id, Job { command, inbound, place }),
            Err(failure) => {
                // Who wrote MessagePack reads MessagePack; everyone else can read JSON.
                let named = inbound.message.headers.take();
                let named = named.as_ref().and_then(|map| map.get(subject::CONTENT_TYPE));
                let named = named.map(async_nats::HeaderValue::as_str);
                let body = std::mem::replace(&mut inbound.message.body, Bytes::new());
                let encoding = Encoding::likely(named, &body);
                let name = inbound.message.subject.clone();
                let name = subject::parse_command(&name).map_or("", |(_, name)| name);
                self.fail(inbound, name, failure, encoding);
            }
        }
    }

    fn passivate(&self, idle: Duration) -> BoxFuture<'_, ()> {
        Box::pin(self.passivate_idle(idle))
    }

    fn homes(&self) -> &[Home] {
        &self.homes
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
