//! The workflows of .github follow GitHub's schema, and call what there is.

use crate::checkout::{checkout, python_tool, succeeds, text, texts, yaml};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Every workflow, with its name.
async fn workflows() -> Vec<(PathBuf, Value)> {
    let mut paths: Vec<_> =
        std::fs::read_dir(checkout(".github/workflows")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut workflows = Vec::new();
    for path in paths {
        let [workflow] = &yaml(&std::fs::read_to_string(&path).unwrap()).await[..] else { panic!("{path:?}") };
        workflows.push((path, workflow.clone()));
    }
    assert!(workflows.len() >= 3, "{workflows:?}");
    workflows
}

#[tokio::test]
async fn the_workflows_follow_the_schema_of_github() {
    let mut check = python_tool("check-jsonschema");
    check.args(["--builtin-schema", "vendor.github-workflows"]);
    check.args(workflows().await.into_iter().map(|(path, _)| path));
    succeeds(&mut check, "").await;
}

/// A tag of an action can be moved to other code. The name of a commit cannot.
#[tokio::test]
async fn each_action_is_pinned_to_a_commit_and_its_version_is_named() {
    for (path, workflow) in workflows().await {
        let written = std::fs::read_to_string(&path).unwrap();
        let mut actions = Vec::new();
        texts(&workflow, "uses", &mut actions);
        assert!(!actions.is_empty(), "{path:?}");
        for action in actions {
            let commit = action.split_once('@').unwrap_or_else(|| panic!("{path:?}: {action}")).1;
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_explained = written.contains(&format!("uses: {action} # v"));
            assert!(is_commit && is_explained, "{path:?}: {action}");
        }
    }
}

/// Only the jobs of a release may change anything, and each says what.
#[tokio::test]
async fn no_workflow_has_rights_that_it_does_not_need() {
    for (path, workflow) in workflows().await {
        let all = &workflow["permissions"];
        assert!(*all == json!({}) || *all == json!({"contents": "read"}), "{path:?}: {all}");
        let is_release = path.ends_with("release.yml");
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert_eq!(job["permissions"].is_object(), is_release, "{path:?}: {name}");
            assert!(job["timeout-minutes"].as_u64().is_some_and(|minutes| minutes <= 90), "{path:?}: {name}");
        }
    }
}

#[tokio::test]
async fn the_workflows_call_scripts_and_targets_that_exist() {
    let makefile = text("Makefile");
    let mut called = Vec::new();
    for (path, workflow) in workflows().await {
        let mut commands = Vec::new();
        texts(&workflow, "run", &mut commands);
        for line in commands.into_iter().flat_map(str::lines) {
            let mut words = line.split_whitespace();
            let (program, argument) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if program == "make" {
                assert!(makefile.contains(&format!("\n{argument}: ")), "{path:?}: {line}");
                called.push(line.to_owned());
            } else if program.starts_with("scripts/") || program.starts_with(".ci/") {
                let file =
                    std::fs::metadata(checkout(program)).unwrap_or_else(|error| panic!("{path:?}: {line}: {error}"));
                assert!(file.permissions().mode() & 0o111 != 0, "{path:?}: {program} is not executable");
                called.push(program.to_owned());
            }
        }
    }
    for part in [".ci/run", "make audit", "make package", "make try-package", "make image", "scripts/release-notes"] {
        assert!(called.iter().any(|call| call == part), "{part} is not in {called:?}");
    }
}
