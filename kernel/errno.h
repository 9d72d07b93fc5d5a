// SPDX-License-Identifier: MIT
/*
 * Error values: 0 is success, -EFOO is what the outside world can cause. The numbers are the
 * usual ones (and Xen's), so that a hypercall's result can be passed on as it is.
 */
#ifndef KERNEL_ERRNO_H
#define KERNEL_ERRNO_H

#define EPERM	  1
#define ENOENT	  2
#define EINTR	  4
#define EIO	  5
#define E2BIG	  7
#define EAGAIN	  11
#define ENOMEM	  12
#define EACCES	  13
#define EFAULT	  14
#define EBUSY	  16
#define EEXIST	  17
#define ENODEV	  19
#define EISDIR	  21
#define EINVAL	  22
#define ENOSPC	  28
#define EROFS	  30
#define ERANGE	  34
#define ENOSYS	  38
#define ENOTEMPTY 39
#define EBADMSG	  74
#define EISCONN	  106
#define ETIMEDOUT 110

#endif
