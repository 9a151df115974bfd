//! The digest of a file whose bytes somebody approved, read through the workspace's descriptor.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;

use sha2::{Digest, Sha256};

use super::Workspace;
use super::resolver::Kind;
use crate::path::CanonicalPath;
use crate::policy::model::DiskRules;

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// The most bytes that are read of a file to compare it: 1 GiB, a second or so.
pub const MAX_PINNED_BYTES: u64 = 1 << 30;

impl Workspace {
    /// SHA-256 of a file's content, in lower-case hex.
    ///
    /// # Errors
    ///
    /// Why there is none: the reason code with which a request for the path is denied, or what else.
    pub fn digest(&self, path: &CanonicalPath, rules: DiskRules) -> Result<String, String> {
        let opened = self
            .open(path, rules)
            .map_err(|reason| reason.code().to_owned())?;
        if !matches!(opened.kind(), Kind::File { .. }) {
            return Err("it is no regular file".to_owned());
        }
        let say = |error: std::io::Error| error.to_string();
        // The file that was opened: its name is not looked up again.
        let file = File::open(format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd()));
        let mut file = file.map_err(say)?.take(MAX_PINNED_BYTES.saturating_add(1));
        let mut hash = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut left = MAX_PINNED_BYTES;
        loop {
            let read = file.read(&mut chunk).map_err(say)?;
            if read == 0 {
                return Ok(data_encoding::HEXLOWER.encode(&hash.finalize()));
            }
            left = left
                .checked_sub(u64::try_from(read).unwrap_or(u64::MAX))
                .ok_or("it is larger than 1 GiB")?;
            hash.update(chunk.get(..read).unwrap_or_default());
        }
    }
}
