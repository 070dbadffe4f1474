//! What both stores promise, and what a disk may do to them.

use std::sync::Arc;

use super::{
    Changes, Checkpoint, OpenError, Shelf, Store, layout::parse_key, memory::MemoryRows,
    sled::SledShelf,
};
use crate::{Timestamp, model::ambient::Ambient, projection::IndexEntry};

/// Both shelves, with what keeps the folder.
fn shelves() -> (tempfile::TempDir, [Arc<dyn Shelf>; 2]) {
    let folder = tempfile::tempdir().expect("a folder");
    let sled = SledShelf::new(folder.path().to_owned(), Ambient::Real);
    (folder, [Arc::new(sled), Arc::new(MemoryRows::new())])
}

fn open(shelf: &dyn Shelf) -> Result<Store, OpenError> {
    Ok(Store::new(unlocked(shelf)?, "rows", 1)?)
}

/// sled lets go of its lock a moment after it is dropped.
fn unlocked(shelf: &dyn Shelf) -> Result<Arc<dyn super::RowStore>, OpenError> {
    let mut tries = 0;
    loop {
        match shelf.open("rows-v1") {
            Err(OpenError::InUse) if tries < 1_000 => tries += 1,
            opened => return opened,
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn filled(shelf: &dyn Shelf) -> Store {
    let store = open(shelf).expect("opens");
    let mut changes = Changes::default();
    for (row, value, rank) in
        [("a", "red", 3), ("b", "red", 1), ("c", "redwood", 2), ("d", "blue", 0)]
    {
        let entry = IndexEntry::new("word", value).ranked_by(Timestamp::from_millis(rank));
        changes.put_index(row, &entry);
        changes.put_row(row, value.as_bytes(), None);
    }
    changes.put_checkpoint("EVT_a_0", &Checkpoint { sequence: 7, ..Checkpoint::default() });
    store.write(changes).expect("written");
    store
}

#[test]
fn index_entries_come_in_order_and_by_prefix() {
    let (_folder, shelves) = shelves();
    for shelf in shelves {
        let store = filled(&*shelf);
        let list = |value, is_prefix, newest_first| -> Vec<String> {
            let scan = store.scan_index("word", value, is_prefix, newest_first, None);
            let keys = scan.expect("no cursor").map(|pair| pair.expect("readable").0);
            keys.map(|key| parse_key(&key).expect("ours").0.to_owned()).collect()
        };
        assert_eq!(list("red", false, false), ["b", "a"]);
        assert_eq!(list("red", false, true), ["a", "b"]);
        assert_eq!(list("red", true, false), ["b", "a", "c"]);
        assert_eq!(list("green", true, false), Vec::<String>::new());
        assert!(store.has_index("word").expect("readable"));
        assert!(!store.has_index("wor").expect("readable"));
    }
}

#[test]
fn long_lists_are_read_whole_both_ways_and_from_anywhere() {
    let (_folder, shelves) = shelves();
    for shelf in shelves {
        let store = open(&*shelf).expect("opens");
        let mut changes = Changes::default();
        let names: Vec<String> = (0..1_000).map(|n| format!("row-{n:04}")).collect();
        names.iter().for_each(|name| changes.put_row(name, b"x", None));
        store.write(changes).expect("written");
        let list = |backwards, from: Option<&str>| -> Vec<String> {
            let from = from.map(|name| super::layout::key(super::ROW, name.as_bytes()));
            let scan = store.scan_rows(backwards, from.as_deref()).expect("a place in this list");
            scan.map(|pair| parse_key(&pair.expect("whole").0).expect("ours").0.to_owned())
                .collect()
        };
        assert_eq!(list(false, None), names);
        assert_eq!(list(false, Some("row-0300")), names[301..]);
        let mut backwards: Vec<String> = names[..700].to_vec();
        backwards.reverse();
        assert_eq!(list(true, Some("row-0700")), backwards);
    }
}

#[test]
fn what_was_written_is_there_when_opened_again() {
    let (_folder, shelves) = shelves();
    for shelf in shelves {
        drop(filled(&*shelf));
        let store = open(&*shelf).expect("opens");
        let checkpoint = store.checkpoint("EVT_a_0").expect("readable").expect("there");
        assert_eq!(checkpoint.sequence, 7);
        // A row that is written again counts once.
        let before = store.row("a").expect("readable");
        let mut changes = Changes::default();
        changes.put_row("a", b"green", before.as_ref());
        changes.remove_index(
            "b",
            &IndexEntry::new("word", "red").ranked_by(Timestamp::from_millis(1)),
        );
        store.write(changes).expect("written");
        drop(store);
        let store = open(&*shelf).expect("adds up");
        assert_eq!(store.row("a").expect("readable").expect("there").bytes, b"green");
    }
}

#[test]
fn what_was_changed_behind_its_back_is_noticed() {
    let spoilers: [fn(&dyn super::RowStore); 4] = [
        |rows| rows.write(vec![(b"ra".to_vec(), None)]).expect("a row is lost"),
        |rows| rows.write(vec![(b"rz".to_vec(), Some(super::seal(b"rz", b"x")))]).expect("added"),
        |rows| rows.write(vec![(b"ra".to_vec(), Some(b"0123red".to_vec()))]).expect("changed"),
        |rows| rows.write(vec![(b"m".to_vec(), None)]).expect("its own note is lost"),
    ];
    for spoil in spoilers {
        let (_folder, shelves) = shelves();
        for shelf in shelves {
            drop(filled(&*shelf));
            let rows = unlocked(&*shelf).expect("opens");
            spoil(&*rows);
            drop(rows);
            let error = open(&*shelf).expect_err("it does not add up");
            assert!(matches!(error, OpenError::Broken(_)), "{error}");
        }
    }
}

#[test]
fn rows_of_something_else_are_not_taken_over() {
    let (_folder, shelves) = shelves();
    for shelf in shelves {
        drop(filled(&*shelf));
        for (projection, version) in [("rows", 2), ("others", 1)] {
            let rows = unlocked(&*shelf).expect("opens");
            let error = Store::new(rows, projection, version).expect_err("not ours");
            assert!(error.to_string().contains("rows of rows 1"), "{error}");
        }
    }
}

#[test]
fn rows_in_use_are_neither_opened_nor_removed() {
    let (_folder, [sled, _]) = shelves();
    let _first = open(&*sled).expect("opens");
    assert_eq!(sled.open("rows-v1").expect_err("in use"), OpenError::InUse);
    assert_eq!(sled.remove("rows-v1"), Err(OpenError::InUse));
}

#[test]
fn only_a_few_broken_folders_are_kept() {
    let (folder, [sled, _]) = shelves();
    for _ in 0..6 {
        drop(filled(&*sled));
        sled.set_aside("rows-v1").expect("moved");
    }
    assert_eq!(sled.names().len(), crate::limits::ROWS_ASIDE_MAX);
    drop(filled(&*sled));
    drop(unlocked(&*sled).expect("opens"));
    while sled.remove("rows-v1") == Err(OpenError::InUse) {}
    assert_eq!(sled.names().len(), crate::limits::ROWS_ASIDE_MAX);
    drop(folder);
}

#[test]
fn rows_that_kill_their_process_are_not_opened_for_ever() {
    let (folder, [sled, _]) = shelves();
    drop(filled(&*sled));
    std::fs::write(folder.path().join("rows-v1.opening"), b"x").expect("as one death leaves it");
    drop(open(&*sled).expect("once is chance"));
    std::fs::write(folder.path().join("rows-v1.opening"), b"xx").expect("as two deaths leave it");
    assert!(matches!(open(&*sled), Err(OpenError::Broken(_))));
    sled.set_aside("rows-v1").expect("moved");
    assert!(open(&*sled).expect("opens anew").is_empty());
}
