//! A witness in words: what is asked for, by whom, with what granted.

#![forbid(unsafe_code)]

use super::Witness;
use crate::decision::Value;
use crate::path::shown;

impl Witness {
    /// The request in one line: `filesystem.read_file path=docs/a`.
    ///
    /// Only the arguments that were made; text of requests is escaped.
    #[must_use]
    pub fn told(&self) -> String {
        let asked = self.decision.asked();
        let mut text = format!(
            "{}.{}",
            asked.tool.as_deref().unwrap_or("?"),
            asked.action.as_deref().unwrap_or("?")
        );
        for (name, value) in &asked.args {
            for value in each(value) {
                text.push_str(&match value {
                    Value::Flag(is) => format!(" {name}={is}"),
                    Value::Int(number) => format!(" {name}={number}"),
                    Value::Text(bytes) => format!(" {name}={}", shown(bytes)),
                    Value::Null | Value::List(_) => format!(" {name}"),
                });
            }
        }
        if let Some(cwd) = &self.request.cwd {
            text.push_str(&format!(" --cwd {}", shown(cwd)));
        }
        text
    }

    /// Who asks and what is granted, where that matters: `by ci-1, with COUNCIL=1`.
    #[must_use]
    pub fn told_given(&self) -> String {
        let mut text = format!("by {}", self.decision.asked().actor.escape_debug());
        for (variable, value) in self.context.switches() {
            text.push_str(&format!(", with {variable}={}", value.escape_debug()));
        }
        for name in self.context.approved() {
            text.push_str(&format!(", with approval `{name}`"));
        }
        if let Some(now) = self.context.now() {
            text.push_str(&format!(", at {now}"));
        }
        text
    }

    /// The decision in one line: effect, reason, rule and where it stands.
    #[must_use]
    pub fn told_decision(&self) -> String {
        let mut text = format!("{:<5}", self.decision.effect().word());
        if let Some(reason) = self.decision.reason() {
            text.push_str(&format!("  {reason}"));
        }
        if let Some(rule) = self.decision.rules().first() {
            let place = rule
                .at
                .as_ref()
                .map(|at| format!(" ({}:{})", crate::text::escaped(&at.file), at.line));
            text.push_str(&format!(
                "  rule `{}`{}",
                rule.id,
                place.unwrap_or_default()
            ));
        }
        text
    }
}

fn each(value: &Value) -> &[Value] {
    match value {
        Value::List(values) => values,
        Value::Null | Value::Flag(_) | Value::Int(_) | Value::Text(_) => {
            std::slice::from_ref(value)
        }
    }
}
