//! How a handler arms and disarms timers: durable, and part of its commit.

use std::time::Duration;

use serde_json::Value;

use crate::{
    journal::post::When,
    limits::{TIMER_AHEAD_MAX, TIMER_BYTES_MAX, TIMERS_PER_COMMIT_MAX},
    model::{
        actor::{Actor, Context, Handle, Wire},
        command_set::{CommandSet, is_listed},
        every::Every,
        time::Timestamp,
        timer::TimerChange,
    },
    wire::failure::{Failure, Status},
};

impl<A: Actor> Context<A> {
    /// Arms a timer: `command` is sent to this actor, surely, once `delay` has passed since
    /// [`Context::now`], also if every node is down then; never earlier by the journal's clock,
    /// and mostly within half a second. Zero means at once, after this command.
    ///
    /// A timer is named by its command: arming an equal one replaces it. Handled like any other,
    /// the command may be refused, which ends the matter. Once another commit has replaced or
    /// disarmed a timer, it no longer takes effect, however late its command arrives.
    pub fn after<C: Wire>(&mut self, delay: Duration, command: C)
    where
        A: Handle<C>,
    {
        let at = self.now().plus(delay);
        self.at(at, command);
    }

    /// As [`Context::after`], at a moment. One that has passed means at once.
    pub fn at<C: Wire>(&mut self, at: Timestamp, command: C)
    where
        A: Handle<C>,
    {
        self.arm(When::At(at), &command);
    }

    /// Arms a timer that sends `command` again and again until it is disarmed. Each firing is a
    /// command of its own, with a key of its own. What came due while every node was down comes
    /// later, all of it: such a command says what to do, not when it was due.
    pub fn every<C: Wire>(&mut self, schedule: &Every, command: C)
    where
        A: Handle<C>,
    {
        self.arm(When::Every(schedule.to_string()), &command);
    }

    /// Disarms the timer that would send `command`; it need not be armed.
    pub fn disarm<C: Wire>(&mut self, command: &C)
    where
        A: Handle<C>,
    {
        let name = listed::<A, C>();
        self.timers.add(command, |body| TimerChange::Disarmed { command: name.into(), body });
    }

    fn arm<C: Wire>(&mut self, when: When, command: &C)
    where
        A: Handle<C>,
    {
        let name = listed::<A, C>();
        if let When::At(at) = when
            && at > self.now().plus(TIMER_AHEAD_MAX)
        {
            let text =
                format!("a timer for `{name}` would fire more than a hundred years from now");
            self.timers.fail(Failure::new(Status::BadCommand, text));
            return;
        }
        self.timers.add(command, |body| TimerChange::Armed { command: name.into(), body, when });
    }
}

const fn listed<A: Handle<C>, C: Wire>() -> &'static str {
    const {
        assert!(
            is_listed(<A::Commands as CommandSet<A>>::NAMES, <A as Handle<C>>::NAME),
            "the actor handles this command but does not list it in `Actor::Commands`"
        );
        assert!(A::TIMERS, "an actor with timers says so: `const TIMERS: bool = true;`");
    }
    <A as Handle<C>>::NAME
}

/// What one handler wants of timers, until it is committed.
#[derive(Debug, Default)]
pub(crate) struct TimerIntents {
    changes: Vec<TimerChange>,
    fault: Option<Failure>,
}

impl TimerIntents {
    fn add<C: Wire>(&mut self, command: &C, change: impl FnOnce(Value) -> TimerChange) {
        // JSON, so that a timer can be read where it is kept, and by everyone.
        let body = match serde_json::to_value(command) {
            Ok(body) => body,
            Err(error) => {
                let text = format!("a timer's command cannot be written: {error}");
                return self.fail(Failure::new(Status::Internal, text));
            }
        };
        let change = change(body);
        let size = change.body().to_string().len();
        if size > TIMER_BYTES_MAX {
            let name = change.command();
            let text =
                format!("a timer for `{name}` would have {size} bytes, at most {TIMER_BYTES_MAX}");
            return self.fail(Failure::new(Status::TooLarge, text));
        }
        // The last word counts.
        self.changes
            .retain(|other| other.command() != change.command() || other.body() != change.body());
        self.changes.push(change);
        if self.changes.len() > TIMERS_PER_COMMIT_MAX {
            let text =
                format!("one command arms or disarms at most {TIMERS_PER_COMMIT_MAX} timers");
            self.fail(Failure::new(Status::TooLarge, text));
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.fault.get_or_insert(failure);
    }

    /// What is to be committed.
    ///
    /// # Errors
    /// What went wrong first: nothing of the command is then carried out.
    pub(crate) fn into_changes(self) -> Result<Vec<TimerChange>, Failure> {
        self.fault.map_or(Ok(self.changes), Err)
    }
}
