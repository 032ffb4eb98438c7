//! Header fields and framing on proxy routes: what of a message is for one connection only, and what the other side may know.

use crate::client::Client;
use crate::gateway::{Gateway, route};
use crate::origin::Port;

#[tokio::test]
async fn a_gateway_that_is_its_own_origin_says_so() {
    let port = Port::reserve();
    let here = port.addr();
    for policy in ["kind = \"proxy\"", "", "share.mode = \"private\""] {
        let route = route("/*", format!("http://{here}").as_str()).with(policy).with(match policy {
            "kind = \"proxy\"" => "",
            _ => "upstream.on_error = \"reflect\"",
        });
        let config = crate::gateway::configuration("", [route]).replacen("127.0.0.1:0", &here.to_string(), 1);
        let gateway = Gateway::start(&config).await;
        assert_eq!(Client::get("/").connect(&gateway).await.status, 508, "{policy}");
        gateway.log_line("has come through this process before").await;
    }
}
