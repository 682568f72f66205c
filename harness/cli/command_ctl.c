/* rejoin ctl: one command to a running mock. */
#include "cli/commands.h"

#include "mock/control.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char help[] =
    "usage: rejoin ctl SOCKET COMMAND [ARGUMENT...]\n"
    "\n"
    "Gives a command to the mock that was started with --control SOCKET and prints its answer, a JSON object.\n"
    "\n";

static int send_command(int fd, int argc, char **argv)
{
    json_t *words = json_array();
    for (int i = 2; i < argc; i++)
        json_array_append_new(words, json_string(argv[i]));
    char *line = json_dumps(words, JSON_COMPACT);
    json_decref(words);
    if (line == NULL)
        return -1;
    size_t len = strlen(line);
    line[len++] = '\n';
    ssize_t sent = send(fd, line, len, MSG_NOSIGNAL);
    free(line);
    return sent == (ssize_t)len ? 0 : -1;
}

/* The answer's line; its first word says how it went. */
static int print_answer(int fd)
{
    char text[65536];
    size_t len = 0;
    while (len < sizeof(text) - 1 && memchr(text, '\n', len) == NULL) {
        ssize_t got = recv(fd, text + len, sizeof(text) - 1 - len, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    text[len] = 0;
    if (memchr(text, '\n', len) == NULL)
        return -1;
    fputs(text, stdout);
    return strstr(text, "\"ok\":true") != NULL ? 1 : 0;
}

int command_ctl(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        fputs(mock_control_help, stdout);
        fputs("\nexit codes: 0 done, 1 refused, 3 wrong usage or no such socket, 4 no answer\n", stdout);
        return REJOIN_EXIT_FINE;
    }
    if (argc < 3 || argv[1][0] == '-') {
        fputs("usage: rejoin ctl SOCKET COMMAND [ARGUMENT...]; rejoin ctl --help lists the commands\n", stderr);
        return REJOIN_EXIT_USAGE;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(argv[1]) >= sizeof(address.sun_path)) {
        fprintf(stderr, "rejoin ctl: %s: longer than a socket's path can be\n", argv[1]);
        return REJOIN_EXIT_USAGE;
    }
    strcpy(address.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fprintf(stderr, "rejoin ctl: %s: no mock listens there: %m\n", argv[1]);
        return REJOIN_EXIT_USAGE;
    }
    int result = send_command(fd, argc, argv) == 0 ? print_answer(fd) : -1;
    close(fd);
    if (result < 0)
        fputs("rejoin ctl: the mock gave no answer\n", stderr);
    return result < 0 ? REJOIN_EXIT_HARNESS : result == 1 ? REJOIN_EXIT_FINE : REJOIN_EXIT_FELL_SHORT;
}
