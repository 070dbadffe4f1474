//! Every bound of the runtime, with its unit and its reason.
//!
//! At a bound we refuse with an error that says whether asking again helps; nothing queues
//! without end. Change a value here and nowhere else.

use std::time::Duration;

/// Longest kind, id or command name, in bytes: keeps subjects far below the server's 256.
pub const TOKEN_BYTES_MAX: usize = 64;

/// Longest idempotency key, in bytes: room for a saga's derived key or a client's UUID.
pub const KEY_BYTES_MAX: usize = 200;

/// Longest cause, principal and trace in a request's headers, in bytes: each is stored with the commit.
pub const HEADER_BYTES_MAX: usize = 256;

/// Largest command body, in bytes. Its commit, with events and reply, must fit the server's
/// default message limit of 1 MiB.
pub const COMMAND_BYTES_MAX: usize = 256 * 1024;

/// Largest stored commit, in bytes: under the server's 1 MiB, with room for headers.
pub const COMMIT_BYTES_MAX: usize = 960 * 1024;

/// Commands waiting for one actor. Past it the caller is told to come back (429).
pub const MAILBOX_MAX: usize = 1_024;

/// Bytes of the bodies that wait for one actor: sixteen of the largest. Past it, 429.
pub const MAILBOX_BYTES_MAX: usize = 16 * COMMAND_BYTES_MAX;

/// Commands that wait or are worked on at one node, of all kinds. Past it, 429: who comes later
/// would only wait past its budget.
pub const NODE_COMMANDS_MAX: usize = 65_536;

/// Bytes of those commands' bodies: what a flood of large ones may cost a node in memory.
pub const NODE_COMMAND_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Refusals one node has on their way out. Past it a request is dropped unanswered, as if it had
/// never come: who floods does not read the answers fast enough to be owed more.
pub const REFUSALS_MAX: usize = 16_384;

/// Shortest and longest time a caller is told to wait after a 429.
pub const RETRY_HINT_MIN: Duration = Duration::from_millis(20);
/// See [`RETRY_HINT_MIN`].
pub const RETRY_HINT_MAX: Duration = Duration::from_secs(2);

/// Activations one kind keeps in memory on one node. Past it the one idle longest is forgotten;
/// with none idle, 429.
pub const ACTIVATIONS_MAX: usize = 1_000_000;

/// An activation idle for this long is passivated.
pub const PASSIVATE_AFTER: Duration = Duration::from_secs(300);

/// How often idle activations are looked for.
pub const PASSIVATE_EVERY: Duration = Duration::from_secs(10);

/// Idempotency keys an activation always remembers, and its snapshot: those of its last commits.
/// 24 bytes each in memory, 14 in a snapshot; with a million activations every one counts.
pub const KEYS_KEPT_FEW: usize = 127;

/// A repeat that does not say when its key was first sent is surely recognised this many commits
/// later. Where such callers come, so many keys are remembered; the first of them has the others
/// searched for.
pub const KEYS_KEPT_MIN: usize = 4_096;

/// Of how many commits one is remembered as a place where a search for such a key can begin.
pub const MILESTONE_EVERY: usize = 256;

/// Idempotency keys an activation remembers at most, even if all are recent: those of the last
/// [`KEYS_KEPT_FOR`] at 20,000 commits a second. Past it, new keys are searched for, slowly.
pub const KEYS_KEPT_MAX: usize = 200_000;

/// Keys younger than this are kept beyond [`KEYS_KEPT_FEW`]. Longer than [`CLOCK_SKEW_MAX`], so
/// that a key sent just now is known to be new without a search, however busy the actor.
pub const KEYS_KEPT_FOR: Duration = Duration::from_secs(10);

/// Keys that a search went through are kept this long: where one old key comes, more follow.
pub const KEYS_SEARCHED_KEPT_FOR: Duration = Duration::from_secs(60);

/// So many keys are remembered without an index; with more they all get one. Keeps what an idle
/// actor with a short past costs small, and loading one with a long past short.
pub const KEYS_UNINDEXED_MAX: usize = 256;

/// How far apart two machines' clocks may be before a key's time misleads the search for it.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5);

