//! `callboard dead`: what could not be carried out is listed, shown, replayed and dropped.
#![allow(clippy::unwrap_used)]

mod common;

use std::{path::Path, time::Duration};

use common::{Process, callboard, eventually};
use serde_json::Value;

/// Runs `callboard dead` against the `dev` in `folder`: its lines, or what it complained of.
async fn dead(folder: &Path, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let mut command = callboard();
    command.arg("dead").args(arguments).arg("--json").arg("--data").arg(folder);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let lines = String::from_utf8(output.stdout).unwrap();
    Ok(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_mended_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut command = callboard();
    command.args(["dev", "--listen", "127.0.0.1:0", "--nats-port", "0", "--data"]).arg(data);
    let _dev = Process::start(&mut command, &data.join("log"));
    let url = eventually("dev is up", Duration::from_secs(60), || async {
        std::fs::read_to_string(data.join("edge-url")).ok()?;
        std::fs::read_to_string(data.join("nats-url")).ok()
    })
    .await;
    let jetstream = async_nats::jetstream::new(async_nats::connect(url.trim()).await.unwrap());
    for id in ["n-1", "n-2"] {
        let garbage = "no commit".into();
        jetstream.publish(format!("evt.notice.0.{id}"), garbage).await.unwrap().await.unwrap();
    }
    let of = ["list", "--kind", "notice"];
    let letters = eventually("the letters are listed", Duration::from_secs(60), || async {
        let letters = dead(data, &of).await.unwrap();
        (letters.len() >= 2).then_some(letters)
    })
    .await;
    let letter = |actor| letters.iter().find(|letter| letter["actor"] == actor).unwrap();
    let (one, two) = (letter("n-1")["id"].to_string(), letter("n-2")["id"].to_string());
    let shown = dead(data, &["show", &one]).await.unwrap().remove(0);
    assert_eq!((&shown["body"], &shown["is_readable"]), (&"no commit".into(), &false.into()));
    assert_eq!(shown["subject"], "evt.notice.0.n-1");

    let unfit = dead(data, &["replay", &one, "--body", r#"{"events":"none"}"#]).await.unwrap_err();
    assert!(unfit.contains("cannot be mended"), "{unfit}");
    let replay = ["replay", &one, "--body", r#"{"events":[]}"#];
    let replayed = dead(data, &replay).await.unwrap();
    eventually("it is carried out", Duration::from_secs(60), || async {
        dead(data, &["show", &one]).await.is_err().then_some(())
    })
    .await;
    assert_eq!(replayed[0]["id"].to_string(), one);
    dead(data, &["drop", &two]).await.unwrap();
    let gone = dead(data, &["drop", &two]).await.unwrap_err();
    assert!(gone.contains("no dead letter"), "{gone}");
    let left = dead(data, &of).await.unwrap();
    assert_eq!(left.len(), letters.len() - 2, "{left:?}");
}
