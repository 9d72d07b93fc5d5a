// SPDX-License-Identifier: MIT
/*
 * A main() for a fuzz target without libFuzzer: runs it once on each file named, or on each file of
 * each directory named. It finds nothing new, but shows that what was found once stays mended.
 */
#include <dirent.h>
#include <sys/stat.h>
#include "tests/fuzz/fuzz.h"

static unsigned nr_inputs;

/* The input is in a malloc of exactly its size, as with libFuzzer, so that ASan sees its end. */
static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	u8 *data;
	size_t n;

	if (!f || fstat(fileno(f), &st)) {
		perror(path);
		return 1;
	}
	data = malloc((size_t)st.st_size);
	n = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	nr_inputs++;
	return 0;
}

static int replay(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char file[4096];
	int bad = 0;

	if (!dir)
		return replay_file(path);
	while ((e = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		if (e->d_name[0] != '.')
			bad |= replay_file(file);
	}
	closedir(dir);
	return bad;
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++)
		bad |= replay(argv[i]);
	if (!nr_inputs) {
		fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...; there was no input\n", argv[0]);
		bad = 1;
	}
	printf("%u inputs\n", nr_inputs);
	return bad;
}
