//! Proofs of a policy's `invariants`.

#![forbid(unsafe_code)]

use super::cells::{Analysis, Cell, patterns};
use super::formula::Formula;
use super::{Answer, Budget, Witness};
use crate::policy::glob::Case;
use crate::policy::model::{Access, ActionPattern, Invariant};
use crate::policy::{Place, Span};

/// Proof of one invariant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Proof {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub at: Place,
    /// Its place as a span of the text.
    pub span: Span,
    /// Its claim, in one line.
    pub claim: String,
    /// The answer to it.
    pub answer: Answer<Witness>,
}

impl Analysis {
    /// Proves the invariants of the policy, in the order of the document.
    ///
    /// `never` holds if no request is allowed, whoever asks and whatever is granted: its paths are read
    /// as those of a deny are, in any case and as file systems may take them, and the directory that a command starts in counts as a path.
    /// `always` holds if every request is allowed to anybody with nothing granted, as far as its paths go.
    ///
    /// ```
    /// use lictor::analysis::Budget;
    /// use lictor::analysis::cells::Analysis;
    /// use lictor::policy::CompiledPolicy;
    ///
    /// let policy = CompiledPolicy::from_yaml(
    ///     "version: 1
    /// name: proved
    /// use: lictor/files@1
    /// scopes: {src: {include: \"**\", exclude: \"secrets/**\"}}
    /// rules:
    ///   - {id: write, allow: filesystem.write_file, within: src}
    /// invariants:
    ///   - {id: no-secrets, never: filesystem.write_file, paths: \"secrets/**\"}
    /// ",
    /// )?;
    /// let proofs = Analysis::of(&policy).prove(&Budget::default());
    /// // A file system that ignores case would take it for `secrets`.
    /// let path = proofs[0].answer.witness().unwrap().path.clone().unwrap();
    /// assert!(path != "secrets" && path.to_lowercase() == "secrets");
    /// # Ok::<(), lictor::policy::PolicyErrors>(())
    /// ```
    #[must_use]
    pub fn prove(&self, budget: &Budget<'_>) -> Vec<Proof> {
        let invariants = self.policy().invariants().iter();
        invariants
            .map(|invariant| {
                let stated = &invariant.stated;
                let wanted = |cell: &Cell| {
                    let is_of_access = match (&stated.access, cell.access()) {
                        (None, _) => true,
                        (Some(accesses), Some(access)) => accesses.contains(&access),
                        (Some(_), None) => false,
                    };
                    is_of_access && cell.is_of(&invariant.selectors)
                };
                let case = if stated.always {
                    Case::Exact
                } else {
                    Case::Folded
                };
                let paths = match stated.paths.is_empty() {
                    true => Formula::Const(true),
                    false => patterns(stated.paths.iter().map(|(pattern, _)| pattern), case),
                };
                Proof {
                    id: stated.id.clone(),
                    at: self.policy().place(stated.at),
                    span: stated.at,
                    claim: claim(stated),
                    answer: match stated.always {
                        true => self.always_in(&wanted, &paths, budget),
                        false => self.never_in(&wanted, &paths, budget),
                    },
                }
            })
            .collect()
    }
}

/// The claim of an invariant, in one line.
fn claim(stated: &Invariant) -> String {
    let listed = |words: Vec<String>| words.join(", ");
    let actions = stated.actions.iter().map(|(action, _)| match action {
        ActionPattern::Any => "every action".to_owned(),
        ActionPattern::Tool(tool) => format!("{tool}.*"),
        ActionPattern::Action(tool, action) => format!("{tool}.{action}"),
    });
    let word = if stated.always { "always" } else { "never" };
    let mut claim = format!("{word} allowed: {}", listed(actions.collect()));
    if let Some(accesses) = &stated.access {
        let words = accesses.iter().map(|access| match access {
            Access::Read => "reading".to_owned(),
            Access::Write => "writing".to_owned(),
            Access::Execute => "executing".to_owned(),
        });
        claim.push_str(&format!(", as far as it is {}", listed(words.collect())));
    }
    if !stated.paths.is_empty() {
        let paths = stated
            .paths
            .iter()
            .map(|(pattern, _)| format!("`{pattern}`"));
        claim.push_str(&format!(", on {}", listed(paths.collect())));
    }
    claim
}
