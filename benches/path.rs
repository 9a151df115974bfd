//! What the lexical rules cost: a typical path, every kind of refusal, and the longest hostile texts.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::{Bencher, black_box};
use lictor::path::{Switches, Syntax, lexical};

fn main() {
    divan::main();
}

#[divan::bench(args = [
    "a",
    "runtime/tests/test_login.py",
    "runtime/tests/unit/io/test_case_01.py/",
    "crates/core/src/flags/doc/template.rst.help",
    r"runtime\tests\test_login.py",
    "runtime/tests/Vi\u{1ec7}t.py",
])]
fn allowed(bencher: Bencher<'_, '_>, text: &str) {
    let switches = Switches::default();
    assert!(lexical(text.as_bytes(), Syntax::Path, &switches).is_ok());
    bencher.bench(|| lexical(black_box(text.as_bytes()), Syntax::Path, &switches).is_ok());
}

#[divan::bench]
fn allowed_pytest_target(bencher: Bencher<'_, '_>) {
    let switches = Switches::default();
    let text = b"runtime/tests/test_login.py::TestLogin::test_x[a-1]";
    bencher.bench(|| {
        lexical(black_box(text), Syntax::Pytest, &switches)
            .unwrap()
            .suffix()
            .len()
    });
}

#[divan::bench(args = [
    "runtime/tests/../../etc/passwd", "/etc/passwd", "runtime/tests/%2e%2e/x", "runtime/tests/aux.c",
])]
fn denied(bencher: Bencher<'_, '_>, text: &str) {
    let switches = Switches::default();
    bencher.bench(|| lexical(black_box(text.as_bytes()), Syntax::Path, &switches).is_err());
}

/// 4096 bytes of one repeated piece: time must stay linear whatever the piece.
#[divan::bench(args = [
    "/", "../", "a/", "%", "%a", "%u", "$", ".", " ", "~1", "~", "e\u{301}", "\u{301}", "\u{2026}", "::", "[", "\0",
    "\u{200b}", "con/", "{", "a",
])]
fn hostile_4096(bencher: Bencher<'_, '_>, piece: &str) {
    let switches = Switches::default();
    let mut text = String::new();
    while text.len().saturating_add(piece.len()) <= 4096 {
        text.push_str(piece);
    }
    bencher.bench(|| lexical(black_box(text.as_bytes()), Syntax::Pytest, &switches).is_err());
}

/// Looking up one path among many patterns: the time must not grow with their number.
mod index {
    use divan::{Bencher, black_box};
    use lictor::policy::glob::Pattern;
    use lictor::policy::index::Index;

    const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];

    /// What a large policy is made of: mostly trees, some file types, some names anywhere.
    fn patterns(count: u32) -> Vec<Pattern> {
        (0..count)
            .map(|n| match n % 8 {
                0..=3 => format!("services/team{n}/tests/**"),
                4 => format!("services/team{n}/**/*.py"),
                5 => format!("**/secret_{n}*"),
                6 => format!("**/*_{n}.key"),
                _ => format!("docs/part{n}/*.md"),
            })
            .map(|text| text.parse().unwrap())
            .collect()
    }

    fn look_up(bencher: Bencher<'_, '_>, index: &Index, path: &str) {
        bencher.bench(|| {
            let mut found = 0_u32;
            index.visit(black_box(path), &mut |number| found ^= number);
            found
        });
    }

    #[divan::bench(args = SIZES)]
    fn hit(bencher: Bencher<'_, '_>, count: u32) {
        let patterns = patterns(count);
        let index = Index::build(patterns.iter().zip(0..));
        look_up(bencher, &index, "services/team3/tests/unit/test_login.py");
    }

    #[divan::bench(args = SIZES)]
    fn hit_folded(bencher: Bencher<'_, '_>, count: u32) {
        let patterns = patterns(count);
        let index = Index::build_folded(patterns.iter().zip(0..));
        look_up(bencher, &index, "services/team3/tests/unit/test_login.py");
    }

    #[divan::bench(args = SIZES)]
    fn hit_folded_in_another_case(bencher: Bencher<'_, '_>, count: u32) {
        let patterns = patterns(count);
        let index = Index::build_folded(patterns.iter().zip(0..));
        look_up(bencher, &index, "Services/Team3/tests/unit/Test_Login.py");
    }

    #[divan::bench(args = SIZES)]
    fn miss(bencher: Bencher<'_, '_>, count: u32) {
        let patterns = patterns(count);
        let index = Index::build(patterns.iter().zip(0..));
        look_up(bencher, &index, "runtime/tests/test_login.py");
    }

    /// Trees and plain paths only, as most policies have them.
    #[divan::bench(args = SIZES)]
    fn trees_only(bencher: Bencher<'_, '_>, count: u32) {
        let texts = (0..count).map(|n| format!("services/team{n}/tests/**"));
        let patterns: Vec<Pattern> = texts.map(|text| text.parse().unwrap()).collect();
        let index = Index::build(patterns.iter().zip(0..));
        look_up(bencher, &index, "services/team3/tests/unit/test_login.py");
    }

    /// `**` in `**`, on the deepest path there can be.
    #[divan::bench]
    fn nested_double_stars(bencher: Bencher<'_, '_>) {
        let texts = (0..100).map(|n| format!("{}x{n}", "**/a/".repeat(8)));
        let patterns: Vec<Pattern> = texts.map(|text| text.parse().unwrap()).collect();
        let index = Index::build(patterns.iter().zip(0..));
        look_up(bencher, &index, &["a"; 64].join("/"));
    }

    #[divan::bench(args = SIZES)]
    fn build(bencher: Bencher<'_, '_>, count: u32) {
        let patterns = patterns(count);
        bencher.bench(|| Index::build(black_box(&patterns).iter().zip(0..)));
    }

    #[divan::bench(args = SIZES)]
    fn parse(bencher: Bencher<'_, '_>, count: u32) {
        bencher.bench(|| patterns(count));
    }
}
