//! A started server comes up as configured, and never outlives who started it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nats_server::{Error, Options, Server};

/// The `what` page of the server's monitoring port.
fn monitor(server: &Server, what: &str) -> String {
    let address = server.monitor_url().replace("http://", "");
    let mut stream = TcpStream::connect(address).expect("the monitoring port answers");
    write!(stream, "GET /{what} HTTP/1.0\r\n\r\n").expect("writable");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("readable");
    text
}

fn is_running(pid: u32) -> bool {
    // A process that has ended but was not waited for counts as ended.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn wait_until_gone(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_running(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn it_syncs_every_write_and_keeps_its_ports_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(Options::in_folder(folder.path())).await.expect("starts");
    assert!(monitor(&server, "varz").contains("\"sync_always\": true"));
    let (url, options) = (server.url(), server.options());
    server.kill().await;
    let again = Server::start(options).await.expect("starts again");
    assert_eq!(again.url(), url);
    let pid = again.pid();
    again.stop().await;
    assert!(!is_running(pid));
}

#[tokio::test]
async fn a_taken_port_is_said_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { port: Some(port), ..Options::in_folder(folder.path()) };
    let error = Server::start(options).await.expect_err("taken");
    assert!(matches!(error, Error::PortTaken(p) if p == port), "{error}");
}

/// Started by the test below as a process of its own: starts a server, says its process id,
/// and waits to be killed.
#[tokio::test]
async fn as_a_parent() {
    let Ok(folder) = std::env::var("LIFETIME_TEST_FOLDER") else { return };
    let server = Server::start(Options::in_folder(folder)).await.expect("starts");
    println!("server {}", server.pid());
    std::future::pending::<()>().await;
}

#[test]
fn it_ends_when_its_parent_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut parent = Command::new(std::env::current_exe().expect("this test"))
        .args(["as_a_parent", "--exact", "--nocapture"])
        .env("LIFETIME_TEST_FOLDER", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test runs");
    let lines = BufReader::new(parent.stdout.take().expect("piped")).lines();
    let pid: u32 = lines
        .map_while(Result::ok)
        .find_map(|line| line.rsplit_once("server ")?.1.trim().parse().ok())
        .expect("the parent says the process id");
    assert!(is_running(pid));
    parent.kill().expect("killed as by SIGKILL");
    parent.wait().expect("ended");
    wait_until_gone(pid);
}
