//! Questions about single rules: does it ever decide, is it needed, does it meet another.

#![forbid(unsafe_code)]

use super::cells::Analysis;
use super::{Answer, Budget, Cap, Witness};

impl Analysis {
    /// Whether an allow rule can never be a reason to allow, because denies and asks that nothing
    /// lifts cover all of it; else a request that it allows. Rules are named by their id.
    pub fn never_allows(&self, rule: &str, budget: &Budget<'_>) -> Answer<Witness> {
        let _ = (rule, budget);
        Answer::Unknown(Cap::Stopped)
    }

    /// The rules that together keep an allow rule from deciding: each denies or asks about some of its
    /// paths.
    #[must_use]
    pub fn rules_over(&self, rule: &str, budget: &Budget<'_>) -> Vec<String> {
        let _ = (rule, budget);
        Vec::new()
    }

    /// Whether a deny or ask rule meets nothing that any rule allows; else a request that it keeps out
    /// and that some rule would allow.
    pub fn meets_no_allow(&self, rule: &str, budget: &Budget<'_>) -> Answer<Witness> {
        let _ = (rule, budget);
        Answer::Unknown(Cap::Stopped)
    }

    /// Whether the policy without the rule decides everything as the policy does: effect, limits,
    /// approvals; else a request that is decided otherwise, with the decision of the policy itself.
    pub fn is_redundant(&self, rule: &str, budget: &Budget<'_>) -> Answer<Witness> {
        let _ = (rule, budget);
        Answer::Unknown(Cap::Stopped)
    }

    /// Whether no path of any action is one that both rules speak about; else a request for one.
    pub fn are_apart(&self, a: &str, b: &str, budget: &Budget<'_>) -> Answer<Witness> {
        let _ = (a, b, budget);
        Answer::Unknown(Cap::Stopped)
    }

    /// Whether rule `outer` speaks about every path, action and actor that `inner` speaks about; else a
    /// request that only `inner` is about.
    pub fn is_inside(&self, inner: &str, outer: &str, budget: &Budget<'_>) -> Answer<Witness> {
        let _ = (inner, outer, budget);
        Answer::Unknown(Cap::Stopped)
    }

    /// Whether an action is never allowed, whoever asks and whatever is granted; else a request that is
    /// allowed. The action is written as in a rule: `tool.action`, `tool.*`, `*`.
    pub fn never(
        &self,
        action: &str,
        paths: &super::PathSet,
        budget: &Budget<'_>,
    ) -> Answer<Witness> {
        let _ = (action, paths, budget);
        Answer::Unknown(Cap::Stopped)
    }

    /// Whether an action is always allowed on these paths, to anybody and with nothing granted; else a
    /// request that is not.
    pub fn always(
        &self,
        action: &str,
        paths: &super::PathSet,
        budget: &Budget<'_>,
    ) -> Answer<Witness> {
        let _ = (action, paths, budget);
        Answer::Unknown(Cap::Stopped)
    }
}
