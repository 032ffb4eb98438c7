//! `manifold healthcheck` of a process whose addresses for clients all speak TLS.

use crate::gateway::{Gateway, config_file, configuration, route};
use crate::origin::{Authority, Origin, Port};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A configuration whose only address speaks TLS.
fn only_tls(authority: &Authority, port: &Port, lines: &str, origin: &Origin) -> String {
    let listens = authority.listens().replace("127.0.0.1:0", &port.addr().to_string());
    let config = configuration("", [route("/*", origin)]).replace("listen = [\"127.0.0.1:0\"]", "listen = []");
    format!("{config}\n{listens}{lines}")
}

#[tokio::test]
async fn healthcheck_asks_an_address_with_tls_if_there_is_no_other() {
    // No name of a certificate is that of the address that is asked.
    let (origin, authority) = (Origin::start(), Authority::of(&["a.example"]));
    for lines in ["", "alpn = [\"h2\"]\n", &format!("client_ca_file = {:?}\n", authority.path())] {
        let port = Port::reserve();
        let config = only_tls(&authority, &port, lines, &origin);
        let file = config_file(&config);
        let ask = ["healthcheck", "-c", file.path().to_str().unwrap()];
        let (code, told) = Gateway::run(&ask).await;
        assert_eq!(code, 1, "{told}");
        assert!(told.starts_with(&format!("manifold: unhealthy: {} cannot be reached", port.addr())), "{told}");
        let mut gateway = Gateway::spawn(&config);
        gateway.log_line(" tls=on").await;
        assert_eq!(Gateway::run(&ask).await, (0, format!("healthy: {} answers\n", port.addr())), "{lines}");
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.exit_code().await, 0);
    }
    assert_eq!(origin.connections(), 0);
}

/// A proxy begins each connection with the header, and a healthcheck comes from the same machine.
#[tokio::test]
async fn healthcheck_says_the_header_of_the_proxy_protocol_where_it_is_expected() {
    let (origin, authority, port) = (Origin::start(), Authority::new(), Port::reserve());
    let plain = configuration("", [route("/*", &origin)]).replace("127.0.0.1:0", &port.addr().to_string());
    let tls = only_tls(&authority, &port, "", &origin);
    for config in [plain, tls] {
        for trusted in ["127.0.0.0/8", "10.0.0.0/8"] {
            let lines = format!("[server]\nproxy_protocol = \"on\"\ntrusted_proxies = [\"{trusted}\"]\n");
            let config = config.replacen("[server]\n", &lines, 1);
            let file = config_file(&config);
            let ask = ["healthcheck", "-c", file.path().to_str().unwrap()];
            let mut gateway = Gateway::spawn(&config);
            gateway.log_line("listening").await;
            assert_eq!(Gateway::run(&ask).await, (0, format!("healthy: {} answers\n", port.addr())), "{config}");
            gateway.signal(Signal::TERM);
            assert_eq!(gateway.exit_code().await, 0);
        }
    }
}

#[tokio::test]
async fn healthcheck_is_not_content_with_an_answer_that_is_not_tls() {
    let (origin, authority, port) = (Origin::start(), Authority::new(), Port::reserve());
    let file = config_file(&only_tls(&authority, &port, "", &origin));
    let ask = ["healthcheck", "-c", file.path().to_str().unwrap()];
    let listener = port.listen();
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let other = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_buf(&mut Vec::new()).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let ((code, told), ()) = tokio::join!(Gateway::run(&ask), other);
        let expected = format!("manifold: unhealthy: {} made no TLS handshake: ", port.addr());
        assert!(code == 1 && told.starts_with(&expected), "{code} {told}");
    }
}

#[tokio::test]
async fn healthcheck_says_what_it_needs_where_clients_need_a_certificate() {
    let (origin, authority, port, admin) = (Origin::start(), Authority::new(), Port::reserve(), Port::reserve());
    let lines = format!("client_ca_file = {:?}\nclient_auth = \"required\"\n", authority.path());
    let config = only_tls(&authority, &port, &lines, &origin);
    let file = config_file(&config);
    let expected = format!("manifold: unhealthy: {} is only for clients with a certificate", port.addr());
    let (code, told) = Gateway::run(&["healthcheck", "-c", file.path().to_str().unwrap()]).await;
    assert!(code == 1 && told.starts_with(&expected) && told.ends_with("set server.admin\n"), "{code} {told}");
    let with_admin = config.replacen("[server]\n", &format!("[server]\nadmin = \"{}\"\n", admin.addr()), 1);
    let gateway = Gateway::spawn(&with_admin);
    gateway.admin().await;
    gateway.log_line(" tls=on").await;
    let file = config_file(&with_admin);
    let asked = Gateway::run(&["healthcheck", "-c", file.path().to_str().unwrap()]).await;
    assert_eq!(asked, (0, format!("healthy: {} says ready\n", admin.addr())));
}
