/* replay FILE-OR-FOLDER…: runs the fuzz target on each file, in a buffer of exactly its size, so
 * that a sanitizer sees each byte read too far. Files named ok-* must be accepted and bad-*
 * rejected: a corpus that a changed format has made worthless fails. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int files, accepted, mistakes;

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	uint8_t *data = NULL;
	if (file && fstat(fileno(file), &st) == 0 &&
		(data = malloc((size_t)st.st_size + !st.st_size)) != NULL)
		*size = fread(data, 1, (size_t)st.st_size, file);
	if (file)
		fclose(file);
	return data;
}

static void replay_file(const char *path)
{
	const char *name = strrchr(path, '/');
	name = name ? name + 1 : path;
	size_t size = 0;
	uint8_t *data = read_file(path, &size);
	if (!data) {
		fprintf(stderr, "%s: cannot be read\n", path);
		mistakes++;
		return;
	}
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	files++;
	accepted += bn_fuzz_accepted;
	bool wrong =
		bn_fuzz_accepted ? strncmp(name, "bad-", 4) == 0 : strncmp(name, "ok-", 3) == 0;
	if (wrong) {
		fprintf(stderr, "%s: was %s\n", path, bn_fuzz_accepted ? "accepted" : "rejected");
		mistakes++;
	}
}

static void replay(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir) {
		replay_file(path);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char inside[4096];
		snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.')
			replay_file(inside);
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%d files, %d accepted, %d mistakes\n", files, accepted, mistakes);
	return files > 0 && mistakes == 0 ? 0 : 1;
}
