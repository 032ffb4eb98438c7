//! The manifests of docker/kubernetes, as kubectl renders them.

use crate::checkout::{checkout, python_tool, server_number, server_ports, succeeds, text, yaml};
use serde_json::{Value, json};
use tokio::process::Command;

pub const FOLDER: &str = "docker/kubernetes";

/// The oldest Kubernetes that supports the manifests, and the newest one for which the checker has schemas.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// The manifests that `kubectl apply -k` would send.
pub async fn rendered() -> String {
    succeeds(Command::new("kubectl").arg("kustomize").arg(checkout(FOLDER)), "").await
}

/// The manifests, found by their kind.
pub struct Manifests(Vec<Value>);

impl Manifests {
    pub async fn read() -> Self {
        Self(yaml(&rendered().await).await)
    }

    pub fn of_kind(&self, kind: &str) -> &Value {
        let mut found = self.0.iter().filter(|manifest| manifest["kind"] == kind);
        let manifest = found.next().unwrap_or_else(|| panic!("no {kind}"));
        assert!(found.next().is_none(), "more than one {kind}");
        manifest
    }

    pub fn pod(&self) -> &Value {
        &self.of_kind("Deployment")["spec"]["template"]
    }

    pub fn container(&self) -> &Value {
        let containers = self.pod()["spec"]["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1);
        &containers[0]
    }

    /// The configuration in the ConfigMap.
    pub fn config(&self) -> &str {
        self.of_kind("ConfigMap")["data"]["manifold.toml"].as_str().unwrap()
    }

    /// The number of a port that the container names.
    pub fn port(&self, name: &Value) -> u64 {
        let ports = self.container()["ports"].as_array().unwrap();
        let port = ports.iter().find(|port| port["name"] == *name).unwrap_or_else(|| panic!("no port {name}"));
        port["containerPort"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn the_manifests_are_valid_and_have_no_unknown_key() {
    let rendered = rendered().await;
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), rendered).unwrap();
    for version in VERSIONS {
        let mut check = python_tool("kubernetes-validate");
        succeeds(check.args(["--strict", "--quiet", "-k", version]).arg(file.path()), "").await;
    }
}

/// Checks the profile "restricted" of the Pod Security Standards, as far as such a Deployment can break it.
#[tokio::test]
async fn the_pods_meet_the_restricted_profile() {
    let manifests = Manifests::read().await;
    let spec = &manifests.pod()["spec"];
    for key in ["hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"] {
        assert_eq!(spec.get(key), None);
    }
    let pod = &spec["securityContext"];
    assert_eq!(pod["runAsNonRoot"], true);
    let image = text("docker/Dockerfile");
    let user = format!("\nUSER {}:{}\n", pod["runAsUser"], pod["runAsGroup"]);
    assert!(image.contains(&user), "the image's user is not{user}");
    assert_eq!(pod["seccompProfile"], json!({ "type": "RuntimeDefault" }));
    let container = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    });
    assert_eq!(manifests.container()["securityContext"], container);
    for volume in spec["volumes"].as_array().unwrap() {
        assert!(volume.get("configMap").is_some(), "{volume}");
    }
    for port in manifests.container()["ports"].as_array().unwrap() {
        assert_eq!(port.get("hostPort"), None);
    }
    assert_eq!(spec["automountServiceAccountToken"], false);
}

#[tokio::test]
async fn a_pod_has_the_time_to_drain() {
    let manifests = Manifests::read().await;
    let grace = manifests.pod()["spec"]["terminationGracePeriodSeconds"].as_f64().unwrap();
    let pause = manifests.container()["lifecycle"]["preStop"]["sleep"]["seconds"].as_f64().unwrap();
    let drain = server_number(manifests.config(), "drain_secs");
    let margin = grace - pause - drain;
    assert!(
        margin >= 5.0,
        "of {grace} s, after {pause} s of preStop and {drain} s of drain, there are {margin} s left"
    );
    let comment = format!("preStop.sleep ({pause}) + drain_secs in manifold.toml ({drain}) + a margin ({margin})");
    assert!(text("docker/kubernetes/deployment.yaml").contains(&comment), "the comment is not: {comment}");
}

#[tokio::test]
async fn labels_and_selectors_fit() {
    let manifests = Manifests::read().await;
    let labels = &manifests.pod()["metadata"]["labels"];
    assert!(!labels.as_object().unwrap().is_empty());
    let spread = &manifests.pod()["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
    let selectors = [
        &manifests.of_kind("Deployment")["spec"]["selector"]["matchLabels"],
        &manifests.of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &manifests.of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        &manifests.of_kind("Service")["spec"]["selector"],
        spread,
    ];
    for selector in selectors {
        assert_eq!(selector, labels);
    }
}

#[tokio::test]
async fn ports_and_probes_fit_the_configuration() {
    let manifests = Manifests::read().await;
    let (listen, admin) = server_ports(manifests.config());
    assert_eq!((manifests.port(&json!("http")), manifests.port(&json!("admin"))), (listen, admin));
    for (probe, path) in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        let asked = &manifests.container()[probe]["httpGet"];
        assert_eq!((&asked["path"], manifests.port(&asked["port"])), (&json!(path), admin), "{probe}");
    }
    let [service] = &manifests.of_kind("Service")["spec"]["ports"].as_array().unwrap()[..] else { panic!("ports") };
    assert_eq!(manifests.port(&service["targetPort"]), listen, "the Service has the clients' port, and not the other");
    let ingress = &manifests.of_kind("NetworkPolicy")["spec"]["ingress"];
    assert_eq!(ingress, &json!([{ "ports": [{ "port": "http" }] }]), "nothing but the clients' port is open to pods");
}

#[tokio::test]
async fn the_configuration_is_mounted_where_manifold_looks_for_it() {
    let manifests = Manifests::read().await;
    let [mount] = &manifests.container()["volumeMounts"].as_array().unwrap()[..] else { panic!("mounts") };
    let [volume] = &manifests.pod()["spec"]["volumes"].as_array().unwrap()[..] else { panic!("volumes") };
    assert_eq!(mount["mountPath"], "/etc/manifold");
    assert_eq!(mount["name"], volume["name"]);
    let name = manifests.of_kind("ConfigMap")["metadata"]["name"].as_str().unwrap();
    assert_eq!(volume["configMap"]["name"], name);
    assert!(name.starts_with("manifold-"), "{name} has no checksum, so a changed configuration replaces no pod");
    assert_eq!(manifests.container().get("args"), None);
}

#[tokio::test]
async fn a_new_pod_is_ready_before_an_old_one_goes() {
    let manifests = Manifests::read().await;
    let rolling = &manifests.of_kind("Deployment")["spec"]["strategy"]["rollingUpdate"];
    assert_eq!(rolling["maxUnavailable"], 0);
    assert_eq!(manifests.of_kind("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    // A Service named manifold would set MANIFOLD_PORT and the like.
    assert_eq!(manifests.pod()["spec"]["enableServiceLinks"], false);
    let image = manifests.container()["image"].as_str().unwrap();
    assert!(image.ends_with(concat!("/manifold:", env!("CARGO_PKG_VERSION"))), "{image} is not this version");
}
