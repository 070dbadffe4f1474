//! The bank's rules one by one; all of it in memory; and many transfers while nodes come and go.

use std::{collections::BTreeMap, time::Duration};

use bank::{
    Account, AccountError, AccountEvent, AccountId, Answer, Balance, Begin, Decide, Deposit, Note,
    OFTEN, Open, SUSPICIOUS, Status, Terms, Transfer, TransferError, TransferEvent, TransferId,
    Withdraw, bank,
};
use bus::{
    AskError, Bus, Faults, Running, Timestamp, World,
    testing::{given, simulate},
};
use proptest::{collection::vec, prelude::*};
use tokio::time::sleep;

const NAMES: [&str; 4] = ["ann", "bob", "cleo", "nobody"];
const OPENED_WITH: u64 = 3_000_000;
const NODES: [&str; 2] = ["node-1", "node-2"];

fn account(name: &str) -> AccountId {
    AccountId::parse(name).expect("a token")
}

fn transfer(name: &str) -> TransferId {
    TransferId::parse(name).expect("a token")
}

fn terms(from: &str, to: &str, amount: u64) -> Terms {
    Terms { from: account(from), to: account(to), amount }
}

fn opened(amount: u64) -> AccountEvent {
    AccountEvent::Opened { amount }
}

fn answered(answer: Answer, amount: u64, at: u64) -> AccountEvent {
    let at = Timestamp::from_millis(at);
    AccountEvent::Answered { transfer: transfer("t-1"), amount, answer, at }
}

fn withdraw(amount: u64) -> Withdraw {
    Withdraw { transfer: transfer("t-1"), amount, is_approved: false }
}

fn deposit(amount: u64) -> Deposit {
    Deposit { transfer: transfer("t-1"), amount }
}

#[test]
fn an_account_is_opened_once() {
    given::<Account>([]).when(Open(5)).then([opened(5)]);
    given::<Account>([opened(5)]).when(Open(5)).refuses(AccountError::AlreadyOpen);
    given::<Account>([]).when(Balance {}).replies(None).then([]);
}

#[test]
fn an_account_gives_what_it_has() {
    let enough = given::<Account>([opened(100)]).when(withdraw(100));
    enough.then([answered(Answer::Withdrawn, 100, 0)]);
    let little = given::<Account>([opened(100)]).when(withdraw(101));
    little.then([answered(Answer::Lacking, 101, 0)]);
    let spent = [opened(100), answered(Answer::Withdrawn, 60, 0)];
    given::<Account>(spent.clone()).when(withdraw(41)).then([answered(Answer::Lacking, 41, 0)]);
    given::<Account>(spent).when(Balance {}).replies(Some(40)).then([]);
    given::<Account>([]).when(withdraw(0)).then([answered(Answer::Lacking, 0, 0)]);
}

#[test]
fn an_account_takes_what_it_can_hold() {
    given::<Account>([opened(1)]).when(deposit(2)).then([answered(Answer::Deposited, 2, 0)]);
    let both = [opened(1), answered(Answer::Deposited, 2, 0)];
    given::<Account>(both).when(Balance {}).replies(Some(3)).then([]);
    let full = given::<Account>([opened(u64::MAX)]).when(deposit(1));
    full.then([answered(Answer::Bounced, 1, 0)]);
    given::<Account>([]).when(deposit(1)).then([answered(Answer::Bounced, 1, 0)]);
    let refused = [Answer::Lacking, Answer::Suspicious, Answer::Bounced];
    let unmoved = [opened(7)].into_iter().chain(refused.map(|answer| answered(answer, 9, 0)));
    given::<Account>(unmoved).when(Balance {}).replies(Some(7)).then([]);
}

