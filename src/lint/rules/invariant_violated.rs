//! L211: an invariant that does not hold.

#![forbid(unsafe_code)]

use crate::lint::rule::{Findings, declare_rule};
use crate::lint::subject::Subject;

declare_rule! {
    /// ## What it does
    /// Finds invariants that do not hold, with a request that shows it. Decided exactly, as `lictor prove` does.
    ///
    /// ## Why is this bad?
    /// The policy allows what it says it never does, or denies what it says it always allows.
    ///
    /// ## Example
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {src: "src/**"}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: src}
    /// invariants:
    ///   - {id: generated-stays, never: filesystem.write_file, paths: "src/generated/**"}
    /// ```
    ///
    /// ## When it stays silent
    /// ```yaml
    /// use: lictor/files@1
    /// scopes: {src: "src/**", generated: "src/generated/**"}
    /// rules:
    ///   - {id: edit, allow: filesystem.write_file, within: src}
    ///   - {id: no-generated, deny: "*", touching: generated}
    /// invariants:
    ///   - {id: generated-stays, never: filesystem.write_file, paths: "src/generated/**"}
    /// ```
    pub(super) static INVARIANT_VIOLATED = { code: "L211", name: "invariant-violated", level: Error, since: "0.1.0" }
}

pub(super) fn check(subject: &Subject<'_>, out: &mut Findings<'_>) {
    for (at, message, witness) in &subject.exact().violated {
        out.at(*at, message.clone(), |d| {
            d.help("narrow the rule that allows it, or deny it; or the claim is wrong")
                .witness(witness.clone());
        });
    }
}
