//! An import's rules, one by one.

use bus::{Timestamp, testing::given};

use super::{
    Add, BadLine, Begin, Import, ImportError, ImportEvent, ImportLine, ImportProgress,
    ImportStatus, NoteDone, ShowImport,
};
use crate::{inventory::ItemId, limits::IMPORT_REPORT_MAX, money::tests::eur};

const NOW: Timestamp = Timestamp::from_millis(5_000);

fn line(line: u32) -> ImportLine {
    let sku = ItemId::parse(&format!("A{line}")).expect("a SKU");
    let (name, description) = ("Lamp".to_owned(), String::new());
    ImportLine { line, sku, name, description, category: None, price: eur(1), quantity: None }
}

fn bad(line: u32) -> BadLine {
    BadLine { line, message: "no".to_owned() }
}

/// Five lines in two chunks, the third of them bad.
fn begin() -> Begin {
    Begin { digest: "d".to_owned(), lines: 5, chunks: 2, bad: 1, report: vec![bad(3)] }
}

fn begun() -> ImportEvent {
    let Begin { digest, lines, chunks, bad, report } = begin();
    ImportEvent::Begun { digest, lines, chunks, bad, report, at: NOW }
}

fn added(number: u32, lines: [u32; 2]) -> ImportEvent {
    ImportEvent::Added { number, lines: lines.map(line).to_vec() }
}

fn done(number: u32, failed: &[u32]) -> ImportEvent {
    ImportEvent::ChunkDone { number, failed: failed.iter().copied().map(bad).collect() }
}

fn progress(status: ImportStatus, taken: u32, report: &[u32], missing: &[u32]) -> ImportProgress {
    ImportProgress {
        status,
        begun_at: NOW,
        lines: 5,
        taken,
        bad: u32::try_from(report.len()).expect("few"),
        report: report.iter().copied().map(bad).collect(),
        missing: missing.to_vec(),
    }
}

#[test]
fn an_import_is_begun_with_one_list() {
    let receiving = progress(ImportStatus::Receiving, 0, &[3], &[0, 1]);
    given::<Import>([]).at(NOW).when(begin()).replies(receiving.clone()).then([begun()]);
    given::<Import>([begun()]).when(begin()).replies(receiving).then([]);
    let other = Begin { digest: "e".to_owned(), ..begin() };
    given::<Import>([begun()]).when(other).refuses(ImportError::OtherList);
    let long = Begin { lines: 50_001, ..begin() };
    given::<Import>([]).when(long).refuses(ImportError::TooLong);
}

#[test]
fn a_chunk_is_added_once_and_done_once() {
    let add = |number| Add { number, lines: vec![line(1), line(2)] };
    given::<Import>([begun()]).when(add(0)).replies(()).then([added(0, [1, 2])]);
    given::<Import>([begun(), added(0, [1, 2])]).when(add(0)).replies(()).then([]);
    given::<Import>([begun()]).when(add(2)).refuses(ImportError::NoSuchChunk);
    given::<Import>([]).when(add(0)).refuses(ImportError::UnknownImport);

    let note = || NoteDone { number: 0, failed: vec![bad(2)] };
    given::<Import>([begun(), added(0, [1, 2])]).when(note()).replies(()).then([done(0, &[2])]);
    given::<Import>([begun()]).when(note()).refuses(ImportError::NoSuchChunk);
    let past = [begun(), added(0, [1, 2]), done(0, &[2])];
    given::<Import>(past.clone()).when(note()).replies(()).then([]);
    given::<Import>(past).when(add(0)).replies(()).then([]);
}

#[test]
fn an_import_shows_how_far_it_is() {
    let mut past = vec![begun(), added(1, [4, 5])];
    let shows = |past: &[ImportEvent], progress| {
        given::<Import>(past.to_vec()).when(ShowImport {}).replies(progress).then([]);
    };
    shows(&past, progress(ImportStatus::Receiving, 0, &[3], &[0]));
    past.push(added(0, [1, 2]));
    shows(&past, progress(ImportStatus::Running, 0, &[3], &[]));
    past.push(done(1, &[4]));
    shows(&past, progress(ImportStatus::Running, 1, &[3, 4], &[]));
    past.push(done(0, &[]));
    shows(&past, progress(ImportStatus::Done, 3, &[3, 4], &[]));
    given::<Import>([]).when(ShowImport {}).refuses(ImportError::UnknownImport);
}

#[test]
fn a_report_has_a_bound() {
    let many = u32::try_from(IMPORT_REPORT_MAX).expect("few") + 10;
    let report = (0..many).map(bad).collect();
    let begun = ImportEvent::Begun {
        digest: "d".to_owned(),
        lines: many,
        chunks: 0,
        bad: many,
        report,
        at: NOW,
    };
    let shown = (0..many - 10).map(bad).collect();
    let done = ImportProgress {
        status: ImportStatus::Done,
        begun_at: NOW,
        lines: many,
        taken: 0,
        bad: many,
        report: shown,
        missing: vec![],
    };
    given::<Import>([begun]).when(ShowImport {}).replies(done).then([]);
}
