// SPDX-License-Identifier: MIT
/*
 * The only program on the Linux machine: loads the benchmark module with the parameters that the
 * kernel's command line has after "--", and turns the machine off. What could not be done is said
 * on the console.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = open("/lazybench.ko", O_RDONLY);

	if (fd < 0 || syscall(SYS_finit_module, fd, argc > 1 ? argv[1] : "", 0))
		perror("init: /lazybench.ko");
	reboot(RB_POWER_OFF);
	perror("init: power off");
	return 1;
}
