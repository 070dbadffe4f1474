//! `callboard simulate`: the whole shop in memory, under every fault, for many seeds.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::bail;
use bus::Plant;
use clap::Args;
use simulation::Report;

/// Plays the shop in a world in memory: messages are lost, nodes die, sleep and are cut off, and
/// an auditor checks what must always hold. A seed plays the same story every time.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many seeds to play.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,

    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,

    /// A bug to plant, to see that it is found: needs a build with `--features planted-bugs`.
    #[arg(long, value_parser = parse_plant)]
    plant: Option<Plant>,

    /// Stop at the first seed with violations.
    #[arg(long)]
    until_found: bool,

    /// Seeds played at the same time; as many as there are cores unless said otherwise.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
}

fn parse_plant(text: &str) -> Result<Plant, String> {
    let known = Plant::ALL.map(Plant::name).join(", ");
    let found = Plant::ALL.into_iter().find(|plant| plant.name() == text);
    found.ok_or_else(|| format!("there is none of that name: {known}"))
}

/// What all seeds came to.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    commits: u64,
    confirmed: u64,
    cancelled: u64,
    refunded: u64,
    replaced: u64,
    asked_again: u64,
    bites: std::collections::BTreeMap<&'static str, u64>,
    failed: Vec<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.plant.is_some() && !cfg!(feature = "planted-bugs") {
        bail!("this build has no bugs to plant: build it with `--features planted-bugs`");
    }
    let begun = Instant::now();
    let sum = play_all(arguments);
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} seeds in {seconds:.1} s: {} commits, {} orders confirmed, {} cancelled, {} refunded, {} nodes replaced, \
         {} asks sent again",
        sum.seeds,
        sum.commits,
        sum.confirmed,
        sum.cancelled,
        sum.refunded,
        sum.replaced,
        sum.asked_again
    );
    let bites: Vec<String> = sum.bites.iter().map(|(name, n)| format!("{name} {n}")).collect();
    println!("faults that bit: {}", bites.join(", "));
    if sum.failed.is_empty() {
        println!("0 violations");
        return Ok(());
    }
    let shown: Vec<String> = sum.failed.iter().take(10).map(u64::to_string).collect();
    bail!("{} seeds with violations; the first: {}", sum.failed.len(), shown.join(", "))
}

fn play_all(arguments: &Arguments) -> Sum {
    let jobs = arguments.jobs.or_else(|| thread::available_parallelism().ok());
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    thread::scope(|scope| {
        for _ in 0..jobs.map_or(1, NonZeroUsize::get) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let is_found =
                        || !sum.lock().unwrap_or_else(PoisonError::into_inner).failed.is_empty();
                    if number >= arguments.seeds || (arguments.until_found && is_found()) {
                        return;
                    }
                    let report = simulation::run(arguments.from + number, arguments.plant);
                    sum.lock().unwrap_or_else(PoisonError::into_inner).add(&report);
                }
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.failed.sort_unstable();
    sum
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.commits += report.commits as u64;
        self.confirmed += report.ends.0 as u64;
        self.cancelled += report.ends.1 as u64;
        self.refunded += report.refunded as u64;
        self.replaced += report.replaced;
        self.asked_again += report.asked_again;
        for (name, bites) in &report.bites {
            *self.bites.entry(name).or_default() += bites;
        }
        if report.violations.is_empty() {
            return;
        }
        self.failed.push(report.seed);
        // The first few tell enough; each can be played again.
        if self.failed.len() <= 5 {
            println!("seed {} (again: callboard simulate --from {0} --seeds 1)", report.seed);
            for violation in report.violations.iter().take(5) {
                println!("  {violation}");
            }
        }
    }
}
