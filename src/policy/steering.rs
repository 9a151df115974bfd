//! Environment variables that decide what a program loads, runs, or sends where.
//!
//! Passing one of these on hands the run to whoever sets it, so a policy can do so only on purpose, with
//! `unsafe_inherit`. Known are three kinds of names: those of documented classes, which are refused; those that
//! are harmless; and all others, of which nobody can say which program reads them how. Names are compared without
//! regard to case: npm and proxies read them so, and no two programs give the cases of one name two meanings.

#![forbid(unsafe_code)]

/// A class of variables, and their effect.
#[derive(Debug)]
struct Class {
    /// A fragment that fits after "which".
    does: &'static str,
    /// Names, with a `*` at the beginning or the end. The documentation of each is that of the program it is
    /// named after.
    names: &'static [&'static str],
}

/// Variables of which is documented that they steer.
const CLASSES: &[Class] = &[
    // POSIX.1-2024, 8.3 and sh; bash(1); zsh(1); fish(1)
    Class {
        does: "decides what a shell runs or where programs and settings are looked up",
        names: &[
            "PATH",
            "HOME",
            "ENV",
            "IFS",
            "SHELL",
            "CDPATH",
            "FPATH",
            "SHELLOPTS",
            "BASHOPTS",
            "BASH_*",
            "PS1",
            "PS4",
            "PROMPT_COMMAND",
            "ZDOTDIR",
            "FCEDIT",
            "INPUTRC",
            "XDG_CONFIG_*",
            "XDG_DATA_*",
            "XDG_CACHE_HOME",
            "XDG_STATE_HOME",
            "TMPDIR",
            "COMSPEC",
            "PATHEXT",
        ],
    },
    // ld.so(8), dyld(1), iconv(3), locale(7), catopen(3), mallopt(3), resolv.conf(5), ssl(7), GLib, Qt and Mesa
    Class {
        does: "decides which code is loaded into programs",
        names: &[
            "LD_*",
            "DYLD_*",
            "GCONV_PATH",
            "GLIBC_TUNABLES",
            "LOCPATH",
            "NLSPATH",
            "MALLOC_*",
            "GETCONF_DIR",
            "TZDIR",
            "TERMINFO*",
            "TERMCAP",
            "HOSTALIASES",
            "RES_OPTIONS",
            "LOCALDOMAIN",
            "OPENSSL_*",
            "GTK_*",
            "GDK_*",
            "GIO_*",
            "GST_*",
            "QT_*",
            "LIBGL_*",
            "GMON_OUT_PREFIX",
            "LLVM_PROFILE_FILE",
            "GCOV_PREFIX*",
            "*SAN_OPTIONS",
            "*SAN_SYMBOLIZER_PATH",
            "MAGIC",
            "PKCS11_*",
        ],
    },
    // python(1), docs.pytest.org, coverage.readthedocs.io, pip.pypa.io, docs.astral.sh/uv, and the tools they are named after
    Class {
        does: "decides what Python and its tools load",
        names: &[
            "PYTHON*",
            "PYTEST_*",
            "COV_CORE_*",
            "COVERAGE_*",
            "PIP_*",
            "PIPX_*",
            "PIPENV_*",
            "UV_*",
            "VIRTUAL_ENV*",
            "CONDA_*",
            "PYENV_*",
            "POETRY_*",
            "PDM_*",
            "HATCH_*",
            "TOX_*",
            "NOX_*",
            "MYPY*",
            "PYLINT*",
            "RUFF_*",
            "DJANGO_*",
            "FLASK_*",
            "MPLBACKEND",
            "MPLCONFIGDIR",
            "IPYTHONDIR",
            "JUPYTER_*",
        ],
    },
    // nodejs.org/api/cli, docs.npmjs.com, yarnpkg.com, pnpm.io, bun.sh, docs.deno.com, electronjs.org
    Class {
        does: "decides what Node and its package managers load or run",
        names: &[
            "NODE_*",
            "NPM_*",
            "PREFIX",
            "YARN_*",
            "PNPM_*",
            "COREPACK_*",
            "BUN_*",
            "DENO_*",
            "TS_NODE_*",
            "TSX_*",
            "ELECTRON_*",
            "NVM_*",
            "VOLTA_*",
            "ESLINT_*",
            "JEST_*",
            "VITEST_*",
            "PLAYWRIGHT_*",
            "PUPPETEER_*",
        ],
    },
    // perlrun(1), ruby(1), lua(1), php(1), Rscript(1), docs.julialang.org, erl(1), guile(1), gawk(1), tclsh(1), ghc(1)
    Class {
        does: "decides what an interpreter loads",
        names: &[
            "PERL*",
            "RUBY*",
            "RUBYOPT",
            "GEM_*",
            "BUNDLE*",
            "RBENV_*",
            "LUA_*",
            "PHP*",
            "COMPOSER_*",
            "R_*",
            "JULIA_*",
            "ERL_*",
            "ELIXIR_*",
            "MIX_*",
            "GUILE_*",
            "AWKPATH",
            "AWKLIBPATH",
            "TCL*",
            "OCAML*",
            "CAML*",
            "OPAM*",
            "GHC*",
            "STACK_*",
            "CABAL_*",
            "JQ_*",
        ],
    },
    // docs.oracle.com: java(1), JVM tool interface; maven.apache.org; docs.gradle.org; learn.microsoft.com/dotnet
    Class {
        does: "decides what a virtual machine loads or how it is started",
        names: &[
            "JAVA_*",
            "_JAVA_*",
            "JDK_*",
            "JVM_*",
            "CLASSPATH",
            "MAVEN_*",
            "MVN*",
            "GRADLE_*",
            "SBT_*",
            "ANT_*",
            "KOTLIN_*",
            "SCALA_*",
            "DOTNET_*",
            "CORECLR_*",
            "COMPLUS_*",
            "COR_*",
            "MSBUILD*",
            "NUGET_*",
        ],
    },
    // make(1), gcc(1), cmake-env-variables(7), ccache(1), pkg-config(1), doc.rust-lang.org, go.dev
    Class {
        does: "names programs, options or files of a build",
        names: &[
            "MAKE*",
            "MFLAGS",
            "GNUMAKEFLAGS",
            "CC",
            "CC_*",
            "CXX",
            "CXX_*",
            "CPP",
            "LD",
            "AR",
            "AS",
            "NM",
            "RANLIB",
            "STRIP",
            "FC",
            "CPATH",
            "C_INCLUDE_PATH",
            "CPLUS_INCLUDE_PATH",
            "LIBRARY_PATH",
            "COMPILER_PATH",
            "GCC_*",
            "PKG_CONFIG*",
            "CMAKE_*",
            "CTEST_*",
            "CCACHE_*",
            "SCCACHE_*",
            "DISTCC_*",
            "ICECC_*",
            "LIBCLANG_*",
            "BINDGEN_*",
            "CLIPPY_*",
            "RUSTC*",
            "RUSTDOC*",
            "RUSTFMT*",
            "RUSTFLAGS",
            "RUSTUP_*",
            "RUST_TARGET_PATH",
            "CARGO*",
            "GO*",
            "CGO_*",
            "BAZEL_*",
            "NIX_*",
            "DEB_*",
            "RPM_*",
            "HOMEBREW_*",
        ],
    },
    // git(1), hg(1), svn, ssh(1), rsync(1), gpg(1), cli.github.com
    Class {
        does: "names programs, files or repositories of version control and transport",
        names: &[
            "GIT_*", "HG*", "SVN_*", "CVS*", "JJ_*", "SSH_*", "RSYNC_*", "GNUPG*", "GPG_*",
            "SUDO_*", "GH_*", "GLAB_*", "GCM_*", "KRB5*", "NETRC",
        ],
    },
    // POSIX.1-2024: man, more, vi; less(1), vim, xdg-open(1)
    Class {
        does: "names a program, or options that start one, for showing or editing text",
        names: &[
            "*PAGER", "LESS*", "MORE", "MAN*", "*EDITOR", "VISUAL", "BROWSER", "VIMINIT", "EXINIT",
            "VIM*", "NVIM*", "EMACS*",
        ],
    },
    // grep(1), rg(1), tar(1), zip(1), curl(1), wget(1), psql, ack(1)
    Class {
        does: "holds options or settings of a program",
        names: &[
            "GREP_OPTIONS",
            "RIPGREP_*",
            "TAR_OPTIONS",
            "GZIP",
            "ZIPOPT",
            "UNZIP",
            "CURL_*",
            "WGET*",
            "PG*",
            "PSQL*",
            "MYSQL_*",
            "SQLITE_*",
            "ACK*",
            "FZF_*",
            "BAT_*",
            "FD_*",
            "DIRENV_*",
            "STARSHIP_*",
            "TMUX*",
            "SCREENRC",
        ],
    },
    // docs.aws.amazon.com, cloud.google.com, learn.microsoft.com, kubernetes.io, docs.docker.com, developer.hashicorp.com
    Class {
        does: "names settings with credential programs, or the machine that is talked to",
        names: &[
            "AWS_CONFIG_FILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_ENDPOINT_URL*",
            "AWS_CA_BUNDLE",
            "AWS_CONTAINER_*",
            "AWS_WEB_IDENTITY_*",
            "AWS_DATA_PATH",
            "CLOUDSDK_*",
            "BOTO_*",
            "AZURE_CONFIG_DIR",
            "AZURE_EXTENSION_*",
            "KUBECONFIG",
            "KUBE_*",
            "KUBECTL_*",
            "HELM_*",
            "DOCKER_*",
            "BUILDKIT_*",
            "BUILDX_*",
            "COMPOSE_*",
            "CONTAINER_*",
            "CONTAINERS_*",
            "PODMAN_*",
            "ANSIBLE_*",
            "TF_*",
            "TERRAFORM_*",
            "PULUMI_*",
            "VAULT_*",
            "CONSUL_*",
            "NOMAD_*",
        ],
    },
    // curl(1), requests.readthedocs.io, openssl(1)
    Class {
        does: "decides which machines are trusted or talked through",
        names: &[
            "*_PROXY",
            "SSL_*",
            "TLS_*",
            "*_CA_BUNDLE",
            "*_CA_CERTS",
            "*_CA_FILE",
            "SSLKEYLOGFILE",
            "HTTPS_*",
        ],
    },
];

