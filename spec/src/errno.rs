//! The error numbers that bpf(2) answers with. No texts of errors: those belong to whoever rejects.

use crate::numbered::numbered;

numbered! {
    /// An errno of Linux, positive. `Errno::EINVAL.negative()` is what a syscall returns.
    pub enum Errno: "" {
        EPERM = 1 "EPERM", ENOENT = 2 "ENOENT", EINTR = 4 "EINTR", EIO = 5 "EIO", ENXIO = 6 "ENXIO", E2BIG = 7 "E2BIG",
        EBADF = 9 "EBADF", EAGAIN = 11 "EAGAIN", ENOMEM = 12 "ENOMEM", EACCES = 13 "EACCES", EFAULT = 14 "EFAULT",
        EBUSY = 16 "EBUSY", EEXIST = 17 "EEXIST", ENODEV = 19 "ENODEV", EINVAL = 22 "EINVAL", ENOSPC = 28 "ENOSPC",
        EDOM = 33 "EDOM", ERANGE = 34 "ERANGE", EDEADLK = 35 "EDEADLK", ENAMETOOLONG = 36 "ENAMETOOLONG",
        ENOSYS = 38 "ENOSYS", ELOOP = 40 "ELOOP", EPROTO = 71 "EPROTO", EOVERFLOW = 75 "EOVERFLOW",
        EOPNOTSUPP = 95 "EOPNOTSUPP", ETIMEDOUT = 110 "ETIMEDOUT", ENOTSUPP = 524 "ENOTSUPP",
    }
}

impl Errno {
    /// As a syscall's result.
    pub const fn negative(self) -> i32 {
        -(self as i32)
    }

    /// The number of a syscall result or of a positive errno.
    pub fn from_result(result: i32) -> Option<Errno> {
        Errno::from_raw(result.unsigned_abs())
    }
}
