//! The section `tests`: requests with what they are given and what is expected.

#![forbid(unsafe_code)]

use super::Decoder;
use super::fields::Fields;
use crate::policy::error::{Code, Problem};
use crate::policy::model::{Test, TestRequest, TestValue};
use crate::policy::readers::is_plain_number;
use crate::policy::source::{Node, Value};
use crate::reason::Reason;

impl Decoder {
    pub(super) fn test(&mut self, node: &Node) -> Option<Test> {
        let keys = &[
            "id", "run", "tool", "action", "args", "cwd", "given", "expect", "rule", "reason",
        ];
        let fields = self.fields(node, "a test", keys)?;
        let request = self.test_request(&fields)?;
        let mut test = Test {
            at: fields.start(),
            id: self.optional(&fields, "id", Self::name),
            request,
            cwd: self.optional(&fields, "cwd", Self::text),
            env: Vec::new(),
            approved: Vec::new(),
            actor: None,
            at_time: None,
            expect: String::new(),
            rule: self.optional(&fields, "rule", Self::text),
            reason: self.optional(&fields, "reason", Self::reason),
        };
        let effects = [("allow", "allow"), ("ask", "ask"), ("deny", "deny")];
        if fields.get("expect").is_none() {
            self.missing(&fields, "expect", "`allow`, `ask` or `deny`");
        }
        test.expect = self.word(&fields, "expect", effects)?.to_owned();
        if let Some(given) = fields.get("given") {
            self.given(given, &mut test);
        }
        Some(test)
    }

    fn test_request(&mut self, fields: &Fields<'_>) -> Option<TestRequest> {
        if let Some(run) = fields.get("run") {
            self.only_with(fields, &["tool", "action", "args"], "a test without `run`");
            let Value::List(items) = &run.value else {
                self.wrong(
                    run,
                    "`run` is a list of words, for example `[pytest, -v, tests]`",
                );
                return None;
            };
            let words: Vec<_> = items
                .iter()
                .filter_map(|item| self.argv_word(item))
                .collect();
            return (words.len() == items.len()).then_some(TestRequest::Argv(words));
        }
        let tool = self.required(fields, "tool", "or `run`: what is asked for?", Self::text);
        let action = self.required(fields, "action", "which action of the tool", Self::text);
        let args = match fields.get("args") {
            Some(node) => self.named(node, "args", |d, name, _, value| {
                Some((name, d.test_value(value)?))
            }),
            None => Vec::new(),
        };
        Some(TestRequest::Named {
            tool: tool?,
            action: action?,
            args,
        })
    }

    /// A word of a command line; a number is the text it is written with.
    fn argv_word(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Number(text) if is_plain_number(text) => Some(text.clone()),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Text { .. }
            | Value::List(_)
            | Value::Map(_) => self.text(node),
        }
    }

    fn test_value(&mut self, node: &Node) -> Option<TestValue> {
        match &node.value {
            Value::Null => Some(TestValue::Null),
            Value::Bool(value) => Some(TestValue::Flag(*value)),
            Value::Number(_) | Value::Text { .. } => self.argv_word(node).map(TestValue::Text),
            Value::List(items) => {
                let values: Vec<_> = items
                    .iter()
                    .filter_map(|item| self.test_value(item))
                    .collect();
                (values.len() == items.len()).then_some(TestValue::List(values))
            }
            Value::Map(_) => {
                self.wrong(node, "text, a number, a boolean or a list of these");
                None
            }
        }
    }

    fn given(&mut self, node: &Node, test: &mut Test) {
        let Some(fields) = self.fields(node, "`given`", &["env", "approved", "actor", "at"]) else {
            return;
        };
        if let Some(node) = fields.get("env") {
            test.env = self.named(node, "env", |d, name, _, value| {
                Some((name, d.argv_word(value)?))
            });
        }
        if let Some(names) = self.optional(&fields, "approved", |d, n| {
            d.list_of(n, "an approval", Self::text)
        }) {
            test.approved = names;
        }
        test.actor = self.optional(&fields, "actor", Self::text);
        test.at_time = self.optional(&fields, "at", Self::time);
    }

    fn time(&mut self, node: &Node) -> Option<jiff::Timestamp> {
        let text = self.date_text(node)?;
        let time = crate::policy::parse_time(&text);
        if time.is_none() {
            self.invalid(
                node.at,
                format!("`{}` is no time", text.escape_debug()),
                "write `2027-01-31` or `2027-01-31T12:00:00Z`",
            );
        }
        time
    }

    fn reason(&mut self, node: &Node) -> Option<Reason> {
        let text = self.text(node)?;
        if let Ok(reason) = text.parse() {
            return Some(reason);
        }
        let mut problem = Problem::new(
            Code::P006,
            node.at,
            format!("`{}` is no reason code", text.escape_debug()),
        )
        .with_help("for example `PATH_OUTSIDE_ALLOWED_SCOPE`");
        if let Some(meant) =
            super::fields::nearest(&text, Reason::ALL.iter().map(|reason| reason.code()))
        {
            problem = problem
                .with_help(format!("did you mean `{meant}`?"))
                .with_replacement(meant);
        }
        self.push(problem);
        None
    }
}
