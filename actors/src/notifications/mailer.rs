//! How mail leaves: by SMTP, as `.eml` files in a folder where no mail server is at hand, or into
//! an outbox in memory where the whole world is.
//!
//! A mail is made from its notice alone, so sending it again sends the same mail, under the
//! same Message-ID; in a folder it replaces the same file.

use std::{
    collections::BTreeSet,
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bus::Timestamp;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart, MultiPartKind, SinglePart},
    transport::smtp,
};
use tokio::time::timeout;

use super::{GiveUpReason, NoticeId, letters::Words};
use crate::limits::MAIL_TIMEOUT;

/// How mail leaves, and whom it is from.
pub struct Mailer {
    from: Mailbox,
    way: Way,
}

enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
    Outbox(Outbox),
}

/// Mail that left, in memory: for tests and simulations. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Outbox(Arc<Mutex<BTreeSet<String>>>);

impl Outbox {
    /// The ids of the notices whose mail left. Sent twice, a mail is one: it has one Message-ID.
    #[must_use]
    pub fn mailed(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, notice: &NoticeId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(notice.to_string());
    }
}

/// Why mail cannot leave like that.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMailer {
    /// Nobody can be written to under this address.
    #[error("mail cannot be from `{from}`: expected `Name <name@domain>`")]
    From {
        /// Whom it should have been from.
        from: String,
        /// What is wrong with it.
        #[source]
        source: lettre::address::AddressError,
    },
    /// The URL, which is not shown, as it may hold a password.
    #[error("not an SMTP server's URL: expected `smtp://user:password@host:port?tls=required`")]
    Url(#[source] smtp::Error),
    /// The folder cannot be made.
    #[error("mail cannot be written to {}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

/// A mail did not leave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotSent {
    /// And never will.
    Ever(GiveUpReason),
    /// But may, later. The reason holds nothing personal.
    Now(String),
}

/// A mail about to leave.
#[derive(Debug)]
pub(super) struct Mail<'a> {
    pub(super) notice: &'a NoticeId,
    pub(super) at: Timestamp,
    pub(super) name: &'a str,
    pub(super) address: &'a str,
    pub(super) words: Words,
}

impl fmt::Debug for Mailer {
    // Without the transport, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way: &dyn fmt::Debug = match &self.way {
            Way::Smtp(_) => &"smtp",
            Way::Folder(folder) => folder,
            Way::Outbox(_) => &"outbox",
        };
        f.debug_struct("Mailer").field("way", way).finish_non_exhaustive()
    }
}

impl Mailer {
    /// By the SMTP server at `url`.
    ///
    /// # Errors
    /// [`InvalidMailer`] if `url` or `from` cannot be read. The server is not called yet.
    pub fn smtp(url: &str, from: &str) -> Result<Self, InvalidMailer> {
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let server = server.map_err(InvalidMailer::Url)?.timeout(Some(MAIL_TIMEOUT));
        Ok(Self { from: mailbox(from)?, way: Way::Smtp(server.build()) })
    }

    /// As files in `folder`, one for each notice, named by its id. The folder is made.
    ///
    /// # Errors
    /// [`InvalidMailer`] if `from` cannot be read or the folder not made.
    pub fn folder(folder: impl Into<PathBuf>, from: &str) -> Result<Self, InvalidMailer> {
        let (folder, from) = (folder.into(), mailbox(from)?);
        match std::fs::create_dir_all(&folder) {
            Ok(()) => Ok(Self { from, way: Way::Folder(folder) }),
            Err(source) => Err(InvalidMailer::Folder { folder, source }),
        }
    }

    /// Into `outbox`.
    ///
    /// # Errors
    /// [`InvalidMailer`] if `from` cannot be read.
    pub fn outbox(outbox: Outbox, from: &str) -> Result<Self, InvalidMailer> {
        Ok(Self { from: mailbox(from)?, way: Way::Outbox(outbox) })
    }

    pub(super) async fn send(&self, mail: Mail<'_>) -> Result<(), NotSent> {
        let notice = mail.notice;
        let message = self.compose(mail)?;
        match &self.way {
            Way::Smtp(server) => match timeout(MAIL_TIMEOUT, server.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(judge(&error)),
                Err(_) => Err(NotSent::Now("the mail server took too long".to_owned())),
            },
            Way::Outbox(outbox) => {
                outbox.put(notice);
                Ok(())
            }
            Way::Folder(folder) => {
                let (folder, name) = (folder.clone(), format!("{notice}.eml"));
                let written = tokio::task::spawn_blocking(move || {
                    write_whole(&folder, &name, &message.formatted())
                });
                match written.await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(NotSent::Now(format!("the mail folder: {error}"))),
                    Err(error) => Err(NotSent::Now(format!("writing a mail: {error}"))),
                }
            }
        }
    }

    fn compose(&self, mail: Mail<'_>) -> Result<Message, NotSent> {
        let Mail { notice, at, name, address, words } = mail;
        let bad_address = |_| NotSent::Ever(GiveUpReason::BadAddress);
        let to = Mailbox::new(Some(name.to_owned()), address.parse().map_err(bad_address)?);
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(words.subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis()))
            .message_id(Some(format!("<{notice}@{}>", self.from.email.domain())))
            .multipart(both(notice, words.body, words.html))
            // What cannot be composed now never can: the words are ours, the address is not.
            .map_err(|_| NotSent::Ever(GiveUpReason::BadAddress))
    }
}

/// Who cannot show the last part shows the first. The boundary is made of the notice's id, so that
/// the mail is the same each time; no letter's words hold that.
fn both(notice: &NoticeId, text: String, html: String) -> MultiPart {
    let (text, html) = (SinglePart::plain(text), SinglePart::html(html));
    let kind = MultiPart::builder().kind(MultiPartKind::Alternative);
    kind.boundary(format!("=_{notice}")).singlepart(text).singlepart(html)
}

fn mailbox(from: &str) -> Result<Mailbox, InvalidMailer> {
    from.parse().map_err(|source| InvalidMailer::From { from: from.to_owned(), source })
}

/// What a mail server's error means for this one mail.
fn judge(error: &smtp::Error) -> NotSent {
    match error.status().map(u16::from) {
        Some(code) if is_final(code) => NotSent::Ever(GiveUpReason::Refused { code }),
        // The server's words may name people: only its code is kept.
        Some(code) => NotSent::Now(format!("the mail server answered {code}")),
        None => NotSent::Now(error.to_string()),
    }
}

/// Whether a reply code refuses this mail for good. Those about commands (50x) and about who
/// we are (53x) are faults of the set-up, which somebody will mend: the mail waits for that.
fn is_final(code: u16) -> bool {
    matches!(code, 500..=599) && !matches!(code, 500..=504 | 530..=539)
}

/// Writes a file that is there whole or not at all.
fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    // The process' own name for it, so that two processes never write into one file.
    let unfinished = folder.join(format!(".{name}.{}.unfinished", std::process::id()));
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, folder.join(name))
}
