//! Which nodes there are, as one process sees it, and which of them an actor belongs to.
//!
//! Pure: told of every change and of the time. Views of two processes may differ for a moment;
//! that makes two nodes work on one actor, which the version check makes harmless, and only slow.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::time::Instant;

use crate::{
    journal::cells::Change,
    limits::{NODE_RENEW_EVERY, NODE_SILENCE, NODES_SILENCE},
    wire::subject,
};

/// The nodes of each kind.
#[derive(Debug, Default)]
pub(crate) struct View {
    kinds: BTreeMap<Box<str>, BTreeMap<Arc<str>, Member>>,
    /// Whether all that was there has been told: before, a missing node means nothing.
    is_told: bool,
    /// What was told since watching began anew, until all is told.
    told: BTreeSet<(Box<str>, Arc<str>)>,
    /// Counts the changes of who is there.
    changes: u64,
}

/// A node that says it hosts a kind.
#[derive(Debug)]
struct Member {
    heard: Instant,
    /// Nobody took what was sent to it last.
    is_lost: bool,
}

impl Member {
    /// Whether it can be asked. `latest` is when any node of the kind was heard last: where all
    /// are late, it is the server or the disk that is slow, and that speaks against none of them.
    fn is_answering(&self, latest: Instant, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.heard);
        let behind = latest.saturating_duration_since(self.heard);
        let is_late = silent >= NODE_SILENCE && behind >= NODE_RENEW_EVERY;
        !self.is_lost && !is_late && silent < NODES_SILENCE
    }
}

/// When any of them was heard last.
fn latest(members: &BTreeMap<Arc<str>, Member>) -> Option<Instant> {
    members.values().map(|member| member.heard).max()
}

impl View {
    /// Watching begins anew: what is not told again is gone.
    pub(crate) fn begin(&mut self) {
        self.told.clear();
    }

    /// Nobody tells us any more.
    pub(crate) fn forget(&mut self) {
        *self = Self { changes: self.changes + 1, ..Self::default() };
    }

    pub(crate) fn apply(&mut self, change: &Change, now: Instant) {
        match change {
            Change::Put(cell) => {
                let Some((kind, node)) = subject::parse_node_key(&cell.key) else { return };
                let node: Arc<str> = node.into();
                self.told.insert((kind.into(), node.clone()));
                let members = self.kinds.entry(kind.into()).or_default();
                let member = Member { heard: now, is_lost: false };
                if members.insert(node, member).is_none() {
                    self.changes += 1;
                }
            }
            Change::Gone(key) => {
                let Some((kind, node)) = subject::parse_node_key(key) else { return };
                self.told.remove(&(Box::from(kind), Arc::from(node)));
                let members = self.kinds.get_mut(kind);
                if members.is_some_and(|members| members.remove(node).is_some()) {
                    self.changes += 1;
                }
            }
            Change::Told => {
                let told = std::mem::take(&mut self.told);
                let mut gone = 0;
                for (kind, members) in &mut self.kinds {
                    let before = members.len();
                    members.retain(|node, _| told.contains(&(kind.clone(), node.clone())));
                    gone += before - members.len();
                }
                self.changes += u64::from(gone > 0 || !self.is_told);
                self.is_told = true;
            }
        }
    }

    /// The node where the actor should live, of those that answer. `me`, if it is among the
    /// nodes and takes what is sent to it, answers surely. `None` if nothing is known.
    pub(crate) fn owner(&self, kind: &str, id: &str, me: &str, now: Instant) -> Option<Arc<str>> {
        if !self.is_told {
            return None;
        }
        let members = self.kinds.get(kind)?;
        let latest = latest(members)?;
        let is_answering =
            |node: &str, m: &Member| (node == me && !m.is_lost) || m.is_answering(latest, now);
        let answering = members.iter().filter(|(node, member)| is_answering(node, member));
        // Among equals the first by name: `max_by_key` would take the last.
        let ranked = answering.map(|(node, _)| (score(kind, id, node), std::cmp::Reverse(node)));
        ranked.max().map(|(_, std::cmp::Reverse(node))| node.clone())
    }

    /// Something came from the node.
    pub(crate) fn heard(&mut self, kind: &str, node: &str, now: Instant) {
        if let Some(member) = self.kinds.get_mut(kind).and_then(|members| members.get_mut(node)) {
            *member = Member { heard: now, is_lost: false };
        }
    }

    /// Nobody took what was sent to the node. It counts again once it is heard.
    pub(crate) fn lost(&mut self, kind: &str, node: &str) {
        if let Some(member) = self.kinds.get_mut(kind).and_then(|members| members.get_mut(node)) {
            member.is_lost = true;
        }
    }

