//! Password hashes: argon2id, few at a time.
//!
//! A hash takes a core for tens of milliseconds, so hashing has its own few threads, which yield
//! to all others, and a bounded queue. Past it the client is told to come back; the actors keep
//! their cores.

use std::{fmt, num::NonZero, sync::Arc, thread::available_parallelism};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::PasswordHash,
};
use bus::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
};

use crate::{
    error::ApiError,
    limits::{HASHES_WAITING_MAX, HASHING_NICENESS},
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
    threads: Arc<Threads>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let places = places();
        Self {
            running: Arc::new(Semaphore::new(places)),
            admitted: Arc::new(Semaphore::new(places + HASHES_WAITING_MAX)),
            threads: Arc::new(Threads::new(places)),
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
        let done = self.threads.runtime().spawn_blocking(move || {
            // The places stay taken until the work is done, even if the client went away.
            let _places = (admitted, running);
            work()
        });
        done.await.map_err(|error| ApiError::internal(format!("hashing a password: {error}")))
    }
}

/// Half the cores: the actors need cores too.
fn places() -> usize {
    (available_parallelism().map_or(1, NonZero::get) / 2).max(1)
}

/// Threads of their own, because one that yields to others cannot be made to stop doing so.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Threads {
    fn new(most: usize) -> Self {
        let mut threads = Builder::new_current_thread();
        threads
            .max_blocking_threads(most)
            .thread_name("passwords")
            .on_thread_start(yield_to_others);
        // Nothing that could fail is asked of it: neither time nor sockets.
        Self(Some(threads.build().expect("a runtime without drivers")))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("taken only when it is dropped")
    }
}

impl Drop for Threads {
    // Waiting for a hash under way is not allowed where tasks run.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Gives this thread's turn to whoever else wants it.
#[cfg(target_os = "linux")]
fn yield_to_others() {
    use rustix::{process::setpriority_process, thread::gettid};
    // On Linux a thread is niced by its own id.
    if let Err(error) = setpriority_process(Some(gettid()), HASHING_NICENESS) {
        tracing::warn!(%error, "hashing passwords takes turns like all else");
    }
}

/// Elsewhere a whole process is niced, or none.
#[cfg(not(target_os = "linux"))]
fn yield_to_others() {}

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
        let all = u32::try_from(places() + HASHES_WAITING_MAX).expect("small");
        let taken = passwords.admitted.clone().acquire_many_owned(all).await;
        let refused = passwords.hash(password("correct horse"), [7; 16]).await;
        assert_eq!(refused.expect_err("full").status(), StatusCode::TOO_MANY_REQUESTS);
        drop(taken);
        assert!(passwords.hash(password("correct horse"), [7; 16]).await.is_ok());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashing_yields_to_all_else() {
        let niceness = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("a thread");
            let (_, fields) = stat.rsplit_once(") ").expect("a name");
            fields.split(' ').nth(16).expect("a niceness").parse::<i32>().expect("a number")
        };
        let ours = niceness();
        let theirs = Passwords::new().run(niceness).await.expect("a niceness");
        assert_eq!(theirs, ours.max(HASHING_NICENESS));
        assert_eq!(niceness(), ours, "others are as before");
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
