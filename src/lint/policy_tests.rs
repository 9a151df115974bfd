//! Runs a policy's own tests: each request is decided as it would be asked, and what is expected is
//! held against what came out.

#![forbid(unsafe_code)]

use crate::decision::{Context, Decision, Request, Value, decide};
use crate::policy::model::{Test, TestRequest, TestValue};
use crate::policy::{CompiledPolicy, Place};

/// Who asks in a test that does not say.
const ACTOR: &str = "test";

/// Result of one test.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TestOutcome {
    /// Where it stands.
    pub at: Place,
    /// Its name, if it has one.
    pub id: Option<String>,
    /// The request, for people.
    pub request: String,
    /// Differences; empty if it passed.
    pub failures: Vec<String>,
    /// The decision.
    pub decision: Decision,
}

impl TestOutcome {
    /// Returns true if all that was expected came out.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Runs all tests of a policy, in the order of the document.
///
/// ```
/// use lictor::lint::policy_tests;
/// use lictor::policy::CompiledPolicy;
///
/// let policy = CompiledPolicy::from_yaml(
///     "version: 1
/// name: tested
/// rules: []
/// tests:
///   - {run: [ls], expect: deny, reason: TOOL_NOT_ALLOWED}
///   - {run: [ls], expect: allow}
/// ",
/// )?;
/// let outcomes = policy_tests::run(&policy);
/// assert!(outcomes[0].passed());
/// assert_eq!(outcomes[1].failures, ["expected allow, got deny (TOOL_NOT_ALLOWED)"]);
/// # Ok::<(), lictor::policy::PolicyErrors>(())
/// ```
#[must_use]
pub fn run(policy: &CompiledPolicy) -> Vec<TestOutcome> {
    policy
        .tests()
        .iter()
        .map(|test| run_one(policy, test))
        .collect()
}

/// Runs one test, of the policy or not.
pub(super) fn run_one(policy: &CompiledPolicy, test: &Test) -> TestOutcome {
    let decision = decide(policy, &request(test), &context(test));
    let mut failures = Vec::new();
    let got = decision.effect().word();
    if got != test.expect {
        let why = decision
            .reason()
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        failures.push(format!("expected {}, got {got}{why}", test.expect));
    }
    let rules: Vec<&str> = decision
        .rules()
        .iter()
        .map(|rule| rule.id.as_str())
        .collect();
    if let Some(rule) = test
        .rule
        .as_ref()
        .filter(|rule| !rules.contains(&rule.as_str()))
    {
        let named = if rules.is_empty() {
            "no rule".to_owned()
        } else {
            format!("`{}`", rules.join("`, `"))
        };
        failures.push(format!("expected rule `{rule}`, got {named}"));
    }
    if let Some(reason) = test
        .reason
        .filter(|reason| Some(*reason) != decision.reason())
    {
        let got = decision.reason().map_or("none", |reason| reason.code());
        failures.push(format!("expected reason {reason}, got {got}"));
    }
    TestOutcome {
        at: policy.place(test.at),
        id: test.id.clone(),
        request: shown(test),
        failures,
        decision,
    }
}

/// The request of a test.
#[must_use]
pub fn request(test: &Test) -> Request {
    let request = match &test.request {
        TestRequest::Argv(words) => Request::argv(words.iter().map(String::as_str)),
        TestRequest::Named { tool, action, args } => args
            .iter()
            .fold(Request::named(tool, action), |request, (name, given)| {
                request.with_arg(name, value(given))
            }),
    };
    let request = match &test.cwd {
        Some(cwd) => request.with_cwd(cwd.as_str()),
        None => request,
    };
    request.with_actor(test.actor.as_deref().unwrap_or(ACTOR))
}

/// Context that a test gives.
#[must_use]
pub fn context(test: &Test) -> Context {
    let context = test
        .env
        .iter()
        .fold(Context::new(ACTOR), |context, (name, value)| {
            context.with_switch(name, value)
        });
    let context = test.approved.iter().fold(context, Context::with_approval);
    match test.at_time {
        Some(now) => context.with_time(now),
        None => context,
    }
}

fn value(given: &TestValue) -> Value {
    match given {
        TestValue::Null => Value::Null,
        TestValue::Flag(flag) => Value::Flag(*flag),
        TestValue::Text(text) => Value::from(text.as_str()),
        TestValue::List(values) => Value::List(values.iter().map(value).collect()),
    }
}

fn shown(test: &Test) -> String {
    let request = match &test.request {
        TestRequest::Argv(words) => words
            .iter()
            .map(|word| word.escape_debug().to_string())
            .collect::<Vec<_>>()
            .join(" "),
        TestRequest::Named { tool, action, args } => {
            let args = args
                .iter()
                .map(|(name, given)| format!(" {name}={}", shown_value(given)));
            format!("{tool}.{action}{}", args.collect::<String>())
        }
    };
    match &test.cwd {
        Some(cwd) => format!("{request} (in {})", cwd.escape_debug()),
        None => request,
    }
}

fn shown_value(given: &TestValue) -> String {
    match given {
        TestValue::Null => "null".to_owned(),
        TestValue::Flag(flag) => flag.to_string(),
        TestValue::Text(text) => text.escape_debug().to_string(),
        TestValue::List(values) => format!(
            "[{}]",
            values
                .iter()
                .map(shown_value)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
