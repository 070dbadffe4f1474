//! A card gateway over HTTP: authorise, capture, refund, each with a key.
//!
//! The payment's id is the key and the reference of its charge, the charge's id the receipt, and a
//! refund's key is the payment's id with the refund's number. So whatever is not answered can be
//! asked again, and so can what was pending.
//!
//! The gateway is reached by `http://`: whoever needs TLS puts it behind a proxy, or writes another
//! [`Gateway`].

use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Charge, Charged, DeclineReason, Gateway, GatewayError, Receipt, Verdict};
use crate::limits::{GATEWAY_ANSWER_MAX, GATEWAY_TIMEOUT};

/// A card gateway at an address.
#[derive(Debug, Clone)]
pub struct HttpGateway {
    client: Client,
    /// With a slash at its end.
    url: Url,
}

/// Why a text is no gateway's address.
#[derive(Debug, thiserror::Error)]
pub enum InvalidGateway {
    /// It is no address.
    #[error("a gateway's address is like http://gateway:8090")]
    NoAddress,
    /// There is no client to ask it with.
    #[error("no HTTP client can be made: {0}")]
    NoClient(#[from] reqwest::Error),
}

/// What the gateway says of a charge.
#[derive(Debug, Deserialize)]
struct Told {
    charge: String,
    status: Status,
    #[serde(default)]
    reason: Option<DeclineReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    Authorised,
    Declined,
    Captured,
    #[serde(other)]
    Other,
}

impl HttpGateway {
    /// The gateway at `url`.
    ///
    /// # Errors
    /// [`InvalidGateway`] if that is no `http://` address.
    pub fn at(url: &str) -> Result<Self, InvalidGateway> {
        let slash = if url.ends_with('/') { "" } else { "/" };
        let url = Url::parse(&format!("{url}{slash}")).map_err(|_| InvalidGateway::NoAddress)?;
        if url.scheme() != "http" || url.host().is_none() {
            return Err(InvalidGateway::NoAddress);
        }
        let client = Client::builder().timeout(GATEWAY_TIMEOUT).no_proxy().build()?;
        Ok(Self { client, url })
    }

    fn path(&self, path: &[&str]) -> Result<Url, GatewayError> {
        let mut url = self.url.clone();
        // It has a host, so it has a path.
        let mut segments = url.path_segments_mut().map_err(|()| unexpected("its own address"))?;
        segments.pop_if_empty().extend(["v1", "charges"]).extend(path);
        drop(segments);
        Ok(url)
    }

    fn post(&self, path: &[&str], body: &Value) -> Result<RequestBuilder, GatewayError> {
        Ok(self.client.post(self.path(path)?).json(body))
    }

    /// The charge as the gateway first answered it; asked again, the same.
    async fn authorise(&self, charge: &Charge) -> Result<Told, GatewayError> {
        let key = charge.key.as_str();
        let body = json!({
            "reference": key,
            "amount": charge.amount.amount,
            "currency": charge.amount.currency,
            "token": charge.card.as_str(),
        });
        send(self.post(&[], &body)?.header("Idempotency-Key", key)).await
    }

    async fn capture(&self, id: &str, charge: &Charge) -> Result<Verdict, GatewayError> {
        let body = json!({ "amount": charge.amount.amount });
        let Told { charge, .. } = send(self.post(&[id, "captures"], &body)?).await?;
        Ok(Verdict::Approved { receipt: receipt(&charge)? })
    }
}

impl Gateway for HttpGateway {
    async fn charge(&self, charge: &Charge) -> Result<Verdict, GatewayError> {
        if charge.amount.amount == 0 {
            // No gateway charges nothing.
            let receipt = Receipt::parse(&format!("nothing-due-{}", charge.key));
            let receipt = receipt.map_err(|_| unexpected("a payment's id"))?;
            return Ok(Verdict::Approved { receipt });
        }
        let mut told = self.authorise(charge).await?;
        if told.status == Status::Pending {
            // It was pending when it was asked for. How does it stand now?
            told = send(self.client.get(self.path(&[&told.charge])?)).await?;
        }
        match (told.status, told.reason) {
            (Status::Authorised | Status::Captured, _) => self.capture(&told.charge, charge).await,
            (Status::Declined, Some(reason)) => Ok(Verdict::Declined { reason }),
            (Status::Pending, _) => Ok(Verdict::Pending { charge: receipt(&told.charge)? }),
            (Status::Declined | Status::Other, _) => Err(unexpected("a charge's status")),
        }
    }

    async fn give_back(&self, charged: &Charged) -> Result<(), GatewayError> {
        let Charged { key, number, amount, receipt } = charged;
        if amount.amount == 0 {
            return Ok(());
        }
        let body = json!({ "amount": amount.amount });
        let receipt = receipt.to_string();
        let request = self.post(&[receipt.as_str(), "refunds"], &body)?;
        let _: Told = send(request.header("Idempotency-Key", format!("{key}/{number}"))).await?;
        Ok(())
    }
}

fn receipt(charge: &str) -> Result<Receipt, GatewayError> {
    Receipt::parse(charge).map_err(|_| unexpected("a charge's id"))
}

async fn send(request: RequestBuilder) -> Result<Told, GatewayError> {
    let mut response = request.send().await.map_err(|error| not_answered(&error))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| not_answered(&error))? {
        if body.len() + chunk.len() > GATEWAY_ANSWER_MAX {
            return Err(unexpected("the length of its answer"));
        }
        body.extend_from_slice(&chunk);
    }
    match status {
        StatusCode::OK | StatusCode::CREATED => {
            serde_json::from_slice(&body).map_err(|_| unexpected("its answer"))
        }
        // Its words may name a card or a person; its code does not.
        _ => Err(GatewayError::Unavailable(format!("it answered {status}{}", code_of(&body)))),
    }
}

/// ` CODE`, if the answer has one.
fn code_of(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    let is_code = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if code.is_empty() || !is_code { String::new() } else { format!(" {code}") }
}

fn not_answered(error: &reqwest::Error) -> GatewayError {
    if error.is_timeout() {
        return GatewayError::TimedOut;
    }
    // The whole error may show the address, and with it a password.
    let why = if error.is_connect() { "it cannot be reached" } else { "the connection broke" };
    GatewayError::Unavailable(why.to_owned())
}

fn unexpected(what: &str) -> GatewayError {
    GatewayError::Unavailable(format!("{what} is not what was agreed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_http() {
        for good in ["http://gateway:8090", "http://127.0.0.1:1/", "http://proxy/cards"] {
            HttpGateway::at(good).expect(good);
        }
        for bad in ["", "gateway:8090", "https://gateway", "ftp://gateway", "http://"] {
            assert!(matches!(HttpGateway::at(bad), Err(InvalidGateway::NoAddress)), "{bad}");
        }
        let behind = HttpGateway::at("http://proxy/cards").expect("an address");
        let path = behind.path(&["ch_1/..", "refunds"]).expect("a path");
        assert_eq!(path.as_str(), "http://proxy/cards/v1/charges/ch_1%2F../refunds");
    }

    #[test]
    fn only_a_code_is_told_of_a_refusal() {
        assert_eq!(code_of(br#"{"error":{"code":"TOO_LARGE","message":"4242"}}"#), " TOO_LARGE");
        for bad in ["", "{}", r#"{"error":{"code":"ann@example.org"}}"#, "<html>"] {
            assert_eq!(code_of(bad.as_bytes()), "", "{bad}");
        }
    }
}
