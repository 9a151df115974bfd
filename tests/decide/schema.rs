//! `policy/schema.json`: what lictor loads it accepts, and what a person would get wrong while typing it
//! refuses.
//!
//! The validator below knows the keywords that the schema uses, and no others; that the schema is one of draft
//! 2020-12, and that a validator of others says the same, is tested where Python's is to be had
//! (`LICTOR_TEST_JSONSCHEMA` names a python with `jsonschema` and `PyYAML`; `test.sh` makes one).

use crate::support::need;
use std::collections::HashMap;
use std::process::Command;

use lictor::lint;
use lictor::policy::CompiledPolicy;
use regex::Regex;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../policy/schema.json");

/// Whether a value is valid. A keyword that is not known fails the test.
fn is_valid(root: &Value, schema: &Value, value: &Value) -> bool {
    let rules = match schema {
        Value::Bool(answer) => return *answer,
        Value::Object(rules) => rules,
        _ => panic!("no schema: {schema}"),
    };
    let valid = |schema: &Value| is_valid(root, schema, value);
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let object = value.as_object();
    rules.iter().all(|(keyword, rule)| match keyword.as_str() {
        "$schema" | "title" | "description" | "default" | "$defs" => true,
        "then" | "else" => rules.contains_key("if"),
        "$ref" => {
            let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
            valid(&root["$defs"][name])
        }
        "type" => match rule {
            Value::Array(types) => types.iter().any(|kind| is_a(kind.as_str().unwrap(), value)),
            kind => is_a(kind.as_str().unwrap(), value),
        },
        "const" => value == rule,
        "enum" => rule.as_array().unwrap().contains(value),
        "pattern" => value
            .as_str()
            .is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
        "minLength" => length.is_none_or(|length| length >= rule.as_u64().unwrap()),
        "maxLength" => length.is_none_or(|length| length <= rule.as_u64().unwrap()),
        "minimum" => value
            .as_i64()
            .is_none_or(|number| number >= rule.as_i64().unwrap()),
        "minItems" => value
            .as_array()
            .is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
        "minProperties" => {
            object.is_none_or(|object| object.len() as u64 >= rule.as_u64().unwrap())
        }
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| is_valid(root, rule, item))),
        "required" => object.is_none_or(|object| {
            rule.as_array()
                .unwrap()
                .iter()
                .all(|key| object.contains_key(key.as_str().unwrap()))
        }),
        "dependentRequired" => object.is_none_or(|object| {
            rule.as_object()
                .unwrap()
                .iter()
                .filter(|(key, _)| object.contains_key(*key))
                .all(|(_, needed)| {
                    needed
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|key| object.contains_key(key.as_str().unwrap()))
                })
        }),
        "properties" => object.is_none_or(|object| {
            object
                .iter()
                .all(|(key, value)| rule.get(key).is_none_or(|rule| is_valid(root, rule, value)))
        }),
        "additionalProperties" => object.is_none_or(|object| {
            let named = |key: &str| {
                rules
                    .get("properties")
                    .is_some_and(|named| named.get(key).is_some())
            };
            object
                .iter()
                .filter(|(key, _)| !named(key))
                .all(|(_, value)| is_valid(root, rule, value))
        }),
        "propertyNames" => object.is_none_or(|object| {
            object
                .keys()
                .all(|key| is_valid(root, rule, &Value::String(key.clone())))
        }),
        "anyOf" => rule.as_array().unwrap().iter().any(valid),
        "allOf" => rule.as_array().unwrap().iter().all(valid),
        "oneOf" => {
            rule.as_array()
                .unwrap()
                .iter()
                .filter(|rule| valid(rule))
                .count()
                == 1
        }
        "not" => !valid(rule),
        "if" => {
            let branch = if valid(rule) { "then" } else { "else" };
            rules.get(branch).is_none_or(valid)
        }
        other => panic!("the validator of this test does not know `{other}`"),
    })
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    }
}

/// Whether the schema accepts a document; none if it is no YAML.
fn accepts(text: &str) -> Option<bool> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    // A mark at the beginning that says UTF-8 is none of the document's text.
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_yaml::from_str(text).ok()?;
    Some(is_valid(&schema, &schema, &value))
}

/// Policies out of this repository, and whether they load.
fn policies() -> Vec<(String, String, bool)> {
    let mut found = Vec::new();
    for directory in [
        "policy/presets",
        "policy",
        "tests/golden/lint",
        "tests/golden/explain",
        "tests/golden/check",
    ] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let path = if path.is_dir() {
                path.join("lictor.yaml")
            } else {
                path
            };
            if path.extension().is_some_and(|end| end == "yaml") {
                let text = std::fs::read_to_string(&path);
                found.extend(text.map(|text| (path.display().to_string(), text)).ok());
            }
        }
    }
    for page in lint::pages() {
        for block in page.text().split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let text = if block.contains("version:") {
                block.to_owned()
            } else {
                format!("version: 1\nname: example\n{block}")
            };
            found.push((page.code.to_owned(), text));
        }
    }
    found
        .into_iter()
        .map(|(name, text)| {
            let loads = CompiledPolicy::from_yaml(&text).is_ok();
            (name, text, loads)
        })
        .collect()
}

