// SPDX-License-Identifier: MIT
/*
 * The input: one byte, the room for the value; a key, up to a NUL; and the command line. The two
 * strings and the room are mallocs of exactly their sizes.
 */
// links: boot/cmdline.c
#include <string.h>
#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "tests/fuzz/fuzz.h"

#define UNTOUCHED 0xa5

static char *copy_of(const u8 *p, size_t n)
{
	char *s = malloc(n + 1);

	memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	size_t room, key_len, len;
	char *key, *line, *out;
	u64 number = 0;
	int n;

	if (size < 2)
		return 0;
	room = data[0];
	key_len = strnlen((const char *)data + 1, size - 2);
	key = copy_of(data + 1, key_len);
	line = copy_of(data + 1 + key_len + 1, size - 1 - key_len - 1);
	out = malloc(room);
	memset(out, UNTOUCHED, room);

	n = cmdline_get(line, key, out, room);
	if (n >= 0) {
		len = (size_t)n;
		CHECK(len < room && strlen(out) == len && len <= strlen(line));
		CHECK(!strchr(out, '"') && !strchr(out, '\\'));
	} else {
		CHECK(n == -ENOENT || n == -E2BIG);
		for (size_t i = 0; i < room; i++)
			CHECK((u8)out[i] == UNTOUCHED);
	}
	n = cmdline_get_u64(line, key, &number);
	CHECK(n <= 0 && (!n || !number));

	free(key);
	free(line);
	free(out);
	return 0;
}
