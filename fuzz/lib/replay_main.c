/* Runs a target over files without any engine: for the tests, for debuggers, for whoever found something.
 *
 *   replay_TARGET FILE|DIRECTORY...
 *
 * Prints how many inputs ran and how many abstract facts they reached. A finding aborts, with its oracle's name and
 * behind the name of the input. Exit codes: 0 all ran, 3 unreadable, 5 there was nothing to run. */
#define _FILE_OFFSET_BITS 64 /* a 32-bit readdir fails where an inode's number is larger */
#include "lib/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static unsigned long ran;

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 3;
    }
    size_t len = 0, cap = 4096;
    uint8_t *data = malloc(cap);
    for (size_t got; data != NULL && (got = fread(data + len, 1, cap - len, file)) > 0;) {
        len += got;
        if (len == cap)
            data = realloc(data, cap *= 2);
    }
    fclose(file);
    /* Exactly as long as the input, so that a sanitizer sees a read behind its end. */
    uint8_t *exact = malloc(len ? len : 1);
    if (data == NULL || exact == NULL)
        return 4;
    memcpy(exact, data, len);
    free(data);
    setvbuf(stderr, NULL, _IONBF, 0);
    if (getenv("REPLAY_VERBOSE") != NULL)
        fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    ran++;
    return 0;
}

static int run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return run_file(path);
    DIR *directory = opendir(path);
    if (directory == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 3;
    }
    int worst = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char inner[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        int result = run_path(inner);
        worst = result > worst ? result : worst;
    }
    closedir(directory);
    return worst;
}

int main(int argc, char **argv)
{
    int worst = argc < 2 ? 3 : 0;
    if (argc < 2)
        fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", argv[0]);
    for (int i = 1; i < argc; i++) {
        int result = run_path(argv[i]);
        worst = result > worst ? result : worst;
    }
    printf("%lu inputs, %u facts\n", ran, fuzz_facts_seen());
    return worst != 0 ? worst : ran == 0 ? 5 : 0;
}
