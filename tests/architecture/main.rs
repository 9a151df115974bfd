//! The order of the modules, the doors to the outside, and the form of every file in `src`.
//!
//! Each violation is told with file and line and with what to do about it. The rules themselves are
//! explained in ARCHITECTURE.md; here they are tables.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

mod names;
mod tests_themselves;

use names::{Named, names};

/// The modules up to where the line forks. Each names only those in groups to its left.
const LINE: &[&[&str]] = &[
    &["reason", "evidence", "text"],
    &["path", "shell", "log"],
    &["policy"],
    &["decision"],
    &["analysis"],
];

/// What looks at policies only.
const LINT: &[&[&str]] = &[&["lint"]];

/// What runs commands and keeps the record.
const RUN: &[&[&str]] = &[
    &["resolve"],
    &["record", "testing"],
    &["executor"],
    &["governor"],
    &["agents", "report"],
];

/// Where the two meet again: it names everything.
const LAST: &str = "cli";

#[test]
fn every_module_names_only_modules_to_its_left() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some(module) = file.module.first().map(String::as_str) else {
            continue;
        };
        let Some(left) = left_of(module) else {
            wrong.push(format!(
                "src/{}:1: module `{module}` has no place in the order: give it one in tests/architecture/main.rs \
                 and in ARCHITECTURE.md",
                file.name
            ));
            continue;
        };
        for named in file.own_names() {
            let other = named.path[1].as_str();
            if other != module && !left.contains(other) {
                wrong.push(format!(
                    "src/{}:{}: `{module}` names `{other}`, which is not to its left: move what is needed to \
                     the left, or hand it in as an argument",
                    file.name, named.line
                ));
            }
        }
    }
    none(&wrong);
}

/// The modules that `module` may name; none if it has no place in the order.
fn left_of(module: &str) -> Option<BTreeSet<&'static str>> {
    let before = |line: &[&'static [&'static str]]| -> Option<BTreeSet<&'static str>> {
        let at = line.iter().position(|group| group.contains(&module))?;
        Some(line[..at].concat().into_iter().collect())
    };
    let all_of = |lines: &[&[&'static [&'static str]]]| -> BTreeSet<&'static str> {
        lines.iter().flat_map(|line| line.concat()).collect()
    };
    let forked = |branch| {
        before(branch).map(|left: BTreeSet<_>| left.union(&all_of(&[LINE])).copied().collect())
    };
    before(LINE)
        .or_else(|| forked(LINT))
        .or_else(|| forked(RUN))
        .or_else(|| (module == LAST).then(|| all_of(&[LINE, LINT, RUN])))
}

#[test]
fn the_order_is_the_one_of_the_design() {
    let left = |module| {
        left_of(module)
            .unwrap()
            .into_iter()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(left("reason"), "");
    assert_eq!(left("log"), "evidence reason text");
    assert_eq!(left("policy"), "evidence log path reason shell text");
    assert_eq!(
        left("lint"),
        "analysis decision evidence log path policy reason shell text"
    );
    assert_eq!(left("resolve"), left("lint"));
    assert_eq!(
        left("record"),
        "analysis decision evidence log path policy reason resolve shell text"
    );
    assert!(
        left_of("agents").unwrap().contains("governor")
            && !left_of("agents").unwrap().contains("report")
    );
    assert!(left_of("cli").unwrap().contains("lint") && left_of("cli").unwrap().contains("agents"));
    assert_eq!(left_of("misc"), None);
}

/// Something outside, and the only places that may name it. A place is a file or a folder of `src`.
struct Door {
    /// Paths of Rust; of three parts and more also without the first, which a `use` may have taken.
    names: &'static [&'static str],
    places: &'static [(&'static str, &'static str)],
    instead: &'static str,
}

const DOORS: &[Door] = &[
    Door {
        names: &["serde_saphyr"],
        places: &[("policy/source.rs", "the one place that reads YAML")],
        instead: "work on the tree that `policy/source.rs` hands out",
    },
    Door {
        names: &["serde_yaml"],
        places: &[],
        instead: "it is an oracle for tests and no part of the product",
    },
    Door {
        names: &["globset"],
        places: &[
            ("policy/glob/", "an oracle in its tests"),
            ("policy/glob/mod.rs", "the glob grammar"),
        ],
        instead: "use `policy::glob::Pattern`",
    },
    Door {
        names: &["nix", "rustix", "libc"],
        places: &[
            ("executor/posix/", "runs commands"),
            ("executor/cancel.rs", "waits until a run is cancelled"),
            ("resolve/", "asks the disk: openat2, statx, who we are"),
            (
                "log/store/",
                "locks, syncs and reserves: flock, fdatasync, fallocate, statfs",
            ),
            (
                "log/place.rs",
                "what the ledger's filesystem is, and what may be written there",
            ),
            (
                "log/follow.rs",
                "waits for what is appended, without looking from time to time",
            ),
            (
                "log/compose.rs",
                "a clock that also counts while the machine sleeps",
            ),
            (
                "record/owner.rs",
                "whether the process that holds a run is still there",
            ),
        ],
        instead: "ask `resolve`, the ledger's store or the executor for it",
    },
    Door {
        names: &["std::process::Command"],
        places: &[("executor/", "the one place that starts programs")],
        instead: "nothing else starts programs: hand a `Permit` to an `Executor`",
    },
    Door {
        names: &[
            "std::process::exit",
            "std::process::abort",
            "std::process::ExitCode",
        ],
        places: &[("cli/", "picks the exit code"), ("main.rs", "hands it on")],
        instead: "return what happened and let `cli` pick the exit code",
    },
    Door {
        names: &["std::env"],
        places: &[
            ("cli/", "reads what the caller set"),
            (
                "governor/",
                "reads approval switches and what a run inherits",
            ),
            (
                "executor/posix/mod.rs",
                "the helper is this program again and reads its own arguments",
            ),
        ],
        instead: "take it as an argument",
    },
    Door {
        names: &[
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
            "anstream",
            "std::io::stdout",
            "std::io::stderr",
        ],
        places: &[("cli/print.rs", "prints, and keeps what went wrong with it")],
        instead: "return it and let `cli` print it, there with `answer!` and `message!`",
    },
    Door {
        names: &["dbg!", "todo!", "unimplemented!"],
        places: &[],
        instead: "take it out",
    },
];

