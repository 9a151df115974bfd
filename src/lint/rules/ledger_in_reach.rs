//! X308: a record that those whom it is about could change.

#![forbid(unsafe_code)]

use super::reach;
use crate::decision::Effect;
use crate::lint::diagnostic::Witness;
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::samples;
use crate::lint::subject::Subject;
use crate::lint::yaml;
use crate::path::{CanonicalPath, Switches};
use crate::policy::Span;
use crate::policy::model::Access;

declare_rule! {
    /// ## What it does
    /// Finds a ledger inside a scope that allow rules open for reading or writing, or `confine.write` for writing, and a
    /// ledger inside the workspace that no deny rule covers.
    ///
    /// ## Why is this bad?
    /// Path arguments cannot open the ledger for writing: that is compiled in. But a program that an allowed request starts
    /// (a test, a build script) writes where the user may, and a record in its reach can be damaged or removed. That it was
    /// is seen on verification; what it said is gone. Whoever reads the key beside it can write another record in its place.
    /// So nothing is allowed while rules open it (`LEDGER_UNAVAILABLE`). Outside of the workspace it is also out of the way
    /// of `git clean`.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {repo: "**"}
    /// ledger: {path: .lictor/ledger}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: repo}
    /// ```
    ///
    /// ## When it stays silent
    /// When the ledger lies elsewhere (by default below `$XDG_STATE_HOME`), or a deny rule covers it and no write scope does:
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {sources: "src/**", ledger: ".lictor/**"}
    /// ledger: {path: .lictor/ledger}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: sources}
    ///   - {id: no-ledger, deny: "*", touching: ledger}
    /// ```
    pub(super) static LEDGER_IN_REACH = { code: "X308", name: "ledger-in-reach", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let Some(ledger) = place(subject) else { return };
    let at = yaml::get(&subject.root, "ledger")
        .map(|node| yaml::get(node, "path").unwrap_or(node).at)
        .or_else(|| yaml::entry(&subject.root, "version").map(|(key, _)| key.at))
        .unwrap_or(subject.root.at);
    let file = format!("{ledger}/00000000.jsonl");
    if let Some((why, related, witness)) = write_scope(subject, &file) {
        let message = format!("the ledger `{ledger}` is in reach: {why}");
        out.at(at, message, |d| {
            d.help("keep it outside of the workspace, or exclude it from what may be written and deny it")
                .related(related, "opens it")
                .witness(witness)
                .fix(reach::deny_fix(subject, "no-ledger", &[format!("{ledger}/**")]));
        });
        return;
    }
    let key = CanonicalPath::parse(format!("{ledger}/key").as_bytes(), &Switches::default());
    if key.is_ok_and(|key| subject.policy.opens(&key)) {
        let message = format!(
            "the ledger `{ledger}` is in reach: the rules let a request read it, its key included"
        );
        out.at(at, message, |d| {
            d.help(
                "keep it outside of the workspace, or exclude it from what may be read and deny it",
            )
            .witness(Witness::path(format!("{ledger}/key"), "may be read"))
            .fix(reach::deny_fix(
                subject,
                "no-ledger",
                &[format!("{ledger}/**")],
            ));
        });
        return;
    }
    let denying = subject.rules().find(|rule| {
        rule.written.effect == crate::policy::model::RuleEffect::Deny
            && rule.written.actors.is_none()
            && rule
                .written
                .access
                .as_ref()
                .is_none_or(|access| access.contains(&Access::Write))
            && subject.all_scopes_of(rule.written).iter().any(|scope| {
                scope
                    .include
                    .iter()
                    .any(|(pattern, _)| pattern.matches_folded(&file))
                    && !scope
                        .exclude
                        .iter()
                        .any(|(pattern, _)| pattern.matches(&file))
            })
    });
    if denying.is_none() {
        let message =
            format!("the ledger `{ledger}` lies in the workspace, and no deny rule covers it");
        out.at(at, message, |d| {
            d.help(format!("deny `{ledger}/**`, or leave `path` out: the ledger is then kept below `$XDG_STATE_HOME`"))
                .witness(Witness::path(file.clone(), "is denied by no rule of this policy"))
                .fix(reach::deny_fix(subject, "no-ledger", &[format!("{ledger}/**")]));
        });
    }
}

/// The ledger's directory below the workspace, if it is there: as somebody who looked says, else as the
/// policy's own words make it.
fn place(subject: &Subject<'_>) -> Option<String> {
    if let Some(ledger) = subject.around.ledger() {
        return Some(ledger.to_owned());
    }
    let named = subject
        .model
        .ledger
        .path
        .as_deref()
        .filter(|path| !path.starts_with('/'))?;
    let workspace = subject.model.workspace.as_deref().unwrap_or(".");
    let parts = |text: &str| -> Option<Vec<String>> {
        let mut parts: Vec<String> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                name => parts.push(name.to_owned()),
            }
        }
        Some(parts)
    };
    let (named, workspace) = (parts(named)?, parts(workspace)?);
    let below = named.strip_prefix(workspace.as_slice())?;
    (!below.is_empty()).then(|| below.join("/"))
}

/// The allow that would open a file of the ledger for writing, were it not for the rule that is compiled in.
fn write_scope(subject: &Subject<'_>, file: &str) -> Option<(String, Span, Witness)> {
    for (pattern, scope, at) in subject.confined_writes() {
        if pattern.matches(file) && !scope.exclude.iter().any(|(out, _)| out.matches(file)) {
            let why = format!(
                "`confine.write` opens the scope `{}`, which holds it",
                scope.name
            );
            return Some((
                why,
                at,
                Witness::path(file, "lies in what a confined program may write"),
            ));
        }
    }
    for rule in subject.allows() {
        for deed in subject.deeds(rule) {
            for (argument, kind) in deed.paths() {
                if kind.access != Access::Write
                    || !samples::holds(subject, rule.written, deed.number, &argument.name, file)
                {
                    continue;
                }
                let Some(request) =
                    samples::request(subject, rule.written, deed, Some((&argument.name, file)))
                else {
                    continue;
                };
                let decision = samples::decided(subject, &request);
                // A rule of the policy itself that denies it is what is asked for; the compiled-in one
                // stands before it in a decision, so the rules are asked one by one.
                let is_denied = subject.rules().any(|deny| {
                    deny.written.effect == crate::policy::model::RuleEffect::Deny
                        && deny.written.actors.is_none()
                        && subject
                            .deeds(deny)
                            .iter()
                            .any(|other| other.number == deed.number)
                        && deny
                            .written
                            .access
                            .as_ref()
                            .is_none_or(|access| access.contains(&Access::Write))
                        && (deny.written.scope.is_none()
                            || subject.all_scopes_of(deny.written).iter().any(|scope| {
                                scope
                                    .include
                                    .iter()
                                    .any(|(pattern, _)| pattern.matches_folded(file))
                                    && !scope
                                        .exclude
                                        .iter()
                                        .any(|(pattern, _)| pattern.matches(file))
                            }))
                });
                if is_denied {
                    continue;
                }
                let why = format!(
                    "rule `{}` lets {} write in a scope that holds it",
                    rule.written.id,
                    deed.name()
                );
                let shows = if decision.effect() == Effect::Allow {
                    "is allowed"
                } else {
                    "is kept out by nothing but the protection that is compiled in, which binds path arguments, not what programs do"
                };
                let witness = Witness {
                    path: Some(file.to_owned()),
                    request: Some(request),
                    argv: None,
                    shows: shows.to_owned(),
                };
                return Some((why, rule.written.at, witness));
            }
        }
    }
    None
}
