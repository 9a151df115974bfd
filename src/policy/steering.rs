//! Environment variables that decide what a program loads or runs.
//!
//! Passing one of these on hands the run to whoever sets it, so a policy can do so only on purpose,
//! with `unsafe_inherit`.

#![forbid(unsafe_code)]

/// Names, or prefixes ending in `*`, with where each is documented.
const STEERING: &[(&str, &str)] = &[
    ("PATH", "POSIX.1-2024, 8.3"),
    (
        "HOME",
        "POSIX.1-2024, 8.3: where configuration is read from",
    ),
    ("ENV", "POSIX.1-2024, sh: a file read at start"),
    ("IFS", "POSIX.1-2024, sh"),
    ("SHELL", "POSIX.1-2024, 8.3"),
    ("CDPATH", "POSIX.1-2024, cd"),
    ("SHELLOPTS", "bash(1)"),
    ("BASHOPTS", "bash(1)"),
    ("BASH_ENV", "bash(1)"),
    ("BASH_FUNC_*", "bash(1): exported functions"),
    ("PS4", "bash(1): expanded with command substitution"),
    ("PROMPT_COMMAND", "bash(1)"),
    ("ZDOTDIR", "zsh(1)"),
    ("LD_*", "ld.so(8)"),
    ("DYLD_*", "dyld(1)"),
    ("GCONV_PATH", "iconv(3): loads modules"),
    ("GLIBC_TUNABLES", "ld.so(8)"),
    ("LOCPATH", "locale(7)"),
    ("NLSPATH", "catopen(3)"),
    ("MALLOC_*", "mallopt(3)"),
    (
        "PYTHON*",
        "python(1): PYTHONPATH, PYTHONSTARTUP, PYTHONHOME and the like",
    ),
    (
        "PYTEST_*",
        "docs.pytest.org: PYTEST_ADDOPTS, PYTEST_PLUGINS",
    ),
    ("PIP_*", "pip.pypa.io"),
    ("UV_*", "docs.astral.sh/uv"),
    ("VIRTUAL_ENV", "docs.python.org/3/library/venv"),
    ("NODE_*", "nodejs.org/api/cli: NODE_OPTIONS, NODE_PATH"),
    ("NPM_CONFIG_*", "docs.npmjs.com"),
    ("npm_config_*", "docs.npmjs.com"),
    ("PERL*", "perlrun(1): PERL5OPT, PERL5LIB"),
    ("RUBY*", "ruby(1): RUBYOPT, RUBYLIB"),
    ("GEM_*", "rubygems.org"),
    ("BUNDLE_*", "bundler.io"),
    ("JAVA_TOOL_OPTIONS", "docs.oracle.com: JVM tool interface"),
    ("_JAVA_OPTIONS", "docs.oracle.com"),
    ("JDK_JAVA_OPTIONS", "docs.oracle.com: java(1)"),
    ("CLASSPATH", "docs.oracle.com: java(1)"),
    ("GIT_*", "git(1)"),
    ("SSH_ASKPASS", "ssh(1): a program"),
    ("PAGER", "POSIX.1-2024, man: a program"),
    ("LESSOPEN", "less(1): a program"),
    ("LESSCLOSE", "less(1): a program"),
    ("EDITOR", "POSIX.1-2024: a program"),
    ("VISUAL", "POSIX.1-2024: a program"),
    ("BROWSER", "xdg-open(1): a program"),
    ("RUSTC", "doc.rust-lang.org/cargo: a program"),
    ("RUSTC_*", "doc.rust-lang.org/cargo: wrappers"),
    ("RUSTDOC", "doc.rust-lang.org/cargo: a program"),
    (
        "RUSTFLAGS",
        "doc.rust-lang.org/cargo: linker and codegen options",
    ),
    ("RUSTDOCFLAGS", "doc.rust-lang.org/cargo"),
    ("RUSTUP_*", "rust-lang.github.io/rustup"),
    ("CARGO", "doc.rust-lang.org/cargo: a program"),
    (
        "CARGO_*",
        "doc.rust-lang.org/cargo: configuration, linkers, runners",
    ),
    ("CC", "make(1): a program"),
    ("CXX", "make(1): a program"),
    ("MAKEFLAGS", "make(1)"),
    ("GREP_OPTIONS", "grep(1)"),
    (
        "RIPGREP_CONFIG_PATH",
        "rg(1): options, among them --pre, a program",
    ),
    ("TAR_OPTIONS", "tar(1): options, among them programs"),
    ("XDG_CONFIG_HOME", "specifications.freedesktop.org/basedir"),
    ("XDG_CONFIG_DIRS", "specifications.freedesktop.org/basedir"),
    (
        "TF_CLI_*",
        "developer.hashicorp.com/terraform: arguments and configuration",
    ),
    ("DOCKER_*", "docs.docker.com"),
    ("KUBECONFIG", "kubernetes.io: runs credential programs"),
];

/// Whether a variable of this name decides what a program loads or runs.
#[must_use]
pub fn steers(name: &str) -> bool {
    STEERING.iter().any(|(steering, _)| covers(steering, name))
}

/// A steering variable that a name or prefix with `*` would pass on, if there is one.
pub(crate) fn steered_by_pattern(pattern: &str) -> Option<&'static str> {
    let names = STEERING.iter().map(|(steering, _)| *steering);
    match pattern.strip_suffix('*') {
        None => names.into_iter().find(|steering| covers(steering, pattern)),
        Some(prefix) => names.into_iter().find(|steering| {
            let stem = steering.strip_suffix('*').unwrap_or(steering);
            stem.starts_with(prefix) || (steering.ends_with('*') && prefix.starts_with(stem))
        }),
    }
}

fn covers(steering: &str, name: &str) -> bool {
    steering
        .strip_suffix('*')
        .map_or(steering == name, |stem| name.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_steering_as_soon_as_it_covers_one_name() {
        for pattern in [
            "PATH",
            "LD_PRELOAD",
            "LD_*",
            "P*",
            "PYTHONPATH",
            "GIT_DIR",
            "*",
            "LD_LIBRARY_*",
            "BASH_*",
        ] {
            assert!(steered_by_pattern(pattern).is_some(), "{pattern}");
        }
        for pattern in [
            "AWS_*", "CI", "TERM", "PATHS", "LANG", "COLUMNS", "HOMEPAGE",
        ] {
            assert_eq!(steered_by_pattern(pattern), None, "{pattern}");
        }
        assert!(steers("GIT_SSH_COMMAND") && !steers("GITHUB_ACTIONS"));
    }
}
