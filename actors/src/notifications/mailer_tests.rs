//! Mail leaves: into a folder, and to a mail server played by the test.

use bus::Timestamp;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use super::{
    GiveUpReason, Letter, Mailer, NoticeId,
    letters::{self, Words},
    mailer::{Mail, NotSent},
};
use crate::{money::tests::eur, orders::OrderId};

const FROM: &str = "Callboard <shop@shop.example>";

fn notice() -> NoticeId {
    NoticeId::parse("n-1").expect("an id")
}

fn mail<'a>(notice: &'a NoticeId, address: &'a str, body: &str) -> Mail<'a> {
    let html = format!("<p>{body}</p>");
    let words = Words { subject: "Größe".to_owned(), body: body.to_owned(), html };
    Mail { notice, at: Timestamp::from_millis(0), name: "Ann Lee", address, words }
}

#[tokio::test]
async fn a_folder_holds_each_notice_once_and_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let mailer = Mailer::folder(folder.path().join("mail"), FROM).expect("a mailer");
    let file = folder.path().join("mail/n-1.eml");
    let mut texts = Vec::new();
    for _ in 0..2 {
        let sent = mailer.send(mail(&notice(), "ann@example.org", "Hello.\n")).await;
        assert_eq!(sent, Ok(()));
        texts.push(std::fs::read_to_string(&file).expect("the mail"));
    }
    assert_eq!(texts[0], texts[1]);
    let files = std::fs::read_dir(folder.path().join("mail")).expect("the folder");
    let names: Vec<_> = files.map(|file| file.expect("a file").file_name()).collect();
    assert_eq!(names, ["n-1.eml"]);
    let text = &texts[0];
    for part in [
        "From: Callboard <shop@shop.example>\r\n",
        "To: \"Ann Lee\" <ann@example.org>\r\n",
        "Subject: =?utf-8?b?",
        "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n",
        "Message-ID: <n-1@shop.example>\r\n",
        "Content-Type: multipart/alternative",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello.",
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n<p>Hello.",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_written_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mailer = Mailer::folder(folder.path(), FROM).expect("a mailer");
    for bad in ["ann", "ann@", "ann@exam ple.org", "ann@x\r\nBcc: eve@example.org"] {
        let sent = mailer.send(mail(&notice(), bad, "Hello.")).await;
        assert_eq!(sent, Err(NotSent::Ever(GiveUpReason::BadAddress)), "{bad}");
    }
}

#[test]
fn a_mailer_that_cannot_work_says_why() {
    let error = Mailer::folder("/dev/null/mail", FROM).expect_err("no folder");
    assert!(error.to_string().contains("/dev/null/mail"), "{error}");
    let error = Mailer::smtp("smtp://localhost:25", "nobody").expect_err("nobody");
    assert!(error.to_string().contains("`nobody`"), "{error}");
    let error = Mailer::smtp("http://user:secret@localhost", FROM).expect_err("no SMTP");
    assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    let mailer = Mailer::smtp("smtp://user:secret@localhost:25", FROM).expect("a mailer");
    assert!(!format!("{mailer:?}").contains("secret"), "{mailer:?}");
}

/// Sends one mail to a server that answers `RCPT` with `answer`; also gives what the server
/// was sent as the mail's text.
async fn to_server(answer: &'static str) -> (Result<(), NotSent>, String) {
    let notice = notice();
    deliver(mail(&notice, "ann@example.org", "Hello."), answer).await
}

async fn deliver(mail: Mail<'_>, answer: &str) -> (Result<(), NotSent>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    let mailer = Mailer::smtp(&url, FROM).expect("a mailer");
    tokio::join!(mailer.send(mail), serve(&listener, answer))
}

async fn serve(listener: &TcpListener, rcpt: &str) -> String {
    let (stream, _) = listener.accept().await.expect("a client");
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let (mut text, mut in_text) = (String::new(), false);
    writer.write_all(b"220 test\r\n").await.expect("a client");
    while let Ok(Some(line)) = lines.next_line().await {
        if in_text && line != "." {
            text.push_str(&line);
            text.push('\n');
            continue;
        }
        let answer = match line.get(..4).unwrap_or(".") {
            "EHLO" | "MAIL" | "RSET" => "250 fine",
            "RCPT" => rcpt,
            "DATA" => "354 go on",
            "." => "250 taken",
            "QUIT" => "221 bye",
            _ => "500 what?",
        };
        in_text = line == "DATA";
        if writer.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() || line == "QUIT" {
            break;
        }
    }
    text
}

#[tokio::test]
async fn a_server_takes_the_mail() {
    let (sent, text) = to_server("250 fine").await;
    assert_eq!(sent, Ok(()));
    assert!(text.contains("Message-ID: <n-1@shop.example>\n"), "{text}");
}

#[tokio::test]
async fn a_name_arrives_as_written_in_the_text_and_escaped_in_the_html() {
    let (notice, name) = (notice(), "<script>alert(1)</script>");
    let order = OrderId::parse("o-1").expect("an id");
    let letter = Letter::OrderConfirmed { order, total: eur(1_205) };
    let words = letters::words(&letter, name, "");
    let at = Timestamp::from_millis(0);
    let mail = Mail { notice: &notice, at, name, address: "ann@example.org", words };
    let (sent, mail) = deliver(mail, "250 fine").await;
    assert_eq!(sent, Ok(()));
    let parts: Vec<&str> = mail.split("--=_n-1").collect();
    let [_, text, html, _] = parts[..] else { panic!("two parts, in {mail}") };
    assert!(text.starts_with("\nContent-Type: text/plain;"), "{text}");
    assert!(text.contains(&format!("\n\nDear {name},\n")), "{text}");
    assert!(html.starts_with("\nContent-Type: text/html;"), "{html}");
    assert!(html.contains("Dear &lt;script&gt;alert(1)&lt;&#x2f;script&gt;,"), "{html}");
    assert!(!html.contains("<script"), "{html}");
}

#[tokio::test]
async fn what_a_server_refuses_for_good_is_given_up_and_the_rest_tried_again() {
    for (answer, expected) in [
        ("550 no ann@example.org here", NotSent::Ever(GiveUpReason::Refused { code: 550 })),
        ("554 no", NotSent::Ever(GiveUpReason::Refused { code: 554 })),
        ("451 ann@example.org is busy", NotSent::Now("the mail server answered 451".to_owned())),
        ("530 log in first", NotSent::Now("the mail server answered 530".to_owned())),
        ("501 what?", NotSent::Now("the mail server answered 501".to_owned())),
    ] {
        assert_eq!(to_server(answer).await.0, Err(expected), "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let mailer = Mailer::smtp(&url, FROM).expect("a mailer");
    let sent = mailer.send(mail(&notice(), "ann@example.org", "Hello.")).await;
    assert!(matches!(sent, Err(NotSent::Now(_))), "{sent:?}");
}
