//! A process that is killed at a chosen write, by tracing it (ptrace): the program is the one that is
//! shipped, with nothing in it for the test's sake.
//!
//! The tracer stops the process at every system call of every thread, counts those that change a file,
//! and kills it right before the chosen one. What a reader would get wrong: only the thread that started
//! a traced process may trace it, so each has a thread of its own.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

/// How a traced process ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Writes that were carried out.
    pub writes: usize,
    /// Whether it was killed at the chosen write.
    pub killed: bool,
}

/// Starts a program that is killed before its write number `at` below `folder`, counted from 0. The
/// receiver tells how it ended, once it did.
pub fn start(mut command: Command, folder: &Path, at: usize) -> (Child, mpsc::Receiver<Ended>) {
    let (begun, started) = mpsc::channel();
    let (ended, end) = mpsc::channel();
    let folder = folder.to_owned();
    thread::spawn(move || {
        command.stdout(Stdio::piped());
        // SAFETY: ptrace is a plain system call, which is allowed between fork and exec.
        unsafe {
            command.pre_exec(
                || match libc::ptrace(libc::PTRACE_TRACEME, 0, 0_usize, 0_usize) {
                    -1 => Err(std::io::Error::last_os_error()),
                    _ => Ok(()),
                },
            );
        }
        let child = command.spawn().expect("it starts");
        let pid = libc::pid_t::try_from(child.id()).expect("an id");
        begun.send(child).expect("somebody waits");
        let tracer = Tracer {
            pid,
            folder,
            at,
            writes: 0,
        };
        // The test may have failed meanwhile.
        let _ = ended.send(tracer.follow());
    });
    (started.recv().expect("it starts"), end)
}

struct Tracer {
    pid: libc::pid_t,
    folder: PathBuf,
    at: usize,
    writes: usize,
}

impl Tracer {
    fn follow(mut self) -> Ended {
        let mut killed = false;
        let mut options =
            Some(libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL);
        loop {
            let mut status = 0;
            // SAFETY: `status` is ours. Only this thread's children are waited for.
            let thread =
                unsafe { libc::waitpid(-1, &mut status, libc::__WALL | libc::__WNOTHREAD) };
            if thread == -1 {
                break;
            }
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                if thread == self.pid {
                    break;
                }
                continue;
            }
            if let Some(options) = options.take() {
                request(libc::PTRACE_SETOPTIONS, thread, options as usize);
            }
            let signal = libc::WSTOPSIG(status);
            let syscall = signal == libc::SIGTRAP | 0x80;
            if syscall && self.is_write(thread) {
                if self.writes == self.at {
                    killed = true;
                    // SAFETY: a process of our own.
                    unsafe { libc::kill(self.pid, libc::SIGKILL) };
                    continue;
                }
                self.writes += 1;
            }
            // Stops that tracing itself makes are no signals of the process.
            let ours =
                syscall || status >> 16 != 0 || matches!(signal, libc::SIGTRAP | libc::SIGSTOP);
            let signal = if ours { 0 } else { signal };
            request(libc::PTRACE_SYSCALL, thread, signal as usize);
        }
        Ended {
            writes: self.writes,
            killed,
        }
    }

    /// Whether a thread that stopped is about to change something in the folder.
    fn is_write(&self, thread: libc::pid_t) -> bool {
        // SAFETY: plain numbers, for which zeros are valid.
        let mut call: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        let size = size_of::<libc::ptrace_syscall_info>();
        // SAFETY: the kernel writes at most `size` bytes to `call`.
        let got =
            unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, &raw mut call) };
        if got <= 0 || call.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return false;
        }
        // SAFETY: at an entry, this is the field that is set.
        let entry = unsafe { call.u.entry };
        let Ok(number) = i64::try_from(entry.nr) else {
            return false;
        };
        match number {
            libc::SYS_write
            | libc::SYS_pwrite64
            | libc::SYS_writev
            | libc::SYS_pwritev
            | libc::SYS_ftruncate
            | libc::SYS_fallocate => {
                let file = format!("/proc/{thread}/fd/{}", entry.args[0]);
                fs::read_link(file).is_ok_and(|path| path.starts_with(&self.folder))
            }
            libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_unlinkat | libc::SYS_linkat => {
                true
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_rename | libc::SYS_unlink | libc::SYS_link => true,
            _ => false,
        }
    }
}

/// A request that fails only when the process has just died, which the next wait tells.
fn request(what: libc::c_uint, thread: libc::pid_t, data: usize) {
    // SAFETY: no pointers.
    unsafe { libc::ptrace(what, thread, 0_usize, data) };
}
