//! The names of all headers.

/// Idempotency key of a command.
pub(crate) const KEY: &str = "Cb-Key";
/// When the key was first sent, in milliseconds since 1970.
pub(crate) const KEY_TIME: &str = "Cb-Key-Time";
/// In its place, where nobody knows: the key was first sent then or before, in milliseconds.
pub(crate) const KEY_UNTIL: &str = "Cb-Key-Until";
/// Budget left, in milliseconds, when the request was sent.
pub(crate) const TIMEOUT_MS: &str = "Cb-Timeout-Ms";
/// The commit that caused the command.
pub(crate) const CAUSE: &str = "Cb-Cause";
/// In whose name the command is sent.
pub(crate) const PRINCIPAL: &str = "Cb-Principal";
/// The version the actor must be at.
pub(crate) const EXPECT_VERSION: &str = "Cb-Expect-Version";
/// On what one node hands to another: who receives it carries it out, and hands it on no more.
pub(crate) const FORWARDED: &str = "Cb-Forwarded";
/// A query waits until the rows include this position.
pub(crate) const AFTER: &str = "Cb-After";
/// In a reply: the rows are older than the program that answers, of this version of the
/// projection, and stand in until its own are folded.
pub(crate) const STANDS_IN: &str = "Cb-Stands-In";
/// In a letter whose like is stored again and again: what the keys of all of them begin with.
pub(crate) const KEY_PREFIX: &str = "Cb-Key-Prefix";
/// In a schedule: its rank. One of a lower rank does not replace it.
pub(crate) const RANK: &str = "Cb-Rank";
/// When a letter was stored, in milliseconds since 1970. Added on delivery, never sent.
pub(crate) const STORED_AT: &str = "Cb-Stored-At";
/// In a reply: the actor's version, as a position.
pub(crate) const SEQ: &str = "Cb-Seq";
/// W3C trace context.
pub(crate) const TRACE: &str = "traceparent";
pub(crate) const CONTENT_TYPE: &str = "Content-Type";
/// In a failure: its status number and its text, as NATS services do.
pub(crate) const ERROR_CODE: &str = "Nats-Service-Error-Code";
pub(crate) const ERROR: &str = "Nats-Service-Error";

/// In a dead letter, and in one to be carried out again: the delivery's own subject.
pub(crate) const DEAD_SUBJECT: &str = "Cb-Dead-Subject";
/// Its own stream and sequence.
pub(crate) const DEAD_SEQ: &str = "Cb-Dead-Seq";
/// Why it could not be carried out.
pub(crate) const DEAD_ERROR: &str = "Cb-Dead-Error";
/// In a dead letter that holds nothing of the delivery itself, because that was too large.
pub(crate) const DEAD_CUT: &str = "Cb-Dead-Cut";
/// How often it was tried.
pub(crate) const DEAD_ATTEMPTS: &str = "Cb-Dead-Attempts";
/// When it failed first and last, in milliseconds since 1970.
pub(crate) const DEAD_FIRST: &str = "Cb-Dead-First";
pub(crate) const DEAD_LAST: &str = "Cb-Dead-Last";
/// In a letter to be carried out again: the sequence of its dead letter.
pub(crate) const DEAD_LETTER: &str = "Cb-Dead-Letter";
/// Before the name of each header that the delivery itself had.
pub(crate) const DEAD_WAS: &str = "Cb-Was-";
/// The server stores a message once under each id, for as long as it remembers it.
pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
