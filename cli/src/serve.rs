//! `callboard serve`: some or all kinds of actors, with what follows them.

use actors::Role;
use clap::Args;

use crate::{
    config::{DataFolder, Nats},
    outside::{Cards, Mail},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which kinds to host: email, user, item, cart, order, payment, notice. All by default.
    #[arg(long, env = "CALLBOARD_ONLY", value_delimiter = ',')]
    only: Vec<Role>,

    #[command(flatten)]
    nats: Nats,

    #[command(flatten)]
    data: DataFolder,

    #[command(flatten)]
    mail: Mail,

    #[command(flatten)]
    cards: Cards,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    arguments.data.make()?;
    let bus = arguments.nats.connect().await?;
    let gateway = arguments.cards.gateway()?;
    let outside = arguments.mail.outside(&arguments.data, gateway)?;
    let roles = if arguments.only.is_empty() { Role::ALL.to_vec() } else { arguments.only };
    let host = actors::host(bus, &roles, outside).rows_in(arguments.data.rows());
    host.run_until(bus::shutdown_signal()).await?;
    Ok(())
}