/// How long an ask waits for its reply unless the caller says otherwise.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// No ask waits longer than this, whatever its caller says.
pub const ASK_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// The first attempt of an ask; each further one waits twice as long. A host that died with
/// the request in its hands never answers, so the same key is sent again.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Nodes that have gone which one ask tries without a pause between them.
pub const NODES_AT_ONCE_MAX: u32 = 3;

/// Pause before asking again after "nobody there" or "busy".
pub const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Longest pause between two attempts of one ask.
pub const ASK_AGAIN_AFTER_MAX: Duration = Duration::from_millis(500);

/// Shards one kind may have: each is a stream with followers of its own.
pub const SHARDS_MAX: u32 = 64;

/// Commits one atomic batch may have: the server's limit.
pub const BATCH_MAX: usize = 1_000;

/// Bytes of the commits that are sent together, as a batch or one by one.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Commands an actor decides one after another before it waits for their commits. More would
/// have the first wait for the last; it is a share of [`BATCH_MAX`], so that one hot actor leaves
/// room for others.
pub const TURN_MAX: usize = 256;

/// Bytes of commits after which an actor decides no more before it waits for them.
pub const TURN_BYTES_MAX: usize = 1024 * 1024;

/// How long an append waits for the journal's acknowledgement before the conflict rule decides.
pub const APPEND_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a letter is stored that no acknowledgement came for.
pub const APPEND_TRIES_MAX: u32 = 3;

/// How long one read from the journal may take.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How often one command may lose the race against another writer before it gives up (503).
pub const CONFLICTS_MAX: u32 = 16;

/// How long a starting node waits for a journal that does not answer yet.
pub const PROVISION_DEADLINE: Duration = Duration::from_secs(30);

/// Commits fetched by one read while an actor loads.
pub const LOAD_BATCH: usize = 500;

/// Commits fetched by the first read of an actor. One that has no more is loaded by that read
/// alone; for others a snapshot is looked for, so that little is read in vain.
pub const FIRST_BATCH: usize = 64;

/// Commits of one actor between two snapshots, and so about what a load folds at most.
pub const SNAPSHOT_EVERY: u32 = 500;

/// Commits since the last snapshot that make one worthwhile when an actor is passivated.
pub const SNAPSHOT_AT_REST: u32 = 128;

/// At least this long between two snapshots of one actor: a hot one writes commits, not snapshots.
pub const SNAPSHOT_PAUSE: Duration = Duration::from_secs(5);

/// Snapshots of one kind that a node writes at the same time; the others wait for their turn.
pub const SNAPSHOTS_WRITTEN_MAX: usize = 4;

/// Largest snapshot, in bytes: as [`COMMIT_BYTES_MAX`], it is one message. A larger state is
/// folded from its commits each time.
pub const SNAPSHOT_BYTES_MAX: usize = COMMIT_BYTES_MAX;

/// Commits that a debug build folds again to check a snapshot; a longer past is taken on trust.
pub const SNAPSHOT_CHECK_MAX: usize = 1_000;

/// Letters fetched by one read.
pub const LETTERS_BATCH: usize = 100;

/// Deliveries one follower holds unacknowledged. Past it, it is given no more until some are
/// done.
pub const FOLLOWER_PENDING_MAX: i64 = 8_192;

/// Deliveries of one actor that may wait behind one that fails: a share of
/// [`FOLLOWER_PENDING_MAX`]. With more, patience with that actor ends after [`CROWDED_MAX`].
pub const ACTOR_PENDING_MAX: usize = 1_024;

/// How long an actor whose commit fails may have more than [`ACTOR_PENDING_MAX`] waiting before
/// they all become dead letters, untried: they would use up the room of the other actors.
pub const CROWDED_MAX: Duration = Duration::from_secs(60);

/// Failed attempts before a delivery becomes a dead letter. With [`RETRY_AFTER`] doubling up to
/// [`RETRY_AFTER_MAX`] it comes to about five minutes.
pub const ATTEMPTS_MAX: u32 = 20;

