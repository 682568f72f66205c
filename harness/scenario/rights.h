/* What `deny` takes away, for targets with principals: a mock, and a broker with Kafka's StandardAuthorizer. */
#ifndef REJOIN_SCENARIO_RIGHTS_H
#define REJOIN_SCENARIO_RIGHTS_H

#include "scenario/wire.h"

enum { RIGHTS_MOST = 8 }; /* all on four types of resources, less one each at most */

/* Everything but what the words of the step name, with the run's prefix before the name; name_room holds that.
 * 0: run->why says what was expected. */
int scn_rights(struct scn_run *run, const struct scn_step *step, char *name_room, size_t name_len,
               struct rj_right rights[RIGHTS_MOST]);

/* On a broker that knows wire->options->user and ->admin ("NAME:PASSWORD"). */

/* The frames that authenticate a connection, before its first own one. */
void wire_add_authentication(const struct wire *wire, struct rejoin_buffer *out);
/* The asking connection becomes the administrator's, and the user may do everything. False: ask.error. */
bool wire_open_rights(struct wire *wire);
/* The user may do all but that, and the broker knows it. False: ask.error. NULL: all. */
bool wire_set_denials(struct wire *wire, const struct rj_right *rights, int count);

#endif
