#include "scenario/files.h"

#include "support/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void add_file(struct scn_files *files, const char *path)
{
    files->paths = rejoin_realloc(files->paths, (size_t)(files->count + 1) * sizeof(char *));
    files->paths[files->count++] = rejoin_strdup(path);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static bool add_folder(struct scn_files *files, const char *path, const char *who)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    bool ok = count >= 0;
    for (int i = 0; i < count; i++) {
        char *inner = rejoin_alloc(strlen(path) + strlen(entries[i]->d_name) + 2);
        sprintf(inner, "%s/%s", path, entries[i]->d_name);
        struct stat status;
        bool hidden = entries[i]->d_name[0] == '.';
        if (!hidden && stat(inner, &status) == 0 && (S_ISDIR(status.st_mode) || ends_with(inner, ".scn")))
            ok = scn_add_path(files, inner, who) && ok;
        free(inner);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return ok;
}

bool scn_add_path(struct scn_files *files, const char *path, const char *who)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        fprintf(stderr, "%s: %s: %s\n", who, path, strerror(errno));
        return false;
    }
    if (S_ISDIR(status.st_mode))
        return add_folder(files, path, who);
    add_file(files, path);
    return true;
}

void scn_free_files(struct scn_files *files)
{
    for (int i = 0; i < files->count; i++)
        free(files->paths[i]);
    free(files->paths);
}
