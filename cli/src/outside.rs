//! The outside world as the actors see it: a card gateway and a way to send mail.

use actors::{
    Gateway, HttpGateway, MailLinks, Mailer, Outside, SimulatedGateway,
    payments::{Charge, Charged, GatewayError, Verdict},
};
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

/// Who charges cards.
#[derive(Debug, Args)]
pub(crate) struct Cards {
    /// The card gateway, as `http://gateway:8090`. Without it cards are charged by nobody: what
    /// happens is told by documented numbers.
    #[arg(long, env = "CALLBOARD_GATEWAY_URL", hide_env_values = true)]
    gateway_url: Option<String>,
}

/// The card gateway of this process.
#[derive(Debug)]
pub(crate) enum CardGateway {
    Simulated(SimulatedGateway),
    Http(HttpGateway),
}

impl Cards {
    pub(crate) fn gateway(&self) -> anyhow::Result<CardGateway> {
        match &self.gateway_url {
            Some(url) => {
                Ok(CardGateway::Http(HttpGateway::at(url).context("CALLBOARD_GATEWAY_URL")?))
            }
            None => Ok(CardGateway::Simulated(SimulatedGateway::default())),
        }
    }
}

impl Gateway for CardGateway {
    async fn charge(&self, charge: &Charge) -> Result<Verdict, GatewayError> {
        match self {
            Self::Simulated(gateway) => gateway.charge(charge).await,
            Self::Http(gateway) => gateway.charge(charge).await,
        }
    }

    async fn give_back(&self, charged: &Charged) -> Result<(), GatewayError> {
        match self {
            Self::Simulated(gateway) => gateway.give_back(charged).await,
            Self::Http(gateway) => gateway.give_back(charged).await,
        }
    }
}

impl Mail {
    pub(crate) fn outside(
        &self,
        data: &DataFolder,
        gateway: CardGateway,
    ) -> anyhow::Result<Outside<CardGateway>> {
        let mailer = match &self.smtp_url {
            Some(url) => Mailer::smtp(url, &self.mail_from).context("SMTP_URL")?,
            None => Mailer::folder(data.mail(), &self.mail_from).context("the mail folder")?,
        };
        let links = MailLinks {
            key: edge::link_key(&data.keys())?,
            shop: self.shop_url.trim_end_matches('/').to_owned(),
        };
        Ok(Outside { gateway, mailer, links })
    }
}