#[test]
fn what_is_much_is_suspicious_until_it_is_approved() {
    let rich = || given::<Account>([opened(u64::MAX)]);
    rich().when(withdraw(SUSPICIOUS)).then([answered(Answer::Withdrawn, SUSPICIOUS, 0)]);
    let much = SUSPICIOUS + 1;
    rich().when(withdraw(much)).then([answered(Answer::Suspicious, much, 0)]);
    let approved = rich().when(Withdraw { is_approved: true, ..withdraw(much) });
    approved.then([answered(Answer::Withdrawn, much, 0)]);
    let poor = given::<Account>([opened(1)]).when(withdraw(much));
    poor.then([answered(Answer::Lacking, much, 0)]);
}

#[test]
fn what_is_taken_often_within_an_hour_is_suspicious() {
    let after = |times: usize, now| {
        let taken = (0..times).map(|_| answered(Answer::Withdrawn, 1, 1_000));
        let past = [opened(100)].into_iter().chain(taken);
        given::<Account>(past).at(Timestamp::from_millis(now)).when(withdraw(1))
    };
    let hour = 3_600_000;
    after(OFTEN - 1, 2_000).then([answered(Answer::Withdrawn, 1, 2_000)]);
    after(OFTEN, 2_000).then([answered(Answer::Suspicious, 1, 2_000)]);
    after(OFTEN + 3, hour + 999).then([answered(Answer::Suspicious, 1, hour + 999)]);
    after(OFTEN + 3, hour + 1_000).then([answered(Answer::Withdrawn, 1, hour + 1_000)]);
}

fn became(statuses: impl IntoIterator<Item = Status>) -> Vec<TransferEvent> {
    let terms = terms("ann", "bob", 5);
    let event = |status| TransferEvent::Became { status, terms: terms.clone() };
    statuses.into_iter().map(event).collect()
}

#[test]
fn a_transfer_is_begun_once() {
    let again = || given::<Transfer>(became([Status::Begun, Status::Held]));
    let begun = given::<Transfer>([]).when(Begin(terms("ann", "bob", 5)));
    begun.replies(Status::Begun).then(became([Status::Begun]));
    again().when(Begin(terms("ann", "bob", 5))).replies(Status::Held).then([]);
    again().when(Begin(terms("ann", "bob", 6))).refuses(TransferError::AlreadyBegun);
    for pointless in [terms("ann", "ann", 5), terms("ann", "bob", 0)] {
        given::<Transfer>([]).when(Begin(pointless)).refuses(TransferError::Pointless);
    }
}

#[test]
fn an_answer_moves_a_transfer_where_it_is_expected_and_nowhere_else() {
    use Answer::{Bounced, Deposited, Lacking, Suspicious, Withdrawn};
    let moves = [
        (Status::Begun, Suspicious, Status::Held),
        (Status::Begun, Withdrawn, Status::Withdrawn),
        (Status::Begun, Lacking, Status::Failed),
        (Status::Approved, Withdrawn, Status::Withdrawn),
        (Status::Approved, Lacking, Status::Failed),
        (Status::Withdrawn, Deposited, Status::Arrived),
        (Status::Withdrawn, Bounced, Status::Bounced),
        (Status::Bounced, Deposited, Status::Failed),
    ];
    let all = [Status::Begun, Status::Held, Status::Approved, Status::Withdrawn];
    for status in all.into_iter().chain([Status::Bounced, Status::Arrived, Status::Failed]) {
        for answer in [Withdrawn, Lacking, Suspicious, Deposited, Bounced] {
            let expected = moves.iter().find(|(from, when, _)| (*from, *when) == (status, answer));
            let outcome = given::<Transfer>(became([Status::Begun, status])).when(Note(answer));
            outcome.then(became(expected.map(|(_, _, to)| *to)));
        }
    }
}

#[test]
fn a_person_decides_once_and_only_where_asked() {
    let held = || given::<Transfer>(became([Status::Begun, Status::Held]));
    held().when(Decide { is_approved: true }).then(became([Status::Approved]));
    held().when(Decide { is_approved: false }).then(became([Status::Failed]));
    for others in [vec![], became([Status::Begun]), became([Status::Approved])] {
        let decided = given::<Transfer>(others).when(Decide { is_approved: true });
        decided.refuses(TransferError::NotHeld);
    }
}