/// Shapes of the names that programs give such variables, unknown ones included. These are never passed on by
/// a name that ends in `*`, and refused by their own.
const SHAPES: Class = Class {
    does: "is named like one that holds options, settings, places of code or programs",
    names: &[
        "*_OPTS",
        "*_OPTIONS",
        "*FLAGS",
        "*_ARGS",
        "*_OPT",
        "*_ADDOPTS",
        "*RC",
        "*RCFILE",
        "*_CONF",
        "*_CONFIG",
        "*_CONFIG_FILE",
        "*_CONFIG_PATH",
        "*_CONFIG_DIR",
        "*_CONFIG_HOME",
        "*_CONF_DIR",
        "*_PATH",
        "*_PATHS",
        "*PATH",
        "*_HOME",
        "*_PREFIX",
        "*_ROOT",
        "*_MODULES",
        "*_MODULE",
        "*_PLUGINS",
        "*_PLUGIN",
        "*_PLUGIN_PATH",
        "*_PRELOAD",
        "*_PROVIDER",
        "*_PROVIDERS",
        "*_HOOK",
        "*_HOOKS",
        "*_PROFILER",
        "*_ASKPASS",
        "*_COMMAND",
        "*_CMD",
        "*_WRAPPER",
        "*_LAUNCHER",
        "*_LOADER",
        "*_INIT",
        "*_INIT_FILE",
        "*_STARTUP",
        "*_SHELL",
        "*_RSH",
        "*_SSH",
        "*_EXEC",
        "*_EXECUTABLE",
        "*_BINARY",
        "*_BIN",
        "*_INTERPRETER",
    ],
};

