#include "scenario/run.h"
#include <stdio.h>
bool scn_run_on_wire(struct scn_run *runs, int count, enum scn_target_kind kind, const struct scn_options *options,
                     scn_done done, void *context, char *error, size_t error_len)
{
    (void)runs; (void)count; (void)kind; (void)options; (void)done; (void)context;
    snprintf(error, error_len, "not yet");
    return false;
}
