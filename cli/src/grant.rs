//! `callboard grant`: the way the first admin comes to be. Whoever can reach NATS and the keys
//! may do it; there is no default password anywhere.

use actors::users::{Grant, Show, UserRole};
use anyhow::{Context, bail};
use clap::Args;

use crate::config::{DataFolder, Nats};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The role: customer, staff or admin.
    role: UserRole,

    /// The mail address the user registered with.
    email: String,

    #[command(flatten)]
    nats: Nats,

    #[command(flatten)]
    data: DataFolder,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let keys = arguments.data.keys();
    if !keys.is_dir() {
        bail!(
            "the edge keeps its keys elsewhere: there is no {}; name its folder with --data",
            keys.display()
        );
    }
    let email = edge::email_id(&keys, &arguments.email)?;
    let bus = arguments.nats.connect_or_dev(&arguments.data).await?;
    let holder = bus.actor(&email).ask(actors::users::Holder {}).await?;
    let user = holder.with_context(|| format!("nobody is registered with {}", arguments.email))?;
    bus.actor(&user).ask(Grant { role: arguments.role }).await?;
    let profile = bus.actor(&user).ask(Show {}).await?;
    let roles: Vec<String> = profile.roles.iter().map(ToString::to_string).collect();
    #[allow(clippy::print_stdout)] // This is what the command has to say.
    {
        println!("{} is now: {}. It counts within seconds.", user, roles.join(", "));
    }
    Ok(())
}
