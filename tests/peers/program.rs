//! A program of another ecosystem. It is started, observed and ended by its own handle.

use crate::guard::guarded;
use crate::origin::Port;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// More lines than any story leaves unread.
const UNREAD_LINES: usize = 4096;

/// The time between two looks whether a program listens.
const LOOK: Duration = Duration::from_millis(10);

/// A running program. Dropping it kills the program.
pub struct Program {
    name: String,
    child: Child,
    lines: mpsc::Receiver<String>,
    complaints: Arc<Mutex<String>>,
}

impl Program {
    /// Runs a command.
    pub fn run(mut command: Command) -> Self {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // No proxy of the environment is used for this machine.
        command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot run {name}: {error}: run scripts/setup --test"));
        let (said, lines) = mpsc::channel(UNREAD_LINES);
        let complaints = Arc::<Mutex<String>>::default();
        let noted = Arc::clone(&complaints);
        each_line(child.stdout.take().unwrap(), move |line| {
            // No story reads the lines beyond the limit.
            drop(said.try_send(line));
        });
        each_line(child.stderr.take().unwrap(), move |line| *noted.lock().unwrap() += &format!("{line}\n"));
        Self { name, child, lines, complaints }
    }

    /// The next line of its standard output.
    pub async fn line(&mut self) -> String {
        let line = self.line_or_end().await;
        line.unwrap_or_else(|| panic!("{} ended instead of a line:\n{}", self.name, self.complaints()))
    }

    /// The next line of its standard output. `None`: its standard output has ended.
    pub async fn line_or_end(&mut self) -> Option<String> {
        guarded(format!("a line of {}, which says\n{}", self.name, self.complaints()), self.lines.recv()).await
    }

    /// Waits until the program listens.
    pub async fn listens(&mut self, port: &Port) {
        let listens = async {
            while TcpStream::connect(port.addr()).await.is_err() {
                let ended = self.child.try_wait().unwrap();
                assert!(ended.is_none(), "{} ended before it listened: {}", self.name, self.complaints());
                tokio::time::sleep(LOOK).await;
            }
        };
        guarded("the program to listen", listens).await;
    }

    /// Everything that it has written to its standard error.
    pub fn complaints(&self) -> String {
        self.complaints.lock().unwrap().clone()
    }

    /// Waits until it exits. Returns its exit code.
    pub async fn exit_code(&mut self) -> i32 {
        let status = guarded(format!("the end of {}", self.name), self.child.wait()).await.unwrap();
        status.code().unwrap_or_else(|| panic!("{}: {status}", self.name))
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(mut self) {
        guarded(format!("the death of {}", self.name), self.child.kill()).await.unwrap();
    }
}

fn each_line(source: impl AsyncRead + Send + Unpin + 'static, mut take: impl FnMut(String) + Send + 'static) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(source).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            take(line);
        }
    });
}
