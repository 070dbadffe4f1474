//! Rows on a damaged disk: whatever happened to the folder, what is answered is right.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use bus::{Bus, Position, Selection};
use common::{TillCard, connect, filling::fill, host_with_rows};
use nats_server::TestServer;

const SEED: u64 = 20_26;
const TILLS: u64 = 90;
const COMMITS: u64 = 4_500;

/// SplitMix64: the same damage in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

/// What can happen to a folder.
#[derive(Debug, Clone, Copy)]
enum Damage {
    FlipBits(u64),
    FlipOneBit,
    Truncate,
    Zeroes,
    DeleteAFile,
    Empty,
    Gone,
    AFile,
    Garbage,
    OldCopy,
    Foreign,
}

impl Damage {
    const CASES: [(Self, usize); 12] = [
        (Self::FlipOneBit, 12),
        (Self::FlipBits(20), 6),
        (Self::FlipBits(2_000), 2),
        (Self::Truncate, 12),
        (Self::Zeroes, 6),
        (Self::DeleteAFile, 5),
        (Self::Empty, 1),
        (Self::Gone, 1),
        (Self::AFile, 1),
        (Self::Garbage, 3),
        (Self::OldCopy, 2),
        (Self::Foreign, 2),
    ];

    fn befall(self, rows: &Path, dice: &mut Dice, copies: &Copies) {
        let all = files(rows);
        let any = all[usize::try_from(dice.below(all.len() as u64)).unwrap()].clone();
        let log = rows.join("db");
        match self {
            Self::FlipOneBit => flip(&log, dice),
            Self::FlipBits(count) => (0..count).for_each(|_| flip(&log, dice)),
            Self::Truncate => {
                let used = used(&log);
                let file = fs::OpenOptions::new().write(true).open(&log).unwrap();
                file.set_len(dice.below(used)).unwrap();
            }
            Self::Zeroes => {
                let mut file = fs::OpenOptions::new().write(true).open(&log).unwrap();
                file.seek(SeekFrom::Start(dice.below(used(&log)))).unwrap();
                file.write_all(&[0; 700]).unwrap();
            }
            Self::DeleteAFile => fs::remove_file(any).unwrap(),
            Self::Empty => {
                fs::remove_dir_all(rows).unwrap();
                fs::create_dir(rows).unwrap();
            }
            Self::Gone => fs::remove_dir_all(rows).unwrap(),
            Self::AFile => {
                fs::remove_dir_all(rows).unwrap();
                fs::write(rows, "not a folder").unwrap();
            }
            Self::Garbage => {
                let noise: Vec<u8> =
                    (0..5_000).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
                fs::write(any, noise).unwrap();
            }
            Self::OldCopy => replace(rows, &copies.old),
            Self::Foreign => replace(rows, &copies.foreign),
        }
    }
}

/// Folders that are whole, and not the one that belongs here.
struct Copies {
    old: PathBuf,
    foreign: PathBuf,
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// Where the last byte is that was written.
fn used(file: &Path) -> u64 {
    let bytes = fs::read(file).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last as u64 + 1)
}

fn flip(file: &Path, dice: &mut Dice) {
    let place = dice.below(used(file));
    let mut file = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(place)).unwrap();
    let mut byte = [0];
    file.read_exact(&mut byte).unwrap();
    byte[0] ^= 1 << dice.below(8);
    file.seek(SeekFrom::Start(place)).unwrap();
    file.write_all(&byte).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.path().is_dir() {
            copy(&file.path(), &to);
        } else {
            fs::copy(file.path(), to).unwrap();
        }
    }
}

fn replace(rows: &Path, with: &Path) {
    fs::remove_dir_all(rows).unwrap();
    copy(with, rows);
}

async fn listed(bus: &Bus, after: &Position, by_index: bool) -> Vec<TillCard> {
    let selection =
        if by_index { Selection::all().matching("group", "t") } else { Selection::all() };
    let rows = bus.rows::<TillCard>().list(selection);
    rows.after(after).timeout(Duration::from_secs(60)).await.expect("rows come").rows
}

