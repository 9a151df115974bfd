//! Whatever is asked, bytes included, becomes one line of the ledger that says it again.

use super::reading::lines;

use lictor::decision::{Context, Request, Value, decide};
use lictor::policy::CompiledPolicy;
use lictor::record::{Ledger, Options};
use lictor::testing;
use proptest::prelude::*;
use serde_json::Value as Json;

const POLICY: &str = "version: 1
name: recorded
use: lictor/files@1
scopes: {scope: \"scope/**\"}
rules: [{id: all, allow: \"filesystem.*\", within: scope}]
";

fn bytes(value: &Json) -> Vec<u8> {
    match value {
        Json::String(text) => text.clone().into_bytes(),
        Json::Array(values) => bytes(&values[0]),
        other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) => {
            let b64 = other["b64"].as_str().unwrap_or_else(|| panic!("{other}"));
            data_encoding::BASE64.decode(b64.as_bytes()).unwrap()
        }
    }
}

/// What is asked: paths of every sort, and words that a log or a terminal could trip over.
fn asked() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        testing::paths::any("scope"),
        prop::collection::vec(any::<u8>(), 0..300),
        prop::sample::select(vec![
            "\n{\"v\":1}\n",
            "\u{2028}",
            "\u{2029}",
            "\u{85}",
            "\u{feff}",
            "\\u0000",
            "\"",
            "\\",
            "\u{202e}",
            "\r\n",
            "\u{1b}[2J",
            "{\"b64\":\"AA==\"}",
            "null",
            "\u{10ffff}",
            "\0",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_one_line_that_says_it_again(
        all in prop::collection::vec(asked(), 1..24), is_argv in any::<bool>(),
    ) {
        let place = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&place.path().join("ledger"), &Options::default()).unwrap();
        let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
        for path in &all {
            let request = match is_argv {
                true => Request::argv([b"cat".to_vec(), path.clone()]),
                false => Request::named("filesystem", "read_file").with_arg("path", Value::Text(path.clone())),
            };
            let decision = decide(&policy, &request, &Context::new("test"));
            ledger.record(&policy, &decision).unwrap();
        }
        ledger.close().unwrap();
        let mut told = Vec::new();
        for line in lines(&place.path().join("ledger")) {
            prop_assert_eq!(line.last(), Some(&b'\n'));
            let entry: Json = serde_json::from_slice(&line).unwrap();
            if entry["type"] == "decision" {
                let request = &entry["request"];
                let path = match is_argv {
                    true => &request["argv"][1],
                    false => &request["args"]["path"],
                };
                told.push(bytes(path));
            }
        }
        prop_assert_eq!(told, all);
    }
}
