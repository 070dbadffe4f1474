//! The file: what survives, what is dropped, and what is refused.

use std::sync::Arc;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    cards::Verdict,
    charge::{Charge, Terms},
    ledger::Ledger,
    refusal::Refusal,
};

fn line(number: u32) -> Line {
    let (reference, currency) = ("o-1".to_owned(), "EUR".to_owned());
    let terms = Terms { reference, amount: 1_000, currency, token: "sim-4242".to_owned() };
    let (id, key) = (format!("ch-{number}"), format!("k-{number}"));
    Line::charge(Charge::decided(id, key, terms, Verdict::Authorised).0, Vec::new())
}

fn bytes(line: &Line) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("JSON");
    bytes.push(b'\n');
    bytes
}

fn open(folder: &TempDir) -> io::Result<(LedgerFile, Books)> {
    let mut books = Books::new(100);
    Ok((LedgerFile::open(folder.path(), &mut books)?, books))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn content(folder: &TempDir) -> Vec<u8> {
    fs::read(folder.path().join(FILE)).expect("a file")
}

fn overwrite(folder: &TempDir, content: &[u8]) {
    fs::write(folder.path().join(FILE), content).expect("written");
}

#[test]
fn what_was_appended_is_read_again() {
    let folder = folder();
    let (mut file, books) = open(&folder).expect("a new file");
    assert_eq!(books.lines().count(), 0);
    for number in 1..=3 {
        file.append(&bytes(&line(number))).expect("appended");
    }
    drop(file);
    let (_, books) = open(&folder).expect("the same file");
    assert!(books.lines().eq((1..=3).map(line)));
}

#[test]
fn the_last_line_may_be_cut_off_anywhere() {
    let folder = folder();
    let (mut file, _) = open(&folder).expect("a new file");
    file.append(&bytes(&line(1))).expect("appended");
    drop(file);
    let whole = content(&folder);
    let last = bytes(&line(2));
    for cut in [1, last.len() / 2, last.len() - 1] {
        overwrite(&folder, &[&whole[..], &last[..cut]].concat());
        let (mut file, books) = open(&folder).expect("as if it were not there");
        assert!(books.lines().eq([line(1)]), "cut at {cut}");
        file.append(&bytes(&line(3))).expect("appended");
        drop(file);
        let (_, books) = open(&folder).expect("nothing is stuck to the rest of the cut line");
        assert!(books.lines().eq([line(1), line(3)]), "cut at {cut}");
    }
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let folder = folder();
    drop(open(&folder).expect("a new file"));
    let head = content(&folder);
    for (spoilt, place) in [
        ([&head[..], b"{\"charge\":\n", &bytes(&line(1))].concat(), "line 2"),
        ([&head[..], b"{\"colour\":1}\n"].concat(), "line 2"),
        ([&head[..], &bytes(&line(1)), b"\n"].concat(), "line 3"),
        (b"{\"gateway\":2}\n".to_vec(), "line 1"),
        (bytes(&line(1)), "line 1"),
        (vec![b'x'; 2 * 1024 * 1024], "line 1"),
    ] {
        overwrite(&folder, &spoilt);
        let error = open(&folder).map(|_| ()).expect_err(place);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().contains(place), "{error}");
        assert_eq!(content(&folder), spoilt, "what cannot be read is left as it was");
    }
}

#[test]
fn one_folder_has_one_gateway() {
    let folder = folder();
    let first = open(&folder).expect("a new file");
    let error = open(&folder).map(|_| ()).expect_err("in use");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    drop(first);
    open(&folder).expect("free again");
}

#[test]
fn written_anew_it_holds_the_same_and_goes_on() {
    let folder = folder();
    let (mut file, mut books) = open(&folder).expect("a new file");
    for _ in 0..50 {
        file.append(&bytes(&line(1))).expect("appended");
        books.apply(line(1));
    }
    let long = content(&folder).len();
    file.replace(&written(&books).expect("lines")).expect("written anew");
    assert!(content(&folder).len() < long / 20);
    file.append(&bytes(&line(2))).expect("appended");
    drop(file);
    let (_, books) = open(&folder).expect("the same file");
    assert!(books.lines().eq([line(1), line(2)]));
}

#[tokio::test]
async fn what_cannot_be_written_is_never_answered() {
    let folder = folder();
    let (ledger, mut file) = Ledger::open(folder.path(), 100).expect("a new file");
    file.file = File::open(folder.path().join(FILE)).expect("a file that cannot be written");
    let ledger = Arc::new(ledger);
    let writing = tokio::spawn(Arc::clone(&ledger).write_until(file, CancellationToken::new()));
    assert_eq!(ledger.decide(|_| Ok(((), Line::default()))).await, Ok(()), "nothing to write");
    assert_eq!(ledger.decide(|_| Ok(((), line(1)))).await, Err(Refusal::Unwritten));
    writing.await.expect("ended").expect_err("why");
    let read = ledger.decide(|books| Ok((books.lines().count(), Line::default()))).await;
    assert_eq!(read, Err(Refusal::Unwritten), "the books are ahead of the file");
}

#[tokio::test]
async fn what_was_answered_is_on_disk() {
    let folder = folder();
    let (ledger, file) = Ledger::open(folder.path(), 100).expect("a new file");
    let (ledger, stop) = (Arc::new(ledger), CancellationToken::new());
    let writing = tokio::spawn(Arc::clone(&ledger).write_until(file, stop.clone()));
    for number in 1..=20 {
        ledger.decide(|_| Ok(((), line(number)))).await.expect("written");
        assert!(content(&folder).ends_with(&bytes(&line(number))));
    }
    ledger.note(|_| Ok(line(21))).expect("noted");
    stop.cancel();
    writing.await.expect("ended").expect("all is written");
    assert!(content(&folder).ends_with(&bytes(&line(21))));
}
