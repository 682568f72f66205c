/* The client under test as processes: exec:CMD runs CMD by the shell with the REJOIN_ environment, reads JSON lines
 * from its standard output, keeps both outputs, asks it to end by SIGTERM and ends its process group by SIGKILL 5 s
 * later. */
#ifndef REJOIN_SUITE_DRIVER_H
#define REJOIN_SUITE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define DRIVER_GRACE_MS 5000
#define DRIVER_OUTPUT_LIMIT (1u << 20) /* of each output; a client that logs without end must not fill the disk */
#define DRIVER_LINE_LIMIT 65536u       /* a longer line is no event */

/* "exec:CMD". false: error says what is wrong with it. */
struct driver_spec { const char *command; };
bool driver_parse(const char *text, struct driver_spec *spec, char *error, size_t error_len);

struct driver_variable { const char *name; const char *value; };

struct driver_process;

struct driver_callbacks {
    void (*line)(void *context, const char *line);  /* of standard output, without its newline */
    void (*ended)(void *context);
    void *context;
};

/* NULL: error says why it cannot be started. Variables are added to this process's own environment. */
struct driver_process *driver_start(uv_loop_t *loop, const struct driver_spec *spec,
                                    const struct driver_variable *variables, int32_t variable_count,
                                    const struct driver_callbacks *callbacks, char *error, size_t error_len);
void driver_stop(struct driver_process *process);
void driver_kill(struct driver_process *process);
bool driver_ended(const struct driver_process *process);
/* Exit status, or minus the signal that ended it. */
int driver_exit(const struct driver_process *process);
/* SIGKILL was needed after SIGTERM. */
bool driver_was_forced(const struct driver_process *process);
const char *driver_output(const struct driver_process *process, bool standard_error, size_t *len);
/* Only when it ended and driver_closed. Frees it. */
bool driver_closed(const struct driver_process *process);
void driver_free(struct driver_process *process);

#endif
