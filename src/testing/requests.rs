//! Strategies for requests to a policy.

#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::generate;
use super::random::Random;
use crate::decision::Request;
use crate::policy::CompiledPolicy;

/// Requests for the actions that a policy declares, with arguments that may be in its scopes, may be
/// hostile, or may be missing. They do not shrink: the seed is all that there is to one.
pub fn any(policy: &CompiledPolicy) -> impl Strategy<Value = Request> + use<> {
    let policy = policy.clone();
    let (places, _) = generate::places(&policy);
    proptest::num::u64::ANY.no_shrink().prop_map(move |seed| {
        let mut random = Random::new(seed);
        generate::any_request(&policy, &places, &mut random)
    })
}
