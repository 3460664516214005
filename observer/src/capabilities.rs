//! Giving up capabilities, for a hook's process on its way to its program and for ourselves.
//!
//! System calls and nothing else, without memory of their own: the first of the two users shares its parent's memory. They
//! are about the calling thread, which is why the second calls them before there are others.

use nix::errno::Errno;
use nix::libc;

/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h: sets of 64 bits in two halves.
const VERSION: u32 = 0x2008_0522;
/// More than any kernel has; the sets have room for no more.
const MOST: libc::c_ulong = 64;

/// SECBIT_NOROOT and SECBIT_NOROOT_LOCKED of linux/securebits.h: a program gets no capability by being started by root.
const NOT_BY_BEING_ROOT: libc::c_ulong = 0b11;

/// The sets of capget(2) and capset(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// What is in force.
    pub effective: u64,
    /// What may be put in force.
    pub permitted: u64,
    /// What a program with file capabilities may take over.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn checked(result: libc::c_long) -> Result<(), Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(()) }
}

/// The lower or the upper 32 bits.
fn half(set: u64, shift: u32) -> u32 {
    u32::try_from((set >> shift) & u64::from(u32::MAX)).unwrap_or_default()
}

/// Replaces the three sets of this thread, which can only be made smaller.
///
/// # Errors
///
/// EPERM when one would become larger than it may be.
pub fn set(sets: Sets) -> Result<(), Errno> {
    let mut header = Header { version: VERSION, pid: 0 };
    let part = |shift| Half {
        effective: half(sets.effective, shift),
        permitted: half(sets.permitted, shift),
        inheritable: half(sets.inheritable, shift),
    };
    let halves = [part(0), part(32)];
    // SAFETY: the structures of linux/capability.h, two halves as version 3 has them; the kernel writes to the header only.
    checked(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) })
}

/// The three sets of this thread.
///
/// # Errors
///
/// When the kernel knows no such sets.
pub fn get() -> Result<Sets, Errno> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut halves = [Half { effective: 0, permitted: 0, inheritable: 0 }; 2];
    // SAFETY: as above, and the kernel writes two halves.
    checked(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) })?;
    let [low, high] = halves;
    let whole = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Sets {
        effective: whole(low.effective, high.effective),
        permitted: whole(low.permitted, high.permitted),
        inheritable: whole(low.inheritable, high.inheritable),
    })
}

/// Takes all but these out of the bounding set, beyond which no program that is started from here can get. Needs CAP_SETPCAP;
/// without it nothing happens, and [`no_new_privileges`] alone must hold.
pub fn limit_bounding_set(keep: u64) {
    for capability in (0..MOST).filter(|capability| keep >> capability & 1 == 0) {
        // SAFETY: numbers. EINVAL is the end of the list, EPERM a lack of CAP_SETPCAP.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } == -1 {
            return;
        }
    }
}

/// Gives up everything but `keep`, as far as it is there at all, for good: in every set, for what this thread may do and
/// for what it may start. Being root brings nothing back either.
///
/// # Errors
///
/// When the kernel refuses, which it has no reason to.
pub fn give_up_all_but(keep: u64) -> Result<(), Errno> {
    limit_bounding_set(keep);
    // SAFETY: numbers. Without CAP_SETPCAP this is refused, and `no_new_privileges` alone must hold.
    unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NOT_BY_BEING_ROOT, 0, 0, 0) };
    let kept = get()?.permitted & keep;
    // With nothing inheritable there is nothing ambient.
    set(Sets { effective: kept, permitted: kept, inheritable: 0 })?;
    no_new_privileges()
}

/// From here on no program gets more than it is started with, whatever its file says: not its owner's user, no capability.
///
/// # Errors
///
/// Before Linux 3.5.
pub fn no_new_privileges() -> Result<(), Errno> {
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: numbers.
    checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, unused, unused, unused) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of this thread that say what it may do.
    fn status() -> Vec<(String, String)> {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let lines = status.lines().filter_map(|line| line.split_once(":\t"));
        let lines = lines.filter(|(name, _)| name.starts_with("Cap") || *name == "NoNewPrivs");
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn what_is_given_up_is_gone_for_this_thread_alone() {
        const KEEP: u64 = 1 << 13 | 1 << 39;
        let before = (get().unwrap(), status());
        std::thread::spawn(|| {
            const SETPCAP: u64 = 1 << 8;
            let had = get().unwrap().permitted;
            give_up_all_but(KEEP).unwrap();
            let kept = had & KEEP;
            assert_eq!(get().unwrap(), Sets { effective: kept, permitted: kept, inheritable: 0 });
            for (name, value) in status() {
                let value = u64::from_str_radix(&value, 16).unwrap();
                match name.as_str() {
                    "CapPrm" | "CapEff" => assert_eq!(value, kept, "{name}"),
                    "CapInh" | "CapAmb" => assert_eq!(value, 0, "{name}"),
                    "CapBnd" if had & SETPCAP != 0 => assert_eq!(value & !KEEP, 0, "{name}"),
                    "CapBnd" => {}
                    _ => assert_eq!(value, 1, "{name}"),
                }
            }
            give_up_all_but(0).unwrap();
            assert_eq!(get().unwrap(), Sets::default());
            assert_eq!(set(Sets { effective: 1, permitted: 1, inheritable: 0 }), Err(Errno::EPERM));
        })
        .join()
        .unwrap();
        assert_eq!((get().unwrap(), status()), before);
    }
}
