//! What the two ways of storing several commits cost lately, and so which one to go.
//!
//! One by one, pipelined, each commit costs a sync of its own; an atomic batch has a price of
//! its own and few syncs. Where it begins to pay depends on the server and its disk, so it is
//! measured while running: a line is kept through the recent costs of each way, and now and
//! then the other way is gone, where that cannot cost much, to see whether that is still true.

use std::time::Duration;

/// How several commits are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Each by a publish of its own, all under way at once.
    OneByOne,
    /// All by one atomic batch.
    Batch,
}

/// How much less a cost counts with each one that comes after it.
const DECAY: f64 = 0.95;
/// After so many rounds, one goes the other way.
const TRY_EVERY: u32 = 32;
/// The other way is tried only if it would take at most so many times as long.
const TRY_AT_MOST: f64 = 4.0;
/// A cost beyond so many times the expected one is a hiccup of the machine, and counts as this.
const HICCUP: f64 = 4.0;

/// What both ways cost, as far as it is known.
#[derive(Debug)]
pub(crate) struct Costs {
    one_by_one: Line,
    batch: Line,
    /// Rounds since the other way was tried last.
    rounds: u32,
}

/// A straight line through recent costs: seconds over commits.
#[derive(Debug, Default)]
struct Line {
    weight: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    /// What a commit more costs, as long as all costs were of one size: this share of the mean.
    guess: f64,
}

impl Costs {
    pub(crate) fn new() -> Self {
        // One by one each costs a sync; in a batch all share a few.
        let one_by_one = Line { guess: 1.0, ..Line::default() };
        Self { one_by_one, batch: Line::default(), rounds: 0 }
    }

    /// The way for `count` commits, of which `longest` are one actor's, and so must wait for each
    /// other if they go one by one.
    pub(crate) fn choose(&mut self, count: usize, longest: usize) -> Way {
        if count < 2 {
            return Way::OneByOne;
        }
        let one_by_one = self.one_by_one.at(count).zip(self.one_by_one.at(1));
        let one_by_one = one_by_one.map(|(all, one)| all.max(one * float(longest)));
        let (Some(one_by_one), Some(batch)) = (one_by_one, self.batch.at(count)) else {
            // A shard's first commit is a lone one. Of batches the first one tells.
            return Way::Batch;
        };
        let (best, other, price) = if batch < one_by_one {
            (Way::Batch, Way::OneByOne, one_by_one / batch)
        } else {
            (Way::OneByOne, Way::Batch, batch / one_by_one)
        };
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds < TRY_EVERY || price > TRY_AT_MOST {
            return best;
        }
        self.rounds = 0;
        other
    }

    /// Takes in what storing `count` commits this way has cost.
    pub(crate) fn note(&mut self, way: Way, count: usize, took: Duration) {
        match way {
            Way::OneByOne => self.one_by_one.note(count, took),
            Way::Batch => self.batch.note(count, took),
        }
    }
}

impl Line {
    fn note(&mut self, count: usize, took: Duration) {
        let (x, mut y) = (float(count), took.as_secs_f64());
        if let Some(expected) = self.at(count) {
            y = y.min(expected * HICCUP);
        }
        for sum in [&mut self.weight, &mut self.x, &mut self.y, &mut self.xx, &mut self.xy] {
            *sum *= DECAY;
        }
        self.weight += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
    }

    /// What `count` commits should cost; none before the first cost.
    fn at(&self, count: usize) -> Option<f64> {
        if self.weight == 0.0 {
            return None;
        }
        let (x, y) = (self.x / self.weight, self.y / self.weight);
        let spread = self.xx - self.x * x;
        let slope = y / x * self.guess;
        // Costs of many sizes outweigh the guess; of one size only, they tell nothing of it.
        let slope = (self.xy - self.x * y + slope) / (spread + 1.0);
        // No way is free at the start, and none gets cheaper with more.
        let slope = slope.clamp(0.0, y / x);
        Some(y + slope * (float(count) - x))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a batch has a thousand at most")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that takes so many microseconds for a batch, and for each commit either way.
    struct Server {
        batch: u64,
        in_batch: u64,
        alone: u64,
    }

    impl Server {
        fn time(&self, way: Way, count: usize) -> Duration {
            let count = count as u64;
            Duration::from_micros(match way {
                Way::OneByOne => 60 + self.alone * count,
                Way::Batch => self.batch + self.in_batch * count,
            })
        }

        /// Where a batch begins to be taken, once rounds of all sizes have been seen.
        fn learned(&self, costs: &mut Costs) -> usize {
            for round in 0..3_000_usize {
                let count = 1 + round * 7 % 64;
                let way = costs.choose(count, 1);
                costs.note(way, count, self.time(way, count));
            }
            let batch = |count: &usize| {
                let batches = (0..10).filter(|_| costs.choose(*count, 1) == Way::Batch).count();
                batches > 5
            };
            (1..=1_000).find(batch).expect("some day it pays")
        }
    }

    const ONE_SERVER: Server = Server { batch: 1_700, in_batch: 15, alone: 115 };
    const THREE_SERVERS: Server = Server { batch: 400, in_batch: 20, alone: 300 };
    const SLOW_DISK: Server = Server { batch: 6_000, in_batch: 15, alone: 3_000 };

    #[test]
    fn where_a_batch_begins_to_pay_is_learned() {
        let mut costs = Costs::new();
        let servers = [&ONE_SERVER, &THREE_SERVERS, &SLOW_DISK, &ONE_SERVER];
        let learned = servers.map(|server| server.learned(&mut costs));
        // From then on a batch is cheaper, by the figures above.
        for (learned, pays_from) in learned.into_iter().zip([17, 2, 2, 17]) {
            assert!(learned.abs_diff(pays_from) <= 3, "{learned}, not about {pays_from}");
        }
    }

    #[test]
    fn many_are_never_tried_one_by_one_where_that_is_dear() {
        let mut costs = Costs::new();
        costs.note(Way::OneByOne, 1, SLOW_DISK.time(Way::OneByOne, 1));
        for _ in 0..1_000 {
            assert_eq!(costs.choose(500, 1), Way::Batch);
            costs.note(Way::Batch, 500, SLOW_DISK.time(Way::Batch, 500));
        }
    }

    #[test]
    fn commits_of_one_actor_wait_for_each_other_one_by_one() {
        let mut costs = Costs::new();
        // Where many at once cost hardly more than one, it is the waiting that costs.
        for round in 0..200 {
            let count = 1 + round % 8;
            costs.note(Way::OneByOne, count, Duration::from_micros(600));
            costs.note(Way::Batch, count, Duration::from_micros(900));
        }
        let batches = |costs: &mut Costs, longest| {
            (0..TRY_EVERY).filter(|_| costs.choose(8, longest) == Way::Batch).count()
        };
        assert!(batches(&mut costs, 1) <= 1);
        assert!(batches(&mut costs, 8) >= TRY_EVERY as usize - 1);
    }

    #[test]
    fn a_hiccup_is_soon_forgotten() {
        let mut costs = Costs::new();
        ONE_SERVER.learned(&mut costs);
        costs.note(Way::OneByOne, 4, Duration::from_secs(5));
        let batches = (0..20).filter(|_| costs.choose(4, 1) == Way::Batch).count();
        assert!(batches <= 1, "{batches} of 20");
    }

    #[test]
    fn what_takes_no_time_is_no_trouble() {
        let mut costs = Costs::new();
        for count in 1..100 {
            for way in [Way::OneByOne, Way::Batch] {
                costs.note(way, count, Duration::ZERO);
            }
            costs.choose(count, 1);
        }
    }
}
