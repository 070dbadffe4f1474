//! Access tokens: short-lived JWTs signed with ES256, checked claim by claim.
//!
//! Only this one algorithm and this one key are ever accepted, whatever a token says of
//! itself. A token names its session; whether that is still open, and the roles of now, `logins`
//! finds out.
//!
//! Checking a signature costs more than all else that is done for a request; so what was checked
//! once is remembered by its digest, for as long as the token is in force.

use std::{fmt, time::Duration};

use actors::users::{SessionId, UserId, UserRole};
use bus::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use p256::{
    SecretKey,
    elliptic_curve::rand_core::OsRng,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding},
};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    keys::{Keys, KeysError},
    limits::{TOKEN_LEEWAY, TOKEN_LIFE, TOKENS_REMEMBERED_MAX},
};

const KEY_FILE: &str = "jwt-es256.pem";

/// Says that a JWT is an access token and nothing else (RFC 9068).
const TYPE: &str = "at+jwt";

/// Issues and checks access tokens.
pub(crate) struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    issuer: String,
    audience: String,
    /// Who bears a token that was found good, by its SHA-256.
    checked: Cache<[u8; 32], Bearer>,
}

/// What a token says of its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) user: UserId,
    /// The session it was issued for.
    pub(crate) session: Option<SessionId>,
    pub(crate) roles: Vec<UserRole>,
    pub(crate) expires_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct Issued<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a UserId,
    sid: &'a SessionId,
    iat: u64,
    nbf: u64,
    exp: u64,
    roles: &'a [UserRole],
}

/// The claims we read; the others are the validation's business.
#[derive(Deserialize)]
struct Claims {
    sub: UserId,
    sid: Option<SessionId>,
    exp: u64,
    roles: Vec<UserRole>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Opens the signing key, and makes it if there is none yet.
    pub(crate) fn open(keys: &Keys<'_>, issuer: &str, audience: &str) -> Result<Self, KeysError> {
        let not_a_key = |reason: String| KeysError::NotAKey { path: KEY_FILE.into(), reason };
        let made = || {
            let pem = SecretKey::random(&mut OsRng).to_pkcs8_pem(LineEnding::LF);
            pem.map(|pem| pem.as_bytes().to_vec()).unwrap_or_default()
        };
        let private = keys.read_or_make(KEY_FILE, made)?;
        let public = std::str::from_utf8(&private)
            .map_err(|error| error.to_string())
            .and_then(|pem| SecretKey::from_pkcs8_pem(pem).map_err(|error| error.to_string()))
            .map_err(not_a_key)?
            .public_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| not_a_key(error.to_string()))?;
        let signing = EncodingKey::from_ec_pem(&private).map_err(|e| not_a_key(e.to_string()))?;
        let checking = DecodingKey::from_ec_pem(public.as_bytes());
        let checking = checking.map_err(|e| not_a_key(e.to_string()))?;
        Ok(Self {
            signing,
            checking,
            validation: validation(issuer, audience),
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            checked: Cache::new(TOKENS_REMEMBERED_MAX),
        })
    }

    /// A token for `user`, valid from now on for [`Tokens::LIFE`].
    pub(crate) fn issue(
        &self,
        user: &UserId,
        session: &SessionId,
        roles: &[UserRole],
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = Timestamp::now().as_millis() / 1_000;
        let claims = Issued {
            iss: &self.issuer,
            aud: &self.audience,
            sub: user,
            sid: session,
            iat: now,
            nbf: now,
            exp: now + Self::LIFE.as_secs(),
            roles,
        };
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(TYPE.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.signing)
    }

    /// How long a token is valid.
    pub(crate) const LIFE: Duration = TOKEN_LIFE;

    /// Who bears `token`, if it is one of ours and in force.
    pub(crate) fn check(&self, token: &str) -> Result<Bearer, Rejected> {
        let digest = Sha256::digest(token).into();
        if let Some(bearer) = self.checked.get(&digest) {
            let is_over = bearer.expires_at.plus(TOKEN_LEEWAY) < Timestamp::now();
            return if is_over { Err(Rejected::Expired) } else { Ok(bearer) };
        }
        let bearer = self.verify(token)?;
        self.checked.insert(digest, bearer.clone());
        Ok(bearer)
    }

    fn verify(&self, token: &str) -> Result<Bearer, Rejected> {
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation);
        let decoded = decoded.map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::ExpiredSignature => Rejected::Expired,
            _ => Rejected::Invalid,
        })?;
        if decoded.header.typ.as_deref() != Some(TYPE) {
            return Err(Rejected::Invalid);
        }
        let Claims { sub, sid, exp, roles } = decoded.claims;
        let expires_at = Timestamp::from_millis(exp.saturating_mul(1_000));
        Ok(Bearer { user: sub, session: sid, roles, expires_at })
    }
}

/// Why a token does not count. More than this a stranger need not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejected {
    #[error("the access token has expired")]
    Expired,
    #[error("the access token is not valid")]
    Invalid,
}

fn validation(issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = TOKEN_LEEWAY.as_secs();
    validation
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
