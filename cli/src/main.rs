//! The `callboard` command: the whole shop in one process tree, its roles one by one, and the
//! operator's tools.

mod config;
mod dead;
mod dev;
mod edge_role;
mod events;
mod gateway_role;
mod grant;
mod health;
mod keys;
mod outside;
mod serve;
mod simulate;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::config::Logging;

/// A command is a hundred small allocations on one thread that another one frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Durable actors and an event bus on plain NATS, with a whole shop running on it.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    logging: Logging,

    /// Without one: `dev`.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything here: a NATS server, all actors, and the HTTP edge.
    Dev(dev::Arguments),
    /// Run actors, with what follows them, against a given NATS.
    Serve(serve::Arguments),
    /// Run the HTTP edge against a given NATS.
    Edge(edge_role::Arguments),
    /// Run a simulated card gateway, which charges nobody.
    Gateway(gateway_role::Arguments),
    /// Show commits, decoded.
    Events(events::Arguments),
    /// See to what sagas and effects could not carry out.
    Dead(dead::Arguments),
    /// Give a registered user a role: this is how the first admin comes to be.
    Grant(grant::Arguments),
    /// See to the keys that sign access tokens.
    Keys(keys::Arguments),
    /// Play the shop in memory, under every fault, for many seeds.
    Simulate(simulate::Arguments),
    /// Measure what the bus's promises cost and win, against raw async-nats in the same run.
    Bench(bench::Arguments),
    /// Ask whether a part is up: exit status 0 if it is, 1 if not.
    Health(health::WithNats),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.command.is_none() {
        let given = std::env::args_os().chain(["dev".into()]);
        arguments = Arguments::parse_from(given);
    }
    arguments.logging.start();
    match arguments.command.context("`dev` was added above")? {
        Command::Dev(arguments) => dev::run(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Edge(arguments) => edge_role::run(arguments).await,
        Command::Gateway(arguments) => gateway_role::run(arguments).await,
        Command::Events(arguments) => events::run(arguments).await,
        Command::Dead(arguments) => dead::run(arguments).await,
        Command::Grant(arguments) => grant::run(arguments).await,
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Health(arguments) => health::run(arguments).await,
    }
}
