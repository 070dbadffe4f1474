//! Golden files notice what would break a journal or a caller, and say what to do.
#![allow(clippy::unwrap_used)]

use std::{fs, panic::catch_unwind, path::Path};

use bus::{
    Actor, Context, Handle, NoUpcaster, OldEvent,
    testing::{Golden, golden},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
struct No;

#[derive(Serialize, Deserialize)]
struct Weigh {
    grams: u64,
}

/// A scale as three builds have it: they differ in their event, and in how they read old ones.
macro_rules! scale {
    ($scale:ident, $event:ident { $field:ident }, shape $shape:expr, $upcast:expr) => {
        #[derive(Default, Serialize, Deserialize)]
        pub(super) struct $scale(u64);

        #[derive(Clone, Serialize, Deserialize)]
        pub(super) enum $event {
            #[serde(rename = "weighed")]
            Weighed { $field: u64 },
            #[serde(rename = "tared")]
            Tared {},
        }

        impl Actor for $scale {
            const KIND: &'static str = "scale";
            const SHAPE: u32 = $shape;
            type Event = $event;
            type Error = No;
            type Commands = (Weigh,);

            fn apply(&mut self, event: &$event) {
                match event {
                    $event::Weighed { $field } => self.0 += $field,
                    $event::Tared {} => self.0 = 0,
                }
            }

            fn upcast(from: u32, event: &mut OldEvent) -> Result<(), NoUpcaster> {
                let upcast: fn(u32, &mut OldEvent) -> Result<(), NoUpcaster> = $upcast;
                upcast(from, event)
            }
        }

        impl Handle<Weigh> for $scale {
            const NAME: &'static str = "weigh";
            type Reply = u64;

            fn handle(&self, Weigh { grams }: Weigh, ctx: &mut Context<Self>) -> Result<u64, No> {
                ctx.emit($event::Weighed { $field: grams });
                Ok(self.0 + grams)
            }
        }

        fn files_of(folder: &Path) -> Golden<$scale> {
            golden::<$scale>(folder)
                .events([$event::Weighed { $field: 5 }, $event::Tared {}])
                .command([Weigh { grams: 5 }], [5])
                .state_after([$event::Weighed { $field: 5 }])
        }
    };
}

mod first {
    use super::*;
    scale!(Scale, Weighed { kg }, shape 1, |from, _| Err(NoUpcaster { from }));
    pub(super) fn files(folder: &Path) -> Golden<impl Actor> {
        files_of(folder)
    }
}

mod renamed {
    use super::*;
    scale!(Scale, Weighed { grams }, shape 1, |from, _| Err(NoUpcaster { from }));
    pub(super) fn files(folder: &Path) -> Golden<impl Actor> {
        files_of(folder)
    }
}

mod without_upcaster {
    use super::*;
    scale!(Scale, Weighed { grams }, shape 2, |from, _| Err(NoUpcaster { from }));
    pub(super) fn files(folder: &Path) -> Golden<impl Actor> {
        files_of(folder)
    }
}

mod second {
    use super::*;
    scale!(Scale, Weighed { grams }, shape 2, |from, event| {
        match (from, event.name()) {
            (1, "weighed") => event.rename_field("kg", "grams"),
            (1, _) => {}
            _ => return Err(NoUpcaster { from }),
        }
        Ok(())
    });
    pub(super) fn files(folder: &Path) -> Golden<impl Actor> {
        files_of(folder)
    }
}

fn write(folder: &Path, file: &str, value: &Value) {
    let file = folder.join("scale").join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, value.to_string()).unwrap();
}

/// The files of the first build.
fn frozen() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "1/weighed.json", &json!({"weighed": {"kg": 5}}));
    write(folder.path(), "1/tared.json", &json!({"tared": {}}));
    write(folder.path(), "commands/weigh.json", &json!({"grams": 5}));
    write(folder.path(), "replies/weigh.json", &json!(5));
    write(folder.path(), "state/1.json", &json!(5));
    folder
}

