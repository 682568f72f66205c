/* Pieces of messages as text and JSON, for people. */
#ifndef REJOIN_CAPTURE_TEXT_H
#define REJOIN_CAPTURE_TEXT_H

#include "rejoin/codec.h"

#include <jansson.h>

char *text_of(struct rj_string string);            /* a copy with NUL; null becomes ""; bytes that are not UTF-8 '?' */
char *text_host(const char *endpoint);             /* "127.0.0.1:40418" -> "/127.0.0.1", as Kafka prints hosts */
/* Of a JoinGroup's first protocol: topics sorted, owned partitions by topic. Both NULL where it is no subscription. */
void text_subscription(const struct rj_join_group_request *request, json_t **topics, json_t **owned);
json_t *text_assignment(struct rj_bytes bytes);    /* topic -> sorted partitions; {} where it is none */
/* "numbers 0-3,5; other 1" */
void text_partitions(const json_t *assignment, char *out, size_t out_len);
/* "10:01:02.345" in UTC */
void text_time(int64_t time_us, char *out, size_t out_len);

#endif
