//! A rolling restart: one process after another is stopped and started, under load, and every
//! request is answered.
//!
//! `ROLLING_SECONDS` makes it longer.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod audit;
mod common;
mod fleet;

use std::time::{Duration, Instant};

use fleet::{Fleet, Load, NODES, seconds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_answers_every_request() {
    let time = seconds("ROLLING_SECONDS", 20);
    let mut fleet = Fleet::start().await;
    let load = Load::start(&fleet).await;
    load.wait_for_more(200).await;
    let (began, mut restarts) = (Instant::now(), 0);
    while restarts < NODES || began.elapsed() < time {
        fleet.restart(restarts % NODES).await;
        load.wait_for_more(200).await;
        restarts += 1;
    }
    let took = began.elapsed();
    let told = load.stop().await;
    println!(
        "{restarts} restarts in {took:.1?}: {} requests of 16 clients, none failed; longest wait {:.2?}, for a command alone {:.2?}",
        told.requests, told.longest, told.longest_command
    );
    assert!(told.longest < Duration::from_secs(8), "somebody waited {:?}", told.longest);
    fleet.check(&told).await;
}
