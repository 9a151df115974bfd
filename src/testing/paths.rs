//! Strategies for paths, as bytes that somebody asks for.

#![forbid(unsafe_code)]

use proptest::prelude::*;
use proptest::sample::select;

use super::random::Random;
use super::tricks::TRICKS;

/// Canonical paths below a directory, which is one or more plain names joined by `/`. All are allowed
/// where everything below the directory is.
pub fn benign(directory: &str) -> impl Strategy<Value = String> + use<> {
    let directory = directory.to_owned();
    let name =
        "[a-z][a-z0-9_]{0,8}(\\.py|\\.rs|\\.txt)?|test_[a-z]{1,6}\\.py|\u{e9}t\u{e9}|\\.hidden"
            .prop_filter("a name that Windows keeps for a device", |name| {
                crate::path::CanonicalPath::parse(
                    name.as_bytes(),
                    &crate::path::Switches::default(),
                )
                .is_ok()
            });
    prop::collection::vec(name, 0..5).prop_map(move |names| {
        let mut path = directory.clone();
        for name in names {
            path.push('/');
            path.push_str(&name);
        }
        path
    })
}

/// Paths that are denied wherever only the directory and what is below it is allowed, and the policy's
/// `paths` switches are the default ones: each is a [`benign`] path with one of the known tricks.
pub fn hostile(directory: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    (benign(directory), select(TRICKS), proptest::num::u64::ANY)
        .prop_map(|(path, (_, trick), seed)| trick(&path, &mut Random::new(seed)))
}

/// All sorts of paths: benign, hostile, and bytes of which nothing is known.
pub fn any(directory: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let pieces = select(vec![
        "a", "b", "c", ".", "..", "/", "//", "\\", " ", "...", "~", "%2e", ":", "a.", "\u{2025}",
        "\u{301}", "C:",
    ]);
    let scope = directory.to_owned();
    let pieced = prop::collection::vec(pieces, 0..12)
        .prop_map(move |pieces| format!("{scope}/{}", pieces.concat()).into_bytes());
    prop_oneof![
        benign(directory).prop_map(String::into_bytes),
        hostile(directory),
        pieced,
        prop::collection::vec(proptest::num::u8::ANY, 0..64),
        "\\PC{0,24}".prop_map(String::into_bytes),
    ]
}