/// And of the second, which leaves them and adds its own.
fn frozen_again() -> tempfile::TempDir {
    let folder = frozen();
    write(folder.path(), "2/weighed.json", &json!({"weighed": {"grams": 5}}));
    write(folder.path(), "2/tared.json", &json!({"tared": {}}));
    folder
}

/// What the check complains of.
fn complaint(files: fn(&Path) -> Box<dyn FnOnce()>, folder: &Path) -> String {
    let check = files(folder);
    let panic = catch_unwind(std::panic::AssertUnwindSafe(check)).expect_err("it complains");
    panic.downcast_ref::<String>().expect("a message").clone()
}

macro_rules! complaint {
    ($build:ident, $folder:expr) => {
        complaint(
            |folder| {
                let files = $build::files(folder);
                Box::new(move || files.check())
            },
            $folder,
        )
    };
}

#[test]
fn what_is_as_it_was_passes() {
    first::files(frozen().path()).check();
}

#[test]
fn a_renamed_field_needs_a_shape_and_an_upcaster() {
    let text = complaint!(renamed, frozen().path());
    assert!(text.contains("1/weighed.json: has changed"), "{text}");
    assert!(text.contains("raise `Actor::SHAPE` to 2"), "{text}");
    let text = complaint!(without_upcaster, frozen_again().path());
    assert!(text.contains("1/weighed.json: cannot be read: there is no upcaster"), "{text}");
    second::files(frozen_again().path()).check();
}

#[test]
#[ignore = "run by the next test, in a process of its own"]
fn files_of_the_first_build() {
    let folder = std::env::var("GOLDEN_FOLDER").unwrap();
    first::files(Path::new(&folder)).check();
}

#[test]
fn an_update_writes_what_is_missing_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let other = json!({"weighed": {"kg": 6}});
    write(folder.path(), "1/weighed.json", &other);
    let update = || {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "files_of_the_first_build", "--ignored"]);
        test.env("UPDATE_GOLDEN", "1").env("GOLDEN_FOLDER", folder.path());
        test.output().unwrap().status.success()
    };
    assert!(!update(), "one file is not as it was");
    let read = |file: &str| fs::read(folder.path().join("scale").join(file)).unwrap();
    assert_eq!(read("1/weighed.json"), other.to_string().into_bytes());
    assert_eq!(read("commands/weigh.json"), b"{\n  \"grams\": 5\n}\n");
    write(folder.path(), "1/weighed.json", &json!({"weighed": {"kg": 5}}));
    assert!(update());
    first::files(folder.path()).check();
}

#[test]
fn code_that_was_rolled_back_is_told_so() {
    let text = complaint!(first, frozen_again().path());
    assert!(text.contains("there are events of shape 2, and `SHAPE` is 1"), "{text}");
}

#[test]
fn what_is_not_frozen_yet_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let text = complaint!(first, empty.path());
    for part in ["1/weighed.json", "1/tared.json", "commands/weigh.json", "state/1.json"] {
        assert!(text.contains(&format!("{part}: is missing: UPDATE_GOLDEN=1")), "{text}");
    }
    let nothing_said = golden::<first::Scale>(empty.path());
    let panic = catch_unwind(|| nothing_said.check()).expect_err("it complains");
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("the event `tared` has no file"), "{text}");
    assert!(text.contains("`weigh` has no file in replies/"), "{text}");
}

#[test]
fn a_changed_command_reply_or_state_is_noticed() {
    let folder = frozen();
    write(folder.path(), "commands/weigh.2.json", &json!({"kg": 5}));
    write(folder.path(), "commands/gone.json", &json!({}));
    write(folder.path(), "replies/weigh.json", &json!({"grams": 5}));
    write(folder.path(), "state/1.json", &json!(4));
    let text = complaint!(first, folder.path());
    for part in [
        "commands/weigh.2.json: missing field `grams`",
        "`gone` in commands/ is no command any more",
        "replies/weigh.json: has changed",
        "raise `Actor::STATE`",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
