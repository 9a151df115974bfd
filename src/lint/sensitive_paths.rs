//! Where secrets, and files that decide what other programs do, are by convention.

#![forbid(unsafe_code)]

use crate::analysis::PathSet;
use crate::policy::casefold::fold;
use crate::policy::glob::{Case, Pattern};

/// Reading these gives away secrets or how to get in.
pub(crate) static HIDDEN_READ: &[Place] = &[
    Place::new("**/.env", &[".env"]),
    env(&[".env.local"]),
    ssh(&[".ssh/id_ed25519", ".ssh/config"]),
];

/// Writing these changes what other programs do. Those that are looked for at the top only lie there.
pub(crate) static HIDDEN_WRITE: &[Place] = &[
    Place {
        deny: Some(".github/**"),
        ..Place::new(
            ".github/workflows/*.{yml,yaml}",
            &[".github/workflows/ci.yml"],
        )
    },
    Place::new(".gitlab-ci.yml", &[".gitlab-ci.yml"]),
    Place::new("**/.gitattributes", &[".gitattributes"]),
    Place::new(".gitmodules", &[".gitmodules"]),
    Place {
        deny: Some(".circleci/**"),
        ..Place::new(".circleci/config.yml", &[".circleci/config.yml"])
    },
    Place::new(".travis.yml", &[".travis.yml"]),
    Place::new("azure-pipelines.yml", &["azure-pipelines.yml"]),
    Place::new("Jenkinsfile", &["Jenkinsfile"]),
    Place {
        deny: Some(".husky/**"),
        ..Place::new(".husky/*", &[".husky/pre-commit"])
    },
    Place {
        deny: Some(".githooks/**"),
        ..Place::new(".githooks/*", &[".githooks/pre-commit"])
    },
    Place::new("**/.env", &[".env"]),
    env(&[".env.local"]),
    ssh(&[".ssh/authorized_keys", ".ssh/config"]),
];

/// Where secrets are by the conventions of the tools that make them.
pub(crate) static SECRETS: &[Place] = &[
    Place::new("**/.env", &[".env"]),
    env(&[".env.local", ".env.production"]),
    Place::new("**/.envrc", &[".envrc"]),
    Place::new("**/*.pem", &["server.pem", "certs/server.pem"]),
    Place::new("**/*.key", &["server.key", "certs/server.key"]),
    // `id_rsa.pub` is the public half, and `id_map.rs` no key at all.
    Place::new(
        "**/id_{rsa,dsa,ecdsa,ecdsa_sk,ed25519,ed25519_sk}",
        &["id_rsa", "id_ed25519"],
    ),
    ssh(&[".ssh/id_ed25519", ".ssh/config"]),
    Place {
        but: SOURCES,
        ..Place::new("**/.aws/**", &[".aws/credentials", ".aws/config"])
    },
    Place::new("**/.netrc", &[".netrc"]),
    Place::new("**/.npmrc", &[".npmrc"]),
    Place::new("**/.pypirc", &[".pypirc"]),
];

const fn env(names: &'static [&'static str]) -> Place {
    Place {
        but: EXAMPLES,
        ..Place::new("**/.env.*", names)
    }
}

const fn ssh(names: &'static [&'static str]) -> Place {
    Place {
        but: SOURCES,
        ..Place::new("**/.ssh/**", names)
    }
}

/// Program text and prose, which hold no secrets wherever they lie: a rule about `src/**/*.rs` also matches
/// `src/.ssh/a.rs`, and nobody has to be told.
const SOURCES: &str = "**/*.{rs,py,pyi,js,mjs,cjs,jsx,ts,tsx,go,c,h,cc,cpp,hpp,java,kt,rb,php,cs,swift,lua,ex,hs,ml,sql,md,rst,adoc,html,css,scss,vue}";

/// Examples of files with variables, which are committed, and program text.
const EXAMPLES: &str = "**/*.{example,sample,template,dist,rs,py,pyi,js,mjs,cjs,jsx,ts,tsx,go,c,h,cc,cpp,hpp,java,kt,rb,php,cs,swift,lua,ex,hs,ml,sql,md,rst,adoc,html,css,scss,vue}";

/// Returns true if all names of a pattern are plainly those of program text or prose.
pub(crate) fn is_of_sources(pattern: &Pattern) -> bool {
    let name = pattern.as_str().rsplit('/').next().unwrap_or_default();
    let endings = SOURCES
        .trim_start_matches("**/*.{")
        .trim_end_matches('}')
        .split(',');
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    endings.into_iter().any(|known| ending == Some(known))
}

/// A place by the conventions of the programs that use it.
#[derive(Debug)]
pub(crate) struct Place {
    /// Pattern of the place.
    pub(crate) pattern: &'static str,
    /// The part of the pattern that is something else, or nothing.
    pub(crate) but: &'static str,
    /// Names in it that people know. Below any directory, or from the top if the pattern is.
    pub(crate) names: &'static [&'static str],
    /// Pattern for a deny over it, if not the pattern itself.
    pub(crate) deny: Option<&'static str>,
}

impl Place {
    pub(crate) const fn new(pattern: &'static str, names: &'static [&'static str]) -> Place {
        Place {
            pattern,
            but: "",
            names,
            deny: None,
        }
    }

    /// The pattern of a deny over it.
    pub(crate) fn deny(&self) -> &'static str {
        self.deny.unwrap_or(self.pattern)
    }

    /// Returns true if program text is no part of it.
    pub(crate) fn is_without_sources(&self) -> bool {
        self.but == SOURCES || self.but == EXAMPLES
    }

    /// Returns true if it lies below any directory.
    pub(crate) fn is_anywhere(&self) -> bool {
        self.pattern.starts_with("**/")
    }

    /// Its paths, in every case of the letters.
    pub(crate) fn set(&self) -> PathSet {
        let parsed = |text: &str| Pattern::parse(text).ok();
        // The old long s folds to `s`. No program writes `.ssh` with it, and a deny that lists letters in a
        // class does not hold for it. No other character of paths folds to a letter of ASCII.
        let outlandish = self.spelled_with('\u{17f}');
        let but = outlandish.iter().filter_map(|text| parsed(text));
        PathSet::scope(
            parsed(self.pattern),
            but.chain(parsed(self.but)),
            Case::Folded,
        )
    }

    /// Patterns of the names in it that are written with this character, which folds to a letter.
    fn spelled_with(&self, c: char) -> Vec<String> {
        let names: Vec<&str> = self.pattern.split('/').collect();
        let is_letter = |other: char| other.is_ascii() && fold(other) == fold(c);
        let mut patterns = Vec::new();
        for (nth, name) in names.iter().enumerate() {
            if !name.contains(is_letter) {
                continue;
            }
            let begin: String = name.chars().take_while(|c| !c.is_alphabetic()).collect();
            let star = if begin.ends_with('*') { "" } else { "*" };
            let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            if let Some(name) = names.get_mut(nth) {
                *name = format!("{begin}{star}{c}*");
            }
            patterns.push(names.join("/"));
        }
        patterns
    }
}
