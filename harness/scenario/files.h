/* Which scenario files there are. */
#ifndef REJOIN_SCENARIO_FILES_H
#define REJOIN_SCENARIO_FILES_H

#include <stdbool.h>

struct scn_files { char **paths; int count; };

/* A file, or all *.scn in a folder and those within, in alphabetical order. False: a line on stderr in the name of
 * `who` says why not. */
bool scn_add_path(struct scn_files *files, const char *path, const char *who);
void scn_free_files(struct scn_files *files);

#endif
