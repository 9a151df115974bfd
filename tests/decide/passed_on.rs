//! What a tool adds to a request before it is run: a suffix behind values, the way to the workspace in
//! fixed words, variables of its own.

use lictor::decision::{Context, Decision, Effect, Request, decide};
use lictor::lint::{self, Options, Unknown};
use lictor::policy::CompiledPolicy;
use lictor::reason::Reason;

const POLICY: &str = r#"
version: 1
name: passed
tools:
  t:
    program: t
    fixed: ["--top={workspace}/.t", "--in", "{workspace}"]
    env: {T_MODE: quiet, T_NET: "0"}
    args:
      dir: {type: path, option: "-C", base: true, access: read, tree: names}
    actions:
      look:
        command: look
        args:
          at: {type: text, option: "--at", pattern: "[a-z]+", suffix: "^{x}"}
          rev: {type: text, pattern: "[a-z]*([.]{2,3}[a-z]*)?", suffix: "^{x}", means: small letters, repeat: true}
      sum:
        command: sum
        args: {kind: {type: choice, names: ["--count", "-c", "--size"], required: true, repeat: true}}
      send:
        command: send
        env: {T_NET: "1"}
scopes: {all: ["**"]}
defaults: {env: {set: {T_MODE: loud, OWN: "1"}}}
rules:
  - {id: a, allow: "t.*", within: all, env: {set: {T_NET: "2"}}}
"#;

fn decided(request: &Request) -> Decision {
    let policy = CompiledPolicy::from_yaml(POLICY).unwrap();
    decide(&policy, request, &Context::new("test"))
}

fn line(line: &str) -> Request {
    Request::argv(line.split_whitespace())
}

/// The line is passed on as the other, which is passed on as it is.
#[track_caller]
fn passed(given: &str, expected: &str) {
    for given in [given, expected] {
        let decision = decided(&line(given));
        assert_eq!(
            decision.effect(),
            Effect::Allow,
            "{given}: {}",
            decision.message()
        );
        assert_eq!(decision.argv().unwrap().join(" "), expected, "{given}");
    }
}

#[track_caller]
fn refused(given: &str, reason: Reason) {
    let decision = decided(&line(given));
    assert_eq!(
        decision.reason(),
        Some(reason),
        "{given}: {}",
        decision.message()
    );
}

#[test]
fn a_suffix_stands_behind_each_side_and_once() {
    const HERE: &str = "t --top=./.t --in . look";
    passed("t look main", &format!("{HERE} main^{{x}}"));
    passed(
        "t look --at a b..c",
        &format!("{HERE} --at=a^{{x}} b^{{x}}..c^{{x}}"),
    );
    passed("t look b...", &format!("{HERE} b^{{x}}..."));
    passed("t look ..c d", &format!("{HERE} ..c^{{x}} d^{{x}}"));
    refused("t look b^{y}", Reason::ArgumentInvalid);
    refused("t look ^{x}", Reason::ArgumentInvalid);
    refused("t look --at=a..b", Reason::ArgumentInvalid);
}

#[test]
fn a_choice_of_flags_is_passed_as_it_is_written_and_selects_an_action() {
    const HERE: &str = "t --top=./.t --in . sum";
    passed("t sum --size", &format!("{HERE} --size"));
    passed("t sum -c --size -c", &format!("{HERE} -c --size -c"));
    let named = decided(&Request::named("t", "sum").with_arg("kind", "--count"));
    assert_eq!(named.argv().unwrap().join(" "), format!("{HERE} --count"));
    refused("t sum", Reason::ArgumentRequired);
    refused("t sum --count=1", Reason::ArgumentUnknown);
    let named = decided(&Request::named("t", "sum").with_arg("kind", "--other"));
    assert_eq!(named.reason(), Some(Reason::ArgumentInvalid));
}

#[test]
fn a_value_that_does_not_fit_is_answered_in_words() {
    let decision = decided(&line("t look b^{y}"));
    assert_eq!(
        decision.message(),
        "argument `rev` cannot be `b^{y}`: it is not small letters"
    );
}

