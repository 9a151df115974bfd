//! The closed list of reason codes: why a request was denied or has to be asked for.
//!
//! A code is a promise: it is printed, recorded and matched by other programs, so a code is never
//! reused and never changes its meaning. Everything else that explains a decision (the message, the
//! help) may be worded better from one release to the next.

#![forbid(unsafe_code)]

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Why a request was not simply allowed. The text form is the code, for example
        /// `PATH_TRAVERSAL_DENIED`.
        ///
        /// ```
        /// use lictor::reason::Reason;
        ///
        /// let reason: Reason = "PATH_TRAVERSAL_DENIED".parse()?;
        /// assert_eq!(reason, Reason::PathTraversalDenied);
        /// assert_eq!(reason.code(), "PATH_TRAVERSAL_DENIED");
        /// assert!("PATH_TRAVERSAL".parse::<Reason>().is_err());
        /// # Ok::<(), lictor::reason::UnknownReason>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $name,)+
        }

        impl Reason {
            /// Every code there is, in the order in which a request meets them.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)+];

            /// The code as it is printed and recorded.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Reason::$name => $code,)+ }
            }

            /// What the code means, in one line.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Reason::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    // The request itself.
    /// The request could not be read.
    RequestInvalid = "REQUEST_INVALID",
    /// More than 1,024 paths or 256 KiB of arguments.
    RequestTooLarge = "REQUEST_TOO_LARGE",
    /// The shell text is outside the subset that is understood exactly.
    ShellUnparsed = "SHELL_UNPARSED",
    /// No tool of the policy is called like this.
    ToolNotAllowed = "TOOL_NOT_ALLOWED",
    /// The tool declares no such action.
    ActionNotAllowed = "ACTION_NOT_ALLOWED",
    /// An argument that the action requires is missing.
    ArgumentRequired = "ARGUMENT_REQUIRED",
    /// The action declares no such argument.
    ArgumentUnknown = "ARGUMENT_UNKNOWN",
    /// The value is not one that the declared argument takes.
    ArgumentInvalid = "ARGUMENT_INVALID",
    /// Several declared commands accept these words.
    ArgumentAmbiguous = "ARGUMENT_AMBIGUOUS",

    // The text of a path.
    /// The path is missing, empty, or nothing but white space.
    PathEmptyOrNone = "PATH_EMPTY_OR_NONE",
    /// The path, one of its segments, or the number of segments is over the limit.
    PathTooLong = "PATH_TOO_LONG",
    /// The path is not strict UTF-8.
    PathEncodingDenied = "PATH_ENCODING_DENIED",
    /// The path contains a control character or a line separator.
    PathControlCharDenied = "PATH_CONTROL_CHAR_DENIED",
    /// The path contains an invisible, bidirectional, private-use or look-alike character, or is not in normal form C.
    PathUnicodeDenied = "PATH_UNICODE_DENIED",
    /// The path begins like an option or an argument file.
    PathOptionInjectionDenied = "PATH_OPTION_INJECTION_DENIED",
    /// The argument is not of the form `path::name[parameters]`.
    PathTargetSyntaxDenied = "PATH_TARGET_SYNTAX_DENIED",
    /// The path is absolute, on a drive, a network share or a URL.
    AbsolutePathDenied = "ABSOLUTE_PATH_DENIED",
    /// The path holds something that a shell or a program would expand.
    PathExpansionDenied = "PATH_EXPANSION_DENIED",
    /// A segment is `.`, `..`, or only dots and blanks.
    PathTraversalDenied = "PATH_TRAVERSAL_DENIED",
    /// A segment is empty.
    PathEmptySegmentDenied = "PATH_EMPTY_SEGMENT_DENIED",
    /// The path holds a percent-encoded byte.
    PathEncodedDenied = "PATH_ENCODED_DENIED",
    /// The path holds a colon: a drive, or an alternate data stream.
    PathColonDenied = "PATH_COLON_DENIED",
    /// The path holds a character that is reserved in file names or starts a pattern.
    PathReservedCharDenied = "PATH_RESERVED_CHAR_DENIED",
    /// A segment begins or ends with white space, or ends with a dot.
    PathSegmentEdgeDenied = "PATH_SEGMENT_EDGE_DENIED",
    /// A segment is a device name on some systems.
    PathDeviceNameDenied = "PATH_DEVICE_NAME_DENIED",
    /// A segment has the form of a generated 8.3 short name.
    PathShortNameDenied = "PATH_SHORT_NAME_DENIED",
    /// A segment is a protected name, such as `.git`.
    PathProtectedDenied = "PATH_PROTECTED_DENIED",

    // The rules.
    /// The path is one by which the policy, its record or an agent's gate could be changed.
    SelfProtected = "SELF_PROTECTED",
    /// A deny rule of the policy covers the request.
    DeniedByRule = "DENIED_BY_RULE",
    /// Rules speak about the action, but none covers this path.
    PathOutsideAllowedScope = "PATH_OUTSIDE_ALLOWED_SCOPE",
    /// No rule allows this action to this actor.
    NoRuleAllows = "NO_RULE_ALLOWS",
    /// The request would be allowed once an approval is given.
    ApprovalRequired = "APPROVAL_REQUIRED",
    /// A person was asked about exactly this request and refused it.
    ApprovalRefused = "APPROVAL_REFUSED",
    /// The rules that allow the request contradict each other in how it is to be run.
    LimitsConflict = "LIMITS_CONFLICT",
    /// A long run is asked for with a longer lease than the rules permit.
    LeaseTooLong = "LEASE_TOO_LONG",

    // The disk.
    /// The program was not found in the policy's `program_path`.
    ProgramNotFound = "PROGRAM_NOT_FOUND",
    /// The program, or a directory above it, could be replaced by those whom the policy bounds.
    ProgramNotTrusted = "PROGRAM_NOT_TRUSTED",
    /// The workspace's git repository could make git run or read what nobody has decided on.
    RepositoryNotTrusted = "REPOSITORY_NOT_TRUSTED",
    /// The workspace, or a directory above it, is a symbolic link.
    WorkspaceSymlinkDenied = "WORKSPACE_SYMLINK_DENIED",
    /// The path leads through a symbolic link.
    PathSymlinkDenied = "PATH_SYMLINK_DENIED",
    /// The path leads out of the workspace or onto another mount.
    PathEscapeDenied = "PATH_ESCAPE_DENIED",
    /// The path does not exist.
    PathNotFound = "PATH_NOT_FOUND",
    /// The path goes through something that is not a directory.
    PathNotDirectory = "PATH_NOT_DIRECTORY",
    /// The path cannot be looked up with the rights there are.
    PathUnreadable = "PATH_UNREADABLE",
    /// The path is neither a regular file nor a directory.
    PathNotRegular = "PATH_NOT_REGULAR",
    /// The file has several hard links, and the policy refuses that.
    PathHardlinkDenied = "PATH_HARDLINK_DENIED",
    /// The file system gave an answer that is not understood.
    PathFsError = "PATH_FS_ERROR",
    /// There is more below the directory than can be looked at.
    PathTreeTooLarge = "PATH_TREE_TOO_LARGE",
    /// Something below the directory is denied.
    PathTreeTouchesDenied = "PATH_TREE_TOUCHES_DENIED",
    /// The path was exchanged for another file while it was in use.
    PathChanged = "PATH_CHANGED",

    // The run.
    /// The containment that the policy asks for cannot be had on this machine.
    ContainmentUnavailable = "CONTAINMENT_UNAVAILABLE",
    /// A limit that the policy sets cannot be enforced on this machine.
    LimitNotEnforceable = "LIMIT_NOT_ENFORCEABLE",
    /// The confinement that the policy sets cannot be enforced on this machine.
    ConfineNotEnforceable = "CONFINE_NOT_ENFORCEABLE",

    // The agent that asks.
    /// Lictor came to no decision: its time was over, or it failed. Nobody has refused.
    NotDecided = "NOT_DECIDED",
    /// The agent's protocol cannot rewrite the call, and the action relies on being run by lictor.
    HookCannotEnforce = "HOOK_CANNOT_ENFORCE",

    // The record.
    /// The decision could not be recorded.
    LedgerUnavailable = "LEDGER_UNAVAILABLE",
    /// There is no room to record how the run ends.
    LedgerNoSpace = "LEDGER_NO_SPACE",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Reason {
    /// Returns true if it is about the machine and its disk: a decision by the policy alone does not find it.
    #[must_use]
    pub fn is_of_machine(self) -> bool {
        use Reason::{
            ContainmentUnavailable, LedgerNoSpace, LedgerUnavailable, LimitNotEnforceable,
            PathChanged, PathEscapeDenied, PathFsError, PathHardlinkDenied, PathNotDirectory,
            PathNotFound, PathNotRegular, PathSymlinkDenied, PathTreeTooLarge,
            PathTreeTouchesDenied, PathUnreadable, ProgramNotFound, ProgramNotTrusted,
            RepositoryNotTrusted, WorkspaceSymlinkDenied,
        };
        matches!(
            self,
            ProgramNotFound
                | ProgramNotTrusted
                | RepositoryNotTrusted
                | WorkspaceSymlinkDenied
                | PathSymlinkDenied
                | PathEscapeDenied
                | PathNotFound
                | PathNotDirectory
                | PathUnreadable
                | PathNotRegular
                | PathHardlinkDenied
                | PathFsError
                | PathTreeTooLarge
                | PathTreeTouchesDenied
                | PathChanged
                | ContainmentUnavailable
                | LimitNotEnforceable
                | LedgerUnavailable
                | LedgerNoSpace
        )
    }
}

impl std::str::FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Reason::ALL
            .iter()
            .find(|reason| reason.code() == text)
            .copied()
            .ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

/// The text is none of the reason codes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a reason code", .0.escape_debug())]
pub struct UnknownReason(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_in_upper_case_and_has_a_one_line_meaning() {
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert!(
                reason
                    .code()
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b == b'_'),
                "{reason}"
            );
            assert!(reason.meaning().ends_with('.') && !reason.meaning().contains('\n'));
            assert!(
                !Reason::ALL[..at]
                    .iter()
                    .any(|other| other.code() == reason.code())
            );
        }
    }

    #[test]
    fn the_serialised_form_is_the_code() {
        for reason in Reason::ALL {
            let json = serde_json::to_string(reason).unwrap();
            assert_eq!(json, format!("\"{}\"", reason.code()));
            assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), *reason);
        }
    }
}
