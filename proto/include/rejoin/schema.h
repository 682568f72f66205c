/* The rows that describe messages. One walker (codec.h) decodes, encodes, sizes, prints, parses and compares from
 * them. The rows are generated from proto/schema/definitions; messages.h holds the structures that they describe. */
#ifndef REJOIN_SCHEMA_H
#define REJOIN_SCHEMA_H

#include "rejoin/base.h"

enum rj_type {
    RJ_TYPE_BOOL, RJ_TYPE_INT8, RJ_TYPE_INT16, RJ_TYPE_UINT16, RJ_TYPE_INT32, RJ_TYPE_UINT32, RJ_TYPE_INT64,
    RJ_TYPE_FLOAT64, RJ_TYPE_STRING, RJ_TYPE_BYTES, RJ_TYPE_RECORDS, RJ_TYPE_UUID, RJ_TYPE_STRUCT,
};

enum rj_field_flag {
    RJ_FIELD_ARRAY = 1,         /* an array of the type */
    RJ_FIELD_IGNORABLE = 2,     /* may be dropped where the version cannot carry it; otherwise encoding a non-default
                                   value in such a version is RJ_ERR_VALUE */
    RJ_FIELD_KEY = 4,           /* Kafka keeps the array as a map by this field */
    RJ_FIELD_NEVER_COMPACT = 8, /* keeps its old encoding in flexible versions (the header's client id) */
};

enum rj_default_kind { RJ_DEFAULT_ZERO /* 0, false, "", empty */, RJ_DEFAULT_NUMBER, RJ_DEFAULT_NULL };

struct rj_version_range { int16_t low, high; }; /* low > high: none */

static inline bool rj_in_range(struct rj_version_range range, int16_t version)
{
    return range.low <= version && version <= range.high;
}

struct rj_schema_struct;

struct rj_schema_field {
    const char *name;   /* Kafka's JSON name: groupInstanceId */
    const char *c_name; /* the member: group_instance_id */
    const struct rj_schema_struct *element; /* of a structure or an array of them */
    uint32_t offset;    /* of the member. A nullable structure that is not an array is a pointer, else embedded.
                           Where its default is not null (ClassicMemberMetadata of record 5) initialising sets NULL all
                           the same, for want of memory; decoding and parsing make the structure of defaults */
    uint8_t type;       /* enum rj_type */
    uint8_t flags;      /* enum rj_field_flag */
    struct rj_version_range versions, nullable, tagged;
    int16_t tag;        /* -1: not tagged */
    uint8_t default_kind;
    int64_t default_number;
};

#define RJ_NO_UNKNOWN_TAGS UINT32_MAX

struct rj_schema_struct {
    const char *name; /* Kafka's: JoinGroupRequestProtocol */
    const struct rj_schema_field *fields;
    uint32_t field_count;
    uint32_t size;                /* of the C structure */
    uint32_t unknown_tags_offset; /* RJ_NO_UNKNOWN_TAGS: never flexible */
};

enum rj_message_kind {
    RJ_MESSAGE_REQUEST, RJ_MESSAGE_RESPONSE, RJ_MESSAGE_HEADER, RJ_MESSAGE_DATA,
    RJ_MESSAGE_KEY, RJ_MESSAGE_VALUE, /* of a record of __consumer_offsets */
};

struct rj_message_schema {
    const char *name;      /* JoinGroupRequest */
    uint8_t kind;          /* enum rj_message_kind */
    int16_t api_key;       /* of keys and values: the record type; -1: none */
    struct rj_version_range versions;
    int16_t flexible_from; /* INT16_MAX: never */
    const struct rj_schema_struct *root;
    uint16_t first_plan;   /* for the codec: what its lowest version does */
};

extern const struct rj_message_schema *const rj_all_schemas[];
extern const int rj_all_schemas_count;

/* By API key; all NULL where there is no such API. */
extern const struct rj_api_row { const char *name; const struct rj_message_schema *request, *response; } rj_api_index[];
extern const int rj_api_index_count;

/* NULL where there is no such API. */
const struct rj_message_schema *rj_request_schema(int16_t api_key);
const struct rj_message_schema *rj_response_schema(int16_t api_key);
const struct rj_message_schema *rj_schema_by_name(struct rj_string name); /* "JoinGroupRequest" */
const char *rj_api_name(int16_t api_key);                                  /* "JoinGroup"; NULL: unknown */
/* Header versions (KIP-482): requests 1, flexible 2; responses 0, flexible 1, ApiVersions
 * always 0. The API must be known. */
int16_t rj_request_header_version(int16_t api_key, int16_t version);
int16_t rj_response_header_version(int16_t api_key, int16_t version);

#endif
