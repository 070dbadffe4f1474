//! The keys folder: secrets made once, at the first start, and kept.
//!
//! Whoever holds this folder can sign tokens and recognise hashed addresses; whoever loses it
//! logs everybody out and can no longer find users by address. Two processes that start at the
//! same time end up with the same keys.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use actors::users::{EmailId, LinkKey};
use hmac::{Hmac, Mac};
use p256::elliptic_curve::rand_core::{OsRng, RngCore};
use sha2::Sha256;

use crate::{refresh::RefreshKey, users::Address};

const EMAIL_KEY: &str = "email.key";
const REFRESH_KEY: &str = "refresh.key";
const LINK_KEY: &str = "links.key";
const SECRET_BYTES: usize = 32;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file or the folder cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A key file does not hold a key.
    #[error("{} does not hold the key it should: {reason}", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// More keys would sign than anybody needs at once.
    #[error(
        "there are {0} signing keys already; the oldest go when their last tokens have expired"
    )]
    TooMany(usize),
    /// The address that was to be hashed is none.
    #[error("{0}")]
    Address(&'static str),
}

/// The key that signs the links in mails, from the keys folder at `keys`.
///
/// # Errors
/// [`KeysError`] if it cannot be read or made.
pub fn link_key(keys: &Path) -> Result<LinkKey, KeysError> {
    Keys::open(&mail_folder(keys))?.link_key()
}

/// The actor that owns the mail address `address`, found with the key kept in `keys`.
///
/// # Errors
/// [`KeysError`] if the text is no address or the key cannot be read.
pub fn email_id(keys: &Path, address: &str) -> Result<EmailId, KeysError> {
    let address = Address::parse(address).map_err(KeysError::Address)?;
    Ok(Keys::open(keys)?.email_key()?.email_id(&address))
}

/// What mails links needs this folder and no other.
fn mail_folder(keys: &Path) -> PathBuf {
    keys.join("mail")
}

/// An open keys folder.
pub(crate) struct Keys<'a> {
    folder: &'a Path,
}

impl<'a> Keys<'a> {
    pub(crate) fn open(folder: &'a Path) -> Result<Self, KeysError> {
        create_private_folder(folder).map_err(|source| at(folder, source))?;
        Ok(Self { folder })
    }

    /// The key that hides mail addresses.
    pub(crate) fn email_key(&self) -> Result<EmailKey, KeysError> {
        self.secret(EMAIL_KEY).map(EmailKey)
    }

    /// The key that signs refresh tokens.
    pub(crate) fn refresh_key(&self) -> Result<RefreshKey, KeysError> {
        self.secret(REFRESH_KEY).map(RefreshKey::new)
    }

    fn link_key(&self) -> Result<LinkKey, KeysError> {
        self.secret(LINK_KEY).map(LinkKey::new)
    }

    /// Where the file `name` lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What files there are.
    pub(crate) fn names(&self) -> Result<Vec<String>, KeysError> {
        let read = || {
            let entries = fs::read_dir(self.folder)?;
            entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()
        };
        let names = read().map_err(|source| at(self.folder, source))?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    fn secret(&self, name: &str) -> Result<[u8; SECRET_BYTES], KeysError> {
        let bytes = self.read_or_make(name, || {
            let mut bytes = [0; SECRET_BYTES];
            OsRng.fill_bytes(&mut bytes);
            bytes.to_vec()
        })?;
        let not_a_key = |bytes: Vec<u8>| KeysError::NotAKey {
            path: self.folder.join(name),
            reason: format!("it has {} bytes instead of {SECRET_BYTES}", bytes.len()),
        };
        bytes.try_into().map_err(not_a_key)
    }

    /// The content of the file `name`; if there is none yet, what `make` makes.
    pub(crate) fn read_or_make(
        &self,
        name: &str,
        make: impl FnOnce() -> Vec<u8>,
    ) -> Result<Vec<u8>, KeysError> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => return Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&path, error)),
        }
        self.write_new(name, &make()).map_err(|source| at(&path, source))?;
        // Another process may have been first: what counts is what lies there now.
        fs::read(&path).map_err(|source| at(&path, source))
    }

    /// Puts `bytes` under `name`, whole and on disk, unless there is such a file already.
    fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let half = self.folder.join(format!(".{name}.{}", uuid::Uuid::new_v4().simple()));
        let written = write_private(&half, bytes).and_then(|()| {
            // A link, unlike a rename, never replaces a key another process has just made.
            match fs::hard_link(&half, self.folder.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            }
        });
        let removed = fs::remove_file(&half);
        written.and(removed)?;
        fs::File::open(self.folder)?.sync_all()
    }
}

fn at(path: &Path, source: io::Error) -> KeysError {
    KeysError::File { path: path.to_owned(), source }
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Hides mail addresses: only who has it can tell which actor an address belongs to.
#[derive(Clone)]
pub(crate) struct EmailKey([u8; SECRET_BYTES]);

impl fmt::Debug for EmailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailKey(…)")
    }
}

impl EmailKey {
    /// The actor that owns `address`.
    pub(crate) fn email_id(&self, address: &Address) -> EmailId {
        let mut text = "e-".to_owned();
        // 192 bits: no two addresses meet, and it stays within an id's 64 characters.
        for byte in &self.mac(&[address.as_str()])[..24] {
            text.push_str(&format!("{byte:02x}"));
        }
        EmailId::parse(&text).expect("a letter, a dash and 48 hexadecimal digits are an id")
    }

    /// The salt for hashing a user's password: the same for the same two, so that a repeated
    /// registration is the same command; unknown to whoever lacks the key.
    pub(crate) fn salt(&self, user: &str, password: &str) -> [u8; 16] {
        // No address holds a NUL, so a salt and an address never hash the same text.
        let mac = self.mac(&["\0salt\0", user, "\0", password]);
        let mut salt = [0; 16];
        salt.copy_from_slice(&mac[..16]);
        salt
    }

    fn mac(&self, parts: &[&str]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a MAC key");
        for part in parts {
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn keys_are_made_once_and_kept() {
        let folder = tempfile::tempdir().expect("a temp folder");
        let keys = folder.path().join("keys");
        let first = email_id(&keys, "Ann@Example.org").expect("an id");
        assert_eq!(email_id(&keys, " ann@example.org ").expect("an id"), first);
        assert_ne!(email_id(&keys, "bob@example.org").expect("an id"), first);
        let elsewhere = email_id(&folder.path().join("other"), "ann@example.org").expect("an id");
        assert_ne!(elsewhere, first);
    }

    #[test]
    fn processes_that_start_at_once_agree_on_the_key() {
        let folder = tempfile::tempdir().expect("a temp folder");
        let made: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|n: u8| {
                    let path = folder.path();
                    scope.spawn(move || {
                        let keys = Keys::open(path).expect("the folder");
                        keys.read_or_make("k", || vec![n; 32]).expect("a key")
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(made.windows(2).all(|pair| pair[0] == pair[1]), "{made:?}");
        let left = fs::read_dir(folder.path()).expect("the folder").count();
        assert_eq!(left, 1, "half-written files are left");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_them() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temp folder");
        let path = folder.path().join("keys");
        Keys::open(&path).and_then(|keys| keys.email_key()).expect("a key");
        let mode =
            |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(EMAIL_KEY)), 0o600);
    }

    #[test]
    fn a_cut_key_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temp folder");
        fs::write(folder.path().join(EMAIL_KEY), b"short").expect("written");
        let error = email_id(folder.path(), "a@b.c").expect_err("not a key").to_string();
        assert!(error.contains("email.key") && error.contains("5 bytes"), "{error}");
    }
}
