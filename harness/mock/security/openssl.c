#include "mock/security/openssl.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct openssl_functions openssl;

static bool find_function(void *library, const char *name, void *function, size_t size)
{
    void *address = dlsym(library, name);
    memcpy(function, &address, size); /* ISO C has no cast from an object pointer to a function pointer */
    return address != NULL;
}

static void *open_library(const char *name, char *error, size_t error_len)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    if (library == NULL)
        snprintf(error, error_len, "users and TLS need OpenSSL 3, which is not installed (Debian: libssl3): %s",
                 dlerror());
    return library;
}

#define OPENSSL_FIND(name)                                                                                             \
    if (!find_function(library, #name, &openssl.name, sizeof(openssl.name))) {                                         \
        snprintf(error, error_len, "the installed OpenSSL lacks the function %s", #name);                              \
        return false;                                                                                                  \
    }

bool openssl_load_crypto(char *error, size_t error_len)
{
    static bool is_loaded;
    if (is_loaded)
        return true;
    void *library = open_library("libcrypto.so.3", error, error_len);
    if (library == NULL)
        return false;
    OPENSSL_CRYPTO_FUNCTIONS(OPENSSL_FIND)
    is_loaded = true;
    return true;
}

bool openssl_load_tls(char *error, size_t error_len)
{
    static bool is_loaded;
    if (is_loaded)
        return true;
    if (!openssl_load_crypto(error, error_len))
        return false;
    void *library = open_library("libssl.so.3", error, error_len);
    if (library == NULL)
        return false;
    OPENSSL_TLS_FUNCTIONS(OPENSSL_FIND)
    is_loaded = true;
    return true;
}
