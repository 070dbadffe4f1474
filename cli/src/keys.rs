//! `callboard keys rotate`: a new key for access tokens, without anybody being logged out.

use clap::{Args, Subcommand};

use crate::config::DataFolder;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,

    #[command(flatten)]
    data: DataFolder,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum What {
    /// Make a new signing key in the edge's keys folder, and remove those that are over. It is shown
    /// at /.well-known/jwks.json within 30 s and signs after two minutes. Several edges need the same
    /// folder, or the new file within that time.
    Rotate,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let What::Rotate = arguments.what;
    let (made, removed) = edge::rotate_signing_key(&arguments.data.keys())?;
    #[allow(clippy::print_stdout)] // This is what the command has to say.
    {
        println!("made {made}; it signs in two minutes");
        removed.iter().for_each(|name| println!("removed {name}"));
    }
    Ok(())
}
