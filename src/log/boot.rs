//! The name of this start of the machine.

#![forbid(unsafe_code)]

use std::io::{self, Read};

/// Written where the machine does not name its starts.
pub(crate) const UNKNOWN_BOOT: &str = "unknown";

/// The name of this start of the machine.
pub(crate) fn boot_id() -> String {
    let text = read_small("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    let text = text.trim();
    let plain = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain {
        text.to_owned()
    } else {
        UNKNOWN_BOOT.to_owned()
    }
}

/// A file that the kernel makes up, in one read: it says no length beforehand. Longer than 4 KiB is none of those
/// that are read here.
pub(crate) fn read_small(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    let file = std::fs::File::open(path)?;
    file.take(4095).read_to_end(&mut bytes)?;
    Ok(bytes)
}
