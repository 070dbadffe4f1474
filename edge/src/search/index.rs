//! The index: which items a search finds, in which order. It knows SKUs; what an item is
//! otherwise, its card says.

use std::ops::Bound;

use actors::inventory::{ItemCard, words};
use tantivy::{
    DocAddress, Index, IndexReader, IndexWriter, Order, ReloadPolicy, Searcher, TantivyDocument,
    Term,
    collector::{
        TopDocs,
        sort_key::{SortBySimilarityScore, SortByStaticFastValue, SortByString},
    },
    query::{
        AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, Occur, Query, RangeQuery, TermQuery,
    },
    schema::{
        FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions,
    },
};

use super::wanted::{Cursor, Place, Sort, Wanted};
use crate::limits::{INDEX_BYTES, SEARCH_DEPTH_MAX};

/// What a whole word counts, in the name and in the rest, times how rare it is.
const WHOLE: (f32, f32) = (4.0, 0.5);

/// What the beginning of a word counts, in the name and in the rest. A whole word begins so, too,
/// and always counts more.
const BEGUN: (f32, f32) = (2.0, 0.1);

/// How many characters of a word it takes to find it in a description.
const BEGUN_CHARS_MIN: usize = 3;

/// What was found, and where the next page begins.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) skus: Vec<String>,
    pub(super) next: Option<Cursor>,
}

#[derive(Debug, Clone, Copy)]
struct Fields {
    sku: Field,
    name: Field,
    text: Field,
    /// The whole name, to sort by.
    title: Field,
    category: Field,
    status: Field,
    currency: Field,
    price: Field,
    in_stock: Field,
    created: Field,
    /// Tells items apart that are equal otherwise.
    tie: Field,
}

/// Finds. A cheap handle.
#[derive(Clone)]
pub(super) struct Finder {
    reader: IndexReader,
    fields: Fields,
}

/// Writes. What was put is found after [`Writer::commit`].
pub(super) struct Writer {
    writer: IndexWriter,
    finder: Finder,
}

pub(super) fn open() -> tantivy::Result<(Writer, Finder)> {
    let words = TextFieldIndexing::default()
        .set_tokenizer("whitespace")
        .set_index_option(IndexRecordOption::WithFreqs);
    let words = TextOptions::default().set_indexing_options(words);
    let sorted = TextOptions::default().set_fast("raw");
    let mut schema = Schema::builder();
    let fields = Fields {
        sku: schema.add_text_field("sku", STRING | sorted.clone()),
        name: schema.add_text_field("name", words.clone()),
        text: schema.add_text_field("text", words),
        title: schema.add_text_field("title", sorted),
        category: schema.add_text_field("category", STRING),
        status: schema.add_text_field("status", STRING),
        currency: schema.add_text_field("currency", STRING),
        price: schema.add_u64_field("price", INDEXED | FAST),
        in_stock: schema.add_bool_field("in_stock", INDEXED),
        created: schema.add_u64_field("created", FAST),
        tie: schema.add_u64_field("tie", FAST),
    };
    let index = Index::create_in_ram(schema.build());
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    let finder = Finder { reader, fields };
    let writer = index.writer_with_num_threads(1, INDEX_BYTES)?;
    Ok((Writer { writer, finder: finder.clone() }, finder))
}

impl Writer {
    /// The item is found as it is now, and not as it was.
    pub(super) fn put(&self, card: &ItemCard) -> tantivy::Result<()> {
        let fields = self.finder.fields;
        self.writer.delete_term(Term::from_field_text(fields.sku, &card.sku));
        let mut document = TantivyDocument::default();
        document.add_text(fields.sku, &card.sku);
        // Not the whole SKU: SKUs that begin alike would make as many words that do.
        document.add_text(fields.name, joined(words(&card.sku).chain(words(&card.name))));
        let attributes = card.attributes.values().flat_map(|value| words(value));
        let category = card.category.iter().flat_map(|category| words(category.as_str()));
        let text = words(&card.description).chain(category).chain(attributes);
        document.add_text(fields.text, joined(text));
        document.add_text(fields.title, card.name.to_lowercase());
        if let Some(category) = &card.category {
            document.add_text(fields.category, category.as_str());
        }
        document.add_text(fields.status, card.status.name());
        document.add_text(fields.currency, card.price.currency.to_string());
        document.add_u64(fields.price, u64::try_from(card.price.amount).unwrap_or_default());
        document.add_bool(fields.in_stock, card.available > 0);
        document.add_u64(fields.created, card.created_at.as_millis());
        document.add_u64(fields.tie, tie(&card.sku));
        self.writer.add_document(document).map(drop)
    }

