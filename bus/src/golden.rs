//! Golden files: what is stored and sent, frozen in files that nobody may change.
//!
//! A journal outlives its code, and callers are not all of one build. Per kind there is one JSON
//! file for each event of each shape ever stored, and for each command, reply and state; the
//! check reads them all with the code of today. What is missing is written when `UPDATE_GOLDEN`
//! is set to `1`; what is there is never changed, only by hand and against advice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use serde::{
    de::{DeserializeOwned, Visitor, value::Error as Told},
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::{
    model::{
        actor::{Actor, Handle, Wire},
        command_set::CommandSet,
        commit::{AnyCommit, FIRST_SHAPE},
        upcast::event_from,
    },
    wire::encoding::Encoding,
};

/// The golden files of actor `A` in `folder`, which holds one folder for each kind:
///
/// - `order/2/placed.json`: an event as shape 2 stores it; `placed.2.json` is another of its kind
/// - `order/commands/place.json`, `order/replies/place.json`
/// - `order/state/1.json`: what [`Golden::state_after`] made of some events
///
/// Say what there is, then [`check`](Golden::check).
pub fn golden<A: Actor>(folder: impl AsRef<Path>) -> Golden<A> {
    Golden {
        folder: folder.as_ref().join(A::KIND),
        writes: std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1"),
        problems: Vec::new(),
        samples: BTreeMap::new(),
        actor: PhantomData,
    }
}

/// Golden files about to be checked.
#[must_use = "nothing is said of what is wrong before `check`"]
#[derive(Debug)]
pub struct Golden<A> {
    folder: PathBuf,
    writes: bool,
    problems: Vec<String>,
    /// How many samples there were of each name in each folder.
    samples: BTreeMap<PathBuf, usize>,
    actor: PhantomData<fn() -> A>,
}

impl<A: Actor> Golden<A> {
    /// Events as they are stored now: the first of a name is kept in `<name>.json`, further ones
    /// in `<name>.2.json` and so on.
    pub fn events(mut self, samples: impl IntoIterator<Item = A::Event>) -> Self {
        let folder = self.folder.join(A::SHAPE.to_string());
        for sample in samples {
            match as_stored(&sample) {
                Err(error) => self.problems.push(format!("an event cannot be shown: {error}")),
                Ok(shown) => {
                    let name = AnyCommit::named(&shown).0.to_owned();
                    self.compare(&folder, &name, &shown, &changed_event::<A>());
                }
            }
        }
        self
    }

    /// The command `C` as callers send it, and what it is answered.
    pub fn command<C: Wire>(
        mut self,
        samples: impl IntoIterator<Item = C>,
        replies: impl IntoIterator<Item = A::Reply>,
    ) -> Self
    where
        A: Handle<C>,
    {
        let name = <A as Handle<C>>::NAME;
        let advice = "callers of other builds send and read the old form: keep it readable \
                      (`#[serde(default)]`, `#[serde(alias)]`), or give the new command a new name";
        let (commands, answers) = (self.folder.join("commands"), self.folder.join("replies"));
        for sample in samples {
            self.compare_sent(&commands, name, &sample, advice);
        }
        for reply in replies {
            self.compare_sent(&answers, name, &reply, advice);
        }
        self.read_all::<C>(&commands, name, advice);
        self.read_all::<A::Reply>(&answers, name, advice);
        self
    }

    /// The state after `history`. If it changes, snapshots of the old one must not be used.
    pub fn state_after(mut self, history: impl IntoIterator<Item = A::Event>) -> Self {
        let mut state = A::default();
        history.into_iter().for_each(|event| state.apply(&event));
        let number = A::STATE.to_string();
        let advice = "the state, or what `apply` makes of events, has changed: raise \
                      `Actor::STATE`, so that snapshots of the old state are ignored";
        let back = Encoding::MessagePack.encode(&state).and_then(|bytes| {
            Encoding::MessagePack.encode(&Encoding::MessagePack.decode::<A>(&bytes)?)
        });
        if back != Encoding::MessagePack.encode(&state) {
            self.problems.push("the state is not read as it was written".to_owned());
        }
        match as_stored(&state) {
            Err(error) => self.problems.push(format!("the state cannot be shown: {error}")),
            Ok(shown) => self.compare(&self.folder.join("state"), &number, &shown, advice),
        }
        self
    }

