//! Access tokens: short-lived JWTs signed with ES256, checked claim by claim.
//!
//! Only this one algorithm and the keys of the folder are ever accepted, whatever a token says of
//! itself. A token names its session; whether that is still open, and the roles of now, `logins`
//! finds out.
//!
//! Checking a signature costs more than all else that is done for a request; so what was checked
//! once is remembered by its digest, for as long as the token is in force.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actors::users::{SessionId, UserId, UserRole};
use bus::Timestamp;
use jsonwebtoken::{Algorithm, Header, TokenData, Validation, errors::ErrorKind};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    keys::{Keys, KeysError},
    limits::{SIGNING_KEYS_FRESH_FOR, TOKEN_LEEWAY, TOKEN_LIFE, TOKENS_REMEMBERED_MAX},
    signing::{PublicKey, SigningKeys},
};

/// Says that a JWT is an access token and nothing else (RFC 9068).
const TYPE: &str = "at+jwt";

/// Issues and checks access tokens.
pub(crate) struct Tokens {
    folder: PathBuf,
    /// The keys, and when they were read.
    keys: Mutex<(Arc<SigningKeys>, Instant)>,
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
    /// Opens the signing keys in `folder`, and makes one if there is none yet.
    pub(crate) fn open(folder: &Path, issuer: &str, audience: &str) -> Result<Self, KeysError> {
        let keys = SigningKeys::open(&Keys::open(folder)?)?;
        Ok(Self {
            folder: folder.to_owned(),
            keys: Mutex::new((Arc::new(keys), Instant::now())),
            validation: validation(issuer, audience),
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            checked: Cache::new(TOKENS_REMEMBERED_MAX),
        })
    }

    /// The keys of now: the folder is looked into again when that was long ago.
    fn keys(&self) -> Arc<SigningKeys> {
        let mut known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if known.1.elapsed() >= SIGNING_KEYS_FRESH_FOR {
            known.1 = Instant::now();
            match Keys::open(&self.folder).and_then(|keys| SigningKeys::open(&keys)) {
                Ok(keys) if keys.differ(&known.0) => {
                    tracing::info!(keys = keys.shown().len(), "the signing keys have changed");
                    known.0 = Arc::new(keys);
                    // What a key signed that is gone is good no more.
                    self.checked.clear();
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the signing keys cannot be read again"),
            }
        }
        known.0.clone()
    }

    /// What whoever checks tokens on their own has to know.
    pub(crate) fn public_keys(&self) -> Vec<PublicKey> {
        self.keys().shown()
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
        let keys = self.keys();
        let signer = keys.signer(now);
        header.kid = Some(signer.shown.kid.clone());
        jsonwebtoken::encode(&header, &claims, &signer.private)
    }

    /// How long a token is valid.
    pub(crate) const LIFE: Duration = TOKEN_LIFE;

    /// Who bears `token`, if it is one of ours and in force.
    pub(crate) fn check(&self, token: &str) -> Result<Bearer, Rejected> {
        drop(self.keys()); // A key may be gone, and with it what it signed.
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
        let header = jsonwebtoken::decode_header(token).map_err(|_| Rejected::Invalid)?;
        let keys = self.keys();
        let mut rejected = Rejected::Invalid;
        for key in keys.named(header.kid.as_deref()) {
            match jsonwebtoken::decode::<Claims>(token, &key.public, &self.validation) {
                Ok(decoded) => return Self::bearer(decoded),
                Err(error) if *error.kind() == ErrorKind::ExpiredSignature => {
                    rejected = Rejected::Expired;
                }
                Err(_) => {}
            }
        }
        Err(rejected)
    }

    fn bearer(decoded: TokenData<Claims>) -> Result<Bearer, Rejected> {
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
