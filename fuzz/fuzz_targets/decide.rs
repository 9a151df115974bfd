//! Requests from any bytes against the policies that are shipped: no panic, and an allow only for paths
//! that are canonical.
//!
//! The first byte chooses the policy and the form. A command line is the rest, split at line feeds; the
//! other form is a line of JSON, as `check --batch` reads it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lictor::decision::{Context, Effect, Request, decide, explain};
use lictor::path::{CanonicalPath, Switches};
use lictor::policy::CompiledPolicy;

static POLICIES: LazyLock<Vec<CompiledPolicy>> = LazyLock::new(|| {
    [
        include_str!("../../policy/presets/lifeos-pytest.yaml"),
        include_str!("../../policy/presets/quickstart.yaml"),
        include_str!("../../policy/presets/git.yaml"),
        include_str!("../../policy/presets/cargo.yaml"),
        include_str!("../../policy/presets/npm.yaml"),
    ]
    .iter()
    .map(|text| CompiledPolicy::from_yaml(text).expect("a preset loads"))
    .collect()
});

fuzz_target!(|data: &[u8]| {
    let [choice, rest @ ..] = data else { return };
    let choice = usize::from(*choice);
    let policy = &POLICIES[choice / 2 % POLICIES.len()];
    let context = Context::new("fuzz").with_switch("PYTEST_EXECUTION_ENABLED", "1");
    let request = if choice % 2 == 0 {
        Request::argv(rest.split(|byte| *byte == b'\n').map(<[u8]>::to_vec))
    } else {
        match std::str::from_utf8(rest)
            .ok()
            .and_then(|line| Request::from_json(line).ok())
        {
            Some((_, request)) => request,
            None => return,
        }
    };
    let decision = decide(policy, &request, &context);
    let json = decision.to_json().to_string();
    assert!(!json.contains('\n'));
    match decision.effect() {
        Effect::Allow => {
            let relaxed = Switches::default();
            for finding in decision.findings() {
                let canonical = finding
                    .canonical
                    .as_deref()
                    .expect("an allowed path is canonical");
                let is_workspace = canonical == ".";
                assert!(
                    is_workspace || CanonicalPath::parse(canonical.as_bytes(), &relaxed).is_ok(),
                    "{json}"
                );
            }
            if let Some(argv) = decision.argv() {
                // What is executed says the same when it is asked for.
                let again = decide(policy, &Request::argv(argv.iter().copied()), &context);
                if again.effect() == Effect::Allow && request.actor().is_none() {
                    assert_eq!(again.argv(), decision.argv(), "{json}");
                }
            }
        }
        Effect::Ask | Effect::Deny => assert!(decision.reason().is_some(), "{json}"),
    }
    let explained = explain(policy, &request, &context);
    assert_eq!(explained.decision.effect(), decision.effect());
});
