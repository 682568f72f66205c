/* What a server process costs, read from /proc (Linux). */
#ifndef REJOIN_BENCH_PROCESS_H
#define REJOIN_BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* CPU time of all threads that live, in ns (/proc/PID/task/.../schedstat; where the kernel has none: the clock ticks
 * of /proc/PID/stat). false: there is no such process. */
bool bench_process_cpu_ns(int pid, int64_t *cpu_ns);
int64_t bench_process_resident_bytes(int pid); /* -1: unknown */
/* Of its resident memory what it has written itself: not the pages of its program and libraries, of which more are there
 * whenever a piece of code runs for the first time. -1: unknown. */
int64_t bench_process_own_bytes(int pid);
/* Bytes of the program file and of every other file mapped executable. */
void bench_process_mapped_files(int pid, int64_t *program_bytes, int64_t *library_bytes);

#endif
