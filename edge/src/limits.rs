//! Every bound of the edge, with its unit and its reason.
//!
//! At a bound we refuse with an answer that says whether asking again helps; nothing queues
//! without end. Change a value here and nowhere else.

use std::time::Duration;

/// Largest request body, in bytes: an order of fifty lines needs less than a tenth of it.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Largest list of an import, in bytes: ten thousand lines have some two million.
pub(crate) const IMPORT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Imports read at the same time: each holds its list in memory several times.
pub(crate) const IMPORTS_MAX: usize = 2;

/// Webhooks noted at the same time that are not to be believed: anybody can send them, and each is a
/// question to a payment. What comes beside them is only logged.
pub(crate) const FORGERIES_NOTED_MAX: usize = 8;

/// Lines of an import that are sent together, and carried out in one run.
pub(crate) const IMPORT_CHUNK_LINES: usize = 100;

/// About how many bytes they may have, so that they fit one commit.
pub(crate) const IMPORT_CHUNK_BYTES: usize = 256 * 1024;

/// How much of a body that is too large is read away, in bytes, so that a client still writing
/// gets to read the answer instead of a reset connection.
pub(crate) const BODY_DISCARD_MAX: usize = 8 * 1024 * 1024;

/// SKUs whose availability is asked for at once: as many as rows are named in one query.
pub(crate) const AVAILABILITY_SKUS_MAX: usize = bus::limits::PAGE_ROWS_MAX;

/// Connections at once. Past it, new ones wait in the kernel's bounded backlog.
pub(crate) const CONNECTIONS_MAX: usize = 4_096;

/// How long a client may take to send the header of a request, and how long an idle connection
/// is kept for the next one.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one request may take until its answer begins: the longest wait for an order, and
/// time for the asks around it.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);

/// How long a stopping edge waits for the requests it has begun.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(15);

/// How long a row is waited for while a client waits for more than the row.
pub(crate) const ROW_TIMEOUT: Duration = Duration::from_secs(2);

/// How long each part of a page of many may take: it is shown without those that take longer.
pub(crate) const PART_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an order is waited for, unless the client says otherwise.
pub(crate) const WAIT_DEFAULT: Duration = Duration::from_secs(2);

/// The longest a client can have an order waited for.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);

/// How far hashing stands back, from 0 to 19: beside one busy thread it has a tenth of a core.
pub(crate) const HASHING_NICENESS: i32 = 10;

/// Passwords waiting to be hashed: about two seconds' worth.
pub(crate) const HASHES_WAITING_MAX: usize = 64;

/// How long an access token is valid.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// How far the clocks of issuer and checker may differ.
pub(crate) const TOKEN_LEEWAY: Duration = Duration::from_secs(30);

/// Tokens whose signature was checked and need not be checked again: about 200 bytes each.
pub(crate) const TOKENS_REMEMBERED_MAX: usize = 20_000;

/// Event streams at once in this process.
pub(crate) const STREAMS_MAX: usize = 1_000;

/// Event streams one user may have at once in this process.
pub(crate) const STREAMS_PER_USER_MAX: usize = 10;

/// How often a silent event stream shows that it lives.
pub(crate) const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// How long readiness, once found out, is believed.
pub(crate) const READINESS_FRESH_FOR: Duration = Duration::from_secs(1);

/// How long the journal may take to acknowledge before it counts as not taking writes.
pub(crate) const READINESS_TIMEOUT: Duration = Duration::from_secs(2);

/// Rows of a page, unless the client says otherwise.
pub(crate) const PAGE_ROWS_DEFAULT: usize = 50;

/// Words of one search: more would only narrow what is empty already.
pub(crate) const SEARCH_WORDS_MAX: usize = 8;

/// Searches at the same time: each takes a core for some milliseconds.
pub(crate) const SEARCHES_MAX: usize = 4;

/// Searches waiting for their turn: a second's worth.
pub(crate) const SEARCHES_WAITING_MAX: usize = 256;

/// How many items a list by relevance shows, over all its pages: who wants more searches better.
pub(crate) const SEARCH_DEPTH_MAX: usize = 1_000;

/// How long a search waits for the index to be made, or to have what was just written.
pub(crate) const SEARCH_WAIT: Duration = Duration::from_secs(5);

/// Memory of the indexing thread, in bytes, before it writes a segment. The least there can be
/// is 15 MB.
pub(crate) const INDEX_BYTES: usize = 32 * 1024 * 1024;

/// At most so often changes are brought into the index: each time costs milliseconds, and
/// whoever waits for what he wrote waits no longer than this.
pub(crate) const INDEX_EVERY: Duration = Duration::from_millis(100);

/// Commits folded before those who wait are told.
pub(crate) const INDEX_COMMITS_AT_ONCE: usize = 256;

/// After a fault, how long until the index is kept again.
pub(crate) const INDEX_RETRY_AFTER: Duration = Duration::from_millis(500);

/// How long what is known of a session counts: so long a log-out can be overlooked elsewhere.
pub(crate) const SESSION_FRESH_FOR: Duration = Duration::from_secs(5);

/// How long is waited for a user to say whether a session is open; then its token counts.
pub(crate) const SESSION_CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a new signing key is published before it signs.
pub(crate) const SIGNING_KEY_LEAD: Duration = Duration::from_secs(120);

/// How often the keys folder is looked into. With what a cache may keep, well within
/// [`SIGNING_KEY_LEAD`].
pub(crate) const SIGNING_KEYS_FRESH_FOR: Duration = Duration::from_secs(30);

/// Signing keys at once.
pub(crate) const SIGNING_KEYS_MAX: usize = 10;

/// Sessions whose standing is remembered.
pub(crate) const SESSIONS_REMEMBERED_MAX: usize = 20_000;

/// Wrong passwords of one account from one address before there is a delay.
pub(crate) const GUESSES_FREE: u32 = 5;

/// Wrong passwords from one address, of whichever account, before there is a delay. Many people
/// may share an address.
pub(crate) const GUESSES_FREE_PER_ADDRESS: u32 = 50;

/// Longest delay after a wrong password.
pub(crate) const GUESS_DELAY_MAX: Duration = Duration::from_secs(60);

/// Longest delay after a wrong password for another account from the same address: people who share
/// one must not wait for each other.
pub(crate) const GUESS_DELAY_MAX_PER_ADDRESS: Duration = Duration::from_secs(1);

/// After this long without another try, earlier ones are forgotten.
pub(crate) const GUESSES_FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// Accounts, and addresses, whose tries are remembered.
pub(crate) const GUESSERS_REMEMBERED_MAX: usize = 50_000;
