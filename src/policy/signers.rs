//! The keys that an approval names in `by`: is this text a public key that can sign a grant?
//!
//! Only the form is looked at, so that a slip is told where it stands when the policy is loaded; signatures
//! are checked where grants are. A line of `id_ed25519.pub` goes in, what is wrong with it comes out.

#![forbid(unsafe_code)]

use data_encoding::BASE64;

/// The kind of keys that people have.
const ED25519: &str = "ssh-ed25519";

/// The Ed25519 key on a FIDO token.
const TOKEN: &str = "sk-ssh-ed25519@openssh.com";

/// Bytes of an Ed25519 public key (RFC 8032).
const KEY_BYTES: usize = 32;

/// Mistake in a text that should be a key, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoKey {
    pub(crate) why: String,
    pub(crate) help: &'static str,
}

/// The way out where there is no better one.
const HELP: &str = "write the one line of `id_ed25519.pub`: `ssh-ed25519 AAAA… name`";

/// Returns an error unless a text is a public key of a kind that can sign grants, as `ssh-keygen` writes it.
pub(crate) fn check(text: &str) -> Result<(), NoKey> {
    let no = |why: &str| NoKey {
        why: why.to_owned(),
        help: HELP,
    };
    if text.contains("PRIVATE KEY") {
        return Err(NoKey {
            why: "this is a private key, which belongs in no policy".to_owned(),
            help: "take it out, make a new one, and write the public key: the line of its `.pub` file",
        });
    }
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let data = rest.split(' ').next().unwrap_or_default();
    if kind != ED25519 && kind != TOKEN {
        return Err(not_a_kind(kind, text));
    }
    if data.is_empty() {
        return Err(no("the key is missing behind its kind"));
    }
    let Ok(bytes) = BASE64.decode(data.as_bytes()) else {
        return Err(no(
            "what stands behind the kind is not base64: it is cut off, or a letter is wrong",
        ));
    };
    let mut rest = bytes.as_slice();
    let mut next = || field(&mut rest);
    let said = next();
    if said.is_some_and(|said| said != kind.as_bytes()) {
        return Err(no("the key says itself that it is of another kind"));
    }
    let is_key = next().is_some_and(|key| key.len() == KEY_BYTES);
    let is_whole = kind == ED25519 || next().is_some_and(|application| !application.is_empty());
    if said.is_none() || !is_key || !is_whole {
        return Err(no("the key is cut off"));
    }
    if !rest.is_empty() {
        return Err(no("more stands behind the key than belongs to it"));
    }
    Ok(())
}

/// One string of the wire format (RFC 4251): its length in four bytes, then so many.
fn field<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (field, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(field)
}

fn not_a_kind(kind: &str, text: &str) -> NoKey {
    let shown = kind.escape_debug();
    let begins = |with: &[&str]| with.iter().any(|begin| kind.starts_with(begin));
    let (why, help) = if begins(&["SHA256:", "MD5:"]) {
        let why = format!("`{shown}` is a fingerprint, from which no signature can be checked");
        (why, HELP)
    } else if begins(&["AAAA"]) {
        ("the kind of the key is missing in front".to_owned(), HELP)
    } else if begins(&["ssh-", "ecdsa-", "sk-"]) {
        (
            format!("keys of the kind `{shown}` cannot sign grants"),
            "make one with `ssh-keygen -t ed25519`, or `-t ed25519-sk` on a token",
        )
    } else if kind.ends_with(".pub") || kind.contains('/') {
        let why = format!("`{shown}` names a file, and the key itself belongs here");
        (why, HELP)
    } else if text.contains("ssh-ed25519 ") {
        (
            format!("`{shown}` stands in front of the key"),
            "leave out what `authorized_keys` has in front: only kind, key and name",
        )
    } else {
        (format!("`{shown}` is no kind of key"), HELP)
    };
    NoKey { why, help }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key, and one on a token; both made for this test.
    pub(crate) const KEYS: [&str; 2] = [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c alice",
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29cAAAABHNzaDo= token",
    ];

    #[test]
    fn keys_as_ssh_keygen_writes_them_are_keys() {
        for key in KEYS {
            assert_eq!(check(key), Ok(()), "{key}");
            let without_name = key.rsplit_once(' ').unwrap().0;
            assert_eq!(check(without_name), Ok(()));
            assert_eq!(check(&format!("{key} of the office")), Ok(()));
        }
    }

    #[test]
    fn what_is_no_key_is_told_for_what_it_is() {
        #[track_caller]
        fn check(text: &str, why: &str) {
            let found = super::check(text).unwrap_err();
            assert!(found.why.contains(why), "{text}: {found:?}");
        }
        let [key, token] = KEYS;
        let data = key.split(' ').nth(1).unwrap();
        check("", "no kind of key");
        check("alice", "`alice` is no kind of key");
        check(data, "the kind of the key is missing");
        check("ssh-ed25519", "missing behind its kind");
        check("ssh-ed25519  AAAA", "missing behind its kind");
        check("ssh-ed25519 AAAA x", "cut off");
        check("ssh-ed25519 AAAA… alice", "not base64");
        check(key.split_at(60).0, "cut off");
        check(&format!("ssh-ed25519 {}", data.split_at(64).0), "cut off");
        check(&format!("ssh-ed25519 {data}AAAA"), "more stands behind");
        check(
            &token.replace("sk-ssh-ed25519@openssh.com ", "ssh-ed25519 "),
            "of another kind",
        );
        check(
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAIQDRbcL3 x",
            "`ssh-rsa` cannot sign",
        );
        check("ecdsa-sha2-nistp256 AAAA x", "cannot sign");
        check(
            "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
            "fingerprint",
        );
        check("~/.ssh/id_ed25519.pub", "names a file");
        check(
            &format!("cert-authority {key}"),
            "stands in front of the key",
        );
        check("-----BEGIN OPENSSH PRIVATE KEY-----\nx", "private key");
        check("a\u{1b}[2J", "\\u{1b}");
    }
}
