//! The keys that sign access tokens: as many as lie in the keys folder, of which one signs.
//!
//! A new key is published for [`SIGNING_KEY_LEAD`] before it signs, so that every edge and whoever
//! checks tokens on their own knows it by then; an old one goes on being good until its last token has
//! expired. So keys are changed without a 401.

use std::{fmt, fs, path::Path};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use p256::{
    SecretKey,
    elliptic_curve::{rand_core::OsRng, sec1::ToEncodedPoint},
    pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    keys::{Keys, KeysError},
    limits::{SIGNING_KEY_LEAD, SIGNING_KEYS_MAX, TOKEN_LEEWAY, TOKEN_LIFE},
};

/// The first key's file; later ones are `jwt-es256-<seconds since 1970>.pem`.
const FIRST: &str = "jwt-es256.pem";
const LATER: &str = "jwt-es256-";

/// All keys, oldest first. Never empty.
#[derive(Debug)]
pub(crate) struct SigningKeys(Vec<SigningKey>);

/// One key.
pub(crate) struct SigningKey {
    file: String,
    /// When it was made, in seconds since 1970; the first one was always there.
    since: u64,
    pub(crate) private: EncodingKey,
    pub(crate) public: DecodingKey,
    pub(crate) shown: PublicKey,
}

/// A key as RFC 7517 shows it to whoever checks tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, bus::JsonSchema)]
pub(crate) struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    pub(crate) kid: String,
    x: String,
    y: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.shown.kid).finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// Reads all keys, and makes the first if there is none.
    pub(crate) fn open(keys: &Keys<'_>) -> Result<Self, KeysError> {
        let mut names = later(keys)?;
        if names.is_empty() || keys.path(FIRST).exists() {
            let pem = keys.read_or_make(FIRST, make)?;
            names.insert(0, (0, FIRST.to_owned()));
            drop(pem);
        }
        let read = |(since, file): (u64, String)| SigningKey::read(keys, since, file);
        Ok(Self(names.into_iter().map(read).collect::<Result<_, _>>()?))
    }

    /// The one that signs at `now`: the newest that has been published long enough.
    pub(crate) fn signer(&self, now: u64) -> &SigningKey {
        let lead = SIGNING_KEY_LEAD.as_secs();
        let known = self.0.iter().rev().find(|key| key.since + lead <= now);
        known.unwrap_or(&self.0[0])
    }

    /// Those that may have signed a token that says `kid`: an old one says none.
    pub(crate) fn named<'a>(
        &'a self,
        kid: Option<&'a str>,
    ) -> impl Iterator<Item = &'a SigningKey> {
        self.0.iter().filter(move |key| kid.is_none_or(|kid| key.shown.kid == kid))
    }

    pub(crate) fn shown(&self) -> Vec<PublicKey> {
        self.0.iter().map(|key| key.shown.clone()).collect()
    }

    /// Whether these are other keys than `those`.
    pub(crate) fn differ(&self, those: &Self) -> bool {
        let kids = |keys: &Self| keys.0.iter().map(|key| key.shown.kid.clone()).collect::<Vec<_>>();
        kids(self) != kids(those)
    }
}

/// Makes a key that signs after two minutes, and removes those that have signed
/// nothing that could still be in force. Gives the names of both.
///
/// # Errors
/// [`KeysError`] if the folder cannot be read or written, or holds too many keys already.
pub fn rotate_signing_key(folder: &Path) -> Result<(String, Vec<String>), KeysError> {
    rotate(folder, bus::Timestamp::now().as_millis() / 1_000)
}

fn rotate(folder: &Path, now: u64) -> Result<(String, Vec<String>), KeysError> {
    let keys = Keys::open(folder)?;
    let all = SigningKeys::open(&keys)?.0;
    let over = (SIGNING_KEY_LEAD + TOKEN_LIFE + TOKEN_LEEWAY).as_secs();
    let is_over = |pair: &&[SigningKey]| pair[1].since + over < now;
    let old: Vec<String> =
        all.windows(2).filter(is_over).map(|pair| pair[0].file.clone()).collect();
    if all.len() - old.len() >= SIGNING_KEYS_MAX {
        return Err(KeysError::TooMany(SIGNING_KEYS_MAX));
    }
    let name = format!("{LATER}{now}.pem");
    drop(keys.read_or_make(&name, make)?);
    for file in &old {
        let path = keys.path(file);
        fs::remove_file(&path).map_err(|source| KeysError::File { path, source })?;
    }
    Ok((name, old))
}

