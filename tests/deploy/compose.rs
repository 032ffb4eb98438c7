//! docker/compose.yaml and the configuration that it mounts.

use crate::checkout::{checkout, python_tool, server_number, server_ports, succeeds, table, text, yaml};
use crate::process::loads;
use serde_json::{Value, json};
use std::path::Path;

const FILE: &str = "docker/compose.yaml";
pub const CONFIG: &str = "docker/compose/manifold.toml";

async fn services() -> Value {
    yaml(&text(FILE)).await.remove(0)["services"].take()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[tokio::test]
async fn it_follows_the_compose_specification() {
    let mut check = python_tool("check-jsonschema");
    succeeds(check.args(["--builtin-schema", "vendor.compose-spec"]).arg(checkout(FILE)), "").await;
}

#[tokio::test]
async fn every_file_that_it_names_is_there() {
    let here = checkout("docker");
    let services = services().await;
    let mut named = Vec::new();
    for service in services.as_object().unwrap().values() {
        if let Some(build) = service.get("build") {
            let context = here.join(build["context"].as_str().unwrap());
            named.push(context.join(build["dockerfile"].as_str().unwrap()));
        } else {
            // An image of others is named with its version.
            let image = service["image"].as_str().unwrap();
            assert!(image.rsplit_once(':').is_some_and(|(_, version)| version != "latest"), "{image}");
        }
        if let Some(volumes) = service.get("volumes") {
            named.extend(strings(volumes).iter().map(|volume| here.join(volume.split(':').next().unwrap())));
        }
    }
    assert!(named.len() >= 5, "{named:?}");
    for path in named {
        assert!(path.exists(), "{FILE} names {}, which is not there", path.display());
    }
}

#[tokio::test]
async fn its_containers_have_no_rights_and_write_no_file() {
    for (name, service) in services().await.as_object().unwrap() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        for key in ["privileged", "cap_add", "devices", "pid", "network_mode"] {
            assert_eq!(service.get(key), None, "{name}");
        }
        for volume in service.get("volumes").map(strings).unwrap_or_default() {
            assert!(volume.ends_with(":ro"), "{name}: {volume}");
        }
    }
}

#[tokio::test]
async fn only_manifold_is_published_and_what_is_for_operators_for_this_machine_alone() {
    let services = services().await;
    let (listen, admin) = server_ports(&text(CONFIG));
    let wanted = [format!("{listen}:{listen}"), format!("127.0.0.1:{admin}:{admin}")];
    assert_eq!(strings(&services["manifold"]["ports"]), wanted);
    for (name, service) in services.as_object().unwrap() {
        let ports = service.get("ports").map(strings).unwrap_or_default();
        assert!(name == "manifold" || ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{name}");
        assert!(["manifold", "grafana"].contains(&name.as_str()) || ports.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn manifold_has_the_health_check_of_its_image() {
    assert_eq!(services().await["manifold"].get("healthcheck"), None);
    let image = text("docker/Dockerfile");
    let (_, check) = image.split_once("\nHEALTHCHECK ").expect("the image has a health check");
    assert!(check.contains(r#"CMD ["/usr/local/bin/manifold", "healthcheck"]"#), "{check}");
}

#[tokio::test]
async fn manifold_is_stopped_after_its_drain() {
    let grace = services().await["manifold"]["stop_grace_period"].as_str().unwrap().to_owned();
    let grace: f64 = grace.strip_suffix('s').unwrap().parse().unwrap();
    let drain = server_number(&text(CONFIG), "drain_secs");
    assert!(grace > drain, "stop_grace_period {grace} is not above drain_secs {drain}");
}

#[tokio::test]
async fn the_configuration_loads_and_its_routes_lead_to_the_services() {
    loads(&checkout(CONFIG)).await;
    let services = services().await;
    let dockerfile = text("docker/compose/origin.Dockerfile");
    let (_, port) = dockerfile.split_once("CMD [\"0.0.0.0:").unwrap();
    let port = port.split('"').next().unwrap();
    let config = text(CONFIG);
    let whole: toml::Table = toml::from_str(&config).unwrap();
    let routes = whole["routes"].as_array().unwrap();
    assert_eq!(routes.len(), 2);
    for (route, name) in routes.iter().zip(["origin", "page"]) {
        let origin = route["origin"].as_str().unwrap();
        assert_eq!(origin, format!("${{{}:-http://{name}:{port}}}", name.to_uppercase()));
        assert!(services.get(name).is_some(), "no service {name}");
        assert!(strings(&services["manifold"]["depends_on"]).contains(&name));
    }
    let mounted = strings(&services["manifold"]["volumes"]);
    let source = Path::new(CONFIG).strip_prefix("docker").unwrap().display();
    assert_eq!(mounted, [format!("./{source}:/etc/manifold/manifold.toml:ro")]);
    assert!(table(&config, "server").contains_key("admin"));
}

/// The example of docs/container.md, in which manifold speaks TLS.
#[tokio::test]
async fn the_example_with_tls_names_what_its_configuration_needs() {
    let document = text("docs/container.md");
    let block = |language: &str, mark: &str| {
        let fence = format!("\n```{language}\n");
        let mut blocks = document.split(&fence).skip(1);
        let found =
            blocks.find_map(|rest| rest.split_once("\n```").map(|(block, _)| block).filter(|b| b.contains(mark)));
        found.unwrap_or_else(|| panic!("no {language} with {mark:?}")).to_owned()
    };
    let (compose, config) = (block("yaml", "services:"), block("toml", "# secure.toml"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("compose.yaml");
    std::fs::write(&file, &compose).unwrap();
    let mut check = python_tool("check-jsonschema");
    succeeds(check.args(["--builtin-schema", "vendor.compose-spec"]).arg(&file), "").await;
    let manifold = yaml(&compose).await.remove(0)["services"]["manifold"].take();
    let volumes = ["./secure.toml:/etc/manifold/manifold.toml:ro", "./tls:/run/secrets:ro"];
    assert_eq!(strings(&manifold["volumes"]), volumes);
    assert_eq!(manifold["read_only"], true);
    // The configuration loads with a certificate and a key where the folder is mounted.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, pem) in [("tls.crt", made.cert.pem()), ("tls.key", made.signing_key.serialize_pem())] {
        assert!(config.contains(&format!("\"/run/secrets/{name}\"")), "{config}");
        std::fs::write(folder.path().join(name), pem).unwrap();
    }
    let here = config.replace("/run/secrets", folder.path().to_str().unwrap());
    let secure = folder.path().join("secure.toml");
    std::fs::write(&secure, here).unwrap();
    loads(&secure).await;
    let [listen] = &secured_addresses(&config)[..] else { panic!("several addresses: {config}") };
    let port = listen.rsplit_once(':').unwrap().1;
    assert_eq!(strings(&manifold["ports"]), [format!("443:{port}")]);
    let exposed = text("docker/Dockerfile");
    let exposed = exposed.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    assert!(exposed.split(' ').any(|one| one == port), "{exposed}");
}

/// The addresses under `server.tls.listen`.
fn secured_addresses(config: &str) -> Vec<String> {
    let listen = &table(config, "server")["tls"]["listen"];
    listen.as_array().unwrap().iter().map(|address| address.as_str().unwrap().to_owned()).collect()
}
