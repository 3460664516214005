//! System calls that an observer with a user of its own never needs again, taken away from it.
//!
//! It starts no program, changes no mount, namespace or clock, looks into no other process. What it still does (frames, the
//! store, sockets, eBPF links) is left alone: a list of everything that a library may ever call would break with the next
//! version of it. The spawner and its hooks are other processes and are not touched.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

/// Refused with EPERM, whatever the arguments.
const NEVER: [libc::c_long; 40] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_perf_event_open,
];

/// CLONE_NEW*: a namespace of its own, of any kind.
const NAMESPACES: u64 = 0x7e02_0080;

/// Installs the filters in all threads, for good. [`no_new_privileges`](crate::capabilities::no_new_privileges) goes before.
///
/// # Errors
///
/// On a kernel without them, and on a machine for which this knows no system calls.
pub fn seal() -> Result<(), Error> {
    apply_filter_all_threads(&refused()?)?;
    apply_filter_all_threads(&unknown()?)
}

fn refused() -> Result<BpfProgram, Error> {
    let never = NEVER.iter().flat_map(|number| by_every_name(*number));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = never.map(|number| (number, Vec::new())).collect();
    // A thread is made with none of these.
    let of_its_own = (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| NAMESPACES & bit != 0).map(|bit| {
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bit), bit)?;
        SeccompRule::new(vec![condition])
    });
    let of_its_own = of_its_own.collect::<Result<Vec<_>, _>>()?;
    rules.extend(by_every_name(libc::SYS_clone).map(|number| (number, of_its_own.clone())));
    filter(rules, libc::EPERM)
}

/// The arguments of clone3 are out of a filter's sight; whoever is told that there is no such call uses clone.
fn unknown() -> Result<BpfProgram, Error> {
    filter(by_every_name(libc::SYS_clone3).map(|number| (number, Vec::new())).collect(), libc::ENOSYS)
}

/// A system call by its number, and by that of the x32 calls, which some kernels have beside those of x86-64.
fn by_every_name(number: libc::c_long) -> impl Iterator<Item = i64> {
    const X32: libc::c_long = 0x4000_0000;
    [number].into_iter().chain(cfg!(target_arch = "x86_64").then_some(number | X32))
}

fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, Error> {
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    let refusal = SeccompAction::Errno(errno.cast_unsigned());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refusal, machine)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use nix::errno::Errno;
    use nix::sched::{CloneFlags, unshare};
    use seccompiler::apply_filter;

    use super::*;
    use crate::capabilities;

    #[test]
    fn what_is_sealed_starts_no_program_and_goes_on_working() {
        // On one thread alone: the other tests need theirs.
        let sealed = thread::spawn(|| {
            capabilities::no_new_privileges().unwrap();
            for program in [refused().unwrap(), unknown().unwrap()] {
                apply_filter(&program).unwrap();
            }
            let refused = Command::new("/bin/true").status().unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
            assert_eq!(unshare(CloneFlags::CLONE_NEWUSER), Err(Errno::EPERM));
            // SAFETY: numbers; a child there could be is not made.
            let made =
                unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0) };
            assert_eq!((made, Errno::last()), (-1, Errno::EPERM));
            // SAFETY: numbers; PTRACE_TRACEME, which always succeeds where it is not refused.
            let traced = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
            assert_eq!((traced, Errno::last()), (-1, Errno::EPERM));
            // Threads, files and sockets are as before.
            assert_eq!(thread::spawn(|| 7).join().unwrap(), 7);
            assert!(std::fs::read("/proc/self/status").is_ok());
            assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
        });
        sealed.join().unwrap();
    }
}
