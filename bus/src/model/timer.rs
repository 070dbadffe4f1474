//! Timers: commands from the future, armed and disarmed by the commits of their own actor.
//!
//! A timer is named by its actor and the command it will make. What a commit says of timers is
//! part of it; the `timers` follower then tells the journal's schedules, in the order of the
//! actor's commits. Schedules only make messages; whether one still means anything, the actor
//! knows: it remembers which commit armed what ([`Armed`]), and turns away a firing whose timer
//! was disarmed or armed anew since. So nothing that is late, repeated or overtaken on the way,
//! neither an old arm that is delivered again nor a message fired before its disarm got there,
//! has an effect.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    journal::post::When,
    limits::TIMERS_REMEMBERED_MAX,
    model::{commit::Position, id::hex},
};

/// What one commit says of one timer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum TimerChange {
    /// It will make the command then.
    #[serde(rename = "armed")]
    Armed { command: Box<str>, body: Value, when: When },
    /// It will not.
    #[serde(rename = "disarmed")]
    Disarmed { command: Box<str>, body: Value },
}

impl TimerChange {
    pub(crate) fn command(&self) -> &str {
        match self {
            Self::Armed { command, .. } | Self::Disarmed { command, .. } => command,
        }
    }

    pub(crate) fn body(&self) -> &Value {
        match self {
            Self::Armed { body, .. } | Self::Disarmed { body, .. } => body,
        }
    }

    /// The timer's name among those of its actor. An object's fields are sorted in a `Value`, so
    /// equal commands have equal names.
    pub(crate) fn name(&self) -> TimerName {
        let mut hash = Sha256::new();
        hash.update(self.command().as_bytes());
        hash.update([0]);
        hash.update(self.body().to_string().as_bytes());
        let digest = hash.finalize();
        let mut name = [0; 16];
        name.copy_from_slice(&digest[..16]);
        TimerName(name)
    }
}

/// A fingerprint of a timer's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct TimerName([u8; 16]);

impl TimerName {
    /// As a token of a subject.
    pub(crate) fn token(self) -> String {
        hex(&self.0)
    }
}

/// Which change of which commit armed a timer: the commit's sequence, the change's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arming {
    pub(crate) sequence: u64,
    pub(crate) index: u32,
}

/// The code of the refusal of a firing that means nothing any more.
pub(crate) const DISARMED: &str = "DISARMED";

/// Where the key of a firing begins; nobody else's key should begin so.
const KEY_PREFIX: &str = "timers/";

impl Arming {
    /// The key of the command that the timer makes; of one that repeats, the part of the key that
    /// all its firings share.
    pub(crate) fn key(self, stream: &str) -> String {
        let Self { sequence, index } = self;
        format!("{KEY_PREFIX}{stream}@{sequence}/{index}")
    }

    /// The arming behind a command with this key, and whether the timer repeats. `None` for a
    /// command that no timer of an actor in `stream` made.
    pub(crate) fn behind(key: &str, stream: &str) -> Option<(Self, bool)> {
        Self::parse(key, |position| *position.stream == *stream)
    }

    /// As [`behind`](Self::behind), for an actor of `kind`, in whichever stream.
    pub(crate) fn behind_any_of(key: &str, kind: &str) -> Option<(Self, bool)> {
        Self::parse(key, |position| position.kind() == Some(kind))
    }

    fn parse(key: &str, is_ours: impl FnOnce(&Position) -> bool) -> Option<(Self, bool)> {
        let mut parts = key.strip_prefix(KEY_PREFIX)?.split('/');
        let position: Position = parts.next()?.parse().ok()?;
        let index = parts.next()?.parse().ok()?;
        let firing = parts.next();
        let is_ours = is_ours(&position) && parts.next().is_none();
        is_ours.then_some((Self { sequence: position.sequence, index }, firing.is_some()))
    }
}

/// What an actor's commits say of its timers: which are armed, and by which commit.
///
/// It is part of the actor's state: whoever keeps the state elsewhere keeps this with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Armed {
    by_name: BTreeMap<TimerName, Arming>,
    by_arming: BTreeMap<Arming, TimerName>,
    /// Of what was armed up to this sequence nothing is known: it may be armed still.
    unknown_until: u64,
}

/// What a snapshot keeps of the timers: what was armed by which change of which commit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptArmed {
    armed: Vec<(u64, u32, TimerName)>,
    unknown_until: u64,
}

impl From<KeptArmed> for Armed {
    fn from(kept: KeptArmed) -> Self {
        let mut armed = Self { unknown_until: kept.unknown_until, ..Self::default() };
        for (sequence, index, name) in kept.armed {
            armed.by_name.insert(name, Arming { sequence, index });
            armed.by_arming.insert(Arming { sequence, index }, name);
        }
        armed
    }
}

impl Armed {
    /// As it is kept in a snapshot.
    pub(crate) fn to_kept(&self) -> KeptArmed {
        let armed = self.by_arming.iter().map(|(at, name)| (at.sequence, at.index, *name));
        KeptArmed { armed: armed.collect(), unknown_until: self.unknown_until }
    }

