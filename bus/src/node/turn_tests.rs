//! Turns: commands that are decided together, and what becomes of them when others write too.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    activation::{Home, Presence},
    command::{Command, deadline},
    turn::{Doors, Pending},
};
use crate::{
    Actor, Context, Handle, Id, Key,
    memory::{Faults, World},
    model::{actor::Wire, command_set::CommandSet},
    testing::simulate,
    wire::{
        encoding::Encoding,
        envelope::{Answer, RequestHeaders},
        failure::Status,
        subject::Shard,
    },
};

fn doors<A: Actor>() -> Doors<A> {
    A::Commands::doors().into_iter().map(|door| (door.name, door)).collect()
}

/// Has the actor carry out all of these in as few turns as it takes. The answers, by number.
async fn carry_out_all<A: Actor>(
    home: &Home,
    id: &Id<A>,
    presence: &mut Presence<A>,
    commands: &[Command],
) -> Vec<Answer> {
    let numbered = commands.iter().cloned().enumerate();
    let mut queue: VecDeque<_> = numbered.map(|(n, command)| Pending::new(command, n)).collect();
    let mut answers = Vec::new();
    while !queue.is_empty() {
        let answered = presence.take_turn(home, id, &doors(), &mut queue).await;
        answers.extend(answered.into_iter().map(|(pending, answer)| {
            let (_, number) = pending.into_parts();
            (number, answer)
        }));
    }
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

pub(crate) async fn carry_out<A: Actor>(
    home: &Home,
    id: &Id<A>,
    presence: &mut Presence<A>,
    command: &Command,
) -> Answer {
    let mut answers = carry_out_all(home, id, presence, std::slice::from_ref(command)).await;
    answers.pop().expect("one command, one answer")
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Purse(u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Moved {
    #[serde(rename = "put")]
    Put(u64),
    #[serde(rename = "taken")]
    Taken(u64),
    #[serde(rename = "torn")]
    Torn,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code")]
enum No {
    #[error("there are only {left}")]
    #[serde(rename = "TOO_LITTLE")]
    TooLittle { left: u64 },
}

#[derive(Serialize, Deserialize)]
struct Put(u64);
#[derive(Serialize, Deserialize)]
struct Take(u64);
#[derive(Serialize, Deserialize)]
struct Look {}
/// Its event cannot be folded.
#[derive(Serialize, Deserialize)]
struct Tear {}

impl Actor for Purse {
    const KIND: &'static str = "purse";
    type Event = Moved;
    type Error = No;
    type Commands = (Put, Take, Look, Tear);

    fn apply(&mut self, event: &Moved) {
        match event {
            Moved::Put(amount) => self.0 += amount,
            Moved::Taken(amount) => self.0 -= amount,
            Moved::Torn => panic!("as planned"),
        }
    }
}

impl Handle<Put> for Purse {
    const NAME: &'static str = "put";
    type Reply = u64;

    fn handle(&self, Put(amount): Put, ctx: &mut Context<Self>) -> Result<u64, No> {
        ctx.emit(Moved::Put(amount));
        Ok(self.0 + amount)
    }
}

impl Handle<Take> for Purse {
    const NAME: &'static str = "take";
    type Reply = u64;

    fn handle(&self, Take(amount): Take, ctx: &mut Context<Self>) -> Result<u64, No> {
        let left = self.0.checked_sub(amount).ok_or(No::TooLittle { left: self.0 })?;
        ctx.emit(Moved::Taken(amount));
        Ok(left)
    }
}

impl Handle<Look> for Purse {
    const NAME: &'static str = "look";
    type Reply = u64;

    fn handle(&self, _: Look, _: &mut Context<Self>) -> Result<u64, No> {
        Ok(self.0)
    }
}

impl Handle<Tear> for Purse {
    const NAME: &'static str = "tear";
    type Reply = ();

    fn handle(&self, _: Tear, ctx: &mut Context<Self>) -> Result<(), No> {
        ctx.emit(Moved::Torn);
        Ok(())
    }
}

fn command<C: Wire>(body: &C) -> Command
where
    Purse: Handle<C>,
{
    Command {
        name: <Purse as Handle<C>>::NAME.into(),
        headers: RequestHeaders::default(),
        key: Key::random(),
        encoding: Encoding::Json,
        body: Encoding::Json.encode(body).expect("plain data").into(),
        deadline: deadline(Some(Duration::from_secs(60))),
    }
}

struct Bench {
    world: World,
    home: Home,
    id: Id<Purse>,
    presence: Presence<Purse>,
}

impl Bench {
    async fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let home = Self::home(&world, "node").await;
        let id = Id::parse("p").expect("a token");
        Self { world, home, id, presence: Presence::Absent { trust_replicas: true } }
    }

    async fn home(world: &World, name: &str) -> Home {
        let home = world.connect(name).home(Shard::of("purse"));
        home.journal.provision(&home.shard).await.expect("made");
        home
    }

    async fn all(&mut self, commands: &[Command]) -> Vec<Answer> {
        carry_out_all(&self.home, &self.id, &mut self.presence, commands).await
    }

    /// Another node writes: it puts so much into the purse.
    async fn elsewhere(&self, amount: u64) {
        let home = Self::home(&self.world, "other").await;
        let mut presence = Presence::Absent { trust_replicas: false };
        let answer = carry_out(&home, &self.id, &mut presence, &command(&Put(amount))).await;
        answer.outcome.expect("stored");
    }

    fn commits(&self) -> usize {
        self.world.commits("purse").len()
    }

    fn count(&self, what: &str) -> u64 {
        self.world.bites().get(what).copied().unwrap_or(0)
    }
}

/// A number, or the refusal's or failure's code.
fn told(answer: &Answer) -> String {
    match &answer.outcome {
        Ok(body) => String::from_utf8_lossy(body).into_owned(),
        Err(failure) => failure.body.code.clone(),
    }
}

fn tell_all(answers: &[Answer]) -> Vec<String> {
    answers.iter().map(told).collect()
}

fn sequences(answers: &[Answer]) -> Vec<u64> {
    let position = |answer: &Answer| answer.position.as_ref().map_or(0, |p| p.sequence);
    answers.iter().map(position).collect()
}

#[test]
fn each_command_of_a_turn_sees_what_those_before_it_did() {
    simulate(async {
        let mut bench = Bench::new(1).await;
        let commands = [
            command(&Look {}),
            command(&Put(5)),
            command(&Take(2)),
            command(&Take(9)),
            command(&Look {}),
            command(&Put(1)),
        ];
        let answers = bench.all(&commands).await;
        assert_eq!(tell_all(&answers), ["0", "5", "3", "TOO_LITTLE", "3", "4"]);
        assert_eq!(sequences(&answers), [0, 1, 2, 2, 2, 3], "each names the state it rests on");
        // Sent again, each is told the same, and nothing happens.
        let again = bench.all(&commands[1..3]).await;
        assert_eq!(
            (tell_all(&again), sequences(&again)),
            (vec!["5".into(), "3".into()], vec![1, 2])
        );
        assert_eq!(bench.commits(), 3);
    });
}

#[test]
fn many_commands_of_one_actor_go_out_as_one_batch() {
    simulate(async {
        let mut bench = Bench::new(1).await;
        let commands: Vec<Command> = (0..600).map(|_| command(&Put(1))).collect();
        let answers = bench.all(&commands).await;
        let wanted: Vec<String> = (1..=600).map(|n| n.to_string()).collect();
        assert_eq!(tell_all(&answers), wanted);
        assert_eq!(sequences(&answers), (1..=600).collect::<Vec<u64>>());
        assert_eq!(bench.count("batch"), 3, "so many as a turn may have");
    });
}

#[test]
fn of_a_turn_that_another_writer_overtakes_nothing_is_told_that_is_wrong() {
    simulate(async {
        let mut bench = Bench::new(1).await;
        bench.all(&[command(&Put(5))]).await;
        bench.elsewhere(10).await;
        let commands =
            [command(&Take(12)), command(&Look {}), command(&Take(1)), command(&Take(9))];
        let answers = bench.all(&commands).await;
        assert_eq!(tell_all(&answers), ["3", "3", "2", "TOO_LITTLE"]);
        assert_eq!(bench.home.counters.counts().late_writes_refused, 1);
        assert_eq!(bench.commits(), 4);
        // And where the turn stores nothing, the leader is asked.
        bench.elsewhere(1).await;
        assert_eq!(
            tell_all(&bench.all(&[command(&Look {}), command(&Take(9))]).await),
            ["3", "TOO_LITTLE"]
        );
    });
}

#[test]
fn who_was_loaded_from_a_replica_that_lags_says_nothing_outdated() {
    simulate(async {
        let mut bench = Bench::new(1).await;
        bench.all(&[command(&Put(5))]).await;
        bench.all(&[command(&Put(1))]).await;
        // Forgotten, and loaded again: nobody else has ever written, and yet this is old.
        bench.world.faults(Faults { stale_read: 1_000, ..Faults::default() });
        bench.presence = Presence::Absent { trust_replicas: true };
        let answers = bench.all(&[command(&Look {}), command(&Take(6))]).await;
        assert_eq!(tell_all(&answers), ["6", "0"]);
        assert!(bench.count("stale_read") > 0);
    });
}

#[test]
fn a_key_that_comes_twice_in_one_turn_has_one_effect() {
    simulate(async {
        let mut bench = Bench::new(1).await;
        let put = command(&Put(5));
        let other = Command { key: put.key.clone(), ..command(&Put(6)) };
        let answers = bench.all(&[put.clone(), put.clone(), command(&Put(1)), put, other]).await;
        assert_eq!(tell_all(&answers), ["5", "5", "6", "5", "KEY_REUSED"]);
        assert_eq!(bench.commits(), 2);
    });
}

#[test]
fn a_version_is_compared_with_what_is_stored() {
    simulate(async {
        let mut bench = Bench::new(1).await;
        let at = |version, command: Command| {
            let headers = RequestHeaders { expect_version: Some(version), ..command.headers };
            Command { headers, ..command }
        };
        let commands = [
            command(&Put(1)),
            at(1, command(&Put(1))),
            at(1, command(&Put(1))),
            at(2, command(&Put(1))),
        ];
        let answers = bench.all(&commands).await;
        assert_eq!(tell_all(&answers), ["1", "2", "VERSION_MISMATCH", "3"]);
    });
}

#[test]
fn what_cannot_be_folded_is_not_stored_and_fails_alone() {
    simulate(async {
        let mut bench = Bench::new(1).await;
        let commands = [command(&Put(5)), command(&Tear {}), command(&Take(2)), command(&Tear {})];
        let answers = bench.all(&commands).await;
        assert_eq!(tell_all(&answers), ["5", "INTERNAL", "3", "INTERNAL"]);
        assert_eq!(bench.commits(), 2);
    });
}

#[test]
fn a_command_that_waited_too_long_is_not_carried_out_and_holds_up_nobody() {
    simulate(async {
        let mut bench = Bench::new(1).await;
        let late = Command { deadline: deadline(Some(Duration::ZERO)), ..command(&Put(7)) };
        let answers = bench.all(&[command(&Put(5)), late, command(&Put(1))]).await;
        assert_eq!(tell_all(&answers), ["5", "EXPIRED", "6"]);
    });
}

#[test]
fn turns_in_doubt_take_effect_once_and_are_answered_once() {
    let faults = Faults {
        ack_lost: 150,
        append_lost: 100,
        append_late: 150,
        conflict_reported: 100,
        append_slow: 200,
        stale_read: 300,
        max_delay: Duration::from_millis(20),
        ..Faults::default()
    };
    let mut doubts = 0;
    for seed in 0..100 {
        simulate(async {
            let mut bench = Bench::new(seed).await;
            bench.world.faults(faults);
            let mut total = 0_u64;
            for size in [20, 7, 30, 2] {
                let commands: Vec<Command> = (0..size).map(|_| command(&Put(1))).collect();
                // Whoever is not answered asks again.
                let mut answers = bench.all(&commands).await;
                while answers.iter().any(is_open) {
                    answers = bench.all(&commands).await;
                }
                let mut sums: Vec<u64> =
                    tell_all(&answers).iter().map(|sum| sum.parse().expect("a sum")).collect();
                sums.sort_unstable();
                assert_eq!(sums, (total + 1..=total + size).collect::<Vec<_>>(), "seed {seed}");
                total += size;
                if seed % 2 == 0 {
                    bench.elsewhere_surely(&mut total).await;
                }
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
            bench.world.heal();
            let looked = bench.all(&[command(&Look {})]).await;
            assert_eq!(tell_all(&looked), [total.to_string()], "seed {seed}");
            doubts += bench.count("batch_in_doubt");
        });
    }
    assert!(doubts > 50, "{doubts} batches in doubt");
}

/// Whether the same has to be asked again.
fn is_open(answer: &Answer) -> bool {
    let status = answer.outcome.as_ref().err().map(|failure| failure.status);
    assert!(matches!(status, None | Some(Status::Expired | Status::Unavailable)), "{status:?}");
    status.is_some()
}

impl Bench {
    async fn elsewhere_surely(&self, total: &mut u64) {
        self.world.heal();
        self.elsewhere(1).await;
        *total += 1;
    }
}