#[test]
fn both_spellings_of_a_suffixed_value_are_one_request() {
    let by_name = |at: &str| decided(&Request::named("t", "look").with_arg("at", at));
    let by_line = |at: &str| decided(&line(&format!("t look --at {at}")));
    assert_eq!(by_name("a").argv(), by_name("a^{x}").argv());
    let args = |decision: &Decision| decision.to_json()["request"]["args"].clone();
    assert_eq!(args(&by_line("a")), args(&by_line("a^{x}")));
}

#[test]
fn fixed_words_lead_from_where_paths_start_to_the_workspace() {
    passed("t look", "t --top=./.t --in . look");
    passed(
        "t -C src/x look",
        "t --top=../../.t --in ../.. -C src/x look",
    );
    let from = |cwd: &str, words: &str| decided(&line(words).with_cwd(cwd));
    let decision = from("src", "t look");
    assert_eq!(
        decision.argv().unwrap().join(" "),
        "t --top=../.t --in .. look"
    );
    let decision = from("src", "t -C a/b look");
    assert_eq!(
        decision.argv().unwrap().join(" "),
        "t --top=../../../.t --in ../../.. -C a/b look"
    );
    // Another way than the one that it is names another place.
    refused("t --top=../.t look", Reason::ArgumentInvalid);
    refused("t --top=./.t -C src look", Reason::ArgumentInvalid);
    refused("t --top=./../.t look", Reason::ArgumentUnknown);
    refused("t --top=/.t look", Reason::ArgumentUnknown);
    refused("t --top={workspace}/.t look", Reason::ArgumentUnknown);
    refused("t --in .. look", Reason::ArgumentInvalid);
}

#[test]
fn variables_of_a_tool_hold_whatever_a_rule_sets() {
    let env = |words: &str| {
        let decision = decided(&line(words));
        let mut set = decision.terms().unwrap().env.set.clone();
        set.sort();
        set.iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(env("t look"), "OWN=1 T_MODE=quiet T_NET=0");
    assert_eq!(env("t send"), "OWN=1 T_MODE=quiet T_NET=1");
}

#[test]
fn the_places_of_the_new_keys_are_checked() {
    #[track_caller]
    fn fails(from: &str, to: &str, says: &str) {
        let errors = CompiledPolicy::from_yaml(&POLICY.replace(from, to)).unwrap_err();
        assert!(errors.to_string().contains(says), "{errors}");
    }
    fails(
        "suffix: \"^{x}\"}",
        "suffix: \"a..b\"}",
        "cannot stand behind a value",
    );
    fails(
        "type: text, option",
        "type: choice, of: [a], option",
        "suffix",
    );
    fails(
        "{workspace}/.t",
        "{workspace}{workspace}",
        "twice in one word",
    );
    fails("T_NET: \"0\"", "T-NET: \"0\"", "cannot be set");
    fails("    program: t\n", "", "env");
    fails(
        "kind: {type: choice,",
        "kind: {type: choice, of: [a],",
        "of",
    );
    fails("kind: {type: choice,", "kind: {type: text,", "names");
}

#[test]
fn lines_of_two_actions_are_told_apart_with_the_suffix() {
    let both = |pattern: &str| {
        let other = format!(
            "      send:\n        command: look\n        args: {{other: {{type: text, pattern: \"{pattern}\", required: true}}}}\n"
        );
        let from = "      send:\n        command: send\n";
        assert!(POLICY.contains(from));
        let policy = CompiledPolicy::from_yaml(&POLICY.replace(from, &other)).unwrap();
        let report = lint::run(&policy, &Unknown, &Options::default());
        let has = |code: &str| report.diagnostics.iter().any(|found| found.code == code);
        assert!(!has("L215"), "{pattern}");
        has("X301")
    };
    assert!(both("a[bc]"));
    // The first action reads its value with the suffix, too, and words of a range with one between.
    assert!(both("a[\\\\^][{]x[}]"));
    assert!(both("a[\\\\^][{]x[}][.][.]b"));
    assert!(!both("A+"));
    assert!(!both("a[\\\\^][{]x[}]b"));
}
