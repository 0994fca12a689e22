/* limit: the least that a finger server can do, as a measure for others.
 *
 *   limit
 *
 * It listens on a free port of IPv4 and the same of IPv6, prints the port, and then accepts, receives a line, sends 60
 * bytes and closes, with 4 system calls a query and one epoll_wait for many.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, ACCEPTED = 64, BACKLOG = 4096, LINE = 1024 };

static const char ANSWER[] = "Login: alice  Name: Alice Liddell  Status: Happy and well.\r\n";

static int epoll;

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

/* Listen on a port of one family, or on a free one; return the socket. */
static int listen_on(const struct sockaddr *address, socklen_t size) {
    int yes = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    check(fd, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (address->sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    check(bind(fd, address, size), "bind");
    check(listen(fd, BACKLOG), "listen");
    watch(fd);
    return fd;
}

/* Answer if the line is there.  Return whether the connection is still open. */
static int answer(int fd) {
    char line[LINE];
    ssize_t got = recv(fd, line, sizeof line, 0);
    if (got < 0 && errno == EAGAIN) return 1;
    if (got > 0 && memchr(line, '\n', (size_t)got) == NULL) return 1; /* a line in pieces is not remembered */
    if (got > 0) send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL);
    close(fd);
    return 0;
}

static void accept_all(int listener) {
    for (int i = 0; i < ACCEPTED; ++i) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        if (answer(fd)) watch(fd); /* the line is often there already */
    }
}

int main(void) {
    static struct epoll_event events[EVENTS];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(0);
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    socklen_t size = sizeof v4;
    int four = listen_on((struct sockaddr *)&v4, size), six = -1;
    getsockname(four, (struct sockaddr *)&v4, &size);
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = v4.sin_port};
    six = listen_on((struct sockaddr *)&v6, sizeof v6);
    printf("%d\n", ntohs(v4.sin_port));
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; ++i) {
            int fd = events[i].data.fd;
            if (fd == four || fd == six)
                accept_all(fd);
            else
                answer(fd);
        }
    }
}
