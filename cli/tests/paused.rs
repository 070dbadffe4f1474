//! A process that is stopped in the middle of its work and goes on later, as by SIGSTOP, a
//! frozen machine or a long pause of its host: others carry on, and what it writes too late is
//! refused.
//!
//! `PAUSED_SECONDS` sets how long the last pause is.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod audit;
mod common;
mod fleet;

use std::time::Duration;

use fleet::{Fleet, Load, NODES, seconds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_owner_holds_nobody_up_and_its_late_writes_are_refused() {
    let last = seconds("PAUSED_SECONDS", 15);
    let mut fleet = Fleet::start().await;
    let load = Load::start(&fleet).await;
    // Each of them owns some of the items, and has some of their commands in its hands.
    for (number, pause) in (1..).zip([Duration::from_secs(4), last]) {
        load.wait_for_more(500).await;
        let burst = load.burst(number);
        load.wait_for_more(5).await;
        fleet.pause(0, pause).await;
        burst.await.unwrap();
    }
    load.wait_for_more(500).await;
    let told = load.stop().await;
    println!(
        "two pauses: {} requests of 16 clients, none failed; longest wait {:.2?}, for a command alone {:.2?}",
        told.requests, told.longest, told.longest_command
    );
    let longest = told.longest_command;
    assert!(longest < Duration::from_secs(8), "somebody waited {longest:?} for a command");
    fleet.check(&told).await;
    let mut refused = Vec::new();
    for n in 0..NODES {
        refused.push(fleet.stop(n).await);
    }
    println!("late writes to items refused, by node: {refused:?}; the first one was paused");
    assert!(refused[0] > 0, "the paused node had no late write: the test did not bite");
}