    /// Checks all files there are, and that none is missing.
    ///
    /// # Panics
    /// If anything is not as the files say, with what to do about it.
    #[track_caller]
    pub fn check(mut self) {
        self.read_events();
        for part in ["commands", "replies"] {
            let files = json_files(&self.folder.join(part));
            let known: BTreeSet<&str> = A::Commands::NAMES.iter().copied().collect();
            let frozen: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            for missing in known.difference(&frozen) {
                self.problems.push(format!("`{missing}` has no file in {part}/: give a sample"));
            }
            for gone in frozen.difference(&known) {
                let text = format!("`{gone}` in {part}/ is no command any more: callers send it");
                self.problems.push(text);
            }
        }
        let problems = self.problems.join("\n\n");
        assert!(problems.is_empty(), "{}:\n\n{problems}\n", self.folder.display());
    }

    /// Reads the events of every shape, and looks for variants without a file.
    fn read_events(&mut self) {
        for shape in shapes(&self.folder) {
            if shape > A::SHAPE {
                let text =
                    format!("there are events of shape {shape}, and `SHAPE` is {}", A::SHAPE);
                self.problems.push(text);
                continue;
            }
            for (name, file) in json_files(&self.folder.join(shape.to_string())) {
                self.read_event(shape, &name, &file);
            }
        }
        let present = json_files(&self.folder.join(A::SHAPE.to_string()));
        let frozen: BTreeSet<&str> = present.iter().map(|(name, _)| name.as_str()).collect();
        for variant in variants::<A::Event>() {
            if !frozen.contains(variant) {
                let text = format!("the event `{variant}` has no file: give a sample of it");
                self.problems.push(text);
            }
        }
    }

    fn read_event(&mut self, shape: u32, name: &str, file: &Path) {
        let value = match read_json(file) {
            Ok(value) => value,
            Err(problem) => return self.problems.push(problem),
        };
        if shape == A::SHAPE && AnyCommit::named(&value).0 != name {
            self.problems.push(format!("{} holds another event", file.display()));
        }
        match event_from::<A>(shape, value.clone()) {
            Err(error) => {
                let advice = if shape == A::SHAPE {
                    changed_event::<A>()
                } else {
                    "`Actor::upcast` must bring it up: journals hold it".to_owned()
                };
                self.problem(file, &format!("cannot be read: {error}"), &advice);
            }
            Ok(event) if shape == A::SHAPE => match as_stored(&event) {
                Ok(shown) if shown == value => {}
                Ok(shown) => {
                    self.problem(file, &differs(&value, &shown), &changed_event::<A>());
                }
                Err(error) => self.problems.push(format!("an event cannot be shown: {error}")),
            },
            Ok(_) => {}
        }
    }

    fn compare_sent<T: Wire>(&mut self, folder: &Path, name: &str, sample: &T, advice: &str) {
        let shown = match serde_json::to_value(sample) {
            Ok(shown) => shown,
            Err(error) => {
                return self.problems.push(format!("`{name}` cannot be sent as JSON: {error}"));
            }
        };
        let packed = Encoding::MessagePack.encode(sample);
        let back = packed.and_then(|bytes| Encoding::MessagePack.decode::<T>(&bytes));
        if back.ok().and_then(|back| serde_json::to_value(back).ok()).as_ref() != Some(&shown) {
            let text = format!("`{name}` is not read from MessagePack as it was written");
            self.problems.push(text);
        }
        self.compare(folder, name, &shown, advice);
    }

