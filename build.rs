//! Links the unwinder into a released program for Linux with glibc.
//!
//! As a library of its own, `libgcc_s.so.1`, it took each start of the program a tenth of a millisecond: to find and
//! load it, and because it asks the processor a dozen questions, which are slow to answer on a virtual machine. The
//! standard library asks for it by name; a linker script of that name, found first, answers with the archive
//! that every C compiler has beside it. Where there is none, the library is loaded as ever.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "it reads what cargo tells it, and asks the linker's driver"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    // Another machine's archive is not beside this machine's compiler.
    let native = std::env::var("HOST").ok() == std::env::var("TARGET").ok();
    let dynamic = !std::env::var("CARGO_CFG_TARGET_FEATURE")
        .is_ok_and(|features| features.split(',').any(|feature| feature == "crt-static"));
    if is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("PROFILE", "release")
        && native
        && dynamic
        && std::env::var_os("CARGO_FEATURE_CLI").is_some()
        && let Some(directory) = unwinder()
    {
        println!("cargo::rustc-link-arg-bin=lictor=-L{}", directory.display());
    }
}

/// A directory in which `libgcc_s` is the archive.
fn unwinder() -> Option<PathBuf> {
    let asked = Command::new("cc")
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    let answer = String::from_utf8(asked.ok()?.stdout).ok()?;
    let archive = Path::new(answer.trim());
    // The bare name comes back where there is no such file.
    if !archive.is_absolute() || !archive.is_file() {
        return None;
    }
    let directory = PathBuf::from(std::env::var_os("OUT_DIR")?).join("unwinder");
    std::fs::create_dir_all(&directory).ok()?;
    let script = format!("INPUT(\"{}\")\n", archive.display());
    std::fs::write(directory.join("libgcc_s.so"), script).ok()?;
    Some(directory)
}
