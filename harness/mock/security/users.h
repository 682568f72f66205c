/* Who may connect. The file of --users has one user a line:
 *
 *   NAME PASSWORD [mechanisms=PLAIN,SCRAM-SHA-256] [iterations=4096] [salt=BASE64]
 *
 * Without mechanisms= it may use either; iterations (4,096 to 16,384 as Kafka demands) and salt (else random) are those
 * of SCRAM. Words as word_file.h says. */
#ifndef REJOIN_MOCK_USERS_H
#define REJOIN_MOCK_USERS_H

#include "rejoin/base.h"

#include <stdbool.h>
#include <stddef.h>

enum mock_mechanism { MECHANISM_PLAIN, MECHANISM_SCRAM_SHA_256, MECHANISM_COUNT };
extern const char *const mock_mechanism_names[MECHANISM_COUNT];

enum { SHA_256_LEN = 32, SALT_LIMIT_LEN = 64 };

struct mock_user {
    char *name, *password, *principal; /* principal: "User:" and the name */
    bool may_use[MECHANISM_COUNT];
    int32_t iterations;
    uint8_t salt[SALT_LIMIT_LEN];
    size_t salt_len;
    bool has_keys; /* derived when they are first needed: that takes milliseconds */
    uint8_t stored_key[SHA_256_LEN], server_key[SHA_256_LEN];
};

struct mock_users;

struct mock_users *mock_users_read(const char *path, char *error, size_t error_len); /* NULL: error says why */
void mock_users_free(struct mock_users *users);

/* NULL: there is none, or it may not use that mechanism. */
struct mock_user *mock_find_user(struct mock_users *users, struct rj_string name, enum mock_mechanism mechanism);
bool mock_is_enabled(const struct mock_users *users, enum mock_mechanism mechanism); /* some user may use it */

#endif