    /// All that was put can be found.
    pub(super) fn commit(&mut self) -> tantivy::Result<()> {
        self.writer.commit()?;
        self.finder.reader.reload()
    }
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

impl Finder {
    /// A page of what is wanted. Takes a core for some milliseconds.
    pub(super) fn find(&self, wanted: &Wanted) -> tantivy::Result<Found> {
        let searcher = self.reader.searcher();
        let query = self.query(wanted);
        let by_number = |field, order| self.by_number(&searcher, &query, wanted, field, order);
        match wanted.sort {
            Sort::Relevance => self.by_relevance(&searcher, &query, wanted),
            Sort::Price => by_number("price", Order::Asc),
            Sort::PriceDown => by_number("price", Order::Desc),
            Sort::Newest => by_number("created", Order::Desc),
            Sort::Name => self.by_name(&searcher, &query, wanted),
        }
    }

    fn by_relevance(
        &self,
        searcher: &Searcher,
        query: &dyn Query,
        wanted: &Wanted,
    ) -> tantivy::Result<Found> {
        let offset = wanted.offset();
        let limit = wanted.limit.min(SEARCH_DEPTH_MAX - offset);
        let by_score = (SortBySimilarityScore, Order::Desc);
        let top = TopDocs::with_limit(limit).and_offset(offset).order_by((by_score, by_tie()));
        let found = searcher.search(query, &top)?;
        let end = offset + found.len();
        let is_last = found.len() < limit || end == SEARCH_DEPTH_MAX;
        let next = Cursor { sort: wanted.sort, after: Place::Count(end) };
        let skus = skus(searcher, found.into_iter().map(|(_, at)| at))?;
        Ok(Found { skus, next: (!is_last).then_some(next) })
    }

    fn by_number(
        &self,
        searcher: &Searcher,
        query: &dyn Query,
        wanted: &Wanted,
        field: &str,
        order: Order,
    ) -> tantivy::Result<Found> {
        let by_number = (SortByStaticFastValue::<u64>::for_field(field), order);
        let top = TopDocs::with_limit(wanted.limit).order_by((by_number, by_tie()));
        let found = searcher.search(query, &top)?;
        let last = found.last().filter(|_| found.len() == wanted.limit);
        let after = last.and_then(|((number, tie), _)| Some(Place::Number((*number)?, (*tie)?)));
        let next = after.map(|after| Cursor { sort: wanted.sort, after });
        Ok(Found { skus: skus(searcher, found.into_iter().map(|(_, at)| at))?, next })
    }

    fn by_name(
        &self,
        searcher: &Searcher,
        query: &dyn Query,
        wanted: &Wanted,
    ) -> tantivy::Result<Found> {
        let by_name = (SortByString::for_field("title"), Order::Asc);
        let top = TopDocs::with_limit(wanted.limit).order_by((by_name, by_tie()));
        let found = searcher.search(query, &top)?;
        let last = found.last().filter(|_| found.len() == wanted.limit);
        let after = last.and_then(|((name, tie), _)| Some(Place::Text(name.clone()?, (*tie)?)));
        let next = after.map(|after| Cursor { sort: wanted.sort, after });
        Ok(Found { skus: skus(searcher, found.into_iter().map(|(_, at)| at))?, next })
    }

