/* What the reference client says: JSON lines in the form that drivers use, or text. */
#ifndef REJOIN_CONSUME_PRINT_H
#define REJOIN_CONSUME_PRINT_H

#include "rejoin/consumer.h"
#include "rejoin/records.h"

struct consume_printer { bool json; int64_t since_ms; }; /* since_ms: what text counts its times from */

void consume_print_partitions(const struct consume_printer *printer, int64_t now_ms,
                              const struct rj_consumer_action *action);
void consume_print_committed(const struct consume_printer *printer, int64_t now_ms,
                             const struct rj_consumer_action *action);
void consume_print_error(const struct consume_printer *printer, int64_t now_ms,
                         const struct rj_consumer_action *action);
void consume_print_record(const struct consume_printer *printer, int64_t now_ms, struct rj_string topic,
                          int32_t partition, const struct rj_record *record);
void consume_print_closed(const struct consume_printer *printer, int64_t now_ms, int64_t record_count);

#endif