async fn balances(bus: &Bus) -> BTreeMap<&'static str, u64> {
    let mut balances = BTreeMap::new();
    for name in NAMES {
        let cents = bus.actor(&account(name)).ask(Balance {}).await.expect("answered");
        balances.extend(cents.map(|cents| (name, cents)));
    }
    balances
}

async fn open(bus: &Bus, names: &[&str]) {
    for name in names {
        bus.actor(&account(name)).ask(Open(OPENED_WITH)).await.expect("opened");
    }
}

#[test]
fn money_arrives_or_comes_back_or_waits_for_a_person() {
    simulate(async {
        let bus = Bus::in_memory();
        let running = bank(bus.clone()).start().await.expect("starts");
        open(&bus, &["ann", "bob"]).await;
        let begin = async |name: &str, terms: &Terms| {
            bus.actor(&transfer(name)).ask(Begin(terms.clone())).await.expect("begun")
        };
        let transfers = [
            ("small", terms("ann", "bob", 100), Status::Arrived),
            ("large", terms("ann", "bob", 2_000_000), Status::Held),
            ("wrong", terms("ann", "nobody", 50), Status::Failed),
            ("never", terms("bob", "ann", 9_999_999), Status::Failed),
            ("fraud", terms("bob", "ann", 1_000_001), Status::Held),
        ];
        for (name, terms, _) in &transfers {
            assert_eq!(begin(name, terms).await, Status::Begun);
        }
        sleep(Duration::from_secs(10)).await;
        for (name, terms, expected) in &transfers {
            assert_eq!(begin(name, terms).await, *expected, "{name}");
        }
        assert_eq!(balances(&bus).await, [("ann", 2_999_900), ("bob", 3_000_100)].into());

        let large = bus.actor(&transfer("large"));
        large.ask(Decide { is_approved: true }).await.expect("held");
        let fraud = bus.actor(&transfer("fraud"));
        fraud.ask(Decide { is_approved: false }).await.expect("held");
        sleep(Duration::from_secs(10)).await;
        assert_eq!(begin("large", &transfers[1].1).await, Status::Arrived);
        assert_eq!(begin("fraud", &transfers[4].1).await, Status::Failed);
        assert_eq!(balances(&bus).await, [("ann", 999_900), ("bob", 5_000_100)].into());
        let late = large.ask(Decide { is_approved: false }).await;
        assert!(matches!(late, Err(AskError::Refused(TransferError::NotHeld))), "{late:?}");
        running.stop().await;
    });
}