    /// Takes in the actor's commit at `sequence` of `stream`, made by the command with `key`.
    pub(crate) fn advance(
        &mut self,
        stream: &str,
        sequence: u64,
        key: &str,
        timers: &[TimerChange],
    ) {
        if !self.by_name.is_empty()
            && let Some((arming, false)) = Arming::behind(key, stream)
            && let Some(name) = self.by_arming.remove(&arming)
        {
            self.by_name.remove(&name);
        }
        for (index, change) in (0..).zip(timers) {
            let name = change.name();
            if let Some(earlier) = self.by_name.remove(&name) {
                self.by_arming.remove(&earlier);
            }
            if let TimerChange::Armed { .. } = change {
                let arming = Arming { sequence, index };
                self.by_name.insert(name, arming);
                self.by_arming.insert(arming, name);
            }
        }
        while self.by_arming.len() > TIMERS_REMEMBERED_MAX {
            let Some((oldest, name)) = self.by_arming.pop_first() else { return };
            self.by_name.remove(&name);
            // Of its commit's other timers, too: better one late firing than one lost.
            self.unknown_until = oldest.sequence;
        }
    }

    /// Whether a firing of what was armed there still means anything.
    pub(crate) fn may_fire(&self, arming: Arming) -> bool {
        arming.sequence <= self.unknown_until || self.by_arming.contains_key(&arming)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::time::Timestamp;

    fn armed(n: u64) -> TimerChange {
        let when = When::At(Timestamp::from_millis(1));
        TimerChange::Armed { command: "release".into(), body: json!({"n": n}), when }
    }

    fn disarmed(n: u64) -> TimerChange {
        TimerChange::Disarmed { command: "release".into(), body: json!({"n": n}) }
    }

    fn at(sequence: u64, index: u32) -> Arming {
        Arming { sequence, index }
    }

    #[test]
    fn a_timer_is_named_by_its_command() {
        assert_eq!(armed(1).name(), disarmed(1).name());
        assert_ne!(armed(1).name(), armed(2).name());
        let back: TimerChange =
            rmp_serde::from_slice(&rmp_serde::to_vec_named(&armed(1)).expect("plain"))
                .expect("read");
        assert_eq!(back, armed(1));
        assert_eq!(back.name(), armed(1).name());
    }

    #[test]
    fn a_key_tells_what_armed_the_timer() {
        let once = at(12, 3).key("EVT_till_0");
        assert_eq!(once, "timers/EVT_till_0@12/3");
        assert_eq!(Arming::behind(&once, "EVT_till_0"), Some((at(12, 3), false)));
        assert_eq!(Arming::behind(&once, "EVT_other_0"), None);
        let again = "timers/EVT_till_0@12/3/77";
        assert_eq!(Arming::behind(again, "EVT_till_0"), Some((at(12, 3), true)));
        for other in ["k", "timers/x", "timers/EVT_till_0@12", "timers/EVT_till_0@12/0/1/2"] {
            assert_eq!(Arming::behind(other, "EVT_till_0"), None, "{other}");
        }
    }

    #[test]
    fn only_the_last_arming_may_fire_and_only_until_it_is_disarmed_or_has_fired() {
        let mut timers = Armed::default();
        timers.advance("EVT_till_0", 1, "k", &[armed(1), armed(2)]);
        assert!(timers.may_fire(at(1, 0)) && timers.may_fire(at(1, 1)));
        assert!(!timers.may_fire(at(2, 0)), "not armed there");
        timers.advance("EVT_till_0", 2, "l", &[armed(1), disarmed(2)]);
        assert!(!timers.may_fire(at(1, 0)), "armed anew");
        assert!(!timers.may_fire(at(1, 1)), "disarmed");
        timers.advance("EVT_till_0", 3, "timers/EVT_till_0@2/0/9", &[]);
        assert!(timers.may_fire(at(2, 0)), "one that repeats stays armed");
        timers.advance("EVT_till_0", 4, "timers/EVT_till_0@2/0", &[]);
        assert!(!timers.may_fire(at(2, 0)), "it has fired");
        assert_eq!(timers, Armed::default());
    }

    #[test]
    fn what_is_kept_in_a_snapshot_comes_back_the_same() {
        let mut timers = Armed::default();
        timers.advance("EVT_till_0", 1, "k", &[armed(1), armed(2)]);
        assert_eq!(Armed::from(timers.to_kept()), timers);
    }

    #[test]
    fn what_is_forgotten_may_fire() {
        let mut timers = Armed::default();
        let most = u64::try_from(TIMERS_REMEMBERED_MAX).expect("small");
        for n in 0..=most {
            timers.advance("EVT_till_0", 10 + n, "k", &[armed(n)]);
        }
        assert_eq!(timers.by_arming.len(), TIMERS_REMEMBERED_MAX);
        assert_eq!(timers.by_name.len(), TIMERS_REMEMBERED_MAX);
        timers.advance("EVT_till_0", 11 + most, "k", &[disarmed(0), disarmed(1)]);
        assert!(timers.may_fire(at(10, 0)), "forgotten: the handler decides");
        assert!(!timers.may_fire(at(11, 0)), "remembered");
    }
}
