//! Reading a list of items: which lines are good, and what is wrong with the others.

use std::collections::HashMap;

use actors::{
    Money,
    inventory::import::{BadLine, ImportLine},
};
use axum::http::StatusCode;
use csv::{ReaderBuilder, StringRecord, Trim};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    error::ApiError,
    limits::{IMPORT_CHUNK_BYTES, IMPORT_CHUNK_LINES},
};

/// The columns there may be, and whether they must be there.
const COLUMNS: [(&str, bool); 7] = [
    ("sku", true),
    ("name", true),
    ("description", false),
    ("category", false),
    ("price", true),
    ("currency", true),
    ("quantity", false),
];

/// A list that was read.
#[derive(Debug)]
pub(super) struct List {
    pub(super) digest: String,
    /// Good and bad ones, without the header.
    pub(super) lines: u32,
    pub(super) chunks: Vec<Vec<ImportLine>>,
    pub(super) bad: u32,
    pub(super) report: Vec<BadLine>,
}

impl List {
    /// Reads all of it. Takes some tens of milliseconds for ten thousand lines.
    ///
    /// # Errors
    /// If its header is none, or it has more lines than an import may have; what is wrong with a
    /// line is in the report.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes);
        let header = reader.headers().map_err(|error| malformed(error.to_string()))?.clone();
        check_header(&header)?;
        let mut list = Self {
            digest: format!("{:x}", Sha256::digest(bytes)),
            lines: 0,
            chunks: Vec::new(),
            bad: 0,
            report: Vec::new(),
        };
        let (mut chunk, mut seen) = (Chunk::default(), HashMap::new());
        for record in reader.records() {
            list.lines += 1;
            if list.lines > actors::limits::IMPORT_LINES_MAX {
                let message = format!("a list has at most {} lines", list.lines - 1);
                return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message));
            }
            match line(&header, record, &mut seen) {
                Ok((line, bytes)) => list.chunks.extend(chunk.push(line, bytes)),
                Err(bad) => list.note(bad),
            }
        }
        list.chunks.extend(chunk.rest());
        Ok(list)
    }

    fn note(&mut self, bad: BadLine) {
        self.bad += 1;
        if self.report.len() < actors::limits::IMPORT_REPORT_MAX {
            self.report.push(bad);
        }
    }
}

/// Lines that are sent together: few enough for one commit and one run.
#[derive(Debug, Default)]
struct Chunk {
    lines: Vec<ImportLine>,
    bytes: usize,
}

impl Chunk {
    /// Takes a line in; what was full without it comes out.
    fn push(&mut self, line: ImportLine, bytes: usize) -> Option<Vec<ImportLine>> {
        let is_full =
            self.lines.len() == IMPORT_CHUNK_LINES || self.bytes + bytes > IMPORT_CHUNK_BYTES;
        let full = if is_full { self.rest() } else { None };
        self.lines.push(line);
        self.bytes += bytes;
        full
    }

    fn rest(&mut self) -> Option<Vec<ImportLine>> {
        self.bytes = 0;
        Some(std::mem::take(&mut self.lines)).filter(|lines| !lines.is_empty())
    }
}

fn check_header(header: &StringRecord) -> Result<(), ApiError> {
    let known = COLUMNS.map(|(name, _)| name).join(", ");
    for (index, name) in header.iter().enumerate() {
        if !COLUMNS.iter().any(|(known, _)| *known == name) {
            return Err(malformed(format!("there is no column `{name}`, but {known}")).at(name));
        }
        if header.iter().take(index).any(|before| before == name) {
            return Err(malformed(format!("the column `{name}` is there twice")).at(name));
        }
    }
    match COLUMNS.iter().find(|(name, must)| *must && !header.iter().any(|there| there == *name)) {
        None => Ok(()),
        Some((name, _)) => {
            Err(malformed(format!("the first line names no column `{name}`")).at(*name))
        }
    }
}

fn malformed(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "MALFORMED", message)
}

/// The line, and about how many bytes it has; or what is wrong with it.
fn line(
    header: &StringRecord,
    record: csv::Result<StringRecord>,
    seen: &mut HashMap<String, u64>,
) -> Result<(ImportLine, usize), BadLine> {
    let record = record.map_err(|error| {
        let line = error.position().map_or(0, csv::Position::line);
        bad(line, what_is_wrong(&error))
    })?;
    let number = record.position().map_or(0, csv::Position::line);
    let cells: HashMap<_, _> = header.iter().zip(record.iter()).collect();
    let read = item(number, &cells).map_err(|message| bad(number, message))?;
    if let Some(first) = seen.insert(read.sku.to_string(), number) {
        seen.insert(read.sku.to_string(), first);
        return Err(bad(number, format!("sku: `{}` is on line {first} already", read.sku)));
    }
    Ok((read, record.as_slice().len()))
}

fn bad(line: u64, message: String) -> BadLine {
    BadLine { line: u32::try_from(line).unwrap_or(u32::MAX), message }
}

fn what_is_wrong(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} cells, and the first line has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

