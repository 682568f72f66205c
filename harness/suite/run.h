/* Runs one case in the caller's event loop; several can run side by side. */
#ifndef REJOIN_SUITE_RUN_H
#define REJOIN_SUITE_RUN_H

#include "suite/case.h"
#include "suite/driver.h"

struct suite_run_options {
    uv_loop_t *loop;
    const struct driver_spec *driver;
    uint64_t seed;
    int32_t case_timeout_ms;
    const char *case_id;       /* what the client is told; NULL: the case's own */
    const char *capture_path;  /* NULL: frames are not kept */
};

/* How the session of the first client ended. */
#define SUITE_END_MAP(X)                                                                                               \
    X(NONE, "")                    /* it never was in the group */                                                     \
    X(CLEAN, "CLEAN")              /* it left the group, or is static and need not, and ended */                       \
    X(LEFT_DIRTY, "LEFT-DIRTY")    /* it ended without LeaveGroup */                                                   \
    X(ABORTED, "ABORTED")          /* SIGKILL, or a signal of its own */

enum suite_end {
#define SUITE_END_ENUM(name, text) SUITE_END_##name,
    SUITE_END_MAP(SUITE_END_ENUM)
#undef SUITE_END_ENUM
};
const char *suite_end_name(enum suite_end end);

/* done is called once, from the loop; the run is valid until suite_run_free. */
struct suite_run *suite_run_begin(const struct suite_case *test, const struct suite_run_options *options,
                                  void (*done)(void *context, struct suite_run *run), void *context);
void suite_run_free(struct suite_run *run);

const struct suite_verdict *suite_run_verdict(const struct suite_run *run);
/* A pass that does not count becomes SKIPPED with this reason; what fell short stays. */
void suite_run_discount(struct suite_run *run, const char *reason);
enum suite_end suite_run_end(const struct suite_run *run);
int64_t suite_run_duration_ms(const struct suite_run *run); /* without the time that it was held up */
/* How long this process was kept from running during the case: timers of the mock and the client ran on meanwhile. */
int64_t suite_run_stalled_ms(const struct suite_run *run);
const char *suite_run_capture(const struct suite_run *run); /* the file; NULL: frames were not kept */
/* Which processes were started, and what they printed. */
const struct driver_process *suite_run_process(const struct suite_run *run, int32_t process); /* NULL: not started */

#endif
