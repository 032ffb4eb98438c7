//! Client certificates in the place of tokens.

use crate::gateway::{Gateway, configuration, route};
use crate::origin::{Authority, Origin, Version};
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The status of the answer to a request for a path. `client`: whose certificate is shown.
async fn status(
    authority: &Authority,
    client: Option<&Authority>,
    version: Version,
    address: SocketAddr,
    path: &str,
) -> String {
    let config = match client {
        Some(client) => authority.client_config_with(&["http/1.1"], version, client),
        None => authority.client_config(&["http/1.1"], version),
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let request = format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn a_certificate_lets_in_by_its_names() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let device = Authority::of(&["device-7.example"]);
    let mtls = |path: &str, name: &str| {
        let options = format!("auth.kind = \"mtls\"\nauth.names = [\"{name}\"]\nshare.credentials = \"share\"");
        route(path, &origin).with(&options)
    };
    let claims = "auth.allow = \"/own/{dns}/*\"";
    let routes = [mtls("/devices/*", "DNS:device-*.example"), mtls("/others/*", "DNS:other-*"), {
        mtls("/own/*", "DNS:*").with(claims)
    }];
    let clients = format!("client_ca_file = {:?}\nclient_auth = \"optional\"\n", device.path());
    let gateway = Gateway::spawn(&format!("{}\n{}{clients}", configuration("", routes), authority.listens()));
    gateway.log_line(" tls=on").await;
    let address = gateway.tls_addr().unwrap();
    for version in [Version::Tls12, Version::Tls13] {
        for (client, path, expected) in [
            (Some(&device), "/devices/a", "200"),
            (Some(&device), "/others/a", "403"),
            // A list of names is no one segment.
            (Some(&device), "/own/device-7.example/a", "403"),
            (None, "/devices/a", "401"),
        ] {
            let found = status(&authority, client, version, address, path).await;
            assert_eq!(found, expected, "{version:?} {path} {}", client.is_some());
        }
    }
    assert_eq!(origin.connections(), 0);
}
