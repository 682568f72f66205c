#include "suite/driver.h"

#include "support/memory.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRIVER_PIPE_GRACE_MS 500 /* after the exit, for what is still in the pipes */

extern char **environ;

struct output {
    uv_pipe_t pipe;
    struct driver_process *process;
    char *text;
    size_t len, capacity;
    size_t line_start;
    bool is_error;
};

struct driver_process {
    uv_process_t handle;
    struct output out, error;
    uv_timer_t grace;
    int open_handles;
    bool exited, asked, forced;
    int exit_code;
    struct driver_callbacks callbacks;
};

bool driver_parse(const char *text, struct driver_spec *spec, char *error, size_t error_len)
{
    const char prefix[] = "exec:";
    if (strncmp(text, prefix, sizeof(prefix) - 1) == 0 && text[sizeof(prefix) - 1] != '\0') {
        spec->command = text + sizeof(prefix) - 1;
        return true;
    }
    snprintf(error, error_len, "'%s' is no driver; expected exec:COMMAND", text);
    return false;
}

/* ---- Output ----------------------------------------------------------------------------------------------------- */

static void offer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct output *output = handle->data;
    (void)suggested;
    if (output->capacity - output->len < 4096) {
        output->capacity = output->capacity ? output->capacity * 2 : 8192;
        output->text = rejoin_realloc(output->text, output->capacity);
    }
    *buffer = uv_buf_init(output->text + output->len, (unsigned)(output->capacity - output->len - 1));
}

static void close_once(uv_handle_t *handle);

static void handle_closed(uv_handle_t *handle)
{
    struct output *output = handle->data;
    struct driver_process *process = output->process;
    process->open_handles--;
    if (process->exited && process->open_handles == 1)
        close_once((uv_handle_t *)&process->grace);
    if (process->exited && process->open_handles == 0 && process->callbacks.ended != NULL)
        process->callbacks.ended(process->callbacks.context);
}

static void close_once(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, handle_closed);
}

static void deliver_lines(struct output *output)
{
    char *newline;
    while ((newline = memchr(output->text + output->line_start, '\n', output->len - output->line_start)) != NULL) {
        *newline = '\0';
        char *line = output->text + output->line_start;
        size_t len = (size_t)(newline - line);
        output->line_start += len + 1;
        if (!output->is_error && len > 0 && len < DRIVER_LINE_LIMIT && output->process->callbacks.line != NULL)
            output->process->callbacks.line(output->process->callbacks.context, line);
        *newline = '\n';
    }
}

/* Keeps the first half of what may be kept; what comes later replaces the oldest of the second half. */
static void forget_surplus(struct output *output)
{
    if (output->len <= DRIVER_OUTPUT_LIMIT)
        return;
    size_t keep = DRIVER_OUTPUT_LIMIT / 2, cut = DRIVER_OUTPUT_LIMIT / 4;
    memmove(output->text + keep, output->text + keep + cut, output->len - keep - cut);
    output->len -= cut;
    output->line_start = output->line_start > cut + keep ? output->line_start - cut : keep;
}

