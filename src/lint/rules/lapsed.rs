//! P014: a rule or a grant that has lapsed, or will soon.

#![forbid(unsafe_code)]

use jiff::Timestamp;

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

/// Days before the end at which it is told. Two weeks: time enough to ask who decides about it.
const NOTICE_DAYS: i64 = 14;

declare_rule! {
    /// ## What it does
    /// Finds allow rules whose `until` has passed, or passes within 14 days; and of the grants in the ledger, if there is one,
    /// those of this policy that ended with uses left, or end within 14 days after counting for longer than that. A grant that
    /// is used up, revoked (`lictor revoke`) or followed by another one for the same is not told.
    ///
    /// ## Why is this bad?
    /// After that day the rule or grant allows nothing, and what depends on it stops at midnight UTC without a change of the policy.
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
    let Some(now) = subject.options.now else {
        return;
    };
    rules(subject, now, out);
    grants(subject, now, out);
}

/// Seconds from one time to another, and whole days.
fn left(now: Timestamp, until: Timestamp) -> (i64, i64) {
    let left = until.as_second().saturating_sub(now.as_second());
    (left, left.div_euclid(24 * 60 * 60))
}

fn when(days: i64) -> String {
    match days {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        days => format!("in {days} days"),
    }
}

fn rules(subject: &Subject<'_>, now: Timestamp, out: &mut Findings<'_>) {
    for rule in subject.rules() {
        let (Some(lapses), Some((date, at))) = (rule.compiled.lapses, rule.written.until) else {
            continue;
        };
        let (left, days) = left(now, lapses);
        if left <= 0 {
            let message = format!(
                "rule `{}` has lapsed: it counted until {date}",
                rule.written.id
            );
            out.at(at, message, |d| {
                d.help("take the rule out, or set a later day if somebody still needs it");
            });
        } else if days < NOTICE_DAYS {
            let message = format!(
                "rule `{}` lapses {}, at the end of {date}",
                rule.written.id,
                when(days)
            );
            out.at(at, message, |d| {
                d.help("set a later day if it is still needed then");
            });
        }
    }
}

fn grants(subject: &Subject<'_>, now: Timestamp, out: &mut Findings<'_>) {
    let all = subject.around.grants();
    for approval in subject.policy.approvals() {
        let of_it = all.iter().filter(|grant| grant.approval == approval.name);
        let (mut over, mut soon) = (Vec::new(), Vec::new());
        for grant in of_it {
            let is_followed = all.iter().any(|other| {
                (&other.approval, &other.covers) == (&grant.approval, &grant.covers)
                    && other.until > grant.until
                    && left(now, other.until).0 > 0
            });
            let lasts = left(grant.made, grant.until).1;
            match left(now, grant.until) {
                _ if is_followed => {}
                (left, _) if left <= 0 => over.push(grant),
                (_, days) if days < NOTICE_DAYS && lasts >= NOTICE_DAYS => soon.push(grant),
                _ => {}
            }
        }
        over.sort_by_key(|grant| std::cmp::Reverse(grant.until));
        soon.sort_by_key(|grant| grant.until);
        let name = &approval.name;
        if let Some(last) = over.first() {
            let until = last.until;
            let message = match over.len() {
                1 => format!(
                    "a grant of approval `{name}` has expired with uses left: it counted until {until}"
                ),
                count => format!(
                    "{count} grants of approval `{name}` have expired with uses left: the last counted until {until}"
                ),
            };
            out.at(approval.at, message, |d| {
                d.help(format!(
                    "grant it anew with `lictor approve`, or take back what nobody needs: `lictor revoke --why … {}`",
                    last.id.escape_debug()
                ));
            });
        }
        if let Some(first) = soon.first() {
            let (until, when) = (first.until, when(left(now, first.until).1));
            let message = match soon.len() {
                1 => format!("a grant of approval `{name}` ends {when}, at {until}"),
                count => format!(
                    "{count} grants of approval `{name}` end soon: the first {when}, at {until}"
                ),
            };
            out.at(approval.at, message, |d| {
                d.help("grant it anew with `lictor approve` if it is still needed then; `lictor approvals` lists all");
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{self, OpenGrant, Options, Surroundings};
    use crate::policy::CompiledPolicy;

    struct Ledger(Vec<OpenGrant>);

    impl Surroundings for Ledger {
        fn grants(&self) -> &[OpenGrant] {
            &self.0
        }
    }

    /// Checks the findings at noon of the day 100, with grants given as id, subject, first and last day.
    #[track_caller]
    fn check(grants: &[(&str, &str, i64, i64)], expected: &[&str]) {
        let policy = CompiledPolicy::from_yaml(
            "version: 1
name: granted
use: lictor/files@1
scopes: {docs: \"docs/**\"}
approvals: {human: {grant: true}}
rules:
  - {id: read, allow: filesystem.read_file, within: docs, approval: human}
",
        )
        .unwrap();
        let day = |day: i64| Timestamp::from_second(day * 24 * 60 * 60).unwrap();
        let grants = grants
            .iter()
            .map(|(id, covers, made, until)| {
                OpenGrant::new(*id, "human", *covers, day(*made), day(*until))
            })
            .collect();
        let noon = Timestamp::from_second(100 * 24 * 60 * 60 + 12 * 60 * 60).unwrap();
        let report = lint::run(&policy, &Ledger(grants), &Options::default().at(noon));
        let found: Vec<_> = report
            .diagnostics
            .iter()
            .filter(|found| found.code == "P014")
            .map(|found| (found.at.line, found.message.as_str()))
            .collect();
        let expected: Vec<_> = expected.iter().map(|message| (5, *message)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn grants_that_ended_unused_or_end_soon_are_told_at_their_approval() {
        check(&[], &[]);
        check(
            &[("g-1", "a", 90, 99)],
            &[
                "a grant of approval `human` has expired with uses left: it counted until 1970-04-10T00:00:00Z",
            ],
        );
        check(
            &[("g-1", "a", 90, 99), ("g-2", "b", 90, 100)],
            &[
                "2 grants of approval `human` have expired with uses left: the last counted until 1970-04-11T00:00:00Z",
            ],
        );
        // One that was for less than two weeks ends soon from the beginning.
        check(&[("g-1", "a", 95, 103)], &[]);
        check(
            &[("g-1", "a", 50, 103)],
            &["a grant of approval `human` ends in 2 days, at 1970-04-14T00:00:00Z"],
        );
        check(&[("g-1", "a", 50, 115)], &[]);
        // Followed by another one for the same.
        check(&[("g-1", "a", 90, 99), ("g-2", "a", 99, 105)], &[]);
        check(
            &[("g-1", "a", 90, 99), ("g-2", "b", 99, 105)],
            &[
                "a grant of approval `human` has expired with uses left: it counted until 1970-04-10T00:00:00Z",
            ],
        );
    }
}
