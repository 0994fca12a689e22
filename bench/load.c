/* load: send one request many times to a server, from many clients at once, and print how it went as JSON.
 *
 *   load [-k] [-c CLIENTS] [-n REQUESTS] [-u USERS] [-s SOURCES] [-e EXPECTED] [-t SECONDS] ADDRESS PORT <REQUEST
 *
 * Without -k, each request has a connection of its own, and its answer ends where the server closes.  With -k, each
 * client sends HTTP requests on one connection, and opens another when the server ends that one.
 *
 *   -c  clients, each with one request at a time (1)
 *   -n  requests in all (1000)
 *   -u  replace the first % of the request by a random number below USERS
 *   -s  connect from SOURCES addresses in turn: the server's with another number in its third and fourth byte, or in
 *       the last two bytes of the subnet for IPv6 (0: the address that the system chooses)
 *   -e  text that each answer must contain
 *   -t  seconds that an answer may take (30)
 *
 * One process, one thread, epoll: it costs the server's machine as little as possible.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

enum { MAX_REQUEST = 4096, KEPT = 16384, EVENTS = 256, MAX_FAILURES = 100, LOOK = 100000000 /* nanoseconds */ };

/* One client.  Of an answer, the first KEPT bytes are kept. */
struct client {
    int fd;            /* -1: not connected */
    bool is_busy;      /* a request is under way */
    bool is_connected; /* and a request has been sent */
    bool closes;       /* the server will close after this answer */
    uint64_t began;    /* nanoseconds */
    size_t received;   /* bytes of the answer */
    size_t length;     /* bytes that an HTTP answer has in all; 0: not known yet */
    char answer[KEPT + 1];
};

static struct {
    struct sockaddr_storage address;
    socklen_t address_size;
    bool keeps;
    long clients, requests;
    unsigned users, sources;
    const char *expected;
    double seconds;
    char request[MAX_REQUEST];
    size_t request_size;
    char *placeholder; /* the % in the request, or NULL */
} want = {.clients = 1, .requests = 1000, .expected = "", .seconds = 30};

static struct {
    long started, done, refused, reset, timed_out, wrong, other;
    uint64_t bytes;
    uint64_t *times; /* of each answer, in nanoseconds */
} count;

static int epoll;
static long busy; /* clients with a request under way */

static void fail(const char *what) {
    fprintf(stderr, "load: %s\n", what);
    exit(2);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned random_number(void) { /* xorshift; the same numbers in every run */
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* Bind a socket to the next source address.  The port is chosen at connect(), so that ports can be shared. */
static void bind_source(int fd) {
    static unsigned turn;
    unsigned number = 256 + turn++ % want.sources;
    int yes = 1;
    struct sockaddr_storage source = want.address;
    uint8_t *bytes;
    if (source.ss_family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&source;
        v4->sin_port = 0;
        bytes = (uint8_t *)&v4->sin_addr + 2;
    } else {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&source;
        v6->sin6_port = 0;
        bytes = v6->sin6_addr.s6_addr + 6;
        setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &yes, sizeof yes);
    }
    bytes[0] = (uint8_t)(number >> 8);
    bytes[1] = (uint8_t)number;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&source, want.address_size) < 0) fail("cannot bind to a source address");
}

static void disconnect(struct client *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->is_connected = false;
}

static void end_request(struct client *c) {
    c->is_busy = false;
    --busy;
}

/* End a request without an answer. */
static void give_up(struct client *c, long *why) {
    ++*why;
    end_request(c);
    disconnect(c);
}

static long failures(void) {
    return count.refused + count.reset + count.timed_out + count.wrong + count.other;
}

static void give_up_errno(struct client *c) {
    give_up(c, errno == ECONNREFUSED ? &count.refused : errno == ECONNRESET || errno == EPIPE ? &count.reset : &count.other);
}

static void watch(struct client *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(epoll, operation, c->fd, &event);
}

/* Send the request.  Return false if the connection is not made yet. */
static bool send_request(struct client *c) {
    char text[MAX_REQUEST + 16];
    const char *data = want.request;
    size_t size = want.request_size;
    if (want.placeholder != NULL) {
        size_t before = (size_t)(want.placeholder - want.request);
        memcpy(text, want.request, before);
        int digits = sprintf(text + before, "%u", random_number() % want.users);
        memcpy(text + before + digits, want.placeholder + 1, size - before - 1);
        data = text;
        size += (size_t)digits - 1;
    }
    ssize_t sent = send(c->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN)) return false;
    if (sent != (ssize_t)size)
        give_up_errno(c);
    else
        c->is_connected = true;
    return true;
}

/* Connect and send.  On loopback, connections are made at once, so this does not wait for an event. */
static void open_connection(struct client *c) {
    c->fd = socket(want.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        give_up_errno(c);
        return;
    }
    if (want.sources) bind_source(c->fd);
    if (connect(c->fd, (struct sockaddr *)&want.address, want.address_size) < 0 && errno != EINPROGRESS) {
        give_up_errno(c);
        return;
    }
    bool is_sent = send_request(c);
    if (c->fd >= 0) watch(c, EPOLL_CTL_ADD, is_sent ? EPOLLIN : EPOLLOUT);
}

static void begin(struct client *c) {
    ++count.started;
    ++busy;
    c->is_busy = true;
    c->closes = false;
    c->received = c->length = 0;
    c->began = now();
    if (c->fd < 0)
        open_connection(c);
    else
        send_request(c);
}

