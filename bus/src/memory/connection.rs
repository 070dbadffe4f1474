//! One node's connection: every call of it goes through here, and may be delayed or lost.

use std::{future::pending, sync::Arc, time::Duration};

use async_nats::HeaderMap;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{
    link::Link,
    state::{Shared, State},
};
use crate::{
    journal::{AppendError, ReadError},
    limits::{APPEND_TIMEOUT, IN_MEMORY_MESSAGE_BYTES_MAX, READ_TIMEOUT},
};

#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) world: Arc<Shared>,
    pub(super) link: Arc<Link>,
}

/// What becomes of one write.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Stored,
    AckLost,
    Lost,
    Late(Duration),
    ReportedAsConflict,
    KilledBefore,
    KilledAfter,
}

impl Connection {
    /// Has the server do something, and waits at most `budget` for its answer.
    ///
    /// What is once under way is done, whatever becomes of who asked for it.
    async fn exchange<T: Send + 'static>(
        &self,
        budget: Duration,
        is_write: bool,
        act: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> Option<T> {
        let deadline = Instant::now() + budget;
        self.link.running().await;
        if !self.link.connected(deadline).await {
            if is_write {
                // As a client does: it is sent although nobody waits for it any more.
                let act = |state: &mut State| drop(act(state));
                self.world.lock().hold_back(self.link.number, act);
            }
            return None;
        }
        let count = self.link.count();
        let answer = self.send(deadline, act).await;
        let back = self.world.lock().delay();
        if !back.is_zero() {
            sleep(back).await;
        }
        self.link.running().await;
        if answer.is_some() && self.link.count() == count && !self.link.condition().is_stuck() {
            return answer;
        }
        self.silence(deadline).await;
        None
    }

    async fn send<T: Send + 'static>(
        &self,
        deadline: Instant,
        act: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> Option<T> {
        let answer = {
            let mut state = self.world.lock();
            let delay = state.delay();
            if delay.is_zero() {
                return Some(act(&mut state));
            }
            let (answered, answer) = oneshot::channel();
            // Whether anybody still waits for the answer is no matter to the server.
            state.after(delay, move |state| drop(answered.send(act(state))));
            answer
        };
        timeout_at(deadline, answer).await.ok()?.ok()
    }

    /// Waits in vain.
    pub(super) async fn silence(&self, deadline: Instant) {
        sleep_until(deadline).await;
        self.link.running().await;
    }

    /// A read: may be lost, either way.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let deadline = Instant::now() + READ_TIMEOUT;
        self.link.running().await;
        if self.loses_request() {
            self.silence(deadline).await;
            return Err(ReadError("read timed out".to_owned()));
        }
        let answer = self.exchange(READ_TIMEOUT, false, act).await;
        if answer.is_some() && self.loses_reply() {
            self.silence(deadline).await;
            return Err(ReadError("read timed out".to_owned()));
        }
        answer.unwrap_or_else(|| Err(ReadError("read timed out".to_owned())))
    }

    pub(super) fn loses_request(&self) -> bool {
        let mut state = self.world.lock();
        let chance = state.faults.request_lost;
        state.bites("request_lost", chance)
    }

    fn loses_reply(&self) -> bool {
        let mut state = self.world.lock();
        let chance = state.faults.reply_lost;
        state.bites("reply_lost", chance)
    }

    /// A write: may be lost, or done without our hearing of it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, AppendError> + Send + 'static,
    ) -> Result<T, AppendError> {
        self.link.running().await;
        let fate = self.world.lock().fate(false);
        self.write_with(fate, act).await
    }

    /// A commit's write: in addition its node may die of it, or be told of a conflict.
    pub(super) async fn write_commit<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, AppendError> + Send + 'static,
    ) -> Result<T, AppendError> {
        self.link.running().await;
        let fate = self.world.lock().fate(true);
        self.write_with(fate, act).await
    }

    async fn write_with<T: Send + 'static>(
        &self,
        fate: Fate,
        act: impl FnOnce(&mut State) -> Result<T, AppendError> + Send + 'static,
    ) -> Result<T, AppendError> {
        let done = |bite: &'static str| {
            move |state: &mut State| {
                let done = act(state);
                // What is refused anyway was not hurt by the fault.
                if done.is_ok() && !bite.is_empty() {
                    state.count(bite);
                }
                done
            }
        };
        match fate {
            Fate::Stored => {
                let answer = self.exchange(APPEND_TIMEOUT, true, done("")).await;
                answer.unwrap_or(Err(AppendError::Unknown))
            }
            Fate::ReportedAsConflict => {
                match self.exchange(APPEND_TIMEOUT, true, done("conflict_reported")).await {
                    Some(Ok(_)) => Err(AppendError::Conflict),
                    answer => answer.unwrap_or(Err(AppendError::Unknown)),
                }
            }
            Fate::AckLost => {
                self.exchange(APPEND_TIMEOUT, true, done("ack_lost")).await;
                self.unknown().await
            }
            Fate::Lost => {
                self.world.lock().count("append_lost");
                self.unknown().await
            }
            Fate::Late(delay) => {
                let act = done("");
                let late = move |state: &mut State| {
                    let bite = if act(state).is_ok() { "late_stored" } else { "late_refused" };
                    state.count(bite);
                };
                let unknown = self.unknown().await;
                self.world.lock().after(delay, late);
                unknown
            }
            Fate::KilledBefore => {
                self.die("killed_before_append");
                pending().await
            }
            Fate::KilledAfter => {
                self.exchange(APPEND_TIMEOUT, true, done("")).await;
                self.die("killed_after_append");
                pending().await
            }
        }
    }

    fn die(&self, how: &'static str) {
        let mut state = self.world.lock();
        state.count(how);
        state.kill(&self.link);
    }

    /// No acknowledgement comes: known at once where the connection breaks, else after the
    /// whole time.
    async fn unknown<T>(&self) -> Result<T, AppendError> {
        let span = self.world.lock().dice.span(APPEND_TIMEOUT);
        self.silence(Instant::now() + span).await;
        Err(AppendError::Unknown)
    }
}

impl State {
    fn fate(&mut self, is_commit: bool) -> Fate {
        let faults = self.faults;
        if is_commit && self.dice.per_mille(faults.kill_at_append) {
            return if self.dice.below(2) == 0 { Fate::KilledBefore } else { Fate::KilledAfter };
        }
        if is_commit && self.dice.per_mille(faults.conflict_reported) {
            return Fate::ReportedAsConflict;
        }
        if self.dice.per_mille(faults.ack_lost) {
            return Fate::AckLost;
        }
        if self.dice.per_mille(faults.append_lost) {
            return Fate::Lost;
        }
        if self.bites("append_late", faults.append_late) {
            // Often so soon that its writer has not looked yet, sometimes much later.
            return Fate::Late(Duration::from_millis(1 << self.dice.below(14)));
        }
        Fate::Stored
    }
}

/// Whether the server takes a message of this size, as a server's default limit has it.
pub(super) fn fits(headers: Option<&HeaderMap>, body: &[u8]) -> bool {
    let headers = headers.into_iter().flat_map(HeaderMap::iter);
    let lines = headers.flat_map(|(name, values)| {
        values.iter().map(move |value| AsRef::<str>::as_ref(name).len() + value.as_str().len() + 4)
    });
    lines.sum::<usize>() + body.len() <= IN_MEMORY_MESSAGE_BYTES_MAX
}
