// SPDX-License-Identifier: MIT
/* An operation of the endurance test (tests/kernel/soak.h): Xen refuses what a mapping needs. */
#include "kernel/atomic.h"
#include "kernel/errno.h"

#include "kernel/platform.h"
#include "tests/kernel/soak.h"
#include "xen/inject.h"

#define SOON 6

/* One hypercall at a time can be made to fail, on one CPU: who comes second maps as ever. */
SOAK(xen_refuses)
{
	static atomic_t taken;
	struct soak_thing *t;
	int err;

	if (platform != &xen_platform)
		return -ENODEV;
	t = soak_take(w);
	if (!atomic_cmpxchg(&taken, 0, 1))
		return soak_make_any(w, t);
	w->injecting = true;
	inject_arm(1 + soak_random(w, SOON), INJECT_SET, -EINVAL);
	err = soak_make_any(w, t);
	inject_disarm();
	atomic_set(&taken, 0);
	return err;
}