/// Variables that only say something: passed on without a word.
const HARMLESS: &[&str] = &[
    // How to talk to a person.
    "TERM",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "LS_COLORS",
    // Who and where.
    "USER",
    "LOGNAME",
    "HOSTNAME",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "SSH_AUTH_SOCK",
    "SOURCE_DATE_EPOCH",
    // Debugging of Rust programs: text on standard error.
    "RUST_BACKTRACE",
    "RUST_LOG",
    // Which job of which service this is.
    "CI",
    "CI_COMMIT_SHA",
    "CI_COMMIT_BRANCH",
    "CI_COMMIT_TAG",
    "CI_COMMIT_REF_NAME",
    "CI_JOB_ID",
    "CI_PIPELINE_ID",
    "GITLAB_CI",
    "GITHUB_ACTIONS",
    "GITHUB_ACTOR",
    "GITHUB_BASE_REF",
    "GITHUB_EVENT_NAME",
    "GITHUB_HEAD_REF",
    "GITHUB_JOB",
    "GITHUB_REF",
    "GITHUB_REF_NAME",
    "GITHUB_REF_TYPE",
    "GITHUB_REPOSITORY",
    "GITHUB_REPOSITORY_OWNER",
    "GITHUB_RUN_ATTEMPT",
    "GITHUB_RUN_ID",
    "GITHUB_RUN_NUMBER",
    "GITHUB_SERVER_URL",
    "GITHUB_SHA",
    "GITHUB_WORKFLOW",
    "RUNNER_ARCH",
    "RUNNER_OS",
    "BUILDKITE",
    "CIRCLECI",
    "TRAVIS",
    "JENKINS_URL",
    "BUILD_ID",
    "BUILD_NUMBER",
    "TF_BUILD",
    "TEAMCITY_VERSION",
    "APPVEYOR",
];

