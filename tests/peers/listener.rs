//! The reports of a client about what it receives.

use crate::browser::Browser;
use crate::guard::guarded;
use crate::origin::Origin;
use crate::program::Program;
use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::mpsc;

/// One report of a client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "report", rename_all = "lowercase")]
pub enum Report {
    /// The stream is open.
    Open,
    /// The connection was lost, and the client tries again.
    Lost,
    /// The client gave up.
    Closed,
    /// The stream is complete.
    Done,
    /// An event.
    Event {
        /// Its type.
        #[serde(rename = "type")]
        kind: String,
        /// Its data.
        data: String,
        /// The last event id, as the client has it.
        id: String,
    },
}

/// A client that reports.
pub enum Listener {
    /// A program that prints its reports.
    Program(Box<Program>),
    /// A task of this process.
    Task(mpsc::Receiver<Report>),
    /// A page in a browser.
    Page {
        /// The browser.
        browser: Box<Browser>,
        /// Serves the page. A worker's script may still be requested.
        _pages: Origin,
    },
}

impl Listener {
    /// A program that prints its reports.
    pub fn program(command: Command) -> Self {
        Self::Program(Box::new(Program::run(command)))
    }

    /// The browser of a page.
    pub fn browser(&self) -> &Browser {
        let Self::Page { browser, .. } = self else { panic!("this listener is no page") };
        browser
    }

    /// The next report.
    pub async fn report(&mut self) -> Report {
        match self {
            Self::Program(program) => {
                let line = program.line().await;
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
            }
            Self::Page { browser, .. } => {
                serde_json::from_value(browser.run("return nextReport()").await).expect("a report of the page")
            }
            Self::Task(reports) => guarded("a report", reports.recv()).await.expect("a report and no end"),
        }
    }

    /// The type, data and id of the next event. Losses and openings are skipped.
    pub async fn event(&mut self) -> (String, String, String) {
        loop {
            match self.report().await {
                Report::Event { kind, data, id } => return (kind, data, id),
                Report::Open | Report::Lost => {}
                end @ (Report::Closed | Report::Done) => panic!("{end:?} instead of an event"),
            }
        }
    }

    /// The data of the next event, which has the default type.
    pub async fn data(&mut self) -> String {
        let (kind, data, _) = self.event().await;
        assert_eq!(kind, "message", "{data}");
        data
    }
}
