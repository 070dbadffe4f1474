//! How a turn ends: its commits are stored, and everybody is told.
//!
//! No answer that rests on a commit leaves before the journal has acknowledged it. An answer that
//! stores nothing rests on the state it was decided on, and leaves once that is known to have
//! been the newest: a commit that is stored says so of all that was decided on its way to it, and
//! on the state it left. With nothing to store, the journal is asked.

use tokio::time::Instant;
use tracing::warn;

use crate::{
    journal::{
        AppendError,
        group::{Appended, Chain, Failed},
    },
    model::actor::Actor,
    node::{
        activation::{Activation, Decided, Home},
        turn::{Draft, Pending, Settled, Step, What},
    },
    planted::Plant,
    wire::{
        envelope::Answer,
        failure::{Failure, Status},
    },
};

/// Why a turn's commits, from one on, are not stored, or may not be.
#[derive(Debug)]
enum Loss {
    /// Another writer was first.
    Overtaken,
    /// So many may still be stored; the others were not sent.
    InDoubt(usize),
    /// So many may be stored, and nobody can say; the others were not sent.
    Unanswered(usize, Failure),
    /// The journal takes none of them.
    Refused(Failure),
    /// The journal does not take the first.
    TooLarge,
}

impl<A: Actor> Activation<A> {
    /// Stores what was decided, and words the answers.
    pub(super) async fn settle<T: Send + Sync>(
        &mut self,
        home: &Home,
        draft: Draft<T>,
    ) -> Settled<T> {
        if draft.commits == 0 {
            return Box::pin(self.settle_unstored(home, draft)).await;
        }
        let (stored, mut loss) = self.append(home, &draft).await;
        let (mut stored, is_any_stored) = (stored.iter(), !stored.is_empty());
        let mut settled = Settled { is_ahead: loss.is_some(), ..Settled::default() };
        // Whether the step comes behind the last that is stored.
        let mut is_behind = !is_any_stored;
        for Step { pending, what } in draft.steps {
            match what {
                What::Commit(decided) => match (stored.next(), &mut loss) {
                    (Some(&sequence), _) => {
                        home.counters.count_commit();
                        self.note(home, sequence, decided.noted);
                        let position = Some(home.position(sequence));
                        let answer = Answer { outcome: Ok(decided.reply), position };
                        settled.answered.push((pending, answer));
                    }
                    (None, loss) => {
                        is_behind = true;
                        let loss = loss.as_mut().expect("what is not stored was lost");
                        loss.meets(pending, home, self.version, &mut settled);
                    }
                },
                What::Rests(_) if is_behind => settled.again.push(pending.overtaken()),
                What::Rests(outcome) | What::Stands(outcome) => {
                    settled.answered.push(pending.ends(home, self.version, outcome));
                }
                What::Recorded(answer) => settled.answered.push((pending, answer)),
            }
        }
        self.newest_at = self.newest_at.max(self.version);
        settled
    }

    /// The end of a turn that stores nothing.
    async fn settle_unstored<T>(&mut self, home: &Home, draft: Draft<T>) -> Settled<T> {
        let rests = draft.steps.iter().any(|step| matches!(step.what, What::Rests(_)));
        let is_newest = if rests { self.is_newest(home).await } else { Ok(true) };
        let mut settled = Settled::default();
        for Step { pending, what } in draft.steps {
            match (what, &is_newest) {
                (What::Rests(_), Ok(false)) => settled.again.push(pending.overtaken()),
                (What::Rests(_), Err(error)) => {
                    let failure = Failure::new(Status::Unavailable, error.to_string());
                    settled.answered.push(pending.fails(failure));
                }
                (What::Rests(outcome) | What::Stands(outcome), _) => {
                    settled.answered.push(pending.ends(home, self.version, outcome));
                }
                (What::Recorded(answer), _) => settled.answered.push((pending, answer)),
                (What::Commit(_), _) => unreachable!("a turn with commits ends otherwise"),
            }
        }
        settled
    }