/// Names of variables whose values are secrets.
const SECRETS: &[&str] = &[
    "*TOKEN",
    "*TOKEN_*",
    "*SECRET",
    "*SECRET_*",
    "*PASSWORD",
    "*PASSWD",
    "*PASSPHRASE",
    "*_PASS",
    "*_KEY",
    "*_KEY_ID",
    "*APIKEY",
    "*_CREDENTIALS",
    "*_CREDENTIAL",
    "*_PAT",
    "*_AUTH",
    "*_COOKIE",
    "*_DSN",
    "*DATABASE_URL",
];

/// Returns true if a variable of this name decides what a program loads or runs, or may do so by its name.
///
/// ```
/// use lictor::policy::steering::steers;
///
/// assert!(steers("LD_PRELOAD") && steers("npm_config_prefix") && steers("MYTOOL_OPTS"));
/// assert!(!steers("LANG") && !steers("SSH_AUTH_SOCK") && !steers("MYTOOL_COLOR"));
/// ```
#[must_use]
pub fn steers(name: &str) -> bool {
    what_it_steers(name).is_some()
}

/// Effect of a steering variable of this name: a fragment that fits after "which".
#[must_use]
pub fn what_it_steers(name: &str) -> Option<&'static str> {
    if is_harmless(name) {
        return None;
    }
    let class = CLASSES
        .iter()
        .chain([&SHAPES])
        .find(|class| class.names.iter().any(|known| covers(known, name)));
    class.map(|class| class.does)
}

/// Returns true if a variable of this name only says something: no program loads, runs or connects to anything
/// because of it.
#[must_use]
pub fn is_harmless(name: &str) -> bool {
    HARMLESS.iter().any(|known| covers(known, name))
}

/// Returns true if a variable of this name probably holds a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|known| covers(known, name))
}

/// A documented steering variable that a name or prefix with `*` would pass on, if there is one, and what it
/// does.
pub(crate) fn steered_by_pattern(pattern: &str) -> Option<(&str, &'static str)> {
    let Some(prefix) = pattern.strip_suffix('*') else {
        return what_it_steers(pattern).map(|does| (pattern, does));
    };
    if HARMLESS.contains(&pattern) {
        return None;
    }
    let named = CLASSES
        .iter()
        .flat_map(|class| class.names.iter().map(|name| (*name, class.does)));
    named.into_iter().find(|(known, _)| {
        let stem = known.trim_end_matches('*');
        // Names with any beginning are not passed on by a `*`.
        !stem.starts_with('*')
            && (begins(stem, prefix) || known.ends_with('*') && begins(prefix, stem))
    })
}

