//! A few seeds in the default tests; `callboard simulate` plays thousands.

use std::collections::BTreeMap;

#[test]
fn the_shop_keeps_its_promises_under_every_fault() {
    let mut bites = BTreeMap::<&str, u64>::new();
    for seed in 1..=24 {
        let report = simulation::run(seed, None);
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        assert!(report.commits > 50, "seed {seed} did nothing: {report:?}");
        for (bite, count) in report.bites {
            *bites.entry(bite).or_default() += count;
        }
    }
    // What gathers goes out as batches, some are refused, and of some nobody hears.
    for bite in ["batch", "batch_refused", "batch_in_doubt"] {
        assert!(bites.get(bite).is_some_and(|count| *count > 0), "no {bite}: {bites:?}");
    }
}

#[test]
fn a_seed_plays_the_same_story_again_and_another_seed_another() {
    let first = simulation::run(7, None);
    let again = simulation::run(7, None);
    assert_eq!(first.digest, again.digest, "{first:?} {again:?}");
    assert_eq!(first.bites, again.bites);
    assert_ne!(first.digest, simulation::run(8, None).digest);
}
