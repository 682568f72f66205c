/* The control socket of a mock cluster: one JSON list of strings a line in (a command and its arguments), one JSON
 * object a line out: {"ok":true,...} or {"ok":false,"error":"..."}. */
#ifndef REJOIN_MOCK_CONTROL_H
#define REJOIN_MOCK_CONTROL_H

#include "mock/mock.h"

struct mock_control;

/* Listens on the path (a socket left over there is taken away). NULL: error says why. */
struct mock_control *mock_control_start(struct mock_cluster *cluster, uv_loop_t *loop, const char *path, char *error,
                                        size_t error_len);
void mock_control_stop(struct mock_control *control); /* before mock_stop; frees it in a later turn of the loop */

/* One command a line, for --help. */
extern const char mock_control_help[];

#endif
