//! Every bound of the runtime, with its unit and its reason.
//!
//! At a bound we refuse with an error that says whether asking again helps; nothing queues
//! without end. Change a value here and nowhere else.

use std::time::Duration;

/// Longest kind, id or command name, in bytes: keeps subjects far below the server's 256.
pub const TOKEN_BYTES_MAX: usize = 64;

/// Longest idempotency key, in bytes: room for a saga's derived key or a client's UUID.
pub const KEY_BYTES_MAX: usize = 200;

/// Largest command body, in bytes. Its commit, with events and reply, must fit the server's
/// default message limit of 1 MiB.
pub const COMMAND_BYTES_MAX: usize = 256 * 1024;

/// Largest stored commit, in bytes: under the server's 1 MiB, with room for headers.
pub const COMMIT_BYTES_MAX: usize = 960 * 1024;

/// Commands waiting for one actor. Past it the caller is told to come back (429).
pub const MAILBOX_MAX: usize = 1_024;

/// Activations one kind keeps in memory on one node. Past it, with none idle, 429.
pub const ACTIVATIONS_MAX: usize = 1_000_000;

/// An activation idle for this long is passivated.
pub const PASSIVATE_AFTER: Duration = Duration::from_secs(300);

/// How often idle activations are looked for.
pub const PASSIVATE_EVERY: Duration = Duration::from_secs(10);

/// Idempotency keys an activation always remembers: those of its last commits. A repeat that
/// does not say when its key was first sent is surely recognised this many commits later, and
/// for [`KEYS_KEPT_FOR`].
pub const KEYS_KEPT_MIN: usize = 16_384;

/// Idempotency keys an activation remembers at most, even if all are recent: those of the last
/// [`KEYS_KEPT_FOR`] at 20,000 commits a second. Past it, new keys are searched for, slowly.
pub const KEYS_KEPT_MAX: usize = 200_000;

/// Keys younger than this are kept beyond [`KEYS_KEPT_MIN`]. Longer than [`CLOCK_SKEW_MAX`], so
/// that a key sent just now is known to be new without a search, however busy the actor.
pub const KEYS_KEPT_FOR: Duration = Duration::from_secs(10);

/// How far apart two machines' clocks may be before a key's time misleads the search for it.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5);

/// How long an ask waits for its reply unless the caller says otherwise.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// No ask waits longer than this, whatever its caller says.
pub const ASK_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// The first attempt of an ask; each further one waits twice as long. A host that died with
/// the request in its hands never answers, so the same key is sent again.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause before asking again after "nobody there" or "busy".
pub const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Longest pause between two attempts of one ask.
pub const ASK_AGAIN_AFTER_MAX: Duration = Duration::from_millis(500);

/// How long an append waits for the journal's acknowledgement before the conflict rule decides.
pub const APPEND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one read from the journal may take.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How often one command may lose the race against another writer before it gives up (503).
pub const CONFLICTS_MAX: u32 = 16;

/// How long a starting node waits for a journal that does not answer yet.
pub const PROVISION_DEADLINE: Duration = Duration::from_secs(30);

/// Commits fetched by one read while an actor loads.
pub const LOAD_BATCH: usize = 500;

/// Deliveries one follower holds unacknowledged.
pub const FOLLOWER_PENDING_MAX: i64 = 1_024;

/// Deliveries one follower works on at the same time, each for another actor.
pub const FOLLOWER_PARALLEL_MAX: usize = 64;

/// A delivery not acknowledged for this long is delivered again; those worked on are renewed
/// before. Short, because it is how long a commit waits whose follower was killed.
pub const ACK_WAIT: Duration = Duration::from_secs(5);

/// How long one saga command may wait for its answer before the delivery is tried again.
pub const SAGA_ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one run of an effect may take before it counts as failed.
pub const EFFECT_TIMEOUT: Duration = Duration::from_secs(30);

/// First pause of a failed delivery; doubled each time, with jitter.
pub const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Longest pause of a failed delivery.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Commits folded into one write of the rows.
pub const FOLD_BATCH: usize = 512;

/// Memory the row store may use for its cache, in bytes, per projection.
pub const ROW_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Rows one page may hold.
pub const PAGE_ROWS_MAX: usize = 100;

/// Longest cursor, in bytes.
pub const CURSOR_BYTES_MAX: usize = 4_096;

/// Index entries one query looks at before it answers with what it has and a cursor.
pub const SCAN_ENTRIES_MAX: usize = 20_000;

/// Queries that wait for rows to include what they ask for. Past it, 429.
pub const QUERIES_WAITING_MAX: usize = 4_096;

/// How long one query waits so; who asks has asked again by then.
pub const QUERY_WAIT_MAX: Duration = ATTEMPT_TIMEOUT;

/// Queries one projection works on at the same time. Past it, 429.
pub const QUERIES_MAX: usize = 256;

/// Commits a live listener may lag behind before it must read the journal again.
pub const LIVE_BUFFER: usize = 4_096;

/// How long a stopping node waits for what it has begun.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(15);

/// Requests a stopping node still takes from the server, so that none in flight is dropped:
/// each step asks for more than can be on their way, or in our own buffers, at the rate that
/// did not bring the step before to its end.
pub const DRAIN_REQUESTS: [u64; 4] = [8_192, 512, 64, 8];

/// How long each step of [`DRAIN_REQUESTS`] may take.
pub const DRAIN_STEP: Duration = Duration::from_millis(1_500);

/// How long a stopping node waits for its followers to finish what they hold; the rest of
/// [`DRAIN_DEADLINE`] is for requests.
pub const FOLLOWERS_DEADLINE: Duration = Duration::from_secs(6);

/// How long what was written may take to leave for the server.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A stopping node's subscription counts as empty after this much silence.
pub const DRAIN_SILENCE: Duration = Duration::from_millis(300);