/// Reads the cells by the rules that a request's body is read by.
fn item(number: u64, cells: &HashMap<&str, &str>) -> Result<ImportLine, String> {
    let cell = |name: &str| cells.get(name).copied().filter(|text| !text.is_empty());
    let needed = |name: &str| cell(name).ok_or_else(|| format!("{name}: it is empty"));
    let price = format!("{} {}", needed("price")?, needed("currency")?);
    let price: Money = price.parse().map_err(|error| match error {
        actors::InvalidMoney::Currency(_) => format!("currency: {error}"),
        _ => format!("price: {error}"),
    })?;
    let mut line = Map::new();
    line.insert("line".to_owned(), json!(number));
    line.insert("price".to_owned(), json!(price));
    for name in ["sku", "name"] {
        line.insert(name.to_owned(), json!(needed(name)?));
    }
    for name in ["description", "category"] {
        line.extend(cell(name).map(|text| (name.to_owned(), json!(text))));
    }
    if let Some(text) = cell("quantity").filter(|text| *text != "0") {
        let pieces: u64 = text.parse().map_err(|_| format!("quantity: `{text}` is no number"))?;
        line.insert("quantity".to_owned(), json!(pieces));
    }
    serde_path_to_error::deserialize(Value::Object(line)).map_err(|error| {
        let field = error.path().to_string();
        format!("{field}: {}", error.into_inner())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "sku,name,description,category,price,currency,quantity\n";

    fn read(lines: &str) -> List {
        List::read(format!("{HEADER}{lines}").as_bytes()).expect("a list")
    }

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let list = read("A1,\"Lamp, red\",\"Two\nlines\",lamps,12.50,EUR,5\nA2,Lamp,,,12,EUR,0\n");
        let [chunk] = &list.chunks[..] else { panic!("one chunk: {list:?}") };
        let [lamp, other] = &chunk[..] else { panic!("two lines: {list:?}") };
        assert_eq!((lamp.line, lamp.sku.as_str(), lamp.name.as_str()), (2, "A1", "Lamp, red"));
        assert_eq!((lamp.price.amount, lamp.description.as_str()), (1_250, "Two\nlines"));
        assert_eq!(lamp.quantity.map(actors::Quantity::get), Some(5));
        assert_eq!((other.line, other.quantity, &other.category), (4, None, &None));
        assert_eq!((list.lines, list.bad), (2, 0));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told() {
        for (line, part) in [
            (",Lamp,,,1,EUR,1", "sku: it is empty"),
            ("A.1,Lamp,,,1,EUR,1", "sku: "),
            ("A1,,,,1,EUR,1", "name: it is empty"),
            ("A1,Lamp,,Big Lamps,1,EUR,1", "category: a category has"),
            ("A1,Lamp,,,1.234,EUR,1", "price: an amount is digits"),
            ("A1,Lamp,,,-1,EUR,1", "price: an amount is digits"),
            ("A1,Lamp,,,1,euro,1", "currency: a currency is three"),
            ("A1,Lamp,,,1,EUR,many", "quantity: `many` is no number"),
            ("A1,Lamp,,,1,EUR,1000001", "quantity: a quantity is 1 to"),
            ("A1,Lamp,,,1,EUR", "it has 6 cells, and the first line has 7"),
        ] {
            let list = read(&format!("A0,Lamp,,,1,EUR,1\n{line}\nA9,Lamp,,,1,EUR,1\n"));
            assert_eq!((list.lines, list.bad), (3, 1), "{line}: {list:?}");
            assert_eq!(list.report[0].line, 3, "{line}");
            assert!(list.report[0].message.starts_with(part), "{line}: {:?}", list.report);
        }
        let twice = read("A1,Lamp,,,1,EUR,1\nA1,Lamp,,,1,EUR,1\nA1,Lamp,,,1,EUR,1\n");
        assert_eq!((twice.bad, twice.chunks[0].len()), (2, 1));
        assert!(twice.report.iter().all(|bad| bad.message.contains("on line 2 already")));
        let mut bytes = format!("{HEADER}A1,La").into_bytes();
        bytes.extend(b"\xff,,,1,EUR,1\nA2,Lamp,,,1,EUR,1\n");
        let list = List::read(&bytes).expect("a list");
        assert_eq!((list.bad, list.report[0].message.as_str()), (1, "it is not UTF-8"));
        assert_eq!(list.chunks[0].len(), 1);
    }

    #[test]
    fn a_list_needs_its_header() {
        for (text, part) in [
            ("", "no column `sku`"),
            ("sku,name,price\n", "no column `currency`"),
            ("sku,name,price,currency,colour\n", "there is no column `colour`"),
            ("sku,name,price,currency,sku\n", "twice"),
        ] {
            let error = List::read(text.as_bytes()).map(|_| ()).expect_err(text);
            assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{text}");
            assert!(format!("{error:?}").contains(part), "{text}: {error:?}");
        }
        assert_eq!(List::read(b"\xef\xbb\xbfsku,name,price,currency\n").expect("a list").lines, 0);
    }

    #[test]
    fn chunks_are_small_enough_for_a_commit() {
        let long = "x".repeat(4_000);
        let lines: String = (0..1_000).map(|n| format!("A{n},Lamp,{long},,1,EUR,1\n")).collect();
        let list = read(&lines);
        assert_eq!(list.chunks.iter().map(Vec::len).sum::<usize>(), 1_000);
        assert!(list.chunks.iter().all(|chunk| chunk.len() * 4_000 <= IMPORT_CHUNK_BYTES));
        let lines: String = (0..1_000).map(|n| format!("A{n},Lamp,,,1,EUR,1\n")).collect();
        assert!(read(&lines).chunks.iter().all(|chunk| chunk.len() == IMPORT_CHUNK_LINES));
    }
}