/// How long a delivery is tried whose target cannot be reached, or is too busy: a service that
/// is down over night is no reason to set everything aside that was meant for it.
pub const UNREACHABLE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Deliveries a follower remembers as done, so that it only acknowledges what is delivered
/// again after a lost connection.
pub const DONE_KEPT_MAX: usize = 65_536;

/// How far a follower may be ahead of its oldest open delivery, in sequences, before it notes
/// down what is open. About so many, and those of [`PLACE_EVERY`], may be repeated at a failover.
pub const PLACE_AHEAD: u64 = 512;

/// How often a follower so far ahead notes down what is open.
pub const PLACE_EVERY: Duration = Duration::from_secs(1);

/// Largest tell or fired timer, in bytes with its headers: as a dead letter it is one message,
/// too, with headers that say what was wrong.
pub const LETTER_BYTES_MAX: i32 = 768 * 1024;

/// Longest text of an error in a dead letter, in bytes.
pub const DEAD_ERROR_BYTES_MAX: usize = 1_024;

/// Deliveries one follower works on at the same time, each for another actor.
pub const FOLLOWER_PARALLEL_MAX: usize = 64;

/// A delivery not acknowledged for this long is delivered again; those worked on are renewed
/// before. It is no measure of failover: whoever takes over is given all that is not
/// acknowledged at once. So it is long enough that what waits behind a failing commit is not
/// delivered over and over. In this crate's own unit tests less, because they wait for it.
pub const ACK_WAIT: Duration = Duration::from_secs(if cfg!(test) { 12 } else { 30 });

/// How long the one client that is given a follower's deliveries may be silent before another
/// one is: the failover time after a kill, and the longest pause that is survived.
pub const PIN_TTL: Duration = Duration::from_secs(3);

/// How long one request for deliveries lives at the server. Renewed when over, which also
/// renews the pin, so well below [`PIN_TTL`].
pub const PULL_EXPIRES: Duration = Duration::from_secs(1);

/// Deliveries asked for by one request.
pub const PULL_BATCH: usize = 256;

/// How long one saga command may wait for its answer before the delivery is tried again.
pub const SAGA_ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one run of an effect may take before it counts as failed.
pub const EFFECT_TIMEOUT: Duration = Duration::from_secs(30);

/// First pause of a failed delivery; doubled each time, with jitter.
pub const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Longest pause of a failed delivery.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Commits folded into one write of the rows, at most. Many touch the same rows: the more at
/// once, the fewer rows are read and written, while queries for them wait a little longer.
pub const FOLD_BATCH: usize = 4_096;

/// How often a projection that catches up says how far it is.
pub const FOLD_REPORT_EVERY: Duration = Duration::from_secs(5);

/// How long a store of rows may take to open, all of it checked: at a million rows a second,
/// more than any node should fold. One that takes longer hangs, and its rows are folded anew.
pub const ROWS_OPEN_DEADLINE: Duration = Duration::from_secs(60);

/// How long one write of rows, or one query, may take before the store counts as hanging.
pub const ROWS_WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// How long rows may be held by another process, one that is about to end, before a node does
/// not start.
pub const ROWS_LOCK_WAIT: Duration = Duration::from_secs(3);

/// Folders of broken rows kept for a person to look at, per projection and version.
pub const ROWS_ASIDE_MAX: usize = 3;

/// Processes that may die while they open the same rows before those are set aside unread.
pub const ROWS_OPEN_DEATHS_MAX: usize = 2;

/// Keys and values read at once from a store of rows.
pub const SCAN_BATCH: usize = 256;

/// Positions one query may ask to be included: a caller's own, of several streams.
pub const AFTER_MAX: usize = 16;

/// Watches one projection serves on one node. Past it, 429.
pub const WATCHES_MAX: usize = 1_024;

/// Changes that wait to be sent to one watcher. Past it, it is told to begin anew.
pub const WATCH_BUFFER: usize = 1_024;

/// How long a watch is kept that nobody renews.
pub const WATCH_LEASE: Duration = Duration::from_secs(15);

/// Memory the row store may use for its cache, in bytes, per projection.
pub const ROW_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Rows one page may hold.
pub const PAGE_ROWS_MAX: usize = 100;

