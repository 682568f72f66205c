#include "bench/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_schedstats(int pid, int64_t *cpu_ns)
{
    char path[96];
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        return false;
    bool any = false;
    *cpu_ns = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, entry->d_name);
        FILE *file = fopen(path, "r");
        long long run_ns;
        if (file != NULL && fscanf(file, "%lld", &run_ns) == 1) {
            *cpu_ns += run_ns;
            any = true;
        }
        if (file != NULL)
            fclose(file);
    }
    closedir(tasks);
    return any;
}

bool bench_process_cpu_ns(int pid, int64_t *cpu_ns)
{
    if (read_schedstats(pid, cpu_ns))
        return true;
    char path[64], line[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    char *read = fgets(line, sizeof(line), file);
    fclose(file);
    char *rest = read != NULL ? strrchr(line, ')') : NULL; /* the name may hold blanks */
    unsigned long long user, system;
    if (rest == NULL || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
        return false;
    *cpu_ns = (int64_t)(user + system) * (1000000000 / sysconf(_SC_CLK_TCK));
    return true;
}

int64_t bench_process_resident_bytes(int pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    FILE *file = fopen(path, "r");
    long long pages;
    bool found = file != NULL && fscanf(file, "%*d %lld", &pages) == 1;
    if (file != NULL)
        fclose(file);
    return found ? pages * sysconf(_SC_PAGESIZE) : -1;
}

int64_t bench_process_own_bytes(int pid)
{
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    long long kilobytes = -1;
    while (kilobytes < 0 && file != NULL && fgets(line, sizeof(line), file) != NULL)
        sscanf(line, "RssAnon: %lld kB", &kilobytes); /* which leaves it alone on other lines */
    if (file != NULL)
        fclose(file);
    return kilobytes < 0 ? -1 : kilobytes * 1024;
}

void bench_process_mapped_files(int pid, int64_t *program_bytes, int64_t *library_bytes)
{
    char path[64], program[4096] = "", line[4608];
    snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    ssize_t len = readlink(path, program, sizeof(program) - 1);
    program[len > 0 ? len : 0] = '\0';
    struct stat status;
    *program_bytes = stat(program, &status) == 0 ? status.st_size : 0;
    *library_bytes = 0;
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        char permissions[8], file[4096];
        /* Each file has one executable mapping. */
        if (sscanf(line, "%*s %7s %*s %*s %*s %4095s", permissions, file) == 2 && permissions[2] == 'x' &&
            file[0] == '/' && strcmp(file, program) != 0 && stat(file, &status) == 0)
            *library_bytes += status.st_size;
    }
    if (maps != NULL)
        fclose(maps);
}
