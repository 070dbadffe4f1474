//! All activations of one kind on this node: a mailbox each, and work only where mail is.
//!
//! An idle activation is an entry in a map, not a task. A task runs for an actor while its
//! mailbox has something in it, so one actor decides one thing at a time.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::{
    activation::{Home, Presence},
    actor::Actor,
    command::{Command, deadline},
    command_set::{CommandSet, Door},
    encoding::Encoding,
    envelope::{Answer, RequestHeaders},
    failure::{Failure, Status},
    id::{Id, Key},
    limits::{ACTIVATIONS_MAX, COMMAND_BYTES_MAX, MAILBOX_MAX},
    subject,
    transport::Inbound,
};

/// How many maps share the activations, so that their locks are rarely contended.
const SHELVES: usize = 64;

/// One kind as this node hosts it.
#[derive(Debug)]
pub(crate) struct Kind<A: Actor> {
    home: Home,
    doors: HashMap<&'static str, Door<A>>,
    shelves: Vec<Mutex<HashMap<Box<str>, Desk<A>>>>,
    hasher: RandomState,
    active: AtomicUsize,
    tasks: TaskTracker,
}

/// One actor's place: its mail, and itself unless somebody is working on it.
#[derive(Debug)]
struct Desk<A: Actor> {
    mailbox: VecDeque<Job>,
    /// `None` while a task has it.
    presence: Option<Presence<A>>,
    last_used: Instant,
}

/// A command and whom to answer.
#[derive(Debug)]
struct Job {
    command: Command,
    inbound: Inbound,
}

/// A kind whose actor type is not known where it is used.
pub(crate) trait AnyKind: Send + Sync {
    /// Takes a request in. Never waits.
    fn take(self: Arc<Self>, inbound: Inbound);

    /// Forgets activations that were idle for `idle`.
    fn passivate(&self, idle: Duration);

    fn home(&self) -> &Home;
}

impl<A: Actor> Kind<A> {
    pub(crate) fn new(home: Home, tasks: TaskTracker) -> Self {
        let doors = A::Commands::doors().into_iter().map(|door| (door.name, door)).collect();
        let shelves = std::iter::repeat_with(Mutex::default).take(SHELVES).collect();
        let hasher = RandomState::new();
        Self { home, doors, shelves, hasher, active: AtomicUsize::new(0), tasks }
    }