/// Fills a journal of its own, and folds it into `rows`; then it is left as it is.
async fn folded(server: &TestServer, bus: &Bus, commits: u64, rows: &Path) -> Position {
    fill(&server.url, commits, TILLS).await;
    let node = host_with_rows(bus, rows).await;
    let last = bus.last_sequence("EVT_till_0").await.unwrap();
    let position = format!("EVT_till_0@{last}").parse().unwrap();
    listed(bus, &position, false).await;
    node.stop().await;
    position
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_rows_are_folded_again_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let foreign = TestServer::own().await;
    let bus = connect(&foreign).await;
    host_with_rows(&bus, &path("foreign")).await.stop().await;
    folded(&foreign, &bus, COMMITS - 90, &path("foreign")).await;
    drop((bus, foreign));

    let server = TestServer::own().await;
    let bus = connect(&server).await;
    host_with_rows(&bus, &path("whole")).await.stop().await;
    folded(&server, &bus, COMMITS / 2, &path("whole")).await;
    copy(&path("whole"), &path("old"));
    let last = folded(&server, &bus, COMMITS / 2, &path("whole")).await;
    let copies =
        Copies { old: path("old").join("tills-v1"), foreign: path("foreign").join("tills-v1") };

    let each = COMMITS / TILLS;
    let (mut cases, mut noticed) = (0, 0);
    let mut dice = Dice(SEED);
    for (damage, times) in Damage::CASES {
        for time in 0..times {
            let rows = path(&format!("case-{cases}"));
            copy(&path("whole"), &rows);
            damage.befall(&rows.join("tills-v1"), &mut dice, &copies);
            let node = host_with_rows(&bus, &rows).await;
            for by_index in [false, true] {
                let found = listed(&bus, &last, by_index).await;
                let right = |card: &TillCard| (card.amount, card.events) == (each, each);
                assert!(found.iter().all(right), "{damage:?} {time}");
                assert_eq!(found.len() as u64, TILLS, "{damage:?} {time}");
            }
            let aside = fs::read_dir(&rows).unwrap().filter(|file| {
                file.as_ref().unwrap().file_name().to_string_lossy().contains(".broken-")
            });
            noticed += usize::from(aside.count() > 0);
            cases += 1;
            node.stop().await;
            fs::remove_dir_all(&rows).unwrap();
        }
    }
    println!("{cases} cases, {noticed} folders set aside");
    assert!(cases >= 50 && noticed >= 10, "{noticed} of {cases} were noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_under_a_serving_node_costs_no_answer() {
    let (server, rows) = (TestServer::own().await, tempfile::tempdir().unwrap());
    let bus = connect(&server).await;
    host_with_rows(&bus, rows.path()).await.stop().await;
    fill(&server.url, COMMITS, TILLS).await;
    let node = host_with_rows(&bus, rows.path()).await;
    let last = format!("EVT_till_0@{COMMITS}").parse().unwrap();
    listed(&bus, &last, true).await;
    let log = rows.path().join("tills-v1").join("db");
    let length = usize::try_from(fs::metadata(&log).unwrap().len()).unwrap();
    fs::write(&log, vec![0xa5; length]).unwrap();
    for round in 1..=5 {
        fill_more(&bus, round).await;
        let found = listed(&bus, &last, true).await;
        assert_eq!(found.iter().map(|card| card.events).sum::<u64>(), COMMITS);
    }
    node.stop().await;
    // What was left on the disk is not trusted by the next one either.
    let _node = host_with_rows(&bus, rows.path()).await;
    let found = listed(&bus, &last, true).await;
    assert_eq!(found.iter().map(|card| card.events).sum::<u64>(), COMMITS);
}

/// Makes the node read and write rows.
async fn fill_more(bus: &Bus, round: u64) {
    for n in 0..20 {
        let till = bus::Id::parse(&format!("u-{n}")).unwrap();
        bus.actor::<common::Till>(&till).ask(common::PutIn { amount: round }).await.unwrap();
    }
}