    /// When the node was heard last, and whether it still counts as answering, if it is there.
    pub(crate) fn standing(&self, kind: &str, node: &str, now: Instant) -> Option<(Instant, bool)> {
        let members = self.kinds.get(kind)?;
        let member = members.get(node)?;
        Some((member.heard, member.is_answering(latest(members)?, now)))
    }

    /// Another number, other nodes.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }
}

/// How much an actor belongs to a node; it lives where this is highest.
///
/// FNV-1a, 64 bits, of `<kind>.<id>.<node>`, then the finalizer of `MurmurHash3`, because the
/// last characters of a text hardly move the highest bits of FNV. On the wire for good: any
/// client may compute it.
fn score(kind: &str, id: &str, node: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in [kind, ".", id, ".", node] {
        for byte in part.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::journal::cells::Cell;

    fn put(key: &str) -> Change {
        Change::Put(Cell { key: key.to_owned(), value: Bytes::new() })
    }

    fn view(keys: &[&str], now: Instant) -> View {
        let mut view = View::default();
        for key in keys {
            view.apply(&put(key), now);
        }
        view.apply(&Change::Told, now);
        view
    }

    fn owner(view: &View, id: &str, now: Instant) -> Option<Arc<str>> {
        view.owner("till", id, "me", now)
    }

    #[test]
    fn the_score_is_what_other_languages_compute() {
        assert_eq!(score("order", "o-1", "a"), 0xd256_1b9a_01e8_01d1);
        assert_eq!(score("till", "t-7", "node2"), 0x22c5_fcea_2cc3_6854);
    }

    #[test]
    fn actors_spread_evenly_and_only_those_of_a_lost_node_move() {
        let now = Instant::now();
        let three = view(&["till.a", "till.b", "till.c"], now);
        let two = view(&["till.a", "till.c"], now);
        let mut counts = BTreeMap::<Arc<str>, u32>::new();
        for n in 0..3_000 {
            let id = format!("t-{n}");
            let before = owner(&three, &id, now).expect("known");
            let after = owner(&two, &id, now).expect("known");
            assert!(before == after || &*before == "b");
            *counts.entry(before).or_default() += 1;
        }
        assert!(counts.values().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_silent_node_is_passed_over_until_it_is_heard() {
        let start = Instant::now();
        let mut view = view(&["till.a", "till.b"], start);
        let first = owner(&view, "t", start).expect("known");
        let later = start + NODE_SILENCE;
        let other = if &*first == "a" { "b" } else { "a" };
        assert_eq!(owner(&view, "t", later).as_deref(), Some(&*first), "all are late alike");
        let far_later = start + NODES_SILENCE;
        assert_eq!(owner(&view, "t", far_later), None, "nobody is heard: the view is in doubt");
        view.heard("till", other, later);
        assert_eq!(owner(&view, "t", later).as_deref(), Some(other));
        assert_eq!(view.owner("till", "t", &first, later), Some(first.clone()), "itself it hears");
        view.apply(&put(&format!("till.{first}")), later);
        assert_eq!(owner(&view, "t", later), Some(first.clone()));
        view.lost("till", &first);
        assert_eq!(owner(&view, "t", later).as_deref(), Some(other));
        view.apply(&put(&format!("till.{first}")), later + Duration::from_millis(1));
        assert_eq!(owner(&view, "t", later), Some(first));
    }

    #[test]
    fn nothing_is_known_before_all_is_told_nor_of_what_is_not_told_again() {
        let now = Instant::now();
        let mut fresh = View::default();
        fresh.apply(&put("till.a"), now);
        assert_eq!(owner(&fresh, "t", now), None);
        fresh.apply(&Change::Told, now);
        assert_eq!(owner(&fresh, "t", now).as_deref(), Some("a"));
        let changes = fresh.changes();
        fresh.apply(&put("till.a"), now);
        assert_eq!(fresh.changes(), changes, "a renewal changes nothing");
        fresh.begin();
        assert_eq!(owner(&fresh, "t", now).as_deref(), Some("a"), "kept meanwhile");
        fresh.apply(&put("till.b"), now);
        fresh.apply(&Change::Told, now);
        assert_eq!(owner(&fresh, "t", now).as_deref(), Some("b"));
        fresh.apply(&Change::Gone("till.b".to_owned()), now);
        assert_eq!(owner(&fresh, "t", now), None);
        assert!(fresh.changes() > changes);
    }
}