/// What a customer, or misfortune, does next.
#[derive(Debug, Clone)]
enum Step {
    Pay(Terms),
    /// The node dies, and is started again so many seconds later.
    Kill(usize, u64),
    /// Another one is started in its place, and it stops.
    Restart(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let amount = prop_oneof![4 => 1..=SUSPICIOUS, 1 => SUSPICIOUS..=OPENED_WITH];
    let pay = (0..3_usize, 0..NAMES.len(), amount)
        .prop_filter("nobody pays himself", |(from, to, _)| from != to)
        .prop_map(|(from, to, amount)| Step::Pay(terms(NAMES[from], NAMES[to], amount)));
    let kill = (0..NODES.len(), 0..5_u64).prop_map(|(node, seconds)| Step::Kill(node, seconds));
    let restart = (0..NODES.len()).prop_map(Step::Restart);
    let wait = (1..1_000_u64).prop_map(Step::Wait);
    prop_oneof![16 => pay, 1 => kill, 1 => restart, 4 => wait]
}

/// What goes wrong all the while: messages are late, lost or doubled.
const FAULTS: Faults = Faults {
    ack_lost: 40,
    append_lost: 20,
    append_late: 20,
    append_slow: 20,
    conflict_reported: 20,
    kill_at_append: 0,
    request_lost: 20,
    reply_lost: 40,
    ack_dropped: 100,
    redeliver: 100,
    stale_read: 100,
    max_delay: Duration::from_millis(20),
    clock_skew_max: Duration::from_millis(500),
};

async fn start(world: &World, name: &str) -> Running {
    bank(world.connect(name)).start().await.expect("starts")
}

/// Plays the steps, waits until all is quiet, and counts the money.
async fn play(world: &World, bus: &Bus, steps: Vec<Step>) {
    let (mut begun, mut asks) = (Vec::new(), Vec::new());
    let mut nodes = [start(world, NODES[0]).await, start(world, NODES[1]).await];
    open(bus, &NAMES[..3]).await;
    world.faults(FAULTS);
    for (n, step) in steps.into_iter().enumerate() {
        match step {
            Step::Pay(terms) => {
                let id = transfer(&format!("t-{n}"));
                let ask = bus.actor(&id).ask(Begin(terms.clone()));
                asks.push(tokio::spawn(ask.timeout(Duration::from_secs(60)).into_future()));
                begun.push((id, terms));
            }
            Step::Kill(node, seconds) => {
                world.kill(NODES[node]);
                sleep(Duration::from_secs(seconds)).await;
                nodes[node] = start(world, NODES[node]).await;
            }
            Step::Restart(node) => {
                let new = start(world, NODES[node]).await;
                std::mem::replace(&mut nodes[node], new).stop().await;
            }
            Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
        }
    }
    for ask in asks {
        ask.await.expect("no panic").expect("begun, sooner or later");
    }
    world.heal();
    settle(world).await;
    decide(bus, &begun).await;
    settle(world).await;
    check(world, bus, &begun).await;
    for node in nodes {
        node.stop().await;
    }
}

async fn settle(world: &World) {
    for _ in 0..600 {
        sleep(Duration::from_secs(1)).await;
        if world.is_settled(world.now()) {
            return;
        }
    }
    panic!("something is under way for ever");
}

/// Approves every other transfer that is held, and rejects the others.
async fn decide(bus: &Bus, begun: &[(TransferId, Terms)]) {
    for (n, (id, terms)) in begun.iter().enumerate() {
        let transfer = bus.actor(id);
        if transfer.ask(Begin(terms.clone())).await.expect("begun") == Status::Held {
            transfer.ask(Decide { is_approved: n % 2 == 0 }).await.expect("held");
        }
    }
}

/// Every transfer has come to an end, and each account has what these ends make of it.
async fn check(world: &World, bus: &Bus, begun: &[(TransferId, Terms)]) {
    let (mut gave, mut took) = (BTreeMap::new(), BTreeMap::new());
    for (id, terms) in begun {
        match bus.actor(id).ask(Begin(terms.clone())).await.expect("begun") {
            Status::Arrived => {
                *gave.entry(terms.from.as_str()).or_default() += terms.amount;
                *took.entry(terms.to.as_str()).or_default() += terms.amount;
            }
            Status::Failed => {}
            status => panic!("{id} is {status:?} for ever"),
        }
    }
    let of = |moved: &BTreeMap<&str, u64>, name| moved.get(name).copied().unwrap_or(0);
    let there = balances(bus).await;
    for name in &NAMES[..3] {
        assert_eq!(there[name] + of(&gave, name), OPENED_WITH + of(&took, name), "{name}");
    }
    let sum: u64 = there.values().sum();
    assert_eq!((there.len(), sum), (3, 3 * OPENED_WITH), "no cent is lost or made up");
    assert_eq!(world.dead_letters(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn no_cent_is_lost_or_made_up_while_nodes_come_and_go(
        seed: u64,
        steps in vec(step(), 1..60),
    ) {
        simulate(async {
            let world = World::new(seed);
            play(&world, &world.connect("teller"), steps).await;
        });
    }
}