    fn shelf(&self, id: &str) -> MutexGuard<'_, HashMap<Box<str>, Desk<A>>> {
        let hash = usize::try_from(self.hasher.hash_one(id) % SHELVES as u64).unwrap_or(0);
        // A panic while the lock was held left no half-made entry: every step under it is whole.
        self.shelves[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the job in its actor's mailbox, and has somebody work on it.
    fn post(self: Arc<Self>, id: &str, job: Job) {
        let mut shelf = self.shelf(id);
        if !shelf.contains_key(id) {
            if self.active.load(Ordering::Relaxed) >= ACTIVATIONS_MAX {
                drop(shelf);
                return self.refuse(job, "this node has as many actors in memory as it may");
            }
            self.active.fetch_add(1, Ordering::Relaxed);
        }
        let desk = shelf.entry(id.into()).or_insert_with(Desk::empty);
        if desk.mailbox.len() >= MAILBOX_MAX {
            drop(shelf);
            return self.refuse(job, "too many commands wait for this actor");
        }
        desk.mailbox.push_back(job);
        if let Some(presence) = desk.presence.take() {
            drop(shelf);
            let id: Box<str> = id.into();
            let kind = self.clone();
            self.tasks.spawn(async move { kind.work(&id, presence).await });
        }
    }

    /// Carries out what is in the mailbox, one after another, until it is empty.
    async fn work(self: Arc<Self>, id: &str, mut presence: Presence<A>) {
        let Ok(typed) = Id::parse(id) else { unreachable!("ids are checked as they come in") };
        loop {
            let Job { command, inbound } = {
                let mut shelf = self.shelf(id);
                let desk = shelf.get_mut(id).expect("a desk stays while it is worked on");
                match desk.mailbox.pop_front() {
                    Some(job) => job,
                    None if presence.is_forgettable() => {
                        shelf.remove(id);
                        self.active.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    None => {
                        // An idle actor needs no room for the mail of its busiest hour.
                        desk.mailbox = VecDeque::new();
                        desk.presence = Some(presence);
                        desk.last_used = Instant::now();
                        return;
                    }
                }
            };
            let answer = match self.doors.get(&*command.name) {
                Some(door) => self.carry_out(&mut presence, &typed, door, &command).await,
                None => Answer::failed(self.no_such_command(&command.name)),
            };
            let (headers, body) = answer.into_message(command.encoding);
            inbound.answer(headers, body).await;
        }
    }

    /// Carries out one command. What panics, such as folding its events, fails alone: the actor
    /// is then loaded again.
    async fn carry_out(
        &self,
        presence: &mut Presence<A>,
        id: &Id<A>,
        door: &Door<A>,
        command: &Command,
    ) -> Answer {
        let work = presence.carry_out(&self.home, id, door, command);
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(answer) => answer,
            Err(_) => {
                error!(kind = A::KIND, %id, command = door.name, trace = ?command.headers.trace, "an actor panicked");
                *presence = Presence::Absent { trust_replicas: false };
                let text = "the actor panicked; the command may have been carried out";
                Answer::failed(Failure::new(Status::Internal, text))
            }
        }
    }

    /// Reads what came in as a command for the actor `id`.
    fn read(&self, inbound: &Inbound) -> Result<(Box<str>, Command), Failure> {
        let bad_subject = |text| {
            let mut failure = Failure::new(Status::BadCommand, text);
            failure.body.field = Some("id".to_owned());
            failure
        };
        let (id, name) = subject::parse_command(&inbound.subject).map_err(bad_subject)?;
        if inbound.body.len() > COMMAND_BYTES_MAX {
            let text =
                format!("the body has {} bytes, at most {COMMAND_BYTES_MAX}", inbound.body.len());
            return Err(Failure::new(Status::TooLarge, text));
        }
        if !self.doors.contains_key(name) {
            return Err(self.no_such_command(name));
        }
        let headers = RequestHeaders::parse(inbound.headers.as_ref())?;
        let encoding = Encoding::detect(headers.content_type.as_deref(), &inbound.body)
            .ok_or_else(|| {
                let text = "Content-Type must be application/json or application/msgpack";
                Failure::new(Status::BadCommand, text)
            })?;
        let command = Command {
            name: name.into(),
            key: headers.key.clone().unwrap_or_else(Key::random),
            encoding,
            body: inbound.body.clone(),
            deadline: deadline(headers.budget),
            headers,
        };
        Ok((id.into(), command))
    }

    fn no_such_command(&self, name: &str) -> Failure {
        let mut known: Vec<&str> = self.doors.keys().copied().collect();
        known.sort_unstable();
        let shown: String = name.chars().take(64).collect();
        let text = format!("`{}` has no command `{shown}`; it has: {}", A::KIND, known.join(", "));
        Failure::new(Status::NotFound, text)
    }

    fn refuse(&self, job: Job, reason: &str) {
        let answer = Answer::failed(Failure::new(Status::Overloaded, reason));
        self.reply(job.inbound, answer, job.command.encoding);
    }

    fn reply(&self, inbound: Inbound, answer: Answer, encoding: Encoding) {
        let (headers, body) = answer.into_message(encoding);
        self.tasks.spawn(async move { inbound.answer(headers, body).await });
    }
}

impl<A: Actor> AnyKind for Kind<A> {
    fn take(self: Arc<Self>, inbound: Inbound) {
        match self.read(&inbound) {
            Ok((id, command)) => self.post(&id, Job { command, inbound }),
            Err(failure) => {
                // Who wrote MessagePack reads MessagePack; everyone else can read JSON.
                let named = RequestHeaders::parse(inbound.headers.as_ref()).ok();
                let named = named.and_then(|headers| headers.content_type);
                let encoding = Encoding::detect(named.as_deref(), &inbound.body);
                let encoding = encoding.unwrap_or(Encoding::Json);
                self.reply(inbound, Answer::failed(failure), encoding);
            }
        }
    }

    fn passivate(&self, idle: Duration) {
        let now = Instant::now();
        for shelf in &self.shelves {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let before = shelf.len();
            shelf.retain(|_, desk| desk.presence.is_none() || now - desk.last_used < idle);
            self.active.fetch_sub(before - shelf.len(), Ordering::Relaxed);
        }
    }

    fn home(&self) -> &Home {
        &self.home
    }
}

impl<A: Actor> Desk<A> {
    fn empty() -> Self {
        Self {
            mailbox: VecDeque::new(),
            presence: Some(Presence::Absent { trust_replicas: true }),
            last_used: Instant::now(),
        }
    }
}