/// Returns true if a known name, with a `*` at one end, stands for this one.
fn covers(known: &str, name: &str) -> bool {
    let core = known.trim_matches('*');
    match (known.starts_with('*'), known.ends_with('*')) {
        (false, false) => known.eq_ignore_ascii_case(name),
        (false, true) => begins(name, core),
        (true, false) => ends(name, core),
        (true, true) => name
            .to_ascii_uppercase()
            .contains(&core.to_ascii_uppercase()),
    }
}

fn begins(name: &str, stem: &str) -> bool {
    name.get(..stem.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(stem))
}

fn ends(name: &str, stem: &str) -> bool {
    let at = name.len().checked_sub(stem.len());
    at.and_then(|at| name.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_steering_as_soon_as_it_covers_one_documented_name() {
        for pattern in [
            "PATH",
            "LD_PRELOAD",
            "LD_*",
            "P*",
            "PYTHONPATH",
            "GIT_DIR",
            "L*",
            "LD_LIBRARY_*",
            "BASH_*",
            "AWS_*",
            "npm_config_*",
            "Npm_Config_X",
            "http_proxy",
            "G*",
            "S*",
        ] {
            assert!(steered_by_pattern(pattern).is_some(), "{pattern}");
        }
        for pattern in [
            "LC_*",
            "CI",
            "TERM",
            "LANG",
            "COLUMNS",
            "HOMEPAGE",
            "ACME_*",
            "GITHUB_*",
            "SSH_AUTH_SOCK",
        ] {
            assert_eq!(steered_by_pattern(pattern), None, "{pattern}");
        }
        assert!(steers("GIT_SSH_COMMAND") && !steers("GITHUB_ACTIONS"));
    }

    #[test]
    fn names_that_steer_are_refused_whoever_reads_them() {
        let names = "RUSTFMT PREFIX COVERAGE_PROCESS_START COVERAGE_RCFILE COV_CORE_SOURCE MAKEFILES LESS JAVA_HOME GOFLAGS GOROOT LUA_INIT \
                     PHPRC PHP_INI_SCAN_DIR DOTNET_STARTUP_HOOKS OPENSSL_CONF OPENSSL_MODULES HOSTALIASES TERMINFO TZDIR SSH_SK_PROVIDER \
                     LIBCLANG_PATH ANSIBLE_CONFIG TF_DATA_DIR CLOUDSDK_PYTHON CCACHE_PREFIX HGRCPATH HGEDITOR RSYNC_RSH AWKLIBPATH PYLINTRC \
                     DJANGO_SETTINGS_MODULE R_PROFILE R_PROFILE_USER ERL_FLAGS GTK_MODULES QT_PLUGIN_PATH MAGIC MAVEN_OPTS MAVEN_ARGS GRADLE_OPTS \
                     SBT_OPTS ANT_OPTS CORECLR_PROFILER_PATH JULIA_LOAD_PATH GNUMAKEFLAGS MFLAGS MAKE LD AR AS CFLAGS CXXFLAGS LDFLAGS \
                     GCC_EXEC_PREFIX COMPILER_PATH CMAKE_TOOLCHAIN_FILE PKG_CONFIG VIMINIT MANPAGER SUDO_ASKPASS GNUPGHOME CLIPPY_CONF_DIR \
                     RUST_TARGET_PATH ELECTRON_RUN_AS_NODE AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE KUBECONFIG CURL_HOME WGETRC NETRC PSQLRC \
                     PGSERVICEFILE ACKRC ASAN_OPTIONS LSAN_SYMBOLIZER_PATH LLVM_PROFILE_FILE XDG_DATA_DIRS npm_config_node_gyp Npm_Config_Script_Shell \
                     https_proxy NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE SSL_CERT_FILE MYTOOL_OPTS FOOFLAGS BARRC X_CONFIG X_PLUGIN_PATH X_ASKPASS";
        for name in names.split_whitespace() {
            assert!(steers(name), "{name}");
        }
    }

    #[test]
    fn names_that_are_harmless_or_secret_are_known() {
        for name in HARMLESS.iter().map(|name| name.trim_end_matches('*')) {
            assert!(!steers(name) && !is_secret(name), "{name}");
        }
        for name in [
            "GITHUB_TOKEN",
            "NPM_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "DB_PASSWORD",
            "OPENAI_API_KEY",
        ] {
            assert!(is_secret(name) && !is_harmless(name), "{name}");
        }
    }
}
