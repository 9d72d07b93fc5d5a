// SPDX-License-Identifier: MIT
/*
 * The simulator's scenarios are processes that end by _exit(), at which gcov's counts would be
 * lost. Linked with --wrap=_exit.
 */
#include <gcov.h>

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}