static void received(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct output *output = stream->data;
    (void)buffer;
    if (len < 0) {
        close_once((uv_handle_t *)stream);
        return;
    }
    output->len += (size_t)len;
    deliver_lines(output);
    forget_surplus(output);
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

/* A descendant in a session of its own can keep the pipes open: nobody waits for it. */
static void pipes_over(uv_timer_t *timer)
{
    struct driver_process *process = ((struct output *)timer->data)->process;
    close_once((uv_handle_t *)&process->out.pipe);
    close_once((uv_handle_t *)&process->error.pipe);
}

static void exited(uv_process_t *handle, int64_t status, int signal_number)
{
    struct driver_process *process = handle->data;
    process->exited = true;
    process->exit_code = signal_number != 0 ? -signal_number : (int)status;
    /* Whatever it started must not outlive the case, nor keep the pipes open. */
    uv_kill(-handle->pid, SIGKILL);
    handle->data = process->grace.data = &process->out; /* what handle_closed expects */
    uv_timer_start(&process->grace, pipes_over, DRIVER_PIPE_GRACE_MS, 0);
    close_once((uv_handle_t *)handle);
}

static void grace_over(uv_timer_t *timer)
{
    struct driver_process *process = timer->data;
    process->forced = true;
    driver_kill(process);
}

static void open_output(uv_loop_t *loop, struct driver_process *process, struct output *output, bool is_error)
{
    *output = (struct output){.process = process, .is_error = is_error};
    uv_pipe_init(loop, &output->pipe, 0);
    output->pipe.data = output;
}

static char **build_environment(const struct driver_variable *variables, int32_t variable_count)
{
    size_t own = 0;
    while (environ[own] != NULL)
        own++;
    char **list = rejoin_alloc_zeroed(own + (size_t)variable_count + 1, sizeof(*list));
    size_t count = 0;
    /* What a caller's REJOIN_ variables say about another run must not leak into this one. */
    for (size_t i = 0; i < own; i++) {
        bool is_ours = false;
        for (int32_t j = 0; j < variable_count; j++) {
            size_t len = strlen(variables[j].name);
            is_ours |= strncmp(environ[i], variables[j].name, len) == 0 && environ[i][len] == '=';
        }
        if (!is_ours)
            list[count++] = rejoin_strdup(environ[i]);
    }
    for (int32_t j = 0; j < variable_count; j++) {
        if (variables[j].value == NULL)
            continue;
        size_t len = strlen(variables[j].name) + strlen(variables[j].value) + 2;
        list[count] = rejoin_alloc(len);
        snprintf(list[count++], len, "%s=%s", variables[j].name, variables[j].value);
    }
    return list;
}

static void free_environment(char **list)
{
    for (size_t i = 0; list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

struct driver_process *driver_start(uv_loop_t *loop, const struct driver_spec *spec,
                                    const struct driver_variable *variables, int32_t variable_count,
                                    const struct driver_callbacks *callbacks, char *error, size_t error_len)
{
    struct driver_process *process = rejoin_alloc_zeroed(1, sizeof(*process));
    process->callbacks = *callbacks;
    open_output(loop, process, &process->out, false);
    open_output(loop, process, &process->error, true);
    uv_timer_init(loop, &process->grace);
    process->grace.data = process;
    process->handle.data = process;
    process->open_handles = 4;

    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&process->out.pipe},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&process->error.pipe},
    };
    size_t line_len = strlen(spec->command) + sizeof("exec ");
    char *line = rejoin_alloc(line_len);
    snprintf(line, line_len, "exec %s", spec->command); /* SIGTERM must reach the client, not a shell in between */
    char shell[] = "/bin/sh", option[] = "-c";
    char *arguments[] = {shell, option, line, NULL};
    char **environment = build_environment(variables, variable_count);
    uv_process_options_t options = {.file = shell, .args = arguments, .env = environment, .stdio = stdio,
                                    .stdio_count = 3, .exit_cb = exited, .flags = UV_PROCESS_DETACHED};
    int status = uv_spawn(loop, &process->handle, &options);
    free(line);
    free_environment(environment);
    if (status != 0) {
        snprintf(error, error_len, "cannot run '%s': %s", spec->command, uv_strerror(status));
        process->exited = true; /* the callback must not fire for it, the handles still have to be closed */
        process->callbacks.ended = NULL;
        process->handle.data = process->grace.data = &process->out;
        close_once((uv_handle_t *)&process->handle);
        close_once((uv_handle_t *)&process->out.pipe);
        close_once((uv_handle_t *)&process->error.pipe);
        while (process->open_handles > 0)
            uv_run(loop, UV_RUN_NOWAIT);
        driver_free(process);
        return NULL;
    }
    uv_read_start((uv_stream_t *)&process->out.pipe, offer, received);
    uv_read_start((uv_stream_t *)&process->error.pipe, offer, received);
    return process;
}

void driver_stop(struct driver_process *process)
{
    if (process->exited || process->asked)
        return;
    process->asked = true;
    uv_process_kill(&process->handle, SIGTERM);
    uv_timer_start(&process->grace, grace_over, DRIVER_GRACE_MS, 0);
}

void driver_kill(struct driver_process *process)
{
    if (!process->exited)
        uv_kill(-process->handle.pid, SIGKILL);
}

bool driver_ended(const struct driver_process *process) { return process->exited; }

int driver_exit(const struct driver_process *process) { return process->exit_code; }

bool driver_was_forced(const struct driver_process *process) { return process->forced; }

const char *driver_output(const struct driver_process *process, bool standard_error, size_t *len)
{
    const struct output *output = standard_error ? &process->error : &process->out;
    *len = output->len;
    return output->text != NULL ? output->text : "";
}

bool driver_closed(const struct driver_process *process) { return process->exited && process->open_handles == 0; }

void driver_free(struct driver_process *process)
{
    free(process->out.text);
    free(process->error.text);
    free(process);
}