#[test]
fn each_outside_thing_is_named_in_its_own_places_only() {
    let mut wrong = Vec::new();
    for door in DOORS {
        for file in sources() {
            if door.places.iter().any(|(place, _)| file.is_in(place)) {
                continue;
            }
            for (name, line) in file.names_of(door.names) {
                wrong.push(format!(
                    "src/{}:{line}: `{name}` is named here: {}",
                    file.name, door.instead
                ));
            }
        }
    }
    none(&wrong);
}

/// What neither sees the disk nor the clock, and so answers the same everywhere and can be replayed.
const PURE: &[&str] = &[
    "reason.rs",
    "evidence/",
    "path/",
    "shell/",
    "policy/",
    "decision/",
    "analysis/",
    "log/merkle.rs",
];

const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::os::unix::fs",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "getrandom",
];

#[test]
fn what_decides_touches_neither_disk_nor_clock() {
    let mut wrong = Vec::new();
    for file in sources() {
        if PURE.iter().any(|place| file.is_in(place)) {
            for (name, line) in file.names_of(IMPURE) {
                wrong.push(format!(
                    "src/{}:{line}: `{name}` is named here: this module is pure, take what it needs as an argument",
                    file.name
                ));
            }
        }
    }
    none(&wrong);
}

/// Files without `#![forbid(unsafe_code)]`, which could not be lifted again in a module below.
const WITHOUT_FORBID: &[(&str, &str)] = &[
    ("lib.rs", "holds `executor`"),
    ("executor/mod.rs", "holds `posix`"),
    ("executor/posix/mod.rs", "holds `sys`"),
    (
        "executor/posix/sys.rs",
        "system calls that no safe wrapper has",
    ),
];

#[test]
fn unsafe_code_is_forbidden_in_every_file_but_those_that_hold_the_system_calls() {
    let mut wrong = Vec::new();
    for file in sources() {
        let forbids = file
            .text
            .lines()
            .any(|line| line == "#![forbid(unsafe_code)]");
        let excepted = WITHOUT_FORBID.iter().any(|(name, _)| *name == file.name);
        if !forbids && !excepted {
            wrong.push(format!(
                "src/{}:1: `#![forbid(unsafe_code)]` is missing below the `//!` lines",
                file.name
            ));
        }
        if forbids && excepted {
            wrong.push(format!(
                "src/{}:1: forbids unsafe code: strike it from WITHOUT_FORBID",
                file.name
            ));
        }
    }
    none(&wrong);
}

#[test]
fn every_file_begins_with_what_it_is() {
    let wrong: Vec<_> = sources()
        .iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| {
            format!(
                "src/{}:1: begin with `//!` and one sentence: what comes in, what goes out",
                file.name
            )
        })
        .collect();
    none(&wrong);
}

/// The most lines of a file before its tests. A file is one idea; most have 100 to 300.
const MOST_LINES: usize = 900;

const LONG_FILES: &[(&str, &str)] = &[];

/// Files that a folder may hold before its `mod.rs` has to say what each is.
const FEW: usize = 5;

/// Folders of which each file is one of a kind, and its name says which.
const OF_A_KIND: &[(&str, &str)] = &[
    ("cli/", "commands"),
    ("cli/ledger/", "commands of `lictor ledger`"),
    ("lint/rules/", "rules, listed below the head"),
];

