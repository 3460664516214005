//! The steps of a new process on its way to its program.
//!
//! The child is made by `clone` with CLONE_VM and CLONE_VFORK, as `posix_spawn` makes it: it has its own descriptors,
//! signal handlers and credentials, but our memory, on a stack of its own, and the calling thread waits until it has become the program or
//! has ended. Until then it makes system calls and nothing else: no allocation, no lock, no panic.
//!
//! For credentials the system calls themselves are made, since the C library's functions of the same names would look for our
//! threads. While the child has another user and still our memory, that user could kill it, but not look into it: the
//! kernel marks memory whose process changed its credentials as not dumpable, so no debugger of that user may attach.
//! That mark stays with us, which is as well.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

use super::super::credentials::Credentials;
use super::super::schedule::Step;
use super::super::spec::{Attributes, Scheduling};
use super::Failure;
use crate::capabilities;

/// The child's stack, in units of 16 octets: it calls a few functions, none of them deep.
const STACK_UNITS: usize = 4_096;
/// Octets of the kernel's signal set, and the number of signals.
const SET_SIZE: usize = 8;
const SIGNALS: c_int = 64;

/// Everything the child needs, prepared before there is one.
struct Plan<'a> {
    program: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    descriptors: [Option<RawFd>; 3],
    attributes: &'a Attributes,
    same_user: bool,
    failure: Option<Failure>,
}

/// Starts a process; see the table at the top of [`super`]. `same_user` says that its credentials are ours already.
pub(super) fn start<'a>(
    program: &CStr,
    arguments: impl Iterator<Item = &'a CStr>,
    environment: impl Iterator<Item = &'a CStr>,
    descriptors: [Option<RawFd>; 3],
    attributes: &Attributes,
    same_user: bool,
) -> Result<Pid, Failure> {
    let arguments = pointers(arguments);
    let environment = pointers(environment);
    let mut plan = Plan {
        program: program.as_ptr(),
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
        descriptors,
        attributes,
        same_user,
        failure: None,
    };
    let mut stack: Vec<u128> = Vec::with_capacity(STACK_UNITS);
    // No handler of ours may run in the child, so no signal is let in until it is the program.
    let every: u64 = u64::MAX;
    let mut before: u64 = 0;
    set_mask(&raw const every, &raw mut before);
    // SAFETY: the stack is the child's alone and outlives it, because CLONE_VFORK has us wait until the child uses our
    // memory no more; so does the plan.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(STACK_UNITS);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        libc::clone(become_program, top.cast(), flags, (&raw mut plan).cast())
    };
    let cloned = Errno::result(pid);
    set_mask(&raw const before, ptr::null_mut());
    let pid = cloned.map_err(|errno| Failure { step: Step::Process, errno })?;
    // SAFETY: the plan is ours again; the child has written here if it failed, which the compiler cannot see.
    match unsafe { (&raw const plan.failure).read_volatile() } {
        None => Ok(Pid::from_raw(pid)),
        Some(failure) => {
            // It is about to end or has: this does not wait for anything but that.
            let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), None);
            Err(failure)
        }
    }
}

fn pointers<'a>(strings: impl Iterator<Item = &'a CStr>) -> Vec<*const c_char> {
    strings.map(CStr::as_ptr).chain([ptr::null()]).collect()
}

/// The C library's own function leaves out the two signals that it keeps for itself.
fn set_mask(new: *const u64, old: *mut u64) {
    // SAFETY: both are null or point to sets of the size that is given.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, new, old, SET_SIZE) };
}

