//! The smallest client that keeps its connections: requests are written and answers read, and
//! nothing is done that could hide what the edge costs. `wrk` where it is there and fits.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// Connections to one address, handed out to whoever asks.
#[derive(Clone)]
pub(crate) struct Pool {
    address: SocketAddr,
    idle: Arc<Mutex<Vec<BufReader<TcpStream>>>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Pool {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, idle: Arc::default() }
    }

    /// Closes what is idle: the edge soon does, and whoever used it then would see it end.
    pub(crate) fn close_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Sends a request with `headers`, each ended by a line break, and reads the whole answer.
    pub(crate) async fn send(
        &self,
        method_and_path: &str,
        headers: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let mut connection = match self.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        let length = body.len();
        let request = format!(
            "{method_and_path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n\
             Content-Type: application/json\r\n{headers}\r\n{body}"
        );
        connection.write_all(request.as_bytes()).await?;
        let answer = read(&mut connection).await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(answer)
    }

    fn take(&self) -> Option<BufReader<TcpStream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

async fn read(connection: &mut BufReader<TcpStream>) -> anyhow::Result<Answer> {
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no answer, but {line:?}"))?;
    let mut length = 0;
    loop {
        line.clear();
        ensure!(connection.read_line(&mut line).await? > 0, "the answer ended in its header");
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    Ok(Answer { status, body })
}

/// Requests a second as `wrk` counts them; none if it is not here.
pub(crate) async fn wrk(url: &str, span: Duration) -> anyhow::Result<Option<f64>> {
    let seconds = format!("{}s", span.as_secs().max(1));
    let url = url.to_owned();
    let run = tokio::task::spawn_blocking(move || {
        Command::new("wrk")
            .args(["-t2", "-c64", "-d", &seconds, &url])
            .stdin(Stdio::null())
            .output()
    });
    let Ok(output) = run.await? else { return Ok(None) };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(!text.contains("Non-2xx"), "wrk: {text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let rate = rate.with_context(|| format!("wrk: {text}"))?.trim().parse()?;
    Ok(Some(rate))
}
