//! Policies from any text: no panic, places that lie inside the text, and the same policy again from
//! the same text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lictor::lint::policy_tests;
use lictor::policy::CompiledPolicy;

fuzz_target!(|text: &str| match CompiledPolicy::from_yaml(text) {
    Ok(policy) => {
        let again = CompiledPolicy::from_yaml(text).expect("it was accepted before");
        assert_eq!(policy.digest(), again.digest());
        assert!(!policy.name().is_empty());
        // Its own tests may fail; running them must not.
        let _ = policy_tests::run(&policy);
    }
    Err(errors) => {
        assert!(!errors.problems().is_empty());
        for problem in errors.problems() {
            let file = errors
                .file(problem.at)
                .expect("a problem points into a file");
            let at = usize::try_from(problem.at.offset).unwrap();
            assert!(at <= file.text.len(), "{problem:?}");
            assert!(!problem.message.is_empty(), "{problem:?}");
        }
    }
});
