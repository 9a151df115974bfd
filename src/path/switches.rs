//! Switches by which a policy relaxes the lexical rules, one for each class of names.
//!
//! The default of each switch is the strict value, but for `dot`: a leading `./` and `.` alone are ordinary
//! ways to name a path. A switch lets through exactly its own class: no rule before or after it changes.
//! Rules 1–5, 7–10, 12 and 14 have no switch.

#![forbid(unsafe_code)]

use std::fmt;

use serde::{Deserialize, Serialize};

/// All switches of a policy's `paths` section that the lexical rules know.
///
/// ```
/// use lictor::path::{CanonicalPath, Dot, Switches};
///
/// let usual = Switches::default();
/// assert_eq!(CanonicalPath::parse(b"./tests", &usual)?.as_str(), "tests");
///
/// let mut strict = Switches::default();
/// strict.dot = Dot::Deny;
/// assert!(CanonicalPath::parse(b"./tests", &strict).is_err());
/// # Ok::<(), lictor::path::Denial>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Switches {
    /// A leading `./`, and `.` alone (rule 13).
    pub dot: Dot,
    /// Text that is not in normal form C (rule 16).
    pub nfc: Nfc,
    /// Invisible characters and look-alikes (rules 6 and 16).
    pub unicode: Unicode,
    /// Percent-encoded bytes (rule 15).
    pub percent: Percent,
    /// `~`, `$`, `${`, `$(`, `%NAME%` (rule 11).
    pub expansion: Expansion,
    /// `:` (rule 17).
    pub colon: Colon,
    /// `{` and `}` (rule 18).
    pub braces: Braces,
    /// White space at the edges of a segment, and a dot at its end (rule 19).
    pub edges: Edges,
    /// Device names such as `aux` (rule 20).
    pub windows_names: WindowsNames,
    /// Names of the form `ABCDEF~1.TXT` (rule 21).
    pub short_names: ShortNames,
    /// Meaning of `\`.
    pub backslash: Backslash,
    /// Names that no segment may have, in any ASCII case (rule 22).
    pub protected: Vec<String>,
}

impl Default for Switches {
    fn default() -> Switches {
        Switches {
            dot: Dot::default(),
            nfc: Nfc::default(),
            unicode: Unicode::default(),
            percent: Percent::default(),
            expansion: Expansion::default(),
            colon: Colon::default(),
            braces: Braces::default(),
            edges: Edges::default(),
            windows_names: WindowsNames::default(),
            short_names: ShortNames::default(),
            backslash: Backslash::default(),
            protected: vec![".git".to_owned()],
        }
    }
}

macro_rules! switch {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $meaning:literal])+ $value:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])+
        ///
        /// The first value is the default.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $meaning])+ #[serde(rename = $text)] $value,)+
        }

        impl $name {
            /// All values, the default first.
            pub const ALL: &'static [$name] = &[$($name::$value,)+];

            /// The value as a policy spells it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $($name::$value => $text,)+ }
            }

            /// The value that a policy spells like this.
            #[must_use]
            pub fn from_name(name: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|value| value.name() == name)
            }
        }

        impl Default for $name {
            fn default() -> $name {
                let [first, ..] = [$($name::$value,)+];
                first
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

switch! {
    /// Meaning of a leading `./`, or of `.` alone.
    Dot {
        /// One leading `./` is removed, and `.` alone is the workspace. What follows is then read as
        /// if it had been written alone: `./-x` is refused as `-x` is.
        Strip = "strip",
        /// It is a segment like any other, and refused.
        Deny = "deny",
    }
}

switch! {
    /// Treatment of text that is not in normal form C.
    Nfc {
        /// It is refused.
        Require = "require",
        /// It is normalised before it is looked at; the canonical form is normalised.
        Ignore = "ignore",
    }
}

switch! {
    /// Treatment of invisible characters and look-alikes.
    Unicode {
        /// They are.
        Strict = "strict",
        /// They are ordinary characters.
        Relaxed = "relaxed",
    }
}

switch! {
    /// Meaning of `%2e`.
    Percent {
        /// An encoded byte, and refused.
        Deny = "deny",
        /// Three characters of a name.
        Literal = "literal",
    }
}

switch! {
    /// Meaning of `~`, `$HOME`, `${x}`, `$(x)` and `%NAME%`.
    Expansion {
        /// Something that a program may expand, and refused.
        Deny = "deny",
        /// Characters of a name.
        Literal = "literal",
    }
}

switch! {
    /// Treatment of `:` in a name. A drive is refused in any case.
    Colon {
        /// It may not.
        Deny = "deny",
        /// It may.
        Allow = "allow",
    }
}

switch! {
    /// Treatment of `{` and `}` in a name.
    Braces {
        /// It may not.
        Deny = "deny",
        /// It may.
        Allow = "allow",
    }
}

switch! {
    /// Treatment of a segment that begins or ends with white space, or ends with a dot.
    Edges {
        /// It may not.
        Deny = "deny",
        /// It may.
        Allow = "allow",
    }
}

switch! {
    /// Treatment of a segment that is the name of a DOS device.
    WindowsNames {
        /// It may not, with an extension or without.
        Deny = "deny",
        /// With an extension it may: `aux.c` passes, `aux` does not.
        Bare = "bare",
        /// It may.
        Allow = "allow",
    }
}

switch! {
    /// Treatment of a segment that has the form of a generated 8.3 short name.
    ShortNames {
        /// It may not.
        Deny = "deny",
        /// It may.
        Allow = "allow",
    }
}

switch! {
    /// Meaning of `\`.
    Backslash {
        /// A separator, which the canonical form writes as `/`.
        Separator = "separator",
        /// A reserved character, and refused.
        Deny = "deny",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_first_value_and_names_read_back() {
        assert_eq!(WindowsNames::default(), WindowsNames::Deny);
        assert_eq!(Backslash::default(), Backslash::Separator);
        for value in WindowsNames::ALL {
            assert_eq!(WindowsNames::from_name(value.name()), Some(*value));
            assert_eq!(
                serde_json::to_string(value).unwrap(),
                format!("\"{value}\"")
            );
        }
        assert_eq!(WindowsNames::from_name("Bare"), None);
    }

    #[test]
    fn switches_read_back_from_json_and_what_is_left_out_is_as_built_in() {
        let switches: Switches = serde_json::from_str(r#"{"dot": "deny"}"#).unwrap();
        assert_eq!(
            switches,
            Switches {
                dot: Dot::Deny,
                ..Switches::default()
            }
        );
        assert!(serde_json::from_str::<Switches>(r#"{"dots": "strip"}"#).is_err());
    }
}
