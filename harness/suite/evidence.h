/* What a result that is no pass leaves behind: a folder with the verdict, the timeline, the frames, the faults, what
 * the clients printed, and one line that runs it again. */
#ifndef REJOIN_SUITE_EVIDENCE_H
#define REJOIN_SUITE_EVIDENCE_H

#include "suite/run.h"

struct evidence_options {
    const char *out;           /* the run's folder */
    const char *driver;        /* as it was given */
    uint64_t seed;
    const char *program;       /* how rejoin was called */
};

/* "join__79-rejoins-with-the-given-id": the case's folder in the run's. */
void evidence_folder(const char *case_id, char *out, size_t out_len);
/* Makes DIR/<folder> and its parents. false: error says why. */
bool evidence_make(const char *directory, char *error, size_t error_len);
/* Takes away what an earlier run left of this case. */
void evidence_clear(const char *out, const char *case_id);
bool evidence_write(const struct suite_run *run, const struct evidence_options *options, char *error,
                    size_t error_len);

#endif
