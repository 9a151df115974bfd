//! Two allowed decisions -> the terms in which they differ, in the words of the policy language.

#![forbid(unsafe_code)]

use serde_json::Value as Json;

use crate::decision::{Decision, EnvTerms};
use crate::policy::model::Confine;
use crate::policy::terms::{Containment, StopSignal};

/// One term that differs: its name, what it was, what it is.
pub(super) type OtherTerm = (String, String, String);

/// Differences of the terms themselves. Text of policies is escaped.
pub(super) fn other_terms(before: &Decision, after: &Decision) -> Vec<OtherTerm> {
    let (Some(first), Some(second)) = (before.terms(), after.terms()) else {
        return Vec::new();
    };
    let mut told = Vec::new();
    if first.limits != second.limits {
        let (was, now) = (before.limits_json(), after.limits_json());
        for (name, now) in now.as_object().into_iter().flatten() {
            let was = was.get(name).unwrap_or(&Json::Null);
            if was != now {
                told.push((name.clone(), was.to_string(), now.to_string()));
            }
        }
    }
    told.extend(other("command", &before.argv(), &after.argv(), |argv| {
        argv.as_ref()
            .map_or_else(String::new, |words| words.join(" "))
    }));
    told.extend(other(
        "containment",
        &first.containment,
        &second.containment,
        |level| containment(*level),
    ));
    told.extend(other("env", &first.env, &second.env, environment));
    told.extend(other("confine", &first.confine, &second.confine, |all| {
        confined(all)
    }));
    told.extend(other("stop", &first.stop, &second.stop, |how| stop(*how)));
    told.extend(other("leaks", &first.leaks, &second.leaks, word));
    told.extend(other(
        "report trouble",
        &first.report_trouble,
        &second.report_trouble,
        word,
    ));
    told.extend(other("report", &first.report, &second.report, |report| {
        report.as_ref().map_or_else(none, word)
    }));
    told
}

/// One term, if it differs.
fn other<T: PartialEq>(
    name: &str,
    before: &T,
    after: &T,
    text: impl Fn(&T) -> String,
) -> Option<OtherTerm> {
    let escaped = |term: &T| text(term).escape_debug().to_string().replace("\\\"", "\"");
    (before != after).then(|| (name.to_owned(), escaped(before), escaped(after)))
}

/// Spelling of an enum's value in a policy.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Json::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => none(),
    }
}

fn none() -> String {
    "(none)".to_owned()
}

fn containment(containment: Containment) -> String {
    match containment {
        Containment::Auto => "auto".to_owned(),
        Containment::AtLeast(level) => format!("at least {}", word(&level)),
    }
}

fn stop(stop: StopSignal) -> String {
    format!("signal {} to {}", stop.signal, word(&stop.to))
}

fn environment(env: &EnvTerms) -> String {
    let set = env
        .set
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let set: Vec<String> = set.collect();
    all([
        listed("inherit", Some(&env.inherit), ""),
        listed("unsafe_inherit", Some(&env.unsafe_inherit), ""),
        listed("set", Some(&set), ""),
    ])
}

fn confined(confine: &[Confine]) -> String {
    let one = |confine: &Confine| {
        all([
            listed("read", confine.read.as_deref(), "nothing"),
            listed("write", confine.write.as_deref(), "nothing"),
            listed("hide", Some(&confine.hide), ""),
            confine.no_network.then(|| "network none".to_owned()),
        ])
    };
    match confine {
        [] => none(),
        several => several.iter().map(one).collect::<Vec<_>>().join("; and "),
    }
}

fn listed(key: &str, names: Option<&[String]>, empty: &str) -> Option<String> {
    match (names?, empty) {
        ([], "") => None,
        ([], empty) => Some(format!("{key} {empty}")),
        (names, _) => Some(format!("{key} {}", names.join(" "))),
    }
}

fn all<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        none()
    } else {
        parts.join(", ")
    }
}
