//! Mail, through a real SMTP server: sent once it is there, and addressed to the buyer.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use common::{Client, Process, callboard, eventually, free_port, grant};
use serde_json::json;

/// aiosmtpd, unpacked once by pip beside the build's other files.
fn smtp_server_package() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("aiosmtpd-1.4.6");
    if !folder.join("aiosmtpd").exists() {
        let unpacked = tempfile::tempdir_in(folder.parent().unwrap()).unwrap();
        let pip = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["aiosmtpd==1.4.6", "--target"])
            .arg(unpacked.path())
            .status()
            .unwrap();
        assert!(pip.success(), "pip cannot fetch aiosmtpd");
        std::fs::rename(unpacked.keep(), &folder).unwrap();
    }
    folder
}

fn start_smtp_server(port: u16, mailbox: &Path, log: &Path) -> Process {
    let mut command = Command::new("python3");
    command.args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")]);
    command.args(["-c", "aiosmtpd.handlers.Mailbox"]).arg(mailbox);
    command.env("PYTHONPATH", smtp_server_package()).stdin(Stdio::null());
    Process::start(&mut command, log)
}

fn mails(mailbox: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(mailbox.join("new")) else { return Vec::new() };
    files.flatten().map(|file| std::fs::read_to_string(file.path()).unwrap()).collect()
}

#[tokio::test]
async fn a_confirmed_order_is_mailed_though_the_mail_server_was_down_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let (port, mailbox) = (free_port(), folder.path().join("mailbox"));
    let mut command = callboard();
    command.args(["dev", "--listen", "127.0.0.1:0", "--nats-port", "0", "--data"]);
    command.arg(folder.path()).env("SMTP_URL", format!("smtp://127.0.0.1:{port}"));
    let _dev = Process::start(&mut command, &folder.path().join("log"));
    let address = folder.path().join("edge-url");
    let edge = eventually("dev says where its edge is", Duration::from_secs(60), || async {
        std::fs::read_to_string(&address).ok().filter(|text| text.ends_with('\n'))
    })
    .await;
    let client = Client::of(edge.trim());
    client.wait_until_ready().await;
    client.register("ada@example.com").await;
    grant("staff", "ada@example.com", folder.path(), &[]);
    let token = client.log_in("ada@example.com").await;
    client.stock(&token, "TEA", 450, 10).await;
    let order = json!({"currency": "EUR", "card": "4242424242424242",
        "lines": [{"sku": "TEA", "quantity": 2}]});
    let (status, body) = client.post("/v1/orders", Some(&token), order).await;
    assert_eq!((status, &body["status"]), (201, &json!("confirmed")), "{body}");
    assert!(mails(&mailbox).is_empty(), "no mail server, no mail");

    let _smtp = start_smtp_server(port, &mailbox, &folder.path().join("smtp-log"));
    let id = body["id"].as_str().unwrap();
    // The link that confirms her address waited for the server, too, and may come first.
    let mail = eventually("the mail arrives", Duration::from_secs(60), || async {
        mails(&mailbox).into_iter().find(|mail| mail.contains(id))
    })
    .await;
    assert!(mail.contains("To: ada@example.com"), "{mail}");
    assert!(mail.contains("9.00 EUR"), "{mail}");
    assert!(mail.to_lowercase().contains("message-id: <"), "{mail}");
    let about_it = mails(&mailbox).into_iter().filter(|mail| mail.contains(id));
    assert_eq!(about_it.count(), 1);
}
