//! What `lictor lint` is given: a tool library is looked at as one, and a file that cannot be read is missing in no answer.

use serde_json::Value as Json;

use crate::support::program::Place;

const LIBRARY: &str = r#"version: 1
tools:
  wc:
    program: wc
    actions:
      run:
        args:
          files: {type: path, required: true, repeat: true}
          out: {type: path, option: "-o", access: write}
"#;

const POLICY: &str = r#"version: 1
name: lint-files
use: [tools/wc.yaml]
scopes: {all: "**"}
rules: [{id: count, allow: wc.run, within: all, reason: Counting is harmless.}]
"#;

fn place() -> Place {
    let place = Place::with_policy(POLICY);
    place.write("tools/wc.yaml", LIBRARY);
    place
}

/// The codes that lint reports for a file or standard input, with their lines.
fn found(place: &Place, file: &str, input: &str) -> Vec<(String, u64)> {
    let start = place.lictor(["lint", "--json", file]).input(input);
    let findings = start.end().json();
    let one = |found: &Json| {
        let code = found["code"].as_str().unwrap().to_owned();
        (code, found["line"].as_u64().unwrap())
    };
    findings.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn a_tool_library_is_looked_at_as_a_library() {
    let place = place();
    let expected =
        [("X312", 8), ("X312", 9), ("X317", 9)].map(|(code, line)| (code.to_owned(), line));
    assert_eq!(found(&place, "tools/wc.yaml", ""), expected);
    assert_eq!(found(&place, "-", LIBRARY), expected);
    // Nothing of a policy is asked of it, and it may say why a finding is meant.
    let quiet = LIBRARY
        .replace(
            "          files",
            "          # lint: allow X312 -- wc descends into nothing\n          files",
        )
        .replace(
            "          out",
            "          # lint: allow X312, X317 -- as above\n          out",
        );
    assert_eq!(found(&place, "-", &quiet), []);
    let clean = place.lictor(["lint", "-"]).input(quiet).end();
    assert_eq!(clean.ends_with_code(0).stderr, "1 file clean\n");
    // Its own mistakes, in its own words.
    let wrong = LIBRARY
        .replace("version: 1", "version: 1\ndescription: mine")
        .replace("access", "acess");
    let answer = place
        .lictor(["lint", "-"])
        .input(wrong)
        .end()
        .ends_with_code(1);
    for part in [
        "a tool library has no key `description`",
        "did you mean `access`?",
    ] {
        assert!(answer.stdout.contains(part), "{part}: {answer:?}");
    }
    // What a policy needs is asked of a policy.
    assert_eq!(
        found(&place, "-", &format!("{LIBRARY}rules: []\n"))
            .first()
            .unwrap()
            .0,
        "P006"
    );
    // The libraries of the program are clean, and nothing of them is left unknown.
    for name in ["cargo", "coreutils", "files", "git", "npm", "pytest"] {
        let library = format!("{}/policy/tools/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let library = std::fs::read_to_string(library).unwrap();
        let found = found(&place, "-", &library);
        assert_eq!(found, [], "{name}");
    }
}

#[test]
fn a_tool_library_is_no_policy_and_is_fixed_like_one() {
    let place = place();
    for command in [
        &["check", "--policy", "tools/wc.yaml", "--", "wc", "a"][..],
        &["prove", "tools/wc.yaml"],
    ] {
        let answer = place.lictor(command).end().ends_with_code(2);
        let text = format!("{}{}", answer.stdout, answer.stderr);
        assert!(
            text.contains("this is a tool library") && text.contains("use: [FILE]"),
            "{text}"
        );
    }
    place.write(
        "tools/wrong.yaml",
        LIBRARY.replace("program: wc", "program: 1.10"),
    );
    place.lictor(["lint", "--fix", "tools/wrong.yaml"]).end();
    let fixed = std::fs::read_to_string(place.work().join("tools/wrong.yaml")).unwrap();
    assert!(fixed.contains("program: \"1.10\""), "{fixed}");
}

#[test]
fn a_file_that_cannot_be_read_stands_in_every_answer_to_a_program() {
    let place = place();
    place.write("bytes.yaml", b"\xff\xfe");
    for unread in ["none.yaml", "bytes.yaml", "/dev/zero"] {
        for files in [
            &[unread][..],
            &["lictor.yaml", unread],
            &[unread, "lictor.yaml"],
        ] {
            let lint = |format: &str| {
                let words = [&["lint", "--format", format], files].concat();
                let answer = place.lictor(words).end().ends_with_code(2);
                assert!(answer.stderr.contains("cannot be read"), "{answer:?}");
                answer
            };
            let json = lint("json").json();
            let is_unread = |found: &&Json| found["code"] == "P018";
            let found: Vec<&Json> = json.as_array().unwrap().iter().filter(is_unread).collect();
            assert_eq!(found.len(), 1, "{json}");
            assert_eq!(
                (&found[0]["file"], &found[0]["level"]),
                (&unread.into(), &"error".into())
            );

            let sarif = lint("sarif").json();
            let run = &sarif["runs"][0];
            let invocation = &run["invocations"][0];
            assert_eq!(invocation["executionSuccessful"], false);
            let notification = &invocation["toolExecutionNotifications"][0];
            let place = &notification["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], unread);
            let text = notification["message"]["text"].as_str().unwrap();
            assert!(text.contains("cannot be read"), "{text}");
            let mut results = run["results"].as_array().unwrap().iter();
            assert!(results.all(|result| result["ruleId"] != "P018"));

            for format in ["junit", "github"] {
                let text = lint(format).stdout;
                assert!(text.contains("P018") && text.contains(unread), "{text}");
            }
        }
    }
    let sarif = place.lictor(["lint", "--format", "sarif"]).end().json();
    assert_eq!(
        sarif["runs"][0]["invocations"][0]["executionSuccessful"],
        true
    );
}

#[test]
fn tests_and_proofs_name_the_policies_that_could_not_be_loaded() {
    let place = place();
    for command in ["test", "prove"] {
        for files in [&["none.yaml"][..], &["lictor.yaml", "none.yaml"]] {
            let words = [&["--json", command], files].concat();
            let answer = place.lictor(words).end().ends_with_code(2);
            let unread = answer.json()["unread"].clone();
            assert_eq!(unread[0]["file"], "none.yaml");
            let why = unread[0]["error"].as_str().unwrap();
            assert!(
                why.contains("cannot be read") && !why.contains("error:"),
                "{why}"
            );
        }
    }
    let words = ["test", "--format", "junit", "none.yaml", "lictor.yaml"];
    let text = place.lictor(words).end().ends_with_code(2).stdout;
    assert!(
        text.contains("failures=\"1\"") && text.contains("file=\"none.yaml\""),
        "{text}"
    );
}
