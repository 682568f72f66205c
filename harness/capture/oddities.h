/* Encodings in a capture that Kafka's readers accept although its writers make none (rules of area encoding): warnings
 * beside what the passive checker finds. Only messages that decode are looked at. */
#ifndef REJOIN_CAPTURE_ODDITIES_H
#define REJOIN_CAPTURE_ODDITIES_H

#include "capture/dialogue.h"

#include <jansson.h>
#include <stdio.h>

struct oddities;

struct oddities *oddities_create(void);
/* A sink that reads each decoded message, its header too, anew. */
struct capture_sink oddities_sink(struct oddities *oddities);
/* How many were found, repetitions included. */
uint64_t oddities_total(const struct oddities *oddities);
/* The array "odd_encodings" of harness/schemas/check.json: the first of each rule, message, version and connection, with
 * how often it came. The caller owns the reference. */
json_t *oddities_json(const struct oddities *oddities);
void oddities_print(const struct oddities *oddities, FILE *out);
void oddities_destroy(struct oddities *oddities);

#endif