extern "C" fn become_program(plan: *mut c_void) -> c_int {
    // SAFETY: it is the plan of `start`, which waits and does not touch it meanwhile.
    let plan = unsafe { &mut *plan.cast::<Plan<'_>>() };
    let failure = match prepare(plan) {
        Err(failure) => failure,
        Ok(()) => {
            // SAFETY: three pointers to NUL-terminated things that `start` keeps alive.
            unsafe { libc::execve(plan.program, plan.arguments, plan.environment) };
            Failure { step: Step::Program, errno: Errno::last() }
        }
    };
    // SAFETY: see `start`, which reads it in the same way.
    unsafe { (&raw mut plan.failure).write_volatile(Some(failure)) };
    // SAFETY: ends the child and nothing else; no handler of ours is run.
    unsafe { libc::_exit(127) }
}

fn prepare(plan: &Plan<'_>) -> Result<(), Failure> {
    let attributes = plan.attributes;
    let at = |step: Step| move |errno: Errno| Failure { step, errno };
    default_signals();
    // SAFETY: two numbers.
    checked(unsafe { libc::syscall(libc::SYS_setpgid, 0, 0) }).map_err(at(Step::Process))?;
    redirect(&plan.descriptors).map_err(at(Step::Descriptors))?;
    set_scheduling(attributes.scheduling).map_err(at(Step::Scheduling))?;
    set_nice(attributes.nice).map_err(at(Step::Nice))?;
    if let Some(credentials) = &attributes.credentials {
        set_credentials(credentials, plan.same_user).map_err(at(Step::Credentials))?;
    }
    if let Some(directory) = &attributes.directory {
        // As the hook's user, who must be able to enter it.
        // SAFETY: a NUL-terminated string.
        checked(unsafe { libc::syscall(libc::SYS_chdir, directory.as_ptr()) })
            .map_err(at(Step::Directory))?;
    }
    let none: u64 = 0;
    set_mask(&raw const none, ptr::null_mut());
    Ok(())
}

fn checked(result: libc::c_long) -> Result<(), Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(()) }
}

/// The kernel's structure is a handler, flags, on some machines a restorer, and a set: all zeroes is the default of each.
fn default_signals() {
    let default = [0_u64; 4];
    for signal in 1..=SIGNALS {
        // SAFETY: reads as much of the zeroes as the structure is long. SIGKILL and SIGSTOP answer EINVAL.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<c_void>(),
                SET_SIZE,
            )
        };
    }
}

fn redirect(descriptors: &[Option<RawFd>; 3]) -> Result<(), Errno> {
    for (target, source) in (0..).zip(descriptors) {
        let Some(source) = *source else { continue };
        // SAFETY: numbers; these are the child's own descriptors.
        let result = unsafe {
            if source == target { libc::fcntl(target, libc::F_SETFD, 0) } else { libc::dup2(source, target) }
        };
        checked(result.into())?;
    }
    Ok(())
}

/// A hook that is more polite than asked for, because we are and may not go back, is as good.
fn unless_nicer(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::EPERM | Errno::EACCES) => Ok(()),
        other => other,
    }
}

fn set_scheduling(scheduling: Scheduling) -> Result<(), Errno> {
    let policy = match scheduling {
        // What nobody asked for is not touched: it may be a real-time class that an administrator gave us.
        Scheduling::Normal => return Ok(()),
        Scheduling::Batch => libc::SCHED_BATCH,
        Scheduling::Idle => libc::SCHED_IDLE,
    };
    // The structure is one number, which must be 0 for these classes.
    let priority: c_int = 0;
    // SAFETY: two numbers and a pointer to that number.
    unless_nicer(checked(unsafe {
        libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority)
    }))
}

/// The kernel says 20 less the nice level, so that it is never negative.
fn our_nice() -> libc::c_long {
    // SAFETY: two numbers.
    20 - unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) }
}

fn set_nice(nice: i32) -> Result<(), Errno> {
    if nice >= 0 && our_nice() >= nice.into() {
        return Ok(());
    }
    // SAFETY: three numbers.
    checked(unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, nice) })
}

/// `is_same` says that user and groups are what they are to be already, so that no privilege is needed to set them.
fn set_credentials(credentials: &Credentials, is_same: bool) -> Result<(), Errno> {
    let Credentials { user, group, groups } = credentials;
    let is_root = *user == 0;
    if !is_root {
        // While the capability for it is still there.
        capabilities::limit_bounding_set(0);
    }
    if !is_same {
        // SAFETY: numbers, and a list with its length.
        unsafe {
            checked(libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()))?;
            checked(libc::syscall(libc::SYS_setresgid, *group, *group, *group))?;
            checked(libc::syscall(libc::SYS_setresuid, *user, *user, *user))?;
        }
    }
    if !is_root {
        // The kernel takes the permitted ones away when root becomes somebody else, but neither the inheritable ones nor what
        // a daemon has that never was root. The ambient set cannot be larger than these.
        capabilities::set(capabilities::Sets::default())?;
        capabilities::no_new_privileges()?;
    }
    Ok(())
}