/// Longest cursor, in bytes.
pub const CURSOR_BYTES_MAX: usize = 4_096;

/// Index entries one query looks at before it answers with what it has and a cursor.
pub const SCAN_ENTRIES_MAX: usize = 20_000;

/// Conditions of one query: each is held against every row it looks at.
pub const CONDITIONS_MAX: usize = 16;

/// Queries of one projection that a node has taken and not answered. Past it, 429.
pub const QUERIES_WAITING_MAX: usize = 4_096;

/// How long one query waits so, and never more than three quarters of its budget: who asks shall
/// hear how far the rows are, before it gives up this attempt.
pub const QUERY_WAIT_MAX: Duration = Duration::from_millis(1_500);

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

/// How often a node says that it is there: one small write per kind it hosts.
pub const NODE_RENEW_EVERY: Duration = Duration::from_secs(1);

/// A node that did not say so for this long is there no more: two renewals may be late.
pub const NODE_TIME_TO_LIVE: Duration = Duration::from_secs(3);

/// A node of which nothing was heard for this long, no renewal and no reply, is passed over if
/// another one was heard since its next renewal was due. This is what a caller waits when a node
/// is paused or dies.
pub const NODE_SILENCE: Duration = Duration::from_secs(2);

/// A process that is told nothing about any node for this long begins to watch anew.
pub const NODES_SILENCE: Duration = Duration::from_secs(5);

/// How often a call is sent again to an owner that lives and does not answer in time. After
/// that it goes to any node: this one may be alive and unable.
pub const OWNER_TIMEOUTS_MAX: u32 = 2;

/// Nodes that a command is handed to, one after another, if nobody is there to take it. Then
/// whoever has it carries it out.
pub const FORWARD_ATTEMPTS_MAX: usize = 3;

/// Commands of one kind that a node has handed on and whose answers it waits for. Past it, 429.
pub const FORWARDS_MAX: usize = 8_192;

/// How long a leaving node may take to say so.
pub const NODE_WITHDRAW_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a leaving node goes on taking everything after it has said so: until everybody has
/// heard it.
pub const NODE_LEAVE_PAUSE: Duration = Duration::from_millis(300);

/// An activation idle for this long is passivated if its actor lives elsewhere by now.
pub const PASSIVATE_MOVED_AFTER: Duration = Duration::from_secs(5);

/// Messages that wait to be handed to the connection. Past it whoever sends waits.
pub const OUTBOX_MAX: usize = 8_192;

/// Messages handed over in one go, at most: then others get their turn.
pub const OUTBOX_BURST: usize = 512;

/// Requests with a larger body go by a way that knows what the server takes.
pub const REQUEST_BYTES_PLAIN: usize = 32 * 1024;

/// How long what was written may take to leave for the server.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A stopping node's subscription counts as empty after this much silence.
pub const DRAIN_SILENCE: Duration = Duration::from_millis(300);

/// How long a follower's client that is gone without a word keeps its source in memory: as long
/// as a delivery may go unacknowledged.
pub const FAILOVER_AFTER: Duration = ACK_WAIT;

/// Largest message the bus in memory takes, in bytes: a server's default.
pub const IN_MEMORY_MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Messages of one subscription in memory that wait to be taken. Past it they are dropped, as a
/// client drops what its subscriber is too slow for.
pub const IN_MEMORY_SUBSCRIPTION_MAX: usize = 65_536;
/// Timers one command may arm or disarm: each is a message to the journal before the next commit
/// of the same actor is followed.
pub const TIMERS_PER_COMMIT_MAX: usize = 64;

/// Largest command a timer makes, in bytes of JSON: it is kept in the commit and in the schedule.
pub const TIMER_BYTES_MAX: usize = 64 * 1024;

/// How far ahead a timer may be set: a hundred years, well within what the server can count.
pub const TIMER_AHEAD_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Armed timers an activation remembers, so that it knows an outdated firing. Past it, the ones
/// armed longest ago are forgotten, and a late firing of theirs is the handler's to judge.
pub const TIMERS_REMEMBERED_MAX: usize = 20_000;
