//! Every preset and the compiled-in default load, pass their own tests, and lint clean.

use lictor::lint::{self, Options, Unknown, policy_tests};
use lictor::policy::CompiledPolicy;

fn presets() -> Vec<(String, String)> {
    let mut found = vec![("default".to_owned(), "policy/default.yaml".to_owned())];
    for entry in std::fs::read_dir("policy/presets").unwrap() {
        let path = entry.unwrap().path();
        found.push((
            path.file_stem().unwrap().to_string_lossy().into_owned(),
            path.display().to_string(),
        ));
    }
    found
}

#[test]
fn every_preset_loads_and_passes_its_tests() {
    let presets = presets();
    assert!(presets.len() >= 7);
    let mut wrong = Vec::new();
    for (name, path) in presets {
        let policy = CompiledPolicy::from_yaml(&std::fs::read_to_string(&path).unwrap());
        let policy = match policy {
            Ok(policy) => policy,
            Err(errors) => {
                wrong.push(format!("{path}\n{errors}"));
                continue;
            }
        };
        let outcomes = policy_tests::run(&policy);
        assert!(
            name == "default" || outcomes.len() >= 5,
            "{path} has {} tests",
            outcomes.len()
        );
        let failed: Vec<_> = outcomes
            .iter()
            .filter(|outcome| !outcome.passed())
            .map(|outcome| (outcome.at.line, &outcome.request, &outcome.failures))
            .collect();
        wrong.extend(failed.iter().map(|failed| format!("{path}: {failed:?}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_preset_lints_clean() {
    for (_, path) in presets() {
        let text = std::fs::read_to_string(&path).unwrap();
        let policy = CompiledPolicy::from_yaml(&text).unwrap();
        let report = lint::run(&policy, &Unknown, &Options::default());
        let found: Vec<_> = report
            .diagnostics
            .iter()
            .map(|found| (found.code, found.at.line, &found.message))
            .collect();
        assert!(found.is_empty(), "{path}: {found:?}");
    }
}
