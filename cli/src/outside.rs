//! The outside world as the actors see it: a card gateway and a way to send mail.

use actors::{MailLinks, Mailer, Outside, SimulatedGateway};
use anyhow::Context;
use clap::Args;

use crate::config::DataFolder;

/// How mail leaves.
#[derive(Debug, Args)]
pub(crate) struct Mail {
    /// The SMTP server, as `smtp://user:password@host:587?tls=required`. Without it mails are
    /// written as .eml files under the data folder.
    #[arg(long, env = "SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,

    /// Who mails are from.
    #[arg(long, env = "CALLBOARD_MAIL_FROM", default_value = "Callboard <shop@callboard.invalid>")]
    mail_from: String,

    /// Where the shop's pages are: links in mails lead there, with a token behind the `#` that the
    /// page hands on to `/v1/verifications` or `/v1/passwords`.
    #[arg(long, env = "CALLBOARD_SHOP_URL", default_value = "http://127.0.0.1:8080")]
    shop_url: String,
}

impl Mail {
    pub(crate) fn outside(&self, data: &DataFolder) -> anyhow::Result<Outside<SimulatedGateway>> {
        let mailer = match &self.smtp_url {
            Some(url) => Mailer::smtp(url, &self.mail_from).context("SMTP_URL")?,
            None => Mailer::folder(data.mail(), &self.mail_from).context("the mail folder")?,
        };
        let links = MailLinks {
            key: edge::link_key(&data.keys())?,
            shop: self.shop_url.trim_end_matches('/').to_owned(),
        };
        Ok(Outside { gateway: SimulatedGateway::default(), mailer, links })
    }
}
