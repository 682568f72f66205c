/* What printing, parsing and comparing share. */
#ifndef REJOIN_CODEC_JSON_H
#define REJOIN_CODEC_JSON_H

#include "rejoin/codec.h"

/* Tagged fields that the schema does not know; Kafka's converters leave them out, we must not lose them. Printed only
 * where there are any: [{"tag":9,"value":"base64"}]. */
#define UNKNOWN_TAGS_NAME "_unknownTaggedFields"

/* The value of one field as JSON. */
void rj_json_print_field(const struct rj_schema_field *field, int16_t version, const void *member,
                         const struct rj_writer *writer);
/* One element of an array field. */
void rj_json_print_element(const struct rj_schema_field *field, int16_t version, const void *element,
                           const struct rj_writer *writer);
/* Whether the bytes are characters of UTF-8, as Java's decoder counts. */
bool rj_is_utf8(struct rj_bytes bytes);

#endif