fn make() -> Vec<u8> {
    let pem = SecretKey::random(&mut OsRng).to_pkcs8_pem(LineEnding::LF);
    pem.map(|pem| pem.as_bytes().to_vec()).unwrap_or_default()
}

/// The keys behind the first, oldest first.
fn later(keys: &Keys<'_>) -> Result<Vec<(u64, String)>, KeysError> {
    let mut found = Vec::new();
    for name in keys.names()? {
        let seconds = name.strip_prefix(LATER).and_then(|name| name.strip_suffix(".pem"));
        if let Some(since) = seconds.and_then(|seconds| seconds.parse().ok()) {
            found.push((since, name));
        }
    }
    found.sort();
    Ok(found)
}

impl SigningKey {
    fn read(keys: &Keys<'_>, since: u64, file: String) -> Result<Self, KeysError> {
        let path = keys.path(&file);
        let pem =
            fs::read(&path).map_err(|source| KeysError::File { path: path.clone(), source })?;
        let not_a_key = |reason: String| KeysError::NotAKey { path: path.clone(), reason };
        let text = std::str::from_utf8(&pem).map_err(|error| not_a_key(error.to_string()))?;
        let secret =
            SecretKey::from_pkcs8_pem(text).map_err(|error| not_a_key(error.to_string()))?;
        let public = secret.public_key().to_public_key_pem(LineEnding::LF);
        let public = public.map_err(|error| not_a_key(error.to_string()))?;
        let private =
            EncodingKey::from_ec_pem(&pem).map_err(|error| not_a_key(error.to_string()))?;
        let checking = DecodingKey::from_ec_pem(public.as_bytes());
        let public = checking.map_err(|error| not_a_key(error.to_string()))?;
        Ok(Self { file, since, private, public, shown: PublicKey::of(&secret) })
    }
}

impl PublicKey {
    fn of(secret: &SecretKey) -> Self {
        let point = secret.public_key().to_encoded_point(false);
        let part = |part: Option<_>| {
            part.map(|bytes: &p256::FieldBytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))
                .unwrap_or_default()
        };
        let (x, y) = (part(point.x()), part(point.y()));
        // RFC 7638: the key's own thumbprint, so that no two are called alike.
        let said = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(said));
        Self { kty: "EC", crv: "P-256", alg: "ES256", usage: "sig", kid, x, y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> SigningKeys {
        Keys::open(folder).and_then(|keys| SigningKeys::open(&keys)).expect("keys")
    }

    #[test]
    fn a_new_key_is_shown_before_it_signs_and_an_old_one_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = open(folder.path()).signer(0).shown.kid.clone();
        let now = 1_000_000;
        let (name, removed) = rotate(folder.path(), now).expect("rotated");
        assert_eq!((name.as_str(), removed.len()), ("jwt-es256-1000000.pem", 0));
        let keys = open(folder.path());
        assert_eq!(keys.shown().len(), 2, "published at once");
        let lead = SIGNING_KEY_LEAD.as_secs();
        assert_eq!(keys.signer(now + lead - 1).shown.kid, first);
        let second = keys.signer(now + lead).shown.kid.clone();
        assert_ne!(second, first);
        assert_eq!(keys.named(Some(&first)).count(), 1, "its tokens are still good");
        assert_eq!(keys.named(None).count(), 2);

        let (_, removed) = rotate(folder.path(), now + lead + 600).expect("rotated");
        assert_eq!(removed, [""; 0], "its last tokens are in force");
        let late = now + lead + 2_000;
        let (_, removed) = rotate(folder.path(), late).expect("rotated");
        assert_eq!(removed.len(), 2, "{removed:?}");
        assert_eq!(open(folder.path()).named(Some(&first)).count(), 0);
    }

    #[test]
    fn keys_do_not_pile_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let rotate = |second| rotate(folder.path(), 1_000_000 + second);
        for second in 1..SIGNING_KEYS_MAX as u64 {
            rotate(second).expect("rotated");
        }
        let error = rotate(99).expect_err("too many").to_string();
        assert!(error.contains("signing keys"), "{error}");
    }
}