    /// Every file of this name must be read, and be the same when written again.
    fn read_all<T: Wire>(&mut self, folder: &Path, name: &str, advice: &str) {
        for (_, file) in json_files(folder).into_iter().filter(|(of, _)| of == name) {
            let read = read_json(&file).and_then(|value| {
                let read = T::deserialize(&value).map_err(|e| e.to_string())?;
                let again = serde_json::to_value(read).map_err(|e| e.to_string())?;
                if again == value { Ok(()) } else { Err(differs(&value, &again)) }
            });
            if let Err(problem) = read {
                self.problem(&file, &problem, advice);
            }
        }
    }

    /// Compares with the next file of this name, or writes it if it is missing.
    fn compare(&mut self, folder: &Path, name: &str, shown: &Value, advice: &str) {
        let place = folder.join(name);
        let count = self.samples.entry(place).or_default();
        *count += 1;
        let file = match count {
            1 => folder.join(format!("{name}.json")),
            n => folder.join(format!("{name}.{n}.json")),
        };
        if !file.exists() {
            let missing = "is missing: UPDATE_GOLDEN=1 writes it";
            let written = if self.writes { write_json(&file, shown) } else { Err(missing.into()) };
            if let Err(problem) = written {
                self.problem(&file, &problem, "look at what it will hold for ever");
            }
            return;
        }
        match read_json(&file) {
            Err(problem) => self.problems.push(problem),
            Ok(frozen) if frozen == *shown => {}
            Ok(frozen) => self.problem(&file, &differs(&frozen, shown), advice),
        }
    }

    fn problem(&mut self, file: &Path, what: &str, advice: &str) {
        let file = file.strip_prefix(&self.folder).unwrap_or(file);
        let text = format!("{}: {what}\n  {advice}", file.display());
        if !self.problems.contains(&text) {
            self.problems.push(text);
        }
    }
}

fn changed_event<A: Actor>() -> String {
    let (shape, next) = (A::SHAPE, A::SHAPE + 1);
    format!(
        "journals hold the old form for ever: keep it, or raise `Actor::SHAPE` to {next}, leave \
         the files of shape {shape} as they are, write `Actor::upcast` from {shape}, and run \
         with UPDATE_GOLDEN=1"
    )
}

fn differs(frozen: &Value, now: &Value) -> String {
    format!("has changed\n    from {frozen}\n    to   {now}")
}

/// A value as it is stored and then shown.
fn as_stored<T: Wire>(value: &T) -> Result<Value, String> {
    let bytes = Encoding::MessagePack.encode(value).map_err(|e| e.to_string())?;
    Encoding::MessagePack.decode(&bytes).map_err(|e| e.to_string())
}

/// The shapes of which there are files.
fn shapes(folder: &Path) -> Vec<u32> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut shapes: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    shapes.retain(|shape| *shape >= FIRST_SHAPE);
    shapes.sort_unstable();
    shapes
}

/// The files of a folder, in order, each with the name it is of.
fn json_files(folder: &Path) -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut named: Vec<(String, PathBuf)> = files
        .filter_map(|path| {
            let file = path.file_name()?.to_str()?.strip_suffix(".json")?;
            Some((file.split('.').next()?.to_owned(), path.clone()))
        })
        .collect();
    named.sort_unstable();
    named
}

fn read_json(file: &Path) -> Result<Value, String> {
    let bytes = fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
    serde_json::from_slice(&bytes).map_err(|e| format!("{}: {e}", file.display()))
}

fn write_json(file: &Path, value: &Value) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())? + "\n";
    fs::create_dir_all(file.parent().unwrap_or(file)).map_err(|e| e.to_string())?;
    fs::write(file, text).map_err(|e| e.to_string())
}

/// The names of an enum's variants; none for what is no enum.
fn variants<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut seen: &'static [&'static str] = &[];
    // It fails at once, and has said by then what it would have read.
    drop(T::deserialize(Listener(&mut seen)));
    seen
}

struct Listener<'a>(&'a mut &'static [&'static str]);

impl<'de> serde::Deserializer<'de> for Listener<'_> {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Told> {
        Err(serde::de::Error::custom("there is nothing to read"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Told> {
        *self.0 = variants;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