#[test]
fn a_module_with_a_folder_is_its_mod_file_and_names_the_files_in_it() {
    let mut wrong = Vec::new();
    for file in sources() {
        let Some(folder) = file.name.strip_suffix("mod.rs") else {
            continue;
        };
        let files: BTreeSet<&str> = sources()
            .iter()
            .filter_map(|other| other.name.strip_prefix(folder)?.split('/').next())
            .map(|name| name.strip_suffix(".rs").unwrap_or(name))
            .filter(|name| !["mod", "tests"].contains(name))
            .collect();
        if folder.is_empty() || files.len() <= FEW || OF_A_KIND.iter().any(|(of, _)| *of == folder)
        {
            continue;
        }
        let head: String = file
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        for name in files {
            if ![
                format!("`{name}`"),
                format!("`{name}.rs`"),
                format!("`{name}/`"),
            ]
            .iter()
            .any(|named| head.contains(named.as_str()))
            {
                wrong.push(format!(
                    "src/{}:1: the table at the head does not say what `{name}` is",
                    file.name
                ));
            }
        }
    }
    for file in sources().iter().filter(|file| file.name.contains('/')) {
        let folder = format!("{}/", file.name.strip_suffix(".rs").unwrap());
        if !file.name.ends_with("mod.rs")
            && sources()
                .iter()
                .any(|other| other.name.starts_with(&folder))
        {
            wrong.push(format!("src/{}:1: move it to `{folder}mod.rs`", file.name));
        }
    }
    none(&wrong);
}

#[test]
fn no_file_holds_more_than_one_idea() {
    let mut wrong = Vec::new();
    for file in sources() {
        let lines = file.lines_before_tests();
        let excepted = LONG_FILES.iter().any(|(name, _)| *name == file.name);
        if lines > MOST_LINES && !excepted {
            wrong.push(format!(
                "src/{}:{MOST_LINES}: {lines} lines before the tests: split it by idea, or list it in LONG_FILES \
                 with the reason",
                file.name
            ));
        }
        if lines <= MOST_LINES && excepted {
            wrong.push(format!(
                "src/{}:1: is short enough again: strike it from LONG_FILES",
                file.name
            ));
        }
    }
    none(&wrong);
}

#[test]
fn every_place_in_these_tables_exists() {
    let files = sources();
    let doors = DOORS
        .iter()
        .flat_map(|door| door.places)
        .map(|(place, _)| *place);
    let listed = WITHOUT_FORBID
        .iter()
        .chain(LONG_FILES)
        .map(|(place, _)| *place);
    let wrong: Vec<_> = doors
        .chain(listed)
        .filter(|place| !files.iter().any(|file| file.is_in(place)))
        .map(|place| format!("tests/architecture/main.rs: there is no src/{place}"))
        .collect();
    none(&wrong);
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// One file of `src`.
struct Source {
    /// Its path below `src`.
    name: String,
    /// The module it is, from the crate's root.
    module: Vec<String>,
    text: String,
    names: Vec<Named>,
}

fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_sources);
    &SOURCES
}

fn read_sources() -> Vec<Source> {
    let read = |(name, text): (String, String)| {
        let mut module: Vec<String> = name
            .trim_end_matches(".rs")
            .split('/')
            .map(str::to_owned)
            .collect();
        if matches!(module.last().unwrap().as_str(), "mod" | "lib" | "main") {
            module.pop();
        }
        let names = names(&text, &module);
        Source {
            name,
            module,
            text,
            names,
        }
    };
    let found: Vec<Source> = files_below("src").into_iter().map(read).collect();
    assert!(
        found.len() > 50,
        "the sources are not where they are looked for"
    );
    found
}

/// Every Rust file below a directory of this package: its path from there, and its text, in order.
fn files_below(directory: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                let text = fs::read_to_string(&path).unwrap();
                found.push((name.replace('\\', "/"), text));
            }
        }
    }
    found.sort();
    found
}

impl Source {
    fn is_in(&self, place: &str) -> bool {
        self.name == place || place.ends_with('/') && self.name.starts_with(place)
    }

    /// The file is nothing but tests.
    fn is_test(&self) -> bool {
        self.module.last().is_some_and(|name| name == "tests")
    }

    /// What is named of the crate itself, tests included.
    fn own_names(&self) -> impl Iterator<Item = &Named> {
        self.names
            .iter()
            .filter(|named| named.path.len() > 1 && named.path[0] == "crate")
    }

    /// Where one of these is named outside of tests.
    fn names_of(&self, wanted: &[&'static str]) -> Vec<(&'static str, usize)> {
        if self.is_test() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for named in self.names.iter().filter(|named| !named.in_tests) {
            for wanted in wanted {
                let parts: Vec<&str> = wanted.split("::").collect();
                let begins_with = |parts: &[&str]| {
                    named.path.len() >= parts.len()
                        && parts
                            .iter()
                            .zip(&named.path)
                            .all(|(part, name)| part == name)
                };
                if begins_with(&parts) || parts.len() > 2 && begins_with(&parts[1..]) {
                    found.push((*wanted, named.line));
                }
            }
        }
        found
    }

    fn lines_before_tests(&self) -> usize {
        if self.is_test() {
            return 0;
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let begin = |at: usize| {
            lines[at] == "#[cfg(test)]"
                && lines[at..]
                    .iter()
                    .take(3)
                    .any(|line| line.starts_with("mod "))
        };
        (0..lines.len())
            .find(|at| begin(*at))
            .unwrap_or(lines.len())
    }
}
