//! Password hashes: argon2id, few at a time.
//!
//! A hash takes a core for tens of milliseconds, so hashing has its own small number of places
//! and a bounded queue. Past it the client is told to come back; the actors keep their cores.

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::PasswordHash,
};
use bus::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use tokio::sync::Semaphore;

use crate::{
    error::ApiError,
    limits::{HASHES_MAX, HASHES_WAITING_MAX},
};

/// Memory in KiB, passes and lanes of new hashes: what OWASP asks of argon2id at least.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// A hash of no password, at the cost of new ones: verified where there is no user, so that
/// the time tells nothing.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$\
                       bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5MDA";

/// The places where passwords are hashed.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            running: Arc::new(Semaphore::new(HASHES_MAX)),
            admitted: Arc::new(Semaphore::new(HASHES_MAX + HASHES_WAITING_MAX)),
        }
    }

    /// The hash of `password`, as a PHC string.
    pub(crate) async fn hash(
        &self,
        password: Password,
        salt: [u8; 16],
    ) -> Result<String, ApiError> {
        let hashed = self.run(move || {
            let hash = argon2().hash_password_with_salt(password.0.as_bytes(), &salt);
            hash.map(|hash| hash.to_string())
        });
        hashed.await?.map_err(|error| ApiError::internal(format!("a password hash: {error}")))
    }

    /// Whether `password` is the one that was hashed; takes its time without a hash, too.
    pub(crate) async fn verify(
        &self,
        password: Password,
        hash: Option<String>,
    ) -> Result<bool, ApiError> {
        let verified = self.run(move || {
            let stored = hash.as_deref().unwrap_or(NOBODYS);
            let stored = PasswordHash::new(stored)?;
            argon2().verify_password(password.0.as_bytes(), &stored)?;
            Ok::<_, argon2::password_hash::Error>(hash.is_some())
        });
        match verified.await? {
            Ok(is_somebodys) => Ok(is_somebodys),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(ApiError::internal(format!("a stored password hash: {error}"))),
        }
    }

    /// Whether `hash` was made at a lower cost than new ones are.
    pub(crate) fn is_outdated(hash: &str) -> bool {
        let params = PasswordHash::new(hash).ok().and_then(|hash| Params::try_from(&hash).ok());
        params.is_some_and(|params| {
            let cost = (params.m_cost(), params.t_cost(), params.p_cost());
            cost.0 < COST.0 || cost.1 < COST.1
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let admitted = self.admitted.clone().try_acquire_owned();
        let admitted = admitted.map_err(|_| ApiError::overloaded("too many passwords wait"))?;
        let running = self.running.clone().acquire_owned().await;
        let running = running.map_err(|_| ApiError::internal("the password places are closed"))?;
        let done = tokio::task::spawn_blocking(move || {
            // The places stay taken until the work is done, even if the client went away.
            let _places = (admitted, running);
            work()
        });
        done.await.map_err(|error| ApiError::internal(format!("hashing a password: {error}")))
    }
}

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the cost is within bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Characters of a new password.
const CHARS_MIN: usize = 10;
const CHARS_MAX: usize = 200;

/// A password as a client sent it. Never shown.
#[derive(Clone, serde::Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Password(String);

impl Password {
    /// The text, for the salt alone.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a new password has a fitting length.
    pub(crate) fn check_length(&self) -> Result<(), ApiError> {
        if (CHARS_MIN..=CHARS_MAX).contains(&self.0.chars().count()) {
            return Ok(());
        }
        Err(ApiError::invalid("password", "a password has 10 to 200 characters"))
    }
}

/// What a new password has to be.
pub(crate) fn new_password(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "password",
        "minLength": CHARS_MIN,
        "maxLength": CHARS_MAX,
    })
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn password(text: &str) -> Password {
        Password(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let passwords = Passwords::new();
        let hash = passwords.hash(password("correct horse"), [7; 16]).await.expect("a hash");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let again = passwords.hash(password("correct horse"), [7; 16]).await.expect("a hash");
        assert_eq!(again, hash, "a repeat is the same command");
        let right = passwords.verify(password("correct horse"), Some(hash.clone())).await;
        assert!(right.expect("verified"));
        let wrong = passwords.verify(password("battery staple"), Some(hash)).await;
        assert!(!wrong.expect("verified"));
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let verified = Passwords::new().verify(password("correct horse"), None).await;
        assert!(!verified.expect("the stand-in is a hash like any other"));
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let passwords = Passwords::new();
        let all = u32::try_from(HASHES_MAX + HASHES_WAITING_MAX).expect("small");
        let taken = passwords.admitted.clone().acquire_many_owned(all).await;
        let refused = passwords.hash(password("correct horse"), [7; 16]).await;
        assert_eq!(refused.expect_err("full").status(), StatusCode::TOO_MANY_REQUESTS);
        drop(taken);
        assert!(passwords.hash(password("correct horse"), [7; 16]).await.is_ok());
    }

    #[test]
    fn a_hash_of_a_lower_cost_is_outdated() {
        assert!(!Passwords::is_outdated(NOBODYS));
        assert!(Passwords::is_outdated(&NOBODYS.replace("m=19456", "m=8192")));
        assert!(Passwords::is_outdated(&NOBODYS.replace("t=2", "t=1")));
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(format!("{:?}", password("correct horse")), "Password(…)");
    }
}
