//! The rules, one file each: what the user reads, and one check.

#![forbid(unsafe_code)]

mod ambiguous_command;
mod approval_visible;
mod boundary_untested;
mod case_hole;
mod claim_only;
mod confusable_text;
mod containment_optional;
mod costly_pattern;
mod creates_unstated;
mod dash_text;
mod dead_allow;
mod directory_without_contents;
mod duplicate_test;
mod expects_nothing;
mod failing_test;
mod hidden_files_exposed;
mod idle_deny;
mod interpreter;
mod invariant_violated;
mod lapsed;
mod ledger_in_reach;
mod matches_nothing;
mod missing_reason;
mod new_access;
mod no_invariants;
mod nothing_or_everything;
mod overbroad;
mod partial_overlap;
mod policy_writable;
mod reach;
mod readable_key;
mod redundant_pattern;
mod redundant_rule;
mod replaced_tool;
mod secrets_unprotected;
mod sibling_prefix;
mod steering_environment;
mod timeout;
mod tree_unstated;
mod unanswerable_ask;
mod unconfined;
mod unenforceable_confine;
mod unequal_limits;
mod unknown;
mod unknown_executor;
mod unsigned_grant;
mod untested_rule;
mod unused_definition;
mod unused_suppression;
mod widening_child;
mod writable_program;

use super::rule::{Page, Rule};

/// Every rule, in the order in which they look.
pub(super) static ALL: &[&Rule] = &[
    &missing_reason::MISSING_REASON,
    &unused_definition::UNUSED_DEFINITION,
    &confusable_text::CONFUSABLE_TEXT,
    &lapsed::LAPSED,
    &unused_suppression::UNUSED_SUPPRESSION,
    &policy_writable::POLICY_WRITABLE,
    &widening_child::WIDENING_CHILD,
    &replaced_tool::REPLACED_TOOL,
    &sibling_prefix::SIBLING_PREFIX,
    &directory_without_contents::DIRECTORY_WITHOUT_CONTENTS,
    &hidden_files_exposed::HIDDEN_FILES_EXPOSED,
    &case_hole::CASE_HOLE,
    &overbroad::OVERBROAD,
    &redundant_pattern::REDUNDANT_PATTERN,
    &costly_pattern::COSTLY_PATTERN,
    &matches_nothing::MATCHES_NOTHING,
    &secrets_unprotected::SECRETS_UNPROTECTED,
    &dead_allow::DEAD_ALLOW,
    &idle_deny::IDLE_DENY,
    &redundant_rule::REDUNDANT_RULE,
    &partial_overlap::PARTIAL_OVERLAP,
    &unequal_limits::UNEQUAL_LIMITS,
    &nothing_or_everything::NOTHING_OR_EVERYTHING,
    &unanswerable_ask::UNANSWERABLE_ASK,
    &invariant_violated::INVARIANT_VIOLATED,
    &no_invariants::NO_INVARIANTS,
    &new_access::NEW_ACCESS,
    &unknown::UNKNOWN,
    &ambiguous_command::AMBIGUOUS_COMMAND,
    &interpreter::INTERPRETER,
    &writable_program::WRITABLE_PROGRAM,
    &dash_text::DASH_TEXT,
    &timeout::TIMEOUT,
    &approval_visible::APPROVAL_VISIBLE,
    &steering_environment::STEERING_ENVIRONMENT,
    &ledger_in_reach::LEDGER_IN_REACH,
    &claim_only::CLAIM_ONLY,
    &containment_optional::CONTAINMENT_OPTIONAL,
    &unconfined::UNCONFINED,
    &unenforceable_confine::UNENFORCEABLE_CONFINE,
    &unknown_executor::UNKNOWN_EXECUTOR,
    &tree_unstated::TREE_UNSTATED,
    &creates_unstated::CREATES_UNSTATED,
    &unsigned_grant::UNSIGNED_GRANT,
    &readable_key::READABLE_KEY,
    &untested_rule::UNTESTED_RULE,
    &boundary_untested::BOUNDARY_UNTESTED,
    &duplicate_test::DUPLICATE_TEST,
    &expects_nothing::EXPECTS_NOTHING,
    &failing_test::FAILING_TEST,
];

/// The page of the rule about comments that silence nothing, which speaks after all others.
pub(super) fn unused_suppression() -> &'static Page {
    &unused_suppression::UNUSED_SUPPRESSION.page
}
