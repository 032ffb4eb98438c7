//! Unmodified origins as people write them: those of `tests/origins`.

use crate::client::{Client, Event, Response};
use crate::ecosystem::{file, go, node, python};
use crate::gateway::{Gateway, route};
use crate::guard::guarded;
use crate::origin::Port;
use crate::program::Program;
use tokio::process::Command;

/// The running program of an origin, and its port.
struct Running {
    port: Port,
    program: Program,
}

/// Runs a program, which takes its address as the last argument.
async fn run(mut command: Command, port: Port) -> Running {
    command.arg(port.addr().to_string());
    listening(command, port).await
}

async fn listening(command: Command, port: Port) -> Running {
    let mut program = Program::run(command);
    program.listens(&port).await;
    Running { port, program }
}

async fn witness(gateway: &Gateway) -> Response {
    Client::get("/events").connect(gateway).await.stream()
}

/// The next `n` events that a client receives.
async fn hear(client: &mut Response, n: usize) -> Vec<(String, String)> {
    hear_with_id(client, n).await.0
}

/// The next `n` events, and the id of the last of them. More events may have come by then.
async fn hear_with_id(client: &mut Response, n: usize) -> (Vec<(String, String)>, String) {
    let (mut heard, mut id) = (Vec::new(), String::new());
    for _ in 0..n {
        let event = client.next_event().await;
        heard.push((event.kind, event.data));
        id = event.id;
    }
    (heard, id)
}

async fn gateway_of(port: &Port) -> Gateway {
    // better-sse marks every response as private.
    let shared = "client.heartbeat_secs = 0.1\nshare.trust_origin = true";
    Gateway::with(route("/events", port).with(shared)).await
}

/// Clients share the one stream of an origin, leave, come back and miss nothing.
async fn its_clients_resume(command: Command) {
    let origin = run(command, Port::reserve()).await;
    let gateway = gateway_of(&origin.port).await;
    let mut witness = witness(&gateway).await;
    let mut client = self::witness(&gateway).await;
    let (seen, id) = hear_with_id(&mut client, 2).await;
    assert!(!id.is_empty());
    drop(client);

    let mut all = hear(&mut witness, 1).await;
    while !all.ends_with(&seen) {
        all.extend(hear(&mut witness, 1).await);
    }
    let missed = hear(&mut witness, 3).await;
    assert!(missed.iter().all(|(kind, data)| kind != "gap" && !data.is_empty()), "{missed:?}");
    let mut client = Client::get("/events").after(id).connect(&gateway).await.stream();
    assert_eq!(hear(&mut client, 3).await, missed);
    assert_eq!(hear(&mut client, 2).await, hear(&mut witness, 2).await);
    assert_eq!(gateway.log().matches("upstream connected").count(), 1, "{}", gateway.log());
}

/// The origin is killed and started again. Its client stays, and receives `first` as the first event of the new
/// process.
async fn its_clients_stay(command: impl AsyncFn() -> Command, first: impl Fn(&(String, String)) -> bool) {
    let origin = run(command().await, Port::reserve()).await;
    let gateway = gateway_of(&origin.port).await;
    let mut client = witness(&gateway).await;
    hear(&mut client, 1).await;
    origin.program.kill().await;
    gateway.log_line("connection refused").await;
    client.next_comment().await;
    // Every event of the old process is in the log now, so a client that joins now sees only the new process.
    let mut late = witness(&gateway).await;

    let _origin = run(command().await, origin.port).await;
    let begins = late.next_event().await;
    assert!(first(&(begins.kind.clone(), begins.data.clone())), "{begins:?}");
    // A gap event has no id of its own.
    let is_it =
        |event: &Event| (&event.kind, &event.data) == (&begins.kind, &begins.data) && event.id.ends_with(&begins.id);
    let catch_up = async {
        loop {
            let event = client.next_event().await;
            if is_it(&event) {
                return;
            }
            assert_ne!(event.kind, "gap", "{event:?}");
        }
    };
    guarded("the new life", catch_up).await;
    for _ in 0..2 {
        assert_eq!(client.next_event().await, late.next_event().await);
    }
}

fn told_of_a_gap((kind, data): &(String, String)) -> bool {
    kind == "gap" && data == r#"{"reason":"upstream","missed":null}"#
}

#[tokio::test]
async fn clients_of_the_go_program_resume() {
    its_clients_resume(go("origins/go/main.go").await).await;
}

#[tokio::test]
async fn clients_of_the_go_program_stay_when_it_is_restarted() {
    its_clients_stay(|| go("origins/go/main.go"), told_of_a_gap).await;
}

#[tokio::test]
async fn clients_of_express_and_better_sse_resume() {
    its_clients_resume(node("origins/node/server.js")).await;
}

/// The ids that better-sse makes up look like ids that the origin can resume from, so no gap is told.
#[tokio::test]
async fn clients_of_express_and_better_sse_stay_when_it_is_restarted() {
    its_clients_stay(async || node("origins/node/server.js"), |(kind, _)| kind == "tick").await;
}

#[tokio::test]
async fn clients_of_sse_starlette_resume() {
    its_clients_resume(python("origins/python/server.py")).await;
}

#[tokio::test]
async fn clients_of_sse_starlette_stay_when_it_is_restarted() {
    its_clients_stay(async || python("origins/python/server.py"), told_of_a_gap).await;
}

#[tokio::test]
async fn clients_of_php_do_not_notice_that_it_ends_after_every_few_events() {
    let port = Port::reserve();
    let mut command = Command::new("php");
    command.arg("-S").arg(port.addr().to_string()).arg(file("origins/php/events.php"));
    let origin = listening(command, port).await;
    let gateway = gateway_of(&origin.port).await;
    let mut client = witness(&gateway).await;
    let rows = |from: usize| (from..from + 5).map(|n| ("message".to_owned(), format!("row {n}"))).collect::<Vec<_>>();
    let (first, id) = hear_with_id(&mut client, 5).await;
    assert_eq!((first, id.as_str()), (rows(1), "5"));
    assert_eq!(hear(&mut client, 5).await, rows(6));
    let mut client = Client::get("/events").after(id).connect(&gateway).await.stream();
    assert_eq!(hear(&mut client, 5).await, rows(6));
    // Ten rows are four answers of the script. The end of an answer is not worth a warning.
    assert!(!gateway.log().contains("WARN"), "{}", gateway.log());
}
