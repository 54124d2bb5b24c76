//! The `bunraku` program: arguments in, exit code out. Everything it does is in the library or in [`cli`].

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    share_one_heap();
    cli::main()
}

/// One heap for all threads. glibc's own choice, one for each thread that meets another, keeps what a burst of
/// connections needed in every one of them: 2 KB more for each puppet, and nothing faster.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn share_one_heap() {
    // SAFETY: no other thread runs yet, and the call touches nothing but the allocator's settings.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn share_one_heap() {}
