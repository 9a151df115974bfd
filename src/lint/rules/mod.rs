//! The rules, one file each: what the user reads, and one check.

#![forbid(unsafe_code)]

mod reach;

use super::rule::{Page, Rule};

macro_rules! rules {
    ($($module:ident::$rule:ident),+ $(,)?) => {
        $(mod $module;)+
        /// Every rule, in the order in which they look.
        pub(super) static ALL: &[&Rule] = &[$(&$module::$rule),+];
    };
}

rules! {
    missing_reason::MISSING_REASON,
    unused_definition::UNUSED_DEFINITION,
    confusable_text::CONFUSABLE_TEXT,
    lapsed::LAPSED,
    unused_suppression::UNUSED_SUPPRESSION,
    policy_writable::POLICY_WRITABLE,
    widening_child::WIDENING_CHILD,
    sibling_prefix::SIBLING_PREFIX,
    directory_without_contents::DIRECTORY_WITHOUT_CONTENTS,
    hidden_files_exposed::HIDDEN_FILES_EXPOSED,
    case_hole::CASE_HOLE,
    overbroad::OVERBROAD,
    redundant_pattern::REDUNDANT_PATTERN,
    costly_pattern::COSTLY_PATTERN,
    matches_nothing::MATCHES_NOTHING,
    secrets_unprotected::SECRETS_UNPROTECTED,
    dead_allow::DEAD_ALLOW,
    idle_deny::IDLE_DENY,
    redundant_rule::REDUNDANT_RULE,
    partial_overlap::PARTIAL_OVERLAP,
    unequal_limits::UNEQUAL_LIMITS,
    nothing_or_everything::NOTHING_OR_EVERYTHING,
    invariant_violated::INVARIANT_VIOLATED,
    no_invariants::NO_INVARIANTS,
    new_access::NEW_ACCESS,
    unknown::UNKNOWN,
    ambiguous_command::AMBIGUOUS_COMMAND,
    interpreter::INTERPRETER,
    writable_program::WRITABLE_PROGRAM,
    dash_text::DASH_TEXT,
    timeout::TIMEOUT,
    approval_visible::APPROVAL_VISIBLE,
    steering_environment::STEERING_ENVIRONMENT,
    ledger_in_reach::LEDGER_IN_REACH,
    claim_only::CLAIM_ONLY,
    containment_optional::CONTAINMENT_OPTIONAL,
    unconfined::UNCONFINED,
    tree_unstated::TREE_UNSTATED,
    unsigned_grant::UNSIGNED_GRANT,
    readable_key::READABLE_KEY,
    untested_rule::UNTESTED_RULE,
    boundary_untested::BOUNDARY_UNTESTED,
    duplicate_test::DUPLICATE_TEST,
    expects_nothing::EXPECTS_NOTHING,
    failing_test::FAILING_TEST,
}

/// The page of the rule about comments that silence nothing, which speaks after all others.
pub(super) fn unused_suppression() -> &'static Page {
    &unused_suppression::UNUSED_SUPPRESSION.page
}