    /// Appends the turn's commits: where the first of them are stored, and what became of the
    /// rest, if there is one.
    async fn append<T: Sync>(&self, home: &Home, draft: &Draft<T>) -> (Vec<u64>, Option<Loss>) {
        let commits: Vec<(&Decided, Instant)> = draft.commits().collect();
        let chain = Chain {
            id: self.id.as_str().into(),
            expected: self.expected(home).await,
            commits: commits.iter().map(|(decided, _)| decided.bytes.clone()).collect(),
        };
        if Plant::ReplyBeforeAppend.is_here() {
            return (Box::pin(self.reply_before_append(home, chain)).await, None);
        }
        let Appended { mut stored, failed } = home.group.append(chain).await;
        let Some(Failed { error, sent }) = failed else { return (stored, None) };
        let doubtful = &commits[stored.len()..][..sent];
        let loss = match error {
            AppendError::Refused(reason) => {
                warn!(kind = A::KIND, id = %self.id, reason, "the journal refused a commit");
                let text = format!("the journal does not take the commit: {reason}");
                Loss::Refused(Failure::new(Status::Unavailable, text))
            }
            AppendError::TooLarge => Loss::TooLarge,
            AppendError::Conflict | AppendError::Unknown => {
                match Box::pin(self.find_last(home, doubtful)).await {
                    Ok(Some(last)) => {
                        stored.extend(last + 1 - sent as u64..=last);
                        Loss::Overtaken
                    }
                    Ok(None) if error == AppendError::Unknown => Loss::InDoubt(sent),
                    Ok(None) => {
                        home.counters.count_late_write();
                        Loss::Overtaken
                    }
                    Err(failure) => Loss::Unanswered(sent, failure),
                }
            }
        };
        let is_all = stored.len() == commits.len();
        (stored, (!is_all).then_some(loss))
    }

    /// The conflict rule, for commits that are all stored or none: where the last of them is, if
    /// it is the actor's last one.
    async fn find_last(
        &self,
        home: &Home,
        doubtful: &[(&Decided, Instant)],
    ) -> Result<Option<u64>, Failure> {
        let Some((last, _)) = doubtful.last() else { return Ok(None) };
        let deadline = doubtful.iter().map(|(_, deadline)| *deadline).max();
        self.find_own(home, &last.noted.commit, deadline.unwrap_or_else(Instant::now)).await
    }

    async fn expected(&self, home: &Home) -> u64 {
        if Plant::NoVersionCheck.is_here() {
            let last = home.journal.last(&home.shard, self.id.as_str()).await;
            return last.map_or(0, |last| last.map_or(0, |entry| entry.sequence));
        }
        self.version
    }

    /// A bug on purpose.
    async fn reply_before_append(&self, home: &Home, chain: Chain) -> Vec<u64> {
        let bounds = home.journal.bounds(&home.shard.stream).await;
        let first = bounds.map_or(0, |bounds| bounds.last_sequence) + 1;
        let guess = (first..).take(chain.commits.len()).collect();
        let group = home.group.clone();
        tokio::spawn(async move { group.append(chain).await });
        guess
    }
}

impl<T> Draft<T> {
    /// The commits in order, and until when their senders wait.
    fn commits(&self) -> impl Iterator<Item = (&Decided, Instant)> {
        self.steps.iter().filter_map(|Step { pending, what }| match what {
            What::Commit(decided) => Some((decided, pending.command.deadline)),
            _ => None,
        })
    }
}

impl<T> Pending<T> {
    /// The end of one that stored nothing. But what is on its way may be stored yet, and then
    /// this would have been wrong.
    fn ends(self, home: &Home, sequence: u64, outcome: Result<Vec<u8>, Failure>) -> (Self, Answer) {
        if self.is_in_doubt {
            let text = "the command may have been carried out";
            return self.fails(Failure::new(Status::Expired, text));
        }
        let position = Some(home.position(sequence));
        (self, Answer { outcome, position })
    }
}

impl<T> Default for Settled<T> {
    fn default() -> Self {
        Self { answered: Vec::new(), again: Vec::new(), is_ahead: false }
    }
}

impl Loss {
    /// What becomes of the next one that is lost.
    fn meets<T>(&mut self, mut pending: Pending<T>, home: &Home, last: u64, to: &mut Settled<T>) {
        match self {
            Self::Overtaken | Self::InDoubt(0) | Self::Unanswered(0, _) => {
                to.again.push(pending.overtaken());
            }
            Self::InDoubt(sent) => {
                *sent -= 1;
                pending.is_in_doubt = true;
                to.again.push(pending.overtaken());
            }
            Self::Unanswered(sent, failure) => {
                *sent -= 1;
                to.answered.push(pending.fails(failure.clone()));
            }
            Self::Refused(failure) => to.answered.push(pending.fails(failure.clone())),
            Self::TooLarge => {
                let text = "the commit is larger than the server allows";
                let failure = Failure::new(Status::TooLarge, text);
                to.answered.push(pending.ends(home, last, Err(failure)));
                *self = Self::Overtaken;
            }
        }
    }
}
