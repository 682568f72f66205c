#include "bench/start.h"

#include "bench/members.h"
#include "bench/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, END_PATIENCE_MS = 5000 };

static pid_t spawn(char *const command[], int *output_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execvp(command[0], command);
        fprintf(stderr, "rejoin bench: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    *output_fd = ends[0];
    return pid;
}

/* Reads up to the end of the first line. */
static bool read_ready_line(int fd, char *line, size_t line_len)
{
    size_t len = 0;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    while (len < line_len - 1 && poll(&waiting, 1, PATIENCE_MS) == 1) {
        ssize_t got = read(fd, line + len, line_len - 1 - len);
        if (got <= 0)
            break;
        len += (size_t)got;
        line[len] = '\0';
        if (strchr(line, '\n') != NULL) {
            line[strcspn(line, "\n")] = '\0';
            return strncmp(line, "ready ", 6) == 0;
        }
    }
    line[len] = '\0';
    return false;
}

static bool on_answer(void *context, struct bench_connection *connection, struct rj_bytes frame)
{
    (void)connection;
    bool *answered = context;
    *answered = frame.len > 4;
    return true;
}

static bool ask_once(const char *bootstrap, struct bench_start *start)
{
    char first[128];
    snprintf(first, sizeof(first), "%.*s", (int)strcspn(bootstrap, ", "), bootstrap);
    struct sockaddr_in address;
    if (!bench_parse_address(first, &address)) {
        snprintf(start->problem, sizeof(start->problem), "'%.100s' is not HOST:PORT", first);
        return false;
    }
    bool answered = false;
    struct bench_loop loop = {.on_frame = on_answer, .context = &answered};
    struct rj_api_versions_request request;
    rj_message_init(&rj_api_versions_request_schema, &request);
    bool going = bench_loop_open(&loop, &address, 1);
    if (going) {
        bench_queue_request(&loop, &loop.connections[0], RJ_API_API_VERSIONS, 0, 1, &request);
        bench_flush(&loop, &loop.connections[0]);
    }
    while (going && !answered)
        going = bench_loop_run_once(&loop, PATIENCE_MS);
    snprintf(start->problem, sizeof(start->problem), "%s", loop.problem);
    bench_loop_close(&loop);
    return answered;
}

static void end_process(pid_t pid)
{
    kill(pid, SIGTERM);
    for (int waited_ms = 0; waited_ms < END_PATIENCE_MS; waited_ms += 5) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        usleep(5000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

bool bench_measure_start(char *const command[], struct bench_start *start)
{
    memset(start, 0, sizeof(*start));
    int fd = -1;
    int64_t begun_ns = bench_now_ns();
    pid_t pid = spawn(command, &fd);
    if (pid < 0) {
        snprintf(start->problem, sizeof(start->problem), "cannot start a process: %s", strerror(errno));
        return false;
    }
    char line[512] = "";
    bool ready = read_ready_line(fd, line, sizeof(line));
    start->ready_ns = bench_now_ns() - begun_ns;
    bool answered = false;
    if (!ready)
        snprintf(start->problem, sizeof(start->problem), "%.100s printed '%.100s' where 'ready HOST:PORT' was expected",
                 command[0], line);
    else
        answered = ask_once(line + 6, start);
    start->answered_ns = bench_now_ns() - begun_ns;
    start->resident_bytes = bench_process_resident_bytes(pid);
    bench_process_mapped_files(pid, &start->program_bytes, &start->library_bytes);
    end_process(pid);
    close(fd);
    return answered;
}
