#include "mock/security/users.h"

#include "mock/security/openssl.h"
#include "mock/security/sasl_messages.h"
#include "mock/security/word_file.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ITERATIONS = 4096, MAX_ITERATIONS = 16384, DEFAULT_SALT_LEN = 24, NAME_LIMIT_LEN = 255 };

const char *const mock_mechanism_names[MECHANISM_COUNT] = {"PLAIN", "SCRAM-SHA-256"};

struct mock_users { struct mock_user *items; int32_t count; };

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static bool read_mechanisms(char *list, struct mock_user *user)
{
    memset(user->may_use, 0, sizeof(user->may_use));
    for (char *part; (part = strsep(&list, ",")) != NULL;) {
        int i = 0;
        while (i < MECHANISM_COUNT && strcmp(mock_mechanism_names[i], part) != 0)
            i++;
        if (i == MECHANISM_COUNT)
            return false;
        user->may_use[i] = true;
    }
    return true;
}

static bool read_iterations(const char *text, struct mock_user *user)
{
    char *end;
    long number = strtol(text, &end, 10);
    user->iterations = (int32_t)number;
    return *text != 0 && *end == 0 && number >= DEFAULT_ITERATIONS && number <= MAX_ITERATIONS;
}

static bool read_salt(const char *text, struct mock_user *user)
{
    struct rj_string base64 = {text, (int32_t)strlen(text)};
    return sasl_read_base64(base64, user->salt, sizeof(user->salt), &user->salt_len) && user->salt_len > 0;
}

/* What is expected where the word is wrong; NULL: it is read. */
static const char *read_setting(char *word, struct mock_user *user)
{
    char *value = strchr(word, '=');
    if (value != NULL)
        *value++ = 0;
    if (value != NULL && strcmp(word, "mechanisms") == 0)
        return read_mechanisms(value, user) ? NULL : "mechanisms=PLAIN, SCRAM-SHA-256 or both with a comma";
    if (value != NULL && strcmp(word, "iterations") == 0)
        return read_iterations(value, user) ? NULL : "iterations= with a number from 4096 to 16384";
    if (value != NULL && strcmp(word, "salt") == 0)
        return read_salt(value, user) ? NULL : "salt= with 1 to 64 bytes in base64";
    return "mechanisms=, iterations= or salt= behind name and password";
}

static const char *check_name(const struct mock_users *users, const struct word *name)
{
    if (name->len == 0 || name->len > NAME_LIMIT_LEN)
        return "a name of 1 to 255 bytes";
    for (int32_t i = 0; i < users->count; i++)
        if (strcmp(users->items[i].name, name->text) == 0)
            return "each name once";
    return NULL;
}

static bool take_line(void *context, const struct word_line *line, char *error, size_t error_len)
{
    struct mock_users *users = context;
    const char *expected = check_name(users, &line->words[0]);
    if (expected != NULL)
        return word_error(line, 0, error, error_len, "expected %s, found %s", expected, line->words[0].text);
    if (line->word_count < 2 || line->words[1].len == 0 || line->words[1].len > NAME_LIMIT_LEN)
        return word_error(line, 1, error, error_len, "expected a password of 1 to 255 bytes behind the name");
    struct mock_user user = {.iterations = DEFAULT_ITERATIONS, .may_use = {true, true}};
    for (int i = 2; i < line->word_count; i++) {
        expected = read_setting(line->words[i].text, &user);
        if (expected != NULL)
            return word_error(line, i, error, error_len, "expected %s", expected);
    }
    if (user.salt_len == 0) {
        user.salt_len = DEFAULT_SALT_LEN;
        if (openssl.RAND_bytes(user.salt, DEFAULT_SALT_LEN) != 1)
            return word_error(line, 0, error, error_len, "OpenSSL has no random bytes for its salt");
    }
    char principal[NAME_LIMIT_LEN + 8];
    snprintf(principal, sizeof(principal), "User:%s", line->words[0].text);
    user.name = rejoin_strdup(line->words[0].text);
    user.password = rejoin_strdup(line->words[1].text);
    user.principal = rejoin_strdup(principal);
    users->items = rejoin_realloc(users->items, ((size_t)users->count + 1) * sizeof(*users->items));
    users->items[users->count++] = user;
    return true;
}

struct mock_users *mock_users_read(const char *path, char *error, size_t error_len)
{
    if (!openssl_load_crypto(error, error_len))
        return NULL;
    struct mock_users *users = rejoin_alloc_zeroed(1, sizeof(*users));
    bool ok = read_word_file(path, take_line, users, error, error_len);
    if (ok && users->count == 0)
        snprintf(error, error_len, "%s:1:1: expected at least one user: NAME PASSWORD", path);
    if (ok && users->count > 0)
        return users;
    mock_users_free(users);
    return NULL;
}

void mock_users_free(struct mock_users *users)
{
    if (users == NULL)
        return;
    for (int32_t i = 0; i < users->count; i++) {
        free(users->items[i].name);
        free(users->items[i].password);
        free(users->items[i].principal);
    }
    free(users->items);
    free(users);
}

/* ---- Asking ------------------------------------------------------------------------------------------------------ */

struct mock_user *mock_find_user(struct mock_users *users, struct rj_string name, enum mock_mechanism mechanism)
{
    for (int32_t i = 0; i < users->count; i++) {
        struct rj_string own = {users->items[i].name, (int32_t)strlen(users->items[i].name)};
        if (users->items[i].may_use[mechanism] && rj_string_equal(own, name))
            return &users->items[i];
    }
    return NULL;
}

bool mock_is_enabled(const struct mock_users *users, enum mock_mechanism mechanism)
{
    for (int32_t i = 0; i < users->count; i++)
        if (users->items[i].may_use[mechanism])
            return true;
    return false;
}
