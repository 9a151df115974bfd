//! A decision as JSON: the shape is a promise, fields are added and never changed in meaning.

#![forbid(unsafe_code)]

use serde_json::{Map, Value as Json, json};

use super::{Asked, Decision, Disk, Effect, Finding, Terms, Value};
use crate::policy::terms::{Containment, Limits};

/// Text as it is, bytes that are not UTF-8 as `{"b64": …}`.
pub(crate) fn bytes(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::from(text),
        Err(_) => json!({"b64": data_encoding::BASE64.encode(bytes)}),
    }
}

impl Decision {
    /// The decision as it is printed and recorded.
    ///
    /// ```
    /// use lictor::decision::{Context, Request, decide};
    /// use lictor::policy::CompiledPolicy;
    ///
    /// let policy = CompiledPolicy::from_yaml("version: 1\nname: nothing\nrules: []\n")?;
    /// let json = decide(&policy, &Request::argv(["ls"]), &Context::new("ci")).to_json();
    /// assert_eq!(json["effect"], "deny");
    /// assert_eq!(json["reason"], "TOOL_NOT_ALLOWED");
    /// # Ok::<(), lictor::policy::PolicyErrors>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Json {
        let first = self.rules.first();
        let rule_at = first.and_then(|rule| rule.at.clone());
        let widens: Vec<_> = self
            .rules
            .iter()
            .filter(|rule| rule.widens)
            .map(|rule| rule.id.as_str())
            .collect();
        let mut json = json!({
            "v": 1,
            "effect": self.effect,
            "reason": self.reason(),
            "reasons": self.reasons,
            "rule": first.map(|rule| rule.id.as_str()),
            "rules": self.rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(),
            "message": self.message,
            "instead": self.instead,
            "request": asked(&self.asked),
            "command": self.command_json(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "approval": self.approvals.first(),
            "limits": self.limits_json(),
            "policy": {"name": self.policy.name, "sha256": self.policy.sha256, "rule_at": rule_at},
            "disk": self.disk,
        });
        if let Json::Object(fields) = &mut json {
            if self.approvals.len() > 1 {
                fields.insert("approvals".to_owned(), json!(self.approvals));
            }
            if !self.grants.is_empty() {
                fields.insert("grants".to_owned(), json!(self.grants));
            }
            if !self.refused_grants.is_empty() {
                fields.insert("refused_grants".to_owned(), json!(self.refused_grants));
            }
            if self.more_refused_grants > 0 {
                let more = json!(self.more_refused_grants);
                fields.insert("more_refused_grants".to_owned(), more);
            }
            if !widens.is_empty() && self.effect == Effect::Allow {
                fields.insert("widens".to_owned(), json!(widens));
            }
            if let Some(terms) = self.terms() {
                fields.insert("containment".to_owned(), json!(containment(terms)));
            }
        }
        json
    }

    /// The limits of an allowed run.
    pub(crate) fn limits_json(&self) -> Json {
        self.terms()
            .map_or(Json::Null, |terms| limits(&terms.limits))
    }

    fn command_json(&self) -> Json {
        let Some((plan, argv)) = self.plan().zip(self.argv()) else {
            return Json::Null;
        };
        let env = &plan.terms.env;
        let set = env.set.iter().map(|(name, _)| name);
        let mut names: Vec<&str> = BUILT_IN_ENV.to_vec();
        for name in env.inherit.iter().chain(&env.unsafe_inherit).chain(set) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        json!({
            "program": plan.program,
            "argv": argv,
            "cwd": plan.cwd.as_str(),
            "env_names": names,
        })
    }
}

/// The variables that every run gets.
pub(crate) const BUILT_IN_ENV: [&str; 6] = ["PATH", "HOME", "USER", "LANG", "TMPDIR", "TERM"];

fn asked(asked: &Asked) -> Json {
    let args: Map<String, Json> = asked
        .args
        .iter()
        .map(|(name, value)| (name.clone(), argument(value)))
        .collect();
    let mut json =
        json!({"tool": asked.tool, "action": asked.action, "args": args, "actor": asked.actor});
    if let (Json::Object(fields), Some(argv)) = (&mut json, &asked.argv) {
        fields.insert(
            "argv".to_owned(),
            argv.iter().map(|word| bytes(word)).collect(),
        );
    }
    json
}

fn argument(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Flag(flag) => Json::from(*flag),
        Value::Int(number) => Json::from(*number),
        Value::Text(text) => bytes(text),
        Value::List(values) => values.iter().map(argument).collect(),
    }
}

fn finding(finding: &Finding) -> Json {
    let mut json = json!({
        "arg": finding.arg,
        "path": finding.path.as_deref().map(bytes),
        "canonical": finding.canonical,
        "reason": finding.reason,
        "offset": finding.offset,
    });
    if let (Json::Object(fields), true) = (&mut json, finding.tree_not_consulted) {
        fields.insert("tree".to_owned(), json!(Disk::NotConsulted));
    }
    if let (Json::Object(fields), Some(names)) = (&mut json, finding.hard_links) {
        fields.insert("hard_links".to_owned(), json!(names));
    }
    json
}

fn limits(limits: &Limits) -> Json {
    let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut json = json!({
        "timeout_ms": ms(limits.timeout),
        "grace_ms": ms(limits.grace),
        "output_bytes": limits.output_bytes,
        "keep": limits.keep,
        "processes": limits.processes,
        "memory_bytes": limits.memory_bytes,
        "cpu_ms": limits.cpu.map(ms),
        "open_files": limits.open_files,
        "file_size_bytes": limits.file_size_bytes,
        "stdin_bytes": limits.stdin_bytes,
    });
    if let (Json::Object(fields), Some(lease)) = (&mut json, limits.lease) {
        fields.insert("lease_ms".to_owned(), json!(ms(lease)));
    }
    json
}

fn containment(terms: &Terms) -> &'static str {
    match terms.containment {
        Containment::Auto => "auto",
        Containment::AtLeast(level) => level.name(),
    }
}
