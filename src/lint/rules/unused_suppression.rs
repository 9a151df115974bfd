//! P015: a comment that silences nothing. Found after all other rules have spoken, in `lint::suppress`.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds `# lint: allow` comments that silence nothing, name no rule, or give no reason. Where L215 reports that some
    /// question was not decided, comments about G and L rules are passed over.
    ///
    /// ## Why is this bad?
    /// It hides the next finding on that line, which nobody has looked at.
    ///
    /// ## Example
    /// ```yaml
    /// # lint: allow G110 -- the fixtures need it
    /// scopes: {docs: "docs/**"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// # lint: allow P008 -- the next change uses it
    /// scopes: {docs: "docs/**"}
    /// ```
    pub(super) static UNUSED_SUPPRESSION = { code: "P015", name: "unused-suppression", level: Warning, since: "0.1.0" }
}

pub(super) fn check(_: &Subject<'_>, _: &mut Findings<'_>) {}