#[test]
fn what_loads_is_accepted() {
    let policies = policies();
    assert!(policies.iter().filter(|(_, _, loads)| *loads).count() > 60);
    for (name, text, loads) in policies {
        assert!(!loads || accepts(&text) == Some(true), "{name}\n{text}");
    }
}

#[test]
fn what_an_editor_should_underline_is_refused() {
    let good = "version: 1\nname: x\nuse: lictor/pytest@1\nscopes: {tests: \"tests/**\"}\napprovals: {a: {env: A}}\nrules:\n  - {id: r, allow: pytest.run, within: tests, limits: {timeout: 300s}}\n";
    assert_eq!(accepts(good), Some(true));
    for (from, to) in [
        ("version: 1", "version: 2"),
        ("version: 1", "version: \"1\""),
        ("version: 1\n", ""),
        ("name: x\n", ""),
        ("name: x", "name: X Y"),
        ("rules:", "rulez:"),
        ("allow:", "alow:"),
        ("id: r, ", ""),
        ("allow: pytest.run, ", ""),
        ("allow: pytest.run", "allow: pytest.run, deny: pytest.run"),
        ("allow: pytest.run", "allow: pytest"),
        ("within: tests", "touching: tests"),
        ("within: tests", "within: tests/a"),
        ("timeout: 300s", "timeout: 300"),
        ("timeout: 300s", "timeout: 5 minutes"),
        ("timeout: 300s", "timeout: 0s"),
        ("timeout: 300s", "time: 300s"),
        ("\"tests/**\"", "\"/tests/**\""),
        ("\"tests/**\"", "\"tests/\""),
        ("\"tests/**\"", "\"./tests\""),
        ("\"tests/**\"", "\"tests**\""),
        ("\"tests/**\"", "\"tests/**.py\""),
        ("\"tests/**\"", "\"!tests\""),
        ("\"tests/**\"", "'tests\\a'"),
        ("\"tests/**\"", "[]"),
        ("\"tests/**\"", "{exclude: a}"),
        ("\"tests/**\"", "1.1"),
        ("\"tests/**\"", "null"),
        ("{env: A}", "{env: A, grant: true}"),
        ("{env: A}", "{}"),
        ("{env: A}", "{grant: true, accept: [x]}"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert!(
            CompiledPolicy::from_yaml(&bad).is_err(),
            "lictor accepts {from} -> {to}"
        );
        assert_eq!(accepts(&bad), Some(false), "{from} -> {to}");
    }
}

#[test]
fn every_key_has_a_description_or_a_name_for_it() {
    fn look(schema: &Value, at: &str, wrong: &mut Vec<String>) {
        let Some(object) = schema.as_object() else {
            return;
        };
        for (key, value) in object
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let told = value.is_boolean()
                || value.get("description").is_some()
                || value.get("$ref").is_some();
            if !told {
                wrong.push(format!("{at}/{key}"));
            }
        }
        for (key, value) in object {
            look(value, &format!("{at}/{key}"), wrong);
        }
    }
    let mut wrong = Vec::new();
    look(&serde_json::from_str(SCHEMA).unwrap(), "", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn another_validator_says_the_same() {
    let Some(python) = need::named("jsonschema") else {
        return;
    };
    let script = r"
import json, sys, jsonschema
job = json.load(sys.stdin)
jsonschema.Draft202012Validator.check_schema(job['schema'])
validator = jsonschema.Draft202012Validator(job['schema'])
print(json.dumps([validator.is_valid(value) for value in job['values']]))
";
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut ours = HashMap::new();
    let mut values = Vec::new();
    for (_, text, _) in policies() {
        if let (Ok(value), Some(accepted)) = (serde_yaml::from_str::<Value>(&text), accepts(&text))
        {
            ours.insert(values.len(), accepted);
            values.push(value);
        }
    }
    let job = serde_json::json!({"schema": schema, "values": values});
    let mut child = Command::new(python)
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), &job).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let theirs: Vec<bool> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(theirs.len() > 60);
    for (nth, theirs) in theirs.iter().enumerate() {
        assert_eq!(ours[&nth], *theirs, "{}", values[nth]);
    }
}

#[test]
fn the_schema_of_questions_fits_what_the_program_prints_and_says_what_a_wrong_answer_lacks() {
    let schema: Value =
        serde_json::from_str(include_str!("../../policy/approvals.schema.json")).unwrap();
    let list: Value = serde_json::from_str(include_str!("../data/approvals.json")).unwrap();
    assert!(is_valid(&schema, &schema, &list));
    let asks = list["asks"].as_array().unwrap();
    let with = |nth: usize, pointer: &str, value: Value| {
        let mut other = list.clone();
        *other["asks"][nth].pointer_mut(pointer).unwrap() = value;
        other
    };
    assert!(asks.len() == 3 && asks[0]["offers"].as_array().unwrap().len() == 3);
    for wrong in [
        with(0, "/state", "answered".into()),
        with(0, "/first", "yesterday".into()),
        with(0, "/offers/1/width", "everything".into()),
        with(0, "/offers/2/terms/extent/args", "all".into()),
        with(0, "/offers/2/terms/extent/paths", serde_json::json!({})),
        with(0, "/request/args", serde_json::json!({"path": "a"})),
    ] {
        assert!(!is_valid(&schema, &schema, &wrong), "{wrong:#}");
    }
}