    fn query(&self, wanted: &Wanted) -> BooleanQuery {
        let fields = self.fields;
        let mut all: Vec<Box<dyn Query>> =
            wanted.words.iter().map(|word| self.begun_or_whole(word)).collect();
        all.push(has(fields.status, wanted.status.name()));
        if let Some(category) = &wanted.category {
            all.push(has(fields.category, category.as_str()));
        }
        if let Some(currency) = wanted.currency {
            all.push(has(fields.currency, &currency.to_string()));
        }
        if let Some(is_there) = wanted.in_stock {
            all.push(uncounted(one(Term::from_field_bool(fields.in_stock, is_there))));
        }
        if wanted.min_price.is_some() || wanted.max_price.is_some() {
            let price = |amount| Term::from_field_u64(fields.price, amount);
            let from = wanted.min_price.map_or(Bound::Unbounded, |at| Bound::Included(price(at)));
            let to = wanted.max_price.map_or(Bound::Unbounded, |at| Bound::Included(price(at)));
            all.push(uncounted(Box::new(RangeQuery::new(from, to))));
        }
        if let Some(cursor) = &wanted.cursor {
            all.push(uncounted(self.behind(cursor)));
        }
        BooleanQuery::new(all.into_iter().map(|query| (Occur::Must, query)).collect())
    }

    /// Items with a word that is `word`, or that begins so.
    fn begun_or_whole(&self, word: &str) -> Box<dyn Query> {
        let Fields { name, text, .. } = self.fields;
        let whole = |field, boost| -> Box<dyn Query> {
            let term = Term::from_field_text(field, word);
            Box::new(BoostQuery::new(
                Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)),
                boost,
            ))
        };
        let begun = |field, score| -> Box<dyn Query> {
            let from = Bound::Included(Term::from_field_text(field, word));
            let to = Bound::Excluded(Term::from_field_text(field, &format!("{word}\u{10FFFF}")));
            Box::new(ConstScoreQuery::new(Box::new(RangeQuery::new(from, to)), score))
        };
        let mut any = vec![whole(name, WHOLE.0), whole(text, WHOLE.1), begun(name, BEGUN.0)];
        // Nearly every description has a word that begins with some letter.
        if word.chars().nth(BEGUN_CHARS_MIN - 1).is_some() {
            any.push(begun(text, BEGUN.1));
        }
        Box::new(BooleanQuery::new(any.into_iter().map(|query| (Occur::Should, query)).collect()))
    }

    /// Items that stand behind the cursor.
    fn behind(&self, cursor: &Cursor) -> Box<dyn Query> {
        let fields = self.fields;
        let (here, tie) = match &cursor.after {
            Place::Count(_) => return Box::new(AllQuery),
            Place::Number(number, tie) => {
                let field = if cursor.sort == Sort::Newest { fields.created } else { fields.price };
                (Term::from_field_u64(field, *number), *tie)
            }
            Place::Text(name, tie) => (Term::from_field_text(fields.title, name), *tie),
        };
        let (from, to) = match cursor.sort {
            Sort::PriceDown | Sort::Newest => (Bound::Unbounded, Bound::Excluded(here.clone())),
            _ => (Bound::Excluded(here.clone()), Bound::Unbounded),
        };
        let further = RangeQuery::new(from, to);
        let same = RangeQuery::new(Bound::Included(here.clone()), Bound::Included(here));
        let tie = Bound::Excluded(Term::from_field_u64(fields.tie, tie));
        let later = RangeQuery::new(tie, Bound::Unbounded);
        let same_and_later = BooleanQuery::intersection(vec![Box::new(same), Box::new(later)]);
        Box::new(BooleanQuery::union(vec![Box::new(further), Box::new(same_and_later)]))
    }
}

/// Items with exactly this text; it says nothing of how well they fit.
fn has(field: Field, text: &str) -> Box<dyn Query> {
    uncounted(one(Term::from_field_text(field, text)))
}

fn one(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn uncounted(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

/// Among equals, an order that stays: a number made of the SKU, which is compared faster.
fn by_tie() -> (SortByStaticFastValue<u64>, Order) {
    (SortByStaticFastValue::for_field("tie"), Order::Asc)
}

/// FNV-1a. Two items with the same number are equal at worst, where a page ends.
fn tie(sku: &str) -> u64 {
    sku.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The SKUs of what was found, in its order.
fn skus(
    searcher: &Searcher,
    found: impl Iterator<Item = DocAddress>,
) -> tantivy::Result<Vec<String>> {
    let mut skus = Vec::new();
    for at in found {
        let column = searcher.segment_reader(at.segment_ord).fast_fields().str("sku")?;
        if let Some(column) = column
            && let Some(ordinal) = column.ords().first(at.doc_id)
        {
            let mut sku = String::new();
            column.ord_to_str(ordinal, &mut sku)?;
            skus.push(sku);
        }
    }
    Ok(skus)
}
