//! P008: a scope, approval, tool or argument that nothing uses.

#![forbid(unsafe_code)]

use crate::lint::diagnostic::{Fix, Safety};
use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::{Subject, scope_names};
use crate::lint::yaml;
use crate::policy::model::{Confine, RuleEffect, ScopeUse};

declare_rule! {
    /// ## What it does
    /// Finds scopes and approvals that no rule names, tools of the policy that no rule allows or asks about, and path
    /// arguments of these that no rule lets pass.
    ///
    /// ## Why is this bad?
    /// A definition that nothing uses is often one that a rule was meant to use: the secrets that no deny touches.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes:
    ///   docs: "docs/**"
    ///   secrets: "**/.env*"
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes:
    ///   docs: "docs/**"
    ///   secrets: "**/.env*"
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs}
    ///   - {id: no-secrets, deny: "*", touching: secrets}
    /// ```
    pub(super) static UNUSED_DEFINITION = { code: "P008", name: "unused-definition", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    scopes(subject, out);
    approvals(subject, out);
    // Those of a library are for the policies that use it.
    if !subject.is_library() {
        tools(subject, out);
    }
}

fn scopes(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let rules = &subject.model.rules;
    let mut used: Vec<&str> = rules.iter().flat_map(scope_names).collect();
    let confines = rules.iter().map(|rule| &rule.terms.confine);
    for confine in confines.chain([&subject.model.defaults.confine]).flatten() {
        used.extend(places(confine));
    }
    for (key, _) in yaml::get(&subject.root, "scopes")
        .into_iter()
        .flat_map(yaml::entries)
    {
        let Some(name) = yaml::text(key).filter(|name| !used.contains(name)) else {
            continue;
        };
        let message = format!("no rule names the scope `{name}`");
        let edit = yaml::remove_definition(&subject.text, &subject.root, "scopes", name);
        out.at(key.at, message, |d| {
            d.help("name it in the rule that was meant, or take it out")
                .fix(edit.map(|edit| {
                    Fix::new(Safety::Suggested, format!("take `{name}` out"), vec![edit])
                }));
        });
    }
}

fn places(confine: &Confine) -> impl Iterator<Item = &str> {
    let stated = confine.read.iter().chain(&confine.write).flatten();
    stated.chain(&confine.hide).map(String::as_str)
}

fn approvals(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for approval in &subject.model.approvals {
        let is_used = subject.model.rules.iter().any(|rule| {
            rule.approval
                .as_ref()
                .is_some_and(|(name, _)| *name == approval.name)
        });
        if !is_used {
            let message = format!("no rule needs the approval `{}`", approval.name);
            let name = &approval.name;
            let edit = yaml::remove_definition(&subject.text, &subject.root, "approvals", name);
            out.at(approval.at, message, |d| {
                d.help(
                    "name it with `approval` in the rule that was meant to need it, or take it out",
                )
                .fix(edit.map(|edit| {
                    Fix::new(Safety::Suggested, format!("take `{name}` out"), vec![edit])
                }));
            });
        }
    }
}

fn tools(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for tool in &subject.model.tools {
        let allowing: Vec<_> = subject
            .rules()
            .filter(|rule| rule.written.effect != RuleEffect::Deny)
            .filter(|rule| {
                subject
                    .deeds(*rule)
                    .iter()
                    .any(|deed| deed.tool.name == tool.name)
            })
            .collect();
        if allowing.is_empty() {
            let message = format!("no rule allows anything that the tool `{}` does", tool.name);
            out.at(tool.at, message, |d| {
                d.help("allow one of its actions, or take it out: what is not declared is denied anyway");
            });
            continue;
        }
        let mut told: Vec<(&str, &str)> = Vec::new();
        for rule in &allowing {
            for deed in subject
                .deeds(*rule)
                .into_iter()
                .filter(|deed| deed.tool.name == tool.name)
            {
                for (argument, _) in deed.paths() {
                    let covers = |rule: &crate::lint::subject::RuleView<'_>| {
                        rule.written.effect == RuleEffect::Allow
                            && subject
                                .deeds(*rule)
                                .iter()
                                .any(|other| other.number == deed.number)
                            && match &rule.written.scope {
                                Some(ScopeUse::All(_)) => true,
                                Some(ScopeUse::PerArgument(entries)) => {
                                    entries.iter().any(|entry| entry.argument == argument.name)
                                }
                                None => false,
                            }
                    };
                    let key = (deed.action.name.as_str(), argument.name.as_str());
                    let has_allow = allowing.iter().any(|rule| {
                        rule.written.effect == RuleEffect::Allow
                            && subject
                                .deeds(*rule)
                                .iter()
                                .any(|other| other.number == deed.number)
                    });
                    if !has_allow || allowing.iter().any(covers) || told.contains(&key) {
                        continue;
                    }
                    told.push(key);
                    let message = format!(
                        "no rule lets a path pass as `{}` of {}",
                        argument.name,
                        deed.name()
                    );
                    out.at(argument.at, message, |d| {
                        d.help("name its scope in `within`, or take the argument out");
                    });
                }
            }
        }
    }
}
