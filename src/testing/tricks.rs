//! Changes to a path that is allowed, so that it leads elsewhere or only looks the same.
//!
//! Each trick makes one of the known attacks out of a path below a directory. By the lexical rules with
//! their default switches, or because no scope holds it, what comes out is denied wherever only that
//! directory is allowed.

#![forbid(unsafe_code)]

use super::random::Random;

/// A trick's name, and what it does.
pub(super) type Trick = (&'static str, fn(&str, &mut Random) -> Vec<u8>);

/// All tricks.
pub(super) const TRICKS: &[Trick] = &[
    ("climb", |path, random| at_border(path, random, "/../")),
    ("climb out", |path, random| {
        let up = "../".repeat(random.below(9).saturating_add(1));
        format!("{path}/{up}etc/passwd").into_bytes()
    }),
    ("climb first", |path, random| {
        let up = "../".repeat(random.below(3).saturating_add(1));
        format!("{up}{path}").into_bytes()
    }),
    ("dots and spaces", |path, random| {
        let dots = ["/.. /", "/... /", "/ ../", "/..../", "/. ./"];
        at_border(path, random, random.clone().pick(&dots).unwrap_or(&"/.../"))
    }),
    ("dot", |path, random| at_border(path, random, "/./")),
    ("empty segment", |path, random| {
        at_border(path, random, "//")
    }),
    ("backslashes", |path, random| {
        at_border(path, random, "\\..\\")
    }),
    ("other place", |_, random| {
        let places = [
            "etc/passwd",
            "x",
            "lictor-elsewhere/secret",
            ".ssh/id_ed25519",
            ".",
        ];
        random.pick(&places).unwrap_or(&"x").as_bytes().to_vec()
    }),
    ("sibling", |path, _| {
        at_first_segment(path, |name| format!("{name}_evil"))
    }),
    ("sibling's end", |path, _| {
        at_first_segment(path, |name| format!("{name}.bak"))
    }),
    ("case twin", |path, _| at_first_segment(path, other_case)),
    ("other normal form", |path, random| {
        at_border(path, random, "/e\u{301}/")
    }),
    ("absolute", |path, random| {
        let before = [
            "/",
            "//",
            "\\",
            "\\\\host\\",
            "C:/",
            "c:",
            "file:///",
            "/proc/self/cwd/",
            "\\\\?\\",
        ];
        let before = random.pick(&before).unwrap_or(&"/");
        format!("{before}{path}").into_bytes()
    }),
    ("home and variables", |path, random| {
        let before = ["~/", "~root/", "$HOME/", "${HOME}/", "$(id)/", "%HOME%/"];
        let before = random.pick(&before).unwrap_or(&"~/");
        format!("{before}{path}").into_bytes()
    }),
    ("option", |path, random| {
        let before = ["-", "--", "--output=", "@"];
        let before = random.pick(&before).unwrap_or(&"-");
        format!("{before}{path}").into_bytes()
    }),
    ("encoded", |path, random| {
        let encoded = [
            "/%2e%2e/",
            "/..%2f",
            "%2f..%2f",
            "/%252e%252e/",
            "/%c0%ae%c0%ae/",
            "/%u002e%u002e/",
        ];
        let encoded = random.pick(&encoded).unwrap_or(&"/%2e%2e/");
        at_border(path, random, encoded)
    }),
    ("look-alikes", |path, random| {
        let alike = [
            "/\u{ff0e}\u{ff0e}/",
            "/\u{2025}/",
            "\u{2215}..",
            "\u{ff0f}",
            "/\u{2024}\u{2024}/",
        ];
        let alike = random.pick(&alike).unwrap_or(&"\u{ff0f}");
        at_border(path, random, alike)
    }),
    ("invisible", |path, random| {
        let invisible = [
            "\0", "\n", "\r", "\t", "\u{200b}", "\u{202e}", "\u{feff}", "\u{ad}", "\u{2028}",
        ];
        let invisible = random.pick(&invisible).unwrap_or(&"\0");
        anywhere(path, random, invisible.as_bytes())
    }),
    ("broken encoding", |path, random| {
        let broken: [&[u8]; 5] = [
            b"\xff",
            b"\xc0\xae\xc0\xae/",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xc3",
        ];
        let broken = random.pick(&broken).copied().unwrap_or(b"\xff");
        // Behind the last character, where nothing can complete it.
        [path.as_bytes(), b"/", broken].concat()
    }),
    ("edges", |path, random| {
        let edge = ["./", " /", "/ ", "\u{a0}/"];
        let edge = random.pick(&edge).unwrap_or(&" /");
        at_border(path, random, edge)
    }),
    ("trailing", |path, random| {
        let end = [".", " ", "::$DATA", ":x", "\u{3000}"];
        let end = random.pick(&end).unwrap_or(&".");
        format!("{path}{end}").into_bytes()
    }),
    ("windows name", |path, random| {
        let name = [
            "con",
            "AUX.txt",
            "nul",
            "COM1",
            "lpt\u{b9}",
            "SECRET~1",
            "GIT~1.TXT",
            "conin$",
        ];
        let name = random.pick(&name).unwrap_or(&"con");
        format!("{path}/{name}").into_bytes()
    }),
    ("protected name", |path, random| {
        let name = [".git/config", ".GIT/hooks/pre-commit", ".Git"];
        let name = random.pick(&name).unwrap_or(&".git");
        format!("{path}/{name}").into_bytes()
    }),
    ("wildcards", |path, random| {
        let wild = ["/*", "/?", "/{a,b}", "/a|b", "/<x", "/\"q\""];
        let wild = random.pick(&wild).unwrap_or(&"/*");
        format!("{path}{wild}").into_bytes()
    }),
    ("too long", |path, random| {
        let long = if random.once_in(2) {
            "a".repeat(256)
        } else {
            "a/".repeat(64)
        };
        format!("{path}/{long}x").into_bytes()
    }),
    ("nothing", |_, random| {
        let nothing = ["", " ", "\u{3000}", "  "];
        random.pick(&nothing).unwrap_or(&"").as_bytes().to_vec()
    }),
];

/// Puts a text in the place of a `/` or, where there is none, behind the path.
fn at_border(path: &str, random: &mut Random, text: &str) -> Vec<u8> {
    let borders: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
    match random
        .pick(&borders)
        .and_then(|at| path.split_at_checked(*at))
    {
        Some((before, behind)) => {
            let behind = behind.strip_prefix('/').unwrap_or(behind);
            format!("{before}{text}{behind}").into_bytes()
        }
        None => format!("{path}{text}x").into_bytes(),
    }
}

fn anywhere(path: &str, random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = path.char_indices().map(|(at, _)| at).collect();
    let at = random.pick(&places).copied().unwrap_or(0);
    let (before, behind) = path.as_bytes().split_at_checked(at).unwrap_or_default();
    [before, bytes, behind].concat()
}

fn at_first_segment(path: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    match path.split_once('/') {
        Some((first, rest)) => format!("{}/{rest}", change(first)),
        None => change(path),
    }
    .into_bytes()
}

/// The name with the other case of its letters; of a name without letters, a sibling.
fn other_case(name: &str) -> String {
    let swapped: String = name
        .chars()
        .map(|c| match c.is_ascii_lowercase() {
            true => c.to_ascii_uppercase(),
            false => c.to_ascii_lowercase(),
        })
        .collect();
    if swapped == name {
        format!("{name}_")
    } else {
        swapped
    }
}
