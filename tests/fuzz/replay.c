/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replay FILE|FOLDER...: gives a target the inputs of its corpus, where there is no libFuzzer to do
 * it: in every run of the tests, with every compiler. A folder without an input is a failure: a
 * test that looks at nothing shows nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_BYTES_MAX (1024 * 1024)

static uint8_t buffer[INPUT_BYTES_MAX];

static bool replay_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *exact;
	size_t bytes;

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	bytes = fread(buffer, 1, sizeof(buffer), file);
	fclose(file);
	/* Which input it was, should the target end the process. */
	fprintf(stderr, "%s, %zu bytes\n", path, bytes);
	exact = fuzz_copy(buffer, bytes);
	(void)LLVMFuzzerTestOneInput(exact, bytes);
	free(exact);
	return true;
}

static bool replay_folder(const char *path, unsigned *replayed)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	bool good = true;

	if (!folder) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return false;
	}
	while ((entry = readdir(folder))) {
		char file[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		good = replay_file(file) && good;
		++*replayed;
	}
	closedir(folder);
	return good;
}

int main(int argc, char **argv)
{
	unsigned replayed = 0;
	bool good = true;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			good = replay_folder(argv[i], &replayed) && good;
		} else {
			good = replay_file(argv[i]) && good;
			replayed++;
		}
	}
	/* One case of TAP: check counts it. */
	printf("1..1\n%sok 1 - %u inputs of the corpus are replayed\n",
		good && replayed > 0 ? "" : "not ", replayed);
	return good && replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
