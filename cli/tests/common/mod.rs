//! Processes of the shop, as an operator would run them, and a client that speaks HTTP.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::disallowed_methods)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// The `callboard` command, without what the tester's own environment would change.
pub fn callboard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    for (name, _) in std::env::vars() {
        if name.starts_with("CALLBOARD_") || name == "NATS_URL" || name == "SMTP_URL" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A port nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A child that is killed when the test ends, however it ends.
pub struct Process(pub Child);

impl Process {
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    /// As SIGKILL does.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `check` gives something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    within: Duration,
    mut check: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A client of the edge.
#[derive(Clone)]
pub struct Client {
    pub edge: String,
    pub http: reqwest::Client,
}

impl Client {
    pub fn of(edge: &str) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(40)).build().unwrap();
        Self { edge: edge.to_owned(), http }
    }

    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.edge)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    pub async fn wait_until_ready(&self) {
        eventually("the edge is ready", Duration::from_secs(60), || async {
            self.is_ready().await.then_some(())
        })
        .await;
    }

    /// The status and body of one request.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Value), reqwest::Error> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.edge));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        self.send("GET", path, token, &[], None).await.unwrap()
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: Value) -> (u16, Value) {
        self.send("POST", path, token, &[], Some(&body)).await.unwrap()
    }

    pub async fn register(&self, email: &str) {
        let body = json!({"email": email, "name": "Somebody", "password": PASSWORD});
        let (status, body) = self.post("/v1/users", None, body).await;
        assert_eq!(status, 201, "{body}");
    }

    pub async fn log_in(&self, email: &str) -> String {
        let body = json!({"email": email, "password": PASSWORD});
        let (status, body) = self.post("/v1/sessions", None, body).await;
        assert_eq!(status, 201, "{body}");
        body["token"].as_str().unwrap().to_owned()
    }

    pub async fn stock(&self, staff: &str, sku: &str, price: i64, quantity: u64) {
        let item = json!({"sku": sku, "name": format!("Item {sku}"),
            "price": {"amount": price, "currency": "EUR"}});
        let (status, body) = self.post("/v1/items", Some(staff), item).await;
        assert_eq!(status, 201, "{body}");
        let path = format!("/v1/items/{sku}/stock");
        let (status, body) = self.post(&path, Some(staff), json!({"quantity": quantity})).await;
        assert_eq!(status, 200, "{body}");
    }
}

const PASSWORD: &str = "correct horse battery";

/// Gives a registered user a role, with the command an operator would use.
pub fn grant(role: &str, email: &str, data: &Path, nats: &[(&str, &str)]) {
    let mut command = callboard();
    command.args(["grant", role, email, "--data"]).arg(data).envs(nats.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
