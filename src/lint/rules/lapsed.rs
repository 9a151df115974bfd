//! P014: a rule that has lapsed, or will soon.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

/// Days before the end at which it is told. Two weeks: time enough to ask who decides about it.
const NOTICE_DAYS: i64 = 14;

declare_rule! {
    /// ## What it does
    /// Finds allow rules whose `until` has passed, or passes within 14 days.
    ///
    /// ## Why is this bad?
    /// After that day the rule allows nothing, and what depends on it stops at midnight UTC without a change of the policy.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs, until: 2020-01-31}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {docs: "docs/**"}
    /// rules:
    ///   - {id: read, allow: filesystem.read_file, within: docs, until: 2099-01-31}
    /// ```
    pub(super) static LAPSED = { code: "P014", name: "lapsed", level: Warning, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    let Some(now) = subject.options.now else { return };
    for rule in subject.rules() {
        let (Some(lapses), Some((date, at))) = (rule.compiled.lapses, rule.written.until) else {
            continue;
        };
        let left = lapses.as_second().saturating_sub(now.as_second());
        let days = left.div_euclid(24 * 60 * 60);
        if left <= 0 {
            let message = format!("rule `{}` has lapsed: it counted until {date}", rule.written.id);
            out.at(at, message, |d| {
                d.help("take the rule out, or set a later day if somebody still needs it");
            });
        } else if days < NOTICE_DAYS {
            let when = match days {
                0 => "today".to_owned(),
                1 => "tomorrow".to_owned(),
                days => format!("in {days} days"),
            };
            let message = format!("rule `{}` lapses {when}, at the end of {date}", rule.written.id);
            out.at(at, message, |d| {
                d.help("set a later day if it is still needed then");
            });
        }
    }
}