static void finish(struct client *c) {
    c->answer[c->received < KEPT ? c->received : KEPT] = 0;
    if (strstr(c->answer, want.expected) == NULL || c->received == 0) {
        if (count.wrong == 0) fprintf(stderr, "load: unexpected answer: %.200s\n", c->answer);
        give_up(c, &count.wrong);
        return;
    }
    count.times[count.done++] = now() - c->began;
    end_request(c);
    if (!want.keeps || c->closes) disconnect(c);
}

/* Read an HTTP answer's headers once they are complete. */
static void read_headers(struct client *c) {
    c->answer[c->received < KEPT ? c->received : KEPT] = 0;
    char *end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL) return;
    *end = 0;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    c->closes = strcasestr(c->answer, "\r\nconnection: close") != NULL;
    *end = '\r';
    c->length = (size_t)(end + 4 - c->answer) + (length ? strtoul(length + 17, NULL, 10) : 0);
}

static void receive(struct client *c) {
    static char rest[65536];
    while (c->is_busy) {
        bool is_kept = c->received < KEPT;
        char *place = is_kept ? c->answer + c->received : rest;
        ssize_t got = recv(c->fd, place, is_kept ? KEPT - c->received : sizeof rest, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got < 0) {
            give_up_errno(c);
        } else if (got == 0) {
            if (want.keeps)
                give_up(c, &count.reset);
            else
                finish(c);
        } else {
            c->received += (size_t)got;
            count.bytes += (uint64_t)got;
            if (want.keeps && !c->length) read_headers(c);
            if (c->length && c->received >= c->length) finish(c);
        }
    }
}

static void handle(struct client *c) {
    if (c->is_connected) {
        receive(c);
        return;
    }
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    if (error)
        give_up_errno(c);
    else if (send_request(c) && c->fd >= 0)
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* Begin what can be begun, and give up what takes too long.  A server that keeps failing is not asked again. */
static void look_at_all(struct client *clients) {
    uint64_t time = now(), limit = (uint64_t)(want.seconds * 1e9);
    for (struct client *c = clients; c < clients + want.clients; ++c) {
        if (c->is_busy && time - c->began > limit) give_up(c, &count.timed_out);
        if (failures() > MAX_FAILURES) count.started = want.requests;
        if (!c->is_busy && count.started < want.requests) begin(c);
    }
}

static void run(struct client *clients) {
    static struct epoll_event events[EVENTS];
    uint64_t looked = 0;
    while (busy || count.started < want.requests) {
        if (now() - looked > LOOK) {
            look_at_all(clients);
            looked = now();
        }
        int ready = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < ready; ++i) {
            struct client *c = events[i].data.ptr;
            if (c->fd >= 0) handle(c);
            if (!c->is_busy && count.started < want.requests) begin(c);
        }
    }
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double milliseconds(double share) {
    return count.done ? (double)count.times[(long)((double)(count.done - 1) * share)] / 1e6 : 0;
}

static void report(double seconds) {
    qsort(count.times, (size_t)count.done, sizeof *count.times, compare);
    printf("{\"done\": %ld, \"seconds\": %.6f, \"bytes\": %llu, ", count.done, seconds, (unsigned long long)count.bytes);
    printf("\"median\": %.4f, \"p99\": %.4f, \"slowest\": %.4f, ", milliseconds(.5), milliseconds(.99), milliseconds(1));
    printf("\"refused\": %ld, \"reset\": %ld, \"timed out\": %ld, \"wrong\": %ld, \"other\": %ld}\n", count.refused,
           count.reset, count.timed_out, count.wrong, count.other);
}

static void find_address(const char *address, const char *port) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(address, port, &hints, &found)) fail("the server's address and port must be numbers");
    memcpy(&want.address, found->ai_addr, found->ai_addrlen);
    want.address_size = found->ai_addrlen;
    freeaddrinfo(found);
}

static void read_arguments(int count_, char **arguments) {
    int option;
    while ((option = getopt(count_, arguments, "kc:n:u:s:e:t:")) >= 0) switch (option) {
            case 'k': want.keeps = true; break;
            case 'c': want.clients = atol(optarg); break;
            case 'n': want.requests = atol(optarg); break;
            case 'u': want.users = (unsigned)atol(optarg); break;
            case 's': want.sources = (unsigned)atol(optarg); break;
            case 'e': want.expected = optarg; break;
            case 't': want.seconds = atof(optarg); break;
            default: exit(2);
        }
    if (optind != count_ - 2 || want.clients < 1 || want.requests < 1) fail("see the comment in load.c");
    find_address(arguments[optind], arguments[optind + 1]);
    want.request_size = fread(want.request, 1, MAX_REQUEST, stdin);
    if (want.users) want.placeholder = memchr(want.request, '%', want.request_size);
}

int main(int count_, char **arguments) {
    read_arguments(count_, arguments);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct client *clients = calloc((size_t)want.clients, sizeof *clients);
    count.times = calloc((size_t)want.requests, sizeof *count.times);
    if (epoll < 0 || clients == NULL || count.times == NULL) fail("out of memory or descriptors");
    for (long i = 0; i < want.clients; ++i) clients[i].fd = -1;
    uint64_t start = now();
    run(clients);
    report((double)(now() - start) / 1e9);
    return count.done == want.requests ? 0 : 1;
}
