//! The program.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    lictor::executor::init();
    lictor::cli::main()
}
